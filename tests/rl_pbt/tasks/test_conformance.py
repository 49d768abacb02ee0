"""What PBT needs of a member, asked of every task and through both executors: the semantics that public implementations break.

A new task adds one specimen here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rl_pbt.arrays import State
from rl_pbt.config import RunConfig
from rl_pbt.controller import Search
from rl_pbt.errors import BadSetting
from rl_pbt.executors import run_all
from rl_pbt.making import configure, make_executor, make_method, make_task, plan_of
from rl_pbt.records import Hypers, Proposal, Result
from rl_pbt.store.checkpoints import FolderCheckpoints
from rl_pbt.store.events import Event
from rl_pbt.store.history import read_history
from rl_pbt.store.journal import Journal
from rl_pbt.store.ledger import Ledger
from rl_pbt.store.run import RunFolder
from rl_pbt.tasks.base import FinalTestJob, IntervalJob, Task
from rl_pbt.tasks.trees import unpacked

TRAININGS = Path(__file__).parents[1] / "trainings"


@dataclass(frozen=True, kw_only=True)
class Specimen:
    """A small training of one task. With `still` nothing is learned, so that what was loaded can be looked at afterwards.

    `others` are hyperparameters of which each, changed alone, must change what is learned. `learned` picks, among a checkpoint's
    arrays, what `still` keeps. A training without random numbers is not `random`, and one that does not measure what evaluation
    takes is not `timed`.
    """

    settings: Mapping[str, Any] | Callable[[Path], Mapping[str, Any]]  # of a folder to put files in
    hypers: Hypers
    still: Hypers
    others: Mapping[str, Any]
    units: int
    learned: Callable[[State], Mapping[str, Any]] = dict
    random: bool = True
    scores_differ: bool = True  # between evaluations with other seeds
    timed: bool = True
    searched: tuple[str, ...] = field(default=())
    needs: tuple[str, str] | None = None  # a package, and the extra that installs it


RL_HYPERS: Hypers = {"learning_rate": 1e-3, "entropy_cost": 0.01, "discount": 0.97}
RL_OPTIONS = {"unroll_length": 5, "envs_per_member": 4, "hidden": [16, 16], "normalise_observations": True}
RL = {"env": "CartPole-v1", "eval_episodes": 3, "agent_options": RL_OPTIONS}
REGRESSION: Hypers = {"rate": 0.01, "momentum": 0.5, "batch": 4}


def sb3(agent: str, units: int, others: Mapping[str, Any], **options: Any) -> Specimen:
    env = "Pendulum-v1" if agent in ("sac", "td3") else "CartPole-v1"
    return Specimen(
        settings={"env": env, "agent": f"sb3:{agent}", "agent_options": {"net_arch": [8], **options}, "eval_episodes": 1},
        hypers={"learning_rate": 1e-3, "gamma": 0.98},
        still={"learning_rate": 0.0},
        others={"learning_rate": 3e-3, "gamma": 0.5, **others},
        units=units,
        learned=lambda state: {n: array for n, array in unpacked(state)["networks"].items() if "target" not in n},
    )


SPECIMENS = {
    "a2c": Specimen(
        settings={**RL, "agent": "a2c"},
        hypers=RL_HYPERS,
        still={"learning_rate": 0.0},
        others={"learning_rate": 2e-3, "entropy_cost": 0.1, "discount": 0.5},
        units=400,
        learned=lambda state: {name: array for name, array in state.items() if name.startswith("weights")},
    ),
    "impala": Specimen(
        settings={**RL, "agent": "impala"},
        hypers=RL_HYPERS,
        still={"learning_rate": 0.0},
        others={"learning_rate": 2e-3, "entropy_cost": 0.1, "discount": 0.5},
        units=400,
        learned=lambda state: {name: array for name, array in state.items() if name.startswith("weights")},
    ),
    "ppo": Specimen(
        settings={**RL, "agent": "ppo", "hypers": {"num_epochs": 2}, "agent_options": {**RL_OPTIONS, "batch_size": 8}},
        hypers={**RL_HYPERS, "clip_range": 0.2, "num_epochs": 2},
        still={"learning_rate": 0.0},
        others={"learning_rate": 2e-3, "entropy_cost": 0.1, "discount": 0.5, "clip_range": 0.01, "num_epochs": 3},
        units=400,
        learned=lambda state: {name: array for name, array in state.items() if name.startswith("weights")},
    ),
    "sb3-ppo": sb3("ppo", 64, {"ent_coef": 0.5, "clip_range": 0.01, "gae_lambda": 0.5}, n_steps=16, n_envs=2),
    "sb3-a2c": sb3("a2c", 64, {"ent_coef": 0.5, "gae_lambda": 0.5, "vf_coef": 5.0}, n_steps=8, n_envs=2),
    "sb3-dqn": sb3("dqn", 64, {"target_update_interval": 8, "batch_size": 4}, buffer_size=200, learning_starts=8, train_freq=4),
    "sb3-sac": sb3("sac", 250, {"tau": 0.5, "batch_size": 4}, buffer_size=300, learning_starts=200, train_freq=10),
    "sb3-td3": sb3("td3", 250, {"tau": 0.5, "batch_size": 4}, buffer_size=300, learning_starts=200, train_freq=10),
    "own": Specimen(
        settings={"task": "regression:Regression", "search": {"rate": "log:1e-4:1e-1"}, "hypers": REGRESSION, "budget": 100},
        hypers=REGRESSION,
        still={"rate": 0.0, "momentum": 0.0},
        others={"rate": 0.03, "momentum": 0.1, "batch": 8},
        units=10,
        learned=lambda state: {"weights": unpacked(state)["weights"]},
    ),
    "command": Specimen(
        settings={
            "task": "command", "program": ["sh", str(TRAININGS / "regression.sh")], "budget": 9,
            "search": {"rate": "log:1e-4:1e-1"},
        },
        hypers={"rate": 0.01},
        still={"rate": 0.0},
        others={"rate": 0.03},
        units=2,
        learned=unpacked,
        random=False,
        scores_differ=False,
        timed=False,
    ),
    "quadratic": Specimen(
        settings={"task": "quadratic"},
        hypers={"h0": 1.0, "h1": 0.5},
        still={"h0": 0.0, "h1": 0.0},
        others={"h0": 0.3, "h1": 0.9},
        units=10,
        random=False,
        scores_differ=False,
        timed=False,
    ),
    "table": Specimen(
        settings={"task": "table", "table": str(TRAININGS / "toy_table.json")},
        hypers={"rate": 1.0, "speed": 0.0},
        still={"rate": 0.0},
        others={"rate": 0.7, "speed": 0.5},
        units=10,
        learned=lambda state: {"score": state["score"]},
        timed=False,
    ),
    "gan": Specimen(
        settings={"task": "gan", "channels": 2, "batch_size": 4, "discriminator_steps": 1, "samples": 40},
        hypers={"generator_lr": 3e-2, "discriminator_lr": 3e-2},
        still={"generator_lr": 0.0, "discriminator_lr": 0.0},
        others={"generator_lr": 1e-2, "discriminator_lr": 1e-2},
        units=8,
        learned=lambda state: {name: array for name, array in state.items() if name.startswith("weights")},
        needs=("mlxtend", "gan"),
    ),
    "translation": Specimen(
        settings=lambda folder: {"task": "translation", "corpus": toy_corpus(folder), **toy_translators()},
        hypers={
            "learning_rate": 3e-3, "attention_dropout": 0.1, "residual_dropout": 0.2, "relu_dropout": 0.0,
            "embedding_dropout": 0.1,
        },
        still={"learning_rate": 0.0},
        others={
            "learning_rate": 1e-2, "attention_dropout": 0.3, "residual_dropout": 0.0, "relu_dropout": 0.2,
            "embedding_dropout": 0.3,
        },
        units=8,
        learned=lambda state: {name: array for name, array in state.items() if name.startswith("weights")},
        scores_differ=False,
        needs=("sentencepiece", "translation"),
    ),
}  # fmt: skip


def toy_corpus(folder: Path) -> list[str]:
    from toy_sentences import written

    return written(folder)


def toy_translators() -> Mapping[str, Any]:
    from toy_sentences import SMALL

    return SMALL


@pytest.fixture(autouse=True)
def trainings_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TRAININGS))


class Bench:
    """One specimen through one executor, and a folder of checkpoints with a first generation of two members."""

    def __init__(self, specimen: Specimen, executor: str, folder: Path) -> None:
        self.specimen = specimen
        given = specimen.settings if isinstance(specimen.settings, Mapping) else specimen.settings(folder)
        self.task: Task = make_task(configure(given), workers=2 if executor == "processes" else 1)
        self.executor = make_executor(self.task, 1, executor)
        self.checkpoints = FolderCheckpoints(folder)
        self.first = self(self.proposal(0), self.proposal(1))

    def proposal(self, id_: int, parent: int | None = None, hypers: Mapping[str, Any] | None = None, **fields: Any) -> Proposal:
        whole = {**self.specimen.hypers, **(hypers or {})}
        member = fields.pop("member", id_ % 2)
        fields = {"generation": id_ // 2, "units": self.specimen.units, **fields}
        return Proposal(id=id_, member=member, hypers=whole, parent=parent, **fields)

    def __call__(
        self, *proposals: Proposal, root: int = 0, checkpoints: FolderCheckpoints | None = None, given_up: int | None = None
    ) -> list[Result]:
        self.checkpoints.keep_only([0, 1])  # a proposal of this number may have been trained otherwise before
        self.checkpoints = FolderCheckpoints(self.checkpoints.folder)
        ages = tuple(0 if p.parent is None else self.specimen.units for p in proposals)
        job = IntervalJob(proposals=proposals, lineage_units=ages, root_seed=root, checkpoints=checkpoints or self.checkpoints)
        if given_up is not None:
            job = job.giving_up(given_up, "hung twice")
        return run_all(self.executor, [job])[0]

    def test(self, proposal: int, episodes: range, root: int = 0) -> tuple[float, ...]:
        job = FinalTestJob(proposal=proposal, episodes=episodes, root_seed=root, checkpoints=self.checkpoints)
        return run_all(self.executor, [job])[0].returns

    def learned(self, proposal: int, checkpoints: FolderCheckpoints | None = None) -> dict[str, np.ndarray]:
        state = (checkpoints or self.checkpoints).load(proposal)
        found = {name: np.array(array) for name, array in self.specimen.learned(state).items()}
        assert found
        return found

    def close(self) -> None:
        self.executor.close()


@pytest.mark.parametrize("name", SPECIMENS)
def test_a_range_that_no_hyperparameter_can_have_is_refused_by_the_name_of_its_own(name: str, tmp_path: Path) -> None:
    specimen = SPECIMENS[name]
    if specimen.needs and find_spec(specimen.needs[0]) is None:
        pytest.skip(f"needs the extra {specimen.needs[1]}")
    given = specimen.settings if isinstance(specimen.settings, Mapping) else specimen.settings(tmp_path)
    hyper = next(iter(specimen.hypers))
    with pytest.raises(BadSetting, match=f"^search cannot use {hyper}: a log scale needs bounds above 0, but low is 0"):
        configure({**given, "search": {hyper: "log:0:1"}})


# Of agents, what more a checkpoint may hold, and what depends on a member's age or on its neighbours in a group.
OPTIONS_TO_RESUME: Mapping[str, Mapping[str, Any]] = {
    "ppo-lstm": {
        **RL, "agent": "ppo", "hypers": {"num_epochs": 2},
        "agent_options": {**RL_OPTIONS, "batch_size": 8, "core": "lstm", "core_size": 8},
    },
    "annealed": {**RL, "agent": "a2c", "agent_options": {**RL_OPTIONS, "anneal": "linear"}},
    "unroll-lengths": {**RL, "agent": "a2c", "agent_options": RL_OPTIONS, "search": {"unroll_length": "int:3:12"}},
    "carried-games": {
        "env": "Pacman", "eval_episodes": 1, "max_episode_frames": 40, "interval": 160,
        "agent_options": {"envs_per_member": 2, "unroll_length": 5, "hidden": [8]},
    },
}  # fmt: skip


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the program may catch it."""


