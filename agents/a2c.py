"""Advantage actor-critic, synchronous (Mnih 2016), for a whole population at once.

The loss of a member is a *mean* over its valid transitions, as in Stable-Baselines3, whose published hypers carry over;
Mnih 2016 and Espeholt 2018 sum over batch and time. RMSProp cancels that scale but for its epsilon and the gradient clip.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, final

import gymnasium
import numpy as np
import torch
from torch import Tensor

from agents.heads import make_head, stack_noise
from agents.networks import POLICY_GAIN, VALUE_GAIN, Weights, dense, dense_weights, make_torso
from agents.normaliser import Normaliser
from agents.optimiser import RMSProp
from agents.returns import n_step_returns
from agents.rollout import Rollout

State: TypeAlias = dict[str, "np.ndarray[Any, Any]"]
HYPERS = ("learning_rate", "entropy_cost", "discount")


class CheckpointMismatch(ValueError):
    """A checkpoint that is not of this agent; one line that names the first difference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class A2CConfig:
    """What is fixed while training. Defaults are Stable-Baselines3's, but for the number of environments.

    Raises ValueError, one line, for a value out of its range.
    """

    unroll_length: int = 5
    envs_per_member: int = 16
    torso: str = "auto"
    hidden: Sequence[int] = (64, 64)
    rmsprop_decay: float = 0.99
    rmsprop_epsilon: float = 1e-5
    value_cost: float = 0.5
    max_grad_norm: float = 0.5
    reward_clip: float | None = None
    normalise_observations: bool = False
    autocast: bool = False

    def __post_init__(self) -> None:
        for name, value in (("unroll_length", self.unroll_length), ("envs_per_member", self.envs_per_member)):
            if value < 1:
                raise ValueError(f"{name} must be 1 or more, but is {value}")
        if not self.hidden or min(self.hidden) < 1:
            raise ValueError(f"hidden must be layers of 1 or more units, but is {self.hidden}")
        if not 0 <= self.rmsprop_decay < 1:
            raise ValueError(f"rmsprop_decay must be from 0 to below 1, but is {self.rmsprop_decay}")
        for name, limit in (("rmsprop_epsilon", self.rmsprop_epsilon), ("max_grad_norm", self.max_grad_norm)):
            if not limit > 0:
                raise ValueError(f"{name} must be above 0, but is {limit}")
        if not 0 <= self.value_cost < math.inf:
            raise ValueError(f"value_cost must be 0 or more, but is {self.value_cost}")
        if self.reward_clip is not None and not self.reward_clip > 0:
            raise ValueError(f"reward_clip must be above 0 or none, but is {self.reward_clip:g}")


