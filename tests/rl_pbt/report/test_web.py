"""`report.html`: what is in the file, and what a browser makes of it."""

from __future__ import annotations

import hashlib
import json
import math
import re
import subprocess
import sys
import time
from base64 import b64encode
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from bokeh.models import Bezier, Circle, ColumnDataSource, Label, Line

from rl_pbt.records import Cost, FinalTest, Result
from rl_pbt.report.evidence import Evidence, read_evidence
from rl_pbt.report.summarising import summary_of
from rl_pbt.report.tree_layout import tree_layout
from rl_pbt.report.web import charts, document_of, tree
from rl_pbt.store.descent import copies
from rl_pbt.store.history import History, Incumbent
from rl_pbt.store.run import RunFolder
from rl_pbt.text import readable
from tests.rl_pbt.report.browser import FIGURES, TOOLTIPS, UNDRAWN, VIEW, Tab, needs_chromium
from tests.rl_pbt.report.test_plots import SEARCH, WORDS, history, standing_at
from tests.rl_pbt.report.test_report import TRANSLATOR, make_run

LARGEST = 5_000_000  # bytes of a page
SLOWEST_OPENING_S, SLOWEST_ANSWER_S = 40.0, 5.0  # of a large page, also beside other work
HOSTILE = ["</script><script>hacked = 1</script>", '"><img src=x onerror="hacked = 1">', "<!--<script>", "{{ 7*7 }}@x$y"]


