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

    def cost(self, *, train_units: int = 0, eval_units: int = 0, updates: int = 0) -> Cost:
        """The time spent since then, with these counts."""
        cpu_s, wall_s = _cpu_s() - self._start[0], time.perf_counter() - self._start[1]
        return Cost(train_units=train_units, eval_units=eval_units, updates=updates, cpu_s=cpu_s, wall_s=wall_s)


def _cpu_s() -> float:
    spent = times()
    return time.process_time() + spent.children_user + spent.children_system
