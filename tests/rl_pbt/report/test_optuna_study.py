"""A run as studies of Optuna: opened again, they say what the ledgers say."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import rl_pbt
from rl_pbt.cli.reporting import main
from rl_pbt.report.optuna_study import Parameter
from rl_pbt.space import parse_dimension
from tests.rl_pbt.report.test_report import make_run


@pytest.fixture
def optuna() -> Any:
    return pytest.importorskip("optuna", reason="the extra is not installed: pip install -e '.[search]'")


def written(run: Path, folder: Path) -> str:
    url = f"sqlite:///{folder / 'run.db'}"
    assert main([str(run), "--optuna", url]) == 0
    return url


def opened(optuna: Any, url: str, name: str) -> Any:
    """A study, by a storage that is closed at once: everything that is asked for is read before."""
    storage = optuna.storages.RDBStorage(url)
    try:
        return optuna.load_study(study_name=name, storage=storage).trials, storage.get_study_user_attrs(
            storage.get_study_id_from_name(name)
        )
    finally:
        storage.engine.dispose()


@pytest.mark.parametrize("fail", [0.0, 0.3])
def test_a_study_says_what_the_ledger_says(optuna: Any, tmp_path: Path, fail: float, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_run(tmp_path / "run", seeds=2, fail=fail).folder
    url = written(folder, tmp_path)
    names = [f"run/{method}/seed-{seed}" for method in ("pbt", "random") for seed in (0, 1)]
    assert capsys.readouterr().out.endswith(f"studies: {' '.join(names)}\n")
    run = rl_pbt.load(folder)
    for name in names:
        _, method, seed = name.split("/")
        trials, attributes = opened(optuna, url, name)
        rows = [row for row in run.rows() if (row["method"], f"seed-{row['seed']}") == (method, seed)]
        assert [trial.user_attrs["member"] for trial in trials] == sorted({row["member"] for row in rows})
        for trial in trials:
            life = [row for row in rows if row["member"] == trial.user_attrs["member"]]
            values = [value for _, value in sorted(trial.intermediate_values.items())]
            healthy = [row for row in life if row["failure"] is None]
            assert all(row["fitness"] in (None, value) for row, value in zip(healthy, values, strict=True))
            failed = life[-1]["failure"] is not None
            if method == "random" and not failed:
                assert values[:-1] == pytest.approx([values[-1] - 1] * (len(values) - 1)), "of training episodes"
            assert trial.state.name == ("FAIL" if failed else "COMPLETE") and trial.value == life[-1]["fitness"]
            assert trial.user_attrs["failure"] == life[-1]["failure"]
            assert trial.params["learning_rate"] == life[-1]["learning_rate"] and set(trial.params) == {
                "learning_rate",
                "1 - discount",
            }
            assert 1 - trial.params["1 - discount"] == pytest.approx(life[-1]["discount"])
            if not failed:
                assert max(trial.intermediate_values) == sum(row["units"] for row in life)
            by_id = {row["proposal"]: row for row in rows}
            copied = [
                [row["generation"], by_id[row["parent"]]["member"]]
                for row in life
                if row["parent"] is not None and by_id[row["parent"]]["member"] != row["member"]
            ]
            assert trial.user_attrs["copied_from"] == copied
            assert trial.duration.total_seconds() == pytest.approx(0.25 * len(life))
        chosen = run.summary.methods[method].seeds[int(seed[-1])]
        assert chosen.winner is not None and attributes["winner"] == chosen.winner.member
        assert attributes["test_scores"] == list(chosen.test_returns) and attributes["title"] == "a2c on Made/Up-v0"
        assert [trial.user_attrs["member"] for trial in trials if "test_scores" in trial.user_attrs] == [attributes["winner"]]
        assert any(trial.user_attrs["copied_from"] for trial in trials) == (method == "pbt")


def test_a_study_is_not_written_over(optuna: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_run(tmp_path / "run").folder
    url = written(folder, tmp_path)
    before, _ = opened(optuna, url, "run/pbt/seed-0")
    capsys.readouterr()
    assert main([str(folder), "--optuna", url]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "'run/pbt/seed-0' already: name another file, or delete it" in error
    assert opened(optuna, url, "run/pbt/seed-0")[0] == before
    folder.rename(tmp_path / "other")
    assert written(tmp_path / "other", tmp_path) == url, "another run fits beside it"


def test_the_same_run_gives_the_same_trials(optuna: Any, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run").folder
    for name in ("first", "again"):
        (tmp_path / name).mkdir()
    first, again = (opened(optuna, written(folder, tmp_path / name), "run/pbt/seed-0") for name in ("first", "again"))
    assert first == again


def test_members_of_a_search_that_goes_on_are_running(optuna: Any, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    path = run.ledger("pbt", 0).path
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:20]))
    run.write_manifest(replace(run.manifest(), status="interrupted"))
    trials, attributes = opened(optuna, written(run.folder, tmp_path), "run/pbt/seed-0")
    assert trials and {trial.state.name for trial in trials} == {"RUNNING"} and "winner" not in attributes


@pytest.mark.parametrize("url", ["run.db", "mysql://somewhere/run", "sqlite:///nowhere/run.db", "sqlite:///broken.db"])
def test_what_is_no_database_is_one_line(
    optuna: Any, tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path / "run")
    (tmp_path / "broken.db").write_text("no database at all, and long enough to be looked at\n" * 100)
    monkeypatch.chdir(tmp_path)
    assert main([str(run.folder), "--optuna", url]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: cannot write studies to") and error.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "values", "distribution"),
    [
        ("log:0.1:1", {0.5}, "FloatDistribution(high=1.0, log=True, low=0.1, step=None)"),
        ("log:0.1:1", {0.0}, "FloatDistribution(high=1.0, log=False, low=0.0, step=None)"),
        ("linear:0:1", {2.0}, "FloatDistribution(high=2.0, log=False, low=0.0, step=None)"),
        ("int:1:8", {9}, "IntDistribution(high=9, log=False, low=1, step=1)"),
        ("int:1:8", {1.5}, "FloatDistribution(high=8.0, log=False, low=1.0, step=None)"),
        ("horizon:0.5:0.75", {0.5}, "FloatDistribution(high=0.5, log=True, low=0.25, step=None)"),
        ("choice:a:b", {"c"}, "CategoricalDistribution(choices=('a', 'b', 'c'))"),
    ],
)
def test_a_distribution_holds_every_value_that_there_was(optuna: Any, text: str, values: set[Any], distribution: str) -> None:
    parameter = Parameter(name="x", dimension=parse_dimension(text), values=frozenset(values))
    assert str(parameter.distribution(optuna.distributions)) == distribution


def test_without_optuna_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_run(tmp_path / "run").folder
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert main([str(folder), "--optuna", "sqlite:///run.db"]) == 2
    error = capsys.readouterr().err
    assert "a study of Optuna needs the package optuna, which is not installed: pip install -e '.[search]'" in error
    assert error.count("\n") == 1 and not (tmp_path / "run.db").exists()
