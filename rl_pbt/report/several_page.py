"""`comparison.md` with its figures, and `comparison.html`: several runs on one page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import fill

from rl_pbt.errors import BadSetting
from rl_pbt.report import plots, style
from rl_pbt.report.page import harmless
from rl_pbt.report.several import Compared, Group, settings_that_differ
from rl_pbt.report.several_tables import described, how_compared, markdown_of
from rl_pbt.report.web import comparison_of
from rl_pbt.report.writing import as_labels
from rl_pbt.store.files import check_inside, write_durably
from rl_pbt.store.run import RunFolder
from rl_pbt.text import counted

TEXT, PAGE = "comparison.md", "comparison.html"
CURVES, SCORES = "learning_curves.png", "test_scores.png"
LONGEST_LINE = 56  # characters of a title, on the smallest figure


def check_apart(folder: Path) -> None:
    """Raises BadSetting if a page written into `folder` would lie in the folder of a run, and its figures among the run's own."""
    place = folder.resolve()
    if any(RunFolder(outer).begun for outer in (place, *place.parents)):
        raise BadSetting("out", f"must be a folder outside of all runs, but {folder} is a run or lies in one")


def write_page(compared: Compared, folder: Path) -> Path:
    """Write the pages and their figures into `folder`; the same runs give the same bytes. Returns the path of the HTML page."""
    groups = compared.groups
    places = [""] if len(groups) == 1 else _names(groups)
    for group, place in zip(groups, places, strict=True):
        check_inside(folder, *filter(None, [place]), CURVES)
        _draw(group, folder / place)
    for name, content in {TEXT: page_of(compared, places), PAGE: comparison_of(compared)}.items():
        write_durably(check_inside(folder, name), content.encode())
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
    return (
        "\n\n".join(
            part.strip("\n")
            for part in [*heading, *parts, f"## How it was compared\n\n{harmless(how_compared(groups))}", *_left_out(compared)]
        )
        + "\n"
    )


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


def _draw(group: Group, folder: Path) -> None:
    histories = {_as_label(column.label): list(column.by_seed.values()) for column in group.columns}
    words = as_labels(group.words)
    title = fill(f"{style.literal(described(group))}:", LONGEST_LINE)
    style.save(plots.learning_curves(histories, words=words, title=f"{title}\nfitness while learning"), folder / CURVES)
    held_out = f"the winners on held-out test {words.held_out}"
    style.save(plots.winners_scores(histories, words=words, title=f"{title}\n{held_out}"), folder / SCORES)


def _as_label(label: str) -> str:
    """A label that Matplotlib shows in a legend, from which it leaves out those that begin with an underscore."""
    return style.literal(label) if not label.startswith("_") else f" {style.literal(label)}"
