"""Suites: what is refused before the first frame, what each cell is, and that a suite goes on where it was stopped."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w

import rl_pbt
from rl_pbt.cli.dry_run import Pace
from rl_pbt.cli.main import main
from rl_pbt.errors import BadSetting, UserError
from rl_pbt.making import configure, sort_out
from rl_pbt.suites.definition import find_suite, frozen_suites, read_suite
from rl_pbt.tasks.registry import TASKS

ROOT = Path(__file__).resolve().parents[3]
SCALE = {"zero": 0.0, "one": 1.2, "source": "the paper"}
SMALL: dict[str, Any] = {
    "version": 1,
    "description": "two quadratics",
    "methods": ["pbt", "random"],
    "primary": "pbt:random",
    "seeds": [0, 1, 2],
    "settings": {"task": "quadratic", "population": 4},
    "cells": {"one": {"scale": SCALE}, "two": {"scale": SCALE, "budget": 40}},
}


def written(folder: Path, fields: dict[str, Any] = SMALL, name: str = "small", *, bands: dict[str, Any] | None = None) -> Path:
    path = folder / f"{name}.toml"
    path.write_text(tomli_w.dumps(fields), encoding="utf-8")
    if bands is not None:
        (folder / f"{name}.bands.toml").write_text(tomli_w.dumps(bands), encoding="utf-8")
    return path


def without_times(row: dict[str, Any]) -> dict[str, Any]:
    """A row without what differs from one machine, or one moment, to the next."""
    return {name: value for name, value in row.items() if name not in ("cpu_s", "wall_s", "method_s", "eval_cpu_s")}


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["bench", "--suite", *map(str, words), "--executor", "inline"])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def changed(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in {**SMALL, **fields}.items() if value is not None}


def cell(**fields: Any) -> dict[str, Any]:
    return changed(cells={"one": {"scale": SCALE, **fields}})


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (changed(version=None), "version is missing"),
        (changed(primary=None), "primary is missing"),
        (changed(version="1"), "version must be a whole number"),
        (changed(version=True), "version must be a whole number"),
        (changed(method=["pbt"]), "unknown name 'method': did you mean 'methods'"),
        (changed(primary="pbt"), "primary must be two of the methods"),
        (changed(primary="pbt:asha"), "primary must be two of the methods"),
        (changed(methods=["pbt", "random", "tpe"], primary="pbt:asha"), "primary must be two of the methods"),
        (changed(primary="pbt:pbt"), "primary must be two of the methods"),
        (changed(methods=["pbt", "randon"]), "cell one: unknown method 'randon': did you mean 'random'"),
        (changed(seeds=[0, 1, 1]), "cell one: seeds must not name one twice"),
        (changed(seeds="all"), "seeds must be a list of 3 or more"),
        (changed(seeds=[0, 1]), "seeds must be a list of 3 or more"),
        (changed(primary=3), "primary must be two of the methods"),
        (changed(settings={"task": "quadratic", "primary": "pbt:random"}), "cell one: primary is one of all cells"),
        (cell(against="random"), "cell one: against is one of all cells"),
        (changed(cells={}), "cells must be tables"),
        (changed(cells={"one": 3}), "cells must be tables"),
        (changed(cells={"../one": {"scale": SCALE}}), "a name has small letters"),
        (changed(settings=[]), "settings must be a table"),
        (cell(seeds=[1]), "cell one: seeds is one of all cells"),
        (cell(populaton=4), "did you mean 'population'"),
        (cell(task="quadratik"), "did you mean 'quadratic'"),
        (cell(scale={"zero": 0.0, "one": 1.0}), "cell one: scale must have zero and one"),
        (cell(scale={"zero": 0.0, "one": float("nan"), "source": ""}), "cell one: scale must have zero and one"),
        (cell(scale={"zero": 1.0, "one": 1.0, "source": ""}), "cell one: scale must have a higher score for one than for zero"),
        (cell(scale={"zero": 1.0, "one": 0.0, "source": ""}), "cell one: scale must have a higher score for one than for zero"),
        (changed(cells={"one": {}}), "cell one: scale is missing"),
        (changed(against="asha"), "against must be one of the methods, but is 'asha'"),
        (changed(against=3), "against must be one of the methods, but is 3"),
        (changed(methods=["pbt", "random", "tpe"], against="asha"), "against must be one of the methods, but is 'asha'"),
    ],
)
def test_what_could_not_run_whole_is_refused_in_one_line_that_names_it(fields: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = written(tmp_path, fields)
    with pytest.raises(UserError, match=re.escape(said)) as refused:
        read_suite(path)
    assert str(refused.value).startswith(f"{path}: ") and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("bands", "said"),
    [
        ({"three": {"pbt": [0.0, 1.0]}}, "unknown cell of the suite 'three'"),
        ({"one": {"asha": [0.0, 1.0]}}, "unknown method of the suite 'asha'"),
        ({"one": {"pbt": [1.0, 0.0]}}, "bands of pbt must be the least and the largest"),
        ({"one": 3}, "bands of one must be a table"),
    ],
)
def test_bands_of_what_the_suite_does_not_have_are_refused(bands: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = written(tmp_path, bands=bands)
    with pytest.raises(UserError, match=re.escape(said)) as refused:
        read_suite(path)
    assert str(refused.value).startswith(f"{tmp_path / 'small.bands.toml'}: ")


def test_an_unknown_setting_is_answered_with_names_that_a_cell_may_set(tmp_path: Path) -> None:
    with pytest.raises(UserError) as refused:
        read_suite(written(tmp_path, cell(qqqq=1)))
    named = set(re.findall(r"\w+", str(refused.value).partition("known are ")[2]))
    assert {"population", "budget", "search"} <= named
    assert not named & {"methods", "seeds", "primary", "against"}, "these are of all cells"


@pytest.mark.parametrize("task", TASKS)
def test_no_task_proposes_a_setting_that_it_finds_itself(task: str) -> None:
    with pytest.raises(BadSetting) as refused:
        sort_out({"task": task, "qqqq": 1})
    named = set(re.findall(r"\w+", refused.value.message.partition("known are ")[2]))
    assert {"population", "methods", "seeds"} <= named and (task != "command" or "program" in named)
    assert not named & {"header", "digest", "classifier_digest", "signature", "target", "replay", "task_options"}


@pytest.mark.parametrize(
    ("fields", "primary", "reference"),
    [
        ({}, None, "pbt"),
        ({"methods": ["pbt", "random", "tpe"]}, "pbt:random", "random"),
        ({"methods": ["pbt", "random", "tpe"], "against": "tpe"}, "pbt:random", "tpe"),
    ],
)
def test_a_cell_of_more_than_two_methods_has_the_declaration_of_its_suite(
    fields: dict[str, Any], primary: str | None, reference: str, tmp_path: Path
) -> None:
    """With two methods there is nothing to declare."""
    suite = read_suite(written(tmp_path, changed(**fields)))
    assert {(one.config.primary, one.config.reference) for one in suite.cells} == {(primary, reference)}


@pytest.mark.parametrize(
    ("fields", "said"),
    [({"population": 1}, "cell two: population must be 2 or more"), ({"fraction": 0.9}, "cell two: fraction")],
)
def test_a_cell_that_no_method_could_run_is_refused_before_the_first_begins(
    fields: dict[str, Any], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = {"one": {"scale": SCALE}, "two": {"scale": SCALE, **fields}}
    assert run(written(tmp_path, changed(cells=cells)), "--out", tmp_path / "out") == 2
    printed = capsys.readouterr()
    assert said in printed.err and not printed.out and not (tmp_path / "out").exists()


def test_a_file_that_is_no_toml_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_bytes(b"version = \xff")
    with pytest.raises(UserError, match="is not TOML"):
        find_suite(str(tmp_path / "bad.toml"))
    with pytest.raises(UserError, match="cannot read"):
        find_suite(str(tmp_path / "none.toml"))
    with pytest.raises(UserError, match="unknown suite 'smok': did you mean 'smoke'"):
        find_suite("smok")


def lacking(suite: str) -> bool:
    """Whether what a suite reads before it can be looked at, digits or messages, is not installed."""
    try:
        find_suite(suite)
    except UserError as error:
        return suite in ("gan", "translation") and "pip install" in str(error)
    return False


@pytest.mark.parametrize("name", sorted(frozen_suites()))
def test_every_suite_of_the_package_could_run_and_declares_what_it_is_for(name: str) -> None:
    if lacking(name):
        pytest.skip(f"it reads what the extra {name} brings: pip install -e '.[{name}]'")
    suite = find_suite(name)
    assert frozen_suites()[name].resolve() == ROOT / "benchmarks" / "suites" / f"{name}.toml"
    assert suite.name == name and set(suite.primary) <= set(suite.methods) and len(suite.seeds) >= 3
    for one in suite.cells:
        assert one.config == configure(one.settings) and one.scale.source
        assert one.config.methods == suite.methods and one.config.seeds == suite.seeds


def test_the_package_has_the_suites_that_its_pages_name() -> None:
    assert {"smoke", "control", "minatar", "atari-pacman", "box2d", "paper-toy"} <= set(frozen_suites())
    package_data = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]
    assert package_data["rl_pbt.suites"] == ["frozen/*.toml"], "an installed package has them too"


def test_the_suites_of_the_study_differ_only_in_what_they_are_named_for() -> None:
    wide, more, narrow, secondary, ppo, cartpole = (
        find_suite(f"study-{name}") for name in ("wide", "wide-16", "narrow", "secondary", "ppo", "cartpole")
    )
    assert {suite.primary for suite in (wide, more, narrow, ppo, cartpole)} == {("pbt", "random")}
    assert (secondary.primary, secondary.reference) == (("pbt", "random-annealed"), "pbt"), "a question of its own"
    assert len({suite.seeds for suite in (wide, more, narrow, secondary, ppo, cartpole)}) == 1
    for other, differs in ((more, {"population", "group_size"}), (narrow, {"search"})):
        for one, two in zip(wide.cells, other.cells, strict=True):
            assert one.name == two.name and one.scale == two.scale
            assert {line.partition(":")[0].partition(".")[0] for line in one.config.difference(two.config)} == differs
    ours = {one.name: one for one in wide.cells}
    assert [two.name for two in secondary.cells] == ["acrobot", "mountain-car", "breakout"], "one of each kind"
    for two in secondary.cells:
        one = ours[two.name]
        differs = {line.partition(":")[0].partition(".")[0] for line in one.config.difference(two.config)}
        assert one.scale == two.scale and differs == {"methods", "primary", "against", "method_options"}
    for two in ppo.cells:
        one = ours[two.name]
        widest = {name: one.config.search[name] for name in one.config.search}
        assert one.scale == two.scale and {**two.config.search, **widest} == two.config.search
    in_wide_ranges, in_narrow_ones = cartpole.cells
    differs = in_wide_ranges.config.difference(in_narrow_ones.config)
    assert {line.partition(":")[0].partition(".")[0] for line in differs} == {"search"}
    assert in_wide_ranges.config == find_suite("control").cells[0].config
    earlier = {one.settings["env"]: one for name in ("control", "minatar") for one in find_suite(name).cells}
    for one in wide.cells:
        assert (one.config, one.scale) == (earlier[one.settings["env"]].config, earlier[one.settings["env"]].scale)


def test_the_page_lists_every_suite_with_its_seeds() -> None:
    rows = [line.split("|")[1:4] for line in (ROOT / "docs" / "suites.md").read_text(encoding="utf-8").splitlines()]
    listed = {row[0].strip(" `"): (row[1], row[2].strip()) for row in rows if len(row) == 3 and row[0].startswith(" `")}
    assert listed.keys() == frozen_suites().keys()
    for name, (cells, seeds) in listed.items():
        if lacking(name):
            continue
        suite = find_suite(name)
        assert seeds == str(len(suite.seeds))
        envs = [
            str(one.settings.get("env", one.settings.get("task"))).split("/")[-1].split("-v")[0].removesuffix("Continuous")
            for one in suite.cells
        ]
        assert all(env in cells for env in envs), name


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of the small suite, beside its file."""
    folder = tmp_path_factory.mktemp("suite")
    assert run(written(folder, bands={"one": {"pbt": [0.5, 1.2]}, "two": {"pbt": [0.0, 1.2]}}), "--out", folder / "out") == 0
    return folder