class Elements(HTMLParser):
    """The scripts that would run, the data of figures by block, the policy, and the text of all else."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.data: dict[str, str] = {}
        self.policy = ""
        self.text = ""
        self._inside: str | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        assert not any(name.startswith("on") for name in named), f"{tag} has a handler"
        assert not {"src", "href"} & named.keys(), f"{tag} loads something"
        if named.get("http-equiv") == "Content-Security-Policy":
            self.policy = named["content"] or ""
        self._inside = (named.get("data-block") or "") if tag == "script" else None

    def handle_data(self, data: str) -> None:
        if self._inside is None:
            self.text += data
        elif self._inside:
            self.data[self._inside] = self.data.get(self._inside, "") + data
        else:
            self.scripts.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._inside = None


def page_of(run: RunFolder) -> str:
    return page_from(read_evidence(run))


def page_from(evidence: Evidence) -> str:
    return document_of(evidence, summary_of(evidence))


def made_up(folder: Path, histories: dict[str, dict[int, History]], search: dict[str, str] = SEARCH) -> Evidence:
    """Of histories that no ledger holds."""
    manifest = make_run(folder, methods=("pbt",), task=TRANSLATOR).manifest()
    seeds = tuple(next(iter(histories.values())))
    config = replace(manifest.config, methods=tuple(histories), seeds=seeds, search=search)
    return Evidence(status="finished", manifest=replace(manifest, config=config), histories=histories)


def test_the_page_says_all_there_is_to_say(tmp_path: Path) -> None:
    elements = Elements(page_of(make_run(tmp_path, seeds=2)))
    assert list(elements.data) == ["curves", "scores", "schedules-0", "tree-0", "schedules-2", "tree-2"], "random changes nothing"
    for words in (
        "pbt minus random is",
        "95 % interval",
        "Fitness while learning",
        "pbt, seed 1",
        "random, seed 1",
        "Members copied others",
        "Compute accounting, all 2 seeds together",
        "critical path (frames)",
        "reliability of fitness, first half",
        "python -m rl_pbt.bench Made/Up-v0",
        "abc123",
        "learning_rate log:1e-5:1e-2",
    ):
        assert words in elements.text, words
    assert "partial results" not in elements.text


def test_leaders_that_were_tested_are_drawn(tmp_path: Path) -> None:
    tested = FinalTest(proposal=2, returns=(1.0, 2.0), cost=Cost(eval_units=3))
    led = replace(history("pbt"), incumbents=(Incumbent(units=2000, test=tested), Incumbent(units=9000, test=tested)))
    elements = Elements(page_from(made_up(tmp_path, {"pbt": {0: led}})))
    assert "anytime" in elements.data and "The best member so far" in elements.text


def test_a_seed_that_ended_earlier_stays_where_it_ended(tmp_path: Path) -> None:
    """As in the plot: the mean of a method goes on to where the last of its seeds ended, whatever other methods do."""
    seeds = {0: standing_at([[0, 0], [2, 2]]), 1: standing_at([[0, 0], [4, 4], [6, 6]])}
    drawn = charts.learning_curves({"pbt": seeds, "random": {0: standing_at([[1, 1]] * 5)}}, WORDS)
    assert drawn is not None
    readings = next(one for one in drawn.select({"type": ColumnDataSource}) if "median_0" in one.data).data
    units, median = np.asarray(readings["units"]), np.asarray(readings["median_0"])
    assert units[-1] == 100 and np.all(np.isnan(median[units > 60]))
    assert median[units <= 60][-1] == pytest.approx((2 + 6) / 2, abs=0.1)


def test_an_outlier_does_not_flatten_the_scores_and_tells_its_own(tmp_path: Path) -> None:
    returns = (*(float(value % 10) for value in range(30)), 5000.0)
    tested = replace(history("pbt"), test=FinalTest(proposal=0, returns=returns, cost=Cost()))
    drawn = charts.test_scores({"pbt": {0: tested}}, WORDS, [1.0])
    assert drawn is not None
    high = drawn.x_range.end
    data = next(one for one in drawn.select({"type": ColumnDataSource}) if "episode" in one.data).data
    assert np.mean(returns) < high < 1000, "the mean is on the axis"
    assert max(data["place"]) == high and max(data["score"]) == 5000.0


@pytest.mark.parametrize(("baseline", "arrow"), [(-500.0, "◀"), (-150.0, None), (400.0, "▶")])
def test_a_baseline_far_away_is_written_at_the_edge(baseline: float, arrow: str | None) -> None:
    tested = FinalTest(proposal=0, returns=tuple(float(value) for value in range(-120, -60, 5)), cost=Cost())
    led = replace(history("pbt"), test=tested, incumbents=(Incumbent(units=2000, test=replace(tested, returns=(-200.0,))),))
    histories = {"pbt": {0: led}}
    drawn = charts.test_scores(histories, WORDS, [baseline])
    assert drawn is not None
    told = [one.text for one in drawn.select({"type": Label})]
    assert told == ([] if arrow is None else [f"{arrow} copied source: {baseline:.4g}"])
    assert (drawn.x_range.start <= baseline <= drawn.x_range.end) is (arrow is None)
    curves = charts.anytime_curves(histories, WORDS, [baseline])
    assert curves is not None
    told = [one.text for one in curves.select({"type": Label})]
    assert told == ([] if arrow is None else [f"{'▼' if arrow == '◀' else '▲'} copied source: {baseline:.4g}"])


def test_only_the_scripts_of_the_page_may_run(tmp_path: Path) -> None:
    elements = Elements(page_of(make_run(tmp_path)))
    assert len(elements.scripts) == 2
    digests = [b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in elements.scripts]
    assert elements.policy.startswith("default-src 'none'; ")
    assert re.findall(r"'sha256-([^']+)'", elements.policy) == digests
    assert "unsafe-eval" not in elements.policy and "http" not in elements.policy


def hostile(folder: Path, text: str) -> Evidence:
    """A run in which everything that somebody else can name has this name."""
    family = history("pbt", fail=0.2)
    trials = [
        replace(t, proposal=replace(t.proposal, hypers={**t.proposal.hypers, text: text}), result=_failing(t.result, text))
        for t in family.trials
    ]
    search = {**SEARCH, text: f"choice:{text.replace(':', '')}:b"}
    evidence = made_up(folder, {"pbt": {0: replace(family, trials=tuple(trials))}}, search)
    options = {**TRANSLATOR["task_options"], "unit": text, "score": text, "target": f"m:{text}"}
    config = replace(evidence.config, task_options=options, hypers={f"held {text}": text})
    manifest = replace(evidence.manifest, config=config, command=text, reason=text, status="failed")
    return replace(evidence, manifest=manifest, status="failed")


def _failing(result: Result, text: str) -> Result:
    return result if result.failure is None else replace(result, failure=text)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_name_breaks_out_of_the_page(text: str, tmp_path: Path) -> None:
    page = page_from(hostile(tmp_path, text))
    elements = Elements(page)
    assert len(elements.scripts) == 2 and page.count("</script>") == 2 + len(elements.data)
    assert page.count("<script") == 2 + len(elements.data)
    assert text in elements.text and "tree-0" in elements.data
    for data in elements.data.values():
        assert not set("<>&") & set(data)
        json.loads(data)


def test_the_same_run_is_the_same_page_in_every_process(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    here = page_of(run)
    script = (
        "import sys, pathlib, rl_pbt.report as r, rl_pbt.store.run as s; r.write_report(s.RunFolder(pathlib.Path(sys.argv[1])))"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path], check=True)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == here == page_of(run)


@pytest.mark.parametrize("fail", [0.2, 1.0])
@pytest.mark.parametrize("kept", [0, 1, 8, 30])
def test_a_run_that_is_not_finished_has_a_page(kept: int, fail: float, tmp_path: Path) -> None:
    run = make_run(tmp_path, fail=fail, baseline=None)
    path = run.ledger("pbt", 0).path
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:kept]))
    run.write_manifest(replace(run.manifest(), status="interrupted"))
    elements = Elements(page_of(run))
    assert "Interrupted — partial results." in elements.text
    for data in elements.data.values():
        json.loads(data)


def test_methods_that_never_copy_have_no_tree(tmp_path: Path) -> None:
    family = history("random")
    assert not copies(family)
    elements = Elements(page_from(made_up(tmp_path, {"random": {0: family}})))
    assert not any(name.startswith("tree") for name in elements.data)
    assert "No hyperparameter changed" in elements.text


@pytest.fixture(scope="module")
def large_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a hundred members and two hundred intervals, on four seeds."""
    folder = tmp_path_factory.mktemp("large")
    large = history("pbt", population=100, generations=200)
    path = folder / "report.html"
    path.write_text(page_from(made_up(folder, {"pbt": dict.fromkeys(range(4), large)})), encoding="utf-8")
    return path


