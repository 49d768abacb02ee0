"""Families whose copies are processes of their own train with the default executor, whose workers are processes too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.envs.stand_ins import DMLAB, PYSC2, game_in, written

ROOT = Path(__file__).parents[2]
COSTS = ["--frames", "640", "--interval", "640", "--eval-episodes", "1", "--test-episodes", "1"]
POPULATION = ["--methods", "random", "--population", "2", "--group-size", "1", "--workers", "2"]
AGENT = ["--agent-options", "envs_per_member=2"]


@pytest.mark.skipif(sys.platform != "linux", reason="looks for the game where it is on Linux")
@pytest.mark.parametrize(
    ("env", "stand_in"),
    [("StarCraft2/MoveToBeacon-v0", PYSC2), ("dmlab_gym/lt_chasm-v0", DMLAB)],
    ids=["starcraft2", "dmlab"],
)
def test_copies_that_are_processes_train_in_worker_processes(env: str, stand_in: Mapping[str, str], tmp_path: Path) -> None:
    packages = written(stand_in, tmp_path / "packages")
    words = ["bench", "--env", env, *COSTS, *POPULATION, *AGENT, "--out", str(tmp_path / "run")]
    done = subprocess.run(
        [sys.executable, "-m", "rl_pbt", *words],
        env={**os.environ, "PYTHONPATH": f"{packages}{os.pathsep}{ROOT}", "SC2PATH": str(game_in(tmp_path))},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    ledger = (tmp_path / "run" / "random" / "seed-0" / "ledger.jsonl").read_text().splitlines()
    finished = [event["result"] for event in map(json.loads, ledger) if event["event"] == "finished"]
    assert {result["failure"] for result in finished} == {None}
    assert {result["proposal"] for result in finished} >= {0, 1}
