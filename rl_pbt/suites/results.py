"""What the cells of a suite found: its page, and whether scores are within the bands that the suite expects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

from rl_pbt.errors import UserError
from rl_pbt.report.evidence import Evidence, read_evidence, returns_of
from rl_pbt.report.statistics import mean_of
from rl_pbt.report.suite import MeasuredCell, scores_of
from rl_pbt.report.suite.page import SuitePage
from rl_pbt.suites.cells import cell_folder
from rl_pbt.suites.definition import Band, Cell, Suite


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class BandCheck:
    """A mean test score, and the band in which it should lie."""

    cell: str
    method: str
    score: float
    band: Band

    @property
    def within(self) -> bool:
        """Whether the score lies in the band."""
        return self.band[0] <= self.score <= self.band[1]


def page_of(suite: Suite, folder: Path, failed: Mapping[str, str]) -> SuitePage:
    """What the cells show together, without those that `failed` or cannot be compared. Raises UserError if none is left."""
    failed = dict(failed)
    cells = []
    for cell in suite.cells:
        if cell.name not in failed:
            try:
                measured = MeasuredCell(name=cell.name, evidence=_evidence(folder, cell), scale=cell.scale)
                scores_of([measured])  # raises if the cell cannot be compared
                cells.append(measured)
            except UserError as error:
                failed[cell.name] = str(error)
    if not cells:
        raise UserError(f"no cell of {suite.title} has a result: {'; '.join(failed.values())}")
    return SuitePage(
        title=suite.title, description=suite.description, primary=suite.primary, scores=scores_of(cells), failed=failed
    )


def band_checks(suite: Suite, folder: Path) -> Iterator[BandCheck]:
    """Every mean test score for which the suite declares a band."""
    for cell in suite.cells:
        if cell.bands:
            histories = _evidence(folder, cell).histories
            for method, band in cell.bands.items():
                yield BandCheck(cell=cell.name, method=method, score=mean_of(returns_of(histories[method])).value, band=band)


def _evidence(folder: Path, cell: Cell) -> Evidence:
    return read_evidence(cell_folder(folder, cell))
