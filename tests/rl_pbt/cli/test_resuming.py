"""Where a run goes on, told from its ledgers as they were at any moment."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import rl_pbt
from rl_pbt.cli.resuming import where_it_stands
from rl_pbt.store.run import RunFolder

POPULATION, INTERVALS = 3, 4


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    search = {"h0": "linear:0:1", "h1": "linear:0:1"}
    settings = {"population": POPULATION, "interval": 5, "seeds": [0, 1], "executor": "inline"}
    return rl_pbt.tune("quadratic", search, budget=5 * INTERVALS, out=out, quiet=True, **settings).folder


def test_at_every_line_of_a_ledger_it_says_how_far_the_run_is(whole: Path, tmp_path: Path) -> None:
    config = RunFolder(whole).manifest().config
    lines = (whole / "pbt" / "seed-0" / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    ledger = tmp_path / "pbt" / "seed-0" / "ledger.jsonl"
    ledger.parent.mkdir(parents=True)
    told = []
    for length in range(1, len(lines) + 1):
        ledger.write_bytes(b"".join(lines[:length]))
        told.append(where_it_stands(RunFolder(tmp_path), config))
    generations = [int(found[1]) for text in told if (found := re.match(r"pbt, seed 0, generation (\d)/4; ", text))]
    assert generations == sorted(generations) and set(generations) == {1, 2, 3, 4}
    assert told[0] == "pbt, seed 0, generation 1/4; 0 % of the budget spent"
    assert told[-1] == "random, seed 0, from its start; 25 % of the budget spent"


def test_of_a_run_that_has_ended_nothing_is_left(whole: Path) -> None:
    run = RunFolder(whole)
    assert where_it_stands(run, run.manifest().config) == "all searches have ended; 100 % of the budget spent"
