"""One table of several runs, and its heading and explanation: as aligned text, Markdown, LaTeX and raw numbers.

Their learning curves as numbers, too.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence

from rl_pbt.report.page import harmless
from rl_pbt.report.several import Column, Group
from rl_pbt.report.statistics import LEAST_SEEDS, Estimate
from rl_pbt.report.tables import INTERVAL, cells_of
from rl_pbt.store.curves import standings
from rl_pbt.text import NOTHING, counted, listed, readable, table

RAW = (
    "method", "run", "environment", "seeds", "budget units", "mean test score", "low", "high", "IQM", "IQM low", "IQM high",
    "units", "cpu seconds",
)  # fmt: skip
OF_CURVES = ("label", "environment", "seed", "units", "best", "median", "lower", "upper")
LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    NOTHING: "--",
}  # fmt: skip
MOST_TITLES = 3  # of what was trained, in one heading
FORMULA = ("=", "+", "-", "@")  # a spreadsheet takes text that begins with one of these for a formula


def described(group: Group) -> str:
    """What was trained, in populations of which sizes: "a2c on CartPole-v1, 8 and 16 members"."""
    titles = list(dict.fromkeys(column.evidence.title for column in group.columns))
    sizes = list(dict.fromkeys(column.evidence.config.population for column in group.columns))
    members = counted(sizes[0], "member") if len(sizes) == 1 else f"{listed([f'{size:,}' for size in sizes])} members"
    return f"{listed(titles) if len(titles) <= MOST_TITLES else group.title}, {members}"


def how_compared(groups: Sequence[Group]) -> str:
    """How to read the numbers of all groups."""
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
    return text


def rows_of(group: Group) -> tuple[list[str], list[list[str]]]:
    """Header and rows, as a person reads them."""
    words = group.words
    header = ["method", "seeds", f"mean test {words.score}", INTERVAL, "IQM", INTERVAL, words.units, "CPU seconds"]
    return header, [
        [column.label, str(len(column.by_seed)), *cells_of((column.mean, column.iqm), words), *_costs(column)]
        for column in group.columns
    ]


def _costs(column: Column) -> list[str]:
    return [readable(column.cost.units), f"{column.cost.cpu_s:.0f}"]


def as_text(groups: Sequence[Group]) -> str:
    """Aligned columns, with the verdicts below."""
    return "\n\n".join("\n".join([group.title, *_in_line(group), *(pair.verdict for pair in group.pairs)]) for group in groups)


def _in_line(group: Group) -> list[str]:
    header, rows = rows_of(group)
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip() for cells in (header, *rows)]


def as_markdown(groups: Sequence[Group]) -> str:
    """A table for each group, under its title if there are several."""
    return "\n".join((f"## {harmless(group.title)}\n\n" if len(groups) > 1 else "") + markdown_of(group) for group in groups)


def markdown_of(group: Group) -> str:
    """The table of one group."""
    return harmless(table(*rows_of(group)))


def as_latex(groups: Sequence[Group]) -> str:
    """An escaped tabular for the package booktabs; with several groups, one below the other."""
    return "\n".join(_latex_of(group) for group in groups)


def _latex_of(group: Group) -> str:
    header, rows = rows_of(group)
    lines = [" & ".join(map(_in_latex, cells)) + r" \\" for cells in (header, *rows)]
    return "\n".join(
        [
            f"% {_in_latex(group.title)}; needs \\usepackage{{booktabs}}",
            rf"\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def _in_latex(text: str) -> str:
    return "".join(LATEX.get(character, character) for character in text)


def as_csv(groups: Sequence[Group]) -> str:
    """One table of raw numbers for all groups."""
    return _csv(RAW, (_raw(group, column) for group in groups for column in group.columns))


def _raw(group: Group, column: Column) -> list[object]:
    config = column.evidence.config
    return [
        column.method,
        column.folder.absolute().name,
        group.title,
        len(column.by_seed),
        config.population * config.budget,
        *_numbers(column.mean),
        *_numbers(column.iqm),
        column.cost.units,
        column.cost.cpu_s,
    ]


def _numbers(estimate: Estimate | None) -> tuple[float | None, float | None, float | None]:
    if estimate is None:
        return None, None, None
    low, high = estimate.interval or (None, None)
    return estimate.value, low, high


def curves_as_csv(groups: Sequence[Group]) -> str:
    """Best, median and quartiles of the population of each column and seed after each round."""
    return _csv(
        OF_CURVES,
        (
            [column.label, group.title, seed, stand.units, stand.best, stand.median, stand.lower, stand.upper]
            for group in groups
            for column in group.columns
            for seed, history in column.by_seed.items()
            for stand in standings(history)
        ),
    )


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """CSV with numbers as Python writes them, so that they are read back exactly; text never becomes a formula."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([[_plain(cell) for cell in row] for row in rows])
    return buffer.getvalue()


def _plain(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


TABLES: Mapping[str, Callable[[Sequence[Group]], str]] = {"md": as_markdown, "latex": as_latex, "csv": as_csv}
