"""A step in two halves: begin it in many vector environments, then wait for each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial

from rl_pbt.envs.aliases import Array, Vector, VectorStep


class StepsInHalves(ABC):
    """Base class of vector environments that step in threads of their own: `step` is `send` and then `recv`."""

    @abstractmethod
    def send(self, actions: Array) -> None:
        """Begin a step; the caller can do something else meanwhile."""

    @abstractmethod
    def recv(self) -> VectorStep:
        """Wait for the end of the step that was begun, and return what `step` would."""


def begin_step(env: Vector, actions: Array) -> Callable[[], VectorStep]:
    """Begin `env.step(actions)`. Call the function that is returned once: it waits for the end and returns the step's results.

    An environment that cannot step in halves makes the whole step in that call.
    """
    if isinstance(env, StepsInHalves):
        env.send(actions)
        return env.recv
    return partial(env.step, actions)
