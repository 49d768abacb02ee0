"""A sheet of the pictures that the best of each generation left, for tasks that have pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from matplotlib.figure import Figure

from rl_pbt.arrays import Array
from rl_pbt.store.checkpoints import FolderCheckpoints
from rl_pbt.store.history import History
from rl_pbt.tasks.base import TaskType
from rl_pbt.text import score_text

MOST_ROWS = 24  # of a sheet; of more generations, this many at equal distances, including the first and the last
GAP, PAPER = 2, 255  # pixels between pictures, and their value
INCHES = 0.36  # the side of a picture


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Row:
    """The pictures [N, H, W] of one proposal, with a label: its generation and fitness."""

    label: str
    pictures: Array


def rows_of(history: History, checkpoints: FolderCheckpoints, task: TaskType) -> list[Row]:
    """A row for the best of each generation that left pictures, if their number and size are those of the first row."""
    rows: list[Row] = []
    rounds = history.rounds
    for number in sorted({round(place) for place in np.linspace(0, len(rounds) - 1, min(MOST_ROWS, len(rounds)))}):
        scored = [(score, -trial.proposal.id, trial) for trial in rounds[number] if (score := trial.result.score) is not None]
        if not scored:
            continue
        score, _, best = max(scored, key=lambda one: one[:2])
        exhibit = checkpoints.exhibited(best.proposal.id)
        pictures = None if exhibit is None else task.pictures(exhibit)
        if pictures is not None and (not rows or pictures.shape == rows[0].pictures.shape):
            rows.append(Row(label=f"{best.proposal.generation}: {score_text(score)}", pictures=pictures))
    return rows


def sheet(rows: Sequence[Row], *, title: str) -> Figure:
    """A figure with the rows one below the other; there must be one at least."""
    count, height, width = rows[0].pictures.shape
    paper = np.full((len(rows) * (height + GAP), count * (width + GAP)), PAPER, dtype=np.uint8)
    for place, row in enumerate(rows):
        top = place * (height + GAP)
        for column, picture in enumerate(row.pictures):
            left = column * (width + GAP)
            paper[top : top + height, left : left + width] = picture
    figure = Figure(figsize=(1.6 + INCHES * count, 0.8 + INCHES * len(rows) * height / width), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(paper, cmap="gray", vmin=0, vmax=PAPER, interpolation="nearest")
    axes.set_yticks([place * (height + GAP) + height / 2 for place in range(len(rows))], [row.label for row in rows], fontsize=8)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_ylabel("generation: fitness of its best")
    axes.set_title(title, loc="left", fontweight="bold", fontsize=10)
    return figure
