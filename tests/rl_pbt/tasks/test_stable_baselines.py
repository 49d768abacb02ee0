"""Stable-Baselines3's algorithms as members: what a copy takes over, on the live objects, and agreement with SB3 alone."""

import pickle
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from safetensors.numpy import load as from_bytes
from safetensors.numpy import save as to_bytes
from stable_baselines3 import DQN, PPO, SAC
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.utils import set_random_seed
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from rl_pbt import options, seeds
from rl_pbt.config import RunConfig
from rl_pbt.envs import make_vector, resolve
from rl_pbt.errors import UserError
from rl_pbt.records import Hypers, Proposal, Result
from rl_pbt.tasks.base import FinalTestJob, IntervalJob, Machine
from rl_pbt.tasks.checkpoints import Checkpoints
from rl_pbt.tasks.stable_baselines import TYPE, arguments, members
from rl_pbt.tasks.stable_baselines.environments import first_episodes, make_one
from rl_pbt.tasks.stable_baselines.interval import StableBaselinesTask
from rl_pbt.tasks.stable_baselines.options import AGENT_NAMES
from rl_pbt.tasks.trees import unpacked

ALGORITHMS = list(arguments.ALGORITHMS)
ENVS = {"ppo": "CartPole-v1", "a2c": "CartPole-v1", "dqn": "CartPole-v1", "sac": "Pendulum-v1", "td3": "Pendulum-v1"}
# Small enough for tests; an interval of `FRAMES` is several rounds of each.
SMALL: Mapping[str, dict[str, Any]] = {
    "ppo": {"n_steps": 16, "n_envs": 2, "batch_size": 8, "n_epochs": 2, "net_arch": "8"},
    "a2c": {"n_steps": 8, "n_envs": 2, "net_arch": "8"},
    "dqn": {"train_freq": 4, "n_envs": 2, "learning_starts": 16, "batch_size": 8, "buffer_size": 64, "net_arch": "8"},
    "sac": {"train_freq": 4, "n_envs": 2, "learning_starts": 16, "batch_size": 8, "buffer_size": 64, "net_arch": "8"},
    "td3": {"train_freq": 4, "learning_starts": 16, "batch_size": 8, "buffer_size": 64, "net_arch": "8", "noise_std": 0.1},
}
FRAMES = 64


class Memory(Checkpoints):
    """Checkpoints as the bytes that a file would hold."""

    def __init__(self) -> None:
        self.files: dict[int, bytes] = {}

    def save(self, proposal: int, state: Mapping[str, Any]) -> None:
        self.files[proposal] = to_bytes({name: np.asarray(array, order="C") for name, array in state.items()})

    def load(self, proposal: int) -> Mapping[str, Any]:
        return from_bytes(self.files[proposal])


def config_of(algorithm: str, **given: Any) -> RunConfig:
    said = {"env": ENVS[algorithm], "agent": f"sb3:{algorithm}", "budget": 4 * FRAMES, "eval_episodes": 2, **given}
    said["agent_options"] = {**SMALL[algorithm], **given.get("agent_options", {})}
    whole = TYPE.complete(said, None)
    shared = {name: whole[name] for name in options.types_of(RunConfig) if name in whole}
    chosen = options.built(TYPE.options, {name: whole[name] for name in options.types_of(TYPE.options) if name in whole})
    return options.built(RunConfig, {**shared, "task": "stable_baselines", "task_options": options.plain(chosen)})


def task_of(algorithm: str, **given: Any) -> StableBaselinesTask:
    return TYPE.make(config_of(algorithm, **given), Machine())


def work(id_: int, parent: int | None = None, **fields: Any) -> Proposal:
    """A founder, or its successor: the generation is that of its id."""
    return Proposal(**{"id": id_, "member": 0, "generation": id_, "hypers": {}, "parent": parent, "units": FRAMES, **fields})


def run(task: StableBaselinesTask, memory: Memory, *proposals: Proposal, ages: tuple[int, ...] | None = None) -> list[Result]:
    job = IntervalJob(proposals=proposals, lineage_units=ages or (0,) * len(proposals), root_seed=3, checkpoints=memory)
    return task.interval(job)


def learned(memory: Memory, id_: int) -> dict[str, Any]:
    tree: dict[str, Any] = unpacked(memory.load(id_))
    return tree


def leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every array and number of a tree, but for what optimisers say of their hyperparameters."""
    if isinstance(tree, Mapping):
        for name, entry in tree.items():
            if name not in ("param_groups", "hypers", "agent"):
                yield from leaves(entry, f"{path}/{name}")
    elif isinstance(tree, list | tuple):
        for index, entry in enumerate(tree):
            yield from leaves(entry, f"{path}/{index}")
    else:
        yield path, tree


def same(one: Any, other: Any) -> bool:
    ours, theirs = dict(leaves(one)), dict(leaves(other))
    return ours.keys() == theirs.keys() and all(np.array_equal(value, theirs[path]) for path, value in ours.items())


def networks(memory: Memory, id_: int) -> Any:
    return learned(memory, id_)["networks"]


# A legal value for every argument that can be searched, none of them a default.
NEW: Mapping[str, float] = {
    "learning_rate": 0.0123, "gamma": 0.87, "gae_lambda": 0.66, "clip_range": 0.31, "clip_range_vf": 0.7, "ent_coef": 0.07,
    "vf_coef": 0.3, "max_grad_norm": 0.9, "n_epochs": 3, "batch_size": 16, "target_kl": 0.5, "sde_sample_freq": 2,
    "rms_prop_eps": 1e-3, "tau": 0.3, "n_steps": 3, "gradient_steps": 2, "learning_starts": 8, "target_update_interval": 6,
    "exploration_fraction": 0.5, "exploration_initial_eps": 0.8, "exploration_final_eps": 0.33, "target_entropy": -2.5,
    "policy_delay": 3, "target_policy_noise": 0.1, "target_noise_clip": 0.4, "noise_std": 0.25,
}  # fmt: skip
# Where SB3 keeps, or copies, what is no plain attribute of the algorithm.
KEPT: Mapping[str, Callable[[Any], Any]] = {
    "clip_range": lambda model: model.clip_range(0.4),
    "clip_range_vf": lambda model: model.clip_range_vf(0.4),
    "rms_prop_eps": lambda model: model.policy.optimizer.param_groups[0]["eps"],
    "noise_std": lambda model: model.action_noise._sigma[0],
    "exploration_fraction": lambda model: model.exploration_schedule.end_fraction,
    "exploration_initial_eps": lambda model: model.exploration_schedule.start,
    "exploration_final_eps": lambda model: model.exploration_schedule.end,
}


def test_the_options_name_every_algorithm() -> None:
    assert tuple(f"{arguments.PREFIX}{algorithm}" for algorithm in ALGORITHMS) == AGENT_NAMES


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_copy_is_its_donor_with_its_own_hypers_and_streams(algorithm: str) -> None:
    task, memory = task_of(algorithm), Memory()
    run(task, memory, work(0))
    names = list(arguments.searchable(algorithm))
    model = task.begun(work(1, parent=0, member=5, hypers={name: NEW[name] for name in names}), 3, memory)
    donor, copy = learned(memory, 0), members.learned(model, replay_buffer=True)
    if algorithm == "sac":  # which has no learned coefficient where the search sets one
        del donor["log_ent_coef"], donor["optimisers"]["ent_coef_optimizer"]
    marked = {path for path, _ in leaves(donor) if path.endswith("timeouts")}
    assert {path for path, value in leaves(donor) if not np.array_equal(value, dict(leaves(copy))[path])} <= marked
    assert any("exp_avg" in path or "square_avg" in path for path, _ in leaves(copy["optimisers"]))
    for name in names:
        assert KEPT.get(name, lambda model, name=name: getattr(model, name))(model) == NEW[name], name
    assert model.lr_schedule(0.4) == NEW["learning_rate"]
    if arguments.on_policy(algorithm):
        assert (model.rollout_buffer.gamma, model.rollout_buffer.gae_lambda) == (NEW["gamma"], NEW["gae_lambda"])
    else:
        assert (model.replay_buffer.gamma, model.replay_buffer.n_steps) == (NEW["gamma"], NEW["n_steps"])
    if algorithm == "sac":
        assert model.ent_coef_tensor.item() == pytest.approx(NEW["ent_coef"])
    for trained in (False, True):  # neither what was loaded nor an update brings the donor's rate back
        rates = {group["lr"] for _, optimiser in members._optimisers(model) for group in optimiser.param_groups}
        assert rates == {NEW["learning_rate"]}, trained
        if not trained:
            members.train(model, FRAMES, lambda steps: None)
    members.environments_of(model).close()


def test_a_copy_takes_over_the_entropy_coefficient_that_is_learnt_but_not_its_rate() -> None:
    task, memory = task_of("sac"), Memory()
    run(task, memory, work(0))
    model = task.begun(work(1, parent=0, member=2, hypers={"learning_rate": 0.05}), 3, memory)
    donor = learned(memory, 0)
    assert isinstance(model, SAC)
    assert model.log_ent_coef is not None
    assert model.ent_coef_optimizer is not None
    assert model.log_ent_coef.item() == donor["log_ent_coef"].item() != 0.0
    moments = model.ent_coef_optimizer.state[model.log_ent_coef]
    assert moments["exp_avg"].item() == donor["optimisers"]["ent_coef_optimizer"]["state"][0]["exp_avg"].item() != 0.0
    assert model.ent_coef_optimizer.param_groups[0]["lr"] == 0.05
    before = model.log_ent_coef.item()
    members.train(model, 8, lambda steps: None)
    assert model.log_ent_coef.item() != before  # the optimiser moves the very tensor that the loss reads
    members.environments_of(model).close()


@pytest.mark.parametrize("algorithm", ["ppo", "a2c", "sac"])
def test_state_dependent_exploration(algorithm: str) -> None:
    fixed = {"use_sde": "true", "log_std_init": -1.0}
    given = {"env": "Pendulum-v1", "deterministic": False, "agent_options": fixed, "search": {"sde_sample_freq": "int:2:8"}}
    task, here, there = task_of(algorithm, **given), Memory(), Memory()
    for memory in (here, there):
        (result,) = run(task, memory, work(0, hypers={"sde_sample_freq": 4}))
        assert result.failure is None
    assert here.files == there.files


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_networks_and_every_optimisers_state_is_in_the_checkpoint(algorithm: str) -> None:
    """What SB3 itself would save, under its own names; and targets, which differ from what they follow."""
    task, memory = task_of(algorithm, hypers={"tau": 0.5} if algorithm in ("dqn", "sac", "td3") else {}), Memory()
    model = task.begun(work(0), 3, memory)
    members.train(model, FRAMES, lambda steps: None)
    tree = members.learned(model, replay_buffer=True)
    assert sorted(tree["networks"]) == sorted(model.policy.state_dict())
    saved, variables = model._get_torch_save_params()
    assert {"policy", *tree["optimisers"]} == set(saved)
    assert set(variables) <= {*tree, "ent_coef_tensor"}
    assert tree["counters"]["num_timesteps"] == FRAMES
    assert tree["counters"]["_n_updates"] > 0
    if not arguments.on_policy(algorithm):
        steps = FRAMES // model.n_envs
        assert (tree["replay_buffer"]["pos"], tree["replay_buffer"]["full"]) == (steps % (64 // model.n_envs), 1)
        assert tree["replay_buffer"]["observations"].dtype == model.replay_buffer.observations.dtype
    members.environments_of(model).close()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_clone_with_its_donors_hypers_goes_another_way(algorithm: str) -> None:
    task, memory = task_of(algorithm), Memory()
    run(task, memory, work(0))
    run(task, memory, work(1, parent=0), work(2, parent=0, member=1, generation=1))
    assert not same(networks(memory, 1), networks(memory, 2))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_job_has_one_outcome_wherever_and_however_often_it_is_run(algorithm: str) -> None:
    task = task_of(algorithm, deterministic=False)
    here, there, resumed = Memory(), Memory(), Memory()
    first = run(task, here, work(0)) + run(task, here, work(1, parent=0))
    np.random.seed(9)
    torch.manual_seed(9)
    elsewhere = pickle.loads(pickle.dumps(task))
    second = run(elsewhere, there, work(0)) + run(elsewhere, there, work(1, parent=0))
    resumed.files[0] = here.files[0]
    third = run(pickle.loads(pickle.dumps(task)), resumed, work(1, parent=0))
    assert [(r.fitness, r.returns, r.metrics) for r in first] == [(r.fitness, r.returns, r.metrics) for r in second]
    assert here.files == there.files
    assert resumed.files[1] == here.files[1]
    assert third[0].returns == first[1].returns


def test_global_generators_are_left_alone() -> None:
    task = task_of("dqn", deterministic=False)

    def drawn() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), float(torch.rand(()))

    set_random_seed(1)
    expected = drawn()
    set_random_seed(1)
    memory = Memory()
    run(task, memory, work(0))
    task.test(FinalTestJob(proposal=0, episodes=range(2), root_seed=3, checkpoints=memory))
    assert drawn() == expected


def vector(env_id: str, num_envs: int) -> DummyVecEnv:
    return DummyVecEnv([lambda: Monitor(gymnasium.make(env_id))] * num_envs)


def alone(model: Callable[[DummyVecEnv], Any], env_id: str, num_envs: int, steps: int) -> Any:
    """SB3 without us, with the seeds of the first interval of member 0."""
    set_random_seed(seeds.seed(3, purpose="weights", member=0, generation=0) % 2**31)
    made = model(vector(env_id, num_envs))
    made.set_random_seed(seeds.seed(3, purpose="actions", member=0, generation=0) % 2**31)
    made.env.seed(seeds.environment_seed(3, split="train", member=0, generation=0))
    return made.learn(steps).policy.state_dict()


def test_an_interval_is_sb3s_own_learning_ppo() -> None:
    held = {"n_steps": 32, "batch_size": 16, "n_epochs": 3, "gae_lambda": 0.8}
    chosen: Hypers = {"gamma": 0.97, "ent_coef": 0.01, "learning_rate": 1e-3}
    memory = Memory()
    task = task_of("ppo", budget=256, agent_options={**held, "n_envs": 2, "net_arch": []})
    run(task, memory, work(0, units=256, hypers=chosen))
    theirs = alone(lambda env: PPO("MlpPolicy", env, **held, **chosen), "CartPole-v1", 2, 256)
    assert same(networks(memory, 0), {name: value.numpy() for name, value in theirs.items()})


def test_an_interval_is_sb3s_own_learning_dqn() -> None:
    held = {"buffer_size": 300, "target_update_interval": 50, "train_freq": 4, "learning_starts": 16, "batch_size": 8}
    chosen: Hypers = {"gamma": 0.9, "learning_rate": 1e-3, "exploration_final_eps": 0.1, "exploration_fraction": 0.5}
    memory = Memory()
    task = task_of("dqn", budget=400, agent_options={**held, "gradient_steps": 2, "n_envs": 1, "net_arch": "16"})
    run(task, memory, work(0, units=400, hypers=chosen))
    narrow = {"policy_kwargs": {"net_arch": [16]}, "gradient_steps": 2}
    theirs = alone(lambda env: DQN("MlpPolicy", env, **held, **chosen, **narrow), "CartPole-v1", 1, 400)
    assert same(networks(memory, 0), {name: value.numpy() for name, value in theirs.items()})


def test_schedules_and_counters_go_on_over_the_whole_budget() -> None:
    """DQN explores less and less over a member's life, where SB3 would start over with each call of `learn`."""
    task, memory = task_of("dqn", hypers={"exploration_fraction": 1.0, "exploration_initial_eps": 1.0}), Memory()
    hypers: Hypers = {"exploration_final_eps": 0.2}
    results = [run(task, memory, work(i, parent=i - 1 if i else None, hypers=hypers), ages=(i * FRAMES,))[0] for i in range(3)]
    model = task.begun(work(3, parent=2, hypers=hypers), 3, memory)
    assert model.num_timesteps == 3 * FRAMES
    assert model._n_calls == 3 * FRAMES // 2
    assert model.exploration_rate == pytest.approx(1 - 0.8 * 3 / 4)
    assert [round(r.metrics["rollout/exploration_rate"], 2) for r in results] == [0.9, 0.7, 0.5]
    assert [r.lineage_units for r in results] == [FRAMES, 2 * FRAMES, 3 * FRAMES]
    members.environments_of(model).close()


