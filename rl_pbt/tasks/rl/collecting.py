"""A policy acts in environments: rollouts to learn from, and whole episodes to be evaluated on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias, final

import numpy as np
import torch

from rl_pbt.agents.policy import Policy
from rl_pbt.agents.rollout import Rollout
from rl_pbt.arrays import Array
from rl_pbt.tasks.on_environments.episodes import Episodes
from rl_pbt.tasks.rl.environments import MemberEnvironments

NOISE_CHUNK = 32  # steps for which action noise is drawn at a time while playing
# Observations [P, B, ...], and which copies play [P, B] -> actions for the environments [P, B, ...]; those of other copies are
# ignored.
Choose: TypeAlias = Callable[[Array, Array], Array]


@final
class Collector:
    """Rollouts of the same environments, one after the other; recurrent states are carried from one to the next."""

    def __init__(self, actors: MemberEnvironments, generators: Sequence[torch.Generator], policy: Policy) -> None:
        self._actors = actors
        self._generators = generators
        self._state = policy.initial_state(*actors.valid.shape)

    @property
    def state(self) -> torch.Tensor:
        """The recurrent states of the policies, [P, B, S], which may be read and written between two rollouts."""
        return self._state

    def __call__(self, policy: Policy, length: int) -> Rollout:
        """`length` steps of every member's environments, [T, P, B, ...], chosen by `policy`."""
        actors = self._actors
        noise = policy.sample_noise(self._generators, length, actors.valid.shape[1])
        core_state = self._state
        observations, chosen, outputs, rewards, terminated, valid = [actors.observations], [], [], [], [], []
        for t in range(length):
            actions, output, state = policy.act(torch.from_numpy(observations[-1]), self._state, noise[t])
            valid.append(actors.valid)
            # The step after an end shows the first observation of a new episode, which must not remember the one before.
            self._state = state.masked_fill(~torch.from_numpy(actors.valid).to(state.device)[..., None], 0.0)
            reward, end, _ = actors.step(policy.environment_actions(actions))
            observations.append(actors.observations)
            chosen.append(actions)
            outputs.append(output)
            rewards.append(reward)
            terminated.append(end)
        actions = torch.stack(chosen)
        return Rollout(
            observations=torch.from_numpy(np.stack(observations)),
            actions=actions,
            behaviour_log_probs=policy.log_probs(torch.stack(outputs), actions),
            rewards=torch.from_numpy(np.stack(rewards)),
            terminated=torch.from_numpy(np.stack(terminated)),
            valid=torch.from_numpy(np.stack(valid)),
            core_state=core_state,
        )


@final
class Sampler:
    """Chooses actions as the policy explores, or its likeliest ones if `greedy`, for episodes that begin with the first call.

    It computes actions for the copies that still play and few others: the last of many episodes may take as long as all others.
    """

    def __init__(self, policy: Policy, generators: Sequence[torch.Generator], num_envs: int, *, greedy: bool = False) -> None:
        self._policy = policy
        self._generators = generators
        self._num_envs = num_envs
        self._greedy = greedy
        self._noise: list[torch.Tensor] = []
        self._state = policy.initial_state(len(generators), num_envs)
        self._members = tuple(range(len(generators)))  # whose weights `_narrow` has
        self._narrow = policy
        self._actions: Array | None = None  # the last action of every copy

    def __call__(self, observations: Array, playing: Array) -> Array:
        if not self._noise:
            self._noise.extend(self._policy.sample_noise(self._generators, NOISE_CHUNK, self._num_envs).flip(0))
        noise = self._noise.pop()
        if playing.all():  # none to leave out
            chosen, self._state = self._acted(self._policy, observations, self._state, noise)
            self._actions = chosen
            return chosen.copy()
        members = np.flatnonzero(playing.any(1))
        # Each member's playing copies come first, and then as many others as the member with most of them needs.
        copies = np.argsort(~playing[members], axis=1, kind="stable")[:, : playing.sum(1).max()]
        at = members[:, None], copies
        chosen, self._state[at] = self._acted(self._of(members), observations[at], self._state[at], noise[at])
        if self._actions is None:
            self._actions = np.zeros((*playing.shape, *chosen.shape[2:]), chosen.dtype)
        self._actions[at] = chosen
        return self._actions.copy()

    def _acted(self, policy: Policy, observations: Array, state: torch.Tensor, noise: torch.Tensor) -> tuple[Array, torch.Tensor]:
        """Actions as the environments take them, and the new recurrent states."""
        actions, outputs, state = policy.act(torch.from_numpy(observations), state, noise)
        return policy.environment_actions(policy.likeliest(outputs) if self._greedy else actions), state

    def _of(self, members: Array) -> Policy:
        if tuple(members) != self._members:
            self._members, self._narrow = tuple(members), self._policy.of_members(members)
        return self._narrow


def first_episodes(actors: MemberEnvironments, choose: Choose, longest: int | None = None) -> list[Episodes]:
    """The first whole episode of every environment that is not lost, cut after `longest` steps; one entry per member.

    Taking whichever episodes end first would favour short ones. An environment rests once its episode has ended, unless it must
    step together with others whose episodes have not. Such steps are ignored, but they are emulated, so they are charged.
    """
    returns = np.zeros(actors.valid.shape)
    lengths = np.zeros(actors.valid.shape, np.int64)
    cut = np.zeros(actors.valid.shape, bool)
    open_ = ~actors.lost  # [P, B]: still in its first episode
    while open_.any():
        rewards, terminated, ended = actors.step(choose(actors.observations, open_), open_)
        returns += np.where(open_, rewards, 0.0)
        lengths += open_
        at_limit = np.zeros_like(open_) if longest is None else lengths >= longest
        cut |= open_ & ((ended & ~terminated) | (at_limit & ~ended))
        open_ &= ~(ended | actors.lost | at_limit)
    return [
        Episodes(
            returns=tuple(returns[member][~lost].tolist()),
            lengths=tuple(lengths[member][~lost].tolist()),
            truncated=int(cut[member][~lost].sum()),
            excluded=int(lost.sum()) if member in actors.failed else 0,
            failure=actors.failed.get(member),
            lost_steps=int(lengths[member][lost].sum()),
        )
        for member, lost in enumerate(actors.lost)
    ]
