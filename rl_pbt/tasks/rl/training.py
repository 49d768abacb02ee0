"""Act and learn: what a group of members does in an interval before it is evaluated."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias, final

import numpy as np
import torch

from rl_pbt.agents.actor_critic import ActorCritic
from rl_pbt.agents.rollout import Rollout
from rl_pbt.agents.settings import ActorCriticConfig
from rl_pbt.arrays import Array
from rl_pbt.envs import check_like
from rl_pbt.tasks.base import Advance
from rl_pbt.tasks.rl.collecting import Collector
from rl_pbt.tasks.rl.environments import MemberEnvironments
from rl_pbt.tasks.rl.side_by_side import learner

ENVIRONMENTS, AGENT, MEMORY = "environments.", "agent.", "memory"  # prefixes: whose part of the unfinished episodes it is
Metrics: TypeAlias = Mapping[str, torch.Tensor]  # of one rollout, each [P]


class WrongEpisodes(ValueError):
    """Unfinished episodes that cannot be of these environments and this agent."""


@final
@dataclass(frozen=True, kw_only=True)
class Training:
    """An agent in its training environments. Each member has its own generators, for `actions` and for `orders` of minibatches.

    With `beside`, acting and learning run at the same time if the agent's lag allows it and observations are images. Members
    whose episodes are `unfinished` continue them. `ages` are the frames that each member has trained before, out of `budget`.
    """

    agent: ActorCritic
    config: ActorCriticConfig
    environments: MemberEnvironments
    actions: Sequence[torch.Generator]
    orders: Sequence[torch.Generator]
    unfinished: Mapping[int, Mapping[str, Array]]
    ages: Sequence[int]
    budget: int
    beside: bool
    threads: int
    advance: Advance

    def run(self, frames: int) -> Mapping[str, Array]:
        """Train each member for so many frames, or until all are lost. Returns the means of the metrics, each [P].

        Raises WrongEpisodes for unfinished episodes that do not fit.
        """
        for member, state in self.unfinished.items():
            try:
                self._resume(member, state)
            except (ValueError, KeyError) as error:
                raise WrongEpisodes(str(error)) from error
        rows = self._learnt(frames)
        return {name: torch.stack([row[name] for row in rows]).mean(0).cpu().numpy() for name in (rows[0] if rows else ())}

    def left(self, member: int) -> dict[str, Array]:
        """A member's unfinished episodes, for the next interval to continue."""
        parts = {
            ENVIRONMENTS: self.environments.unfinished(member),
            AGENT: self.agent.unfinished(member, self.config.envs_per_member),
            MEMORY: {"": self.collect.state[member].cpu().numpy().copy()},
        }
        return {prefix + name: array for prefix, part in parts.items() for name, array in part.items()}

    def _resume(self, member: int, state: Mapping[str, Array]) -> None:
        """Raises ValueError or KeyError for anything that `left` cannot have returned."""
        parts = [
            {name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)}
            for prefix in (ENVIRONMENTS, AGENT, MEMORY)
        ]
        check_like(parts[2], {"": self.collect.state[member].cpu().numpy()})
        self.environments.resume(member, parts[0])
        self.agent.resume(member, self.config.envs_per_member, parts[1])
        self.collect.state[member] = torch.from_numpy(np.array(parts[2][""])).to(self.collect.state.device)

    @cached_property
    def collect(self) -> Collector:
        """What acts in the environments."""
        return Collector(self.environments, self.actions, self.agent.policy())

    def _learnt(self, frames: int) -> list[Metrics]:
        agent, environments, collect = self.agent, self.environments, self.collect
        metrics: list[Metrics] = []
        waiting: deque[tuple[Rollout, list[float]]] = deque()  # not yet learned from, each with the budget that was left
        acted = 0
        lag = self.config.policy_lag
        # Small networks spend most of their time in Python, where threads take turns: with vectors as observations, two are
        # slower than one.
        images = environments.observations.ndim > 3
        with learner(self.beside and images and lag > 0, self.threads) as updates:
            for length in self._unrolls(frames):
                if environments.lost.all():
                    break
                # The policy that acts is `lag` updates older than the one that learns from its rollout; the two do not wait for
                # each other.
                policy = agent.policy()
                learning = updates.submit(self._learn, *waiting.popleft()) if lag and len(waiting) == lag else None
                waiting.append((collect(policy, length), self._left(acted)))
                acted += length * self._quantum
                self.advance(length * self._quantum * len(self.actions), None)
                if learning:
                    metrics.append(learning.result())
                if not lag:
                    metrics.append(self._learn(*waiting.popleft()))
        return metrics + [self._learn(*each) for each in waiting]

    def _learn(self, rollout: Rollout, left: Sequence[float]) -> Metrics:
        return self.agent.learn(rollout, self.orders, left)

    def _left(self, acted: int) -> list[float]:
        """The share of its budget that each member still has, after `acted` frames of this interval."""
        return [max(0.0, 1.0 - (age + acted) / self.budget) for age in self.ages]

    @property
    def _quantum(self) -> int:
        """Frames of one step of a member's environments."""
        return self.config.envs_per_member * self.environments.spec.frame_skip

    def _unrolls(self, frames: int) -> Iterator[int]:
        """Lengths in steps: whole unrolls, then the rest."""
        whole, rest = divmod(frames // self._quantum, self.config.unroll_length)
        yield from [self.config.unroll_length] * whole
        if rest:
            yield rest
