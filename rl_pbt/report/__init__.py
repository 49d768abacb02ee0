"""The report of a run. `python -m rl_pbt.report RUN` rebuilds it.

`evidence` reads a run, `comparison` and `summarising` make a typed `summary` of it with `statistics`, `plots` and `family_tree`
draw it in one `style`, `page` tells it, and `writing` puts it beside the run.
"""

from rl_pbt.report.summary import Summary
from rl_pbt.report.writing import page_path, summarise, write_report

__all__ = ["Summary", "page_path", "summarise", "write_report"]
