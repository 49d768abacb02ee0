"""The loop and its replay, on the quadratic: killed after every ledger event, resumed, the same bytes."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from rl_pbt.controller import Search
from rl_pbt.errors import UserError
from rl_pbt.executors import InlineExecutor, ProcessExecutor
from rl_pbt.options import built
from rl_pbt.search import METHODS, Plan, Problem
from rl_pbt.space import Space
from rl_pbt.store.events import Chosen, Event
from rl_pbt.store.journal import Journal
from rl_pbt.store.run import Ledger, RunFolder
from rl_pbt.tasks.quadratic import QuadraticTask

SPACE = Space.parse({"h0": "linear:0:1", "h1": "linear:0:1"})
PLAN = Plan(population=4, budget_per_member=40, interval=10)
POPULATION = {"mf-pbt": 8}  # where a method needs another one
PUBLISHED = {"h0": 0.5, "h1": 0.5}
REPLAYED = {
    "members": 0,
    "seeds": {"5": {name: [{"units": 40, "hypers": PUBLISHED}] for name, e in METHODS.items() if e.replays}},
}


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the program may catch it."""


class MortalLedger(Ledger):
    """Dies after `life` events, with the last batch written in part."""

    def __init__(self, path: Path, life: int) -> None:
        super().__init__(path)
        self.life = life

    def append(self, events: Sequence[Event]) -> None:  # type: ignore[override]
        batch = list(events)
        super().append(batch[: self.life])
        self.life -= len(batch)
        if self.life <= 0:
            raise Killed


def run_search(folder: Path, method: str = "pbt", ledger: Ledger | None = None, workers: int = 1, root: int = 5) -> None:
    run = RunFolder(folder)
    plan = replace(PLAN, population=POPULATION.get(method, PLAN.population))
    problem = Problem(space=SPACE, plan=plan, root_seed=root, published=PUBLISHED)
    entry = METHODS[method]
    try:
        searcher = entry.make(problem, built(entry.options, {"replay": REPLAYED} if entry.replays else {}))
    except UserError as error:
        if "not installed" in str(error):
            pytest.skip(str(error))
        raise
    executor = InlineExecutor(QuadraticTask()) if workers == 1 else ProcessExecutor(QuadraticTask(), workers)
    try:
        Search(
            method=searcher,
            executor=executor,
            journal=Journal(ledger or run.ledger(method, root), clock=lambda: 0.0),
            checkpoints=run.checkpoints(method, root),
            root_seed=root,
            group_size=2,
            test_episodes=20,
        ).run()
    finally:
        executor.close()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("method", METHODS)
def test_killed_after_every_event_it_ends_as_if_nothing_had_happened(tmp_path: Path, method: str) -> None:
    run_search(tmp_path / "whole", method)
    whole = contents(tmp_path / "whole")
    events = whole[f"{method}/seed-5/ledger.jsonl"].count(b"\n") - 1  # without the line that names the version
    assert events >= 4 * 2 + 3
    for life in range(1, events + 1):
        folder = tmp_path / str(life)
        with pytest.raises(Killed):
            run_search(folder, method, MortalLedger(RunFolder(folder).ledger(method, 5).path, life))
        run_search(folder, method)
        assert contents(folder) == whole


def test_killed_again_and_again(tmp_path: Path) -> None:
    run_search(tmp_path / "whole")
    folder = tmp_path / "mortal"
    for _ in range(100):
        try:
            run_search(folder, ledger=MortalLedger(RunFolder(folder).ledger("pbt", 5).path, 1))
        except Killed:
            continue
        break
    assert contents(folder) == contents(tmp_path / "whole")


@pytest.mark.parametrize("method", ["pbt", "pbt-async", "asha", "bayes"])
def test_one_and_two_workers_write_the_same_ledger(tmp_path: Path, method: str) -> None:
    run_search(tmp_path / "one", method)
    run_search(tmp_path / "two", method, workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_only_the_winners_checkpoint_is_left(tmp_path: Path) -> None:
    run_search(tmp_path)
    chosen = next(e.proposal for e in RunFolder(tmp_path).ledger("pbt", 5).read() if isinstance(e, Chosen))
    left = list(RunFolder(tmp_path).checkpoints("pbt", 5).folder.iterdir())
    assert [path.name for path in left] == [f"{chosen:06d}.safetensors"]


def test_a_ledger_of_another_run_is_refused_and_left_alone(tmp_path: Path) -> None:
    run_search(tmp_path)
    path = RunFolder(tmp_path).ledger("pbt", 5).path
    lines = path.read_text().splitlines(keepends=True)
    first = json.loads(lines[1])
    first["proposal"]["hypers"]["h0"] += 0.001
    path.write_text(altered := lines[0] + json.dumps(first) + "\n" + "".join(lines[2:]))
    with pytest.raises(UserError, match="does not fit this run"):
        run_search(tmp_path)
    assert path.read_text() == altered


def test_a_lost_checkpoint_is_an_error_never_a_fresh_start(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        run_search(tmp_path, ledger=MortalLedger(RunFolder(tmp_path).ledger("pbt", 5).path, 14))
    for path in RunFolder(tmp_path).checkpoints("pbt", 5).folder.iterdir():
        path.unlink()
    with pytest.raises(UserError, match="is missing"):
        run_search(tmp_path)
