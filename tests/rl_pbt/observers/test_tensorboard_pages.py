"""TensorBoard in a browser, on a real run: what a person sees who opens it and clicks nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import rl_pbt
from tests.rl_pbt.report.browser import Tab, chromium, needs_chromium

pytestmark = needs_chromium
SMALL = {"population": 4, "frames": 2_000, "interval": 500, "workers": 1, "eval_episodes": 2, "test_episodes": 2, "quiet": True}
# JavaScript: all text of the page, also what its elements keep to themselves, where older parts of TensorBoard draw.
TEXT = """(() => {
  const found = [];
  const walk = (node) => { for (const child of node.childNodes) {
    if (child.nodeType === Node.TEXT_NODE) found.push(child.textContent.trim());
    else if (!['STYLE', 'SCRIPT'].includes(child.nodeName)) walk(child);
    if (child.shadowRoot) walk(child.shadowRoot);
  } };
  if (document.body) walk(document.body);
  return found.filter(Boolean).join('\\n');
})()"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where TensorBoard serves the curves of a short run."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    run = rl_pbt.bench("CartPole-v1", methods=["pbt", "random"], out=folder, **SMALL).folder
    with _served(run / "tensorboard") as found:
        yield found


@contextmanager
def _served(logs: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logs), "--port", "0", "--load_fast", "false"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        try:
            yield next(found[0] for line in server.stderr if (found := re.search(r"http://localhost:\d+/", line)))
        finally:
            server.kill()


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with chromium(tmp_path_factory.mktemp("chromium")) as opened:
        opened.call("Emulation.setDeviceMetricsOverride", width=1400, height=1000, deviceScaleFactor=1, mobile=False)
        yield opened


def shown(tab: Tab, address: str, *awaited: str) -> str:
    """The text of a page once it has all that is awaited."""
    tab.call("Page.navigate", url="about:blank")  # a change of the fragment alone would load nothing
    tab.call("Page.navigate", url=address)
    tab.until(f"{list(awaited)}.every((one) => {TEXT}.includes(one))")
    text = tab.value(TEXT)
    assert isinstance(text, str)
    return text


def test_it_opens_on_the_comparison_of_methods(tab: Tab, address: str) -> None:
    shown(tab, address, "best_fitness", "median_fitness", "test_return", "Smoothed")
    groups = "[...document.querySelectorAll('metrics-card-group-toolbar')].map((one) => one.innerText)"
    assert tab.value(groups)[0].split() == ["charts3", "cards"]
    cards = "[...document.querySelectorAll('scalar-card')].slice(0, 3).map((one) => one.innerText)"
    for card in tab.value(cards):
        assert {"pbt-s0", "random-s0"} <= set(card.split()), "both methods in one chart, without a click"


def test_the_page_of_hyperparameters_has_a_row_for_each_method(tab: Tab, address: str) -> None:
    cells = shown(tab, f"{address}#hparams", "random-s0", "hypers/learning_rate/last").split("\n")
    for method in ("pbt", "random"):
        row = cells.index(f"{method}-s0")
        assert cells[row + 1] == method, "the first column tells methods apart"


@pytest.mark.parametrize(("page", "title"), [("custom_scalars", "learning_rate"), ("images", "plots/schedules")])
def test_the_ranges_and_the_pictures_have_pages(tab: Tab, address: str, page: str, title: str) -> None:
    assert title in shown(tab, f"{address}#{page}", title)
