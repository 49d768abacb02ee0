"""Two processes on one folder: one owns it, the other is told so, and nothing is lost or doubled."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rl_pbt.store.owner import holder
from rl_pbt.store.run import RunFolder

RUN = ["tune", "--task", "quadratic", "--methods", "pbt", "random", "--population", "4", "--budget", "2k", "--interval", "20"]


def begun(*words: str, cwd: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "ignore", "-m", "rl_pbt", *words]
    return subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err, err
    return process.returncode, out + err


def timeless(ledger: Path) -> list[str]:
    return [
        re.sub(r'"(time|cpu_s|wall_s|method_s|eval_cpu_s)":[0-9.e-]+|,"crc":"\w+"', "", line)
        for line in ledger.read_text().splitlines()
    ]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The ledger of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("alone")
    assert ended(begun(*RUN, "--out", "run", "--workers", "1", cwd=folder))[0] == 0
    return timeless(folder / "run/pbt/seed-0/ledger.jsonl")


def others(against: str) -> list[str]:
    match against:
        case "bench":
            return [*RUN, "--out", "run", "--workers", "1"]
        case "resume":
            return ["tune", "--resume", "run", "--workers", "1"]
        case _:
            return ["report", "run"]


@pytest.mark.parametrize(
    ("against", "attempt"),
    [
        pytest.param(against, attempt, marks=[pytest.mark.nightly] if attempt > 0 else [])
        for against in ("bench", "resume", "report")
        for attempt in range(7)
    ],
)
def test_one_owns_the_run_and_the_other_is_told(against: str, attempt: int, alone: list[str], tmp_path: Path) -> None:
    chance = random.Random(f"{against} {attempt}")
    first = begun(*RUN, "--out", "run", "--workers", "1", cwd=tmp_path)
    time.sleep(chance.uniform(0.0, 2.0) if against == "bench" else chance.uniform(1.0, 2.5))
    second = begun(*others(against), cwd=tmp_path)
    results = [ended(first), ended(second)]
    for status, said in results:
        assert status in (0, 2), said
        if status == 2:
            assert re.search(r"^error: .*(is in use by process \d+ on |is not a run)", said, re.MULTILINE), said
    assert any(status == 0 for status, _ in results)
    assert timeless(tmp_path / "run/pbt/seed-0/ledger.jsonl") == alone
    assert RunFolder(tmp_path / "run").status == "finished"
    assert json.loads((tmp_path / "run/summary.json").read_text())["status"] == "finished" or against == "report"


def test_the_message_names_the_owner_and_a_killed_one_is_no_owner(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    first = begun(*RUN[:-4], "--budget", "400k", "--interval", "20", "--out", "run", "--workers", "1", cwd=tmp_path)
    deadline = time.monotonic() + 60
    while not (run.begun and holder(run.folder)):
        assert time.monotonic() < deadline and first.poll() is None
        time.sleep(0.05)
    assert run.status == "running"
    status, said = ended(begun("tune", "--resume", "run", cwd=tmp_path))
    assert status == 2 and f"in use by process {first.pid} on " in said and said.count("\n") == 1
    status, said = ended(begun("report", "run", cwd=tmp_path))
    assert status == 0 and json.loads((run.folder / "summary.json").read_text())["status"] == "running"
    first.kill()
    first.communicate()
    assert run.status == "killed" and run.manifest().status == "running"
    status, said = ended(begun("report", "run", cwd=tmp_path))
    assert status == 0 and "killed" in (run.folder / "summary.md").read_text().lower()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_a_true_status_and_a_report(number: int, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    process = begun(*RUN[:-4], "--budget", "400k", "--interval", "20", "--out", "run", "--workers", "1", cwd=tmp_path)
    deadline = time.monotonic() + 60
    while not (tmp_path / "run/pbt/seed-0/ledger.jsonl").exists():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    status, said = ended(process)
    assert status == 130 and "resume with: rl-pbt tune --resume run" in said
    assert run.status == "interrupted" and "Interrupted" in (run.folder / "summary.md").read_text()


def test_runs_that_begin_in_the_same_second_have_folders_of_their_own(tmp_path: Path) -> None:
    small = [*RUN[:-4], "--budget", "40", "--interval", "20", "--workers", "1"]
    processes = [begun(*small, cwd=tmp_path) for _ in range(3)]
    for process in processes:
        assert ended(process)[0] == 0
    assert len(list((tmp_path / "results/quadratic").iterdir())) == 3
