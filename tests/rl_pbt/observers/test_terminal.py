"""What a person reads while a run goes on."""

import io
import re
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.console import Console

from rl_pbt.observers import terminal as module
from rl_pbt.observers.screen import Screen
from rl_pbt.observers.standing import Outline, RunStanding
from rl_pbt.observers.terminal import Progress, SearchLines, used_told
from rl_pbt.records import TRAINING_SCORE, Cost, FinalTest, Proposal, Result
from rl_pbt.tasks.words import Words

WORDS = Words(unit="environment frame", short_unit="frame", score="return", episode="episode", baseline="random policy")


def watching(total: int, stream: io.StringIO, underway: Callable[[], int] = lambda: 0, words: Words = WORDS) -> Progress:
    outline = Outline(
        title="a2c on CartPole-v1",
        folder="results/run",
        methods=("pbt",),
        seeds=(0,),
        population=2,
        generations=4,
        units=total,
        words=words,
    )
    return Progress(outline, stream, underway)


def proposal(id_: int, member: int, units: int = 80, parent: int | None = None, hypers_from: int | None = None) -> Proposal:
    return Proposal(
        id=id_, member=member, generation=id_ // 2, hypers={"lr": 0.1}, parent=parent, units=units, hypers_from=hypers_from
    )


def result(id_: int, fitness: float | None, train: int = 80, evaluation: int = 20) -> Result:
    cost = Cost(train_units=train, eval_units=evaluation)
    return Result(proposal=id_, fitness=fitness, failure=None if fitness is not None else "broke", cost=cost)


def tell(search: SearchLines, work: list[tuple[Proposal, Result]], *, replayed: bool = False) -> None:
    search.proposed([p for p, _ in work])
    for p, r in work:
        search.finished(p, r, replayed=replayed)


def test_a_line_a_generation_a_re_evaluation_and_the_test() -> None:
    stream = io.StringIO()
    progress = watching(500, stream)
    search = progress.begin("pbt", 0)
    tell(search, [(proposal(0, 0), result(0, 1.0)), (proposal(1, 1), result(1, None))])
    tell(search, [(proposal(2, 0, parent=0), result(2, 3.0)), (proposal(3, 1, parent=0, hypers_from=0), result(3, 2.0))])
    tell(search, [(proposal(4, 0, units=0, parent=2), result(4, 2.5, train=0, evaluation=50))])
    search.tested(FinalTest(proposal=2, returns=(1.0, 2.0), cost=Cost(eval_units=9)))
    progress.close()
    first, second, third, fourth = stream.getvalue().splitlines()
    assert first.startswith("pbt, seed 0 generation 1/4: best 1, median 1; 40% of the budget (200 frames), ")
    assert "left" in first
    assert second.startswith("pbt, seed 0 generation 2/4: best 3, median 2.5; copied 1<-0; 80% of the budget")
    assert third.startswith("pbt, seed 0 final re-evaluation: member 0 2.5; 90% of the budget (450 frames), ")
    assert fourth == "pbt, seed 0: winner member 0, test return 1.5 (2 episodes)"


def test_of_the_same_members_one_re_evaluation_is_told() -> None:
    stream = io.StringIO()
    progress = watching(500, stream)
    search = progress.begin("pbt", 0)
    tell(search, [(proposal(id_, id_), result(id_, 1.0)) for id_ in (0, 1, 2)])
    for first, members in ((3, (0, 1)), (5, (0, 1)), (7, (0, 1)), (9, (0, 2)), (11, (0, 2)), (13, (0, 1))):
        again = [proposal(first + place, member, units=0, parent=member) for place, member in enumerate(members)]
        tell(search, [(one, result(one.id, float(first), train=0)) for one in again])
    progress.close()
    said = [line.partition(";")[0].partition("re-evaluation: ")[2] for line in stream.getvalue().splitlines()[1:]]
    assert said == ["member 0 3, member 1 3", "member 0 9, member 2 9", "member 0 13, member 1 13"]


