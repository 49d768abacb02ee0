"""`report.html`: the content of the report, filled into its template."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import final

from rl_pbt.errors import plain_text
from rl_pbt.report import tables
from rl_pbt.report.evidence import Evidence
from rl_pbt.report.family_tree import has_tree
from rl_pbt.report.style import COLOURS, colours
from rl_pbt.report.summary import Summary
from rl_pbt.report.tables import Table
from rl_pbt.report.web.charts import anytime_curves, learning_curves, test_scores
from rl_pbt.report.web.embedding import Block, embedded
from rl_pbt.report.web.rendering import Tile, rendered, tile_of
from rl_pbt.report.web.schedules import schedule_figures
from rl_pbt.report.web.tree import tree_figure
from rl_pbt.store.descent import copies, has_schedules
from rl_pbt.store.history import History
from rl_pbt.text import counted, duration, listed, value_text

MOST_OPEN = 6  # populations that are unfolded at first
NO_SHEETS: Mapping[tuple[str, int], bytes] = MappingProxyType({})
LARGEST = 3_400_000  # bytes of all populations; with Bokeh and the rest, a page stays below 5 MB


def document_of(evidence: Evidence, summary: Summary, sheets: Mapping[tuple[str, int], bytes] = NO_SHEETS) -> str:
    """The page in HTML; the same evidence gives the same text. `sheets` are PNG files by method and seed."""
    return rendered(
        "page.html",
        tiles=_tiles(summary),
        **_told(evidence, summary),
        **_drawn(evidence, sheets),
    )


def _told(evidence: Evidence, summary: Summary) -> Mapping[str, object]:
    """The text and tables of the page."""
    scores = evidence.baseline
    return {
        "kind": "report",
        "title": evidence.title,
        "methods": evidence.config.methods,
        "facts": _facts(evidence),
        "state": tables.state_of(evidence),
        "failure": tables.failure_of(evidence),
        "verdicts": tables.verdicts(summary),
        "caveats": summary.caveats,
        "few": len(evidence.histories) <= len(COLOURS),
        "by_training": _by_training(evidence),
        "seeds": len(evidence.config.seeds),
        "words": evidence.words,
        "baseline": f"{evidence.words.baseline}, {value_text(sum(scores) / len(scores))}" if scores else "",
        "results": tables.results(summary),
        "compared": tables.compared(summary),
        "beside": tables.beside(evidence),
        "beside_note": tables.BESIDE,
        "accounted": tables.accounted(summary),
        "accounting": tables.accounting(summary),
        "accounting_note": tables.accounting_note(summary),
        "diagnostics": tables.diagnostics(summary),
        "diagnostics_note": tables.DIAGNOSTICS,
        "measuring": tables.measuring(evidence),
        "command": plain_text(evidence.manifest.command),
        "run": _run(evidence),
    }


def _by_training(evidence: Evidence) -> str:
    """The methods whose curves show returns of training episodes instead of fitness."""
    return listed([name for name, by_seed in evidence.histories.items() if any(h.by_training for h in by_seed.values())])


def _drawn(evidence: Evidence, sheets: Mapping[tuple[str, int], bytes]) -> Mapping[str, object]:
    """The figures of the page."""
    histories, words = evidence.histories, evidence.words
    figures = {
        "curves": learning_curves(histories, words),
        "anytime": anytime_curves(histories, words, evidence.baseline),
        "scores": test_scores(histories, words, evidence.baseline),
    }
    populations = list(_populations(evidence, sheets))
    return {
        **{name: embedded(name, [figure]) if figure is not None else None for name, figure in figures.items()},
        "populations": [population for population in populations if population.drawn],
        "left_out": [population.name for population in populations if not population.drawn],
    }


def _tiles(summary: Summary) -> list[Tile]:
    shades = colours(len(summary.methods))
    return [
        tile_of(name, method.test_return, colour, summary.words)
        for (name, method), colour in zip(summary.methods.items(), shades, strict=True)
    ]


def _facts(evidence: Evidence) -> list[str]:
    config, elapsed = evidence.config, evidence.manifest.elapsed_s
    return [
        " and ".join(config.methods) if len(config.methods) < 3 else counted(len(config.methods), "method"),
        counted(len(config.seeds), "seed"),
        counted(config.population, "member"),
        f"{config.budget:,} {evidence.words.units} per member",
        *([] if elapsed is None else [duration(elapsed)]),
    ]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """One method on one seed; not `drawn` if the page would become too large."""

    name: str
    colour: str
    drawn: bool
    open: bool = False
    told: str = ""
    schedules: Block | None = None
    tree: Block | None = None
    descent: Table | None = None
    sheet: str = ""  # a data: URL with the picture


def _populations(evidence: Evidence, sheets: Mapping[tuple[str, int], bytes]) -> Iterator[Population]:
    """All populations, the first seed of each method before the others; they are drawn as long as there is room."""
    room = LARGEST
    shades = dict(zip(evidence.histories, colours(len(evidence.histories)), strict=True))
    in_order = sorted(
        (place, rank, method, seed)
        for rank, (method, by_seed) in enumerate(evidence.histories.items())
        for place, seed in enumerate(by_seed)
        if by_seed[seed].trials
    )
    for index, (place, _, method, seed) in enumerate(in_order):
        history = evidence.histories[method][seed]
        sheet = _as_address(sheets[method, seed]) if (method, seed) in sheets else ""
        size = _bytes_of(history) + len(sheet)
        population = Population(
            name=f"{method}, seed {seed}",
            colour=shades[method],
            drawn=size <= room,
            open=place == 0 and index < MOST_OPEN,
            sheet=sheet,
        )
        room -= size if population.drawn else 0
        yield _with_figures(population, evidence, history, index) if population.drawn else population


def _as_address(picture: bytes) -> str:
    """A PNG as a data: URL."""
    return f"data:image/png;base64,{b64encode(picture).decode()}"


def _bytes_of(history: History) -> int:
    """A rough upper estimate of what the figures and the table of a population need."""
    hypers, trials = len(history.trials[0].proposal.hypers), len(history.trials)
    return 3000 + (8000 * hypers if has_schedules(history) else 0) + (trials * (50 + 8 * hypers) if copies(history) else 0)


def _with_figures(population: Population, evidence: Evidence, history: History, index: int) -> Population:
    copied, changed = len(copies(history)), has_schedules(history)
    figures = schedule_figures(history, evidence.config.space, evidence.words) if changed else []
    told = tables.winner_of(history)
    told += f" Members copied others {counted(copied, 'time')}." if copied else ""
    told += "" if changed else " No hyperparameter changed while a member trained."
    return replace(
        population,
        told=told,
        schedules=embedded(f"schedules-{index}", figures) if figures else None,
        tree=embedded(f"tree-{index}", [tree_figure(history, evidence.layouts(history))]) if has_tree(history) else None,
        descent=tables.descent(history, evidence.words) if changed or copied else None,
    )


def _run(evidence: Evidence) -> list[tuple[str, str]]:
    """What a person needs to know to run it again, as (name, text)."""
    config, last, elapsed = evidence.config, evidence.manifest.last, evidence.manifest.elapsed_s
    held = {name: value for name, value in config.hypers.items() if name not in config.search}
    sessions = len(evidence.manifest.sessions)
    told = {
        "methods": ", ".join(config.methods),
        "seeds": ", ".join(map(str, config.seeds)),
        "population": f"{config.population}",
        "budget": f"{config.budget:,} {evidence.words.units} per member, {config.interval:,} per interval",
        "search space": "; ".join(f"{name} {text}" for name, text in config.search.items()),
        "held fixed": "; ".join(f"{name} {value_text(value)}" for name, value in held.items()),
        "commit": last.commit or "",
        "versions": ", ".join(f"{name} {version}" for name, version in last.versions.items()),
        "hardware": ", ".join(f"{name} {value}" for name, value in last.hardware.items() if value),
        "workers": "" if last.workers is None else str(last.workers),
        "elapsed": "" if elapsed is None else duration(elapsed),
        "sessions": f"{sessions}; commit, versions, hardware and workers are the last one's" if sessions > 1 else "",
    }
    return [(name, plain_text(text)) for name, text in told.items() if text]
