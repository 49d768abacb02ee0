"""The interval on real members of every agent and through every executor: a pure function, and the PBT that others get wrong."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from rl_pbt.agents import AGENTS
from rl_pbt.agents.actor_critic import ActorCritic
from rl_pbt.agents.hypers import HYPERS as AGENT_HYPERS
from rl_pbt.agents.networks import dense
from rl_pbt.agents.policy import Policy
from rl_pbt.agents.rollout import Rollout
from rl_pbt.agents.settings import PPOConfig
from rl_pbt.envs import EnvSpec, begin_step, resolve
from rl_pbt.errors import UserError
from rl_pbt.executors import Executor, InlineExecutor, ProcessExecutor, run_all
from rl_pbt.records import Hypers, Proposal, Result
from rl_pbt.store.checkpoints import FolderCheckpoints
from rl_pbt.tasks.base import FinalTestJob, IntervalJob
from rl_pbt.tasks.rl import in_parts, training
from rl_pbt.tasks.rl.collecting import Collector
from rl_pbt.tasks.rl.interval import RLTask

HYPERS: Hypers = {"learning_rate": 1e-3, "entropy_cost": 0.01, "discount": 0.97, "trace_lambda": 0.95} | {
    "value_cost": 0.5,
    "max_grad_norm": 0.5,
    "epsilon": 1e-5,
}


def task_of(agent: str, **options: Any) -> RLTask:
    sizes = {"unroll_length": 5, "envs_per_member": 4, "hidden": (16, 16), "core_size": 8}
    config = AGENTS[agent].config(**sizes | options)  # type: ignore[arg-type]
    own = {name: hyper.default for name, hyper in AGENTS[agent].hypers.items() if name not in HYPERS}
    own |= {"num_epochs": 2.0} if "num_epochs" in own else {}
    return RLTask(env=resolve("CartPole-v1"), agent=agent, agent_config=config, eval_episodes=3, hypers=own)


TASKS = {
    "a2c": task_of("a2c", normalise_observations=True),
    "impala": task_of("impala", normalise_observations=True, policy_lag=2, optimiser="adam"),
    "impala-lstm": task_of("impala", normalise_returns=True, core="lstm"),
    "ppo": task_of("ppo", normalise_observations=True, batch_size=8),
    "ppo-lstm": task_of("ppo", normalise_returns=True, core="lstm", batch_size=10, target_kl=0.05),
}
TASK = TASKS["a2c"]


def updates_of(task: RLTask) -> int:
    """In an interval of 400 frames: 20 rollouts of 20 steps."""
    config = task.agent_config
    if not isinstance(config, PPOConfig):
        return 20
    streams, length = (20, 1) if config.core == "none" else (4, 5)
    return 20 * int(task.hypers["num_epochs"]) * math.ceil(streams / (config.batch_size // length))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def proposal(id_: int, parent: int | None = None, hypers: Hypers = HYPERS, **fields: int) -> Proposal:
    member = fields.pop("member", id_ % 2)
    return Proposal(
        id=id_, member=member, generation=fields.pop("generation", id_ // 2), hypers=hypers, parent=parent, units=400, **fields
    )


class Run:
    """Runs intervals of one agent through one kind of executor, as a search would; one executor for each task."""

    def __init__(self, kind: str, task: RLTask = TASK) -> None:
        self.task = task
        self._make = InlineExecutor if kind == "inline" else lambda task: ProcessExecutor(task, 1)
        self._executors: dict[str, Executor] = {}

    def __call__(
        self, checkpoints: FolderCheckpoints, *proposals: Proposal, task: RLTask | None = None, root: int = 0
    ) -> list[Result]:
        job = IntervalJob(
            proposals=proposals,
            lineage_units=tuple(0 if p.parent is None else 400 for p in proposals),
            root_seed=root,
            checkpoints=checkpoints,
        )
        task = task or self.task
        executor = self._executors.setdefault(repr(task), self._make(task))
        return run_all(executor, [job])[0]

    def close(self) -> None:
        for executor in self._executors.values():
            executor.close()


# Every agent here, and through a worker process one of them: what a process could break it breaks for all.
@pytest.fixture(scope="module", params=[("inline", name) for name in TASKS] + [("processes", "impala-lstm")], ids="-".join)
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    kind, name = request.param
    run = Run(kind, TASKS[name])
    yield run
    run.close()


@pytest.fixture
def checkpoints(run: Run, tmp_path: Path) -> FolderCheckpoints:
    """The folder after a first generation of two members."""
    folder = FolderCheckpoints(tmp_path)
    run(folder, proposal(0), proposal(1))
    return folder


def weights_differ(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return any(not np.array_equal(a[name], b[name]) for name in a if name.startswith("weights"))


def test_members_with_unrolls_of_their_own_train_as_those_that_are_configured_so(run: Run, tmp_path: Path) -> None:
    def with_length(length: int) -> RLTask:
        return replace(run.task, agent_config=replace(run.task.agent_config, unroll_length=length))

    lengths = [8, 5, 8, 3]
    mixed, alone = FolderCheckpoints(tmp_path / "mixed"), FolderCheckpoints(tmp_path / "alone")
    proposals = [proposal(i, hypers={**HYPERS, "unroll_length": length}, member=i) for i, length in enumerate(lengths)]
    together = run(mixed, *proposals)
    assert [result.proposal for result in together] == [0, 1, 2, 3]
    for alike in ([0, 2], [1], [3]):
        expected = run(alone, *(proposal(i, member=i) for i in alike), task=with_length(lengths[alike[0]]))
        for i, result in zip(alike, expected, strict=True):
            assert (together[i].returns, together[i].metrics) == (result.returns, result.metrics)
            assert together[i].cost.updates == result.cost.updates
            assert mixed.path(i).read_bytes() == alone.path(i).read_bytes()
    again = [replace(one, id=9 + i, parent=one.id, units=0, episodes=2) for i, one in enumerate(proposals)]
    assert all(result.cost.updates == 0 and len(result.returns) == 2 for result in run(mixed, *again))


def test_an_interval_is_a_pure_function(run: Run, checkpoints: FolderCheckpoints) -> None:
    def once() -> tuple[list[object], bytes]:
        results = run(checkpoints, proposal(2, 0), proposal(3, 1))
        timeless = [replace(r, cost=replace(r.cost, cpu_s=0.0, wall_s=0.0, eval_cpu_s=0.0)) for r in results]
        return list(timeless), checkpoints.path(2).read_bytes() + checkpoints.path(3).read_bytes()

    first = once()
    np.random.seed(1)  # global generators must not matter
    torch.manual_seed(1)
    torch.rand(10)
    assert once() == first


def test_other_root_seed_other_result(run: Run, checkpoints: FolderCheckpoints, tmp_path: Path) -> None:
    other = FolderCheckpoints(tmp_path / "other")
    run(other, proposal(0), proposal(1), root=1)
    assert weights_differ(checkpoints.load(0), other.load(0))


def test_after_exploit_all_that_was_learnt_is_the_donors_but_no_random_stream(run: Run, checkpoints: FolderCheckpoints) -> None:
    """A learning rate of 0 keeps the loaded weights, so that they can be looked at after the interval."""
    frozen: Hypers = {**HYPERS, "learning_rate": 0.0}
    donor = checkpoints.load(0)
    copy, original = run(checkpoints, proposal(3, 0, frozen, hypers_from=0), proposal(2, 0, frozen))
    child = checkpoints.load(3)
    for name, array in donor.items():
        if name.startswith("weights"):
            np.testing.assert_array_equal(child[name], array)
    assert int(child["updates"]) == int(donor["updates"]) + updates_of(run.task)
    for statistics in {"normaliser.count", "return_scale.count"} & set(donor):
        assert float(child[statistics]) > float(donor[statistics])
    trained = [result.metrics["train/value_loss"] for result in (copy, original)]
    assert trained[0] != trained[1], "the clone repeats its donor's random stream"
    assert copy.lineage_units == 800


def test_optimiser_moments_are_the_donors(run: Run, checkpoints: FolderCheckpoints) -> None:
    """One update's moments are decay * parent's + the rest: without the parent's they would be far smaller."""
    run(checkpoints, proposal(3, 0))
    parent, child = checkpoints.load(0), checkpoints.load(3)
    name = next(slot for slot in ("rmsprop.value.weight", "adam.square.value.weight") if slot in parent)
    decay = 0.99 if name.startswith("rmsprop") else 0.999
    assert (child[name] >= parent[name] * decay ** updates_of(run.task) * 0.999).all() and parent[name].max() > 0
    if name.startswith("adam"):
        assert int(child["adam.steps"]) == int(parent["adam.steps"]) + updates_of(run.task)


