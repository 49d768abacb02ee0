"""The content of `summary.json` as typed records. Its fields are explained in docs/summary.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from rl_pbt.options import plain
from rl_pbt.records import JSON, Cost, Hypers
from rl_pbt.report.chance import Family
from rl_pbt.report.diagnostics import Diagnostics
from rl_pbt.report.statistics import Estimate
from rl_pbt.store.run import RunStatus
from rl_pbt.tasks.registry import task_type
from rl_pbt.tasks.words import Words

VERSION = 2


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Winner:
    """The member that a method chose on one seed; it was selected by its `fitness`, which is therefore optimistically biased."""

    proposal: int
    member: int
    generation: int
    hypers: Hypers
    fitness: float | None
    fitness_episodes: int
    lineage_units: int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SeedSummary:
    """One method on one seed. `budget` is what it may spend, in units."""

    finished: bool
    budget: int
    cost: Cost
    winner: Winner | None
    test_returns: tuple[float, ...]
    test_cost: Cost
    test_episodes_capped: int
    test_episodes_excluded: int
    test_failure: str | None
    best_fitness_curve: tuple[tuple[int, float], ...]
    anytime_test_curve: tuple[tuple[int, float], ...]
    final_fitness: tuple[float | None, ...]
    sequential_depth: int
    sequential_units: int
    peak_proposals: int
    discarded_units: int
    surviving_founders: int
    exploits: int
    failures: int
    diagnostics: Diagnostics


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MethodSummary:
    """One method on all seeds. The estimates are None before any test.

    `reach` is the largest share of its range that each hyperparameter can move, as `diagnostics.reach_of` computes it, or None.
    """

    finished: bool
    cost: Cost
    test_return: Estimate | None
    iqm: Estimate | None
    reach: Mapping[str, float] | None
    seeds: Mapping[int, SeedSummary]

    @property
    def budget(self) -> int:
        """What the method may spend on all seeds, in units."""
        return sum(seed.budget for seed in self.seeds.values())


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineMargins:
    """How far above the task's baseline the winners are: its mean over `episodes`, and the margin of each method."""

    mean: float
    episodes: int
    margins: Mapping[str, Estimate | None]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Two methods compared. Both p values are None if there are too few seeds for an interval over seeds.

    `detectable_difference` is the true difference that would be found 4 times in 5, as `Chance.detectable` explains; None if
    none could be found.
    """

    mean_test_returns: Mapping[str, tuple[float, ...]]
    difference: Estimate
    probability_of_improvement: Estimate
    iqm: Mapping[str, Estimate]
    p_value: float | None
    p_value_corrected: float | None
    detectable_difference: float | None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One method against another, or `refused`, the reason why they are not compared; `verdict` says either in words.

    `methods` is empty if a run has only one method. `family` says which p values are corrected together; the "primary" contrast
    is alone. `baseline` is None if the baseline was not measured, `measured` if the comparison was refused.
    """

    methods: tuple[str, ...]
    family: Family
    refused: str | None
    verdict: str
    baseline: BaselineMargins | None
    measured: Measured | None

    def to_json(self) -> dict[str, JSON]:
        """Plain JSON; what was not measured is absent."""
        absent = {"measured"} if self.methods else {"measured", "methods"}
        told = {name: value for name, value in plain(self).items() if name not in absent}
        return told | (plain(self.measured) if self.measured else {})


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The outcome of a run: each method, the comparisons, the primary contrast first, and the caveats."""

    task: str
    task_options: Mapping[str, JSON]
    status: RunStatus
    command: str
    commit: str | None
    seeds: tuple[int, ...]
    population: int
    methods: Mapping[str, MethodSummary]
    comparison: Comparison
    further_comparisons: tuple[Comparison, ...]
    caveats: tuple[str, ...]

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """All comparisons: the primary contrast, if one was declared, and the reference against each of the others."""
        return self.comparison, *self.further_comparisons

    @property
    def words(self) -> Words:
        """The nouns of the task."""
        return task_type(self.task).words(self.task_options)

    def to_json(self) -> dict[str, JSON]:
        """The content of summary.json."""
        return {
            "version": VERSION,
            **plain(self),
            "comparison": self.comparison.to_json(),
            "further_comparisons": [comparison.to_json() for comparison in self.further_comparisons],
        }