def test_a_hundred_members_and_two_hundred_intervals_fit(large_page: Path) -> None:
    page = large_page.read_text(encoding="utf-8")
    assert len(page.encode()) < LARGEST
    elements = Elements(page)
    assert "tree-0" in elements.data, "the first population is drawn"
    assert "Left out to keep this page small: pbt, seed" in elements.text


def test_a_tree_that_is_drawn_in_long_lines_has_every_branch(monkeypatch: pytest.MonkeyPatch) -> None:
    family = history("pbt", population=12, generations=12)
    places = {proposal: (round(x, 3), row) for proposal, (x, row) in tree_layout(family).items()}
    monkeypatch.setattr(tree, "MOST_BENT", 0)
    made = tree.tree_figure(family, tree_layout(family))
    drawn = set()
    for renderer in made.renderers:
        assert not isinstance(renderer.glyph, Bezier)
        if isinstance(renderer.glyph, Line):
            x, rows = renderer.data_source.data["x"].tolist(), renderer.data_source.data["y"].tolist()
            points = [(round(at, 3), row) for at, row in zip(x, rows, strict=True)]
            drawn |= {pair for pair in pairwise(points) if not any(math.isnan(at) for at, _ in pair)}
    parents = {trial.proposal.id: trial.proposal.parent for trial in family.trials}
    assert drawn == {(places[parent], places[child]) for child, parent in parents.items() if parent is not None}
    nodes = [renderer for renderer in made.renderers if isinstance(renderer.glyph, Circle)]
    assert sum(len(node.data_source.data["x"]) for node in nodes) == len(family.trials)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of two methods on four seeds: of each the first is unfolded."""
    run = make_run(tmp_path_factory.mktemp("run"), seeds=4, fail=0.1)
    path = run.folder / "report.html"
    path.write_text(page_of(run), encoding="utf-8")
    return path


PAINTED = (
    FIGURES
    + """.map((view) => {
  const walk = (node) => [...node.children].some((child) => {
    if (child.tagName !== 'CANVAS') return walk(child) || (child.shadowRoot !== null && walk(child.shadowRoot));
    const { data } = child.getContext('2d').getImageData(0, 0, child.width, child.height);
    return data.some((value) => value > 0);
  });
  return walk(view.el) || walk(view.el.shadowRoot);
})"""
)


def on_the_winners_line(tab: Tab) -> tuple[float, float]:
    """Where the second node of the winner's line is on the screen."""
    x, y = tab.value(
        "(() => {"
        + VIEW.format(place="tree-0-0")
        + "el.scrollIntoView({block: 'center'}); const box = view.el.getBoundingClientRect();"
        "const data = view.model.renderers.filter((one) => one.glyph.type === 'Circle').at(-1).data_source.data;"
        "return [box.x + view.frame.x_scale.compute(data.x[1]), box.y + view.frame.y_scale.compute(data.row[1])]; })()"
    )
    return x, y


