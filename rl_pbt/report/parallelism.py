"""What a method could have run at once, and how long any number of machines would have had to wait for it."""

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
    """What a method could have run at once, and what had to wait: its final re-evaluation is left out.

    `sequential_depth` is the longest chain of proposals of which each was asked for after the result of the one before was
    known, `sequential_units` the units along the costliest such chain: the least that any number of machines would have to
    wait for. `peak` is how many proposals were underway at once. `discarded_units` were trained for on weights that no survivor
    descends from.
    """

    sequential_depth: int
    sequential_units: int
    peak: int
    discarded_units: int


def parallelism(history: History) -> Parallelism:
    """The critical path of a history, and the most that was underway at once."""
    depths, units = [0], [0]  # the most of any of the first n results
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
