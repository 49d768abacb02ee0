"""Act and learn: what a group of members does in an interval before it is judged."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, final

import torch

from rl_pbt.agents import ActorCritic, ActorCriticConfig, Rollout
from rl_pbt.arrays import Array
from rl_pbt.tasks.base import Advance
from rl_pbt.tasks.rl.collecting import Collector
from rl_pbt.tasks.rl.environments import MemberEnvironments
from rl_pbt.tasks.rl.side_by_side import learner

Metrics: TypeAlias = Mapping[str, torch.Tensor]  # of one rollout, each [P]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """An agent in its training environments. Each member draws its actions, and the order of its minibatches, from generators of
    its own.

    With `beside`, acting and learning run at the same time where the agent's lag allows it and observations are images.
    """

    agent: ActorCritic
    config: ActorCriticConfig
    environments: MemberEnvironments
    actions: Sequence[torch.Generator]
    orders: Sequence[torch.Generator]
    beside: bool
    threads: int
    advance: Advance

    def run(self, frames: int) -> Mapping[str, Array]:
        """For so many frames of each member, or until all are lost. Means of the metrics, each [P]."""
        rows = self._learnt(frames)
        return {name: torch.stack([row[name] for row in rows]).mean(0).cpu().numpy() for name in (rows[0] if rows else ())}

    def _learnt(self, frames: int) -> list[Metrics]:
        agent, environments = self.agent, self.environments
        collect = Collector(environments, self.actions, agent.policy())
        metrics: list[Metrics] = []
        waiting: deque[Rollout] = deque()  # collected and not yet learned from
        lag = self.config.policy_lag
        # A small network is mostly Python, in which threads take turns: with vectors to observe, two are slower than one.
        images = environments.observations.ndim > 3
        with learner(self.beside and images and lag > 0, self.threads) as updates:
            for length in self._unrolls(frames):
                if environments.lost.all():
                    break
                # What acts is `lag` updates older than what will learn from it; the two do not wait for each other.
                policy = agent.policy()
                learning = updates.submit(agent.learn, waiting.popleft(), self.orders) if lag and len(waiting) == lag else None
                waiting.append(collect(policy, length))
                self.advance(length * self._quantum * len(self.actions), None)
                if learning:
                    metrics.append(learning.result())
                if not lag:
                    metrics.append(agent.learn(waiting.popleft(), self.orders))
        return metrics + [agent.learn(rollout, self.orders) for rollout in waiting]

    @property
    def _quantum(self) -> int:
        """Frames of one step of a member's environments."""
        return self.config.envs_per_member * self.environments.spec.frame_skip

    def _unrolls(self, frames: int) -> Iterator[int]:
        """Lengths in steps: whole unrolls, and what is left."""
        whole, rest = divmod(frames // self._quantum, self.config.unroll_length)
        yield from [self.config.unroll_length] * whole
        if rest:
            yield rest