def test_without_the_replay_buffer_every_interval_begins_with_an_empty_one() -> None:
    task, memory = task_of("dqn", replay_buffer=False), Memory()
    run(task, memory, work(0))
    assert "replay_buffer" not in learned(memory, 0)
    model = task.begun(work(1, parent=0), 3, memory)
    assert model.replay_buffer.size() == 0
    before = model._n_updates
    members.train(model, 16, lambda steps: None)  # as many steps as learning_starts
    assert model._n_updates == before + model.gradient_steps  # and not an update every `train_freq` steps
    members.environments_of(model).close()


def test_an_n_step_return_does_not_run_into_the_next_interval() -> None:
    task, memory = task_of("dqn", hypers={"n_steps": 3}, agent_options={"buffer_size": 200}), Memory()
    run(task, memory, work(0))
    model = task.begun(work(1, parent=0), 3, memory)
    last = model.replay_buffer.pos - 1
    assert (model.replay_buffer.timeouts[last] + model.replay_buffer.dones[last] >= 1).all()
    members.environments_of(model).close()


@pytest.mark.parametrize("algorithm", ["a2c", "sac"])
def test_statistics_of_normalisation_are_copied_and_rewards_judge_as_they_are(algorithm: str) -> None:
    normalised = {"normalise_observations": "true", "normalise_rewards": "true"}
    task, memory = task_of(algorithm, agent_options=normalised), Memory()
    (result,) = run(task, memory, work(0))
    model = task.begun(work(1, parent=0, member=4, hypers={"gamma": 0.9}), 3, memory)
    normaliser = model.get_vec_normalize_env()
    assert isinstance(normaliser, VecNormalize)
    kept = learned(memory, 0)["normaliser"]
    assert np.array_equal(normaliser.obs_rms.mean, kept["observations"]["mean"])
    assert float(normaliser.ret_rms.var) == float(kept["returns"]["var"])
    assert normaliser.gamma == 0.9
    members.environments_of(model).close()
    lowest = {"a2c": 1.0, "sac": -2000.0}[algorithm]  # CartPole gives 1 a step, Pendulum -16.3 at worst
    assert all(value == round(value) >= lowest if algorithm == "a2c" else value < -50 for value in result.returns)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_is_charged_and_told(algorithm: str) -> None:
    task, memory = task_of(algorithm), Memory()
    told: list[int] = []
    units = 3 * task.quantum + task.quantum // 2
    job = IntervalJob(proposals=(work(0, units=units),), lineage_units=(100,), root_seed=3, checkpoints=memory)
    (result,) = task.interval(job, lambda units, proposal=None: told.append(units) if units else None)
    assert sum(told) == result.cost.train_units == 3 * task.quantum
    assert result.lineage_units == 100 + 3 * task.quantum
    assert result.cost.eval_units == round(len(result.returns) * result.metrics["eval/mean_ep_length"])
    assert result.cost.updates == learned(memory, 0)["counters"]["_n_updates"]
    assert result.fitness == np.mean(result.returns)
    assert all(np.isfinite(value) for value in result.metrics.values())
    assert arguments.quantum_of(algorithm, task.options) == task.quantum


