"""Who descends from whom, worked out as the proposals come in: shared by ledgers, TensorBoard and the terminal."""

from __future__ import annotations

from typing import final

from rl_pbt.records import Proposal


@final
class Lineage:
    """The proposals added so far. Parents must be added before their children."""

    def __init__(self) -> None:
        self._proposals: dict[int, Proposal] = {}
        self._founders: dict[int, int] = {}

    def add(self, proposal: Proposal) -> None:
        """Add a proposal. Raises KeyError, with the id, for an unknown parent."""
        self._founders[proposal.id] = proposal.id if proposal.parent is None else self._founders[proposal.parent]
        self._proposals[proposal.id] = proposal

    def __contains__(self, proposal: int) -> bool:
        return proposal in self._proposals

    def __getitem__(self, proposal: int) -> Proposal:
        """The proposal with this id. Raises KeyError, with the id, for an unknown one."""
        return self._proposals[proposal]

    def donor(self, proposal: Proposal) -> Proposal | None:
        """The other member's proposal from which hyperparameters or weights were copied; None if nothing was copied.

        If both were copied, it is the source of the hyperparameters. `proposal` itself need not have been added, but its sources
        must have been: raises KeyError, with the id, for an unknown one.
        """
        sources = [self._proposals[id_] for id_ in (proposal.hypers_from, proposal.parent) if id_ is not None]
        return next((source for source in sources if source.member != proposal.member), None)

    def founder(self, proposal: int) -> int:
        """The id of the founder (a proposal without a parent) that this one descends from, or is. Raises KeyError if unknown."""
        return self._founders[proposal]

    def line(self, proposal: int) -> list[Proposal]:
        """The line of descent from the founder to `proposal`, across every copy. Raises KeyError for an unknown one."""
        line = [self._proposals[proposal]]
        while (parent := line[-1].parent) is not None:
            line.append(self._proposals[parent])
        return line[::-1]