def test_of_members_that_are_judged_at_the_end_training_episodes_are_told_and_called_so() -> None:
    stream = io.StringIO()
    progress = watching(500, stream)
    search = progress.begin("random", 0)
    for first, episodes in ((0, 0), (2, 0), (4, None)):
        work = []
        for id_ in (first, first + 1):
            asked = replace(proposal(id_, id_ % 2, parent=None if id_ < 2 else id_ - 2), episodes=episodes)
            metrics = {TRAINING_SCORE: float(id_)} if id_ > 1 else {}
            unevaluated = Result(proposal=id_, fitness=None, cost=Cost(train_units=80), metrics=metrics)
            work.append((asked, result(id_, 9.0 + id_) if episodes is None else unevaluated))
        tell(search, work)
        if first == 2:
            rows = progress._run.search.rows()
            assert [(row.fitness, row.failed, row.change) for row in rows] == [(2.0, False, None), (3.0, False, None)]
    progress.close()
    said = [line.partition(";")[0].partition(": ")[2] for line in stream.getvalue().splitlines()]
    assert said == ["not evaluated yet", "best 3, median 2.5 (training episodes)", "best 14, median 13.5"]
    assert [row.change for row in progress._run.search.rows()] == [None, None], "an evaluation is not compared with training"


def test_a_method_that_does_not_wait_for_all_has_no_generations() -> None:
    stream = io.StringIO()
    progress = watching(500, stream)
    search = progress.begin("bayes", 0)
    for id_, member in enumerate((0, 1, 2)):
        tell(search, [(proposal(id_, member), result(id_, float(id_)))])
    progress.close()
    said = [line.partition(";")[0] for line in stream.getvalue().splitlines()]
    assert said[0] == "bayes, seed 0 interval 1, 1 member: best 0, median 0"
    assert said[2] == "bayes, seed 0 interval 3, 3 members: best 2, median 1"


def test_time_left_is_said_before_the_first_interval_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_STATUS_S", 1.0)
    stream = io.StringIO()
    start = time.monotonic()
    progress = watching(10_000, stream, lambda: 2000 + round(200 * (time.monotonic() - start)))
    progress.begin("pbt", 0)
    deadline = time.monotonic() + 20
    while not stream.getvalue() and time.monotonic() < deadline:
        time.sleep(0.01)
    progress.close()
    said = re.match(r"pbt, seed 0: 2\d% of the budget \(2\.\d+k frames\), \d+s elapsed, ~(\d+)s left", stream.getvalue())
    assert said and 25 <= int(said[1]) <= 55, "7800 units at 200 a second, whatever was done before the first look"


def test_what_a_resumed_run_found_done_does_not_count_for_its_speed() -> None:
    stream = io.StringIO()
    progress = watching(400, stream)
    search = progress.begin("pbt", 0)
    tell(search, [(proposal(0, 0), result(0, 1.0)), (proposal(1, 1), result(1, 1.0))], replayed=True)
    assert stream.getvalue() == "" and used_told(progress._run).endswith("50% of the budget (200 frames), 0s elapsed")
    progress._run.started -= 100.0
    tell(search, [(proposal(2, 0, parent=0), result(2, 1.0))])
    assert "75% of the budget (300 frames), 1m40s elapsed, ~1m40s left" in stream.getvalue()
    tell(search, [(proposal(3, 1, parent=1), result(3, 1.0))])
    assert stream.getvalue().endswith("100% of the budget (400 frames), 1m40s elapsed, testing the winner\n")
    progress.close()


def test_what_is_overspent_is_said() -> None:
    stream = io.StringIO()
    progress = watching(160, stream)
    search = progress.begin("pbt", 0)
    tell(search, [(proposal(0, 0), result(0, 1.0)), (proposal(1, 1), result(1, 1.0))])
    progress.close()
    assert "125% of the budget (200 frames)" in stream.getvalue()


def test_the_nouns_are_the_tasks_own() -> None:
    stream = io.StringIO()
    words = Words(unit="training sentence", short_unit="sentence", score="BLEU", episode="evaluation")
    progress = watching(400, stream, words=words)
    search = progress.begin("pbt", 0)
    tell(search, [(proposal(0, 0), result(0, 1.0)), (proposal(1, 1), result(1, 1.0))])
    search.tested(FinalTest(proposal=1, returns=(31.0,), cost=Cost()))
    progress.close()
    first, last = stream.getvalue().splitlines()
    assert "50% of the budget (200 sentences), 0s elapsed, ~0s left" in first
    assert last == "pbt, seed 0: winner member 1, test BLEU 31 (1 evaluation)"


