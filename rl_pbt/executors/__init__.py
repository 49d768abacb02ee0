"""Where intervals run."""

from rl_pbt.executors.base import Executor, IntervalJob, Task, TestJob, run_intervals, run_tests
from rl_pbt.executors.inline import InlineExecutor
from rl_pbt.executors.processes import ProcessExecutor

__all__ = ["Executor", "InlineExecutor", "IntervalJob", "ProcessExecutor", "Task", "TestJob", "run_intervals", "run_tests"]
