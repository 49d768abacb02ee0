"""The agent that a search found, for a person to use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

import gymnasium
import numpy as np
import torch

from rl_pbt.agents.policy import Policy
from rl_pbt.arrays import Array
from rl_pbt.envs import EnvSpec
from rl_pbt.tasks.rl.exporting import Acting, exported


@final
class Winner:
    """One trained agent. `reset` begins its random choices and, if it is recurrent, its memory.

    Observations are those of `rl_pbt.envs.make_vector` for its environment, on which it was trained. `greedy` says whether it was
    tested with its likeliest actions.
    """

    def __init__(
        self, policy: Policy, observation_space: gymnasium.Space[object], env: EnvSpec, *, greedy: bool = False, seed: int = 0
    ) -> None:
        self.policy = policy
        self.observation_space = observation_space
        self._env = env
        self._greedy = greedy
        self.reset(seed)

    def reset(self, seed: int | None = None) -> None:
        """Begin an episode; with a `seed`, seed the random choices too."""
        if seed is not None:
            self._generator = torch.Generator().manual_seed(seed)
        self._state = self.policy.initial_state(1, 1)

    def act(self, observation: Array, deterministic: bool | None = None) -> Array | float:
        """The action for one observation, as the environment takes it: the likeliest one if `deterministic`, drawn if not.

        With None it is chosen as it was in the winner's test.
        """
        noise = self.policy.sample_noise([self._generator], 1, 1)[0]
        seen = torch.from_numpy(np.asarray(observation, self.observation_space.dtype)[None, None])
        actions, output, self._state = self.policy.act(seen, self._state, noise)
        chosen = self.policy.likeliest(output) if (self._greedy if deterministic is None else deterministic) else actions
        action: Array = self.policy.environment_actions(chosen)[0, 0]
        if action.ndim:
            return action
        number: float = action.item()
        return number

    def exported(self, ending: str, told: Mapping[str, str]) -> bytes:
        """The content of a file with the deterministic policy, and `told` in its metadata. Raises UserError, see `exporting`."""
        return exported(Acting(policy=self.policy, observation_space=self.observation_space, env=self._env), ending, told)
