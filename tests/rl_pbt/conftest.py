"""What several folders of tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def without_pages() -> Iterator[None]:
    """Runs of this process end without pages and plots, which take longer than small runs: for tests of other things."""
    from rl_pbt import report

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rl_pbt.report.write_report", report.summarise)
        patch.setattr("rl_pbt.api.write_report", report.summarise)
        yield
