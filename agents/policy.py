"""An agent's network, and the policy that acts with one set of its weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from rl_pbt.agents.aliases import Array
from rl_pbt.agents.cores import Core
from rl_pbt.agents.heads import Head
from rl_pbt.agents.networks import POLICY_GAIN, VALUE_GAIN, Weights, dense, dense_weights
from rl_pbt.agents.normaliser import Normaliser
from rl_pbt.agents.torsos import Torso


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Torso, core, and a policy and a value layer, as a pure function of weights with a leading [P]."""

    torso: Torso
    core: Core
    head: Head

    def initialise(self, seed: int) -> Weights:
        """One member's weights, decided by `seed` alone."""
        generator = torch.Generator().manual_seed(seed)
        return (
            self.torso.initialise(generator)
            | self.core.initialise(generator)
            | dense_weights("policy", self.core.features, self.head.size, POLICY_GAIN, generator)
            | dense_weights("value", self.core.features, 1, VALUE_GAIN, generator)
            | self.head.initialise()
        )

    def features(self, weights: Weights, observations: Tensor, state: Tensor, fresh: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """For observations [P, T B, *observation]: features for the policy and for the value, and the core's last state.

        A core with a state takes one stream of features, so policy and value then share those of the torso.
        """
        policy_features, value_features = self.torso(self.torso.prepared(weights), observations)
        if self.core.width == 0:
            return policy_features, value_features, state
        features, state = self.core(weights, policy_features, state, fresh)
        return features, features, state


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Acts with a copy of the weights and statistics of one moment, in the form in which the network computes with them."""

    network: Network
    weights: Weights
    normaliser: Normaliser | None
    device: str

    @classmethod
    @torch.no_grad()
    def of(cls, network: Network, weights: Weights, normaliser: Normaliser | None, device: str) -> Policy:
        """A copy of the weights and statistics as they are now."""
        copies = network.torso.prepared({name: weight.detach().clone() for name, weight in weights.items()})
        return cls(network=network, weights=copies, normaliser=normaliser and normaliser.of_members(), device=device)

    def of_members(self, members: Sequence[int] | Array) -> Policy:
        """The policy of some of the members alone."""
        index = torch.as_tensor(members, device=self.device)
        weights = {name: weight[index] for name, weight in self.weights.items()}
        return replace(self, weights=weights, normaliser=self.normaliser and self.normaliser.of_members(index))

    def with_weights(self, weights: Weights) -> Policy:
        """The same policy with other tensors as its weights."""
        return replace(self, weights=weights)

    def in_float32(self) -> Policy:
        """A copy on the CPU in float32, also of weights that a torso keeps in bfloat16."""
        weights = {name: weight.to("cpu", torch.float32) for name, weight in self.weights.items()}
        return replace(self, weights=weights, normaliser=self.normaliser and self.normaliser.on("cpu"), device="cpu")

    def initial_state(self, members: int, envs: int) -> Tensor:
        """The core's state at the start of an episode, [P, B, S]."""
        return torch.zeros(members, envs, self.network.core.width, device=self.device)

    def sample_noise(self, generators: Sequence[torch.Generator], length: int, envs: int) -> Tensor:
        """All the randomness for `length` steps of acting, [T, P, B, ...], each member's from its own generator."""
        noise = [self.network.head.noise(generator, length, envs) for generator in generators]
        return torch.stack(noise, 1).to(self.device)

    @torch.no_grad()
    def act(self, observations: Tensor, state: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Actions [P, B, ...], policy outputs [P, B, size] and next state [P, B, S], for observations [P, B, *observation]."""
        observations = observations.to(self.device)
        outputs, state = self.outputs(observations, state)
        return self.network.head.sample(self.weights, outputs, noise), outputs, state

    def outputs(self, observations: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Policy outputs [P, B, size] and the next state, for observations [P, B, *observation] on the policy's own device."""
        seen = observations if self.normaliser is None else self.normaliser(observations)
        fresh = torch.zeros(1, *state.shape[:2], dtype=torch.bool, device=self.device)
        features = self.network.torso.for_policy(self.weights, seen)
        features, state = self.network.core(self.weights, features, state, fresh)
        return dense(self.weights, "policy", features), state

    @torch.no_grad()
    def log_probs(self, outputs: Tensor, actions: Tensor) -> Tensor:
        """Log probabilities [T, P, B] of the actions [T, P, B, ...] that were chosen from the outputs [T, P, B, size]."""
        length, members, envs = outputs.shape[:3]
        flat = [array.transpose(0, 1).flatten(1, 2) for array in (outputs, actions)]
        log_probs, _ = self.network.head.log_prob_and_entropy(self.weights, *flat)
        return log_probs.view(members, length, envs).transpose(0, 1)

    def likeliest(self, outputs: Tensor) -> Tensor:
        """The most probable actions [..., *action] for policy outputs [..., size]."""
        return self.network.head.likeliest(outputs)

    def environment_actions(self, actions: Tensor) -> Array:
        """Actions as the environments take them: integers, or floats clipped to the box."""
        return self.network.head.to_environment(actions)