class MortalLedger(Ledger):
    """Ends the program after `life` events."""

    def __init__(self, path: Path, life: int) -> None:
        super().__init__(path)
        self.life = life

    def append(self, events: Iterable[Event]) -> None:
        for event in events:
            super().append([event])
            self.life -= 1
            if not self.life:
                raise Killed


def settings_of(name: str, folder: Path) -> Mapping[str, Any]:
    """Two members, and three intervals as long as the specimen's."""
    specimen = SPECIMENS.get(name)
    if specimen and specimen.needs and find_spec(specimen.needs[0]) is None:
        pytest.skip(f"needs {specimen.needs[0]}: pip install -e '.[{specimen.needs[1]}]'")
    given = specimen.settings if specimen else OPTIONS_TO_RESUME[name]
    settings = given if isinstance(given, Mapping) else given(folder)
    interval = specimen.units if specimen else settings.get("interval", 400)
    return {**settings, "methods": ["pbt"], "population": 2, "interval": interval, "budget": 3 * interval}


def searched(config: RunConfig, run: RunFolder, life: int | None = None) -> None:
    """PBT, all in this process; it is killed after `life` events, if given."""
    task, path = make_task(config, workers=1), run.ledger("pbt", 0).path
    plan = plan_of(config, task)
    Search(
        title="pbt",
        method=make_method("pbt", config, 0, task),
        executor=make_executor(task, 1),
        journal=Journal(Ledger(path) if life is None else MortalLedger(path, life), clock=lambda: 0.0),
        checkpoints=run.checkpoints("pbt", 0),
        root_seed=0,
        population=plan.population,
        group_size=plan.population,
        test_episodes=2,
        budget=plan.total,
    ).run()


