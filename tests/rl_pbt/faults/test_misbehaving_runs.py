"""The command on environments that misbehave: it ends in time, with a status that is true and no traceback, and the members that
are not concerned finish.

All ways with every executor are for `make nightly`; a few of each kind are for every day.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rl_pbt.store.history import read_history
from rl_pbt.store.run import RunFolder

sys.path.insert(0, str(Path(__file__).parents[1] / "trainings"))
import misbehaving_envs as bad

HERE = Path(__file__).parents[1]
LIMIT_S = 240  # of one run: a dozen hangs of two seconds, each twice, on a busy machine
EXECUTORS = ["inline", "processes", *(["ray"] if importlib.util.find_spec("ray") else [])]
ALL = [way for way in bad.WAYS if way != "interrupt"]
DAILY = ["good", "nan_reward", "exit", "raise_in_constructor", "endless", "hard_exit", "crash", "hang"]
KILLS_PYTHON = {"crash"}  # and an executor in the same process with it


def runs(ways: list[str], executor: str, workers: int, out: Path, draw: bool) -> list[dict[str, Any]]:
    """The runs of these ways, one after another in one process."""
    words = ["--executor", executor, "--workers", str(workers)]
    asked = json.dumps({"ways": ways, "words": words, "out": str(out), "draw": draw})
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(HERE / "misbehaving_runs.py"), asked],
        cwd=out,
        env={**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S * len(ways),
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    if ways[0] in KILLS_PYTHON and executor == "inline":
        assert done.returncode < 0 and not found
        return [{"way": ways[0], "status": done.returncode, "seconds": 0, "out": "", "err": ""}]
    assert [run["way"] for run in found] == ways, done.stderr
    return found


def check(run: dict[str, Any], folder: Path) -> None:
    """What must be true of any run."""
    assert "Traceback" not in run["err"] + run["out"], run["err"]
    assert run["seconds"] < LIMIT_S
    status, manifest = run["status"], RunFolder(folder).manifest()
    if status == 0:
        assert manifest.status == "finished" and (folder / "summary.md").exists()
        for method in ("pbt", "random"):
            assert read_history(RunFolder(folder), method, 0).ended
        return
    if status == 2:
        errors = [line for line in run["err"].splitlines() if not line.startswith("warning: no sign of life")]
        assert len(errors) == 1 and errors[0].startswith("error: "), run["err"]
        assert manifest.status == "failed" and manifest.reason and manifest.reason in errors[0]
        return
    assert status < 0 and run["way"] in KILLS_PYTHON
    assert RunFolder(folder).status == "killed"


def failures(folder: Path) -> list[str]:
    """The reasons of all members that failed."""
    histories = [read_history(RunFolder(folder), method, 0) for method in ("pbt", "random")]
    return [trial.result.failure for history in histories for trial in history.trials if trial.result.failure]


def sweep(ways: list[str], executor: str, workers: int, out: Path, *, draw: bool) -> None:
    deadly = [way for way in ways if way in KILLS_PYTHON and executor == "inline"]
    found = runs([way for way in ways if way not in deadly], executor, workers, out, draw)
    for way in deadly:
        found += runs([way], executor, workers, out, draw)
    for run in found:
        check(run, out / run["way"])
        way = run["way"]
        if way in bad.HARMLESS:
            assert run["status"] == 0 and not failures(out / way), run["err"]
        elif way not in deadly:
            assert f"Bad/{way}-v0" in " ".join(failures(out / way)) + run["err"]


@pytest.mark.parametrize(("executor", "workers"), [("inline", 1), ("processes", 2)])
def test_some_ways_to_misbehave(executor: str, workers: int, tmp_path: Path) -> None:
    sweep(DAILY, executor, workers, tmp_path, draw=False)


@pytest.mark.nightly
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("executor", EXECUTORS)
def test_every_way_to_misbehave(executor: str, workers: int, tmp_path: Path) -> None:
    sweep(ALL, executor, workers, tmp_path, draw=True)
