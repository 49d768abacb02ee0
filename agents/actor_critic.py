"""What actor-critic agents share: a population's weights, optimiser, statistics and hyperparameters, and how they change."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np
import torch
from torch import Tensor

from rl_pbt.agents.aliases import Array, Bools, Space
from rl_pbt.agents.cores import CORES, make_core
from rl_pbt.agents.heads import make_head
from rl_pbt.agents.hypers import HYPERS, HyperSpec
from rl_pbt.agents.networks import Weights, dense
from rl_pbt.agents.normaliser import Normaliser, ReturnScale
from rl_pbt.agents.optimiser import make_optimiser
from rl_pbt.agents.policy import Network, Policy
from rl_pbt.agents.rollout import Rollout
from rl_pbt.agents.settings import ActorCriticConfig
from rl_pbt.agents.slots import finite, load_slots, stacked, state_of
from rl_pbt.agents.torsos import make_torso

State: TypeAlias = dict[str, Array]


# The factor on the learning rate, as a function of the share of the budget that is left, which falls from 1 to 0.
ANNEALED: Mapping[str, Callable[[float], float]] = {"none": lambda left: 1.0, "linear": lambda left: left}
REWARDS = {
    "true": lambda rewards: rewards,
    "clip": lambda rewards: rewards.clamp(-1.0, 1.0),  # Mnih 2015
    "symlog": lambda rewards: rewards.sign() * rewards.abs().log1p(),  # Hafner 2023, "Mastering Diverse Domains", eq. 9
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Transitions:
    """What targets are computed from, all without gradient; log probabilities are of the actions taken."""

    log_probs: Tensor  # [T, P, B], under the policy that learns
    behaviour_log_probs: Tensor  # [T, P, B], under the policy that acted
    rewards: Tensor  # [T, P, B], as the learner sees them
    discounts: Tensor  # [T, P, B], 0 where the episode terminates
    values: Tensor  # [T+1, P, B]
    valid: Tensor  # [T, P, B] bool
    trace_lambda: Tensor  # [P, 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """Regression targets of the values, and the weights of the policy gradient, both [T, P, B]."""

    values: Tensor
    advantages: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Input of one pass through the network: L steps of N streams of each member, time-major.

    It may hold one extra step, of which only the values are needed: then K is L+1, otherwise L.
    """

    observations: Tensor  # [P, K N, *observation], normalised
    actions: Tensor  # [P, L N] or [P, L N, D]
    core_state: Tensor  # [P, N, S], before the first step
    fresh: Tensor  # [K, P, N] bool: an episode begins with this step


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimates:
    """Output of the network for a batch."""

    values: Tensor  # [P, K N]
    log_probs: Tensor  # [P, L N], of the actions
    entropies: Tensor  # [P, L N]


