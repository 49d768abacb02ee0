"""The events of a ledger, and the one place where they are converted to JSON and back.

A ledger begins with a line that names its version. Version 2 had no checksums. Version 1 had no such line either, and called a
unit a frame and a result's proposal its id. Both can still be read, so that old runs can be reported, but are no longer
written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeGuard, final

from rl_pbt.options import built, checked
from rl_pbt.records import JSON, Fields, FinalTest, Proposal, Result
from rl_pbt.store.files import parsed

VERSION = 3


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The first line of a ledger; `config` is the digest of the configuration that it belongs to."""

    config: str = ""

    def to_json(self) -> dict[str, JSON]:
        """The fields of the line."""
        return {"event": "ledger", "version": VERSION, "config": self.config}

    @classmethod
    def from_json(cls, fields: object) -> Header:
        """The header of a parsed line. Raises ValueError if it is not a header, or of another version."""
        if not isinstance(fields, dict) or fields.get("event") != "ledger" or not isinstance(fields.get("config"), str):
            raise ValueError("the first line does not begin a ledger")
        if fields.get("version") != VERSION:
            raise ValueError(f"a ledger of version {fields.get('version')}, which a later rl_pbt writes")
        return cls(config=fields["config"])


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """A method asked for this work."""

    proposal: Proposal

    def to_json(self) -> dict[str, JSON]:
        """The fields of its line."""
        return {"event": "proposed", "proposal": self.proposal.to_json()}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A proposal got its result at `time`, in seconds since 1970."""

    result: Result
    time: float

    def to_json(self) -> dict[str, JSON]:
        """The fields of its line."""
        return {"event": "finished", "result": self.result.to_json(), "time": self.time}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The method has chosen its winner; None if every member failed."""

    proposal: int | None

    def to_json(self) -> dict[str, JSON]:
        """The fields of its line."""
        return {"event": "chosen", "proposal": self.proposal}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class FinalTested:
    """The winner was tested."""

    test: FinalTest

    def to_json(self) -> dict[str, JSON]:
        """The fields of its line."""
        return {"event": "tested", "test": self.test.to_json()}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class IncumbentTested:
    """The member that led when the population had spent `units` was tested, after the search."""

    test: FinalTest
    units: int

    def to_json(self) -> dict[str, JSON]:
        """The fields of its line."""
        return {"event": "incumbent_tested", "test": self.test.to_json(), "units": self.units}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The search is over: no event follows, unless its budget is extended."""

    def to_json(self) -> dict[str, JSON]:
        """The fields of its line."""
        return {"event": "ended"}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Extended:
    """The ended search goes on with a larger `budget`, in units per member, which includes everything spent before."""

    budget: int

    def to_json(self) -> dict[str, JSON]:
        """The fields of its line."""
        return {"event": "extended", "budget": self.budget}


Event: TypeAlias = Proposed | Finished | Chosen | IncumbentTested | FinalTested | Ended | Extended

# The fields of each event's line.
FIELDS: Mapping[str, frozenset[str]] = {
    "proposed": frozenset({"proposal"}),
    "finished": frozenset({"result", "time"}),
    "chosen": frozenset({"proposal"}),
    "incumbent_tested": frozenset({"test", "units"}),
    "tested": frozenset({"test"}),
    "ended": frozenset(),
    "extended": frozenset({"budget"}),
}


def version_of(line: bytes) -> int:
    """The version of the ledger that begins with that line; the current one if it cannot be told."""
    try:
        fields = parsed(line)
    except ValueError:
        return VERSION
    if fields == {"event": "ledger", "version": 2}:
        return 2
    return 1 if _is_event(fields) else VERSION


def _is_event(line: object) -> TypeGuard[Fields]:
    return isinstance(line, dict) and isinstance(line.get("event"), str) and line["event"] in FIELDS


def from_json(line: object, version: int = VERSION) -> Event:
    """The event of a parsed line. Raises UserError, KeyError, TypeError or ValueError if it is no event of that version."""
    if not _is_event(line):
        raise ValueError(f"no event: {str(line)[:100]}")
    fields = _from_version_1(line) if version == 1 else line
    kind = fields["event"]
    if unknown := fields.keys() - FIELDS[kind] - {"event", "crc"}:
        raise ValueError(f"an event {kind!r} has no {', '.join(sorted(unknown))}")
    match kind:
        case "proposed":
            return Proposed(proposal=built(Proposal, fields["proposal"]))
        case "finished":
            return Finished(result=built(Result, fields["result"]), time=checked("time", fields["time"], float))
        case "chosen":
            return Chosen(proposal=checked("proposal", fields["proposal"], int | None))
        case "tested":
            return FinalTested(test=built(FinalTest, fields["test"]))
        case "incumbent_tested":
            return IncumbentTested(test=built(FinalTest, fields["test"]), units=checked("units", fields["units"], int))
        case "extended":
            return Extended(budget=checked("budget", fields["budget"], int))
        case _:
            return Ended()


def _from_version_1(fields: Fields) -> Fields:
    """The same event with today's field names."""
    match fields["event"]:
        case "proposed":
            return {**fields, "proposal": _renamed(fields["proposal"], frames="units")}
        case "finished":
            return {**fields, "result": _evaluation(_renamed(fields["result"], lineage_frames="lineage_units"))}
        case "tested":
            return {**fields, "test": _evaluation(fields["test"])}
        case "chosen":
            return _renamed(fields, id="proposal")
        case _:
            return fields


def _evaluation(fields: Fields) -> Fields:
    cost = _renamed(fields["cost"], train_frames="train_units", eval_frames="eval_units")
    return {**_renamed(fields, id="proposal"), "cost": cost}


def _renamed(fields: Fields, **names: str) -> Fields:
    return {names.get(name, name): value for name, value in fields.items()}