@pytest.mark.parametrize("name", list(HYPERS))
def test_each_hyper_is_live_after_loading(run: Run, checkpoints: FolderCheckpoints, name: str) -> None:
    run(checkpoints, proposal(2, 0))
    base = checkpoints.load(2)
    other = float(HYPERS[name]) * (1e4 if name == "epsilon" else 0.5)
    run(checkpoints, proposal(2, 0, {**HYPERS, name: other}))
    assert weights_differ(base, checkpoints.load(2))


def test_neighbours_in_a_group_do_not_touch_each_other(run: Run, checkpoints: FolderCheckpoints) -> None:
    run(checkpoints, proposal(2, 0), proposal(3, 1))
    together = checkpoints.load(2)
    run(checkpoints, proposal(2, 0), proposal(3, 1, {**HYPERS, "learning_rate": 0.05}))
    for name, array in checkpoints.load(2).items():
        np.testing.assert_array_equal(array, together[name])


def test_a_diverged_member_is_a_failure_and_its_neighbour_goes_on(run: Run, checkpoints: FolderCheckpoints) -> None:
    run(checkpoints, proposal(2, 0), proposal(3, 1))
    healthy = checkpoints.load(2)
    checkpoints.path(3).unlink()
    fine, failed = run(checkpoints, proposal(2, 0), proposal(3, 1, {**HYPERS, "learning_rate": 1e38}))
    assert failed.fitness is None and "diverged" in (failed.failure or "") and not checkpoints.path(3).exists()
    assert failed.cost.train_units == fine.cost.train_units and failed.cost.eval_units == 0
    assert fine.fitness is not None
    for name, array in checkpoints.load(2).items():
        np.testing.assert_array_equal(array, healthy[name])


