"""Environments of all members of a group as one: one call a step, where what happens in a step is arithmetic on arrays.

Each copy plays as it would in Gymnasium's own environment, bit for bit: the same numbers from the same random streams. So a group
may be cut anywhere, as far as environments go.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, TypeAlias, final

import numpy as np
from gymnasium.utils import seeding

from rl_pbt.envs.aliases import Array
from rl_pbt.envs.resuming import check_like

Moved: TypeAlias = tuple[Array, Array, Array]  # states [S, N], rewards [N], terminated [N]


class Dynamics(ABC):
    """What happens in a step, for N copies at once. A state is a column of numbers, [S, N] float64.

    Chance is in how episodes begin; where there is some in their steps too, it comes from numbers in the state.
    """

    # Whether the copies of a member draw from one generator, as in Gymnasium's vector environments that are one array.
    one_stream: ClassVar[bool] = False

    @abstractmethod
    def begin(self, generator: np.random.Generator, copies: int) -> Array:
        """What is drawn for so many episodes that begin, [D, copies]; `copies` is 1 but with `one_stream`."""

    def opened(self, drawn: Array) -> Array:
        """The states [S, N] in which episodes begin, of what was drawn for them [D, N]: the same, if no more is to be done."""
        return drawn

    @abstractmethod
    def step(self, states: Array, actions: Array, first: Array) -> Moved:
        """From states [S, N], with actions [N, ...], where `first` [N] says that an episode begins with this step."""

    @abstractmethod
    def observe(self, states: Array) -> Array:
        """What is seen after a step, [N, *observation] float32."""

    def observe_first(self, states: Array) -> Array:
        """What is seen where an episode begins."""
        return self.observe(states)


@final
class Population:
    """B copies for each of P members, in Gymnasium's NEXT_STEP mode: the step after an end ignores its action and begins another.

    Copy b of a member that is reset with seed s draws as a single environment that is reset with s + b, or all draw from the
    stream of s, as `dynamics` has it. Copies that do not step keep their state, and show what they showed.
    """

    def __init__(self, dynamics: Dynamics, members: int, copies: int, longest: int | None) -> None:
        self._dynamics = dynamics
        self._shape = members, copies
        self._longest = np.iinfo(np.int64).max if longest is None else longest

    def reset(self, seeds: Sequence[int]) -> Array:
        """The first observations [P, B, ...], of members that are reset with those seeds."""
        members, copies = self._shape
        streams = [[seed] if self._dynamics.one_stream else [seed + copy for copy in range(copies)] for seed in seeds]
        self._generators = [[seeding.np_random(seed)[0] for seed in of_member] for of_member in streams]
        self._steps = np.zeros(members * copies, np.int64)
        self._ended = np.zeros(members * copies, bool)
        self._states = self._begun(np.arange(members * copies))
        self._shown = self._dynamics.observe_first(self._states)
        return self._shaped(self._shown.copy())

    def step(self, actions: Array, stepping: Array | None = None) -> tuple[Array, Array, Array, Array]:
        """Observations, rewards, terminated and truncated, [P, B, ...], of actions [P, B, ...]; with `stepping` [P, B], of those.

        The caller owns the observations.
        """
        chosen = actions.reshape(-1, *actions.shape[2:])
        if stepping is None or stepping.all():
            observations, rewards, terminated, truncated = self._stepped(slice(None), chosen)
            self._shown = observations
        else:
            at = np.flatnonzero(stepping)
            rewards = np.zeros(len(chosen), np.float32)
            terminated, truncated = np.zeros((2, len(chosen)), bool)
            self._shown = self._shown.copy()
            if at.size:
                self._shown[at], rewards[at], terminated[at], truncated[at] = self._stepped(at, chosen[at])
        return tuple(self._shaped(array) for array in (self._shown.copy(), rewards, terminated, truncated))  # type: ignore[return-value]

    def state(self, member: int) -> dict[str, Array]:
        """Where the episodes of a member stand, as `resuming.Resumes.state` says it."""
        at = slice(member * self._shape[1], (member + 1) * self._shape[1])
        found = {"states": self._states[:, at].T, "steps": self._steps[at], "ended": self._ended[at], "shown": self._shown[at]}
        return {name: array.copy() for name, array in found.items()}

    def resume(self, member: int, state: Mapping[str, Array]) -> None:
        """The member's episodes continue from there, as after `resuming.Resumes.resume`. Raises ValueError."""
        check_like(state, self.state(member))
        at = slice(member * self._shape[1], (member + 1) * self._shape[1])
        self._states[:, at] = state["states"].T
        self._steps[at], self._ended[at], self._shown[at] = state["steps"], state["ended"], state["shown"]

    def _stepped(self, at: Array | slice, actions: Array) -> tuple[Array, Array, Array, Array]:
        """Of the copies at those places."""
        steps, ended = self._steps[at], self._ended[at]
        states, rewards, terminated = self._dynamics.step(self._states[:, at], actions, steps == 0)
        steps = steps + 1
        truncated = steps >= self._longest
        rewards = rewards.astype(np.float32)
        observations = self._dynamics.observe(states)
        if ended.any():
            again = np.flatnonzero(ended)
            states[:, again] = begun = self._begun(np.arange(len(self._steps))[at][again])
            observations[again] = self._dynamics.observe_first(begun)
            rewards[again], terminated[again], truncated[again], steps[again] = 0.0, False, False, 0
        self._states[:, at], self._steps[at], self._ended[at] = states, steps, terminated | truncated
        return observations, rewards, terminated, truncated

    def _begun(self, at: Array) -> Array:
        """Where new episodes of the copies at those places begin, [S, n]; they are in the order of the members."""
        members, copies = np.divmod(at, self._shape[1])
        if self._dynamics.one_stream:
            counts = zip(*np.unique(members, return_counts=True), strict=True)
            drawn = [self._dynamics.begin(self._generators[member][0], int(count)) for member, count in counts]
        else:
            drawn = [self._dynamics.begin(self._generators[m][copy], 1) for m, copy in zip(members, copies, strict=True)]
        return self._dynamics.opened(np.concatenate(drawn, 1))

    def _shaped(self, array: Array) -> Array:
        return array.reshape(*self._shape, *array.shape[1:])
