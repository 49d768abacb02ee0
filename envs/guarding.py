"""What a single environment gives, looked at where it arrives: a reward is a number, and what nobody reads is dropped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, final

import gymnasium
import numpy as np

from rl_pbt.envs.aliases import Array, Info, Step, UnknownEnv, Vector

LARGEST = float(np.finfo(np.float32).max)  # learners hold rewards in 32 bits
SHOWN = 80  # characters of a reward that is not a number


@final
class Guarded(gymnasium.Wrapper[Array, object, Array, object]):
    """The same environment, without its infos, whose shapes may differ between copies, and whose `close` never raises.

    Raises ValueError, in a step, for a reward that is not a finite number, one in an array included.
    """

    def __init__(self, env: UnknownEnv) -> None:
        super().__init__(env)

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Array, Info]:
        observation, _ = self.env.reset(seed=seed, options=options)
        return observation, {}

    def step(self, action: object) -> Step:
        observation, reward, terminated, truncated, _ = self.env.step(action)
        return observation, finite_reward(reward), bool(terminated), bool(truncated), {}

    def close(self) -> None:
        with quietly():
            super().close()


def finite_reward(reward: Any) -> float:
    """The number that a reward is. Raises ValueError, which shows it, where it is none that a learner can use."""
    value = reward if isinstance(reward, float) else _number(reward)
    if value is None:
        raise ValueError(f"the reward is {_shown(reward)}, not a number")
    if not abs(value) <= LARGEST:
        raise ValueError(f"the reward is {value:g}, not a finite number of 32 bits")
    return value


def _number(reward: Any) -> float | None:
    """Of an array or a tensor with one entry too."""
    if isinstance(reward, str | bytes):
        return None
    try:
        found = np.asarray(reward)
        return float(found.item()) if found.size == 1 else None
    except Exception:
        return None


def _shown(thing: object) -> str:
    try:
        return repr(thing)[:SHOWN]
    except Exception:
        return f"of the type {type(thing).__name__}"


@contextmanager
def quietly() -> Iterator[None]:
    """Whatever an environment raises within, but for KeyboardInterrupt, is of no interest: it is wanted no more."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException:
        pass


def close_quietly(env: Vector) -> None:
    """Close what is wanted no more, whatever it says."""
    with quietly():
        env.close()
    env.closed = True  # it would try again when it is collected