@pytest.mark.parametrize("algorithm", ["ppo", "dqn", "td3"])
def test_metrics_have_sb3s_names(algorithm: str) -> None:
    (result,) = run(task_of(algorithm), Memory(), work(0, units=320))
    of_losses = {"ppo": "train/clip_fraction", "dqn": "train/loss", "td3": "train/critic_loss"}
    assert {of_losses[algorithm], "train/learning_rate", "rollout/ep_rew_mean", "eval/mean_reward"} <= set(result.metrics)


def test_members_of_a_generation_are_judged_in_the_same_episodes_whole_ones() -> None:
    seeds_seen: list[int] = []
    spec = resolve("CartPole-v1")

    def choose(observations: Any) -> list[int]:
        seeds_seen.append(len(observations))
        return [0] * len(observations)

    one, again = first_episodes(spec, 4, 11, choose), first_episodes(spec, 4, 11, choose)
    assert one == again
    assert one.steps == sum(seeds_seen) // 2
    later = first_episodes(spec, 2, 13, choose)
    assert later.returns == one.returns[2:]  # the i-th copy is reset with seed + i


def test_training_episodes_can_judge() -> None:
    task, memory = task_of("a2c", fitness="training"), Memory()
    short, long = run(task, memory, work(0, units=16), work(1, units=320))
    assert short.failure is None and len(short.returns) == task.eval_episodes, "where none ended, others are played"
    assert short.cost.eval_units == sum(short.returns)
    assert long.cost.eval_units == 0
    assert len(long.returns) > 2
    assert sum(long.returns) <= 320


