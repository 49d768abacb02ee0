"""What came of a run. `python -m rl_pbt.report RUN` makes it anew."""

from rl_pbt.report.writing import summarise, terminal_summary, write_report

__all__ = ["summarise", "terminal_summary", "write_report"]
