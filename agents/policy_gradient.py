"""One update from a whole rollout, as A2C and IMPALA make it. An agent of this kind is defined by its targets.

The loss of a member is a *mean* over its valid transitions, as in Stable-Baselines3, whose published hyperparameters carry over;
Mnih 2016 and Espeholt 2018 sum over batch and time. RMSProp cancels that scale except in its epsilon and the gradient clip.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from rl_pbt.agents.actor_critic import ActorCritic, Batch, Targets, Transitions, explained_variance, flat, time_major, weights_of
from rl_pbt.agents.rollout import Rollout


class PolicyGradient(ActorCritic):
    """One update of policy gradient and value regression per rollout."""

    @staticmethod
    @abstractmethod
    def targets(transitions: Transitions) -> Targets:
        """Value targets and advantages of a rollout, in which these agents differ."""

    def _update(self, rollout: Rollout, batch: Batch, generators: Sequence[torch.Generator]) -> dict[str, Tensor]:
        estimates = self._estimates(batch)
        envs = rollout.rewards.shape[2]
        values = time_major(estimates.values, envs)
        targets = self.targets(self._transitions(rollout, values.detach(), time_major(estimates.log_probs.detach(), envs)))
        weights = weights_of(flat(rollout.valid))
        policy_loss = -(weights * flat(targets.advantages) * estimates.log_probs).sum(1)
        value_loss = (weights * flat(targets.values - values[:-1]).square()).sum(1)
        entropy = (weights * estimates.entropies).sum(1)
        grad_norm = self._step(self._loss(policy_loss, value_loss, entropy))
        return {
            "policy_loss": policy_loss.detach(),
            "value_loss": value_loss.detach(),
            "entropy": entropy.detach(),
            "explained_variance": explained_variance(targets.values, values.detach()[:-1], rollout.valid),
            "grad_norm": grad_norm,
        }