def test_each_cell_is_a_run_like_any_other(made: Path, tmp_path: Path) -> None:
    alone = rl_pbt.tune(
        "quadratic", {}, methods=["pbt", "random"], population=4, seeds=[0, 1, 2], out=tmp_path / "run", quiet=True
    )
    ours = rl_pbt.load(made / "out" / "one")
    assert ours.config == alone.config
    assert [without_times(row) for row in ours.rows()] == [without_times(row) for row in alone.rows()]
    assert rl_pbt.load(made / "out" / "two").config.budget == 40


def test_the_page_tells_of_all_cells_and_has_its_figures(made: Path) -> None:
    page = (made / "out" / "suite.md").read_text(encoding="utf-8")
    told = (
        "# small, version 1",
        "declared primary contrast",
        "over 2 cells",
        "| one | 800 steps | pbt |",
        "[two](two/summary.md)",
    )
    for named in told:
        assert named in page
    for name in re.findall(r"\]\((\w+\.png)\)", page):
        assert (made / "out" / name).stat().st_size > 5_000
    assert page.count(".png") == 2 and not (made / "out" / "ranks.png").exists(), "ranks of two methods are not tested"


def test_the_page_has_the_contrast_in_each_cell_what_it_cost_and_what_weakens_it(made: Path) -> None:
    page = (made / "out" / "suite.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (one|two) \| ([^|]+) \| [^|]+\(seeds\) \| ([^|]+) \| ([^|]+) \| not shown \|$", page, re.M)
    assert [name for name, *_ in rows] == ["one", "two"]
    for name, difference, p_value, corrected in rows:
        summary = json.loads((made / "out" / name / "summary.json").read_text(encoding="utf-8"))
        comparison = summary["comparison"]
        assert float(difference) == pytest.approx(comparison["difference"]["value"] / 1.2, rel=1e-3, abs=1e-6)
        assert float(p_value) == pytest.approx(comparison["p_value"], rel=1e-3)
        assert float(corrected) >= float(p_value)
    assert "pbt is shown to be better in 0 of 2 cells" in page
    assert re.search(r"Of the [\d.]+k steps that each spent, training took [\d.]+k for pbt \([\d,]+ updates\)", page)
    assert "p values are not corrected for the other cells" in (made / "out" / "one" / "summary.md").read_text(encoding="utf-8")
    assert "p values are not corrected for the other cells" not in page


