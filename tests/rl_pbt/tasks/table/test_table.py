"""The task: what a member scores and is charged, what a run records of its table, and what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rl_pbt
from rl_pbt.cli.main import main
from rl_pbt.errors import UserError
from rl_pbt.making import configure, make_method, make_task
from rl_pbt.opening import open_run
from rl_pbt.options import built
from rl_pbt.records import Proposal
from rl_pbt.running import execute, prepare
from rl_pbt.store.history import read_history
from rl_pbt.store.ledger import Ledger
from rl_pbt.store.run import RunFolder
from rl_pbt.tasks.base import FinalTestJob, IntervalJob
from rl_pbt.tasks.table.curves import TableCurves
from rl_pbt.tasks.table.following import FAILED, TableTask
from rl_pbt.tasks.table.recorded import Curve, Switches, Table, read_table
from tests.rl_pbt.tasks.table.searches import Memory
from tests.rl_pbt.tasks.table.toy import EPISODES, EVAL_UNITS, SD, SEEDS, UNITS, score, toy_table

TOY = Path(__file__).parents[2] / "trainings" / "toy_table.json"
HELD = {"rate": 1.0, "speed": 0.0}


def trained(task: TableTask, memory: Memory, *, hypers: Mapping[str, Any] = HELD, intervals: int = 3, **fields: Any) -> list[Any]:
    """The results of a member that trains for so many intervals of 10."""
    results = []
    for generation in range(intervals):
        parent = None if generation == 0 else generation - 1
        whole = {"member": 0, "hypers": dict(hypers), "units": 10, **fields}
        proposal = Proposal(id=generation, generation=generation, parent=parent, **whole)
        job = IntervalJob(proposals=(proposal,), lineage_units=(10 * generation,), root_seed=5, checkpoints=memory)
        results += task.interval(job)
    return results


def test_the_committed_toy_is_what_its_script_writes() -> None:
    assert TOY.read_bytes() == toy_table().to_bytes()
    assert read_table(TOY)[0] == toy_table()


def test_constant_hyperparameters_follow_one_recorded_training_and_are_charged_as_it_was() -> None:
    results = trained(TableTask(curves=TableCurves(toy_table()), eval_episodes=4), Memory(), intervals=len(UNITS))
    found = [result.metrics["table/true_score"] for result in results]
    assert found in [[score(1.0, 0.0, seed, units) for units in UNITS] for seed in SEEDS]
    assert [(result.cost.train_units, result.cost.updates) for result in results] == [(10, 0)] * len(UNITS)  # none is trained
    assert {result.cost.eval_units for result in results} == {EVAL_UNITS * 4 // EPISODES}
    assert [result.lineage_units for result in results] == list(UNITS)


def test_members_have_the_luck_of_different_trainings() -> None:
    task = TableTask(curves=TableCurves(toy_table()), eval_episodes=1)
    ends = [trained(task, Memory(), member=member, intervals=1)[0].metrics["table/true_score"] for member in range(200)]
    shares = [ends.count(score(1.0, 0.0, seed, 10)) / 200 for seed in SEEDS]
    assert sum(shares) == 1 and min(shares) > 0.1  # 0.2 each, with a standard error of 0.03


def test_evaluations_and_tests_have_the_recorded_mean_and_spread() -> None:
    task, memory = TableTask(curves=TableCurves(toy_table()), eval_episodes=4000), Memory()
    (result,) = trained(task, memory, intervals=1)
    test = task.test(FinalTestJob(proposal=0, episodes=range(4000), root_seed=5, checkpoints=memory)).returns
    for scores in (result.returns, test):
        assert np.mean(scores) == pytest.approx(result.metrics["table/true_score"], abs=4 * SD / 4000**0.5)
        assert np.std(scores) == pytest.approx(SD, rel=0.05)
    assert set(result.returns).isdisjoint(test)


def test_a_test_is_the_same_however_it_is_cut() -> None:
    task, memory = TableTask(curves=TableCurves(toy_table()), eval_episodes=1), Memory()
    trained(task, memory, intervals=1)
    whole, first, rest = (
        task.test(FinalTestJob(proposal=0, episodes=episodes, root_seed=5, checkpoints=memory)).returns
        for episodes in (range(6), range(2), range(2, 6))
    )
    assert whole == (*first, *rest)


def test_where_the_recorded_training_failed_a_member_fails() -> None:
    table = toy_table()
    curves = tuple(
        Curve(hypers=one.hypers, seed=one.seed, units=(10,), mean=(1.0,), sd=(0.0,), eval_units=(1,), failed=True)
        if one.hypers == HELD
        else one
        for one in table.curves
    )
    task, memory = TableTask(curves=TableCurves(Table(header=table.header, curves=curves)), eval_episodes=1), Memory()
    first, second = trained(task, memory, intervals=2)
    assert first.failure is None and (second.failure, second.cost.train_units) == (FAILED, 10)
    assert 1 not in memory.states


def test_of_whom_nobody_needs_to_know_only_what_is_free_is_told() -> None:
    """And a training that failed is known to have failed."""
    table = toy_table()
    for one in trained(TableTask(curves=TableCurves(table), eval_episodes=4), Memory(), episodes=0):
        assert (one.fitness, one.failure, one.cost.units) == (None, None, 10) and one.foreseen_units == EVAL_UNITS * 4 // EPISODES
    free = Table(header=table.header, curves=tuple(replace(one, eval_units=(0,) * len(UNITS)) for one in table.curves))
    assert all(
        one.fitness is not None for one in trained(TableTask(curves=TableCurves(free), eval_episodes=4), Memory(), episodes=0)
    )
    failed = Table(header=table.header, curves=tuple(replace(one, failed=True) for one in table.curves))
    last = trained(TableTask(curves=TableCurves(failed), eval_episodes=4), Memory(), episodes=0, intervals=len(UNITS) + 1)[-1]
    assert (last.failure, last.foreseen_units) == (FAILED, 0)


def whole(**settings: Any) -> dict[str, Any]:
    return {"task": "table", "table": str(TOY), **settings}


def test_a_run_has_the_space_the_budget_and_the_words_of_its_table() -> None:
    config = configure(whole(methods=["pbt"]))
    assert config.search == {"rate": "linear:0:1", "speed": "linear:0:1"}
    assert (config.budget, config.interval, config.task_options["eval_episodes"]) == (100, 10, EPISODES)
    held = make_task(configure(whole(search={"rate": "0.2:0.6", "speed": 0.5})), workers=1)
    assert isinstance(held, TableTask) and held.hypers["speed"] == 0.5


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no table": ({"table": None}, r"^table is missing"),
    "absent": ({"table": "none.json"}, r"^cannot read .*none\.json"),
    "longer": ({"budget": 101}, r"^budget must be 100 or less, which all curves reach, but is 101$"),
    "wider": ({"search": {"rate": "linear:0:2"}}, r"^search cannot use linear:0:2 for rate: the table has linear:0:1$"),
    "unknown": ({"search": {"width": "int:1:8"}}, r"^search cannot use width: the table has curves for rate, speed$"),
    "held elsewhere": ({"hypers": {"depth": 4}}, r"^hypers cannot set depth"),
    "words": ({"search": {"rate": "choice:a:b"}}, r"^search cannot use choice:a:b for rate"),
    "truths": ({"search": {"rate": "choice:true:false"}}, r"^search cannot use choice:true:false for rate"),
    "found beside": ({"hypers": {"rate": 50.0}}, r"^hypers cannot use 50.0 for rate: the table has linear:0:1$"),
    "held beside": ({"search": {"rate": -1}}, r"^hypers cannot use -1 for rate: the table has linear:0:1$"),
    "a word": ({"hypers": {"rate": "fast"}}, r"^hypers cannot use fast for rate"),
}
OF_CHOICES: dict[str, tuple[dict[str, Any], str]] = {
    "a range of choices": (
        {"search": {"speed": "linear:0:1"}},
        r"^search cannot use linear:0:1 for speed: the table has choice:0:1$",
    ),
    "another choice": ({"search": {"speed": "choice:0:2"}}, r"^search cannot use choice:0:2 for speed"),
    "no choice": ({"hypers": {"speed": 0.5}}, r"^hypers cannot use 0.5 for speed: the table has choice:0:1$"),
}


@pytest.mark.parametrize(("settings", "says"), REFUSED.values(), ids=REFUSED)
def test_what_a_table_says_nothing_about_is_refused(settings: dict[str, Any], says: str) -> None:
    given = {name: value for name, value in whole(**settings).items() if value is not None}
    with pytest.raises(UserError, match=says):
        configure(given)


@pytest.mark.parametrize(("settings", "says"), OF_CHOICES.values(), ids=OF_CHOICES)
def test_between_choices_there_is_nothing(settings: dict[str, Any], says: str, tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    path.write_bytes(toy_table(search={"rate": "linear:0:1", "speed": "choice:0:1"}).to_bytes())
    configure(whole(table=str(path), search={"speed": "choice:1:0"}))
    with pytest.raises(UserError, match=says):
        configure(whole(table=str(path), **settings))


def test_what_hand_tuning_found_beside_the_grid_is_left_to_the_user(tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    path.write_bytes(toy_table(hypers={"rate": 50.0, "speed": 0.0}).to_bytes())
    assert configure(whole(table=str(path))).hypers == {"speed": 0.0}
    with pytest.raises(UserError, match=r"^hypers must have a value of each searched .* for hand-tuned: add rate$"):
        make_method("hand-tuned", config := configure(whole(table=str(path))), 0, make_task(config, workers=1))


def test_a_schedule_that_falls_below_the_ranges_is_replayed_on_another_copy_of_the_table(tmp_path: Path) -> None:
    table = toy_table()
    search = {"rate": "linear:0.5:1", "speed": "linear:0:1"}
    upper = tuple(one for one in table.curves if one.hypers["rate"] != 0.0)
    (tmp_path / "copies").mkdir()
    for path in (one := tmp_path / "table.json", other := tmp_path / "copies" / "table.json"):
        path.write_bytes(Table(header=replace(table.header, search=search, points=4), curves=upper).to_bytes())
    settings: dict[str, Any] = {"population": 2, "workers": 1, "quiet": True}
    falling = rl_pbt.tune(
        "table", {}, table=str(one), methods=["random-annealed"], annealed="rate", out=tmp_path / "a", **settings
    )
    assert (
        min(trial.proposal.hypers["rate"] for trial in read_history(RunFolder(falling.folder), "random-annealed", 0).trials) < 0.5
    )
    again = rl_pbt.tune("table", {}, table=str(other), methods=[f"replay:{falling.folder}"], out=tmp_path / "b", **settings)
    assert RunFolder(again.folder).status == "finished"


def test_a_table_is_found_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(TOY.parent)
    begun = open_run({**whole(methods=["pbt"], population=2), "table": TOY.name}, out=tmp_path / "run")
    execute(prepare(begun, workers=1), command="test")
    monkeypatch.chdir(tmp_path)
    assert rl_pbt.load(tmp_path / "run").winner("pbt", 0) is not None
    rl_pbt.tune("table", {}, table=str(TOY), methods=["pbt"], population=2, out=tmp_path / "run", workers=1, quiet=True)


SPOILT: dict[str, Any] = {
    "not JSON": "{",
    "a list": [],
    "another version": {"version": 2},
    "no curves": {"curves": []},
    "half of the curves": {"curves": json.loads(TOY.read_text())["curves"][::2]},
    "a curve twice": {"curves": [*json.loads(TOY.read_text())["curves"][:-1], json.loads(TOY.read_text())["curves"][0]]},
    "no grid": {"curves": [*json.loads(TOY.read_text())["curves"][:-1], {**json.loads(TOY.read_text())["curves"][0], "seed": 9}]},
    "units that fall": {"curves": [{**one, "units": one["units"][::-1]} for one in json.loads(TOY.read_text())["curves"]]},
    "a list too short": {"curves": [{**one, "sd": []} for one in json.loads(TOY.read_text())["curves"]]},
    "other hyperparameters": {"curves": [{**one, "hypers": {"rate": 0.0}} for one in json.loads(TOY.read_text())["curves"]]},
    "words of another kind": {"header": {**json.loads(TOY.read_text())["header"], "words": {"unit": "x"}}},
    "curves that end early": {"header": {**json.loads(TOY.read_text())["header"], "units": 101}},
}


@pytest.mark.parametrize("spoilt", SPOILT.values(), ids=SPOILT)
def test_a_spoilt_table_is_refused_in_one_line(spoilt: Any, tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    fields = {**json.loads(TOY.read_text()), **spoilt} if isinstance(spoilt, dict) else spoilt
    path.write_text(fields if isinstance(fields, str) else json.dumps(fields))
    with pytest.raises(UserError, match=r"table\.json is (not a table|damaged)"):
        read_table(path)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> rl_pbt.Run:
    folder = tmp_path_factory.mktemp("runs")
    shutil.copy(TOY, folder / "table.json")
    settings = {"methods": ["pbt", "random"], "population": 4, "seeds": [0, 1], "workers": 1, "quiet": True}
    return rl_pbt.tune("table", {}, table=str(folder / "table.json"), out=folder / "run", **settings)


def test_a_report_opens_no_table_and_says_that_nothing_was_trained(run: rl_pbt.Run, tmp_path: Path) -> None:
    folder = shutil.copytree(run.folder, tmp_path / "run")
    table = Path(run.config.task_options["table"])
    hidden = table.rename(table.with_suffix(".hidden"))
    try:
        page = rl_pbt.load(folder).report().read_text()
    finally:
        hidden.rename(table)
    assert "Nothing was trained: members follow curves that were recorded with 6 settings" in page
    assert "the error of this model was not measured" in page and "a table of an invented training" in page
    assert "skill" in page and "beginner" in page


def test_a_dry_run_says_how_far_the_model_is_off(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = Switches(checked=120, error=1.5, unmoved=2.5, checked_steady=40, steady=0.75)
    path = tmp_path / "table.json"
    path.write_bytes(toy_table(switches=found).to_bytes())
    with pytest.raises(SystemExit) as ended:
        main(["tune", "--task", "table", "--table", str(path), "--dry-run"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert "a table of an invented training: 6 points, 5 seeds each" in told
    assert (
        "over the interval after each of 120 measured changes the mean skill is off by 1.5 (root mean square), "
        "against 2.5 for predicting no change, and 0.75 where nothing had changed"
    ) in told


def test_another_table_of_the_same_name_is_refused(run: rl_pbt.Run, tmp_path: Path) -> None:
    folder = shutil.copytree(run.folder, tmp_path / "run")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["config"]["task_options"]["digest"] = "0" * 32
    (folder / "manifest.json").write_text(json.dumps({**manifest, "status": "interrupted"}))
    with pytest.raises(UserError, match="is not the table that this run began with"):
        rl_pbt.tune("table", {}, resume=folder, workers=1, quiet=True)


def test_a_run_is_resumed_on_its_table_wherever_that_lies_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, now, another = (tmp_path / name for name in ("before.json", "now.json", "another.json"))
    before.write_bytes(TOY.read_bytes())
    another.write_bytes(toy_table(switches=Switches(checked=1, error=1, unmoved=1, checked_steady=0, steady=None)).to_bytes())
    settings = whole(table=str(before), methods=["pbt"], population=4, interval=20)

    def trained_on(settings: Mapping[str, Any], **where: Path) -> list[Any]:
        folder = next(iter(where.values()))
        execute(prepare(open_run(settings, **where), workers=1), command="test")
        return [(trial.proposal, trial.result.returns) for trial in read_history(RunFolder(folder), "pbt", 0).trials]

    expected = trained_on(settings, out=tmp_path / "whole")
    with monkeypatch.context() as patch:
        append, count = Ledger.append, iter(range(5))

        def stopping(self: Ledger, events: Any) -> None:
            if next(count, None) is None:
                raise KeyboardInterrupt
            append(self, events)

        patch.setattr(Ledger, "append", stopping)
        with pytest.raises(KeyboardInterrupt):
            trained_on(settings, out=tmp_path / "run")
    before.rename(now)
    with pytest.raises(UserError, match=r"another\.json is not the table that this run began with"):
        trained_on({"table": str(another)}, resume=tmp_path / "run")
    assert trained_on({"table": str(now)}, resume=tmp_path / "run") == expected
    assert trained_on({**settings, "table": str(now)}, out=tmp_path / "run") == expected
    assert RunFolder(tmp_path / "run").manifest().config.task_options["table"] == str(before)


def test_a_header_that_somebody_sent_is_checked(run: rl_pbt.Run, tmp_path: Path) -> None:
    folder = shutil.copytree(run.folder, tmp_path / "run")
    manifest = json.loads((folder / "manifest.json").read_text())
    for wrong in ({"seeds": []}, {"words": {"unit": 3}}, {"units": "many"}, {"search": None}):
        header = {**manifest["config"]["task_options"]["header"], **wrong}
        options = {**manifest["config"]["task_options"], "header": header}
        spoilt = {**manifest, "config": {**manifest["config"], "task_options": options}}
        (folder / "manifest.json").write_text(json.dumps(spoilt))
        with pytest.raises(UserError, match="damaged or of another version"):
            rl_pbt.load(folder)


def test_a_checkpoint_of_something_else_is_refused(run: rl_pbt.Run) -> None:
    task, memory = make_task(run.config, 1), Memory()
    for state in ({}, {"whose": np.zeros(1)}, {"score": np.array([np.nan])}):
        memory.states[0] = {**trained_state(), **state} if state else {}
        with pytest.raises(UserError, match="the checkpoint of proposal 0 is not of a table"):
            task.winner(0, memory)
    memory.states[0] = {**trained_state(), "whose": np.array([0, 99])}
    with pytest.raises(UserError, match="the checkpoint of proposal 0 is not of this table"):
        task.winner(0, memory)


def trained_state() -> dict[str, Any]:
    memory = Memory()
    trained(TableTask(curves=TableCurves(toy_table()), eval_episodes=1), memory, intervals=1)
    return dict(memory.states[0])


def test_it_loads_no_torch(tmp_path: Path) -> None:
    script = (
        "import sys, rl_pbt.running, rl_pbt.making as m\n"
        f"m.make_task(m.configure({whole()!r}), 1)\nprint([n for n in ('torch', 'gymnasium') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_killed_anywhere_it_ends_as_if_nothing_had_happened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped after each batch of its ledger and resumed, the ledger has the same lines."""
    settings = whole(methods=["pbt"], population=4, interval=20, group_size=2)

    def lines(folder: Path) -> list[Any]:
        execute(prepare(open_run(settings, out=folder), workers=1), command="test")
        history = read_history(RunFolder(folder), "pbt", 0)
        return [(trial.proposal, built(type(trial.result), trial.result.to_json() | {"cost": {}})) for trial in history.trials]

    append, expected = Ledger.append, lines(tmp_path / "whole")
    for stop in range(1, 12, 2):
        count = iter(range(stop))

        def stopping(self: Ledger, events: Any, count: Any = count) -> None:
            if next(count, None) is None:
                raise KeyboardInterrupt
            append(self, events)

        monkeypatch.setattr(Ledger, "append", stopping)
        with pytest.raises(KeyboardInterrupt):
            lines(tmp_path / f"stopped-{stop}")
        monkeypatch.setattr(Ledger, "append", append)
        assert lines(tmp_path / f"stopped-{stop}") == expected