def left_by(run: RunFolder) -> dict[str, Any]:
    """What a search left on disk; of the ledger all but times."""
    history = read_history(run, "pbt", 0)
    assert history.ended and history.test is not None
    told = timeless([trial.result for trial in (*history.trials, *history.reevaluations)])
    asked = [trial.proposal for trial in (*history.trials, *history.reevaluations)]
    kept = {path.name: path.read_bytes() for path in sorted(run.folder.rglob("checkpoints/*"))}
    return {"asked": asked, "told": told, "chosen": history.chosen, "test": history.test.returns, "kept": kept}


@pytest.mark.parametrize("name", [*SPECIMENS, *OPTIONS_TO_RESUME])
def test_killed_and_resumed_it_ends_as_if_nothing_had_happened(name: str, tmp_path: Path) -> None:
    """Killed when the second generation is under way: one of two members copies, and the other goes on where it was."""
    (tmp_path / "files").mkdir()
    config = configure(settings_of(name, tmp_path / "files"))
    whole, resumed = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "resumed")
    searched(config, whole)
    with pytest.raises(Killed):
        searched(config, resumed, life=6)
    assert len(read_history(resumed, "pbt", 0).trials) == 2
    searched(config, resumed)
    assert left_by(resumed) == left_by(whole)


def equal(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


@pytest.fixture(
    scope="module", params=[(name, executor) for name in SPECIMENS for executor in ("inline", "processes")], ids="-".join
)
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    name, executor = request.param
    if (needs := SPECIMENS[name].needs) and find_spec(needs[0]) is None:
        pytest.skip(f"needs {needs[0]}: pip install -e '.[{needs[1]}]'")
    sys.path.insert(0, str(TRAININGS))
    try:
        made = Bench(SPECIMENS[name], executor, tmp_path_factory.mktemp(name))
        yield made
        made.close()
    finally:
        sys.path.remove(str(TRAININGS))


def timeless(results: Iterable[Result]) -> list[Result]:
    return [replace(r, cost=replace(r.cost, cpu_s=0.0, wall_s=0.0, eval_cpu_s=0.0, method_s=0.0)) for r in results]


def test_an_interval_is_a_pure_function(bench: Bench, tmp_path: Path) -> None:
    first, again = ([bench(bench.proposal(2, 0), bench.proposal(3, 1)), bench.learned(2), bench.learned(3)] for _ in range(2))
    assert timeless(first[0]) == timeless(again[0])
    assert equal(first[1], again[1]) and equal(first[2], again[2])


def test_all_results_are_whole(bench: Bench) -> None:
    for result in bench.first:
        assert result.failure is None and result.fitness is not None, result.failure
        assert result.fitness == pytest.approx(np.mean(result.returns))
        assert 0 < result.cost.train_units <= bench.specimen.units and result.cost.train_units % bench.task.quantum == 0
        assert result.lineage_units == result.cost.train_units


def test_the_time_of_evaluation_is_a_part_of_all_time(bench: Bench) -> None:
    (again,) = bench(bench.proposal(9, 0, generation=5, units=0, episodes=3))
    test = run_all(bench.executor, [FinalTestJob(proposal=0, episodes=range(2), root_seed=0, checkpoints=bench.checkpoints)])[0]
    if not bench.specimen.timed:
        assert not any(cost.eval_cpu_s for cost in (bench.first[0].cost, again.cost))
        return
    for result in bench.first:
        assert 0 < result.cost.eval_cpu_s < result.cost.cpu_s
    assert again.cost.eval_cpu_s > 0 and test.cost.eval_cpu_s == test.cost.cpu_s > 0


def test_another_root_seed_or_member_is_another_training(bench: Bench, tmp_path: Path) -> None:
    other = FolderCheckpoints(tmp_path)
    bench(bench.proposal(0), root=1, checkpoints=other)
    assert equal(bench.learned(0), bench.learned(0, other)) != bench.specimen.random
    assert equal(bench.learned(0), bench.learned(1)) != bench.specimen.random


def test_after_exploit_what_was_learned_is_the_donors(bench: Bench) -> None:
    (copy,) = bench(bench.proposal(3, 0, bench.specimen.still, hypers_from=0))
    assert copy.failure is None
    assert equal(bench.learned(3), bench.learned(0))


def test_a_clone_does_not_inherit_its_donors_random_stream(bench: Bench) -> None:
    if not bench.specimen.random:
        pytest.skip("a training without random numbers")
    bench(bench.proposal(3, 0, hypers_from=0), bench.proposal(2, 0))
    assert not equal(bench.learned(3), bench.learned(2))


def test_each_hyperparameter_is_live_after_loading(bench: Bench) -> None:
    bench(bench.proposal(2, 0))
    base = bench.learned(2)
    for name, value in bench.specimen.others.items():
        (result,) = bench(bench.proposal(2, 0, {name: value}))
        assert result.failure is None, result.failure
        assert not equal(base, bench.learned(2)), f"{name} is not live"


def test_neighbours_in_a_group_do_not_touch_each_other(bench: Bench) -> None:
    bench(bench.proposal(2, 0), bench.proposal(3, 1))
    before = bench.learned(2)
    name, value = next(iter(bench.specimen.others.items()))
    bench(bench.proposal(2, 0), bench.proposal(3, 1, {name: value}))
    assert equal(before, bench.learned(2))


def test_a_checkpoint_is_the_same_in_whatever_order_hyperparameters_are_named(bench: Bench) -> None:
    """A run that is resumed has them in the order of its manifest, and compares digests."""
    given = bench.proposal(2, 0)
    (first,) = bench(given)
    (other,) = bench(replace(given, hypers=dict(reversed(given.hypers.items()))))
    assert first.digest == other.digest is not None


def test_who_was_given_up_is_not_touched_and_the_others_learn_as_with_it(bench: Bench) -> None:
    """But for last digits, where a group shares tensors, which are smaller then."""
    bench(bench.proposal(2, 0), bench.proposal(3, 1))
    before = bench.learned(2)
    other, lost = bench(bench.proposal(2, 0), bench.proposal(3, 1), given_up=3)
    assert (lost.proposal, lost.failure, lost.fitness, lost.cost.units) == (3, "hung twice", None, 0)
    assert not bench.checkpoints.path(3).exists() and other.failure is None
    learned = bench.learned(2)
    assert before.keys() == learned.keys()
    for name, array in before.items():
        np.testing.assert_allclose(learned[name], array, rtol=1e-4, atol=1e-6)


def test_judging_again_trains_nothing_and_uses_other_seeds(bench: Bench) -> None:
    bench.checkpoints.keep_only([0, 1])
    before = {path.name: path.read_bytes() for path in bench.checkpoints.folder.iterdir()}
    again = bench.proposal(9, 0, generation=5, units=0, episodes=3)
    (result,) = bench(again)
    (other,) = bench(replace(again, id=10, generation=6))
    assert result.failure is None and result.cost.train_units == result.cost.updates == 0
    assert len(result.returns) >= 3 or not bench.specimen.scores_differ
    assert (result.returns != other.returns) or not bench.specimen.scores_differ
    assert {path.name: path.read_bytes() for path in bench.checkpoints.folder.iterdir()} == before


def test_of_whom_nobody_needs_to_know_it_learns_the_same_and_is_not_charged_for_being_judged(bench: Bench) -> None:
    """What costs nothing may be known all the same; where it would cost something, the task says how much to expect."""
    (judged,) = bench(bench.proposal(2, 0))
    learned = bench.learned(2)
    (unevaluated,) = bench(bench.proposal(2, 0, episodes=0))
    assert unevaluated.failure is None and unevaluated.cost.eval_units == 0
    assert unevaluated.cost.train_units == judged.cost.train_units
    assert equal(learned, bench.learned(2))
    if judged.cost.eval_units:
        assert unevaluated.fitness is None and unevaluated.returns == ()
        assert judged.cost.eval_units / 4 < unevaluated.foreseen_units < 4 * judged.cost.eval_units
    else:
        assert unevaluated.foreseen_units == 0 and unevaluated.fitness in (None, judged.fitness)


def test_the_final_test_is_repeatable_and_on_its_own_seeds(bench: Bench) -> None:
    scores = bench.test(0, range(4))
    assert scores == bench.test(0, range(4)) and len(scores) == 4
    if bench.specimen.scores_differ:
        assert scores != bench.test(0, range(4, 8)) and scores != bench.test(0, range(4), root=1)


def test_a_winner_is_loaded_and_the_baseline_is_of_the_same_form(bench: Bench) -> None:
    assert bench.task.winner(0, bench.checkpoints) is not None
    baseline = bench.task.baseline(0, 3)
    assert baseline is None or (baseline.proposal is None and len(baseline.returns) >= 3)
    assert bench.task.rehearsal().quantum == bench.task.quantum
