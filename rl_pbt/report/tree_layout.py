"""The positions of the nodes of a family tree, for all that draw it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias, final

import numpy as np

from rl_pbt.records import Trial
from rl_pbt.store.descent import surviving, winning_line
from rl_pbt.store.history import History

FORCE_OF_SURVIVORS, FORCE_OF_OTHERS = 5.0, 0.5
SWEEPS = 30  # over all rows, to straighten lines
Places: TypeAlias = Mapping[int, tuple[float, int]]  # proposal id -> (x, row)


@final
class Layouts:
    """`tree_layout`, computed once for each history: a report draws a tree as a picture and on its page."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[History, Places]] = {}  # by id(), which stays valid while the history is kept

    def __call__(self, history: History) -> Places:
        if id(history) not in self._known:
            self._known[id(history)] = history, tree_layout(history)
        return self._known[id(history)][1]


def tree_layout(history: History) -> Places:
    """Each row is ordered as its parents are, so no two branches between neighbouring rows cross.

    Then lines are straightened: nodes move towards their parent and children, survivors with more force, as far as order
    and a spacing of 1 allow. A line of descent that grows pushes the others aside.
    """
    rows = _ordered(history)
    width = 1.3 * max((len(row) for row in rows), default=0)
    parents = {trial.proposal.id: trial.proposal.parent for trial in history.trials}
    children: dict[int, list[int]] = {proposal: [] for proposal in parents}
    for child, parent in parents.items():
        if parent is not None:
            children[parent].append(child)
    kept = surviving(history)
    force = {proposal: FORCE_OF_SURVIVORS if proposal in kept else FORCE_OF_OTHERS for proposal in parents}
    pulled_by = {
        proposal: children[proposal] if parent is None else [parent, *children[proposal]] for proposal, parent in parents.items()
    }
    total = {proposal: sum(force[other] for other in others) for proposal, others in pulled_by.items()}
    x = {p: place + (width - len(row)) / 2 for row in rows for place, p in enumerate(row)}
    for sweep in range(SWEEPS):
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            anchors = [sum(x[other] * force[other] for other in pulled_by[p]) / total[p] if pulled_by[p] else x[p] for p in row]
            x.update(zip(row, _spaced(anchors, [force[p] for p in row], width), strict=True))
    return {proposal: (x[proposal], place) for place, row in enumerate(rows) for proposal in row}


def _ordered(history: History) -> list[list[int]]:
    """Proposal ids of each row from left to right. A member that starts afresh keeps its place.

    Rows are generations, except that a child always stands below its parent, which may be of the same or a later generation.
    """
    weight = _descendants(history)
    row_of: dict[int, int] = {}
    by_row: dict[int, list[Trial]] = {}
    for trial in history.trials:
        parent = trial.proposal.parent
        below = 0 if parent is None else row_of[parent] + 1
        row_of[trial.proposal.id] = max(trial.proposal.generation, below)
        by_row.setdefault(row_of[trial.proposal.id], []).append(trial)
    rows: list[list[int]] = []
    rank: dict[int, int] = {}
    rank_of_member: dict[int, int] = {}
    for _, trials in sorted(by_row.items()):
        middle = (len(trials) - 1) / 2
        families: dict[int, list[int]] = {}
        for trial in trials:
            parent = trial.proposal.parent
            place = rank_of_member.get(trial.proposal.member, 0) if parent is None else rank[parent]
            families.setdefault(place, []).append(trial.proposal.id)
        row = [child for place in sorted(families) for child in _hill(families[place], weight, place > middle)]
        rows.append(row)
        rank.update({proposal: place for place, proposal in enumerate(row)})
        rank_of_member.update({trial.proposal.member: rank[trial.proposal.id] for trial in trials})
    return rows


def _descendants(history: History) -> dict[int, int]:
    """How many proposals descend from each, including itself; those on the winner's line outweigh all others."""
    weight = {trial.proposal.id: 1 for trial in history.trials}
    for trial in reversed(history.trials):
        if trial.proposal.parent is not None:
            weight[trial.proposal.parent] += weight[trial.proposal.id]
    winning = {trial.proposal.id for trial in winning_line(history)}
    return {proposal: count + (len(weight) if proposal in winning else 0) for proposal, count in weight.items()}


def _hill(family: list[int], weight: Mapping[int, int], mirrored: bool) -> list[int]:
    """The heaviest in the middle, and the others in descending order to either side."""
    ascending = sorted(family, key=lambda child: (weight[child], child))
    hill = ascending[::2] + ascending[1::2][::-1]
    return hill[::-1] if mirrored else hill


def _spaced(anchors: Sequence[float], forces: Sequence[float], width: float) -> list[float]:
    """Places in order, at least 1 apart, inside [0, width - 1], nearest to `anchors` in weighted least squares.

    Anchor minus index need only be non-decreasing, which is isotonic regression; clipping keeps it optimal.
    """
    from scipy.optimize import isotonic_regression  # noqa: PLC0415 - what refuses to compare should not have to load it

    index = np.arange(len(anchors))
    level = isotonic_regression(np.asarray(anchors) - index, weights=forces).x if len(anchors) else index
    places: list[float] = (np.clip(level, 0.0, width - len(anchors)) + index).tolist()
    return places
