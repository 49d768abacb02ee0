"""Runs that send their curves to a service too: what arrives there, without a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rl_pbt.errors import UserError
from rl_pbt.observers import TRACKERS, check_tracker
from rl_pbt.observers.tracked import known_number
from rl_pbt.observers.wandb import WandB
from rl_pbt.store.run import RunFolder

SMALL = ["--methods", "pbt", "random", "--population", "4", "--budget", "60", "--interval", "20", "--workers", "1"]
BLOCK = 1 << 15  # bytes of what offline files of W&B are written in, each with records that begin with 7 bytes


NEW = ["--task", "quadratic", *SMALL, "--out", "run", "--keep-population"]
EXTENDED = ["--resume", "run", "--budget", "120", "--workers", "1"]


SCRIPT = """
import json, shutil, sys
from rl_pbt import report
from rl_pbt.cli.main import main

report.write_report = lambda run: report.summarise(run)  # pages and plots take longer than the run
for number, words in enumerate(json.loads(sys.argv[1])):
    try:
        main(words)
    except SystemExit as ended:
        if ended.code:
            raise
    shutil.copytree("run", f"after-{number}")
"""


def tracked(cwd: Path, tracker: str, *commands: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """These commands one after another, in a process that nothing else was loaded in; the run as it was after each is kept."""
    words = [["tune", *each, "--executor", "inline", "--track", tracker] for each in commands]
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, json.dumps(words)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "MLFLOW_"))}
    environment = {**kept, "HOME": str(cwd), **environment}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=200)


def offline(path: Path) -> Iterator[bytes]:
    """The records of an offline file of W&B, which is a log as LevelDB writes it."""
    content, at, whole = path.read_bytes(), 7, b""
    while at + 7 <= len(content):
        if BLOCK - at % BLOCK < 7:
            at += BLOCK - at % BLOCK
            continue
        length, kind = int.from_bytes(content[at + 4 : at + 6], "little"), content[at + 6]
        whole += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # a whole one, or the last part of one
            yield whole
            whole = b""


def test_wandb_has_a_run_for_each_method_with_the_same_curves(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    from wandb.proto.wandb_internal_pb2 import Record

    done = tracked(tmp_path, "wandb", NEW, EXTENDED, WANDB_MODE="offline")
    assert done.returncode == 0 and "wandb:" not in done.stdout + done.stderr, done.stderr
    seen = {}
    for path in (tmp_path / "after-0" / "wandb").glob("offline-run-*/run-*.wandb"):
        records = [Record.FromString(content) for content in offline(path)]
        (name,) = {record.run.display_name for record in records if record.HasField("run")}
        seen[name] = records
    assert set(seen) == {"pbt-s0", "random-s0"}
    numbers = {name: known_number(RunFolder(tmp_path / "run"), name[:-3], 0, "wandb") for name in seen}
    for name, records in seen.items():
        assert next(record.run.run_id for record in records if record.HasField("run")) == numbers[name]
        (run,) = [record.run for record in records if record.HasField("run")]
        config = {item.key: json.loads(item.value_json) for item in run.config.update}
        assert (run.project, run.run_group, config["population"], config["budget"]) == ("rl_pbt", "run", 4, 60)
        rows = [
            {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
            for record in records
            if record.HasField("history")
        ]
        best = [(row["units"], row["charts/best_fitness"]) for row in rows if "charts/best_fitness" in row]
        assert len(best) == 3 and best == sorted(best), "fitness of the quadratic only rises here"
        assert sum("charts/test_Q" in row for row in rows) >= 1
        against = {record.metric.glob_name: record.metric.step_metric for record in records if record.HasField("metric")}
        groups = {tag.split("/")[0] for row in rows for tag in row if "/" in tag}
        assert groups == {"charts", "diversity", "population", "winner"}
        assert {f"{group}/*" for group in groups} == set(against)
        assert (against["charts/*"], against["winner/*"]) == ("units", "winner/units")
    for number in numbers.values():  # a folder is named for its second and the run's number, a second one of both ends in -1
        assert len(list((tmp_path / "run" / "wandb").glob(f"offline-run-*-{number}*"))) == 2, "the resumed run has its number"


class FakeRun:
    """A run as the service continues it, with what it remembers of it."""

    def __init__(self, asked: dict[str, Any], summary: dict[str, float]) -> None:
        self.asked, self.summary, self.rows = asked, summary, []
        self.id, self.resumed = asked["id"] or "first", bool(asked["resume"] and summary)

    def define_metric(self, *_: object, **__: object) -> None:
        pass

    def log(self, row: dict[str, float]) -> None:
        self.rows.append(row)


def test_wandb_is_not_told_twice_what_it_has_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary: dict[str, float] = {}
    made: list[FakeRun] = []

    def init(**asked: Any) -> FakeRun:
        made.append(FakeRun(asked, summary))
        return made[-1]

    settings = SimpleNamespace(project=None)
    fake = SimpleNamespace(
        init=init,
        setup=lambda: SimpleNamespace(settings=settings),
        Settings=lambda **_: None,
        errors=SimpleNamespace(Error=ValueError),
    )
    monkeypatch.setitem(sys.modules, "wandb", fake)
    for reached in (20, 60):
        sink = WandB(RunFolder(tmp_path), "pbt", 0, config={}, about={})
        for units in range(20, reached + 1, 20):
            sink.population({"charts/best_fitness": float(units)}, units)
        sink.population({"charts/test_Q": 1.0}, 20)
        sink.winner({"winner/fitness": 1.0}, 10)
        for row in made[-1].rows:
            summary.update(row)
    first, second = made
    assert (first.asked["id"], first.asked["resume"]) == (None, None)
    assert (second.asked["id"], second.asked["resume"]) == ("first", "allow")
    assert [row["units"] for row in first.rows if "charts/best_fitness" in row] == [20]
    assert second.rows == [{"units": units, "charts/best_fitness": float(units)} for units in (40, 60)]


@pytest.mark.parametrize("content", ['{"wandb": 7}', '{"wandb": "../../x"}', '{"wandb": "%s"}' % ("x" * 1000), "7", "{"])
def test_a_number_that_cannot_be_is_refused_in_one_line(content: str, tmp_path: Path) -> None:
    path = tmp_path / "pbt" / "seed-0" / "tracked.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(UserError, match=r"tracked\.json is damaged") as told:
        known_number(RunFolder(tmp_path), "pbt", 0, "wandb")
    assert "\n" not in str(told.value)


def test_wandb_without_an_account_says_what_to_do(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    done = tracked(tmp_path, "wandb", NEW, WANDB_BASE_URL="http://127.0.0.1:9")
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert "wandb login" in done.stderr and "WANDB_MODE=offline" in done.stderr


@pytest.mark.filterwarnings("ignore")  # of what MLflow stands on
def test_mlflow_has_a_run_for_each_method_which_a_resumed_one_continues(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    place = f"sqlite:///{tmp_path / 'mlflow.db'}"
    done = tracked(tmp_path, "mlflow", NEW, EXTENDED, MLFLOW_TRACKING_URI=place)
    assert done.returncode == 0, done.stderr
    client = mlflow.MlflowClient(place)
    found = client.search_runs(["0"])
    runs = {run.info.run_name: run for run in found}
    assert sorted(runs) == ["pbt-s0", "random-s0"] and len(found) == 2
    for name, run in runs.items():
        assert run.info.status == "FINISHED" and run.data.tags["run"] == "run"
        assert f"{run.data.params['method']}-s0" == name and "hypers/h0/last" in run.data.params
        best = client.get_metric_history(run.info.run_id, "charts/best_fitness")
        assert len(best) == len({metric.step for metric in best}) == 6, "the resumed run added three"
        assert "charts/test_Q" in run.data.metrics
    for folder in ("after-0", "after-1"):
        numbers = {name: known_number(RunFolder(tmp_path / folder), name[:-3], 0, "mlflow") for name in runs}
        assert numbers == {name: run.info.run_id for name, run in runs.items()}


@pytest.mark.parametrize("name", [*TRACKERS])
def test_a_package_that_is_absent_is_named_with_the_command(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rl_pbt.observers.find_spec", lambda package: None if package == name else find_spec(package))
    with pytest.raises(UserError, match=rf"needs the package {name}, which is not installed: pip install"):
        check_tracker(name)


def test_an_unknown_tracker_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    done = tracked(tmp_path, "wanbd", NEW)
    assert done.returncode == 2 and "did you mean 'wandb'?" in done.stderr and not (tmp_path / "run").exists()
