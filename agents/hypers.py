"""The hyperparameters of an agent, which may change while it trains, with their legal values. Everything else is fixed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

FINITE = 3.0e38  # close to the largest float32


@dataclass(frozen=True, slots=True, kw_only=True)
class HyperSpec:
    """Legal values lie in [low, high], or in (low, high] with `above_low`, and are integers with `whole`.

    `default` is Stable-Baselines3's: for A2C in HYPERS, for PPO where PPO_HYPERS differs.
    """

    default: float
    low: float
    high: float
    above_low: bool = False
    whole: bool = False

    def complaint(self, value: float) -> str | None:
        """Why a value is not legal, or None where it is."""
        if self.low < value <= self.high or (value == self.low and not self.above_low):
            return f"must be a whole number, but is {value:g}" if self.whole and value != round(value) else None
        bound = f"above {self.low:g}" if self.above_low else f"{self.low:g} or more"
        return f"must be {bound}" + (f" and at most {self.high:g}" if self.high < FINITE else "") + f", but is {value:g}"


HYPERS: Mapping[str, HyperSpec] = {
    "learning_rate": HyperSpec(default=7e-4, low=0.0, high=FINITE),
    "entropy_cost": HyperSpec(default=0.0, low=0.0, high=FINITE),
    "discount": HyperSpec(default=0.99, low=0.0, high=1.0),
    "value_cost": HyperSpec(default=0.5, low=0.0, high=FINITE),
    "trace_lambda": HyperSpec(default=1.0, low=0.0, high=1.0),  # of GAE, or of V-trace
    "max_grad_norm": HyperSpec(default=0.5, low=0.0, high=FINITE, above_low=True),
    "epsilon": HyperSpec(default=1e-5, low=0.0, high=FINITE, above_low=True),  # the optimiser's
}
PPO_HYPERS: Mapping[str, HyperSpec] = {
    **HYPERS,
    "learning_rate": HyperSpec(default=3e-4, low=0.0, high=FINITE),
    "trace_lambda": HyperSpec(default=0.95, low=0.0, high=1.0),
    "clip_range": HyperSpec(default=0.2, low=0.0, high=1.0, above_low=True),
    "num_epochs": HyperSpec(default=10, low=1, high=1000, whole=True),
}
# A setting of acting that may change between intervals: an option of every agent, which Jaderberg 2017 evolved on DeepMind Lab.
UNROLL_LENGTH = "unroll_length"
ACTING: Mapping[str, HyperSpec] = {UNROLL_LENGTH: HyperSpec(default=5, low=1, high=10_000, whole=True)}
