"""A browser for all tests of pages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rl_pbt.report.browser import Tab, chromium


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with chromium(tmp_path_factory.mktemp("chromium")) as tab:
        yield tab


@pytest.fixture
def tab(browser: Tab) -> Iterator[Tab]:
    """After a test the console may hold no complaint, and nothing may have been asked of a network."""
    browser.complaints.clear()
    browser.requested.clear()
    yield browser
    assert browser.complaints == []
    assert [address for address in browser.requested if not address.startswith(("file:", "data:"))] == []