def test_a_generation_meets_the_same_evaluation_and_its_units_are_charged(run: Run, checkpoints: FolderCheckpoints) -> None:
    still: Hypers = {**HYPERS, "learning_rate": 0.0}
    results = run(checkpoints, proposal(2, 0, still), proposal(3, 0, still))
    for result in results:
        assert len(result.returns) == 3
        assert result.fitness == pytest.approx(np.mean(result.returns))
        assert result.cost.train_units == 400 and result.cost.updates == updates_of(run.task)
        assert result.cost.eval_units == sum(result.returns), "CartPole pays 1 a step, and rests at an end"


def test_training_fitness_costs_nothing_where_an_episode_ended(run: Run, tmp_path: Path) -> None:
    task = replace(run.task, fitness="training")
    result = run(FolderCheckpoints(tmp_path), proposal(0), task=task)[0]
    assert result.fitness is not None and result.cost.eval_units == 0 and "eval/mean_reward" not in result.metrics

    lasting = replace(task, env=resolve("probe/Truncation"), longest_episode=7)
    short = [replace(proposal(id_), units=20) for id_ in (0, 1)]
    for result in run(FolderCheckpoints(tmp_path), *short, task=lasting):
        assert result.failure is None and len(result.returns) == task.eval_episodes
        assert result.cost.eval_units == 7 * task.eval_episodes and result.metrics["eval/capped_episodes"] == task.eval_episodes

    rehearsed = run(FolderCheckpoints(tmp_path), proposal(0), task=run.task.rehearsal())[0]
    assert rehearsed.cost.eval_units == 0 and "eval/mean_reward" not in rehearsed.metrics


def test_of_a_group_only_those_without_an_episode_are_evaluated(run: Run, tmp_path: Path) -> None:
    """CartPole with all 20 steps of a member to one side: some episodes end in them, others do not."""
    task = replace(run.task, fitness="training")
    proposals = [replace(proposal(id_), units=48) for id_ in range(6)]
    results = run(FolderCheckpoints(tmp_path), *proposals, task=task)
    evaluated = [result for result in results if result.cost.eval_units]
    assert 0 < len(evaluated) < 6 and all(result.failure is None for result in results)
    assert all(("rollout/ep_rew_mean" in result.metrics) == (result not in evaluated) for result in results)
    assert all(result.cost.eval_units == sum(result.returns) and len(result.returns) == 3 for result in evaluated)


