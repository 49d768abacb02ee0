"""Who descends from whom, worked out once, as the proposals come in: for ledgers, TensorBoard and the terminal alike."""

from __future__ import annotations

from typing import final

from rl_pbt.records import Proposal


@final
class Lineage:
    """The proposals that were added so far. Parents come before their children."""

    def __init__(self) -> None:
        self._proposals: dict[int, Proposal] = {}
        self._founders: dict[int, int] = {}

    def add(self, proposal: Proposal) -> None:
        """Raises KeyError, with the id, for a parent that is unknown."""
        self._founders[proposal.id] = proposal.id if proposal.parent is None else self._founders[proposal.parent]
        self._proposals[proposal.id] = proposal

    def __contains__(self, proposal: int) -> bool:
        return proposal in self._proposals

    def __getitem__(self, proposal: int) -> Proposal:
        """Raises KeyError, with the id, for an unknown one."""
        return self._proposals[proposal]

    def donor(self, proposal: Proposal) -> Proposal | None:
        """The other member's proposal that hyperparameters or weights were copied from; None where nothing was copied.

        Hyperparameters first, where both are of others. `proposal` itself need not have been added, but those that it names.
        Raises KeyError, with the id, for an unknown one.
        """
        sources = [self._proposals[id_] for id_ in (proposal.hypers_from, proposal.parent) if id_ is not None]
        return next((source for source in sources if source.member != proposal.member), None)

    def founder(self, proposal: int) -> int:
        """The id of the proposal without a parent that this one descends from, or is. Raises KeyError for an unknown one."""
        return self._founders[proposal]

    def line(self, proposal: int) -> list[Proposal]:
        """From the founder to `proposal`, across every copy on the way. Raises KeyError for an unknown one."""
        line = [self._proposals[proposal]]
        while (parent := line[-1].parent) is not None:
            line.append(self._proposals[parent])
        return line[::-1]
