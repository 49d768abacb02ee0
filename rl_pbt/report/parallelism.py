"""How much of a method could have run in parallel, and how long any number of machines would have had to wait for it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import accumulate
from typing import final

from rl_pbt.store.descent import surviving
from rl_pbt.store.history import History


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Parallelism:
    """How much of a method ran or could have run in parallel; its final re-evaluation is left out.

    `sequential_depth` is the length of the longest chain of proposals in which each was asked for after the result of the one
    before was known. `sequential_units` are the units along the costliest such chain: the least that any number of machines would
    have to wait for. `peak` is the largest number of proposals under way at once. `discarded_units` were spent on training
    weights from which no survivor descends.
    """

    sequential_depth: int
    sequential_units: int
    peak: int
    discarded_units: int


def parallelism(history: History) -> Parallelism:
    """The critical path of a history, and the most that was under way at once."""
    depths, units = [0], [0]  # the largest of the first n results
    for trial in history.trials:
        depths.append(max(depths[-1], depths[trial.asked_after] + 1))
        units.append(max(units[-1], units[trial.asked_after] + trial.result.cost.units))
    kept = surviving(history)
    asked = Counter(trial.asked_after for trial in history.trials)
    begun = list(accumulate(asked[known] for known in range(len(history.trials) + 1)))
    return Parallelism(
        sequential_depth=depths[-1],
        sequential_units=units[-1],
        peak=max(count - known for known, count in enumerate(begun)),
        discarded_units=sum(t.result.cost.train_units for t in history.trials if t.proposal.id not in kept),
    )
