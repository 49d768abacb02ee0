"""The configuration of a run: parsed once, frozen, and compared when a run is resumed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from rl_pbt.records import JSON, UserError
from rl_pbt.space import Space

TOY = "quadratic"  # runs of the paper's toy problem have no such configuration, see rl_pbt.quadratic


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """Everything that a result depends on, and nothing else: not the number of workers, not the folder.

    `frames` is the budget of one member in environment frames, evaluation included; `interval` its share for one generation.
    `hypers` holds a value of every hyper, the published or the said one; those in `search` have a range, and start from there.
    `replay` holds what was read from a run that is replayed, which may then be gone. `agent_options` names every option of the
    agent, so that a default that changes later changes no run that has begun.
    """

    env: str
    agent: str
    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    population: int
    frames: int
    interval: int
    group_size: int
    hypers: Mapping[str, float]
    search: Mapping[str, str]
    fitness: str
    eval_episodes: int
    test_episodes: int
    fraction: float
    factors: tuple[float, ...]
    resample_probability: float
    burn_in: int
    device: str
    any_age: bool = False
    backend: str = "gymnasium"
    replay: Mapping[str, Any] = field(default_factory=dict)
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
        """Raises UserError for the configuration of another version, and of the toy problem."""
        if fields.get("env") == TOY:
            raise UserError(f"a run of {TOY} is its plots/{TOY}.png and the ledgers: --env {TOY} --out FOLDER draws it anew")
        plain: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
        try:
            return cls(**plain)
        except TypeError as error:
            raise UserError(f"this run was made by another version ({error}): use that one, or start a new run") from None

    def difference(self, other: RunConfig) -> list[str]:
        """`name: ours, not theirs` for each field, or entry of a field, that differs."""
        ours, theirs = _flat(self.to_json()), _flat(other.to_json())
        names = [*ours, *(name for name in theirs if name not in ours)]
        return [
            f"{name}: {ours.get(name, 'none')}, not {theirs.get(name, 'none')}"
            for name in names
            if (name in ours, ours.get(name)) != (name in theirs, theirs.get(name))
        ]

    @property
    def space(self) -> Space:
        """The hypers that are searched. Raises UserError."""
        return Space.parse(self.search)


def _flat(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of mappings under `field.entry`."""
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        flat |= {f"{name}.{entry}": of_entry for entry, of_entry in value.items()} if isinstance(value, dict) else {name: value}
    return flat
