"""A population on SMAX: the same whoever trains it, and unfinished battles continue."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

import rl_pbt

pytestmark = [
    pytest.mark.nightly,  # each process loads JAX and compiles
    pytest.mark.skipif(find_spec("jaxmarl") is None, reason="needs the extra starcraft"),
]


def results(run: rl_pbt.Run) -> list[tuple[object, ...]]:
    """What came out of each proposal of PBT: scores and the digest of its checkpoint, but no times."""
    events = [json.loads(line) for line in (run.folder / "pbt" / "seed-0" / "ledger.jsonl").read_text().splitlines()]
    found = [event["result"] for event in events if event["event"] == "finished"]
    return [tuple(result[name] for name in ("proposal", "fitness", "returns", "digest", "failure")) for result in found]


def test_two_workers_do_what_this_process_does(tmp_path: Path) -> None:
    runs = [
        rl_pbt.bench(
            "SMAX/3m-v0", methods=["pbt"], population=2, frames=1600, interval=400, group_size=1, eval_episodes=2,
            test_episodes=2, agent_options={"envs_per_member": 4}, out=tmp_path / executor, executor=executor,
            workers=workers, quiet=True,
        )
        for executor, workers in (("inline", 1), ("processes", 2))
    ]  # fmt: skip
    first, second = (results(run) for run in runs)
    assert first == second and len(first) >= 8 and all(failure is None for *_, failure in first)
    assert runs[0].config.task_options["carry_episodes"] is True
    assert "SMAX, StarCraft-like (JaxMARL)" in (runs[0].folder / "summary.md").read_text()
