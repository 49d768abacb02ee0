"""Tables made of runs: recorded, checked against real switches, and of HPO-RL-Bench's files."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rl_pbt
from rl_pbt.cli.main import main
from rl_pbt.errors import UserError
from rl_pbt.tabulating import table_of
from rl_pbt.tasks.table.curves import TableCurves
from rl_pbt.tasks.table.hpo_rl_bench import read_folder
from rl_pbt.tasks.table.recorded import read_table

RATES = (0.01, 0.02, 0.04)
SMALL: dict[str, Any] = {"budget": 60, "interval": 10, "workers": 1, "quiet": True, "evaluations": 2, "test_episodes": 1}


class Decay:
    """Its score rises from -8 to 0 at a rate that can be changed, and says all that there is: a table's model is exact for it."""

    def __init__(self, hypers: dict, seed: int) -> None:  # type: ignore[type-arg]
        self.missing = 8.0
        self.set_hypers(hypers)

    def set_hypers(self, hypers: dict) -> None:  # type: ignore[type-arg]
        self.rate = hypers["rate"]

    def train(self, budget: int) -> None:
        self.missing *= (1 - self.rate) ** budget

    def evaluate(self, seed: int) -> list[float]:
        return [-self.missing + 0.5, -self.missing - 0.5]

    def state(self) -> dict[str, float]:
        return {"missing": self.missing}

    def load(self, state: dict[str, float]) -> None:
        self.missing = float(state["missing"])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Grid search, and others of the same training."""
    folder = tmp_path_factory.mktemp("runs")
    choices = {"rate": "choice:0.01:0.02:0.04"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rl_pbt.api.write_report", lambda run: None)
        patch.setattr("rl_pbt.report.write_report", lambda run: None)

        def run(name: str, **settings: Any) -> Path:
            return rl_pbt.tune(Decay, settings.pop("search", choices), out=folder / name, **{**SMALL, **settings}).folder

        return {
            "grid": run("grid", methods=["grid"], population=3, seeds=[0, 1]),
            "changing": run("changing", methods=["explore-only"], resample_probability=1.0, population=6, seeds=[3]),
            "constant": run("constant", methods=["exploit-only"], population=4, seeds=[3]),
            "other": run("other", methods=["explore-only"], population=4, seeds=[3], search={"rate": 0.01, "twin": "linear:0:1"}),
            "ranges": run(
                "ranges",
                methods=["grid"],
                population=3,
                search={"rate": "log:0.01:0.04", "twin": "linear:0:1"},
                grid_points={"rate": 3},
            ),
        }


def test_the_curves_are_those_of_the_ledger(runs: dict[str, Path]) -> None:
    table = table_of(runs["grid"])
    assert (table.header.points, table.header.seeds, table.header.units, table.header.interval) == (3, (0, 1), 60, 10)
    assert table.header.search == {"rate": "choice:0.01:0.02:0.04"} and table.header.words["unit"] == "update"
    assert {(curve.hypers["rate"], curve.seed) for curve in table.curves} == {(rate, seed) for rate in RATES for seed in (0, 1)}
    for curve in table.curves:
        assert curve.units == (10, 20, 30, 40, 50, 60)
        expected = [-8 * (1 - curve.hypers["rate"]) ** units for units in curve.units]  # type: ignore[operator]
        assert curve.mean == pytest.approx(expected, rel=1e-5)
        assert curve.sd == pytest.approx([math.sqrt(1 / 3)] * 6, rel=1e-5)  # four scores, half of them 1 apart
        assert not curve.failed and set(curve.eval_units) == {0}
    assert table.source["units"] == 2 * 3 * 60 and table.header.switches is None


def test_a_range_with_one_point_is_held(runs: dict[str, Path]) -> None:
    header = table_of(runs["ranges"]).header
    assert header.search == {"rate": "log:0.01:0.04"} and header.hypers["twin"] == 0.5


def test_a_check_says_how_far_the_model_is_off(runs: dict[str, Path]) -> None:
    """Of a training whose score says all, it is off by what lies between the points of a curve, and above its end."""
    table = table_of(runs["grid"], [runs["changing"], runs["constant"]])
    found = table.header.switches
    assert found is not None and found.steady is not None
    assert found.checked > 10 and found.checked_steady >= 4 * 5
    assert found.error < 0.25 * found.unmoved and found.steady < 0.15 * found.unmoved
    assert found.unmoved > 0.2


@pytest.mark.parametrize(
    ("source", "check", "says"),
    [
        ("changing", None, "has no ledgers of the method grid, of which tables are made"),
        ("grid", "constant", "no hyperparameter changed in the runs that are to check the table"),
        ("grid", "other", "cannot check the table: its searched is"),
        ("none", None, "none"),
    ],
)
def test_runs_that_cannot_be_used(source: str, check: str | None, says: str, runs: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=says):
        table_of(runs.get(source, tmp_path / "none"), [runs[check]] if check else [])


def test_the_command_writes_what_a_run_reads(runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "decay.json"
    with pytest.raises(SystemExit) as ended:
        main(["table", str(runs["grid"]), "--check", str(runs["changing"]), "--out", str(out)])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert "3 points, 2 seeds, 60 units" in told and "error of the model of a change: " in told and "decay.json" in told
    table = read_table(out)[0]
    assert table == table_of(runs["grid"], [runs["changing"]])
    run = rl_pbt.tune("table", {}, table=str(out), methods=["pbt"], out=tmp_path / "run", workers=1, population=4, quiet=True)
    assert "for predicting no change" in (run.folder / "summary.md").read_text()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["RUN"], "error: --out is missing"),
        (["FOLDER", "--check", "RUN", "--out", "x.json"], "error: --check needs a run of grid search"),
        (["FOLDER", "--out", "x.json"], "has no files of HPO-RL-Bench"),
        (["RUN", "--otu", "x.json"], "did you mean '--out'"),
    ],
)
def test_words_that_cannot_be(words: list[str], says: str, runs: dict[str, Path], tmp_path: Path, capsys: Any) -> None:
    places = {"RUN": str(runs["grid"]), "FOLDER": str(tmp_path)}
    with pytest.raises(SystemExit) as ended:
        main(["table", *(places.get(word, word) for word in words)])
    assert ended.value.code == 2 and says in capsys.readouterr().err


def write_hpo_rl_bench(folder: Path, **spoilt: Any) -> None:
    """A made-up benchmark in the form of HPO-RL-Bench's static files, two rates by two discounts by two seeds, 4 evaluations."""
    for lr in (-3, -2):
        for gamma in (0.9, 1.0):
            for seed in (0, 1):
                fields = {
                    "gamma": gamma,
                    "learning_rate": lr,
                    "returns_eval": [10.0 * place * (4 + lr) + gamma + seed for place in range(1, 5)],
                    "std_returns_eval": [0.5, 1.0, 1.5, 2.0],
                    "timestamps_eval": [1.0, 2.0, 3.0, 4.0],
                    "timesteps_eval": [10_000, math.nan, 30_000, 40_000],
                }
                path = folder / f"CartPole-v1_A2C_random_lr_{lr}_gamma_{gamma}_seed{seed}_eval.json"
                path.write_text(json.dumps({**fields, **spoilt}))


