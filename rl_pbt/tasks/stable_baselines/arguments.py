"""What the constructors of Stable-Baselines3's algorithms take, read from their signatures, and which of it can be searched.

Every interval makes a new algorithm from these arguments and then loads what the member has learned, which includes none of them.
So every argument can change from one interval to the next, and the copies that SB3 makes of one (the discount in the rollout
buffer, the rate in its schedule and in the optimiser, SAC's entropy coefficient as a tensor) agree with it. What cannot change is
what gives the checkpoint its shape or the interval its length; those can be held at a value, but not searched.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import NoneType
from typing import Literal, TypeAlias, get_args

from gymnasium import spaces
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from rl_pbt.options import Kind, Settings
from rl_pbt.records import JSON, Hyper

Kinds: TypeAlias = dict[str, Kind]

PREFIX = "sb3:"
ALGORITHMS: Mapping[str, type[BaseAlgorithm]] = {"ppo": PPO, "a2c": A2C, "dqn": DQN, "sac": SAC, "td3": TD3}
# The spaces that each algorithm lists as its `supported_action_spaces`.
ACTIONS: Mapping[str, tuple[type[spaces.Space[object]], ...]] = {
    "ppo": (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary),
    "a2c": (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary),
    "dqn": (spaces.Discrete,),
    "sac": (spaces.Box,),
    "td3": (spaces.Box,),
}
# Numbers that do not change the training, and switches whose data our checkpoints do not hold.
IGNORED = frozenset({"seed", "verbose", "stats_window_size", "_init_setup_model", "optimize_memory_usage"})
LENGTH = "sets the least number of frames that a member can train for"
STRUCTURAL = {"train_freq": LENGTH, "buffer_size": "sets the size of the replay buffer that a copy takes over"}

SHARES = frozenset({"gamma", "gae_lambda", "tau", "exploration_initial_eps", "exploration_final_eps", "exploration_fraction"})
ABOVE_ZERO = frozenset({"clip_range", "clip_range_vf", "max_grad_norm", "rms_prop_eps", "target_kl", "exploration_fraction"})
LOWEST = {"learning_starts": 0.0, "gradient_steps": -1.0, "sde_sample_freq": -1.0, "target_entropy": -math.inf}
# Arguments that have a meaning only if another one has this value.
NEEDS: Mapping[str, tuple[str, Hyper]] = {
    "rms_prop_eps": ("use_rms_prop", True),
    "sde_sample_freq": ("use_sde", True),
    "target_entropy": ("ent_coef", "auto"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """A numeric argument that can be searched, with its legal values.

    `default` is SB3's, or None if there is none. `word` is how text begins that is legal too: with `auto`, also `auto_0.1`.
    """

    name: str
    kind: type[int] | type[float]
    default: Hyper | None
    word: str | None = None
    low: float = 0.0
    high: float = math.inf
    above_low: bool = False

    def complaint(self, value: object) -> str | None:
        """Why a value is not legal, or None if it is."""
        if isinstance(value, str) and self.word is not None and value.split("_")[0] == self.word:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"must be a number{f' or {self.word}' if self.word else ''}, but is {value!r}"
        if self.kind is int and value != int(value):
            return f"must be a whole number, but is {value:g}"
        if math.isfinite(value) and (self.low < value <= self.high or (value == self.low and not self.above_low)):
            return None
        bound = f"above {self.low:g}" if self.above_low else f"{self.low:g} or more"
        return f"must be {bound}" + (f" and at most {self.high:g}" if math.isfinite(self.high) else "") + f", but is {value:g}"

    def value(self, value: Hyper) -> Hyper:
        """The value as the constructor takes it."""
        return value if isinstance(value, str) else self.kind(value)


@cache
def searchable(algorithm: str) -> Mapping[str, Argument]:
    """The numeric arguments that can change from one interval to the next, by name.

    `noise_std`, as in rl-baselines3-zoo, is the standard deviation of the Gaussian noise that explores continuous actions.
    """
    found = {}
    for name, parameter in _parameters(algorithm).items():
        alternatives = get_args(parameter.annotation) or (parameter.annotation,)
        if {int, float} & set(alternatives) and name not in fixed(algorithm):
            found[name] = _argument(algorithm, name, parameter.default, alternatives)
    if "action_noise" in _parameters(algorithm):
        found["noise_std"] = Argument(name="noise_std", kind=float, default=0.0)
    return found


def _argument(algorithm: str, name: str, default: Hyper | None, alternatives: tuple[Kind, ...]) -> Argument:
    kind = float if float in alternatives else int
    # The advantages of a single sample cannot be normalised, as PPO does.
    lowest = 2.0 if (algorithm, name) == ("ppo", "batch_size") else float(kind is int)
    return Argument(
        name=name,
        kind=kind,
        default=default,
        word="auto" if str in alternatives else None,
        low=LOWEST.get(name, lowest),
        high=1.0 if name in SHARES else math.inf,
        above_low=name in ABOVE_ZERO,
    )


@cache
def _parameters(algorithm: str) -> Mapping[str, inspect.Parameter]:
    parameters = dict(inspect.signature(ALGORITHMS[algorithm].__init__).parameters)
    return {name: one for name, one in parameters.items() if name not in IGNORED}


@cache
def fixed(algorithm: str) -> Mapping[str, str]:
    """Name -> why it cannot be searched, for the numeric arguments that shape the checkpoint or the interval."""
    shaping = {**STRUCTURAL, "n_steps": LENGTH} if on_policy(algorithm) else STRUCTURAL
    return {name: why for name, why in shaping.items() if name in _parameters(algorithm)}


def on_policy(algorithm: str) -> bool:
    """Whether it learns from rollouts rather than from a replay buffer."""
    return issubclass(ALGORITHMS[algorithm], OnPolicyAlgorithm)


@cache
def agent_options(algorithm: str) -> tuple[Kinds, Settings]:
    """Types and defaults of an agent's fixed options, by name: SB3's own arguments, then the networks', then the environments'.

    The types are those of `rl_pbt.options`.
    """
    kinds: Kinds = {}
    defaults: dict[str, JSON] = {}
    for name, parameter in _parameters(algorithm).items():
        if name in fixed(algorithm) or parameter.annotation is bool:
            kinds[name] = bool if parameter.annotation is bool else int
            defaults[name] = parameter.default
    networks = inspect.signature(ALGORITHMS[algorithm].policy_aliases["MlpPolicy"].__init__).parameters
    network_options = {
        "net_arch": (tuple[int, ...], []),  # empty: SB3's own
        "activation_fn": (Literal["default", "tanh", "relu", "elu", "gelu"], "default"),
        "log_std_init": (float | None, None),
        "ortho_init": (bool, True),
    }
    further = {
        "policy": (Literal["MlpPolicy", "CnnPolicy"], "MlpPolicy"),
        **{name: entry for name, entry in network_options.items() if name in networks},
        "n_envs": (int, 1),
        "normalise_observations": (bool, False),
        "normalise_rewards": (bool, False),
        "clip_rewards": (bool, False),
    }
    kinds |= {name: kind for name, (kind, _) in further.items()}
    return kinds, defaults | {name: default for name, (_, default) in further.items()}


def defaults_of(algorithm: str) -> dict[str, Hyper]:
    """SB3's default of every argument that can be searched and has one."""
    return {name: one.default for name, one in searchable(algorithm).items() if not isinstance(one.default, NoneType)}


def quantum_of(algorithm: str, options: Settings) -> int:
    """Steps of all copies together in one round of rollout and update."""
    return int(options["n_steps" if on_policy(algorithm) else "train_freq"] * options["n_envs"])
