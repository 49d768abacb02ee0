"""What a run was: its command, its whole configuration, and the sessions that made it, each with its machine and versions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, final

from rl_pbt.config import RunConfig
from rl_pbt.errors import BadSetting, plain_text
from rl_pbt.options import built, checked
from rl_pbt.provenance import OF_TORCH
from rl_pbt.records import JSON, LONGEST_S, Fields, is_score
from rl_pbt.store.version_1 import config_of_version_1

VERSION = 3
MOST_DIFFERENCES, LONGEST_DIFFERENCE = 30, 200  # the number shown, and characters of each
Status = Literal["running", "interrupted", "failed", "finished"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One start of a run, and what it ran with.

    `began` is in seconds since 1970. `elapsed_s` is None until the session ends, and stays None if it is killed. `commit` is None
    if the suite was not run from its own checkout. `sources` are digests of the user's own files, by the name that the command
    gave them. `restored_units` were retrained because checkpoints were lost. Raises BadSetting for impossible numbers.
    """

    began: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)
    commit: str | None = None
    hardware: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    workers: int | None = None
    executor: str | None = None
    elapsed_s: float | None = None
    restored_units: int = 0

    def __post_init__(self) -> None:
        if self.restored_units < 0 or not 0 <= (self.elapsed_s or 0) < LONGEST_S:
            raise BadSetting("sessions", "have an elapsed_s or restored_units that cannot be")

    def differences(self, before: Session) -> list[str]:
        """What differs from an earlier session, and may change the results, in their last digits or entirely; one text each.

        Packages that are installed in only one of the two sessions are ignored: they had no part in both. So is what torch knows
        of the hardware, if only one of them had loaded it.
        """
        packages = before.versions.keys() & self.versions.keys()
        versions_then, versions_now = ({name: one.versions[name] for name in packages} for one in (before, self))
        found = [
            f"{name} {then.get(key, 'none')} then, {now.get(key, 'none')} now"
            for title, then, now in (
                ("", versions_then, versions_now),
                ("", before.hardware, self.hardware),
                ("file ", before.sources, self.sources),
            )
            for key in sorted({*then, *now})
            if then.get(key) != now.get(key) and key not in ("cores", "host")
            if key not in OF_TORCH or (key in then and key in now)
            for name in (f"{title}{key}",)
        ]
        if before.commit != self.commit:
            found.append(f"commit {before.commit or 'none'} then, {self.commit or 'none'} now")
        return [plain_text(difference, LONGEST_DIFFERENCE) for difference in found[:MOST_DIFFERENCES]]

    def to_json(self) -> dict[str, JSON]:
        """Its entry in manifest.json."""
        return {
            "began": self.began,
            "versions": dict(self.versions),
            "commit": self.commit,
            "hardware": dict(self.hardware),
            "sources": dict(self.sources),
            "workers": self.workers,
            "executor": self.executor,
            "elapsed_s": self.elapsed_s,
            "restored_units": self.restored_units,
        }


def digest(config: Fields) -> str:
    """A fingerprint of a manifest's configuration, without the budget, which can be extended."""
    fields = {name: value for name, value in config.items() if name != "budget"}
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:32]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What is recorded of a run besides its ledgers.

    `reason` is set if `status` is "failed". `baseline` has the scores of the task's baseline; it is None until they are measured,
    and empty if the task has no baseline. `extended_from` are the earlier budgets of an extended run, in units per member.
    `begun_with` is the configuration that the run's ledgers name by its digest. It lacks options that were added to rl_pbt since
    the run began; `config` has them. None for a run that has not begun.
    """

    command: str
    config: RunConfig
    status: Status = "running"
    reason: str | None = None
    sessions: tuple[Session, ...] = ()
    baseline: tuple[float, ...] | None = None
    extended_from: tuple[int, ...] = ()
    begun_with: Fields | None = None

    def __post_init__(self) -> None:
        if not all(map(is_score, self.baseline or ())):
            raise BadSetting("baseline", "has a score that is not finite")

    @property
    def last(self) -> Session:
        """The last session; an empty one if there is none."""
        return self.sessions[-1] if self.sessions else Session()

    @property
    def elapsed_s(self) -> float | None:
        """Total seconds of all sessions, except those that were killed; None before the first has ended."""
        known = [session.elapsed_s for session in self.sessions if session.elapsed_s is not None]
        return sum(known) if known else None

    def to_json(self) -> dict[str, JSON]:
        """The content of manifest.json."""
        return {
            "version": VERSION,
            "command": self.command,
            "config": self.config.to_json(),
            "status": self.status,
            "reason": self.reason,
            "sessions": [session.to_json() for session in self.sessions],
            "baseline": None if self.baseline is None else list(self.baseline),
            "extended_from": list(self.extended_from),
            **({} if (begun_with := self._begun_with()) is None else {"begun_with": begun_with}),
        }

    def _begun_with(self) -> dict[str, JSON] | None:
        """The configuration that ledgers name, if `config` has got more options since. With other values it is another run's."""
        begun_with = dict(self.begun_with or {})
        grew = digest(begun_with) != digest(self.config.to_json()) and self.config.only_adds_to(begun_with)
        return begun_with if begun_with and grew else None

    @classmethod
    def from_json(cls, fields: Fields) -> Manifest:
        """The manifest of parsed JSON, of this or an earlier version.

        Raises UserError, KeyError, TypeError, ValueError or AttributeError for anything else.
        """
        version = fields.get("version", 1)
        if type(version) is not int or version not in range(1, VERSION + 1):
            raise ValueError(f"version {version!r}")
        old = version == 1
        baseline = (fields.get("random_policy") or {}).get("returns") if old else fields["baseline"]
        sessions = checked("sessions", fields["sessions"], tuple[Session, ...]) if version == VERSION else None
        config = RunConfig.from_json(config_of_version_1(fields["config"]) if old else fields["config"])
        begun_with = None if old else checked("begun_with", fields.get("begun_with", fields["config"]), dict)
        if begun_with is not None and not config.only_adds_to(begun_with):
            raise ValueError("begun_with")
        return cls(
            command=checked("command", fields["command"], str),
            config=config,
            status=checked("status", fields["status"], Status),
            reason=checked("reason", fields.get("reason"), str | None),
            sessions=(built(Session, _only_session(fields)),) if sessions is None else sessions,
            extended_from=checked("extended_from", fields.get("extended_from", []), tuple[int, ...]),
            baseline=None if baseline is None else checked("baseline", baseline, tuple[float, ...]),
            begun_with=begun_with,
        )


def _only_session(fields: Fields) -> Fields:
    """The fields of the one session of an old manifest, which had no list of them."""
    return {name: fields[name] for name in ("versions", "commit", "hardware", "workers", "elapsed_s") if name in fields}
