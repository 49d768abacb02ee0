"""Several runs side by side: what is refused, what is paired, and the same numbers in every format."""

from __future__ import annotations

import csv
import io
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rl_pbt.cli.main import main
from rl_pbt.errors import UserError
from rl_pbt.report.evidence import read_evidence
from rl_pbt.report.several import Compared, Group, compare, short_names
from rl_pbt.report.several_page import write_page
from rl_pbt.report.several_tables import as_csv, as_latex, as_markdown, as_text, curves_as_csv
from rl_pbt.report.statistics import difference_of, p_value_of, unpaired_p_value_of
from rl_pbt.report.summarising import summary_of
from rl_pbt.store.curves import standings
from rl_pbt.store.run import RunFolder
from tests.rl_pbt.faults.spoiling import fit
from tests.rl_pbt.report.test_report import BUDGET, SEARCH, make_run
from tests.rl_pbt.tasks.table.toy import toy_table


def configured(run: RunFolder, **fields: Any) -> RunFolder:
    """The run, as if its configuration had said so."""
    manifest = run.manifest()
    run.write_manifest(replace(manifest, config=replace(manifest.config, **fields)))
    fit(run.folder)
    return run


def on(run: RunFolder, **options: Any) -> RunFolder:
    """The run, as if its task had had these options."""
    return configured(run, task_options={**run.manifest().config.task_options, **options})