@final
class A2C:
    """P members; `seeds[p]` alone decides member p's first weights, so it starts the same in any population.

    Raises UnsupportedSpace, one line, for spaces it cannot handle.
    """

    def __init__(
        self,
        config: A2CConfig,
        observation_space: gymnasium.Space[Any],
        action_space: gymnasium.Space[Any],
        *,
        seeds: Sequence[int],
        device: str = "cpu",
    ) -> None:
        self._config = config
        self._device = device
        self._torso = make_torso(config.torso, observation_space, config.hidden, config.autocast)
        self._head = make_head(action_space)
        members = [self._initial_weights(seed) for seed in seeds]
        self._weights: Weights = {
            name: torch.stack([member[name] for member in members]).to(device).requires_grad_() for name in members[0]
        }
        self._optimiser = RMSProp(self._weights, decay=config.rmsprop_decay, epsilon=config.rmsprop_epsilon)
        self._normaliser = (
            Normaliser(len(seeds), tuple(observation_space.shape or ()), device) if config.normalise_observations else None
        )
        self._updates = torch.zeros(len(seeds), dtype=torch.int64, device=device)
        self._hypers = {name: torch.zeros(len(seeds), device=device) for name in HYPERS}
        self._finite = torch.ones(len(seeds), dtype=torch.bool, device=device)

    def _initial_weights(self, seed: int) -> Weights:
        generator = torch.Generator().manual_seed(seed)
        features = self._torso.features
        return (
            self._torso.initialise(generator)
            | dense_weights("policy", features, self._head.size, POLICY_GAIN, generator)
            | dense_weights("value", features, 1, VALUE_GAIN, generator)
            | self._head.initialise()
        )

    def set_hypers(self, hypers: Mapping[str, Sequence[float]]) -> None:
        """One value a member, live from the next update on. Raises ValueError for missing or unknown names, or other counts."""
        if set(hypers) != set(HYPERS):
            raise ValueError(f"A2C needs {sorted(HYPERS)}, got {sorted(hypers)}")
        members = len(self._finite)
        for name, values in hypers.items():
            if len(values) != members:
                raise ValueError(f"A2C has {members} members, but {name} has {len(values)} values")
        self._hypers = {
            name: torch.tensor(list(values), dtype=torch.float32, device=self._device) for name, values in hypers.items()
        }

    def _slots(self) -> dict[str, Tensor]:
        """Everything that an exploit copies, each [P, ...]."""
        slots = {f"weights.{name}": weight.detach() for name, weight in self._weights.items()}
        slots |= {f"rmsprop.{name}": average for name, average in self._optimiser.square_averages.items()}
        slots["updates"] = self._updates
        if self._normaliser is not None:
            slots["normaliser.mean"] = self._normaliser.mean
            slots["normaliser.variance"] = self._normaliser.variance
            slots["normaliser.count"] = self._normaliser.count
        return slots

    def state(self, member: int) -> State:
        """A copy of one member's weights, moments, statistics and counters."""
        return {name: tensor[member].cpu().numpy().copy() for name, tensor in self._slots().items()}

    def load_state(self, member: int, state: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Raises CheckpointMismatch, before anything is changed, where names, shapes or types differ."""
        slots = self._slots()
        if different := sorted(set(slots) ^ set(state)):
            raise CheckpointMismatch(f"is of another agent or network: {different[0]!r} is in only one of the two")
        for name, tensor in slots.items():
            if tensor.shape[1:] != state[name].shape:
                raise CheckpointMismatch(f"is of another network: {name!r} is {state[name].shape}, not {tuple(tensor.shape[1:])}")
            if torch.from_numpy(state[name]).dtype != tensor.dtype:
                raise CheckpointMismatch(f"is of another version: {name!r} is {state[name].dtype}, not {tensor.dtype}")
        for name, tensor in slots.items():
            tensor[member] = torch.from_numpy(np.array(state[name])).to(self._device)
        self._finite[member] = True

    def sample_noise(self, generators: Sequence[torch.Generator], length: int, envs: int) -> Tensor:
        """All randomness of `length` steps of acting, [T, P, B, ...], each member's from its own generator."""
        return stack_noise(self._head, generators, length, envs).to(self._device)

    @torch.no_grad()
    def act(self, observations: Tensor, noise: Tensor) -> Tensor:
        """Actions [P, B, ...] for observations [P, B, *observation] and this step's noise."""
        policy_features, _ = self._torso(self._weights, self._prepared(observations.to(self._device)))
        return self._head.sample(self._weights, dense(self._weights, "policy", policy_features), noise)

    def environment_actions(self, actions: Tensor) -> np.ndarray[Any, Any]:
        """Actions as the environments want them: whole numbers, or floats clipped to the box."""
        return self._head.to_environment(actions)

    def observe(self, observations: Tensor, valid: Tensor) -> None:
        """Training observations [T, P, B, *observation] for the normaliser, if there is one."""
        if self._normaliser is not None:
            self._normaliser.update(observations.to(self._device), valid.to(self._device))

    def _prepared(self, observations: Tensor) -> Tensor:
        return observations if self._normaliser is None else self._normaliser(observations)

    def learn(self, rollout: Rollout) -> dict[str, Tensor]:
        """One update of every member. Metrics, each [P]."""
        length, members, envs = rollout.rewards.shape
        # [T+1, P, B, ...] -> [P, (T+1) B, ...]: one pass through the network for all values and policies.
        observations = rollout.observations.to(self._device).transpose(0, 1).flatten(1, 2)
        policy_features, value_features = self._torso(self._weights, self._prepared(observations))
        values = dense(self._weights, "value", value_features).view(members, length + 1, envs).transpose(0, 1)
        outputs = dense(self._weights, "policy", policy_features[:, : length * envs])
        actions = rollout.actions.to(self._device).transpose(0, 1).flatten(1, 2)
        log_probs, entropies = self._head.log_prob_and_entropy(self._weights, outputs, actions)

        valid = rollout.valid.to(self._device)
        returns = self._returns(rollout, values.detach(), valid)
        advantages = returns - values[:-1]  # [T, P, B]
        weights = valid.to(torch.float32).transpose(0, 1).flatten(1)
        weights = weights / weights.sum(1, keepdim=True).clamp(min=1.0)  # [P, T B], sums to 1
        flat = advantages.transpose(0, 1).flatten(1)
        policy_loss = -(weights * flat.detach() * log_probs).sum(1)
        value_loss = (weights * flat.square()).sum(1)
        entropy = (weights * entropies).sum(1)
        loss = policy_loss + self._config.value_cost * value_loss - self._hypers["entropy_cost"] * entropy
        loss.sum().backward()  # type: ignore[no-untyped-call]  # members share no weight, so the gradient of the sum is each member's own
        grad_norm = self._optimiser.step(self._hypers["learning_rate"], self._config.max_grad_norm)
        self._updates += 1
        self._finite &= torch.isfinite(loss.detach()) & torch.isfinite(grad_norm)
        return {
            "policy_loss": policy_loss.detach(),
            "value_loss": value_loss.detach(),
            "entropy": entropy.detach(),
            "explained_variance": _explained_variance(returns, values.detach()[:-1], valid),
            "grad_norm": grad_norm,
        }

    def _returns(self, rollout: Rollout, values: Tensor, valid: Tensor) -> Tensor:
        rewards = rollout.rewards.to(self._device)
        if self._config.reward_clip is not None:
            rewards = rewards.clamp(-self._config.reward_clip, self._config.reward_clip)
        discounts = self._hypers["discount"][None, :, None] * ~rollout.terminated.to(self._device)
        return n_step_returns(rewards, discounts, values, valid)

    def healthy(self) -> np.ndarray[Any, Any]:
        """Which members have only finite weights and have had only finite losses since they were loaded, [P] of bool."""
        finite = self._finite.clone()
        for weight in self._weights.values():
            finite &= torch.isfinite(weight.detach()).flatten(1).all(1)
        return finite.cpu().numpy()


def _explained_variance(returns: Tensor, values: Tensor, valid: Tensor) -> Tensor:
    """1 - Var(return - value) / Var(return) over each member's valid steps; [T, P, B] -> [P]."""
    weights = valid.to(torch.float32)
    count = weights.sum((0, 2)).clamp(min=1.0)

    def variance(array: Tensor) -> Tensor:
        mean = (array * weights).sum((0, 2)) / count
        return ((array - mean[None, :, None]).square() * weights).sum((0, 2)) / count

    return 1.0 - variance(returns - values) / variance(returns).clamp(min=1e-8)
