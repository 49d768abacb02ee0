"""`comparison.html`: several runs on one page, filled into its template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

from rl_pbt.report.evidence import Histories
from rl_pbt.report.several import Compared, Group, settings_that_differ
from rl_pbt.report.several_tables import described, how_compared, rows_of
from rl_pbt.report.style import COLOURS, colours
from rl_pbt.report.tables import Table
from rl_pbt.report.web.charts import anytime_curves, learning_curves, test_scores
from rl_pbt.report.web.embedding import Block, embedded
from rl_pbt.report.web.rendering import Tile, rendered, tile_of
from rl_pbt.tasks.words import Words
from rl_pbt.text import counted, listed


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What the page shows of a group; a figure is None where there is nothing to draw."""

    title: str
    words: Words
    verdicts: Sequence[str]
    tiles: Sequence[Tile]
    few: bool  # whether there are colours for bands
    seeds: int
    by_training: str  # columns whose curves are of training episodes
    table: Table
    differing: Sequence[tuple[str, str]]
    curves: Block | None
    anytime: Block | None
    scores: Block | None


def comparison_of(compared: Compared) -> str:
    """The page in HTML; the same runs give the same text."""
    parts = [_part(group, f"group-{place}") for place, group in enumerate(compared.groups)]
    runs = {column.folder for group in compared.groups for column in group.columns}
    return rendered(
        "several.html",
        kind="comparison",
        title=parts[0].title if len(parts) == 1 else counted(len(parts), "comparison"),
        facts=[counted(len(runs), "run")],
        groups=parts,
        how=how_compared(compared.groups),
        left_out=compared.left_out,
    )


def _part(group: Group, name: str) -> Part:
    header, rows = rows_of(group)
    shades = colours(len(group.columns))
    return Part(
        title=described(group),
        words=group.words,
        verdicts=[pair.verdict for pair in group.pairs],
        tiles=[
            tile_of(column.label, column.mean, colour, group.words) for column, colour in zip(group.columns, shades, strict=True)
        ],
        few=len(group.columns) <= len(COLOURS),
        seeds=max(len(column.by_seed) for column in group.columns),
        by_training=listed([c.label for c in group.columns if any(history.by_training for history in c.by_seed.values())]),
        table=Table(header=header, rows=rows),
        differing=settings_that_differ(group),
        **_drawn({column.label: column.by_seed for column in group.columns}, group.words, name),
    )


def _drawn(histories: Mapping[str, Histories], words: Words, name: str) -> dict[str, Block | None]:
    """The figures of a group, whose name no other group has."""
    figures = {
        "curves": learning_curves(histories, words),
        "anytime": anytime_curves(histories, words, ()),
        "scores": test_scores(histories, words, ()),
    }
    return {kind: embedded(f"{name}-{kind}", [one]) if one is not None else None for kind, one in figures.items()}