def test_a_suite_of_three_methods_and_cells_tests_ranks_and_has_further_comparisons(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = {f"c{budget}": {"scale": SCALE, "budget": budget} for budget in (20, 30, 40)}
    fields = changed(methods=["pbt", "random", "exploit-only"], cells=cells, settings={"task": "quadratic", "population": 2})
    assert run(written(tmp_path, fields), "--out", tmp_path / "out") == 0
    page = (tmp_path / "out" / "suite.md").read_text(encoding="utf-8")
    assert "ranks.png" in page and (tmp_path / "out" / "ranks.png").exists() and "joined by a bar" in page
    assert "## Further comparisons" in page and "| random minus exploit-only |" in page
    verdict = re.findall(r"^\*\*(.+?)\*\*", page, re.M)[0]
    assert "in the declared primary contrast" in verdict and verdict in capsys.readouterr().out.splitlines()


def test_a_suite_goes_on_where_it_was_stopped_and_leaves_what_ended(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(made / "out", tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / "two")
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "one").rglob("*") if path.is_file()}
    assert run(made / "small.toml", "--out", tmp_path / "out") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines[1:3]] == ["one", "two"]
    assert all(path.stat().st_mtime_ns == then for path, then in kept.items() if path.name != ".lock")
    assert (tmp_path / "out" / "suite.md").read_bytes() == (made / "out" / "suite.md").read_bytes()