def screen_of(run: RunStanding, columns: int) -> list[str]:
    console = Console(file=io.StringIO(), width=columns, height=24, force_terminal=True, color_system=None)
    with console.capture() as captured:
        console.print(Screen(run))
    return captured.get().splitlines()


def sixth_seed_of_random_search(score: float) -> RunStanding:
    """PBT has ended on six seeds, and random search, which is not evaluated yet, on five."""
    outline = Outline(
        title="a2c on CartPole-v1",
        folder="results/CartPole-v1/20261126-142500",
        methods=("pbt", "random"),
        seeds=tuple(range(6)),
        population=24,
        generations=20,
        units=40_000,
        words=WORDS,
    )
    run = RunStanding(outline, lambda: 0)
    for method, seed in [("pbt", seed) for seed in range(6)] + [("random", seed) for seed in range(6)]:
        search = run.begin(method, seed)
        search.propose([proposal(0, 0), proposal(1, 1)])
        for id_ in (0, 1):
            unevaluated = Result(proposal=id_, fitness=None, cost=Cost(train_units=80), metrics={TRAINING_SCORE: score})
            run.finish(search, proposal(id_, id_), result(id_, score) if method == "pbt" else unevaluated, replayed=False)
        if (method, seed) != ("random", 5):
            search.test = FinalTest(proposal=0, returns=(score,), cost=Cost())
    search.propose([proposal(2, 0, parent=1), proposal(3, 1, parent=1)])
    return run


WHOLE = [
    "seed 6/6",
    "generation 2/20",
    r"best \S+",
    r"median \S+",
    r"\d cop(y|ies)",
    r"\(training episodes\)",
    r"test return \S+",
]


@pytest.mark.parametrize("score", [381.2, -123_456.0, 1.2345e-05])
@pytest.mark.parametrize("columns", [44, 60, 80, 100, 120, 200])
def test_what_does_not_fit_into_a_line_is_left_out_and_never_cut(columns: int, score: float) -> None:
    heading, pbt, random, total, *_ = screen_of(sixth_seed_of_random_search(score), columns)
    assert max(map(len, (heading, pbt, random, total))) <= columns
    assert re.match(r"pbt [━ ]+ test return \S+$", pbt.rstrip()) and re.match(r"total +\S+", total)
    told = re.sub(r"^random [━╸╺ ]+", "", random.rstrip())
    parts = re.split(r" {2,}", told)
    assert [re.fullmatch(form, part) is not None for form, part in zip(WHOLE, parts, strict=False)] == [True] * len(parts), told
    assert len(parts) == len(WHOLE) if columns == 200 else len(parts) >= (1 if columns == 44 else 2)


@pytest.mark.parametrize(
    ("columns", "folder"), [(60, ""), (80, ".../20261126-142500"), (100, "results/CartPole-v1/20261126-142500")]
)
def test_of_the_folder_the_end_is_shown_as_far_as_it_fits(columns: int, folder: str) -> None:
    heading = screen_of(sixth_seed_of_random_search(1.0), columns)[0]
    assert heading.rstrip().partition("6 seeds")[2].strip() == folder


def test_searches_side_by_side_have_lines_and_bars_of_their_own() -> None:
    stream = io.StringIO()
    progress = watching(500, stream, lambda: 90)
    pbt, random = progress.begin("pbt", 0), progress.begin("random", 0)
    pbt.proposed([proposal(0, 0), proposal(1, 1)])
    random.proposed([proposal(0, 0)])
    assert (progress._run.spent_by("pbt"), progress._run.spent_by("random")) == (60, 30), "of 90 underway, by intervals"
    tell(random, [(proposal(0, 0), result(0, 5.0))])
    for id_ in (0, 1):
        pbt.finished(proposal(id_, id_), result(id_, 1.0 + id_), replayed=False)
    progress.close()
    assert progress._run.search.title == "random, seed 0", "none trains: the last"
    said = [line.partition(";")[0] for line in stream.getvalue().splitlines()]
    assert said == ["random, seed 0 interval 1, 1 member: best 5, median 5", "pbt, seed 0 generation 1/4: best 2, median 1.5"]
