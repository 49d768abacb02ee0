"""What a job costs the machine."""

from __future__ import annotations

import time
from os import times
from typing import final

from rl_pbt.records import Cost


@final
class Clock:
    """Seconds since it was created: CPU time of this process and of its ended children, on all cores, and wall-clock time."""

    def __init__(self) -> None:
        self._start = _cpu_s(), time.perf_counter()

    @property
    def cpu_s(self) -> float:
        """The CPU time spent since then."""
        return _cpu_s() - self._start[0]

    @property
    def wall_s(self) -> float:
        """The wall-clock time since then."""
        return time.perf_counter() - self._start[1]

    def cost(self, *, train_units: int = 0, eval_units: int = 0, updates: int = 0, eval_cpu_s: float = 0.0) -> Cost:
        """The time spent since then, `eval_cpu_s` of it on evaluation, with these counts."""
        return Cost(
            train_units=train_units,
            eval_units=eval_units,
            updates=updates,
            cpu_s=self.cpu_s,
            wall_s=self.wall_s,
            eval_cpu_s=eval_cpu_s,
        )

    def test_cost(self, eval_units: int = 0) -> Cost:
        """The time spent since then, all of it on evaluation."""
        cpu_s = self.cpu_s
        return Cost(eval_units=eval_units, cpu_s=cpu_s, wall_s=self.wall_s, eval_cpu_s=cpu_s)


def _cpu_s() -> float:
    spent = times()
    return time.process_time() + spent.children_user + spent.children_system
