"""`comparison.html`: what is in the file, and what a browser makes of it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from rl_pbt.records import Cost, FinalTest
from rl_pbt.report.several import Compared, compare
from rl_pbt.report.several_tables import described
from rl_pbt.report.web import comparison_of
from rl_pbt.store.history import Incumbent
from rl_pbt.store.run import RunFolder
from tests.rl_pbt.report.browser import FIGURES, TOOLTIPS, UNDRAWN, VIEW, Tab, needs_chromium
from tests.rl_pbt.report.test_report import make_run
from tests.rl_pbt.report.test_several import configured, on
from tests.rl_pbt.report.test_web import HOSTILE, Elements

ENVIRONMENTS = ("Made/Up-v0", "Other-v1")


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs on each of two environments, and one that is left out."""
    folder = tmp_path_factory.mktemp("suite")
    make_run(folder / "better", methods=("pbt",), seeds=3, bonus=5.0)
    make_run(folder / "usual", methods=("pbt", "random"), seeds=3)
    for name in ("better", "usual"):
        on(RunFolder(Path(shutil.copytree(folder / name, folder / f"other {name}"))), env=ENVIRONMENTS[1])
    configured(RunFolder(Path(shutil.copytree(folder / "usual", folder / "costly"))), budget=9000)
    return folder


@pytest.fixture(scope="module")
def page(suite: Path) -> Path:
    path = suite / "comparison.html"
    path.write_text(comparison_of(compare([suite])), encoding="utf-8")
    return path


def test_the_page_says_all_that_is_compared(suite: Path) -> None:
    compared = compare([suite])
    elements = Elements(comparison_of(compared))
    assert [name for name in elements.data if name.endswith(("curves", "scores"))] == [
        f"group-{group}-{kind}" for group in (0, 1) for kind in ("curves", "scores")
    ]
    for data in elements.data.values():
        json.loads(data)
    for group, env in zip(compared.groups, ENVIRONMENTS, strict=True):
        assert described(group) == f"a2c on {env}, 6 members" and described(group) in elements.text
        assert all(pair.verdict in elements.text for pair in group.pairs)
        assert all(column.label in elements.text for column in group.columns)
    for words in ("Test return", "Fitness while learning", "How it was compared", "Paired by seed", "evaluated only at the end"):
        assert words in elements.text, words
    assert "Left out" in elements.text and all(refusal in elements.text for refusal in compared.left_out)
    assert len(elements.scripts) == 2 and elements.policy.startswith("default-src 'none'; ")


def test_the_heading_says_which_agents_and_sizes_there_are(suite: Path, tmp_path: Path) -> None:
    folders = [Path(shutil.copytree(suite / "usual", tmp_path / name)) for name in ("one", "two")]
    configured(on(RunFolder(folders[1]), agent="ppo"), population=12, budget=2500)
    (group,) = compare(folders).groups
    assert described(group) == "a2c on Made/Up-v0 and ppo on Made/Up-v0, 6 and 12 members"


def test_leaders_that_were_tested_are_drawn(suite: Path) -> None:
    (group, _) = compare([suite]).groups
    column = group.columns[0]
    tested = FinalTest(proposal=2, returns=(1.0, 2.0), cost=Cost(eval_units=3))
    led = {seed: replace(h, incumbents=(Incumbent(units=2000, test=tested),)) for seed, h in column.by_seed.items()}
    evidence = replace(column.evidence, histories={column.method: led})
    columns = (replace(column, evidence=evidence), *group.columns[1:])
    elements = Elements(comparison_of(Compared(groups=(replace(group, columns=columns),))))
    assert "group-0-anytime" in elements.data and "The best member so far" in elements.text


@pytest.mark.parametrize("text", HOSTILE)
def test_no_name_breaks_out_of_the_page(text: str, suite: Path, tmp_path: Path) -> None:
    runs = [Path(shutil.copytree(suite / "better", tmp_path / name)) for name in ("usual", text.replace("/", "\\"))]
    for run in runs:
        on(RunFolder(run), env=text)
    page = comparison_of(compare(runs))
    elements = Elements(page)
    assert len(elements.scripts) == 2 and page.count("<script") == page.count("</script>") == 2 + len(elements.data)
    assert text in elements.text


@needs_chromium
def test_all_of_it_is_drawn_and_tells_what_it_shows(tab: Tab, page: Path) -> None:
    tab.open(page)
    assert tab.value(f"{UNDRAWN}.length") == 0 and tab.value(f"{FIGURES}.length") == 4
    x, y, width, height = tab.value(
        "(() => { const el = document.getElementById('group-1-curves-0'); el.scrollIntoView({block: 'center'});"
        "const box = el.getBoundingClientRect(); return [box.x, box.y, box.width, box.height]; })()"
    )
    tab.mouse(x + width / 2 - 1, y + height / 2)
    tab.mouse(x + width / 2, y + height / 2)
    tab.until(f"{TOOLTIPS}.some((told) => told.includes('other usual: pbt') && told.includes('other usual: random'))")


@needs_chromium
def test_a_column_is_hidden_in_its_own_group_alone(tab: Tab, suite: Path, tmp_path: Path) -> None:
    """Groups may have the same names: here the runs of each are of two methods, and alone in it."""
    for name in ("usual", "other usual"):
        shutil.copytree(suite / name, tmp_path / name)
    path = tmp_path / "comparison.html"
    path.write_text(comparison_of(compare([tmp_path])), encoding="utf-8")
    tab.open(path)
    shown = [
        "(() => {" + VIEW.format(place=place) + "return view.model.renderers.filter((one) => one.visible).length; })()"
        for place in ("group-0-curves-0", "group-1-curves-0")
    ]
    before = [tab.value(one) for one in shown]
    tab.value("document.querySelector('.legend button').click()")
    after = [tab.value(one) for one in shown]
    assert 0 < after[0] < before[0] and after[1] == before[1]


@needs_chromium
def test_the_page_is_dark_where_the_system_is_and_fits_a_phone(tab: Tab, page: Path) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    tab.open(page, theme="dark", width=375)
    dark = tab.value(ground)
    assert tab.value("document.documentElement.scrollWidth") <= 375
    tab.theme("light")
    assert tab.value(ground) != dark
