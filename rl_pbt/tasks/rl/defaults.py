"""The defaults of each family of environments, sized for two cores: minutes, not days. `learners` has what families have in
common, and `by_environment` what single environments have of their own.

A number with a published source names it. "Measured" means chosen for its speed here. "Tuned" means chosen by what a few seeds,
other than those of `benchmarks.learning`, learned with it and with its neighbours. A number without a note is a first choice that
no run has tried yet.

Sources: M15 = Mnih 2015 (Nature DQN); M16 = Mnih 2016 (A3C); E18 = Espeholt 2018 (IMPALA); Y19 = Young & Tian 2019 (MinAtar);
zoo = rl-baselines3-zoo, hyperparams/a2c.yml, and zoo-ppo its ppo.yml at 00128b5, of whose schedules the first value is taken;
starter = lcswillems/rl-starter-files, scripts/train.py; CleanRL = its ppo_continuous_action.py.
Hyperparameters that are not named here have the agent's defaults, which are SB3's.
"""

from __future__ import annotations

from dataclasses import replace

from rl_pbt.tasks.rl.by_environment import BY_ENVIRONMENT
from rl_pbt.tasks.rl.learners import (
    ACTOR_CRITIC_CONTINUOUS,
    ACTOR_CRITIC_CONTROL,
    IMAGES,
    LONG_UNROLLS,
    NORMALISED,
    PPO_CONTINUOUS,
    PPO_CONTROL,
    PPO_IMAGES,
    PPO_SEARCH,
    SCALED_RETURNS,
    UNBOUNDED,
    VECTORS,
    Defaults,
    Learner,
    of_agents,
)

SEEN = {"torso": "shallow", "rewards": "clip"}  # M16, M15
# Only if the processor computes in bfloat16. On Pacman 1.3 times as fast, no difference found over three seeds. On MinAtar (1.2)
# and MiniGrid (1.1) the gain is too small for a harm that ten seeds might have missed.
AUTOCAST = {"autocast": True}

