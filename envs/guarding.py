"""Checks of what a single environment returns: a reward must be a finite number, and infos, which nobody reads, are dropped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, final

import gymnasium
import numpy as np

from rl_pbt.envs.aliases import Array, Info, Step, UnknownEnv, Vector

LARGEST = float(np.finfo(np.float32).max)  # learners hold rewards in 32 bits
SHOWN = 80  # characters of a reward that is not a number, in an error


@final
class Guarded(gymnasium.Wrapper[Array, object, Array, object]):
    """The same environment without its infos, whose shapes may differ between copies, and with a `close` that raises nothing.

    `step` raises ValueError for a reward that is not a finite number; an array with one entry counts as a number.
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
    """A reward as a float. Raises ValueError, which quotes the reward, unless it is a finite number in 32 bits."""
    value = reward if isinstance(reward, float) else _number(reward)
    if value is None:
        raise ValueError(f"the reward is {_shown(reward)}, not a number")
    if not abs(value) <= LARGEST:
        raise ValueError(f"the reward is {value:g}, not a finite number of 32 bits")
    return value


def _number(reward: Any) -> float | None:
    """A reward as a float, also of an array or a tensor with one entry; None for anything else."""
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
    """Suppress everything that is raised within, except KeyboardInterrupt: the environment is no longer needed."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException:
        pass


def close_quietly(env: Vector) -> None:
    """Close an environment that is no longer needed, whatever it raises."""
    with quietly():
        env.close()
    env.closed = True  # otherwise it would try again when it is garbage-collected
