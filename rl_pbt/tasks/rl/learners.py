"""What defaults are made of: the settings of a learner, and those that several families of environments have in common.

Notes and sources are those of `defaults`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

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

    def but(self, *, options: Options = {}, hypers: Hypers = {}) -> Learner:  # noqa: B006 - never changed
        """The same learner with these options and hyperparameters over its own."""
        return replace(self, options={**self.options, **options}, hypers={**self.hypers, **hypers})


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


def of_agents(actor_critic: Learner, ppo: Learner, *, impala: Options = {}) -> Mapping[str, Learner]:  # noqa: B006 - never changed
    """The learners by agent: A2C and IMPALA have the same settings, except for some options of IMPALA."""
    return {"a2c": actor_critic, "impala": actor_critic.but(options=impala), "ppo": ppo}


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
SCALED_RETURNS = {"normalise_returns": True}

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
ACTOR_CRITIC_CONTROL = Learner(
    options={"unroll_length": 8, "envs_per_member": 16},  # measured
    hypers={"learning_rate": 2e-3, "trace_lambda": 0.9},  # tuned on CartPole and Acrobot: SB3's 7e-4 and 1 are too slow
    recurrent_options=LONG_UNROLLS,
)
ACTOR_CRITIC_CONTINUOUS = replace(
    ACTOR_CRITIC_CONTROL,
    options={"unroll_length": 8, "envs_per_member": 16, **NORMALISED},  # zoo, BipedalWalker and its kin
    hypers={"trace_lambda": 0.9, "value_cost": 0.4},  # the same
)