@pytest.mark.parametrize("algorithm", ["ppo", "dqn"])
def test_a_rehearsal_trains_and_plays_nothing(algorithm: str) -> None:
    task, memory = task_of(algorithm).rehearsal(), Memory()
    (result,) = run(task, memory, work(0, units=task.quantum))
    assert result.cost.eval_units == 0
    assert result.cost.updates > 0
    assert len(memory.files[0]) > 1000  # the dry run looks at its size


def test_judging_again_trains_nothing() -> None:
    task, memory = task_of("ppo", fitness="training"), Memory()
    run(task, memory, work(0, units=320))
    (again,) = run(task, memory, work(1, parent=0, units=0, episodes=5), ages=(320,))
    assert (again.cost.train_units, again.cost.updates, len(again.returns), again.lineage_units) == (0, 0, 5, 320)
    assert list(memory.files) == [0]


@pytest.mark.parametrize("algorithm", ["ppo", "dqn", "td3"])
def test_one_that_diverges_fails_alone(algorithm: str) -> None:
    task, memory, poison = task_of(algorithm), Memory(), 1e30
    fine, failed, too = run(
        task, memory, work(0), work(1, member=1, generation=0, hypers={"learning_rate": poison}), work(2, member=2, generation=0)
    )
    assert failed.failure == "diverged: a loss or a weight is not finite"
    assert failed.fitness is None
    assert (failed.returns, failed.cost.train_units) == ((), FRAMES)
    assert (fine.failure, too.failure) == (None, None)
    assert sorted(memory.files) == [0, 2]