@needs_chromium
def test_all_that_is_unfolded_is_drawn_and_the_rest_when_it_is_opened(tab: Tab, page: Path) -> None:
    tab.open(page)
    assert tab.value(f"{UNDRAWN}.length") == 0
    painted = tab.value(PAINTED)
    assert len(painted) == 5 and all(painted), "curves, scores, two schedules and a tree"
    assert tab.value("document.querySelectorAll('details.population:not([open])').length") == 6
    tab.value("document.querySelectorAll('details.population').forEach((one) => { one.open = true; })")
    tab.until(f"!{UNDRAWN}.length && {FIGURES}.length === 2 + 4 * 3")


@needs_chromium
def test_hovering_tells_hyperparameters_and_fitness(tab: Tab, page: Path) -> None:
    tab.open(page)
    x, y = on_the_winners_line(tab)
    assert tab.value(TOOLTIPS) == []
    tab.mouse(x - 1, y)
    tab.mouse(x, y)
    tab.until(f"{TOOLTIPS}.length === 1")
    (told,) = tab.value(TOOLTIPS)
    for words in ("member", "generation", "fitness", "copied", "learning_rate", "discount"):
        assert words in told


@needs_chromium
def test_a_hundred_members_and_two_hundred_intervals_can_be_hovered_over(tab: Tab, large_page: Path) -> None:
    began = time.monotonic()
    tab.open(large_page)
    assert time.monotonic() - began < SLOWEST_OPENING_S and tab.value(f"{UNDRAWN}.length") == 0
    x, y = on_the_winners_line(tab)
    tab.mouse(x - 1, y)
    moved = time.monotonic()
    tab.mouse(x, y)
    tab.until(f"{TOOLTIPS}.length === 1")
    assert time.monotonic() - moved < SLOWEST_ANSWER_S
    (told,) = tab.value(TOOLTIPS)
    assert "member" in told and "fitness" in told


@needs_chromium
def test_curves_tell_what_they_show_at_a_place(tab: Tab, page: Path) -> None:
    tab.open(page)
    x, y, width, height = tab.value(
        "(() => { const el = document.getElementById('curves-0'); el.scrollIntoView({block: 'center'});"
        "const box = el.getBoundingClientRect(); return [box.x, box.y, box.width, box.height]; })()"
    )
    tab.mouse(x + width / 2 - 1, y + height / 2)
    tab.mouse(x + width / 2, y + height / 2)
    tab.until(f"{TOOLTIPS}.some((told) => /pbt:\\s+median -?[0-9.]+, best/.test(told) && told.includes('random'))")