def test_the_test_is_repeatable_and_on_its_own_seeds(run: Run, checkpoints: FolderCheckpoints) -> None:
    job = FinalTestJob(proposal=0, episodes=range(5), root_seed=0, checkpoints=checkpoints)
    assert run.task.test(job).returns == run.task.test(job).returns
    assert run.task.test(job).returns != run.task.test(replace(job, episodes=range(5, 10))).returns
    assert len(run.task.test(job).returns) == 5
    assert run.task.test(job).returns != run.task.test(replace(job, root_seed=1)).returns
    assert len(run.task.baseline(0, 5).returns) == 5 and max(run.task.baseline(0, 5).returns) < 150


class Broken(gymnasium.Env[np.ndarray, int]):
    """Raises in its fifth step."""

    observation_space = gymnasium.spaces.Box(-1, 1, (2,))
    action_space: gymnasium.spaces.Space[int] = gymnasium.spaces.Discrete(2)  # type: ignore[assignment]
    steps = 0

    def reset(self, *, seed: int | None = None, options: object = None) -> tuple[np.ndarray, dict[str, object]]:
        return np.zeros(2, np.float32), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, object]]:
        self.steps += 1
        if self.steps == 5:
            raise ZeroDivisionError("the wheel came off\nand more")
        return np.zeros(2, np.float32), 0.0, False, False, {}


def test_an_environment_that_raises_is_one_line(tmp_path: Path) -> None:
    """In this process only: others know only what the modules they import register, and say so."""
    inline, other_process = Run("inline"), Run("processes")
    gymnasium.register("test/Broken-v0", entry_point=Broken)  # type: ignore[arg-type]
    try:
        spec = EnvSpec(id="test/Broken-v0", family="gymnasium", options={"vectorization_mode": "sync"})
        (result,) = inline(FolderCheckpoints(tmp_path), proposal(0), task=replace(TASK, env=spec))
        assert result.failure == "environment test/Broken-v0 failed in step: ZeroDivisionError: the wheel came off and more"
        with pytest.raises(UserError, match=r"not registered in this process: name it module:test/Broken-v0"):
            other_process(FolderCheckpoints(tmp_path), proposal(0), task=replace(TASK, env=spec))
    finally:
        other_process.close()
        del gymnasium.registry["test/Broken-v0"]


def test_probes_have_their_known_answers(run: Run, tmp_path: Path) -> None:
    """Action and policy: the best return is 1; what a constant policy gets is 0 or less."""
    for name in ("probe/Action", "probe/Policy"):
        config = AGENTS[run.task.agent].config(unroll_length=5, envs_per_member=8, core=run.task.agent_config.core, core_size=16)
        task = replace(run.task, env=resolve(name), eval_episodes=32, agent_config=config)
        hypers: Hypers = {**HYPERS, "learning_rate": 5e-3, "entropy_cost": 0.0, "discount": 0.9}
        result = run(FolderCheckpoints(tmp_path), replace(proposal(0, hypers=hypers), units=12_000), task=task)[0]
        assert result.fitness is not None and result.fitness > 0.9, name


class Echo(gymnasium.Env[object, np.ndarray]):
    """Ten times it shows what it wants, a value for each part of the action, and pays for those that are right."""

    def __init__(self, action_space: gymnasium.spaces.MultiDiscrete | gymnasium.spaces.MultiBinary) -> None:
        self.action_space = action_space  # type: ignore[assignment]
        wanted = gymnasium.spaces.MultiDiscrete([2] * 3)
        self.observation_space = gymnasium.spaces.Dict({"wanted": wanted, "time": gymnasium.spaces.Discrete(11)})

    def _show(self) -> dict[str, object]:
        self.wanted = self.np_random.integers(2, size=3)
        return {"wanted": self.wanted, "time": self.time}

    def reset(self, *, seed: int | None = None, options: object = None) -> tuple[dict[str, object], dict[str, object]]:
        super().reset(seed=seed)
        self.time = 0
        return self._show(), {}

    def step(self, action: np.ndarray) -> tuple[dict[str, object], float, bool, bool, dict[str, object]]:
        reward = float(np.mean(np.asarray(action)[:3] == self.wanted)) / 10
        self.time += 1
        return self._show(), reward, self.time == 10, False, {}


