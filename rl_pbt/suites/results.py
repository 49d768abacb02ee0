"""What the cells of a suite found: its page, and whether scores are within the bands that the suite expects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from rl_pbt.errors import UserError
from rl_pbt.report.evidence import read_evidence, returns_of
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


def measured(cell: Cell, folder: Path) -> MeasuredCell:
    """A cell that has ended. Raises UserError, one line, if its methods cannot be compared, as when a seed has no result."""
    found = MeasuredCell(name=cell.name, evidence=read_evidence(cell_folder(folder, cell)), scale=cell.scale)
    scores_of([found])
    return found


def page_of(suite: Suite, cells: Sequence[MeasuredCell], failed: Mapping[str, str]) -> SuitePage:
    """What the cells show together; `failed` says why the others have no result. Raises UserError if there is no cell."""
    if not cells:
        raise UserError(f"no cell of {suite.title} has a result: {'; '.join(failed.values())}")
    return SuitePage(
        title=suite.title,
        description=suite.description,
        primary=suite.primary,
        reference=suite.reference,
        scores=scores_of(cells),
        failed=failed,
    )


def band_checks(suite: Suite, cells: Sequence[MeasuredCell]) -> list[BandCheck]:
    """Every mean test score of these cells for which the suite declares a band."""
    return [
        BandCheck(cell=cell.name, method=method, score=mean_of(returns_of(cell.evidence.histories[method])).value, band=band)
        for cell in cells
        for method, band in suite.bands.get(cell.name, {}).items()
    ]
