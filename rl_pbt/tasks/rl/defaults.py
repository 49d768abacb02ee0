"""The defaults of each family of environments, sized for two cores: minutes, not days.

A number with a published source names it. "Measured" means chosen for its speed here. "Tuned" means chosen by what a few seeds,
other than those of `benchmarks.learning`, learned with it and with its neighbours. A number without a note is a first choice that
no run has tried yet.

Sources: M15 = Mnih 2015 (Nature DQN); M16 = Mnih 2016 (A3C); E18 = Espeholt 2018 (IMPALA); Y19 = Young & Tian 2019 (MinAtar);
zoo = rl-baselines3-zoo, hyperparams/a2c.yml, and zoo-ppo its ppo.yml at 00128b5, of whose schedules the first value is taken;
starter = lcswillems/rl-starter-files, scripts/train.py; CleanRL = its ppo_continuous_action.py.
Hyperparameters that are not named here have the agent's defaults, which are SB3's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from rl_pbt.options import Settings
from rl_pbt.records import JSON

Hypers = Mapping[str, float]
Options = Mapping[str, JSON]


@dataclass(frozen=True, slots=True, kw_only=True)
class Learner:
    """The defaults of one agent on one family; `search` has ranges that are added to the family's or replace them.

    If the agent is recurrent, `recurrent_options` override its options, and `recurrent_hypers` its hyperparameters.
    """

    options: Options = field(default_factory=dict)
    hypers: Hypers = field(default_factory=dict)
    recurrent_options: Options = field(default_factory=dict)
    recurrent_hypers: Hypers = field(default_factory=dict)
    search: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """The defaults of a family of environments; `frames` and `interval` are for one member.

    `agent` is A2C, or PPO where it was found to learn more in as many frames (results/reference/learning, default_budget).
    """

    agent: str = "a2c"
    population: int = 8
    frames: int
    interval: int
    eval_episodes: int = 8
    test_episodes: int = 32
    search: Mapping[str, str]
    learners: Mapping[str, Learner]  # by agent

    def learner(self, agent: str) -> Learner:
        """The defaults of that agent; for an agent without any, those of A2C, whose options all agents have."""
        return self.learners.get(agent, self.learners["a2c"])


def _learners(actor_critic: Learner, ppo: Learner, *, impala: Options = {}) -> Mapping[str, Learner]:  # noqa: B006 - never changed
    """A2C and IMPALA have the same settings, except for some options of IMPALA."""
    return {"a2c": actor_critic, "impala": _with(actor_critic, options=impala), "ppo": ppo}


def _with(learner: Learner, *, options: Options = {}, hypers: Hypers = {}) -> Learner:  # noqa: B006 - never changed
    """The same learner with these options and hyperparameters over its own."""
    return replace(learner, options={**learner.options, **options}, hypers={**learner.hypers, **hypers})


# E18, Table D.1, draws learning rates from 5e-6 to 5e-3 and entropy costs from 5e-5 to 1e-2 for a *summed* loss under RMSProp.
# RMSProp cancels the scale of the loss, and the ratio of its terms is the same for our mean, so the ranges carry over. The low
# end of the learning rates is left out, since nothing is learned there in the budgets of a laptop.
IMAGES = {"learning_rate": "log:0.0001:0.005", "entropy_cost": "log:0.0005:0.05", "discount": "horizon:0.95:0.999"}
VECTORS = {"learning_rate": "log:0.0001:0.01", "entropy_cost": "log:0.0001:0.05", "discount": "horizon:0.9:0.999"}
UNBOUNDED = {"learning_rate": "log:0.0001:0.003", "entropy_cost": "log:0.000001:0.01", "discount": "horizon:0.9:0.999"}

# Unrolls: E18; with 8 steps an LSTM unlearned CartPole again. Normalised returns: tuned on CartPole and MiniGrid; an LSTM, whose
# trunk is shared by policy and value, learns little without them.
LONG_UNROLLS = {"unroll_length": 20, "envs_per_member": 8, "normalise_returns": True}
NORMALISED = {"normalise_observations": True, "normalise_returns": True}

# Adam needs smaller learning rates than RMSProp.
PPO_SEARCH = {"learning_rate": "log:0.00003:0.003", "clip_range": "linear:0.1:0.4"}
PPO_CONTROL = Learner(  # zoo-ppo, CartPole
    options={"unroll_length": 32, "envs_per_member": 8, "batch_size": 256},
    hypers={"learning_rate": 1e-3, "trace_lambda": 0.8, "num_epochs": 20},
    search=PPO_SEARCH,
)
PPO_CONTINUOUS = Learner(  # CleanRL, except that it has one environment
    options={"unroll_length": 128, "envs_per_member": 16, **NORMALISED}, search=PPO_SEARCH
)
PPO_IMAGES = Learner(  # zoo-ppo, Atari
    options={"unroll_length": 128, "envs_per_member": 8, "batch_size": 256},
    hypers={"learning_rate": 2.5e-4, "entropy_cost": 0.01, "clip_range": 0.1, "num_epochs": 4},
    search=PPO_SEARCH,
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
    learners=_learners(
        Learner(
            # 8 x 10 steps per update, as many as the 16 x 5 of M16; on two cores the fastest of seven pairs measured. `fitted`
            # makes it 4 x 20 where every interval begins new episodes.
            options={"unroll_length": 10, "envs_per_member": 8, **SEEN, **AUTOCAST},
            hypers={"learning_rate": 6e-4, "entropy_cost": 0.01},  # E18, Table G.1
        ),
        _with(PPO_IMAGES, options={**SEEN, **AUTOCAST}),
        impala={"unroll_length": 20},  # E18, Table G.1
    ),
)
ACTOR_CRITIC_CONTROL = Learner(
    options={"unroll_length": 8, "envs_per_member": 16},  # measured
    hypers={"learning_rate": 2e-3, "trace_lambda": 0.9},  # tuned on CartPole and Acrobot: SB3's 7e-4 and 1 are too slow
    recurrent_options=LONG_UNROLLS,
)
SCALED_RETURNS = {"normalise_returns": True}
CONTROL = Defaults(
    frames=200_000,
    interval=20_000,
    search=VECTORS,
    learners=_learners(ACTOR_CRITIC_CONTROL, PPO_CONTROL, impala=SCALED_RETURNS),  # tuned on CartPole
)
ACTOR_CRITIC_CONTINUOUS = replace(
    ACTOR_CRITIC_CONTROL,
    options={"unroll_length": 8, "envs_per_member": 16, **NORMALISED},  # zoo, BipedalWalker and its kin
    hypers={"trace_lambda": 0.9, "value_cost": 0.4},  # the same
)
CONTINUOUS = replace(CONTROL, search=UNBOUNDED, learners=_learners(ACTOR_CRITIC_CONTINUOUS, PPO_CONTINUOUS))
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
        learners=_learners(
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
        learners=_learners(
            Learner(
                options={"unroll_length": 8, "envs_per_member": 16, "torso": "small"},  # Y19
                # λ and the entropy cost: Y19. The learning rate: tuned on Breakout.
                hypers={"learning_rate": 3e-3, "trace_lambda": 0.8, "entropy_cost": 0.01},
                recurrent_options={"unroll_length": 20, "envs_per_member": 8},  # E18
            ),
            _with(PPO_IMAGES, options={"envs_per_member": 16, "torso": "small"}),
        ),
    ),
    "minigrid": Defaults(
        agent="ppo",
        frames=400_000,
        interval=40_000,
        search=IMAGES,
        learners=_learners(
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
        learners=_learners(
            Learner(
                options={"unroll_length": 8, "envs_per_member": 4, "torso": "shallow", **SCALED_RETURNS, **AUTOCAST},
                # Tuned on Basic, with rewards of -5 to 101. With an entropy cost of 0.01 all seeds ended worse than a random
                # policy.
                hypers={"learning_rate": 1e-3, "trace_lambda": 0.95, "entropy_cost": 0.03},
                recurrent_hypers={"learning_rate": 4e-4},  # tuned on Basic
            ),
            _with(PPO_IMAGES, options={"envs_per_member": 4, "torso": "shallow", **SCALED_RETURNS, **AUTOCAST}),
            impala={"unroll_length": 20},
        ),
    ),
    "smax": replace(
        CONTROL,
        agent="ppo",
        frames=400_000,
        interval=40_000,
        learners=_learners(
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
        learners=_learners(
            Learner(
                options={"unroll_length": 20, "envs_per_member": 4, "torso": "small", **SCALED_RETURNS},
                hypers={"entropy_cost": 0.01},
            ),
            _with(PPO_IMAGES, options={"envs_per_member": 4, "torso": "small", **SCALED_RETURNS}),
        ),
    ),
    "dmlab": replace(
        ATARI,
        learners={agent: _with(learner, options={"core": "lstm"}) for agent, learner in ATARI.learners.items()},  # E18, Fig. 3
    ),
}
_SEES_SCALES = {"normalise_observations": True}
_PENDULUM = _with(
    ACTOR_CRITIC_CONTINUOUS, hypers={"learning_rate": 1e-3, "discount": 0.95}
)  # tuned: 2e-3 is faster but gets worse again
# Environments whose settings, published or measured, differ from their family's.
BY_ENVIRONMENT: dict[str, Settings] = {
    # Of seven candidates for what a first run can show in ten minutes on two cores, the one whose winners scored highest
    # (results/reference/first-run).
    "ALE/Pacman-v5": {"agent": "ppo", "population": 4, "frames": 400_000, "interval": 30_000, "eval_episodes": 2},
    "CartPole-v1": {
        "learners": _learners(
            # The discount: zoo-ppo; 0.99 is less stable. The learning rate: tuned. All ten seeds were at 500 after 500,000
            # frames, with A2C and with IMPALA. At 2e-3 that takes half as long, but some seeds had got worse again by then.
            _with(ACTOR_CRITIC_CONTROL, hypers={"learning_rate": 1e-3, "discount": 0.98}),
            _with(PPO_CONTROL, hypers={"discount": 0.98}),  # zoo-ppo
            impala=SCALED_RETURNS,
        )
    },
    "Acrobot-v1": {
        "learners": _learners(
            _with(ACTOR_CRITIC_CONTROL, options=_SEES_SCALES),  # zoo
            Learner(  # zoo-ppo
                options={"unroll_length": 256, "envs_per_member": 16, **NORMALISED},
                hypers={"trace_lambda": 0.94, "num_epochs": 4},
                search=PPO_SEARCH,
            ),
            impala=SCALED_RETURNS,
        )
    },
    "MountainCar-v0": {
        "learners": _learners(
            _with(ACTOR_CRITIC_CONTROL, options=_SEES_SCALES),  # zoo
            Learner(  # zoo-ppo
                options={"unroll_length": 16, "envs_per_member": 16, **NORMALISED},
                hypers={"trace_lambda": 0.98, "num_epochs": 4},
                search=PPO_SEARCH,
            ),
            impala=SCALED_RETURNS,
        )
    },
    "MountainCarContinuous-v0": {
        "search": UNBOUNDED,
        "learners": _learners(ACTOR_CRITIC_CONTINUOUS, PPO_CONTINUOUS, impala=SCALED_RETURNS),
    },
    "CarRacing-v3": {  # its observations are images, unlike its family's, and it is slow
        "frames": 100_000,
        "interval": 20_000,
        "eval_episodes": 2,
        "search": IMAGES,
        "learners": _learners(
            Learner(
                options={"unroll_length": 16, "envs_per_member": 4, "torso": "shallow", **SCALED_RETURNS},
                hypers={"trace_lambda": 0.95, "entropy_cost": 0.003},
                recurrent_options=LONG_UNROLLS,
                recurrent_hypers={"learning_rate": 1e-3, "entropy_cost": 0.0005},
            ),
            _with(PPO_IMAGES, options={"envs_per_member": 4, "torso": "shallow", **SCALED_RETURNS}, hypers={"clip_range": 0.2}),
        ),
    },
    "Pendulum-v1": {
        "search": UNBOUNDED,
        "learners": _learners(
            # Tuned: an LSTM learns more slowly with unrolls of 20.
            replace(_PENDULUM, recurrent_options={}, recurrent_hypers={"learning_rate": 4e-4}),
            Learner(  # zoo-ppo, except for its state-dependent exploration
                options={"unroll_length": 1024, "envs_per_member": 4},
                hypers={"learning_rate": 1e-3, "discount": 0.9},
                search=PPO_SEARCH,
            ),
            impala=SCALED_RETURNS,
        ),
        "frames": 1_000_000,
        "interval": 50_000,
    },
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
    learners = {
        agent: _with(learner, options={"normalise_observations": False}) for agent, learner in CONTINUOUS.learners.items()
    }
    return replace(CONTINUOUS, learners=learners)