@pytest.mark.parametrize("space", [gymnasium.spaces.MultiBinary(3), gymnasium.spaces.MultiDiscrete([2, 2, 2, 4])], ids=str)
def test_actions_of_several_parts_and_nested_observations_are_learnt(space: gymnasium.Space, tmp_path: Path) -> None:
    gymnasium.register("test/Echo-v0", entry_point=Echo, kwargs={"action_space": space})  # type: ignore[arg-type]
    try:
        env = resolve("test/Echo-v0")
        config = AGENTS["a2c"].config(unroll_length=5, envs_per_member=8)
        task = replace(TASK, env=env, eval_episodes=8, agent_config=config)
        hypers: Hypers = {**HYPERS, "learning_rate": 5e-3, "entropy_cost": 0.0, "discount": 0.9}
        (result,) = Run("inline")(FolderCheckpoints(tmp_path), replace(proposal(0, hypers=hypers), units=16_000), task=task)
    finally:
        del gymnasium.registry["test/Echo-v0"]
    assert result.fitness is not None and result.fitness > 0.85, "guessing pays a half"


class Pointing(gymnasium.Env[object, np.int64]):
    """Ten rounds, in each of which the lit side of a picture, which comes with other numbers, is to be named."""

    def __init__(self) -> None:
        screen = gymnasium.spaces.Box(0, 255, (10, 12, 1), np.uint8)
        self.observation_space = gymnasium.spaces.Dict({"screen": screen, "time": gymnasium.spaces.Discrete(11)})
        self.action_space = gymnasium.spaces.Discrete(2)

    def _show(self) -> dict[str, object]:
        self.lit = int(self.np_random.integers(2))
        screen = np.zeros((10, 12, 1), np.uint8)
        screen[:, 6 * self.lit : 6 * self.lit + 6] = 255
        return {"screen": screen, "time": self.time}

    def reset(self, *, seed: int | None = None, options: object = None) -> tuple[dict[str, object], dict[str, object]]:
        super().reset(seed=seed)
        self.time = 0
        return self._show(), {}

    def step(self, action: np.int64) -> tuple[dict[str, object], float, bool, bool, dict[str, object]]:
        reward = float(action == self.lit) / 10
        self.time += 1
        return self._show(), reward, self.time == 10, False, {}


def test_a_picture_among_other_observations_is_convolved_and_learnt_from(tmp_path: Path) -> None:
    gymnasium.register("test/Pointing-v0", entry_point=Pointing)  # type: ignore[arg-type]
    try:
        config = AGENTS["a2c"].config(unroll_length=5, envs_per_member=8)
        task = replace(TASK, env=resolve("test/Pointing-v0"), eval_episodes=8, agent_config=config)
        assert task.network_in_words.startswith("1 convolution over images of 10x12 and 1 channel, 128 features; dense layers")
        hypers: Hypers = {**HYPERS, "learning_rate": 2e-3, "entropy_cost": 0.0, "discount": 0.5}
        (result,) = Run("inline")(FolderCheckpoints(tmp_path), replace(proposal(0, hypers=hypers), units=8_000), task=task)
    finally:
        del gymnasium.registry["test/Pointing-v0"]
    assert result.fitness is not None and result.fitness > 0.85, "guessing pays a half"


def test_judging_again_trains_nothing_and_plays_other_episodes(run: Run, checkpoints: FolderCheckpoints) -> None:
    before = {path.name: path.read_bytes() for path in checkpoints.folder.iterdir()}
    again = replace(proposal(9, parent=0, generation=5), units=0, episodes=3)
    result, other = run(checkpoints, again, replace(again, id=10, generation=6))
    assert result.cost.train_units == result.cost.updates == 0 and result.lineage_units == 400
    assert result.cost.eval_units == sum(result.returns) and result.fitness == np.mean(result.returns)
    assert set(result.metrics) == {"eval/mean_reward", "eval/mean_ep_length", "eval/capped_episodes"}
    assert result.returns != other.returns or result.cost.eval_units == 1500
    (once,) = run(checkpoints, replace(again, episodes=1))
    assert len(once.returns) == 1 and once.cost.eval_units == once.returns[0]
    assert {path.name: path.read_bytes() for path in checkpoints.folder.iterdir()} == before


