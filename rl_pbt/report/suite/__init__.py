"""What the cells of a suite show together: `scores` has the numbers, `figures` the figures, and `page` writes `suite.md`."""

from rl_pbt.report.suite.page import write_suite_page
from rl_pbt.report.suite.scores import MeasuredCell, SuiteScores, scores_of

__all__ = ["MeasuredCell", "SuiteScores", "scores_of", "write_suite_page"]