@needs_chromium
def test_counts_are_written_as_in_the_words_of_the_report(tab: Tab, page: Path) -> None:
    counts = [0, 20, 999, 1_000, 12_500, 250_000, 1_000_000, 1_250_000, 40_000_000, 2_000_000_000]
    tab.open(page)
    found = tab.value(f"{FIGURES}[0].model.below[0].formatter.doFormat({counts}, {{}})")
    assert found == [readable(count) for count in counts]


@needs_chromium
def test_a_tree_can_be_zoomed_into(tab: Tab, page: Path) -> None:
    tab.open(page)
    x, y = on_the_winners_line(tab)
    width = "(() => {" + VIEW.format(place="tree-0-0") + "return view.model.x_range.end - view.model.x_range.start; })()"
    before = tab.value(width)
    tab.mouse(x, y)
    tab.mouse(x, y, kind="mouseWheel", deltaX=0, deltaY=-300)
    tab.until(f"{width} < {0.9 * before}")


@needs_chromium
def test_a_method_can_be_hidden(tab: Tab, page: Path) -> None:
    tab.open(page)
    shown = "(() => {" + VIEW.format(place="curves-0") + "return view.model.renderers.filter((one) => one.visible).length; })()"
    before = tab.value(shown)
    tab.value("document.querySelector('.legend button').click()")
    assert 0 < tab.value(shown) < before
    tab.value("document.querySelector('.legend button').click()")
    assert tab.value(shown) == before


@needs_chromium
def test_the_page_is_dark_where_the_system_is_and_where_it_is_asked_to_be(tab: Tab, page: Path) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    tab.open(page, theme="dark")
    dark = tab.value(ground)
    tab.theme("light")
    light = tab.value(ground)
    assert light != dark
    tab.value("document.getElementById('theme').click()")
    assert tab.value(ground) == dark
    tab.theme("dark")
    tab.value("document.getElementById('theme').click()")
    assert tab.value(ground) == light


@needs_chromium
@pytest.mark.parametrize("width", [375, 768, 1500])
def test_nothing_is_wider_than_the_screen(width: int, tab: Tab, page: Path) -> None:
    tab.open(page, width=width)
    assert tab.value("document.documentElement.scrollWidth") <= width
    widths = tab.value(f"{FIGURES}.map((view) => view.el.clientWidth)")
    assert 250 < min(widths) <= max(widths) <= width


@needs_chromium
def test_a_tap_tells_what_hovering_does(tab: Tab, page: Path) -> None:
    tab.call("Emulation.setTouchEmulationEnabled", enabled=True)
    try:
        tab.open(page, width=375, height=800)
        x, y = on_the_winners_line(tab)
        tab.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        tab.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
        tab.until(f"{TOOLTIPS}.some((told) => told.includes('fitness'))")
    finally:
        tab.call("Emulation.setTouchEmulationEnabled", enabled=False)


@needs_chromium
def test_it_can_be_printed(tab: Tab, page: Path) -> None:
    tab.open(page, theme="dark")
    assert tab.call("Page.printToPDF", printBackground=True)["data"].startswith("JVBERi"), "%PDF"
    assert tab.value("document.documentElement.dataset.theme ?? 'as the system'") == "as the system"


@needs_chromium
@pytest.mark.parametrize("text", HOSTILE)
def test_no_name_runs_in_a_browser(text: str, tab: Tab, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(page_from(hostile(tmp_path / "run", text)), encoding="utf-8")
    tab.open(path)
    x, y = on_the_winners_line(tab)
    tab.mouse(x - 1, y)
    tab.mouse(x, y)
    tab.until(f"{TOOLTIPS}.length === 1")
    assert tab.value("typeof hacked") == "undefined"
    assert tab.value("document.querySelectorAll('img').length") == 0