def test_hypers_that_the_search_leaves_alone_are_the_tasks(run: Run, tmp_path: Path) -> None:
    searched = {"learning_rate": HYPERS["learning_rate"]}
    task = replace(run.task, hypers={**run.task.hypers, **{n: float(v) for n, v in HYPERS.items()}, "learning_rate": 9.0})
    run(FolderCheckpoints(tmp_path / "some"), proposal(0, hypers=searched), task=task)
    run(FolderCheckpoints(tmp_path / "all"), proposal(0))
    assert FolderCheckpoints(tmp_path / "some").path(0).read_bytes() == FolderCheckpoints(tmp_path / "all").path(0).read_bytes()
    assert set(HYPERS) == set(AGENT_HYPERS)


@pytest.mark.parametrize("lag", [1, 3])
@pytest.mark.parametrize("options", [{"core": "lstm"}, {"autocast": True}], ids=["lstm", "bfloat16"])
def test_acting_beside_learning_changes_no_bit(lag: int, options: dict[str, Any], tmp_path: Path) -> None:
    task = task_of("impala", policy_lag=lag, torso="shallow", **options)
    task = replace(task, env=resolve("Pacman"), eval_episodes=1, fitness="training")
    for overlap in (False, True):
        inline = Run("inline", replace(task, learn_beside=overlap))
        inline(FolderCheckpoints(tmp_path / str(overlap)), proposal(0), proposal(1))
    for member in (0, 1):
        one, other = (FolderCheckpoints(tmp_path / str(overlap)).path(member).read_bytes() for overlap in (False, True))
        assert one == other


