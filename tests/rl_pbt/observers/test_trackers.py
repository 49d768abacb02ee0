"""Runs that send their curves to a service too: what arrives there, without a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from rl_pbt.errors import UserError
from rl_pbt.observers import TRACKERS, check_tracker

SMALL = ["--methods", "pbt", "random", "--population", "4", "--budget", "60", "--interval", "20", "--workers", "1"]
BLOCK = 1 << 15  # bytes of what offline files of W&B are written in, each with records that begin with 7 bytes


def tracked(cwd: Path, tracker: str, **environment: str) -> subprocess.CompletedProcess[str]:
    words = ["tune", "--task", "quadratic", *SMALL, "--out", "run", "--track", tracker]
    command = [sys.executable, "-W", "ignore", "-m", "rl_pbt", *words]
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

    done = tracked(tmp_path, "wandb", WANDB_MODE="offline")
    assert done.returncode == 0 and "wandb:" not in done.stdout + done.stderr, done.stderr
    seen = {}
    for path in (tmp_path / "run" / "wandb").glob("offline-run-*/run-*.wandb"):
        records = [Record.FromString(content) for content in offline(path)]
        (name,) = {record.run.display_name for record in records if record.HasField("run")}
        seen[name] = records
    assert set(seen) == {"pbt-s0", "random-s0"}
    for records in seen.values():
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


def test_wandb_without_an_account_says_what_to_do(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    done = tracked(tmp_path, "wandb", WANDB_BASE_URL="http://127.0.0.1:9")
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert "wandb login" in done.stderr and "WANDB_MODE=offline" in done.stderr


@pytest.mark.filterwarnings("ignore")  # of what MLflow stands on
def test_mlflow_has_a_run_for_each_method(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    place = f"sqlite:///{tmp_path / 'mlflow.db'}"
    done = tracked(tmp_path, "mlflow", MLFLOW_TRACKING_URI=place)
    assert done.returncode == 0, done.stderr
    client = mlflow.MlflowClient(place)
    runs = {run.info.run_name: run for run in client.search_runs(["0"])}
    assert set(runs) == {"pbt-s0", "random-s0"}
    for name, run in runs.items():
        assert run.info.status == "FINISHED" and run.data.tags["run"] == "run"
        assert f"{run.data.params['method']}-s0" == name and "hypers/h0/last" in run.data.params
        best = client.get_metric_history(run.info.run_id, "charts/best_fitness")
        assert len(best) == 3 and len({metric.step for metric in best}) == 3
        assert "charts/test_Q" in run.data.metrics


@pytest.mark.parametrize("name", [*TRACKERS])
def test_a_package_that_is_absent_is_named_with_the_command(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rl_pbt.observers.find_spec", lambda package: None if package == name else find_spec(package))
    with pytest.raises(UserError, match=rf"needs the package {name}, which is not installed: pip install"):
        check_tracker(name)


def test_an_unknown_tracker_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    done = tracked(tmp_path, "wanbd")
    assert done.returncode == 2 and "did you mean 'wandb'?" in done.stderr and not (tmp_path / "run").exists()
