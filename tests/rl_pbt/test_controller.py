"""The loop and its replay, on the quadratic: killed after every ledger event, resumed, the same bytes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save

from rl_pbt.controller import Search, _groups
from rl_pbt.errors import UserError
from rl_pbt.executors import InlineExecutor, ProcessExecutor
from rl_pbt.options import built, fields_of
from rl_pbt.records import JSON, TRAINING_SCORE, Cost, FinalTest, Proposal, Result
from rl_pbt.search import METHODS, Plan, Problem
from rl_pbt.space import Space
from rl_pbt.store.events import Chosen, Event
from rl_pbt.store.history import read_history
from rl_pbt.store.journal import Journal
from rl_pbt.store.ledger import Ledger
from rl_pbt.store.run import RunFolder
from rl_pbt.tasks.base import Advance, FinalTestJob, IntervalJob, Task, unheeded
from rl_pbt.tasks.quadratic import QuadraticTask

QUADRATIC = QuadraticTask()
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
    """Dies after `life` events, with the last batch written in part: whole lines of it, which no checksum closes."""

    def __init__(self, path: Path, life: int) -> None:
        super().__init__(path)
        self.life = life

    def append(self, events: Sequence[Event]) -> None:  # type: ignore[override]
        batch = list(events)
        before = len(self.path.read_bytes()) if self.path.exists() else 0
        super().append(batch)
        if self.life < len(batch):
            with self.path.open("r+b") as file:
                lines = file.read()[before:].splitlines(keepends=True)
                header = len(lines) - len(batch)  # with the first batch
                file.truncate(before + sum(map(len, lines[: header + self.life])))
        self.life -= len(batch)
        if self.life <= 0:
            raise Killed


def run_search(
    folder: Path,
    method: str = "pbt",
    ledger: Ledger | None = None,
    workers: int = 1,
    root: int = 5,
    *,
    task: Task = QUADRATIC,
    extended: Sequence[int] = (),
    keep_population: bool = False,
    free_evaluation: bool = False,
    say: Callable[[str], None] = print,
    cpu_s: Callable[[], float] = lambda: 0.0,
) -> None:
    run = RunFolder(folder)
    plan = replace(PLAN, population=POPULATION.get(method, PLAN.population), free_evaluation=free_evaluation)
    problem = Problem(space=SPACE, plan=plan, root_seed=root, published=PUBLISHED)
    entry = METHODS[method]
    try:
        own = {"replay": REPLAYED, "annealed": "h0"}
        values = {name: value for name, value in own.items() if name in fields_of(entry.options)}
        searcher = entry.make(problem, built(entry.options, values))
    except UserError as error:
        if "not installed" in str(error):
            pytest.skip(str(error))
        raise
    executor = InlineExecutor(task) if workers == 1 else ProcessExecutor(task, workers)
    try:
        Search(
            title=method,
            population=plan.population,
            say=say,
            extensions=[replace(plan, budget_per_member=budget) for budget in extended],
            keep_population=keep_population,
            method=searcher,
            executor=executor,
            journal=Journal(ledger or run.ledger(method, root), clock=lambda: 0.0),
            checkpoints=run.checkpoints(method, root),
            root_seed=root,
            group_size=2,
            test_episodes=20,
            budget=plan.total,
            anytime_tests=3,
            cpu_s=cpu_s,
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
            run_search(folder, ledger=MortalLedger(RunFolder(folder).ledger("pbt", 5).path, PLAN.population))
        except Killed:
            continue
        break
    assert contents(folder) == contents(tmp_path / "whole")


@pytest.mark.parametrize("method", ["pbt", "pbt-async", "asha", "bayes"])
def test_one_and_two_workers_write_the_same_ledger(tmp_path: Path, method: str) -> None:
    run_search(tmp_path / "one", method)
    run_search(tmp_path / "two", method, workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


@pytest.mark.parametrize("method", METHODS)
def test_who_led_at_shares_of_the_budget_is_tested_when_all_is_over(tmp_path: Path, method: str) -> None:
    run_search(tmp_path, method)
    history = read_history(RunFolder(tmp_path), method, 5)
    assert 1 <= len(history.incumbents) <= 3
    for incumbent in history.incumbents:
        spent, standing = 0, {}
        for trial in history.trials:  # as they were told, a job at a time: the first end of one at which enough was spent
            spent += trial.result.cost.units
            standing[trial.proposal.member] = trial.result
            if spent == incumbent.units:
                break
        assert spent == incumbent.units
        best = max(result.rank_key for result in standing.values())
        assert incumbent.test.proposal is not None and len(incumbent.test.returns) == 8
        assert history.by_id[incumbent.test.proposal].result.fitness == best


@final
@dataclass(frozen=True)
class Charging:
    """The quadratic, judged for 3 units; its training episodes say that the second member is the best."""

    price: int = 3
    subject: str = "the charging one"
    patience_s: float = 10.0
    quantum: int = 1
    free_evaluation: bool = False

    def interval(self, job: IntervalJob, advance: Advance = unheeded) -> list[Result]:
        asked = zip(job.proposals, QUADRATIC.interval(job, advance), strict=True)
        return [self._judged(result) if one.evaluates else self._unevaluated(one, result) for one, result in asked]

    def _judged(self, result: Result) -> Result:
        return replace(result, cost=replace(result.cost, eval_units=self.price))

    def _unevaluated(self, proposal: Proposal, result: Result) -> Result:
        metrics = {TRAINING_SCORE: float(proposal.member == 1)}
        return replace(result, fitness=None, returns=(), metrics=metrics, foreseen_units=self.price)

    def test(self, job: FinalTestJob, advance: Advance = unheeded) -> FinalTest:
        return QUADRATIC.test(job, advance)


@pytest.mark.parametrize("method", ["random", "random-annealed"])
def test_who_is_judged_at_the_end_is_killed_after_every_event_led_by_training_and_extended(tmp_path: Path, method: str) -> None:
    run_search(tmp_path / "whole", method, task=Charging())
    whole = contents(tmp_path / "whole")
    history = read_history(RunFolder(tmp_path / "whole"), method, 5)
    last = max(trial.proposal.generation for trial in history.trials)
    assert all(trial.result.unevaluated == (trial.proposal.generation < last) for trial in history.trials) and last >= 2
    assert 0.95 * PLAN.total <= history.cost.units <= PLAN.total
    led = [history.by_id[incumbent.test.proposal or 0] for incumbent in history.incumbents]
    assert led and all(one.proposal.member == 1 for one in led if one.result.unevaluated) and led[0].result.unevaluated
    assert history.chosen is not None and history.by_id[history.chosen].result.fitness is not None
    for life in range(1, whole[f"{method}/seed-5/ledger.jsonl"].count(b"\n") - 1, 3):
        folder = tmp_path / str(life)
        with pytest.raises(Killed):
            run_search(folder, method, MortalLedger(RunFolder(folder).ledger(method, 5).path, life), task=Charging())
        run_search(folder, method, task=Charging())
        assert contents(folder) == whole
    if METHODS[method].extends:
        run_search(tmp_path / "whole", method, task=Charging(), extended=[80])
        longer = read_history(RunFolder(tmp_path / "whole"), method, 5)
        assert longer.ended and 0.95 * 2 * PLAN.total <= longer.cost.units <= 2 * PLAN.total
        assert len({trial.proposal.generation for trial in longer.trials if not trial.result.unevaluated}) == 2


def test_what_a_method_takes_itself_is_on_record_once_and_a_resumed_run_does_not_mind(tmp_path: Path) -> None:
    """A clock that goes on by a second whenever somebody looks: one for an `ask`, one for each `tell`."""

    def ticking() -> Callable[[], float]:
        ticks = count()
        return lambda: float(next(ticks))

    run_search(tmp_path / "whole", cpu_s=ticking())
    history = read_history(RunFolder(tmp_path / "whole"), "pbt", 5)
    of_each = [trial.result.cost.method_s for trial in history.trials]
    assert of_each[:4] == [0.5, 0.5, 1.5, 1.5], "the first ask; then two results told, and an ask in vain: for two results each"
    assert history.cost.method_s == 3 * len(of_each) / 2 - 2, "what follows the last results is not on record"
    with pytest.raises(Killed):
        run_search(tmp_path, "pbt", MortalLedger(RunFolder(tmp_path).ledger("pbt", 5).path, 9), cpu_s=ticking())
    run_search(tmp_path, cpu_s=ticking())
    resumed = read_history(RunFolder(tmp_path), "pbt", 5)
    assert [trial.proposal for trial in resumed.trials] == [trial.proposal for trial in history.trials]
    assert resumed.cost.method_s <= history.cost.method_s


def test_a_ledger_from_before_the_time_of_evaluation_was_measured_is_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_those_days(cost: Cost) -> dict[str, JSON]:
        return {name: value for name, value in to_json(cost).items() if name != "eval_cpu_s"}

    to_json = Cost.to_json
    ledger = RunFolder(tmp_path / "killed").ledger("pbt", 5)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Cost, "to_json", in_those_days)
        run_search(tmp_path / "killed", "pbt", MortalLedger(ledger.path, 9))
    assert "finished" in ledger.path.read_text() and "eval_cpu_s" not in ledger.path.read_text()
    for folder in ("killed", "whole"):
        run_search(tmp_path / folder)
    assert "eval_cpu_s" in ledger.path.read_text()
    killed, whole = (read_history(RunFolder(tmp_path / folder), "pbt", 5) for folder in ("killed", "whole"))
    assert killed == whole and killed.ended


def test_only_the_winners_checkpoint_is_left(tmp_path: Path) -> None:
    run_search(tmp_path)
    chosen = next(e.proposal for e in RunFolder(tmp_path).ledger("pbt", 5).read() if isinstance(e, Chosen))
    left = list(RunFolder(tmp_path).checkpoints("pbt", 5).folder.iterdir())
    assert [path.name for path in left] == [f"{chosen:06d}.safetensors"]


def test_a_ledger_of_another_run_is_refused_and_left_alone(tmp_path: Path) -> None:
    run_search(tmp_path / "other", root=6)
    path = RunFolder(tmp_path).ledger("pbt", 5).path
    path.parent.mkdir(parents=True)
    path.write_bytes(altered := RunFolder(tmp_path / "other").ledger("pbt", 6).path.read_bytes())
    with pytest.raises(UserError, match="does not fit this run"):
        run_search(tmp_path)
    assert path.read_bytes() == altered


def lose(path: Path) -> None:
    path.unlink()


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 4
    path.write_bytes(content)


def put_another(path: Path) -> None:
    arrays = {name: array + 1 for name, array in load_file(path).items()}
    path.write_bytes(save(arrays))


@pytest.mark.parametrize("damage", [lose, flip_a_bit, put_another])
@pytest.mark.parametrize("method", ["pbt", "pbt-async", "asha", "random"])
def test_lost_checkpoints_are_computed_again(tmp_path: Path, method: str, damage: Callable[[Path], None]) -> None:
    run_search(tmp_path / "whole", method)
    whole = contents(tmp_path / "whole")
    events = whole[f"{method}/seed-5/ledger.jsonl"].count(b"\n") - 1
    restored = 0
    for life in range(1, events + 1, 1 if method == "pbt" else 3):
        folder = tmp_path / str(life)
        with pytest.raises(Killed):
            run_search(folder, method, MortalLedger(RunFolder(folder).ledger(method, 5).path, life))
        checkpoints = RunFolder(folder).checkpoints(method, 5).folder
        for path in checkpoints.iterdir() if checkpoints.exists() else ():
            damage(path)
        told: list[str] = []
        run_search(folder, method, say=told.append)
        restored += sum("computed again" in line for line in told)
        found = contents(folder)
        if damage is not lose and not told:  # the winner's own, which nobody read any more
            found = {name: content for name, content in found.items() if not name.endswith("safetensors")}
        assert found.items() <= whole.items()
        assert found[f"{method}/seed-5/ledger.jsonl"] == whole[f"{method}/seed-5/ledger.jsonl"]
    assert restored > 2


def test_a_checkpoint_that_comes_out_otherwise_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        run_search(tmp_path, ledger=MortalLedger(RunFolder(tmp_path).ledger("pbt", 5).path, 12))
    for path in RunFolder(tmp_path).checkpoints("pbt", 5).folder.iterdir():
        path.unlink()
    with pytest.raises(UserError, match="is lost, and this machine computes other digits: restore it from a copy"):
        run_search(tmp_path, task=QuadraticTask(step_size=0.02))


EXTENDED = [name for name, entry in METHODS.items() if entry.extends]


@pytest.mark.parametrize("method", EXTENDED)
def test_an_extended_search_trains_where_evaluation_had_eaten_the_budget(tmp_path: Path, method: str) -> None:
    run_search(tmp_path / "short", method, task=Charging(price=15))
    run_search(tmp_path / "long", method, task=Charging(price=15), extended=[800])
    short, long = (read_history(RunFolder(tmp_path / name), method, 5).cost for name in ("short", "long"))
    assert long.train_units > 5 * short.train_units, "with twenty times the budget"


@pytest.mark.parametrize("method", EXTENDED)
def test_an_extended_search_goes_on_where_it_had_ended(tmp_path: Path, method: str) -> None:
    run_search(tmp_path, method, keep_population=True)
    ledger = f"{method}/seed-5/ledger.jsonl"
    before = contents(tmp_path)
    told: list[str] = []
    run_search(tmp_path, method, extended=[70, 100], say=told.append)
    after = contents(tmp_path)
    assert after[ledger].startswith(before[ledger]) and not told
    history = read_history(RunFolder(tmp_path), method, 5)
    assert history.ended and history.test is not None and history.test.proposal == history.chosen
    assert history.cost.units == 4 * 100
    assert {trial.proposal.units for trial in history.trials} == {10} and len(history.trials) == 4 * 10
    by_member = [[t for t in history.trials if t.proposal.member == member] for member in range(4)]
    assert all(len(trials) == 10 for trials in by_member)
    for place in zip(*by_member, strict=True):  # whoever is compared was judged on the same seeds
        assert method == "pbt-async" or len({trial.proposal.generation for trial in place}) == 1
    run_search(tmp_path / "at once", method, extended=[70, 100])
    assert contents(tmp_path / "at once").items() <= after.items()


@pytest.mark.parametrize("method", ["pbt", "pbt-async"])
def test_without_its_population_that_is_computed_again(tmp_path: Path, method: str) -> None:
    run_search(tmp_path / "kept", method, extended=[70])
    run_search(tmp_path / "lost", method)
    told: list[str] = []
    run_search(tmp_path / "lost", method, extended=[70], say=told.append)
    assert contents(tmp_path / "lost") == contents(tmp_path / "kept")
    assert len(told) == 1 and "computed again" in told[0]


@pytest.mark.parametrize("method", ["pbt", "pbt-async", "random"])
def test_an_extension_is_killed_after_every_event(tmp_path: Path, method: str) -> None:
    run_search(tmp_path / "whole", method, extended=[70])
    whole = contents(tmp_path / "whole")
    events = whole[f"{method}/seed-5/ledger.jsonl"].count(b"\n") - 1
    for life in range(1, events + 1, 2):
        folder = tmp_path / str(life)
        with pytest.raises(Killed):
            run_search(folder, method, MortalLedger(RunFolder(folder).ledger(method, 5).path, life), extended=[70])
        run_search(folder, method, extended=[70])
        assert contents(folder) == whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing:
    """The quadratic, in which members `fail` from a generation on, or are `charged` nothing."""

    fail: range
    after: int = 0
    charged: bool = True
    trains_well: bool = False
    subject: str = "the failing one"
    patience_s: float = 10.0
    quantum: int = 1
    free_evaluation: bool = True

    def interval(self, job: IntervalJob, advance: Advance = unheeded) -> list[Result]:
        results = QUADRATIC.interval(job, advance)
        cost = {} if self.charged else {"cost": Cost()}
        return [
            replace(result, fitness=None, failure="no luck", returns=(), **cost)
            if proposal.member in self.fail and proposal.generation >= self.after and not (self.trains_well and proposal.trains)
            else result
            for proposal, result in zip(job.proposals, results, strict=True)
        ]

    def test(self, job: FinalTestJob, advance: Advance = unheeded) -> FinalTest:
        return QUADRATIC.test(job, advance)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("charged", [True, False])
def test_where_every_member_fails_the_search_ends_with_a_line(tmp_path: Path, method: str, charged: bool) -> None:
    with pytest.raises(UserError, match=rf"^{method}: every member failed \(the last: no luck\): mend that"):
        run_search(tmp_path, method, task=Failing(fail=range(1000), charged=charged))


def test_where_a_whole_generation_fails_too(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^pbt: every member failed"):
        run_search(tmp_path, task=Failing(fail=range(4), after=2))


def test_who_fails_when_judged_again_is_as_good_as_before(tmp_path: Path) -> None:
    run_search(tmp_path, task=Failing(fail=range(4), trains_well=True), free_evaluation=True)
    history = read_history(RunFolder(tmp_path), "pbt", 5)
    assert history.chosen is not None and history.test is not None
    assert len(history.reevaluations) == 2 and all(trial.result.failure == "no luck" for trial in history.reevaluations)


def test_where_some_fail_it_goes_on(tmp_path: Path) -> None:
    run_search(tmp_path, task=Failing(fail=range(3)))
    assert RunFolder(tmp_path).checkpoints("pbt", 5).folder.exists()


def proposal_of(id_: int, units: int, generation: int, episodes: int | None) -> Proposal:
    return Proposal(id=id_, member=id_, generation=generation, hypers={}, parent=0, units=units, episodes=episodes)


@given(
    kinds=st.lists(st.sampled_from([(100, 0, None), (200, 0, None), (100, 1, None), (0, 1, 1), (0, 1, 2)]), max_size=12),
    size=st.integers(1, 5),
)
def test_groups_are_runs_of_proposals_that_cost_alike(kinds: list[tuple[int, int, int | None]], size: int) -> None:
    proposals = [proposal_of(id_, *kind) for id_, kind in enumerate(kinds)]
    groups = list(_groups(proposals, size))
    assert [proposal for group in groups for proposal in group] == proposals
    assert all(group and len(group) <= size for group in groups)
    assert all(len({(p.units, p.generation, p.episodes) for p in group}) == 1 for group in groups)


@pytest.mark.parametrize(("contenders", "sizes"), [(1, [1]), (2, [1, 1]), (4, [2, 2]), (5, [3, 2]), (16, [4, 4, 4, 4])])
def test_those_that_are_judged_again_share_tensors_and_leave_work_for_two(contenders: int, sizes: list[int]) -> None:
    again = [proposal_of(id_, 0, 7, 3) for id_ in range(contenders)]
    assert [len(group) for group in _groups(again, 4)] == sizes
