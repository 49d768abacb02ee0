"""`comparison.md` and its figures: several runs on one page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from rl_pbt.errors import BadSetting
from rl_pbt.report import plots, style
from rl_pbt.report.page import harmless
from rl_pbt.report.several import Compared, Group, settings_that_differ
from rl_pbt.report.several_tables import markdown_of
from rl_pbt.report.statistics import LEAST_SEEDS
from rl_pbt.report.writing import as_labels
from rl_pbt.store.files import check_inside, write_durably
from rl_pbt.store.run import RunFolder
from rl_pbt.text import counted

PAGE = "comparison.md"
CURVES, SCORES = "learning_curves.png", "test_scores.png"


def check_apart(folder: Path, groups: Sequence[Group]) -> None:
    """Raises BadSetting if a page written into `folder` would lie in the folder of a run, and its figures among the run's own."""
    place = folder.resolve()
    runs = {column.folder.resolve() for group in groups for column in group.columns}
    if RunFolder(folder).begun or any(place.is_relative_to(run) for run in runs):
        raise BadSetting("out", f"must be a folder outside of all runs, but {folder} is a run or lies in one")


def write_page(compared: Compared, folder: Path) -> Path:
    """Write the page and its figures into `folder`; the same runs give the same bytes. Returns the path of the page."""
    groups = compared.groups
    places = [""] if len(groups) == 1 else _names(groups)
    for group, place in zip(groups, places, strict=True):
        check_inside(folder, *filter(None, [place]), CURVES)
        _draw(group, folder / place)
    check_inside(folder, PAGE)
    write_durably(folder / PAGE, page_of(compared, places).encode())
    return folder / PAGE


def _names(groups: Sequence[Group]) -> list[str]:
    """For each group, the name of the folder with its figures."""
    names = [re.sub(r"\W+", "-", group.title, flags=re.ASCII).strip("-") for group in groups]
    return [name if name and names.count(name) == 1 else f"{name}-{place}" for place, name in enumerate(names, 1)]


def page_of(compared: Compared, places: Sequence[str]) -> str:
    """The page in Markdown; `places` are the folders of the figures, relative to it."""
    groups = compared.groups
    heading = [f"# {harmless(groups[0].title)}"] if len(groups) == 1 else [f"# {counted(len(groups), 'comparison')}"]
    parts = [part for group, place in zip(groups, places, strict=True) for part in _parts(group, place, len(groups) > 1)]
    return "\n\n".join(part.strip("\n") for part in [*heading, *parts, _measured(groups), *_left_out(compared)]) + "\n"


def _parts(group: Group, place: str, titled: bool) -> Iterator[str]:
    if titled:
        yield f"## {harmless(group.title)}"
    for pair in group.pairs:
        yield f"**{harmless(pair.verdict)}**"
    yield markdown_of(group)
    for name in (CURVES, SCORES):
        yield f"![{Path(name).stem}]({place}{'/' if place else ''}{name})"
    if differing := settings_that_differ(group):
        yield "Settings that differ from each run to the next:"
        yield "\n".join(f"* {harmless(runs)}: {harmless(settings)}" for runs, settings in differing)


def _left_out(compared: Compared) -> Iterator[str]:
    """A list of the runs that are not compared."""
    if compared.left_out:
        yield "## Left out"
        yield "\n".join(f"* {harmless(refusal)}" for refusal in compared.left_out)


def _measured(groups: Sequence[Group]) -> str:
    """How to read the numbers."""
    pairs = [pair for group in groups for pair in group.pairs if pair.refused is None]
    together = sum(pair.p_value is not None for pair in pairs)
    text = (
        f"The first row of a table is compared with each of the others. An interval over seeds needs at least {LEAST_SEEDS} "
        "seeds; with fewer it is over test episodes, and says nothing about other seeds."
    )
    if together > 1:
        text += f" The p values are corrected for {counted(together, 'comparison')} together (Holm)."
    if any(column.evidence.config.primary for group in groups for column in group.columns):
        text += " A primary contrast that a run declared is tested alone only in that run's own report."
    if paired := [" and ".join(pair.labels) for pair in pairs if pair.paired]:
        text += f" Paired by seed, since the same seed gives the same initial members and the same test: {'; '.join(paired)}."
    if unpaired := [" and ".join(pair.labels) for pair in pairs if not pair.paired]:
        text += (
            " Not paired, since their seeds or their settings differ: intervals are Welch's, and p values are from an unpaired "
            f"permutation test, which is less sensitive: {'; '.join(unpaired)}."
        )
    return f"## How it was compared\n\n{harmless(text)}"


def _draw(group: Group, folder: Path) -> None:
    histories = {_as_label(column.label): list(column.by_seed.values()) for column in group.columns}
    words = as_labels(group.words)
    style.save(plots.learning_curves(histories, words=words), folder / CURVES)
    style.save(plots.winners_scores(histories, words=words), folder / SCORES)


def _as_label(label: str) -> str:
    """A label that Matplotlib shows in a legend, from which it leaves out those that begin with an underscore."""
    return style.literal(label) if not label.startswith("_") else f" {style.literal(label)}"
