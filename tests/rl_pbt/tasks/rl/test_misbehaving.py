"""Environments that misbehave in every way: a failure of the member concerned, which names the cause, and of nobody else."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from rl_pbt import seeds
from rl_pbt.agents import AGENTS
from rl_pbt.agents.hypers import HYPERS
from rl_pbt.envs import EnvSpec
from rl_pbt.records import Hypers, Proposal, Result
from rl_pbt.store.checkpoints import FolderCheckpoints
from rl_pbt.tasks.base import FinalTestJob, IntervalJob
from rl_pbt.tasks.rl import in_parts
from rl_pbt.tasks.rl.environments import MemberEnvironments
from rl_pbt.tasks.rl.in_parts import Handling
from rl_pbt.tasks.rl.interval import RLTask
from rl_pbt.tasks.stable_baselines.arguments import agent_options, defaults_of
from rl_pbt.tasks.stable_baselines.interval import StableBaselinesTask

sys.path.insert(0, str(Path(__file__).parents[2] / "trainings"))
import misbehaving_envs as bad

COPIES, UNITS, BAD_MEMBER = 2, 128, 1
SPEC = EnvSpec(id="test/Bad-v0", family="gymnasium", options={"vectorization_mode": "sync"})
LIMIT = 40  # steps of an episode that is judged
CAUSES = {
    "raise": "step: RuntimeError: physics exploded",
    "raise_without_words": "step: Unspeakable",
    "raise_at_length": r"step: RuntimeError: \?\[31mred very very",
    "exit": "step: SystemExit: 0",
    "generator_exit": "step: GeneratorExit",
    "cancelled": "step: CancelledError: by a loop of its own",
    "memory": "step: MemoryError: a big table",
    "recursion": "step: RecursionError: ",
    "nan_observation": "the observation is nan, not a finite number",
    "infinite_observation": "the observation is inf, not a finite number",
    "nan_reward": "the reward is nan, not a finite number",
    "infinite_reward": "the reward is inf, not a finite number",
    "minus_infinite_reward": "the reward is -inf, not a finite number",
    "no_reward": "the reward is None, not a number",
    "text_reward": "the reward is '1.0', not a number",
    "two_rewards": r"the reward is array\(\[1., 1.\]\), not a number",
    "dict_reward": r"the reward is \{'goal': 1.0\}, not a number",
    "enormous_reward": r"the reward is 1e\+300, not a finite number of 32 bits",
    "raise_in_reset": "OSError: no such level",
    "nan_in_reset": "the observation is nan",
}
BY_SEED = [way for way in (*bad.STEPS, *bad.RESETS) if way not in (*bad.DEADLY, *bad.HARMLESS)]


def rl_task(agent: str = "a2c") -> RLTask:
    config = AGENTS[agent].config(unroll_length=8, envs_per_member=COPIES, hidden=(8,))
    hypers = {name: hyper.default for name, hyper in HYPERS.items()}
    return RLTask(env=SPEC, agent=agent, agent_config=config, hypers=hypers, eval_episodes=COPIES, longest_episode=LIMIT)


def sb3_task() -> StableBaselinesTask:
    options: dict[str, Any] = {**agent_options("ppo")[1], "policy": "MlpPolicy", "n_envs": COPIES, "n_steps": 32, "net_arch": [8]}
    hypers = {**defaults_of("ppo"), "batch_size": 16, "n_epochs": 2}
    return StableBaselinesTask(
        env=SPEC, algorithm="ppo", options=options, hypers=hypers, budget=1000, eval_episodes=COPIES, longest_episode=LIMIT
    )


TASKS = {"rl": rl_task, "sb3": sb3_task}


@pytest.fixture(autouse=True)
def _clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    threads = torch.get_num_threads()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(in_parts, "_idle", type(in_parts._idle)(list))
    bad.happened.clear()
    yield
    gymnasium.registry.pop(SPEC.id, None)
    torch.set_num_threads(threads)


@pytest.fixture(params=TASKS)
def task(request: pytest.FixtureRequest) -> Any:
    return TASKS[request.param]()


def misbehave(way: str, split: str | None = "train", **kwargs: Any) -> None:
    """Let the environment misbehave in the copies of one member, or of the evaluation or test, alone; None: in all."""
    gymnasium.registry.pop(SPEC.id, None)
    if split is not None:
        member = {"train": {"member": BAD_MEMBER, "generation": 0}, "evaluate": {"generation": 0}}.get(split, {})
        first = seeds.environment_seed(0, split=split, **member)  # type: ignore[arg-type]
        kwargs = {"only": (first, first + COPIES), **kwargs}
    gymnasium.register(SPEC.id, bad.Misbehaving, kwargs={"how": way, **kwargs})


def trained(task: Any, folder: Path, *, hypers: Hypers | None = None, given_up: dict[int, str] | None = None) -> list[Result]:
    """An interval of three members; `hypers` are of the one in the middle."""
    proposals = tuple(
        Proposal(id=i, member=i, generation=0, hypers=(hypers or {}) if i == BAD_MEMBER else {}, parent=None, units=UNITS)
        for i in range(3)
    )
    job = IntervalJob(
        proposals=proposals,
        lineage_units=(0, 0, 0),
        root_seed=0,
        checkpoints=FolderCheckpoints(folder),
        given_up=given_up or {},
    )
    return [replace(r, cost=replace(r.cost, cpu_s=0.0, wall_s=0.0, eval_cpu_s=0.0)) for r in job.run(task)]


def assert_neighbours_equal(here: Path, results: list[Result], there: Path, others: list[Result]) -> None:
    for i in (0, 2):
        assert results[i] == others[i] and results[i].failure is None
        assert FolderCheckpoints(here).path(i).read_bytes() == FolderCheckpoints(there).path(i).read_bytes()


@pytest.mark.parametrize("way", BY_SEED)
def test_a_member_fails_alone_and_says_why(task: Any, way: str, tmp_path: Path) -> None:
    misbehave("good")
    diverged = trained(task, tmp_path / "diverged", hypers={"learning_rate": 1e38})
    assert diverged[BAD_MEMBER].failure is not None
    misbehave(way)
    results = trained(task, tmp_path / "bad")
    failed = results[BAD_MEMBER]
    assert failed.failure is not None and failed.fitness is None
    assert failed.failure.startswith(f"environment {SPEC.id} failed in ") and failed.failure.isprintable()
    assert len(failed.failure) <= 300
    if way in CAUSES:
        assert pytest.importorskip("re").search(CAUSES[way], failed.failure), failed.failure
    assert 0 < failed.cost.train_units < UNITS and failed.cost.eval_units == 0
    assert not FolderCheckpoints(tmp_path / "bad").path(BAD_MEMBER).exists()
    assert_neighbours_equal(tmp_path / "bad", results, tmp_path / "diverged", diverged)
    assert trained(task, tmp_path / "again") == results


@pytest.mark.parametrize("way", [way for way in bad.HARMLESS if way not in ("good", "endless")])
def test_what_is_odd_and_harmless_fails_nobody(task: Any, way: str, tmp_path: Path) -> None:
    misbehave(way, at=3)
    results = trained(task, tmp_path / "odd")
    assert [result.failure for result in results] == [None] * 3
    assert all(result.cost.train_units == UNITS for result in results)
    misbehave("good")
    assert_neighbours_equal(tmp_path / "odd", results, tmp_path / "good", trained(task, tmp_path / "good"))
    os.chdir(tmp_path)


def test_an_error_that_does_not_come_again_leaves_no_trace(task: Any, tmp_path: Path) -> None:
    for way in ("raise_once", "raise_in_constructor_once"):
        bad.happened.clear()
        misbehave(way, at=40)
        once = trained(task, tmp_path / "once")
        bad_weights = FolderCheckpoints(tmp_path / "once").load(BAD_MEMBER)
        never = trained(task, tmp_path / "never")
        assert once == never and way in bad.happened
        for name, array in FolderCheckpoints(tmp_path / "never").load(BAD_MEMBER).items():
            np.testing.assert_array_equal(array, bad_weights[name])


@pytest.mark.parametrize("way", ["raise", "raise_in_reset"])
def test_from_the_very_first_call(task: Any, way: str, tmp_path: Path) -> None:
    misbehave(way, at=0)
    results = trained(task, tmp_path)
    assert [result.failure is None for result in results] == [True, False, True]
    assert results[BAD_MEMBER].cost.train_units <= COPIES


def test_an_environment_that_cannot_be_made_fails_everybody(task: Any, tmp_path: Path) -> None:
    misbehave("raise_in_constructor", split=None)
    for result in trained(task, tmp_path):
        assert result.failure == f"environment {SPEC.id} failed in its constructor: RuntimeError: no licence for this machine"
        assert result.cost.units == 0
    if isinstance(task, RLTask):  # Stable-Baselines3 needs the spaces before anything begins
        assert task.baseline(0, 3).excluded == 3


def test_all_members_fail(task: Any, tmp_path: Path) -> None:
    misbehave("raise", split=None, only=(0, 2**62), at=7)
    assert all("physics exploded" in (result.failure or "") for result in trained(task, tmp_path))


def test_an_action_that_an_environment_does_not_bear(task: Any, tmp_path: Path) -> None:
    misbehave("raise", split=None, only=(0, 2**62), at=0, action=1)
    assert all("physics exploded" in (result.failure or "") for result in trained(task, tmp_path))


def test_a_member_that_was_given_up_is_not_touched(task: Any, tmp_path: Path) -> None:
    misbehave("good")
    diverged = trained(task, tmp_path / "diverged", hypers={"learning_rate": 1e38})
    misbehave("hang", at=0)
    results = trained(task, tmp_path / "up", given_up={BAD_MEMBER: "killed its worker twice"})
    assert results[BAD_MEMBER].failure == "killed its worker twice" and results[BAD_MEMBER].cost.units == 0
    assert_neighbours_equal(tmp_path / "up", results, tmp_path / "diverged", diverged)
    misbehave("hang", split=None, only=(0, 2**62), at=0)
    everybody = trained(task, tmp_path / "all", given_up=dict.fromkeys(range(3), "gone"))
    assert [result.failure for result in everybody] == ["gone"] * 3


@pytest.mark.parametrize("way", ["raise", "nan_reward", "exit", "nan_observation"])
def test_evaluation_fails_the_member(task: Any, way: str, tmp_path: Path) -> None:
    misbehave(way, "evaluate")
    for index, result in enumerate(trained(task, tmp_path)):
        assert f"environment {SPEC.id} failed in step" in (result.failure or "")
        assert result.cost.train_units == UNITS and 0 < result.cost.eval_units <= 2 * bad.EPISODE
        assert not FolderCheckpoints(tmp_path).path(index).exists()


@pytest.mark.parametrize("way", ["raise", "nan_reward", "no_reward", "minus_infinite_reward", "raise_in_reset", "exit"])
def test_episodes_of_a_test_are_excluded(task: Any, way: str, tmp_path: Path) -> None:
    misbehave("good")
    trained(task, tmp_path)
    job = FinalTestJob(proposal=0, episodes=range(4), root_seed=0, checkpoints=FolderCheckpoints(tmp_path))
    whole = task.test(job)
    assert len(whole.returns) == 4 and whole.excluded == 0 and whole.failure is None
    misbehave(way, "test", at=0)
    for found in (task.test(job), task.baseline(0, 4)):
        assert found.excluded == COPIES and len(found.returns) == 2 and np.isfinite(found.returns).all()
        assert (found.failure or "").startswith(f"environment {SPEC.id} failed in ")
    assert task.test(job).returns == whole.returns[COPIES:]


def test_episodes_without_an_end_are_cut(task: Any, tmp_path: Path) -> None:
    misbehave("endless", split=None)
    for result in trained(task, tmp_path):
        assert result.failure is None and result.metrics["eval/capped_episodes"] == COPIES
        assert result.cost.eval_units == COPIES * LIMIT
    job = FinalTestJob(proposal=0, episodes=range(3), root_seed=0, checkpoints=FolderCheckpoints(tmp_path))
    for found in (task.test(job), task.baseline(0, 3)):
        assert found.capped == 3 and len(found.returns) == 3 and found.cost.eval_units == 3 * LIMIT


def test_it_is_told_on_whose_behalf_environments_are_called(task: Any, tmp_path: Path) -> None:
    misbehave("good")
    told: list[tuple[int, int | None]] = []
    job = IntervalJob(
        proposals=(Proposal(id=7, member=0, generation=0, hypers={}, parent=None, units=UNITS),),
        lineage_units=(0,),
        root_seed=0,
        checkpoints=FolderCheckpoints(tmp_path),
    )
    task.interval(job, lambda units, proposal=None: told.append((units, proposal)))
    assert sum(units for units, _ in told) == UNITS
    assert told.count((0, 7)) >= UNITS // COPIES


def test_a_ctrl_c_passes(task: Any, tmp_path: Path) -> None:
    misbehave("interrupt")
    with pytest.raises(KeyboardInterrupt):
        trained(task, tmp_path)


def test_no_step_of_what_is_lost_is_valid_and_not_the_first_either() -> None:
    misbehave("raise_in_constructor", split=None)
    with MemberEnvironments(SPEC, COPIES, [1, 2], Handling(tolerant=True)) as actors:
        assert actors.lost.all() and actors.failed.keys() == {0, 1}
        assert not actors.valid.any()
        actors.step(np.zeros((2, COPIES), int))
        assert not actors.valid.any() and actors.frames == [0, 0]
