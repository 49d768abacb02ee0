"""A step in two halves: many vector environments begin, then each is waited for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial

from rl_pbt.envs.aliases import Array, Vector, VectorStep


class StepsInHalves(ABC):
    """A base of vector environments that step in threads of their own: `step` is `send` and then `recv`."""

    @abstractmethod
    def send(self, actions: Array) -> None:
        """Begin a step; the caller can do something else meanwhile."""

    @abstractmethod
    def recv(self) -> VectorStep:
        """Wait for the end of the step that was begun, and return what it gives."""


def begin_step(env: Vector, actions: Array) -> Callable[[], VectorStep]:
    """Begin what `env.step(actions)` does; calling what is returned waits for the end of it, once, and returns the same.

    What cannot step in halves steps when it is waited for.
    """
    if isinstance(env, StepsInHalves):
        env.send(actions)
        return env.recv
    return partial(env.step, actions)
