"""Agents of Stable-Baselines3 (SB3) with its defaults, on environments of ours: what whole runs are measured against."""

from __future__ import annotations

import time
from functools import partial

import ale_py
import gymnasium
import torch
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.atari_wrappers import AtariWrapper
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecFrameStack

from rl_pbt.envs import resolve

AGENTS = {"a2c": A2C, "ppo": PPO}


def train(env: str, agent: str, *, copies: int, steps: int) -> tuple[int, float]:
    """Train an agent on so many copies of an environment for `steps` agent steps or a little more, to the end of a rollout.

    Returns the steps that it did, of all copies together, and the seconds that `learn()` took.
    """
    vector = _vector(env, copies)
    # SB3's CnnPolicy refuses images of 10x10: it gets the convolution that ours has.
    kwargs = {"features_extractor_class": _SmallTorso, "net_arch": []} if env.startswith("MinAtar") else None
    policy = "CnnPolicy" if env == "Pacman" else "MlpPolicy"
    model = AGENTS[agent](policy, vector, device="cpu", seed=0, policy_kwargs=kwargs)
    start = time.perf_counter()
    model.learn(steps)
    wall_s = time.perf_counter() - start
    vector.close()
    return model.num_timesteps, wall_s


def _vector(env: str, copies: int) -> VecEnv:
    if env == "Pacman":
        return VecFrameStack(DummyVecEnv([_pacman] * copies), n_stack=4)
    return DummyVecEnv([partial(_single, env)] * copies)


def _single(env: str) -> Monitor:
    return Monitor(gymnasium.make(resolve(env).id))  # resolved first: that registers it


def _pacman() -> AtariWrapper:
    gymnasium.register_envs(ale_py)
    # The id skips four frames by itself; SB3's wrapper wants to do that.
    return AtariWrapper(Monitor(gymnasium.make("ALE/Pacman-v5", frameskip=1)))


class _SmallTorso(BaseFeaturesExtractor):
    """The agents' torso "small" for SB3: 16 filters of 3x3 and a dense layer of 128, over images with channels last."""

    def __init__(self, observation_space: gymnasium.spaces.Box) -> None:
        super().__init__(observation_space, 128)
        height, width, channels = observation_space.shape
        self._layers = torch.nn.Sequential(
            torch.nn.Conv2d(channels, 16, 3),
            torch.nn.ReLU(),
            torch.nn.Flatten(),
            torch.nn.Linear(16 * (height - 2) * (width - 2), 128),
            torch.nn.ReLU(),
        )

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self._layers(observations.movedim(-1, 1))
        return features
