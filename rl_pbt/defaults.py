"""What a newcomer gets for a family of environments. Sized for two cores: minutes, not days."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """Of a family of environments; `frames` and `interval` are of one member."""

    population: int
    frames: int
    interval: int
    eval_episodes: int
    test_episodes: int
    search: Mapping[str, str]
    agent_options: Mapping[str, Any]


# Espeholt 2018, Table D.1, draws learning rates from 5e-6 to 5e-3 and entropy costs from 5e-5 to 1e-2 for a *summed* loss under
# RMSProp. RMSProp cancels the scale of the loss and the ratio of its terms is the same for our mean, so the ranges carry over;
# the low end of the learning rate is left out, where nothing is learnt in the budgets of a laptop.
ATARI = Defaults(
    population=8,
    frames=200_000,
    interval=40_000,
    eval_episodes=4,
    test_episodes=32,
    search={"learning_rate": "log:0.0001:0.005", "entropy_cost": "log:0.0005:0.05", "discount": "horizon:0.95:0.999"},
    agent_options={
        # 8 x 10 steps an update, as many as the 16 x 5 of Mnih 2016, and on two cores the fastest of seven pairs measured.
        "unroll_length": 10,
        "envs_per_member": 8,
        "torso": "shallow",
        "max_grad_norm": 0.5,
        "reward_clip": 1.0,
        "autocast": True,
    },
)
CONTROL = Defaults(
    population=8,
    frames=200_000,
    interval=20_000,
    eval_episodes=8,
    test_episodes=32,
    search={"learning_rate": "log:0.0001:0.01", "entropy_cost": "log:0.0001:0.05", "discount": "horizon:0.9:0.999"},
    agent_options={"unroll_length": 8, "envs_per_member": 16, "torso": "auto"},
)
DEFAULTS = {"atari": ATARI, "gymnasium": CONTROL, "probe": CONTROL}