ATARI = Defaults(
    frames=200_000,
    interval=40_000,
    eval_episodes=4,
    search=IMAGES,
    learners=of_agents(
        Learner(
            # 8 x 10 steps per update, as many as the 16 x 5 of M16; on two cores the fastest of seven pairs measured. `fitted`
            # makes it 4 x 20 where every interval begins new episodes.
            options={"unroll_length": 10, "envs_per_member": 8, **SEEN, **AUTOCAST},
            hypers={"learning_rate": 6e-4, "entropy_cost": 0.01},  # E18, Table G.1
        ),
        PPO_IMAGES.but(options={**SEEN, **AUTOCAST}),
        impala={"unroll_length": 20},  # E18, Table G.1
    ),
)
CONTROL = Defaults(
    frames=200_000,
    interval=20_000,
    search=VECTORS,
    learners=of_agents(ACTOR_CRITIC_CONTROL, PPO_CONTROL, impala=SCALED_RETURNS),  # tuned on CartPole
)
CONTINUOUS = replace(CONTROL, search=UNBOUNDED, learners=of_agents(ACTOR_CRITIC_CONTINUOUS, PPO_CONTINUOUS))
DEFAULTS: dict[str, Defaults] = {
    "atari": ATARI,
    # In 200,000 frames (Pendulum: 500,000) PPO learned more than A2C, but took 3 to 11 times as long. In the frames below A2C
    # came to the same.
    "classic_control": replace(CONTROL, frames=500_000, interval=25_000),
    "toy_text": CONTROL,
    "probe": CONTROL,
    "gymnasium": CONTROL,
    "box2d": replace(
        CONTROL,
        frames=400_000,
        interval=40_000,
        learners=of_agents(
            Learner(
                options={"unroll_length": 16, "envs_per_member": 16, **NORMALISED},
                # The discount is that of zoo-ppo, LunarLander; the others are tuned. Without normalised returns every setting
                # that was tried was still below 0 after 400,000 frames. At 3e-3 one seed of three was below 200 after 1M frames.
                hypers={"learning_rate": 2e-3, "trace_lambda": 0.95, "discount": 0.999, "entropy_cost": 0.003},
                recurrent_options=LONG_UNROLLS,
                # Tuned: with the others' entropy cost an LSTM stayed at about 170 after 1.5M frames of LunarLander.
                recurrent_hypers={"learning_rate": 1e-3, "entropy_cost": 0.0005},
            ),
            Learner(  # zoo-ppo, LunarLander
                options={"unroll_length": 1024, "envs_per_member": 16},
                hypers={"trace_lambda": 0.98, "discount": 0.999, "entropy_cost": 0.01, "num_epochs": 4},
                search=PPO_SEARCH,
            ),
        ),
    ),
    "mujoco": replace(CONTINUOUS, frames=500_000, interval=50_000),
    "minatar": Defaults(
        frames=1_000_000,
        interval=100_000,
        search=IMAGES,
        learners=of_agents(
            Learner(
                options={"unroll_length": 8, "envs_per_member": 16, "torso": "small"},  # Y19
                # λ and the entropy cost: Y19. The learning rate: tuned on Breakout.
                hypers={"learning_rate": 3e-3, "trace_lambda": 0.8, "entropy_cost": 0.01},
                recurrent_options={"unroll_length": 20, "envs_per_member": 8},  # E18
            ),
            PPO_IMAGES.but(options={"envs_per_member": 16, "torso": "small"}),
        ),
    ),
    "minigrid": Defaults(
        agent="ppo",
        frames=400_000,
        interval=40_000,
        search=IMAGES,
        learners=of_agents(
            Learner(
                options={"unroll_length": 8, "envs_per_member": 16, "torso": "small"},
                hypers={
                    "learning_rate": 2e-3,
                    "trace_lambda": 0.95,
                    "entropy_cost": 0.01,
                },  # starter, except the learning rate, which is tuned
                recurrent_options=LONG_UNROLLS,
            ),
            Learner(  # starter
                options={"unroll_length": 128, "envs_per_member": 16, "batch_size": 256, "torso": "small"},
                hypers={"learning_rate": 1e-3, "entropy_cost": 0.01, "num_epochs": 4},
                search=PPO_SEARCH,
            ),
            impala=SCALED_RETURNS,  # tuned
        ),
    ),
    "vizdoom": replace(
        ATARI,
        agent="ppo",
        frames=400_000,
        interval=80_000,
        learners=of_agents(
            Learner(
                options={"unroll_length": 8, "envs_per_member": 4, "torso": "shallow", **SCALED_RETURNS, **AUTOCAST},
                # Tuned on Basic, with rewards of -5 to 101. With an entropy cost of 0.01 all seeds ended worse than a random
                # policy.
                hypers={"learning_rate": 1e-3, "trace_lambda": 0.95, "entropy_cost": 0.03},
                recurrent_hypers={"learning_rate": 4e-4},  # tuned on Basic
            ),
            PPO_IMAGES.but(options={"envs_per_member": 4, "torso": "shallow", **SCALED_RETURNS, **AUTOCAST}),
            impala={"unroll_length": 20},
        ),
    ),
    "smax": replace(
        CONTROL,
        agent="ppo",
        frames=400_000,
        interval=40_000,
        learners=of_agents(
            Learner(
                options={"unroll_length": 16, "envs_per_member": 16, **NORMALISED},
                # Learning rate and normalisation were tuned on 3m. After 200,000 frames four seeds were at 1.30; with a rate of
                # 1e-3 at 1.03, with 4e-3 at 1.18; without normalised observations at 0.73, without either normalisation, at 1e-3,
                # at 0.45.
                hypers={"learning_rate": 2e-3, "trace_lambda": 0.95, "entropy_cost": 0.01},
                recurrent_options=LONG_UNROLLS,
            ),
            Learner(  # tuned on 3m: 1.50; at 5e-4 and without normalisation 0.86
                options={"unroll_length": 128, "envs_per_member": 16, "batch_size": 256, **NORMALISED},
                hypers={"learning_rate": 1e-3, "entropy_cost": 0.01, "num_epochs": 4},
                search=PPO_SEARCH,
            ),
        ),
    ),
    "starcraft2": replace(
        ATARI,
        frames=400_000,
        interval=80_000,
        learners=of_agents(
            Learner(
                options={"unroll_length": 20, "envs_per_member": 4, "torso": "small", **SCALED_RETURNS},
                hypers={"entropy_cost": 0.01},
            ),
            PPO_IMAGES.but(options={"envs_per_member": 4, "torso": "small", **SCALED_RETURNS}),
        ),
    ),
    "dmlab": replace(
        ATARI,
        learners={agent: learner.but(options={"core": "lstm"}) for agent, learner in ATARI.learners.items()},  # E18, Fig. 3
    ),
}


def defaults_of(family: str, env_id: str) -> Defaults:
    """The defaults of an environment: its family's, overridden by its own."""
    return replace(DEFAULTS[family], **BY_ENVIRONMENT.get(env_id, {}))


def is_unknown(family: str, env_id: str) -> bool:
    """Whether only the environment itself can tell what it is like; then `defaults_of_unknown` has its defaults."""
    return (family in ("gymnasium", "classic_control") or family not in DEFAULTS) and env_id not in BY_ENVIRONMENT


def defaults_of_unknown(*, continuous: bool, pictures: bool) -> Defaults:
    """Defaults by the kind of actions and observations. Images are not normalised, since the networks for them scale them."""
    if not continuous:
        return CONTROL
    if not pictures:
        return CONTINUOUS
    learners = {agent: learner.but(options={"normalise_observations": False}) for agent, learner in CONTINUOUS.learners.items()}
    return replace(CONTINUOUS, learners=learners)