def test_environments_side_by_side_change_no_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Any] = []
    monkeypatch.setattr(in_parts, "begin_step", lambda env, chosen: begun.append(wait := begin_step(env, chosen)) or wait)
    task = replace(task_of("a2c", torso="shallow"), env=resolve("ALE/Breakout-v5"), eval_episodes=2)
    outcomes = []
    for overlap in (False, True):
        inline = Run("inline", replace(task, step_together=overlap))
        checkpoints = FolderCheckpoints(tmp_path / str(overlap))
        results = inline(checkpoints, proposal(0), proposal(1))
        outcomes.append([(result.returns, checkpoints.path(result.proposal).read_bytes()) for result in results])
        assert bool(begun) == overlap
    assert {wait.__name__ for wait in begun} == {"recv"}
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize(("env", "beside"), [("Pacman", True), ("CartPole-v1", False)])
def test_learning_has_a_thread_of_its_own_only_with_images(
    env: str, beside: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    learner = training.learner
    monkeypatch.setattr(training, "learner", lambda overlap, threads: asked.append(overlap) or learner(overlap, threads))
    task = replace(task_of("impala", policy_lag=1), env=resolve(env), fitness="training", learn_beside=True)
    Run("inline", task)(FolderCheckpoints(tmp_path), proposal(0))
    assert asked == [beside]


def value_and_policy(agent: str, folder: Path, lag: int) -> tuple[float, float]:
    """On probe/Action, learnt wholly from what the first policy did: the value of the only observation, P(action 1)."""
    unrolls, length, envs = lag, 5, 8
    task = replace(task_of(agent, policy_lag=lag, envs_per_member=envs), env=resolve("probe/Action"))
    hypers: Hypers = {**HYPERS, "learning_rate": 5e-3, "entropy_cost": 0.0}
    units = unrolls * length * envs
    job = IntervalJob(
        proposals=(replace(proposal(0, hypers=hypers), units=units),),
        lineage_units=(0,),
        root_seed=0,
        checkpoints=FolderCheckpoints(folder),
    )
    task.interval(job)
    policy = task.load(0, job.checkpoints).policy()
    state, fresh = policy.initial_state(1, 1), torch.zeros(1, 1, 1, dtype=torch.bool)
    features, value_features, _ = policy.network.features(policy.weights, torch.zeros(1, 1, 1), state, fresh)
    value = dense(policy.weights, "value", value_features)
    return value.item(), torch.softmax(dense(policy.weights, "policy", features), -1)[0, 0, 1].item()


def test_under_a_lag_vtrace_learns_the_value_of_the_policy_that_learns_and_no_correction_that_of_the_one_that_acted(
    tmp_path: Path,
) -> None:
    """Action 1 pays 1 and action 0 pays -1. Who acted was undecided, worth 0; both agents learn to take action 1, worth 1."""
    value, chance = value_and_policy("impala", tmp_path / "impala", lag=150)
    assert chance > 0.95 and value == pytest.approx(2 * chance - 1, abs=0.1)
    value, chance = value_and_policy("a2c", tmp_path / "a2c", lag=150)
    assert chance > 0.95 and abs(value) < 0.3


@pytest.mark.parametrize("lag", [0, 1, 3])
def test_the_lag_is_a_number_of_updates(lag: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    acted: list[torch.Tensor] = []
    learnt: list[torch.Tensor] = []
    collect, learn = Collector.__call__, ActorCritic.learn

    def noting_collect(self: Collector, policy: Policy, length: int) -> Rollout:
        acted.append(policy.weights["value.bias"].detach().clone())
        return collect(self, policy, length)

    def noting_learn(self: ActorCritic, rollout: Rollout, *rest: Any) -> dict[str, torch.Tensor]:
        learnt.append(self.policy().weights["value.bias"].detach().clone())
        return learn(self, rollout, *rest)

    monkeypatch.setattr(Collector, "__call__", noting_collect)
    monkeypatch.setattr(ActorCritic, "learn", noting_learn)
    (result,) = Run("inline", task_of("impala", policy_lag=lag))(FolderCheckpoints(tmp_path), proposal(0))
    assert len(acted) == len(learnt) == result.cost.updates == 20
    assert len({weights.item() for weights in learnt}) == 20
    for k, weights in enumerate(acted):  # rollout k was collected `lag` updates before it was learnt from
        assert torch.equal(weights, learnt[max(0, k - lag)])


@pytest.mark.parametrize("lag", [0, 2])
def test_what_is_left_of_the_budget_is_counted_along_the_line_of_descent(
    lag: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[float]] = []
    learn = ActorCritic.learn

    def noting(self: ActorCritic, rollout: Rollout, orders: Any, left: Any) -> dict[str, torch.Tensor]:
        seen.append(left)
        return learn(self, rollout, orders, left)

    monkeypatch.setattr(ActorCritic, "learn", noting)
    checkpoints = FolderCheckpoints(tmp_path)
    run = Run("inline", replace(task_of("impala", policy_lag=lag, anneal="linear"), budget=1600))
    run(checkpoints, proposal(0), proposal(1))
    assert seen == [[1 - 20 * rollout / 1600] * 2 for rollout in range(20)]
    seen.clear()
    run(checkpoints, proposal(2, 0))
    assert [left for (left,) in seen] == [1 - (400 + 20 * rollout) / 1600 for rollout in range(20)]


def test_a_greedy_evaluation_and_test_follow_the_likeliest_actions(
    checkpoints: FolderCheckpoints, run: Run, tmp_path: Path
) -> None:
    """Two members with the same weights are then judged alike, for their own random choices play no part."""
    still: Hypers = {**HYPERS, "learning_rate": 0.0}
    found = {}
    for greedy in (False, True):
        task = replace(run.task, greedy=greedy, eval_episodes=6)
        found[greedy] = [result.returns for result in run(checkpoints, proposal(2, 0, still), proposal(3, 0, still), task=task)]
    if not run.task.agent_config.normalise_observations:  # whose statistics go on
        assert found[True][0] == found[True][1]
    assert found[False][0] != found[False][1] and found[True] != found[False]
    job = FinalTestJob(proposal=0, episodes=range(5), root_seed=0, checkpoints=checkpoints)
    assert replace(run.task, greedy=True).test(job).returns != run.task.test(job).returns
