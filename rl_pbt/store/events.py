"""The events of a ledger, the one place where they turn to JSON and back.

A ledger begins with a line that names its version. Version 1 had no such line, called a unit a frame and a result's proposal its
id; it is read here, so that old runs can still be reported, and written nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, final

from rl_pbt.records import JSON, Fields, FinalTest, Proposal, Result

VERSION = 2
HEADER: dict[str, JSON] = {"event": "ledger", "version": VERSION}


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
    """A proposal has its result, at `time`, in seconds since 1970."""

    result: Result
    time: float

    def to_json(self) -> dict[str, JSON]:
        """The fields of its line."""
        return {"event": "finished", "result": self.result.to_json(), "time": self.time}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The method has named its winner; None where every member failed."""

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
class Ended:
    """The search is over: no event follows."""

    def to_json(self) -> dict[str, JSON]:
        """The fields of its line."""
        return {"event": "ended"}


Event: TypeAlias = Proposed | Finished | Chosen | FinalTested | Ended


def from_json(fields: Fields, version: int = VERSION) -> Event:
    """Raises KeyError, TypeError or ValueError for what is not an event of that version."""
    if version == 1:
        fields = _from_version_1(fields)
    match fields["event"]:
        case "proposed":
            return Proposed(proposal=Proposal.from_json(fields["proposal"]))
        case "finished":
            return Finished(result=Result.from_json(fields["result"]), time=float(fields["time"]))
        case "chosen":
            return Chosen(proposal=fields["proposal"])
        case "tested":
            return FinalTested(test=FinalTest.from_json(fields["test"]))
        case "ended":
            return Ended()
        case other:
            raise ValueError(f"unknown event {other!r}")


def _from_version_1(fields: Fields) -> Fields:
    """The same event in today's words."""
    match fields["event"]:
        case "proposed":
            return {**fields, "proposal": _renamed(fields["proposal"], frames="units")}
        case "finished":
            return {**fields, "result": _judgement(_renamed(fields["result"], lineage_frames="lineage_units"))}
        case "tested":
            return {**fields, "test": _judgement(fields["test"])}
        case "chosen":
            return _renamed(fields, id="proposal")
        case _:
            return fields


def _judgement(fields: Fields) -> Fields:
    cost = _renamed(fields["cost"], train_frames="train_units", eval_frames="eval_units")
    return {**_renamed(fields, id="proposal"), "cost": cost}


def _renamed(fields: Fields, **names: str) -> Fields:
    return {names.get(name, name): value for name, value in fields.items()}