class ActorCritic(ABC):
    """P members; `seeds[p]` alone decides member p's initial weights, so it starts the same in any population.

    A subclass defines `_update` and, if its hyperparameters differ, HYPERS. Raises UnsupportedSpace, one line, for spaces that it
    cannot handle.
    """

    HYPERS: ClassVar[Mapping[str, HyperSpec]] = HYPERS

    def __init__(
        self,
        config: ActorCriticConfig,
        observation_space: Space,
        action_space: Space,
        *,
        seeds: Sequence[int],
        device: str = "cpu",
    ) -> None:
        self._config = config
        self._device = device
        self._network = make_network(config, observation_space, action_space)
        first = stacked(self._network.initialise, seeds)
        self._weights: Weights = {name: weight.to(device).requires_grad_() for name, weight in first.items()}
        self._optimiser = make_optimiser(config.optimiser, self._weights, decay=config.rmsprop_decay)
        shape = tuple(observation_space.shape or ())
        self._normaliser = Normaliser(len(seeds), shape, device) if config.normalise_observations else None
        self._return_scale = ReturnScale(len(seeds), device) if config.normalise_returns else None
        self._updates = torch.zeros(len(seeds), dtype=torch.int64, device=device)
        self._hypers = {name: torch.zeros(len(seeds), device=device) for name in self.HYPERS}
        self._rates = self._hypers["learning_rate"]  # after annealing
        self._finite = torch.ones(len(seeds), dtype=torch.bool, device=device)

    def policy(self) -> Policy:
        """A policy that acts with a copy of the current weights and statistics; later updates do not change it."""
        return Policy.of(self._network, self._weights, self._normaliser, self._device)

    def set_hypers(self, hypers: Mapping[str, Sequence[float]]) -> None:
        """One value per member, used from the next update on. Raises ValueError for wrong names or a wrong number of values."""
        if set(hypers) != set(self.HYPERS):
            raise ValueError(f"{type(self).__name__} needs {sorted(self.HYPERS)}, got {sorted(hypers)}")
        members = len(self._finite)
        for name, values in hypers.items():
            if len(values) != members:
                raise ValueError(f"there are {members} members, but {name} has {len(values)} values")
        self._hypers = {
            name: torch.tensor(list(values), dtype=torch.float32, device=self._device) for name, values in hypers.items()
        }

    def _slots(self) -> dict[str, Tensor]:
        """Everything that an exploit copies. Recurrent states are left out: a copy begins new episodes."""
        slots = {f"weights.{name}": weight.detach() for name, weight in self._weights.items()}
        slots |= self._optimiser.slots()
        slots["updates"] = self._updates
        for name, statistics in (("normaliser", self._normaliser), ("return_scale", self._return_scale)):
            if statistics is not None:
                slots |= {f"{name}.{slot}": tensor for slot, tensor in statistics.slots().items()}
        return slots

    def state(self, member: int) -> State:
        """A copy of one member's weights, moments, statistics and counters."""
        return state_of(self._slots(), member)

    def load_state(self, member: int, state: Mapping[str, Array]) -> None:
        """Overwrite one member. Raises CheckpointMismatch, before anything is changed, where names, shapes or types differ."""
        load_slots(self._slots(), member, state)
        self._finite[member] = True

    def unfinished(self, member: int, envs: int) -> State:
        """What an interval needs to continue a member's unfinished episodes in `envs` environments; not part of its state."""
        return {} if self._return_scale is None else {"sums": self._return_scale.sums(envs)[member].cpu().numpy().copy()}

    def resume(self, member: int, envs: int, state: Mapping[str, Array]) -> None:
        """Continue the episodes of `unfinished`. Raises ValueError where names or shapes cannot be from there."""
        own = self.unfinished(member, envs)
        if {name: array.shape for name, array in state.items()} != {name: array.shape for name, array in own.items()}:
            raise ValueError(f"it has {sorted(state)} of other shapes, or not {sorted(own)}")
        if self._return_scale is not None:
            self._return_scale.sums(envs)[member] = torch.from_numpy(np.array(state["sums"])).to(self._device)

    def learn(
        self, rollout: Rollout, generators: Sequence[torch.Generator] = (), left: Sequence[float] | None = None
    ) -> dict[str, Tensor]:
        """Update every member from a rollout, once or several times. Returns metrics, each [P].

        `generators`, one per member, draw the order of minibatches for agents that have them. `left` is the share of each
        member's budget that is left, used where learning rates are annealed.
        """
        rollout = rollout.to(self._device)
        self._rates = self._hypers["learning_rate"]
        if left is not None and self._config.anneal != "none":
            anneal = ANNEALED[self._config.anneal]
            self._rates = self._rates * torch.tensor([anneal(part) for part in left], device=self._device)
        # [T+1, P, B, ...] -> [P, (T+1) B, ...]: one pass through the network for all values and policies.
        observations = rollout.observations.transpose(0, 1).flatten(1, 2)
        if self._normaliser is not None:
            observations = self._normaliser(observations)
        batch = Batch(
            observations=observations,
            actions=rollout.actions.transpose(0, 1).flatten(1, 2),
            core_state=rollout.core_state,
            fresh=torch.cat([torch.zeros_like(rollout.valid[:1]), ~rollout.valid]),
        )
        metrics = self._update(rollout, batch, generators)
        if self._normaliser is not None:  # last, since this rollout's actions were chosen with the earlier statistics
            self._normaliser.update(rollout.observations[:-1], rollout.valid)
        return metrics

    @abstractmethod
    def _update(self, rollout: Rollout, batch: Batch, generators: Sequence[torch.Generator]) -> dict[str, Tensor]:
        """How this agent learns from a rollout; `batch` has its steps as the network takes them. Returns metrics, each [P]."""

    def _estimates(self, batch: Batch) -> Estimates:
        """One pass through the network, with gradient; a feedforward one takes the extra step, for targets only, without it."""
        steps = batch.actions.shape[1]
        alone = self._network.core.width == 0  # steps do not depend on one another
        seen = batch.observations[:, :steps] if alone else batch.observations
        policy_features, value_features, _ = self._network.features(self._weights, seen, batch.core_state, batch.fresh)
        outputs = dense(self._weights, "policy", policy_features[:, :steps])
        log_probs, entropies = self._network.head.log_prob_and_entropy(self._weights, outputs, batch.actions)
        values = dense(self._weights, "value", value_features).squeeze(-1)
        if alone and steps < batch.observations.shape[1]:
            with torch.no_grad():
                more = batch.observations[:, steps:]
                _, value_features, _ = self._network.features(self._weights, more, batch.core_state, batch.fresh)
                last = dense(self._weights, "value", value_features).squeeze(-1)
            values = torch.cat([values, last], 1)
        return Estimates(values=values, log_probs=log_probs, entropies=entropies)

    def _loss(self, policy_loss: Tensor, value_loss: Tensor, entropy: Tensor) -> Tensor:
        """The total loss of each member, [P]."""
        return policy_loss + self._hypers["value_cost"] * value_loss - self._hypers["entropy_cost"] * entropy

    def _step(self, loss: Tensor, active: Tensor | None = None) -> Tensor:
        """One update of every member, or of the `active` ones [P] bool, from losses [P]. Returns the gradient norms, [P]."""
        loss.sum().backward()  # type: ignore[no-untyped-call]  # members share no weight, so the gradient of the sum is each member's own
        resting = None if active is None or bool(active.all()) else ~active
        before = {} if resting is None else {name: slot[resting].clone() for name, slot in self._slots().items()}
        others = {name: self._hypers[name] for name in ("max_grad_norm", "epsilon")}
        grad_norm = self._optimiser.step(learning_rate=self._rates, **others)
        self._updates += 1
        healthy = torch.isfinite(loss.detach()) & torch.isfinite(grad_norm)
        self._finite &= healthy if resting is None else healthy | resting
        if resting is not None:
            for name, slot in self._slots().items():
                slot[resting] = before[name]
        return grad_norm

    def _transitions(self, rollout: Rollout, values: Tensor, log_probs: Tensor) -> Transitions:
        """A rollout's transitions, from values [T+1, P, B] and log probabilities [T, P, B] under the policy that learns."""
        rewards = REWARDS[self._config.rewards](rollout.rewards)
        if self._return_scale is not None:
            self._return_scale.update(rewards, rollout.valid)
            rewards = self._return_scale(rewards)
        return Transitions(
            log_probs=log_probs,
            behaviour_log_probs=rollout.behaviour_log_probs,
            rewards=rewards,
            discounts=self._hypers["discount"][None, :, None] * ~rollout.terminated,
            values=values,
            valid=rollout.valid,
            trace_lambda=self._hypers["trace_lambda"][:, None],
        )

    @property
    def updates(self) -> Array:
        """Optimiser steps of each member since its first, [P] int64; they are part of its state, so a copy takes them over."""
        return self._updates.cpu().numpy().copy()

    def healthy(self) -> Bools:
        """Whether a member's weights, and all losses and gradient norms since it was loaded, are finite; [P] bool."""
        return (self._finite & finite(self._weights)).cpu().numpy()


