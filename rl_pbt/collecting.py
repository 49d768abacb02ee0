"""A policy meets environments: rollouts to learn from, and whole episodes to be judged on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias, final

import numpy as np
import torch

from agents import Policy, Rollout
from rl_pbt.actors import Actors, Array, Episodes

NOISE_CHUNK = 32  # action noise is drawn for so many steps at a time while playing
Choose: TypeAlias = Callable[[Array], Array]  # observations [P, B, ...] -> actions for the environments [P, B, ...]


@final
class Collector:
    """Rollouts of the same environments, one after the other; recurrent states are carried between them."""

    def __init__(self, actors: Actors, generators: Sequence[torch.Generator], policy: Policy) -> None:
        self._actors = actors
        self._generators = generators
        self._state = policy.initial_state(*actors.valid.shape)

    def __call__(self, policy: Policy, length: int) -> Rollout:
        """`length` steps of every member's environments, [T, P, B, ...], chosen by `policy`."""
        actors = self._actors
        noise = policy.sample_noise(self._generators, length, actors.valid.shape[1])
        core_state = self._state
        observations, chosen, outputs, rewards, terminated, valid = [actors.observations], [], [], [], [], []
        for t in range(length):
            actions, output, state = policy.act(torch.from_numpy(observations[-1]), self._state, noise[t])
            valid.append(actors.valid)
            # The step after an end shows the first observation of a new episode: what was remembered is not of it.
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


def sampled(policy: Policy, generators: Sequence[torch.Generator], num_envs: int) -> Choose:
    """The policy as it explores, for episodes that begin with the first call."""
    noise: list[torch.Tensor] = []
    state = policy.initial_state(len(generators), num_envs)

    def choose(observations: Array) -> Array:
        nonlocal state
        if not noise:
            noise.extend(policy.sample_noise(generators, NOISE_CHUNK, num_envs).flip(0))
        actions, _, state = policy.act(torch.from_numpy(observations), state, noise.pop())
        return policy.environment_actions(actions)

    return choose


def first_episodes(actors: Actors, choose: Choose, playing: Sequence[int]) -> tuple[list[Episodes], list[int]]:
    """The first whole episode of every environment of the members in `playing`, and the frames emulated for each member.

    Taking whichever episodes end first would favour short ones. An environment rests once its episode has ended, unless it
    must step on with others that have not; what it plays then is not looked at, but it is emulated, so it is charged.
    """
    first = [Episodes() for _ in actors.episodes]
    returns = np.zeros(actors.valid.shape)
    lengths = np.zeros(actors.valid.shape, np.int64)
    open_ = np.zeros(actors.valid.shape, bool)  # [P, E]: still in its first episode
    open_[list(playing)] = True
    while open_.any():
        rewards, terminated, ended = actors.step(choose(actors.observations), open_)
        returns += np.where(open_, rewards, 0.0)
        lengths += open_
        for member in playing:
            first[member].truncated += int((open_ & ended & ~terminated)[member].sum())
        open_ &= ~ended
    for member in playing:
        first[member].returns = [float(value) for value in returns[member]]
        first[member].lengths = [int(value) for value in lengths[member]]
    return first, actors.frames
