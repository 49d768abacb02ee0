"""`suite.md` and its figures: what all cells of a suite show together, and what each shows by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TypeAlias, final

from rl_pbt.arrays import Floats
from rl_pbt.records import Cost
from rl_pbt.report import style
from rl_pbt.report.comparison import OF_A_SUITE, caveats
from rl_pbt.report.diagnostics import diagnostics_of
from rl_pbt.report.evidence import returns_of, total_cost
from rl_pbt.report.page import harmless
from rl_pbt.report.statistics import Estimate, mean_of
from rl_pbt.report.suite import figures
from rl_pbt.report.suite.claims import Claim, Methods, by_cell, other_contrasts, over_cells
from rl_pbt.report.suite.reaching import reached, share_text
from rl_pbt.report.suite.scores import (
    MeasuredCell,
    SuiteScores,
    aggregated,
    aggregated_iqm,
    improvement,
    mean_score,
    optimality_gap,
)
from rl_pbt.report.tables import INTERVAL, cells_of, trained
from rl_pbt.report.verdict import verdict_of
from rl_pbt.store.files import check_inside, write_durably
from rl_pbt.tasks.words import Words
from rl_pbt.text import NOTHING, counted, readable, table, value_text

Content: TypeAlias = tuple[list[str], list[list[str]]]  # header and rows
PAGE = "suite.md"
AGGREGATES, PROFILES, RANKS = "aggregates.png", "profiles.png", "ranks.png"
SCORES = (
    "Scores are normalised: for each cell, the suite declares which score counts as 0, such as a random policy's, and which as "
    "1. Claims are made in three families: the declared contrast at the top, which is about the mean over cells and is tested "
    "alone; where there are more than two methods, the further comparisons, corrected together; and the contrast in each cell, "
    "corrected for the cells (Holm). In each family, a difference between equal methods is claimed in at most 5 % of suites. "
    "All are paired by seed. p values in a cell's own report are corrected for that cell alone."
)
ESTIMATES = (
    "IQM, optimality gap, profiles and the probability of improvement are rliable's (Agarwal 2021); they describe, and claim "
    "nothing. Intervals are over seeds, and say nothing about cells outside the suite. That of the probability of improvement "
    "takes cells as independent. The bands of the profiles resample seeds within each cell, and are too narrow for few seeds."
)
RANKED = (
    "Ranks are of each cell's mean over seeds, and have a test of their own, at 5 %: methods joined by a bar are not shown to "
    "differ (Friedman, Nemenyi, Demšar 2006). With few cells hardly any difference can be shown."
)
NOT_RANKED = "Ranks are of each cell's mean over seeds. They are not tested: that takes 3 methods and 3 cells."
SHARES = (
    "The share of a budget is read from the anytime curve, the test scores of the best member so far, averaged over seeds and "
    "made monotone (isotonic regression), since the first test that happens to be good enough comes too early. It is as rough "
    "as its interval, which resamples seeds, and nothing is known before a method's first test."
)


@final
@dataclass(frozen=True, kw_only=True)
class SuitePage:
    """A suite's results for its page: `primary` is the contrast that it declares, `reference` the method that the others are
    compared with.
    """

    title: str
    description: str
    primary: Methods
    reference: str
    scores: SuiteScores
    failed: Mapping[str, str]  # cells that have no result, and why

    @property
    def words(self) -> Words:
        """The nouns for a normalised score, which belongs to no single task."""
        return replace(self.scores.cells[0].evidence.words, score="normalised score", episode="episode")

    @cached_property
    def verdict(self) -> str:
        """The verdict on the declared contrast; with a cell missing only what was measured, since that is another contrast."""
        (claim,) = over_cells(self.scores, [self.primary], "primary")
        if not self.failed:
            return verdict_of(self.primary, claim.difference, claim.chance, self.words)
        there = len(self.scores.cells)
        verb, these = ("has", "this one") if there == 1 else ("have", "these")
        return (
            f"Unfinished: {there} of {counted(self.declared, 'cell')} {verb} a result, so the declared primary contrast is not "
            f"tested. Over {these}, {' minus '.join(self.primary)} is {claim.difference.value:+.4g} in mean test "
            f"{self.words.score} (95 % interval {claim.difference.interval_text(self.words)})."
        )

    @cached_property
    def trained(self) -> str:
        """How much the two methods of the contrast trained for in all cells, in sentences: one for each unit."""
        costs: dict[str, dict[str, Cost]] = {}
        for cell in self.scores.cells:
            of_unit = costs.setdefault(cell.evidence.words.short_units, dict.fromkeys(self.primary, Cost()))
            for method in self.primary:
                of_unit[method] += total_cost(cell.evidence.histories[method])
        return " ".join(trained(by_method, units) for units, by_method in costs.items())

    @cached_property
    def others(self) -> list[Claim]:
        """The claims on the other methods over all cells; none with a cell missing."""
        contrasts = [] if self.failed else other_contrasts(self.scores.methods, self.primary, self.reference)
        return over_cells(self.scores, contrasts, "further")

    @cached_property
    def in_each_cell(self) -> list[Claim]:
        """The claims on the contrast in each cell, corrected for all cells of the suite."""
        return by_cell(self.scores, self.primary, missing=len(self.failed))

    @property
    def ahead(self) -> str:
        """In how many cells each method of the contrast is better, in a sentence."""
        first, second = ([claim.better for claim in self.in_each_cell].count(method) for method in self.primary)
        higher = sum(claim.difference.value > 0 for claim in self.in_each_cell)
        return (
            f"{self.primary[0]} is shown to be better in {first} of {counted(self.declared, 'cell')}, and {self.primary[1]} in "
            f"{second}; the mean of {self.primary[0]} is the higher one in {higher}."
        )

    @property
    def declared(self) -> int:
        """The number of cells of the suite, with and without a result."""
        return len(self.scores.cells) + len(self.failed)

    @cached_property
    def caveats(self) -> dict[str, list[str]]:
        """{caveat: names of the cells that have it}."""
        found: dict[str, list[str]] = {}
        for cell in self.scores.cells:
            for caveat in _caveats(cell):
                found.setdefault(caveat, []).append(cell.name)
        return found

    @cached_property
    def aggregates(self) -> dict[str, dict[str, Estimate]]:
        """{name: {method: estimate}}."""
        named: dict[str, Callable[[Floats], Estimate]] = {
            "IQM": aggregated_iqm,
            "optimality gap": partial(aggregated, aggregate=optimality_gap),
            "mean": partial(aggregated, aggregate=mean_score),
        }
        return {name: {method: estimate(of) for method, of in self.scores.by_method.items()} for name, estimate in named.items()}

    def methods_table(self) -> Content:
        """Header and rows: each method over all cells, and the probability that the first of the contrast beats it."""
        header = ["method", "IQM", INTERVAL, "optimality gap", INTERVAL, "mean rank", f"P({self.primary[0]} is better)", INTERVAL]
        return header, [
            [
                method,
                *cells_of((self.aggregates[name][method] for name in ("IQM", "optimality gap")), self.words),
                f"{self.scores.ranks[method]:.2f}",
                *self._improvement(method),
            ]
            for method in self.scores.methods
        ]

    def _improvement(self, method: str) -> list[str]:
        if method == self.primary[0]:
            return [NOTHING, NOTHING]
        return cells_of([improvement(self.scores.by_method[self.primary[0]], self.scores.by_method[method])], self.words)

    def cells_table(self) -> Content:
        """Header and rows: each method on each cell, with the cell's own score and the normalised one."""
        header = ["cell", "budget", "method", "mean test score", INTERVAL, "normalised"]
        return header, [
            [
                cell.name,
                f"{readable(cell.evidence.config.population * cell.evidence.config.budget)} {cell.evidence.words.short_units}",
                method,
                *cells_of([mean_of(returns_of(cell.evidence.histories[method]))], cell.evidence.words),
                f"{self.scores.by_method[method][:, place].mean():.3f}",
            ]
            for place, cell in enumerate(self.scores.cells)
            for method in self.scores.methods
        ]

    def others_table(self) -> Content:
        """Header and rows: the other methods over all cells."""
        header = ["methods", f"difference in mean {self.words.score}", INTERVAL, "p", "p, corrected", "better"]
        return header, [[" minus ".join(claim.methods), *self._claim(claim)] for claim in self.others]

    def contrast_table(self) -> Content:
        """Header and rows: the contrast in each cell."""
        corrected = f"p, corrected for {counted(self.declared, 'cell')}"
        header = ["cell", f"{' minus '.join(self.primary)}, normalised", INTERVAL, "p", corrected, "better"]
        rows = zip(self.scores.cells, self.in_each_cell, strict=True)
        return header, [[cell.name, *self._claim(claim)] for cell, claim in rows]

    def _claim(self, claim: Claim) -> list[str]:
        p_values = [value_text(p_value) for p_value in (claim.chance.p_value, claim.chance.corrected)]
        return [*cells_of([claim.difference], self.words), *p_values, claim.better or "not shown"]

    def reached_table(self) -> Content:
        """Header and rows: the share of the second method's budget after which each of the two tests as well as its winner."""
        first, second = self.primary
        header = [
            "cell",
            f"share of the budget until {first} tests as well as {second}'s winner",
            f"the same for {second} itself",
        ]
        return header, [
            [cell.name, *(share_text(reached(cell, method, second)) for method in self.primary)] for cell in self.scores.cells
        ]


