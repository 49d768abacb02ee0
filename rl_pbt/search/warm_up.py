"""Hand tuning with the Transformer's schedule: a rate that rises linearly, and then falls with the inverse square root of time.

    rate = peak * min(t / warmup, sqrt(warmup / t))

(Vaswani 2017, arXiv 1706.03762, sec. 5.3, where the peak is 1 / sqrt(width * warmup).) It was designed by hand; schedules that
PBT finds are compared with it. Deviations: the peak is the published rate; and like every hyperparameter here, the rate changes
only between intervals, so t is the middle of an interval, as a share of all training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from rl_pbt.errors import BadSetting
from rl_pbt.options import option
from rl_pbt.records import Hypers
from rl_pbt.search.annealed import Scheduled, annealed_option
from rl_pbt.search.problem import Problem


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class WarmUpOptions:
    """What is warmed up, and for how long. Raises BadSetting for a share outside (0, 1]."""

    annealed: str = annealed_option()
    warmup: float = option(0.1, help="share of training during which the learning rate of default-warmup rises, before it falls")

    def __post_init__(self) -> None:
        if not 0.0 < self.warmup <= 1.0:
            raise BadSetting("warmup", f"must be above 0 and at most 1, but is {self.warmup:g}")


@final
class WarmedUp(Scheduled):
    """Every member has the published hyperparameters; the published rate is the peak."""

    def __init__(self, problem: Problem, options: WarmUpOptions, published: Hypers) -> None:
        super().__init__(problem, options.annealed, published)
        self._warmup = options.warmup

    def share(self) -> float:
        return float(min(self.middle / self._warmup, (self._warmup / self.middle) ** 0.5))
