"""What a terminal shows during a run, fitted to its lines and columns: heading, bars and members."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import final

from rich.columns import Columns
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from rl_pbt.observers.standing import MemberRow, RunStanding, SearchStanding, current
from rl_pbt.text import NOTHING, TRAINING_EPISODES, counted, duration, fitted, readable, score_text, value_text

GAP = 2  # columns between columns
WIDEST_BAR, NARROWEST_BAR = 24, 6
LEFT_OUT = "..."  # in ASCII, which every terminal shows in as many columns


@final
class Screen:
    """A run as it stands, for rich. It leaves at least one line of the terminal free, so that nothing scrolls."""

    def __init__(self, run: RunStanding) -> None:
        self._run = run

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, height = options.max_width, console.size.height - 1
        bars = _bars(self._run, width, most=max(1, height // 3))
        yield _heading(self._run, width)
        yield bars
        yield _total(self._run, width)
        if self._run.searches and self._run.search.newest:
            yield Text()
            yield _members(self._run.search, width, height - 3 - bars.row_count, ascii_only=options.ascii_only)


def _heading(run: RunStanding, width: int) -> Text:
    outline = run.outline
    seeds = f"seed {outline.seeds[0]}" if len(outline.seeds) == 1 else counted(len(outline.seeds), "seed")
    told = f"{outline.title} · {counted(outline.population, 'member')} · {seeds}"
    text = Text(no_wrap=True, overflow="ellipsis").append("rl_pbt", style="bold cyan").append(f" · {told}", style="bold")
    room = width - len(text.plain)
    return text.append(_end_of(outline.folder, room - GAP).rjust(room), style="dim")


def _end_of(folder: str, room: int) -> str:
    """As many of its last parts as fit: their names tell runs apart."""
    parts = Path(folder).parts
    ends = (folder, *(str(Path(LEFT_OUT, *parts[start:])) for start in range(1, len(parts))))
    return next((end for end in ends if len(end) <= room), "")


def _bars(run: RunStanding, width: int, most: int) -> Table:
    """One line per method; if there is not enough room, those around the current one."""
    methods = list(run.outline.methods)
    shown = methods
    if len(methods) > most:
        now = methods.index(run.search.method) if run.searches else 0
        first = max(0, min(now - (most - 1) // 2, len(methods) - most + 1))
        shown = methods[first : first + most - 1]
    names, room = _widths(run, width)
    table = _bar_table(names, width)
    for method in shown:
        bar = ProgressBar(
            total=run.outline.units * len(run.outline.seeds), completed=run.spent_by(method), width=_bar_width(width)
        )
        table.add_row(method, bar, _told_of(run, method, room))
    if len(shown) < len(methods):
        table.add_row(Text(LEFT_OUT, style="dim"), "", Text(f"{len(methods) - len(shown)} more methods", style="dim"))
    return table


def _widths(run: RunStanding, width: int) -> tuple[int, int]:
    """Columns for the names of the methods, and for what is told of each."""
    names = min(width // 3, max(map(len, (*run.outline.methods, "total"))))
    return names, max(1, width - names - _bar_width(width) - 2 * GAP)


def _bar_table(names: int, width: int) -> Table:
    """Names and bars have fixed widths: rich would take columns from them where the text is too long."""
    table = Table.grid(padding=(0, GAP, 0, 0))
    table.add_column(no_wrap=True, overflow="ellipsis", width=names)
    table.add_column(no_wrap=True, width=_bar_width(width))
    table.add_column(no_wrap=True, overflow="ellipsis")
    return table


def _bar_width(width: int) -> int:
    return max(NARROWEST_BAR, min(WIDEST_BAR, width // 5))


def _told_of(run: RunStanding, method: str, room: int) -> Text:
    searches, seeds = run.of(method), run.outline.seeds
    if not searches:
        return Text("waiting", style="dim")
    tested = run.tested(method)
    result = "" if tested is None else f"test {run.outline.words.score} {score_text(tested)}"
    if len(searches) == len(seeds) and all(search.test is not None for search in searches):
        return Text(result or "no winner", style="green")
    shown = current(searches)
    told = [f"seed {searches.index(shown) + 1}/{len(seeds)}"] if len(seeds) > 1 else []
    if shown.test is None:
        told += _place(shown, run.outline.generations)
    return Text(fitted([*told, *([result] if result else [])], room))


def _place(search: SearchStanding, generations: int) -> list[str]:
    """How far a search has come, and how well its members do."""
    if search.is_reevaluating:
        place = "final re-evaluation"
    elif (generation := search.generation) is not None:
        place = f"generation {generation}/{max(generations, generation)}"
    else:
        place = f"interval {search.trained + 1}"
    best, middle = search.best, search.median
    scores = [] if best is None or middle is None else [f"best {score_text(best)}", f"median {score_text(middle)}"]
    copies = [counted(search.copies, "copy", "copies")] if search.copies else []
    return [place, *scores, *copies, *([f"({TRAINING_EPISODES})"] if scores and search.by_training else [])]


def _total(run: RunStanding, width: int) -> Table:
    spent, total = run.spent, run.outline.total
    names, room = _widths(run, width)
    table = _bar_table(names, width)
    share = 100 * spent / total
    units = f"{readable(spent)}/{readable(total)} {run.outline.words.short_units}"
    bar = ProgressBar(total=total, completed=spent, width=_bar_width(width))
    table.add_row(Text("total", style="bold"), bar, fitted([f"{share:.0f} %  {time_told(run)}", units], room))
    return table


def time_told(run: RunStanding) -> str:
    """The time elapsed, and an estimate of the time left."""
    elapsed, left = f"{duration(run.elapsed_s)} elapsed", run.left_s
    if left is None:
        return elapsed
    return f"{elapsed}, ~{duration(left)} left" if left else f"{elapsed}, testing the winner"


def _members(search: SearchStanding, width: int, height: int, *, ascii_only: bool) -> Group:
    """The members, in several columns if one is too short; if not all of them fit, the best."""
    rows = search.rows()
    headings = _headings_that_fit(list(rows[0].proposal.hypers), width)
    beside = max(1, (width + GAP) // (_table_width(headings) + GAP))
    room = max(1, height - 2)  # the header, and a line that says how many are not shown
    lines = min(room, -(-len(rows) // beside)) if beside > 1 and len(rows) > room else room
    shown = _best_of(rows, beside * lines)
    best = max((row.fitness for row in rows if row.fitness is not None and not row.is_copied), default=None)
    tables = [
        _member_table(shown[start : start + lines], headings, best, ascii_only=ascii_only)
        for start in range(0, len(shown), lines)
    ]
    worse = ", not as good" if all(row.fitness is not None for row in rows) else ""
    hidden = [counted(len(rows) - len(shown), "more member") + worse] if len(shown) < len(rows) else []
    left_out = len(set(rows[0].proposal.hypers) - set(headings))
    hidden += [f"{counted(left_out, 'more hyperparameter')} on a wider terminal"] if left_out else []
    foot = [Text("; ".join(hidden), style="dim", no_wrap=True, overflow="ellipsis")] if hidden else []
    return Group(Columns(tables, padding=(0, GAP)) if len(tables) > 1 else tables[0], *foot)


def _best_of(rows: Sequence[MemberRow], room: int) -> list[MemberRow]:
    """The rows by member number; if there is not enough room, only those with the highest fitness."""

    def least_wanted(row: MemberRow) -> tuple[bool, float]:
        return (row.fitness is None, 0.0 if row.fitness is None else -row.fitness)

    return sorted(sorted(rows, key=least_wanted)[:room], key=lambda row: row.proposal.member)


FIXED = {"#": 6, "from": 4, "fitness": 9, "change": 9}  # headings, with the least width of each
DROPPED_LAST = ("from", "change")  # only on a very narrow terminal, from the last on


def _width_of(heading: str) -> int:
    return FIXED.get(heading) or max(len(heading), 9)


def _table_width(headings: Sequence[str]) -> int:
    return sum(map(_width_of, headings)) + GAP * (len(headings) - 1)


def _headings_that_fit(hypers: list[str], width: int) -> list[str]:
    """The headings that fit. Hyperparameters are dropped first, from the last one on."""
    headings, expendable = [*FIXED, *hypers], [*DROPPED_LAST, *hypers]
    while expendable and _table_width(headings) > width:
        headings.remove(expendable.pop())
    return headings


def _member_table(rows: Sequence[MemberRow], headings: Sequence[str], best: float | None, *, ascii_only: bool) -> Table:
    table = Table.grid(padding=(0, GAP, 0, 0))
    for heading in headings:
        table.add_column(Text(heading, style="bold"), justify="right", no_wrap=True, min_width=_width_of(heading))
    table.show_header = True
    star, mark = ("*", ">") if ascii_only else ("★", "▸")
    for row in rows:
        is_best = best is not None and row.fitness == best and not row.is_copied
        cells = {
            "#": Text(f"{mark if row.is_underway else ' '} {row.proposal.member} ").append(star if is_best else " ", "yellow"),
            "from": Text("" if row.donor is None else str(row.donor)),
            "fitness": _fitness_cell(row, is_best=is_best),
            "change": _change_cell(row),
            **_hyper_cells(row),
        }
        table.add_row(*(cells[heading] for heading in headings))
    return table


def _fitness_cell(row: MemberRow, *, is_best: bool) -> Text:
    if row.failed:
        return Text("failed", style="red")
    if row.fitness is None:
        return Text(NOTHING, style="dim")
    return Text(score_text(row.fitness), style="dim" if row.is_copied else "bold" if is_best else "")


def _change_cell(row: MemberRow) -> Text:
    if row.is_copied:
        return Text("copied", style="dim")
    if row.change is None:
        return Text()
    return Text(score_text(row.change, sign=True), style="green" if row.change > 0 else "red" if row.change < 0 else "dim")


def _hyper_cells(row: MemberRow) -> dict[str, Text]:
    """Current values; those that changed are highlighted."""
    return {
        name: Text(value_text(value), style="bold yellow" if name in row.changed else "")
        for name, value in row.proposal.hypers.items()
    }