def test_an_exception_is_a_failure_in_one_line_with_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Any, *args: Any) -> None:
        raise OSError("no\nroom")

    monkeypatch.setattr(members.Means, "record", broken)
    (failed,) = run(task_of("a2c"), Memory(), work(0))
    assert failed.failure is not None
    assert failed.failure.startswith("OSError: no room (test_stable_baselines.py, line ")
    assert failed.cost.train_units == FRAMES  # charged in full, so that no method can retry for ever


def test_hyperparameters_that_sb3_does_not_take_together_fail_a_member() -> None:
    (failed,) = run(task_of("ppo"), Memory(), work(0, hypers={"batch_size": 1}))
    assert failed.failure is not None
    assert failed.failure.startswith("AssertionError: `batch_size` must be greater than 1")
    assert failed.cost.train_units == FRAMES


def test_checkpoints_of_another_agent_are_refused() -> None:
    memory = Memory()
    run(task_of("a2c"), memory, work(0))
    with pytest.raises(UserError, match="of another agent than sb3:ppo"):
        run(task_of("ppo"), memory, work(1, parent=0))
    with pytest.raises(UserError, match="does not fit this agent"):
        run(task_of("a2c", agent_options={"net_arch": "16"}), memory, work(1, parent=0))


def test_the_test_the_baseline_and_the_winner() -> None:
    task, memory = task_of("ppo"), Memory()
    run(task, memory, work(0, hypers={"gamma": 0.5, "learning_rate": 1e-3}))
    whole = task.test(FinalTestJob(proposal=0, episodes=range(4), root_seed=3, checkpoints=memory))
    share = task.test(FinalTestJob(proposal=0, episodes=range(2, 4), root_seed=3, checkpoints=memory))
    assert share.returns == whole.returns[2:]
    assert whole.cost.eval_units == sum(whole.returns)
    floor = task.baseline(3, 4)
    assert (floor.proposal, len(floor.returns)) == (None, 4)
    assert floor == replace(task.baseline(3, 4), cost=floor.cost)
    winner = task.winner(0, memory)
    assert winner.model.gamma == 0.5
    env = gymnasium.make("CartPole-v1")
    observation, _ = env.reset(seed=seeds.environment_seed(3, split="test"))
    total, ended = 0.0, False
    while not ended:
        observation, reward, terminated, truncated, _ = env.step(winner.act(observation, deterministic=True))
        total, ended = total + float(reward), terminated or truncated
    assert total == whole.returns[0]
    members.environments_of(winner.model).close()


def test_atari_is_stepped_as_our_own_agents_step_it() -> None:
    spec = resolve("Pong")
    one, ours = make_one(spec), make_vector(spec, 1)
    seen, theirs = one.reset(seed=5)[0], ours.reset(seed=5)[0]
    for step in range(40):
        assert np.array_equal(seen, theirs[0])
        seen, reward, *_ = one.step(np.int64(step % one.action_space.n))
        theirs, rewards, *_ = ours.step(np.array([step % one.action_space.n]))
        assert reward == rewards[0]
    one.close()
    ours.close()
    whole = TYPE.complete({"env": "Pong", "budget": 4000}, None)
    assert (whole["agent_options"]["policy"], whole["agent_options"]["clip_rewards"], whole["frame_skip"]) == (
        "CnnPolicy",
        True,
        4,
    )


