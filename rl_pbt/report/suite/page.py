"""`suite.md` and its figures: what all cells of a suite show together, and what each shows by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import final

import numpy as np

from rl_pbt.report import style
from rl_pbt.report.chance import Samples, chances
from rl_pbt.report.evidence import returns_of
from rl_pbt.report.page import harmless
from rl_pbt.report.statistics import Estimate, difference_of, mean_of
from rl_pbt.report.suite import figures
from rl_pbt.report.suite.scores import SuiteScores, aggregated, improvement, interquartile_mean, optimality_gap, reached
from rl_pbt.report.tables import INTERVAL, cells_of
from rl_pbt.report.verdict import verdict_of
from rl_pbt.store.files import check_inside, write_durably
from rl_pbt.tasks.base import Words
from rl_pbt.text import NOTHING, counted, readable, table

PAGE = "suite.md"
AGGREGATES, PROFILES, RANKS = "aggregates.png", "profiles.png", "ranks.png"
READING = (
    "Scores are normalised: for each cell, the suite declares which score counts as 0, such as a random policy's, and which as "
    "1. The contrast above is the suite's only claim: it is about the mean over cells, paired by seed. p values in a cell's own "
    "report are corrected for that cell alone. IQM, optimality gap, profiles and the probability of improvement are rliable's "
    "(Agarwal 2021). Their intervals resample seeds within each cell: they are too narrow for few seeds, and say nothing about "
    "cells outside the suite. Ranks are of each cell's mean over seeds; methods joined by a bar are not shown to differ "
    "(Friedman, Nemenyi, Demšar 2006); with few cells hardly any difference can be shown. The share of a budget is an upper "
    "bound, because the best member is tested at only a few points."
)


@final
@dataclass(frozen=True, kw_only=True)
class SuitePage:
    """A suite's results for its page; `primary` is the contrast that the suite declares."""

    title: str
    description: str
    primary: tuple[str, str]
    scores: SuiteScores
    failed: Mapping[str, str]  # cells that have no result, and why

    @property
    def words(self) -> Words:
        """The nouns for a normalised score, which belongs to no single task."""
        return replace(self.scores.cells[0].evidence.words, score="normalised score", episode="episode")

    @cached_property
    def verdict(self) -> str:
        """The verdict on the declared contrast over all cells."""
        first, second = (self.scores.by_seed(method) for method in self.primary)
        chance = chances({self.primary: Samples(first=first, second=second)}, "primary")[self.primary]
        return verdict_of(self.primary, difference_of(first, second), chance, self.words)

    @cached_property
    def aggregates(self) -> dict[str, dict[str, Estimate]]:
        """{name: {method: estimate}}."""
        named = {"IQM": interquartile_mean, "optimality gap": optimality_gap, "mean": lambda of: np.mean(of, axis=(-2, -1))}
        return {
            name: {method: aggregated(of, aggregate) for method, of in self.scores.by_method.items()}
            for name, aggregate in named.items()
        }

    def methods_table(self) -> tuple[list[str], list[list[str]]]:
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

    def cells_table(self) -> tuple[list[str], list[list[str]]]:
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

    def reached_table(self) -> tuple[list[str], list[list[str]]]:
        """Header and rows: the share of the second method's budget after which the first tests as well as its winner."""
        first, second = self.primary
        shares = {cell.name: reached(cell, first, second) for cell in self.scores.cells}
        return ["cell", f"share of the budget until {first} tests as well as {second}'s winner"], [
            [name, "never" if share is None else f"{share:.0%}"] for name, share in shares.items()
        ]


def write_suite_page(page: SuitePage, folder: Path) -> Path:
    """Write the page and its figures into `folder`; the same cells give the same bytes. Returns its path."""
    drawn = {
        AGGREGATES: figures.aggregates(page.aggregates, page.title),
        PROFILES: figures.profiles(page.scores, page.title),
        RANKS: figures.rank_diagram(page.scores, page.title),
    }
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
    yield f"**{harmless(page.verdict)}** (over {counted(len(scores.cells), 'cell')})"
    for cell, why in page.failed.items():
        yield f"**Without {harmless(cell)}: {harmless(why)}**"
    yield f"## {counted(len(config.seeds), 'seed')} of every method on every cell\n\n{harmless(table(*page.methods_table()))}"
    yield from (f"![{Path(name).stem}]({name})" for name in names)
    if (p_value := scores.friedman_p) is not None:
        yield f"Friedman's test of equal ranks: p = {p_value:.2g}."
    yield f"## Each cell\n\n{harmless(table(*page.cells_table()))}"
    yield f"{harmless(table(*page.reached_table()))}"
    yield "\n".join(f"* [{cell.name}]({cell.name}/summary.md): {harmless(cell.evidence.title)}" for cell in scores.cells)
    yield f"## How to read it\n\n{READING}"
