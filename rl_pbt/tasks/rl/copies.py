"""What steps the copies of an environment, B for each of P members: all of them as one, or part by part (`in_parts`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, final

import numpy as np

from rl_pbt.arrays import Array
from rl_pbt.envs import EnvSpec
from rl_pbt.envs.population import Population

Moved: TypeAlias = tuple[Array, Array, Array]  # rewards (float32), terminated and truncated, each [P, B]


class Copies(ABC):
    """B copies of an environment for each of P members. Those that are `lost` [P, B] are not stepped: their observations and
    rewards are 0, and their episodes do not end.

    `observations` are the last ones, [P, B, *observation]. `frames` counts what was emulated for each member, and `failed` has
    the first reason of each member whose copies failed. `calling[p]` is called before each call of an environment of member p.
    """

    def __init__(self, spec: EnvSpec, lost: Array, calling: Sequence[Callable[[], None]]) -> None:
        self.spec = spec
        self.lost = lost
        self.failed: dict[int, str] = {}
        self.frames = [0] * len(lost)
        self.observations: Array = np.zeros(lost.shape)
        self._calling = calling

    @abstractmethod
    def begin(self, environment_seeds: Sequence[int]) -> None:
        """Begin the first episodes, from one seed for each member; copies are as good as new."""

    @abstractmethod
    def step(self, actions: Array, playing: Array | None) -> Moved:
        """Step with actions [P, B, ...]; with `playing` [P, B], no others need to step. Observations are freshly allocated."""

    @abstractmethod
    def state(self, member: int) -> dict[str, Array]:
        """Where the episodes of a member stand that has lost nothing, as in `envs.Resumes.state`."""

    @abstractmethod
    def resume(self, member: int, state: Mapping[str, Array]) -> None:
        """Continue a member's episodes from such a state, before the first step. Raises ValueError for any other state."""

    @abstractmethod
    def close(self, *, reuse: bool) -> None:
        """To be called once. With `reuse`, which must not be used after an error, what can serve again is kept."""


@final
class AsOne(Copies):
    """All copies of all members, stepped in one call; a copy that has done its work rests. They do not fail."""

    def __init__(self, spec: EnvSpec, population: Population, lost: Array, calling: Sequence[Callable[[], None]]) -> None:
        super().__init__(spec, lost, calling)
        self._population = population

    def begin(self, environment_seeds: Sequence[int]) -> None:
        self._show(self._population.reset(environment_seeds))

    def step(self, actions: Array, playing: Array | None) -> Moved:
        """Only copies that are `playing` step."""
        stepping = ~self.lost if playing is None else playing & ~self.lost
        for member, copies in enumerate(stepping.sum(1).tolist()):
            self._calling[member]()
            self.frames[member] += copies * self.spec.frame_skip
        observations, rewards, terminated, truncated = self._population.step(actions, stepping)
        self._show(observations)
        return rewards, terminated, truncated

    def _show(self, observations: Array) -> None:
        if self.lost.any():
            observations[self.lost] = 0
        self.observations = observations

    def state(self, member: int) -> dict[str, Array]:
        return self._population.state(member)

    def resume(self, member: int, state: Mapping[str, Array]) -> None:
        self._population.resume(member, state)
        self.observations[member] = state["shown"]

    def close(self, *, reuse: bool) -> None:
        """Arrays need no closing."""
