"""Descent as it is worked out while the work goes on."""

from __future__ import annotations

import pytest

from rl_pbt.records import Proposal
from rl_pbt.store.lineage import Lineage


def proposal(id_: int, member: int, parent: int | None = None, hypers_from: int | None = None) -> Proposal:
    return Proposal(id=id_, member=member, generation=0, hypers={}, parent=parent, units=1, hypers_from=hypers_from)


def test_copies_lines_and_founders() -> None:
    lineage = Lineage()
    founders = [proposal(0, 0), proposal(1, 1), proposal(2, 2)]
    weights, hypers, both = proposal(3, 1, parent=0), proposal(4, 2, parent=2, hypers_from=1), proposal(5, 0, 3, hypers_from=4)
    alone = proposal(6, 0, parent=5)
    for one in (*founders, weights, hypers, both):
        lineage.add(one)
    assert [lineage.donor(one) for one in (*founders, weights, hypers)] == [None, None, None, founders[0], founders[1]]
    assert lineage.donor(both) is hypers, "hyperparameters of one member, weights of another"
    assert lineage.donor(alone) is None and 6 not in lineage, "asked for before it is added"
    lineage.add(alone)
    assert [one.id for one in lineage.line(6)] == [0, 3, 5, 6] and lineage[6] is alone
    assert [lineage.founder(id_) for id_ in range(7)] == [0, 1, 2, 0, 2, 0, 0]


def test_an_unknown_parent_is_named() -> None:
    lineage = Lineage()
    for ask in (lambda: lineage.add(proposal(1, 0, parent=7)), lambda: lineage.donor(proposal(1, 0, 7)), lambda: lineage.line(7)):
        with pytest.raises(KeyError, match="7"):
            ask()
