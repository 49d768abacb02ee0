"""What the cells of a suite show together: `scores` (numbers), `figures`, `page` (`suite.md`)."""

from rl_pbt.report.suite.page import write_suite_page
from rl_pbt.report.suite.scores import MeasuredCell, SuiteScores, scores_of

__all__ = ["MeasuredCell", "SuiteScores", "scores_of", "write_suite_page"]