def test_hpo_rl_bench_files_are_read(tmp_path: Path) -> None:
    write_hpo_rl_bench(tmp_path)
    (tmp_path / "CartPole-v1_A2C_random_lr_-3-4-4_gamma_0.980.980.98_seed0_eval.json").write_text("a schedule is no grid point")
    table = read_folder(tmp_path)
    header = table.header
    assert (header.title, header.points, header.seeds, header.units) == ("A2C on CartPole-v1", 4, (0, 1), 40_000)
    assert header.search == {"learning_rate": "log:0.001:0.01", "gamma": "choice:0.9:1"} and header.start == 10.9
    curves = TableCurves(table)
    for rate, lr in ((1e-3, -3), (1e-2, -2)):
        curve = curves.curve(curves.place({"learning_rate": rate, "gamma": 1.0}), 1)
        assert [curve.score(units) for units in (10_000, 20_000, 40_000)] == [10 * place * (4 + lr) + 2 for place in (1, 2, 4)]
        assert curve.spread(30_000) == 1.5 and curve.cost(30_000) == 0
    assert curves.free_evaluation


def test_hpo_rl_bench_files_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no files of HPO-RL-Bench"):
        read_folder(tmp_path)
    write_hpo_rl_bench(tmp_path, returns_eval=[1.0])
    with pytest.raises(UserError, match="is not a file of HPO-RL-Bench"):
        read_folder(tmp_path)
    write_hpo_rl_bench(tmp_path)
    sorted(tmp_path.iterdir())[0].unlink()
    with pytest.raises(UserError, match="curves must be one for each point of the grid and each seed"):
        read_folder(tmp_path)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("lr_-3_gamma_0.9_clip_0.2", "has files that do not name the same hyperparameters"),
        ("lr_999_gamma_0.9", "lr_999_gamma_0.9_seed0_eval.json is not a file of HPO-RL-Bench"),
    ],
)
def test_hpo_rl_bench_files_whose_names_cannot_be_used_are_refused_in_one_line(setting: str, said: str, tmp_path: Path) -> None:
    write_hpo_rl_bench(tmp_path)
    one = tmp_path / "CartPole-v1_A2C_random_lr_-3_gamma_0.9_seed0_eval.json"
    one.rename(tmp_path / f"CartPole-v1_A2C_random_{setting}_seed0_eval.json")
    with pytest.raises(UserError, match=said):
        read_folder(tmp_path)


def test_names_of_files_from_elsewhere_do_no_harm(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (source := tmp_path / "sent").mkdir()
    write_hpo_rl_bench(source)
    for path in list(source.iterdir()):
        path.rename(source / path.name.replace("CartPole-v1", "\x1b[2JCart\u202ePole" + "e" * 100))
    with pytest.raises(SystemExit) as ended:
        main(["table", str(source), "--out", str(tmp_path / "table.json")])
    told = capsys.readouterr().out
    assert ended.value.code == 0 and "A2C on ?[2JCart?Pole" in told
    assert all(line.isprintable() for line in told.splitlines())


def test_a_training_of_hpo_rl_bench_that_gave_no_number_has_failed(tmp_path: Path) -> None:
    write_hpo_rl_bench(tmp_path)
    path = sorted(tmp_path.iterdir())[0]
    fields = json.loads(path.read_text())
    path.write_text(json.dumps({**fields, "returns_eval": [1.0, 2.0, math.nan, 4.0]}))
    (failed,) = [curve for curve in read_folder(tmp_path).curves if curve.failed]
    assert failed.units == (10_000, 20_000) and np.array_equal(failed.mean, [1.0, 2.0])