def test_a_folder_of_another_suite_is_left_alone(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = written(tmp_path, changed(version=2))
    before = (made / "out" / "suite.toml").read_bytes()
    assert run(other, "--out", made / "out") == 2
    assert "another version of small" in capsys.readouterr().err
    assert (made / "out" / "suite.toml").read_bytes() == before


@pytest.mark.parametrize("taken", ["a run", "somebody else's files"])
def test_a_folder_of_something_else_is_left_alone(
    made: Path, tmp_path: Path, taken: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made / "out" / "one" if taken == "a run" else tmp_path
    (tmp_path / "mine.txt").write_text("mine")
    before = sorted(folder.rglob("*"))
    assert run(made / "small.toml", "--out", folder) == 2
    assert "--out names" in capsys.readouterr().err and sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("what", ["a seed that is gone", "unequal budgets"])
def test_a_cell_without_a_comparison_is_named_on_the_terminal_and_nothing_is_declared(
    what: str, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(made / "out", tmp_path / "out")
    if what == "a seed that is gone":
        shutil.rmtree(tmp_path / "out" / "two" / "random" / "seed-0")
        reason = f"{tmp_path / 'out' / 'two'} has finished, but random/seed-0/ledger.jsonl was not kept"
    else:
        of_cell_two = iter([None, "the budgets differ", None])  # asked for once a cell, and again for the page
        monkeypatch.setattr("rl_pbt.report.suite.scores.unequal_budgets", lambda *_: next(of_cell_two))
        reason = "the budgets differ"
    assert run(made / "small.toml", "--out", tmp_path / "out", "--check") == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith(f"two: {reason}") for line in lines)
    assert any(line.startswith(f"without two: {reason}") for line in lines)
    assert any(line.startswith("Unfinished: 1 of 2 cells has a result") for line in lines)
    assert not any("in the declared primary contrast" in line or "is better" in line for line in lines)
    assert lines[-2:] == ["two: has no result to compare with its bands", "1 of 2 scores within their bands"]
    page = (tmp_path / "out" / "suite.md").read_text(encoding="utf-8")
    assert f"**Without two: {reason}" in page and "**Unfinished: 1 of 2 cells" in page


def test_a_cell_that_fails_leaves_the_others_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "failing.py").write_text("raise SystemExit('no data')\n", encoding="utf-8")
    broken = {"task": "command", "program": ["python", str(tmp_path / "failing.py")], "search": {"lr": "log:1e-4:1e-1"}}
    cells = {
        "broken": {**broken, "budget": 10, "interval": 5, "scale": SCALE},
        "one": {"task": "quadratic", "scale": SCALE},
        "two": {"task": "quadratic", "budget": 40, "scale": SCALE},
    }
    fields = changed(cells=cells, settings={"population": 2})
    assert run(written(tmp_path, fields), "--out", tmp_path / "out") == 1
    said = capsys.readouterr().out
    assert "every member failed" in said and "\none: pbt" in said and "\ntwo: pbt" in said
    assert "Without broken" in (tmp_path / "out" / "suite.md").read_text(encoding="utf-8")


def test_scores_are_checked_against_the_bands(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(made / "small.toml", "--out", made / "out", "--check") == 0
    assert capsys.readouterr().out.endswith("\n2 of 2 scores within their bands\n")
    path = written(tmp_path, bands={"one": {"random": [5.0, 6.0]}})
    assert run(path, "--out", made / "out", "--check") == 1, "bands that were written later are those of the same suite"
    said = capsys.readouterr().out
    assert re.search(r"one: random 1\.\d+ is not within 5 to 6", said) and said.endswith("\n0 of 1 score within their bands\n")
    unbanded = written(tmp_path, changed(cells={"one": {"scale": SCALE}}), name="unbanded")
    assert run(unbanded, "--out", tmp_path / "other", "--check") == 2
    assert "declares no bands" in capsys.readouterr().err and not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--population", "8"], "--population is set by the suite"),
        (["--seeds", "1"], "--seeds is set by the suite"),
        (["--resume", "x"], "--resume is for single runs"),
        (["--keep-population"], "--keep-population is for single runs"),
        (["--config", "x.toml"], "cannot read x.toml"),
    ],
)
def test_flags_cannot_change_a_suite(words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(written(tmp_path), *words) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_check_needs_a_suite(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", "--env", "CartPole-v1", "--check"])
    assert ended.value.code == 2 and "--check compares the scores of a suite" in capsys.readouterr().err


def test_a_dry_run_plans_every_cell_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(written(tmp_path), "--out", tmp_path / "out", "--dry-run") == 0
    said = capsys.readouterr().out
    assert "cell one" in said and "cell two" in said and not (tmp_path / "out").exists()
    whole = said.partition("suite small, version 1\n")[2]
    assert "the declared contrast: nothing; that takes 6 seeds; the contrast in each cell: nothing; that takes 7 seeds" in whole
    assert re.search(r"^time +about \S+ in all$", whole, re.M) and "further" not in whole


def test_a_dry_run_adds_up_the_times_of_the_cells_and_tells_what_each_family_of_claims_would_find(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pace = Pace(start_s=0.0, units_per_s=1.0)
    monkeypatch.setattr("rl_pbt.cli.dry_run.measure", lambda config, task: (pace, 1))
    fields = changed(methods=["pbt", "random", "tpe"], seeds=list(range(10)))
    assert run(written(tmp_path, fields), "--dry-run") == 0
    said = capsys.readouterr().out
    *cells, whole = [line.split()[2] for line in said.splitlines() if line.startswith("time ")]
    assert (cells, whole) == (["6h40m", "1h20m"], "8h00m")
    (found,) = re.findall(r"^would find +(.*each cell.*)$", said, re.M)
    numbers = re.findall(r"the declared contrast: ([\d.]+) .*each further comparison: ([\d.]+) .*each cell: ([\d.]+) ", found)
    assert numbers == [("1.0", "1.0", "1.1")], found


def test_suites_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("help") == 0
    said = capsys.readouterr().out
    assert all(f"  {name} " in said for name in frozen_suites())


def test_a_suite_whose_package_is_absent_does_not_hide_the_others(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> None:
        """Nothing is installed."""

    monkeypatch.setattr("rl_pbt.tasks.gan.images.importlib.util.find_spec", absent)
    assert run("help") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "gan cannot run here:" in said and "pip install -e '.[gan]'" in said and "smoke" in said


@pytest.mark.timeout(600)
def test_smoke_is_where_it_should_be(tmp_path: Path) -> None:
    """What CI runs of the suites: it shows nothing about methods, and that everything works together."""
    suite = find_suite("smoke")
    assert suite.bands.keys() == {one.name for one in suite.cells}
    assert run("smoke", "--out", tmp_path / "out", "--check") == 0
