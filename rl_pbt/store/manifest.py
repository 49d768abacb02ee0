"""What a run was: its command, its whole configuration, and where and with what it was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, final, get_args

from rl_pbt.config import RunConfig
from rl_pbt.records import JSON, Fields
from rl_pbt.store.version_1 import config_of_version_1

VERSION = 2
Status = Literal["running", "interrupted", "finished"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What is recorded of a run beside its ledgers.

    `baseline` holds the scores of the task's baseline, none where it has none, and is None before they were measured.
    `elapsed_s` are the seconds of all sessions, except those that were killed; `commit` is None where the suite was not run from
    its own checkout.
    """

    command: str
    config: RunConfig
    status: Status = "running"
    versions: Mapping[str, str] = field(default_factory=dict)
    hardware: Mapping[str, JSON] = field(default_factory=dict)
    commit: str | None = None
    baseline: tuple[float, ...] | None = None
    elapsed_s: float | None = None
    workers: int | None = None

    def __post_init__(self) -> None:
        if self.status not in get_args(Status):
            raise ValueError(f"status {self.status!r}")

    def to_json(self) -> dict[str, JSON]:
        """The content of manifest.json."""
        return {
            "version": VERSION,
            "command": self.command,
            "config": self.config.to_json(),
            "status": self.status,
            "versions": dict(self.versions),
            "hardware": dict(self.hardware),
            "commit": self.commit,
            "baseline": None if self.baseline is None else list(self.baseline),
            "elapsed_s": self.elapsed_s,
            "workers": self.workers,
        }

    @classmethod
    def from_json(cls, fields: Fields) -> Manifest:
        """Of this version and of version 1. Raises UserError, or one of KeyError, TypeError, ValueError and AttributeError."""
        old = fields.get("version", 1) == 1
        baseline = (fields.get("random_policy") or {}).get("returns") if old else fields["baseline"]
        return cls(
            command=fields["command"],
            config=RunConfig.from_json(config_of_version_1(fields["config"]) if old else fields["config"]),
            status=fields["status"],
            versions=fields.get("versions", {}),
            hardware=fields.get("hardware", {}),
            commit=fields.get("commit"),
            baseline=None if baseline is None else tuple(float(value) for value in baseline),
            elapsed_s=fields.get("elapsed_s"),
            workers=fields.get("workers"),
        )