def make_network(config: ActorCriticConfig, observation_space: Space, action_space: Space) -> Network:
    """The network of a configuration, for these spaces. Raises UnsupportedSpace."""
    shared = CORES[config.core].recurrent
    torso = make_torso(
        config.torso,
        observation_space,
        hidden=config.hidden,
        shared=shared,
        autocast=config.autocast,
        normalised=config.normalise_observations,
    )
    return Network(torso=torso, core=make_core(config.core, torso.features, config.core_size), head=make_head(action_space))


def flat(array: Tensor) -> Tensor:
    """[T, P, B] -> [P, T B]."""
    return array.transpose(0, 1).flatten(1)


def time_major(array: Tensor, envs: int) -> Tensor:
    """[P, T B] -> [T, P, B]."""
    return array.view(len(array), -1, envs).transpose(0, 1)


def weights_of(valid: Tensor) -> Tensor:
    """Weights of a mean over each member's valid steps: [P, N] bool -> [P, N], which sum to 1, or 0 without valid steps."""
    weights = valid.to(torch.float32)
    return weights / weights.sum(1, keepdim=True).clamp(min=1.0)


def explained_variance(returns: Tensor, values: Tensor, valid: Tensor) -> Tensor:
    """1 - Var(return - value) / Var(return) over each member's valid steps; [T, P, B] -> [P]."""
    weights = valid.to(torch.float32)
    count = weights.sum((0, 2)).clamp(min=1.0)

    def variance(array: Tensor) -> Tensor:
        mean = (array * weights).sum((0, 2)) / count
        return ((array - mean[None, :, None]).square() * weights).sum((0, 2)) / count

    return 1.0 - variance(returns - values) / variance(returns).clamp(min=1e-8)
