"""The environments of all members of a group, stepped in one call; for environments whose steps are arithmetic on arrays.

Each copy plays as it would in Gymnasium's own environment, bit for bit: the same numbers from the same random streams. So, as far
as environments are concerned, a group may be split anywhere.
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
    """What happens in a step, for N copies at once. The state of a copy is a column of [S, N] float64.

    Randomness is in how episodes begin; where steps are random too, theirs comes from numbers in the state.
    """

    # Whether a member's copies share one generator, as in Gymnasium's vector environments that step all copies as arrays.
    one_stream: ClassVar[bool] = False

    @abstractmethod
    def begin(self, generator: np.random.Generator, copies: int) -> Array:
        """Random numbers for the start of `copies` episodes, [D, copies]; `copies` is 1 unless `one_stream`."""

    def opened(self, drawn: Array) -> Array:
        """The states [S, N] in which episodes begin, from what was drawn for them, [D, N]; by default the same numbers."""
        return drawn

    @abstractmethod
    def step(self, states: Array, actions: Array, first: Array) -> Moved:
        """One step from states [S, N] with actions [N, ...]; `first` [N] bool marks the first step of an episode."""

    @abstractmethod
    def observe(self, states: Array) -> Array:
        """The observations after a step, [N, *observation] float32."""

    def observe_first(self, states: Array) -> Array:
        """The observations at the start of an episode, [N, *observation] float32."""
        return self.observe(states)


@final
class Population:
    """B copies for each of P members, in Gymnasium's NEXT_STEP mode: the step after an end ignores its action and begins another
    episode. Episodes are truncated after `longest` steps, if given.

    If a member is reset with seed s, copy b draws as a single environment reset with s + b does, or, with `dynamics.one_stream`,
    all copies draw from the stream of s. Copies that do not step keep their state and show their last observation.
    """

    def __init__(self, dynamics: Dynamics, members: int, copies: int, longest: int | None) -> None:
        self._dynamics = dynamics
        self._shape = members, copies
        self._longest = np.iinfo(np.int64).max if longest is None else longest

    def reset(self, seeds: Sequence[int]) -> Array:
        """Reset each member with its seed. Returns the first observations, [P, B, ...]."""
        members, copies = self._shape
        streams = [[seed] if self._dynamics.one_stream else [seed + copy for copy in range(copies)] for seed in seeds]
        self._generators = [[seeding.np_random(seed)[0] for seed in of_member] for of_member in streams]
        self._steps = np.zeros(members * copies, np.int64)
        self._ended = np.zeros(members * copies, bool)
        self._states = self._begun(np.arange(members * copies))
        self._shown = self._dynamics.observe_first(self._states)
        return self._shaped(self._shown.copy())

    def step(self, actions: Array, stepping: Array | None = None) -> tuple[Array, Array, Array, Array]:
        """One step with actions [P, B, ...], of only the copies that are `stepping` [P, B] bool if given.

        Returns observations, rewards (float32), terminated and truncated, each [P, B, ...]. The caller owns the observations.
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
        """Where the episodes of a member stand, as in `resuming.Resumes.state`."""
        at = slice(member * self._shape[1], (member + 1) * self._shape[1])
        found = {"states": self._states[:, at].T, "steps": self._steps[at], "ended": self._ended[at], "shown": self._shown[at]}
        return {name: array.copy() for name, array in found.items()}

    def resume(self, member: int, state: Mapping[str, Array]) -> None:
        """Continue a member's episodes from a `state`, as in `resuming.Resumes.resume`. Raises ValueError."""
        check_like(state, self.state(member))
        at = slice(member * self._shape[1], (member + 1) * self._shape[1])
        self._states[:, at] = state["states"].T
        self._steps[at], self._ended[at], self._shown[at] = state["steps"], state["ended"], state["shown"]

    def _stepped(self, at: Array | slice, actions: Array) -> tuple[Array, Array, Array, Array]:
        """One step of the copies at `at`, flat indices of members times copies; returns [n, ...] each."""
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
        """The initial states of new episodes of the copies at `at`, [S, n]; these indices must be sorted by member."""
        members, copies = np.divmod(at, self._shape[1])
        if self._dynamics.one_stream:
            counts = zip(*np.unique(members, return_counts=True), strict=True)
            drawn = [self._dynamics.begin(self._generators[member][0], int(count)) for member, count in counts]
        else:
            drawn = [self._dynamics.begin(self._generators[m][copy], 1) for m, copy in zip(members, copies, strict=True)]
        return self._dynamics.opened(np.concatenate(drawn, 1))

    def _shaped(self, array: Array) -> Array:
        return array.reshape(*self._shape, *array.shape[1:])
