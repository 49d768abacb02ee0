"""The defaults for an algorithm and an environment.

zoo = rl-baselines3-zoo, hyperparams/ppo.yml at 00128b5, a2c.yml at 02846e4, dqn.yml at 019107e, sac.yml at c94924e, td3.yml at
1337ead. Its `normalize` means both observations and rewards here. Of its linear schedules only the first value is taken, since
the search is there to find a schedule. What zoo does not name has SB3's default. Budgets, intervals and ranges are ours: first
choices that no run has tried yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from rl_pbt.records import JSON, Hyper

NORMALISED = {"normalise_observations": True, "normalise_rewards": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """The defaults of one algorithm on one environment; `frames` and `interval` are for one member, evaluation included."""

    frames: int = 200_000
    interval: int = 20_000
    eval_episodes: int = 8
    test_episodes: int = 32
    hypers: Mapping[str, Hyper] = field(default_factory=dict)
    agent_options: Mapping[str, JSON] = field(default_factory=dict)


SEARCH: Mapping[str, Mapping[str, str]] = {
    "ppo": {
        "learning_rate": "log:1e-05:0.003",
        "gamma": "horizon:0.9:0.999",
        "ent_coef": "log:1e-06:0.03",
        "clip_range": "linear:0.1:0.4",
    },
    "a2c": {"learning_rate": "log:0.0001:0.01", "gamma": "horizon:0.9:0.999", "ent_coef": "log:1e-06:0.03"},
    "dqn": {"learning_rate": "log:1e-05:0.003", "gamma": "horizon:0.9:0.999", "exploration_final_eps": "linear:0.01:0.2"},
    "sac": {"learning_rate": "log:0.0001:0.003", "gamma": "horizon:0.9:0.999", "tau": "log:0.001:0.05"},
    "td3": {"learning_rate": "log:0.0001:0.003", "gamma": "horizon:0.9:0.999", "noise_std": "linear:0.02:0.4"},
}
PPO, A2C, DQN = Defaults(), Defaults(agent_options={"n_envs": 8}), Defaults(frames=100_000, interval=10_000, eval_episodes=4)
CONTINUOUS = replace(DQN, frames=60_000, interval=6_000)
BY_ALGORITHM: Mapping[str, Defaults] = {"ppo": PPO, "a2c": A2C, "dqn": DQN, "sac": CONTINUOUS, "td3": CONTINUOUS}
# All are zoo's: for LunarLander those of its v2, for Pendulum with A2C and TD3 those of its v0.
BY_ENVIRONMENT: Mapping[tuple[str, str], Defaults] = {
    ("ppo", "CartPole-v1"): replace(
        PPO,
        hypers={"batch_size": 256, "gae_lambda": 0.8, "gamma": 0.98, "n_epochs": 20, "learning_rate": 1e-3, "clip_range": 0.2},
        agent_options={"n_envs": 8, "n_steps": 32},
    ),
    ("ppo", "Pendulum-v1"): replace(
        PPO,
        hypers={"gae_lambda": 0.95, "gamma": 0.9, "learning_rate": 1e-3, "clip_range": 0.2, "sde_sample_freq": 4},
        agent_options={"n_envs": 4, "n_steps": 1024, "use_sde": True},
    ),
    ("ppo", "Acrobot-v1"): replace(
        PPO, hypers={"gae_lambda": 0.94, "n_epochs": 4}, agent_options={"n_envs": 16, "n_steps": 256, **NORMALISED}
    ),
    ("ppo", "MountainCar-v0"): replace(
        PPO, hypers={"gae_lambda": 0.98, "n_epochs": 4}, agent_options={"n_envs": 16, "n_steps": 16, **NORMALISED}
    ),
    ("ppo", "LunarLander-v3"): replace(
        PPO,
        frames=800_000,
        interval=80_000,
        hypers={"gae_lambda": 0.98, "gamma": 0.999, "n_epochs": 4, "ent_coef": 0.01},
        agent_options={"n_envs": 16, "n_steps": 1024},
    ),
    ("a2c", "Acrobot-v1"): replace(A2C, agent_options={"n_envs": 16, **NORMALISED}),
    ("a2c", "MountainCar-v0"): replace(A2C, agent_options={"n_envs": 16, **NORMALISED}),
    ("a2c", "Pendulum-v1"): replace(
        A2C,
        hypers={"gae_lambda": 0.9, "vf_coef": 0.4},
        agent_options={"n_envs": 8, "n_steps": 8, "use_sde": True, "log_std_init": -2.0, "ortho_init": False, **NORMALISED},
    ),
    ("a2c", "LunarLander-v3"): replace(
        A2C, frames=400_000, interval=40_000, hypers={"gamma": 0.995, "learning_rate": 8.3e-4, "ent_coef": 1e-5}
    ),
    ("dqn", "CartPole-v1"): replace(
        DQN,
        hypers={
            "learning_rate": 2.5e-4,
            "batch_size": 512,
            "learning_starts": 0,
            "target_update_interval": 5000,
            "gradient_steps": 4,
            "exploration_fraction": 0.06,
            "exploration_final_eps": 0.11,
        },
        agent_options={"buffer_size": 100_000, "train_freq": 16},
    ),
    ("dqn", "MountainCar-v0"): replace(
        DQN,
        hypers={
            "learning_rate": 4e-3,
            "batch_size": 128,
            "learning_starts": 1000,
            "gamma": 0.98,
            "target_update_interval": 5000,
            "gradient_steps": 8,
            "exploration_fraction": 0.2,
            "exploration_final_eps": 0.07,
        },
        agent_options={"buffer_size": 10_000, "train_freq": 16, "net_arch": [256, 256]},
    ),
    ("dqn", "LunarLander-v3"): replace(
        DQN,
        hypers={
            "learning_rate": 8.8e-4,
            "learning_starts": 0,
            "gradient_steps": -1,
            "exploration_fraction": 0.2,
            "exploration_final_eps": 0.1,
        },
        agent_options={"train_freq": 16, "net_arch": [256, 256]},
    ),
    ("sac", "Pendulum-v1"): replace(CONTINUOUS, frames=30_000, interval=4_000, hypers={"learning_rate": 1e-3}),
    ("td3", "Pendulum-v1"): replace(CONTINUOUS, hypers={"learning_starts": 1000, "noise_std": 0.1}),
}
ATARI: Mapping[str, Defaults] = {
    "ppo": Defaults(
        interval=40_000,
        eval_episodes=4,
        hypers={"n_epochs": 4, "batch_size": 256, "learning_rate": 2.5e-4, "clip_range": 0.1, "ent_coef": 0.01},
        agent_options={"n_envs": 8, "n_steps": 128},
    ),
    "a2c": Defaults(interval=40_000, eval_episodes=4, hypers={"ent_coef": 0.01, "vf_coef": 0.25}, agent_options={"n_envs": 16}),
    "dqn": Defaults(
        interval=40_000,
        eval_episodes=4,
        hypers={"learning_starts": 1000, "exploration_final_eps": 0.1},  # zoo's 100,000 are more than all these frames
        agent_options={"buffer_size": 10_000},  # 0.6 GB, which is part of every checkpoint; zoo's is 57 GB
    ),
}


def defaults_of(algorithm: str, family: str, env_id: str) -> Defaults:
    """The defaults of the environment or, if there are none, of its family or of the algorithm."""
    general = BY_ALGORITHM[algorithm]
    if family == "atari":
        found = ATARI.get(algorithm, general)
        return replace(found, agent_options={**found.agent_options, "clip_rewards": True})
    return BY_ENVIRONMENT.get((algorithm, env_id), general)
