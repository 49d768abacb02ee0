"""Proximal policy optimisation (Schulman 2017, "Proximal Policy Optimization Algorithms"), for a whole population at once.

Several passes over a rollout, in minibatches whose order is drawn from each member's own generator. What the paper leaves open is
as in Stable-Baselines3, whose published hyperparameters carry over: advantages are normalised in each minibatch, the value
loss is not clipped by default, the optimiser is Adam, and one gradient clip covers policy and values together.

Deviations: minibatches are drawn from all steps, including those in which an environment only resets itself. These have weight
zero, so some minibatches hold fewer transitions than `batch_size`. With an LSTM a minibatch is whole unrolls of some of the
environments.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import ClassVar, final

import torch
from torch import Tensor

from rl_pbt.agents.actor_critic import ActorCritic, Batch, explained_variance, flat, time_major, weights_of
from rl_pbt.agents.hypers import PPO_HYPERS, HyperSpec
from rl_pbt.agents.returns import lambda_returns
from rl_pbt.agents.rollout import Rollout
from rl_pbt.agents.settings import PPOConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class _Samples:
    """Steps of every member to learn from, each [P, N, ...], time-major."""

    observations: Tensor
    actions: Tensor
    fresh: Tensor  # whether an episode begins with this step
    log_probs: Tensor  # under the policy that acted
    values: Tensor  # estimates from before the first update with this rollout
    returns: Tensor
    valid: Tensor

    def at(self, index: Tensor) -> _Samples:
        """The samples at the indices [P, M], which differ between members."""
        members = torch.arange(len(index), device=index.device)[:, None]
        return _Samples(**{field.name: getattr(self, field.name)[members, index] for field in fields(self)})

    def in_turn(self, starts: Tensor, streams: Tensor) -> Batch:
        """These samples as the consecutive steps of `streams` [P, M]; `starts` [P, N, S] are the core states of all streams."""
        members, size = streams.shape
        return Batch(
            observations=self.observations,
            actions=self.actions,
            core_state=starts[torch.arange(members, device=streams.device)[:, None], streams],
            fresh=self.fresh.view(members, -1, size).transpose(0, 1),
        )


@final
class PPO(ActorCritic):
    """Clipped surrogate objective and generalised advantages."""

    HYPERS: ClassVar[Mapping[str, HyperSpec]] = PPO_HYPERS
    _config: PPOConfig

    def _update(self, rollout: Rollout, batch: Batch, generators: Sequence[torch.Generator]) -> dict[str, Tensor]:
        length, members, envs = rollout.rewards.shape
        if len(generators) != members:
            raise ValueError(f"PPO needs a generator a member for the order of its minibatches: {len(generators)} for {members}")
        with torch.no_grad():
            values = time_major(self._estimates(batch).values, envs)
            seen = self._transitions(rollout, values, rollout.behaviour_log_probs)
            returns = lambda_returns(seen.rewards, seen.discounts, values, seen.valid, seen.trace_lambda)
        samples = _Samples(
            observations=batch.observations[:, : length * envs],
            actions=batch.actions,
            fresh=flat(batch.fresh[:-1]),
            log_probs=flat(rollout.behaviour_log_probs),
            values=flat(values[:-1]),
            returns=flat(returns),
            valid=flat(rollout.valid),
        )
        means = self._epochs(samples, self._streams(rollout), generators)
        return {**means, "explained_variance": explained_variance(returns, values[:-1], rollout.valid)}

    def _streams(self, rollout: Rollout) -> Tensor:
        """Core states [P, N, S] at the start of the units that minibatches consist of: whole unrolls of an environment where the
        core has a state, otherwise single steps."""
        length, members, envs = rollout.rewards.shape
        if self._network.core.width > 0:
            return rollout.core_state
        return rollout.core_state.new_zeros(members, length * envs, 0)

    def _epochs(self, samples: _Samples, starts: Tensor, generators: Sequence[torch.Generator]) -> dict[str, Tensor]:
        """Learn from all samples several times. Returns each metric's mean over the minibatches that were learned from, [P]."""
        members = len(starts)
        active = torch.ones(members, dtype=torch.bool, device=self._device)
        counts = torch.zeros(members, device=self._device)
        sums: dict[str, Tensor] = {}
        for index, streams, within in self._minibatches(samples.valid.shape[1], starts.shape[1], generators):
            minibatch = samples.at(index)
            # An update with zero gradients would still move the weights, through the optimiser's moments.
            learning = active & within & minibatch.valid.any(1)
            metrics, beyond = self._learn_from(minibatch, minibatch.in_turn(starts, streams), learning)
            active, learning = active & ~beyond, learning & ~beyond
            counts += learning
            for name, metric in metrics.items():
                sums[name] = sums.get(name, torch.zeros_like(counts)) + torch.where(learning, metric, 0.0)
            if not active.any():
                break
        return {name: total / counts.clamp(min=1.0) for name, total in sums.items()}

    def _minibatches(
        self, steps: int, streams: int, generators: Sequence[torch.Generator]
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """For each minibatch: indices of its steps [P, L M], its streams [P, M] in each member's own order, and which members are
        still within their epochs, [P] bool.

        All orders are drawn at once: what a member draws must not depend on how many epochs others have, or when they stop.
        """
        length = steps // streams
        size = max(1, self._config.batch_size // length)
        epochs = self._hypers["num_epochs"].round().to(torch.int64)
        orders = [_orders(streams, int(own), generator) for own, generator in zip(epochs, generators, strict=True)]
        starts = torch.arange(length, device=self._device)[:, None] * streams
        for epoch in range(int(epochs.max())):
            order = torch.stack([own[min(epoch, len(own) - 1)] for own in orders]).to(self._device)
            for chosen in torch.split(order, size, 1):
                yield (starts + chosen[:, None]).flatten(1), chosen, epoch < epochs

    def _learn_from(self, samples: _Samples, batch: Batch, learning: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """One update of the members that are `learning` [P] bool, except those beyond the divergence limit.

        Returns the metrics and which members are beyond it, all [P].
        """
        estimates = self._estimates(batch)
        weights = weights_of(samples.valid)
        advantages = samples.returns - samples.values
        if self._config.normalise_advantages:
            advantages = _normalised(advantages, samples.valid)
        clip_range = self._hypers["clip_range"][:, None]
        # No action was taken in a step that is not valid, so its ratio means nothing and could overflow.
        log_ratios = torch.where(samples.valid, estimates.log_probs - samples.log_probs, 0.0)
        ratios = log_ratios.exp()
        clipped = ratios.clamp(1.0 - clip_range, 1.0 + clip_range)
        policy_loss = -(weights * torch.minimum(advantages * ratios, advantages * clipped)).sum(1)
        errors = (samples.returns - estimates.values).square()
        if self._config.clip_values:
            near = samples.values + (estimates.values - samples.values).clamp(-clip_range, clip_range)
            errors = torch.maximum(errors, (samples.returns - near).square())
        value_loss = (weights * errors).sum(1)
        entropy = (weights * estimates.entropies).sum(1)

        with torch.no_grad():
            divergence = (weights * (ratios - 1.0 - log_ratios)).sum(1)  # Schulman 2020, "Approximating KL Divergence", k3
            clip_fraction = (weights * ((ratios - 1.0).abs() > clip_range)).sum(1)
        limit = 1.5 * self._config.target_kl if self._config.target_kl > 0 else float("inf")
        beyond = learning & (divergence > limit)
        grad_norm = self._step(self._loss(policy_loss, value_loss, entropy), learning & ~beyond)
        return {
            "policy_loss": policy_loss.detach(),
            "value_loss": value_loss.detach(),
            "entropy": entropy.detach(),
            "grad_norm": grad_norm,
            "approx_kl": divergence,
            "clip_fraction": clip_fraction,
        }, beyond


def _orders(streams: int, epochs: int, generator: torch.Generator) -> list[Tensor]:
    """The random order of one member's streams in each of its epochs."""
    return [torch.randperm(streams, generator=generator) for _ in range(epochs)]


def _normalised(advantages: Tensor, valid: Tensor) -> Tensor:
    """[P, N] with mean 0 and standard deviation 1 over each member's valid steps, 0 elsewhere; unchanged if fewer than two."""
    count = valid.sum(1, keepdim=True)
    mean = (advantages * valid).sum(1, keepdim=True) / count.clamp(min=1)
    deviations = (advantages - mean) * valid
    deviation = (deviations.square().sum(1, keepdim=True) / (count - 1).clamp(min=1)).sqrt()
    return torch.where(count > 1, deviations / (deviation + 1e-8), advantages)