def _caveats(cell: MeasuredCell) -> Iterator[str]:
    """What weakens the results of the cell, as its own report says, except that it is one of several."""
    evidence = cell.evidence
    diagnostics = {
        method: [diagnostics_of(history, evidence.config.space) for history in by_seed.values()]
        for method, by_seed in evidence.histories.items()
    }
    yield from (caveat for caveat in caveats(evidence, diagnostics) if caveat != OF_A_SUITE)


def write_suite_page(page: SuitePage, folder: Path) -> Path:
    """Write the page and its figures into `folder`; the same cells give the same bytes. Returns its path."""
    drawn = {
        AGGREGATES: figures.aggregates(page.aggregates, page.title),
        PROFILES: figures.profiles(page.scores, page.title),
    }
    if page.scores.critical_difference is not None:
        drawn[RANKS] = figures.rank_diagram(page.scores, page.title)
    for name, figure in drawn.items():
        style.save(figure, check_inside(folder, name))
    path = check_inside(folder, PAGE)
    write_durably(path, _text(page, list(drawn)).encode())
    return path


def _text(page: SuitePage, names: Sequence[str]) -> str:
    return "\n\n".join(part.strip("\n") for part in _parts(page, names)) + "\n"


def _parts(page: SuitePage, names: Sequence[str]) -> Iterator[str]:
    scores, config = page.scores, page.scores.cells[0].evidence.config
    yield f"# {harmless(page.title)}"
    yield harmless(page.description)
    over = "" if page.failed else f" This is over {counted(len(scores.cells), 'cell')}."
    yield f"**{harmless(page.verdict)}**{over} {harmless(page.trained)}"
    for cell, why in page.failed.items():
        yield f"**Without {harmless(cell)}: {harmless(why)}**"
    yield f"## The contrast in each cell\n\n{harmless(page.ahead)}\n\n{harmless(table(*page.contrast_table()))}"
    if page.others:
        yield f"## Further comparisons\n\n{harmless(table(*page.others_table()))}"
    yield f"## {counted(len(config.seeds), 'seed')} of every method on every cell\n\n{harmless(table(*page.methods_table()))}"
    yield from (f"![{Path(name).stem}]({name})" for name in names)
    if (p_value := scores.friedman_p) is not None:
        yield f"Friedman's test of equal ranks: p = {p_value:.2g}."
    yield f"## Each cell\n\n{harmless(table(*page.cells_table()))}"
    yield f"{harmless(table(*page.reached_table()))}"
    yield "\n".join(f"* [{cell.name}]({cell.name}/summary.md): {harmless(cell.evidence.title)}" for cell in scores.cells)
    if page.caveats:
        told = (f"* {', '.join(cells)}: {harmless(caveat)}" for caveat, cells in page.caveats.items())
        yield "## What weakens the results\n\n" + "\n".join(told)
    ranked = NOT_RANKED if scores.critical_difference is None else RANKED
    yield f"## How to read it\n\n{SCORES}\n\n{ESTIMATES} {ranked} {SHARES}"
