"""The cells of a suite, one after another: each is a run of its own, which is begun, resumed, or left alone if finished."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TextIO, final

from rl_pbt.errors import BadSetting, UserError
from rl_pbt.observers.base import MakeWatcher
from rl_pbt.observers.cell_line import CellLine
from rl_pbt.opening import open_run
from rl_pbt.options import Settings
from rl_pbt.running import Prepared, complete, owning, prepare
from rl_pbt.store.files import check_inside, disk_errors_in_one_line, write_durably
from rl_pbt.store.owner import RUN_LOCK, owned
from rl_pbt.store.run import SUITE, RunFolder
from rl_pbt.suites.definition import Cell, Suite


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """What changes no result: worker processes, the executor with its options, and a service that the curves are sent to."""

    workers: int | None
    executor: str
    options: Settings
    track: str | None


def usual_folder(suite: Suite) -> Path:
    """The default folder of a suite: always the same, so that the same command continues where it was stopped."""
    return Path("results") / "suites" / f"{suite.name}-v{suite.version}"


def cell_folder(folder: Path, cell: Cell) -> RunFolder:
    """The run folder of a cell of the suite in `folder`."""
    return RunFolder(folder.absolute() / cell.name)


def prepared_cells(suite: Suite, folder: Path, how: How) -> dict[str, Prepared]:
    """Every cell by name, begun or not; nothing is written.

    Raises UserError if the folder belongs to something else or to another suite, or if a cell could not run.
    """
    path = check_inside(folder, SUITE)
    if not path.exists() and folder.is_dir() and any(entry.name != RUN_LOCK for entry in folder.iterdir()):
        raise BadSetting("out", f"names {folder}, which exists and is no suite's: choose another folder")
    if path.exists() and path.read_bytes() != suite.text:
        raise UserError(f"{folder} holds results of another suite, or of another version of {suite.name}: choose another folder")
    return {cell.name: _prepared(cell, folder, how) for cell in suite.cells}


def _prepared(cell: Cell, folder: Path, how: How) -> Prepared:
    try:
        opened = open_run(cell.settings, out=cell_folder(folder, cell).folder)
        return prepare(opened, how.workers, how.executor, how=how.options, track=how.track)
    except UserError as error:
        raise UserError(f"cell {cell.name}: {error}") from None


def carry_out(
    suite: Suite,
    folder: Path,
    cells: Mapping[str, Prepared],
    *,
    command: str,
    stream: TextIO,
    told: Callable[[Cell, str | None], None],
) -> None:
    """Run every cell that has not finished, in order, and call `told` for each cell, with the reason if it failed.

    A cell that fails does not stop the others. Raises UserError if another process owns the suite.
    """
    with disk_errors_in_one_line(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with owned(folder):
        if not (folder / SUITE).exists():
            write_durably(folder / SUITE, suite.text)
        for number, cell in enumerate(suite.cells, 1):
            title = f"{number}/{len(suite.cells)} {cell.name}"
            told(cell, _carried_out(cells[cell.name], command=command, stream=stream, watch=partial(CellLine, title)))


def _carried_out(cell: Prepared, *, command: str, stream: TextIO, watch: MakeWatcher) -> str | None:
    """Run a cell if it has not finished. Returns why it failed; None if it finished."""
    if cell.finished:
        return None
    try:
        with owning(cell) as ours:
            complete(ours, command=command, stream=stream, watch=watch)
    except UserError as error:
        return str(error)
    return None