def test_one_copy_begins_anew_after_an_end_and_with_a_seed() -> None:
    env = make_one(resolve("Pong"))
    for _ in range(2):
        first = env.reset(seed=7)[0]
        after = env.step(0)[0]
        assert env.observation_space.contains(first)
        assert not np.array_equal(first, after)
    env.close()


def test_settings_are_whole_and_complete_again() -> None:
    said = {
        "env": "cartpole",
        "search": {"lr": "log:1e-4:1e-2", "n_steps": "64", "vf_coef": 0.25},
        "agent_options": {"hidden": "8,8"},
    }
    whole = TYPE.complete(said, None)
    assert (whole["env"], whole["agent"], whole["hypers"]["vf_coef"]) == ("CartPole-v1", "sb3:ppo", 0.25)
    assert whole["agent_options"]["n_steps"] == 64
    assert whole["agent_options"]["net_arch"] == [8, 8]
    assert whole["search"]["learning_rate"] == "log:1e-4:1e-2"
    assert set(whole["search"]) <= set(whole["hypers"]) <= set(arguments.searchable("ppo"))
    assert TYPE.complete({}, whole) == whole


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_dry_run_words_and_plain_options(algorithm: str) -> None:
    config = config_of(algorithm)
    assert RunConfig.from_json(config.to_json()) == config
    assert TYPE.words(config.task_options).units == "environment frames"
    assert TYPE.title(config.task_options) == f"sb3:{algorithm} on {ENVS[algorithm]}"
    assert "/" not in TYPE.folder({**config.task_options, "env": "module:ALE/Pong-v5"})
    assert TYPE.evaluation(config.task_options).startswith(
        "the mean return of 2 evaluation episodes, played to the end with the likeliest"
    )
    assert "costs no frames. Where none ended" in TYPE.evaluation({**config.task_options, "fitness": "training"})
    lines = dict(TYPE.describe(config, TYPE.make(config, Machine())))
    assert ("replay buffer" in lines) is (algorithm in ("dqn", "sac", "td3"))
    assert config.space.dimensions.keys() <= config.hypers.keys()


def test_an_entropy_coefficient_that_is_learnt_can_be_searched_instead() -> None:
    assert TYPE.complete({"env": "Pendulum-v1", "agent": "sb3:sac"}, None)["hypers"]["ent_coef"] == "auto"
    whole = TYPE.complete({"env": "Pendulum-v1", "agent": "sb3:sac", "search": {"ent_coef": "log:0.01:1"}}, None)
    assert whole["hypers"]["ent_coef"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"search": {"n_steps": "int:8:64"}}, "search cannot vary n_steps, which sets the least number of frames"),
        ({"agent": "sb3:dqn", "search": {"buffer_size": "int:8:64"}}, "sets the size of the replay buffer"),
        ({"search": {"normalize_advantage": "int:0:1"}}, "cannot vary normalize_advantage, which is not a number"),
        ({"search": {"batch_size": "log:8:65.5"}}, "must be a whole number, but is 65.5; write batch_size=int:LOW:HIGH"),
        ({"search": {"gamma": "linear:0.9:1.1"}}, "must be 0 or more and at most 1, but is 1.1"),
        ({"search": {"clip_range": "linear:0:0.2"}}, "must be above 0, but is 0"),
        ({"search": {"gama": "linear:0.9:1"}}, "did you mean 'gamma'"),
        ({"search": {"gamma": "choice:0.9:high"}}, "must be a number in a range"),
        ({"search": {"sde_sample_freq": "int:1:8"}}, "SB3 reads it only with use_sde=True"),
        ({"agent_options": {"net_arch": "wide"}}, "agent_options cannot be used: net_arch|invalid literal"),
        ({"agent_options": {"n_envs": 0}}, "n_envs must be 1 or more"),
        ({"agent": "sb3:pppo"}, "did you mean 'sb3:ppo'"),
        (
            {"agent": "sb3:sac"},
            "CartPole-v1 has Discrete actions, which sb3:sac does not take: use sb3:ppo or sb3:a2c or sb3:dqn",
        ),
        ({"env": "Pendulum-v1", "agent": "sb3:dqn"}, "Pendulum-v1 has Box actions"),
        ({"env": "CartPoll"}, "CartPole-v1"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(said: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        TYPE.complete({"env": "CartPole-v1", **said}, None)
    assert "\n" not in str(raised.value)
    assert "--" not in str(raised.value)
