"""The configuration of a run: parsed once, frozen, and compared when a run is resumed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from typing import Any

from rl_pbt.records import JSON, UserError

ALIASES = {"lr": "learning_rate", "ent_coef": "entropy_cost", "entropy": "entropy_cost", "gamma": "discount"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """Everything that a result depends on, and nothing else: not the number of workers, not the folder.

    `frames` is the budget of one member in environment frames, evaluation included; `interval` its share for one generation.
    """

    env: str
    agent: str
    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    population: int
    frames: int
    interval: int
    group_size: int
    search: Mapping[str, str]
    fitness: str
    eval_episodes: int
    test_episodes: int
    fraction: float
    factors: tuple[float, ...]
    resample_probability: float
    burn_in: int
    device: str
    agent_options: Mapping[str, Any] = field(default_factory=dict)
    env_options: Mapping[str, Any] = field(default_factory=dict)
    frame_skip: int = 1

    def __post_init__(self) -> None:
        if not self.seeds or min(self.seeds) < 0:
            raise UserError("--seeds must be whole numbers from 0 on")
        if len(set(self.seeds)) != len(self.seeds) or len(set(self.methods)) != len(self.methods):
            raise UserError("--seeds and --methods must not name one twice")
        for flag, value in (
            ("--group-size", self.group_size),
            ("--eval-episodes", self.eval_episodes),
            ("--test-episodes", self.test_episodes),
        ):
            if value < 1:
                raise UserError(f"{flag} must be 1 or more, but is {value}")

    def to_json(self) -> dict[str, JSON]:
        plain = asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> RunConfig:
        plain: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
        return cls(**plain)

    def difference(self, other: RunConfig) -> list[str]:
        """`name: ours, not theirs` for each field that differs."""
        ours, theirs = self.to_json(), other.to_json()
        return [f"{name}: {ours[name]}, not {theirs[name]}" for name in ours if ours[name] != theirs[name]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What a newcomer gets for a family of environments. Sized for two cores: minutes, not days."""

    population: int
    frames: int
    interval: int
    eval_episodes: int
    test_episodes: int
    search: Mapping[str, str]
    agent_options: Mapping[str, Any]


# Espeholt 2018, Table D.1, draws learning rates from 5e-6 to 5e-3 and entropy costs from 5e-5 to 1e-2 for a *summed* loss under
# RMSProp. RMSProp cancels the scale of the loss and the ratio of its terms is the same for our mean, so the ranges carry over;
# the low end of the learning rate is left out, where nothing is learnt in the budgets of a laptop.
ATARI = Defaults(
    population=8,
    frames=200_000,
    interval=40_000,
    eval_episodes=4,
    test_episodes=32,
    search={"learning_rate": "log:0.0001:0.005", "entropy_cost": "log:0.0005:0.05", "discount": "horizon:0.95:0.999"},
    agent_options={
        "unroll_length": 20,  # Espeholt 2018, Table G.1
        "envs_per_member": 16,
        "torso": "shallow",
        "max_grad_norm": 0.5,
        "reward_clip": 1.0,
        "autocast": True,
    },
)
CONTROL = Defaults(
    population=8,
    frames=200_000,
    interval=20_000,
    eval_episodes=8,
    test_episodes=32,
    search={"learning_rate": "log:0.0001:0.01", "entropy_cost": "log:0.0001:0.05", "discount": "horizon:0.9:0.999"},
    agent_options={"unroll_length": 8, "envs_per_member": 16, "torso": "auto"},
)
DEFAULTS = {"atari": ATARI, "gymnasium": CONTROL, "probe": CONTROL}


def did_you_mean(kind: str, name: str, known: Mapping[str, Any] | tuple[str, ...]) -> UserError:
    near = get_close_matches(name, list(known), n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
    return UserError(f"unknown {kind} {name!r}: {hint}")


def parse_search(words: list[str], changeable: tuple[str, ...], defaults: Mapping[str, str]) -> dict[str, str]:
    """`lr=log:1e-5:1e-2` replaces that hyper's default range; a plain number, `lr=7e-4`, holds it there."""
    space = dict(defaults)
    for word in words:
        name, equals, text = word.partition("=")
        name = ALIASES.get(name, name)
        if name not in changeable:
            raise did_you_mean("hyper", name, changeable)
        if not equals or not text:
            raise UserError(f"cannot read --search {word}: write {name}=SCALE:LOW:HIGH, as in {name}=log:1e-5:1e-2")
        space[name] = text
    return space


def split_search(search: Mapping[str, str]) -> tuple[dict[str, str], dict[str, float]]:
    """The hypers that are searched, with their ranges, and those that are held, with their values."""
    held: dict[str, float] = {}
    for name, text in search.items():
        try:
            held[name] = float(text)
        except ValueError:
            continue
    return {name: text for name, text in search.items() if name not in held}, held