def only(compared: Compared) -> Group:
    (group,) = compared.groups
    return group


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of one method each, whose winners differ by five, on six seeds."""
    folder = tmp_path_factory.mktemp("runs")
    make_run(folder / "better", methods=("pbt",), seeds=6, bonus=5.0)
    make_run(folder / "usual", methods=("random",), seeds=6)
    return folder


def test_runs_whose_seeds_are_shared_are_paired_as_methods_of_one_run_are(made: Path, tmp_path: Path) -> None:
    pair = only(compare([made / "better", made / "usual"])).pairs[0]
    whole = make_run(tmp_path / "whole", seeds=6, bonus=5.0)
    measured = summary_of(read_evidence(whole)).comparison.measured
    assert measured is not None and pair.paired
    assert (pair.difference, pair.p_value, pair.corrected) == (
        measured.difference, measured.p_value, measured.p_value_corrected,
    )  # fmt: skip
    assert (
        pair.verdict.startswith('"better: pbt" is better: "better: pbt" minus "usual: random" is ')
        and "over 6 seeds" in pair.verdict
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"seeds": (0, 1, 2, 3, 4)},
        {"search": {"learning_rate": "log:1e-5:1e-2", "discount": "horizon:0.9:0.99"}},
        {"test_episodes": 6},
    ],
)
def test_other_seeds_or_members_are_not_paired(made: Path, tmp_path: Path, fields: dict[str, Any]) -> None:
    shutil.copytree(made / "usual", tmp_path / "usual")
    configured(RunFolder(tmp_path / "usual"), **fields)
    group = only(compare([made / "better", tmp_path / "usual"]))
    pair = group.pairs[0]
    first, second = (column.returns for column in group.columns)
    assert not pair.paired and pair.p_value == unpaired_p_value_of(first, second) and "unpaired" in pair.verdict
    assert pair.difference is not None
    assert pair.difference.value == pytest.approx(np.mean(np.mean(first, 1)) - np.mean(np.mean(second, 1)))
    write_page(Compared(groups=(group,)), tmp_path / "page")
    page = (tmp_path / "page" / "comparison.md").read_text()
    assert "Not paired" in page and "Settings that differ from each run to the next" in page and next(iter(fields)) in page


def test_runs_are_on_the_same_table_wherever_its_file_lies(tmp_path: Path) -> None:
    header = replace(toy_table().header, search=SEARCH, units=BUDGET).to_json()

    def run(name: str, method: str, path: str, digest: str) -> Path:
        options = {"table": path, "digest": digest, "header": header, "eval_episodes": 2}
        return make_run(tmp_path / name, methods=(method,), seeds=6, task={"task": "table", "task_options": options}).folder

    ours, moved = run("ours", "pbt", "/here/table.json", "a" * 32), run("moved", "random", "/there/table.json", "a" * 32)
    assert only(compare([ours, moved])).pairs[0].paired
    with pytest.raises(UserError, match=r"are not scored alike \(digest: a{32}, not b{32}\)"):
        compare([ours, run("other", "random", "/here/table.json", "b" * 32)])


def test_all_that_is_claimed_together_is_corrected_together(made: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        shutil.copytree(made / "usual", tmp_path / name)
    pairs = only(compare([made / "better", tmp_path / "one", tmp_path / "two"])).pairs
    assert [pair.p_value for pair in pairs] == [2 / 2**6] * 2
    assert [pair.corrected for pair in pairs] == [4 / 2**6] * 2
    assert all("6 seeds are too few to find any" in pair.verdict for pair in pairs)


def test_a_suite_is_compared_environment_by_environment(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("better", "usual"):
        for env in ("Made/Up-v0", "Other-v1"):
            folder = tmp_path / "suite" / env.partition("-")[0].replace("/", "") / name
            shutil.copytree(made / name, folder)
            on(RunFolder(folder), env=env)
    groups = compare([tmp_path / "suite"]).groups
    assert [group.title for group in groups] == ["Made/Up-v0", "Other-v1"]
    assert [[column.label for column in group.columns] for group in groups] == [["better: pbt", "usual: random"]] * 2
    assert [pair.corrected for group in groups for pair in group.pairs] == [4 / 2**6] * 2
    with pytest.raises(SystemExit) as status:
        main(["compare", str(tmp_path / "suite"), "--out", str(tmp_path / "page")])
    assert status.value.code == 0 and str(tmp_path / "page" / "comparison.html") in capsys.readouterr().out
    page = (tmp_path / "page" / "comparison.md").read_text()
    figures = re.findall(r"!\[\w+\]\(([^)]+)\)", page)
    assert len(figures) == 4 and all((tmp_path / "page" / figure).stat().st_size > 10_000 for figure in figures)
    two = [tmp_path / "suite" / "MadeUp" / "better", tmp_path / "suite" / "Other" / "better"]
    with pytest.raises(UserError, match=r"of Made/Up-v0 and of Other-v1: .* name a folder of runs"):
        compare(two)


def unfinished(folder: Path) -> None:
    run = RunFolder(folder)
    run.write_manifest(replace(run.manifest(), status="interrupted"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda folder: configured(RunFolder(folder), budget=5050), "the budgets differ: .* has 30,000 .* and .* 30,300"),
        (unfinished, r"usual has not finished \(interrupted\): resume it first, as in rl-pbt bench --resume .*/usual$"),
        (lambda folder: (folder / "random" / "seed-3" / "ledger.jsonl").unlink(), "random/seed-3/ledger.jsonl was not kept"),
        (lambda folder: on(RunFolder(folder), frame_skip=1), "not scored alike .frame_skip: 4, not 1"),
        (lambda folder: on(RunFolder(folder), env="Other-v1"), "these runs are of Made/Up-v0 and of Other-v1"),
        (lambda folder: (folder / "manifest.json").unlink(), "neither a run nor a folder of runs"),
    ],
)
def test_what_is_not_fair_is_refused_in_one_line(
    made: Path, tmp_path: Path, change: Any, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(made / "usual", tmp_path / "usual")
    change(tmp_path / "usual")
    with pytest.raises(SystemExit) as status:
        main(["compare", str(made / "better"), str(tmp_path / "usual"), "--out", str(tmp_path / "page")])
    error = capsys.readouterr().err
    assert status.value.code == 2 and error.startswith("error: ") and error.count("\n") == 1
    assert re.search(says, error.strip()), error
    assert not (tmp_path / "page").exists()


def test_scores_on_different_back_ends_are_not_compared(made: Path, tmp_path: Path) -> None:
    """As gymnasium and envpool record themselves: nothing else that both have differs."""
    options = ({"backend": "gymnasium", "vectorization_mode": "sync"}, {"backend": "envpool", "task": "Up-v0", "config": {}})
    folders = []
    for env_options in options:
        folders.append(tmp_path / str(env_options["backend"]))
        on(RunFolder(Path(shutil.copytree(made / "usual", folders[-1]))), env_options=env_options)
    with pytest.raises(UserError, match=r"are not scored alike \(backend: gymnasium, not envpool\)"):
        compare(folders)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"cut_after_frames": 10_000}, {"cut_after_frames": 40_000}),
        ({"env_options": {}}, {"env_options": {"make_kwargs": {"g": 5.0}}}),
        ({"env_options": {"max_episode_steps": 50}}, {"env_options": {}}),
    ],
)
def test_scores_under_other_rules_are_not_compared(made: Path, tmp_path: Path, first: Any, second: Any) -> None:
    folders = [Path(shutil.copytree(made / "usual", tmp_path / name)) for name in ("one", "two")]
    for folder, options in zip(folders, (first, second), strict=True):
        on(RunFolder(folder), **options)
    for order in (folders, folders[::-1]):
        with pytest.raises(UserError, match="are not scored alike"):
            compare(order)


def test_runs_are_compared_with_the_one_that_all_of_them_are_like(made: Path, tmp_path: Path) -> None:
    for name, budget in (("a", 997), ("b", 1000), ("c", 1003)):  # a and c differ by more than half a percent
        folder = Path(shutil.copytree(made / "usual", tmp_path / "runs" / name))
        configured(RunFolder(folder), budget=budget)
    assert [column.label for column in only(compare([tmp_path / "runs"])).columns] == ["b", "a", "c"]


def test_runs_at_every_depth_of_a_folder_are_found(made: Path, tmp_path: Path) -> None:
    for place in ("usual", "suites/one/usual"):
        shutil.copytree(made / "usual", tmp_path / "results" / place)
    assert len(only(compare([tmp_path / "results"])).columns) == 2


def test_of_a_folder_what_cannot_be_compared_with_most_is_left_out_and_named(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = tmp_path / "suite"
    changes: dict[str, Any] = {
        "a other budget": lambda folder: configured(RunFolder(folder), budget=6000),
        "b": lambda folder: None,
        "c": lambda folder: None,
        "d unfinished": unfinished,
        "e ledgers not kept": lambda folder: shutil.rmtree(folder / "random"),
        "f of one method alone": lambda folder: on(RunFolder(folder), env="Other-v1"),
    }
    for name, change in changes.items():
        change(Path(shutil.copytree(made / "usual", suite / name)))
    compared = compare([suite])
    assert [column.label for column in only(compared).columns] == ["b", "c"]
    assert len(compared.left_out) == 4
    for name in ("a other budget", "d unfinished", "e ledgers not kept", "f of one method alone"):
        assert sum(f"/{name}" in refusal for refusal in compared.left_out) == 1, name
    with pytest.raises(SystemExit) as status:
        main(["compare", str(suite), "--out", str(tmp_path / "page")])
    told = capsys.readouterr().err
    assert status.value.code == 0 and told.count("left out: ") == told.count("\n") == 4
    page = (tmp_path / "page" / "comparison.md").read_text()
    assert all(refusal in page for refusal in compared.left_out)
    with pytest.raises(UserError, match="the budgets differ"):
        compare(
            [
                suite,
                made / "usual",
                configured(RunFolder(Path(shutil.copytree(made / "usual", tmp_path / "own"))), budget=1).folder,
            ]
        )
    for name in ("c", "b"):
        shutil.rmtree(suite / name)
    with pytest.raises(UserError, match="d unfinished has not finished"):
        compare([suite])


def test_a_page_is_never_written_into_a_run(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [Path(shutil.copytree(made / name, tmp_path / name)) for name in ("better", "usual")]
    other = Path(shutil.copytree(made / "usual", tmp_path / "other"))
    before = sorted(tmp_path.rglob("*"))
    for out in (runs[0], runs[1] / "plots", other):
        with pytest.raises(SystemExit) as status:
            main(["compare", *map(str, runs), "--out", str(out)])
        error = capsys.readouterr().err
        assert status.value.code == 2 and error.count("\n") == 1 and "--out must be a folder outside of all runs" in error
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_that_cannot_be_written_to_is_not_blamed_on_space(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    taken = made / "usual" / "manifest.json" / "page"  # a file is in the way
    with pytest.raises(SystemExit) as status:
        main(["compare", str(made / "better"), str(made / "usual"), "--curves", str(taken)])
    error = capsys.readouterr().err
    assert status.value.code == 2 and "choose a folder in which you can write" in error
    assert "space" not in error and "resume" not in error


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["better"], "is the only run of Made/Up-v0, with one method"),
        (["better", "better"], "is named twice"),
        (["better", "usual", "--formt", "md"], "did you mean '--format'"),
        (["better", "usual", "--format", "mdd"], "--format 'mdd' is unknown: did you mean 'md'"),
    ],
)
def test_words_that_make_no_comparison_are_one_line(
    made: Path, words: list[str], says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made)
    with pytest.raises(SystemExit) as status:
        main(["compare", *words])
    error = capsys.readouterr().err
    assert status.value.code == 2 and error.count("\n") == 1 and says in error


def test_runs_of_one_budget_that_spent_different_amounts_are_refused_on_the_page(made: Path, tmp_path: Path) -> None:
    make_run(tmp_path / "costly", methods=("random",), seeds=6, eval_units=2300)
    group = only(compare([made / "better", tmp_path / "costly"]))
    one, other = (column.cost.units for column in group.columns)
    assert abs(one - other) > 0.005 * max(one, other)
    assert group.pairs[0].refused is not None and "the budgets differ" in group.pairs[0].verdict
    assert only(compare([made / "better", made / "usual"])).pairs[0].refused is None


def test_every_format_has_the_same_numbers(made: Path) -> None:
    groups = compare([made / "better", made / "usual"]).groups
    rows = list(csv.DictReader(io.StringIO(as_csv(groups))))
    for column, row in zip(groups[0].columns, rows, strict=True):
        assert column.mean is not None and column.mean.interval is not None and column.iqm is not None
        assert float(row["mean test score"]) == column.mean.value and float(row["IQM"]) == column.iqm.value
        assert (float(row["low"]), float(row["high"])) == column.mean.interval
        assert (row["method"], row["run"], row["environment"], row["seeds"]) == (
            column.method, column.folder.name, "Made/Up-v0", "6",
        )  # fmt: skip
        assert int(row["budget units"]) == 30_000 and int(row["units"]) == column.cost.units
        shown = f"{column.mean.value:.4g}"
        assert all(shown in text for text in (as_markdown(groups), as_latex(groups), as_text(groups)))
    latex = as_latex(groups)
    assert latex.count(r"\begin{tabular}{lrrrrrrr}") == latex.count(r"\end{tabular}") == 1 and r"95 \% interval" in latex
    assert all(line.count(" & ") == 7 for line in latex.splitlines() if line.endswith(r"\\"))


def test_the_curves_are_what_the_population_stood_at(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["compare", str(made / "better"), str(made / "usual"), "--format", "csv", "--curves", str(tmp_path / "curves.csv")])
    groups = compare([made / "better", made / "usual"]).groups
    assert capsys.readouterr().out == as_csv(groups)
    assert (tmp_path / "curves.csv").read_text() == curves_as_csv(groups)
    rows = [
        row for row in csv.DictReader(io.StringIO(curves_as_csv(groups))) if (row["label"], row["seed"]) == ("usual: random", "3")
    ]
    expected = standings(groups[0].columns[1].by_seed[3])
    assert [(int(row["units"]), float(row["best"]), float(row["median"])) for row in rows] == [
        (stand.units, stand.best, stand.median) for stand in expected
    ]


def test_names_from_elsewhere_do_no_harm(made: Path, tmp_path: Path) -> None:
    hostile = tmp_path / "=_<b>[x](y)|$a$ & \\input{z}\n"
    shutil.copytree(made / "usual", hostile)
    compared = compare([made / "better", hostile])
    groups = compared.groups
    write_page(compared, tmp_path / "page")
    page = (tmp_path / "page" / "comparison.md").read_text()
    assert "<b>" not in page and "](y)" not in page and "\n|" in page
    assert r"\input" not in as_latex(groups) and "$a$" not in as_latex(groups)
    assert "\n'=_<b>" in curves_as_csv(groups) or "\n\"'=_<b>" in curves_as_csv(groups)
    assert (tmp_path / "page" / "learning_curves.png").exists()


def test_the_same_runs_give_the_same_bytes(made: Path, tmp_path: Path) -> None:
    for name in ("first", "again"):
        write_page(compare([made / "better", made / "usual"]), tmp_path / name)
    assert {path.name for path in (tmp_path / "first").iterdir()} == {
        "comparison.md", "comparison.html", "learning_curves.png", "test_scores.png",
    }  # fmt: skip
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_names_are_as_short_as_tells_them_apart() -> None:
    assert short_names([Path("/a/x"), Path("/a/y")]) == ["x", "y"]
    assert short_names([Path("/a/x"), Path("/b/x")]) == ["a/x", "b/x"]
    long = short_names([Path("/" + "l" * 60 + "1"), Path("/" + "l" * 60 + "2")])
    assert len(set(long)) == 2 and all(len(name) < 50 for name in long)


def test_a_lone_method_of_every_run_is_not_repeated(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "better", tmp_path / "again")
    group = only(compare([made / "better", tmp_path / "again"]))
    assert [column.label for column in group.columns] == ["better", "again"]
    pair = group.pairs[0]
    first, second = (column.returns for column in group.columns)
    assert pair.difference == difference_of(first, second) and pair.p_value == p_value_of(first, second) == 1.0
