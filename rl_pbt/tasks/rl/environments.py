"""The environments of a group of members, and the episodes that they play in them.

Every vector environment runs in Gymnasium's NEXT_STEP mode: the step after an end ignores its action and returns the reset
observation. This module marks that transition as not valid; `agents.returns` explains why nothing else is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple, final

import numpy as np

from rl_pbt.arrays import Array
from rl_pbt.envs import EnvSpec, check_like, close_quietly, make_population, make_vector
from rl_pbt.tasks.on_environments.episodes import Episodes
from rl_pbt.tasks.on_environments.failing import environment_errors_in_one_line
from rl_pbt.tasks.on_environments.spaces import KnownSpaces, Spaces
from rl_pbt.tasks.rl.copies import AsOne, Copies
from rl_pbt.tasks.rl.in_parts import Handling, InParts


def _spaces_of_one(spec: EnvSpec) -> Spaces:
    with environment_errors_in_one_line(spec, "its constructor"):
        probe = make_vector(spec, 1)
    close_quietly(probe)
    return probe.single_observation_space, probe.single_action_space


spaces_of = KnownSpaces(_spaces_of_one)


@final
class _Ended(NamedTuple):
    """A whole episode: its true return, its length in agent steps, and whether a time limit ended it."""

    earned: float
    steps: int
    truncated: bool


@final
class MemberEnvironments:
    """`num_envs` copies of the environment for each member, all as good as new: so an interval is a pure function. It keeps
    count of their episodes, and says which steps are true transitions.

    If all copies can be stepped as one (`envs.population`), they are. Otherwise they are stepped in parts, as `handling` says,
    and may be lost. Members that are `absent` are lost from the start, and no environments are made for them. `calling[p]` is
    called before each call of an environment of member p. For what else is told of the copies, see `copies.Copies`.
    """

    def __init__(
        self,
        spec: EnvSpec,
        num_envs: int,
        environment_seeds: Sequence[int],
        handling: Handling,
        *,
        absent: Collection[int] = (),
        calling: Sequence[Callable[[], None]] = (),
    ) -> None:
        lost = np.zeros((len(environment_seeds), num_envs), bool)
        lost[list(absent)] = True
        calling = calling or [_nothing] * len(environment_seeds)
        population = make_population(spec, *lost.shape)
        self._copies: Copies = (
            InParts(spec, handling, lost, calling) if population is None else AsOne(spec, population, lost, calling)
        )
        self.spec = spec
        self._returns = np.zeros(lost.shape)
        self._lengths = np.zeros(lost.shape, np.int64)
        self._ended: list[list[_Ended]] = [[] for _ in environment_seeds]
        try:
            self._copies.begin(environment_seeds)
        except BaseException:
            self.close(reuse=False)
            raise
        self.valid = ~lost  # [P, B]: whether the next step is a true transition

    @property
    def observations(self) -> Array:
        """The last ones, [P, B, *observation]; each step allocates them afresh."""
        return self._copies.observations

    @property
    def lost(self) -> Array:
        """The copies that are not stepped any more, [P, B]."""
        return self._copies.lost

    @property
    def failed(self) -> Mapping[int, str]:
        """The first reason of each member whose copies failed."""
        return self._copies.failed

    @property
    def frames(self) -> Sequence[int]:
        """What was emulated for each member."""
        return self._copies.frames

    @property
    def episodes(self) -> list[Episodes]:
        """The whole episodes of each member so far, in the order in which they ended."""
        return [
            Episodes(
                returns=tuple(one.earned for one in ended),
                lengths=tuple(one.steps for one in ended),
                truncated=sum(one.truncated for one in ended),
            )
            for ended in self._ended
        ]

    def unfinished(self, member: int) -> dict[str, Array]:
        """A member's unfinished episodes, for an interval that continues them: arrays [B, ...], without random streams.

        Only for a member that has lost nothing, in environments whose spec is `resumable`.
        """
        stand = self._copies.state(member)
        return {**stand, "returns": self._returns[member].copy(), "lengths": self._lengths[member].copy()}

    def resume(self, member: int, state: Mapping[str, Array]) -> None:
        """Continue a member's episodes from such a state, before the first step. Raises ValueError for any other state."""
        own = {"returns": self._returns[member], "lengths": self._lengths[member]}
        check_like({name: array for name, array in state.items() if name in own}, own)
        self._copies.resume(member, {name: array for name, array in state.items() if name not in own})
        self._returns[member], self._lengths[member] = state["returns"], state["lengths"]
        self.valid[member] = ~state["ended"]

    def step(self, actions: Array, playing: Array | None = None) -> tuple[Array, Array, Array]:
        """Step every copy with actions [P, B, ...]; with `playing` [P, B], only those, or vector environments that hold one.

        Returns rewards, terminated and ended, each [P, B]; the new observations are in `observations`.
        """
        rewards, terminated, truncated = self._copies.step(_finite(actions), playing)
        ended = terminated | truncated
        self._count(rewards, ended, truncated & ~terminated)
        self.valid = ~(ended | self.lost)
        return rewards, terminated, ended

    def _count(self, rewards: Array, ended: Array, truncated: Array) -> None:
        self._returns += rewards
        self._lengths += self.valid
        for at in map(tuple, np.argwhere(ended)):
            self._ended[at[0]].append(_Ended(float(self._returns[at]), int(self._lengths[at]), bool(truncated[at])))
        self._returns[ended] = 0.0
        self._lengths[ended] = 0

    def close(self, *, reuse: bool = True) -> None:
        """To be called once. With `reuse`, which must not be used after an error, environments that can serve again are kept."""
        self._copies.close(reuse=reuse)

    def __enter__(self) -> MemberEnvironments:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(reuse=kind is None)


def _nothing() -> None:
    """What is called if nobody wants to know."""


def _finite(actions: Array) -> Array:
    """The actions, with zeros for those of a member that diverged: these are not the fault of its environment."""
    if actions.dtype.kind != "f" or np.isfinite(actions).all():
        return actions
    return np.nan_to_num(actions, nan=0.0, posinf=0.0, neginf=0.0)
