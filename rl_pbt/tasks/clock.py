"""What a job spends of a machine."""

from __future__ import annotations

import time
from os import times
from typing import final

from rl_pbt.records import Cost


@final
class Clock:
    """Seconds since it was made: of this process and of children that ended, on all cores, and on the wall."""

    def __init__(self) -> None:
        self._start = _cpu_s(), time.perf_counter()

    def cost(self, *, train_units: int = 0, eval_units: int = 0, updates: int = 0) -> Cost:
        """What was spent since."""
        cpu_s, wall_s = _cpu_s() - self._start[0], time.perf_counter() - self._start[1]
        return Cost(train_units=train_units, eval_units=eval_units, updates=updates, cpu_s=cpu_s, wall_s=wall_s)


def _cpu_s() -> float:
    spent = times()
    return time.process_time() + spent.children_user + spent.children_system
