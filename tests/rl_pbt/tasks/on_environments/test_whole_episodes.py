"""Training sees episodes to their end where it can, and says so where it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import rl_pbt
from rl_pbt import report
from rl_pbt.cli.toml import settings_of_run
from rl_pbt.config import RunConfig
from rl_pbt.envs import EnvSpec
from rl_pbt.errors import UserError
from rl_pbt.making import configure, make_task
from rl_pbt.records import TRAINING_SCORE, Cost, FinalTest, Proposal, Result, Trial
from rl_pbt.store.checkpoints import FolderCheckpoints
from rl_pbt.tasks.base import FinalTestJob, IntervalJob
from rl_pbt.tasks.on_environments.whole_episodes import fitted, steps_seen, unseen_from_step
from rl_pbt.tasks.on_environments.words import cut_short, unseen_tails
from rl_pbt.tasks.registry import task_type

LENGTH, CHANGES_AT = 2_000, 1_500
BEST, AT_RANDOM, WITHOUT_THE_END = 650.0, 325.0, 150.0


class TwoPhases(gymnasium.Env[np.ndarray, int]):
    """Action 0 pays a tenth for most of an episode, and action 1 pays ten times as much at its end."""

    observation_space = gymnasium.spaces.Box(0, 1, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)  # type: ignore[assignment]

    def _show(self) -> np.ndarray:
        return np.eye(2, dtype=np.float32)[int(self.steps >= CHANGES_AT)]

    def reset(self, *, seed: int | None = None, options: object = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        return self._show(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        reward = float(action == 1) if self.steps >= CHANGES_AT else 0.1 * (action == 0)
        self.steps += 1
        return self._show(), reward, False, self.steps >= LENGTH, {}


@pytest.fixture
def two_phases() -> Iterator[str]:
    gymnasium.register("test/TwoPhases-v0", entry_point=TwoPhases)
    yield "test/TwoPhases-v0"
    del gymnasium.registry["test/TwoPhases-v0"]


def trained(config: RunConfig, units: int, folder: Path) -> float:
    """The mean test return of one member that trains for so many frames, in intervals of the configuration."""
    task, checkpoints = make_task(config, 1).rehearsal(), FolderCheckpoints(folder)
    for number in range(units // config.interval):
        proposal = Proposal(
            id=number,
            member=0,
            generation=number,
            hypers={name: config.hypers[name] for name in config.search},
            parent=number - 1 if number else None,
            units=config.interval,
        )
        age = number * config.interval
        task.interval(IntervalJob(proposals=(proposal,), lineage_units=(age,), root_seed=0, checkpoints=checkpoints))
    found = task.test(FinalTestJob(proposal=number, episodes=(0, 1), root_seed=0, checkpoints=checkpoints))
    return float(np.mean(found.returns))


def test_at_the_default_interval_the_end_of_a_long_episode_is_learnt(two_phases: str, tmp_path: Path) -> None:
    config = configure({"env": two_phases, "frames": 80_000})
    assert config.interval == 20_000
    assert trained(config, 80_000, tmp_path) > 0.9 * BEST
    sixteen = configure({"env": two_phases, "agent_options": {"envs_per_member": 16, "unroll_length": 8}})
    assert trained(sixteen, 40_000, tmp_path / "sixteen") < AT_RANDOM, "the tail is not learnt where no copy comes to it"


def spec(longest: int | None, family: str = "gymnasium", skip: int = 1) -> EnvSpec:
    return EnvSpec(id="Any-v0", family=family, max_episode_frames=longest, frame_skip=skip)


OPTIONS = {"envs_per_member": 16, "unroll_length": 8, "torso": "auto"}


@pytest.mark.parametrize(
    ("longest", "skip", "interval", "copies", "unroll"),
    [
        (500, 1, 20_000, 16, 8),  # 1,250 steps are enough for twice 500
        (800, 1, 20_000, 8, 16),
        (2_500, 1, 20_000, 4, 32),
        (2_501, 1, 20_000, 4, 32),  # 5,000 steps are not twice as many, but see the end
        (5_000, 1, 20_000, 4, 32),
        (50_000, 1, 20_000, 4, 32),  # four copies see more than 16, though not the end
        (None, 1, 20_000, 4, 32),
        (None, 1, 80_000, 16, 8),
        (4_000, 4, 80_000, 8, 16),
        (None, 1, 1_000, 4, 32),
    ],
)
def test_copies_are_fewer_where_an_interval_would_not_hold_an_episode(
    longest: int | None, skip: int, interval: int, copies: int, unroll: int
) -> None:
    found = fitted(spec(longest, skip=skip), OPTIONS, interval)
    assert found == {**OPTIONS, "envs_per_member": copies, "unroll_length": unroll}


@pytest.mark.parametrize("copies", [16, 12, 6, 5, 4, 2])
@pytest.mark.parametrize("interval", [1_000, 10_000, 20_000, 40_000])
def test_no_number_of_copies_that_is_allowed_would_see_more_of_an_episode(copies: int, interval: int) -> None:
    for longest in [None, *range(50, 10_000, 50)]:
        found = fitted(spec(longest), {**OPTIONS, "envs_per_member": copies}, interval)
        assert found["envs_per_member"] * found["unroll_length"] == copies * OPTIONS["unroll_length"]  # type: ignore[operator]
        seen = steps_seen(spec(longest), int(str(found["envs_per_member"])), interval)
        allowed = [copies, *(copies >> halved for halved in (1, 2) if copies % 2**halved == 0 and copies >> halved >= 4)]
        assert seen >= min(2 * (longest or 2_500), max(steps_seen(spec(longest), fewer, interval) for fewer in allowed))


@pytest.mark.parametrize("limit", [2_000, 2_500, 2_501, 5_000])
def test_a_registered_limit_that_is_higher_than_needed_hides_no_end(limit: int) -> None:
    gymnasium.register("test/Limited-v0", entry_point=TwoPhases, max_episode_steps=limit)
    try:
        options = configure({"env": "test/Limited-v0", "frames": 80_000}).task_options
    finally:
        del gymnasium.registry["test/Limited-v0"]
    assert options["agent_options"]["envs_per_member"] == 4 and options["unseen_from_step"] is None  # type: ignore[index, call-overload]


def test_an_atari_game_whose_episodes_begin_anew_has_four_copies() -> None:
    options = configure({"env": "Pong"}).task_options
    assert options["agent_options"]["envs_per_member"] == 4 and options["unseen_from_step"] == 2_500  # type: ignore[index, call-overload]


@pytest.mark.parametrize("place", ["agent_options", "search", "hypers"])
def test_an_unroll_length_that_is_chosen_keeps_its_copies(place: str) -> None:
    options = configure({"env": "Pong", place: {"unroll_length": 10}}).task_options["agent_options"]
    assert options["envs_per_member"] == 8  # type: ignore[index, call-overload]


def test_settings_of_another_run_leave_no_stale_record_behind() -> None:
    carried = configure({**settings_of_run(configure({"env": "Pong"})), "carry_episodes": True})
    assert carried.task_options["unseen_from_step"] is None


@pytest.mark.parametrize(("chosen", "cut"), [(400, 400), (500, None), (1_000, None)])
def test_episodes_are_cut_only_before_their_own_limit(chosen: int, cut: int | None) -> None:
    assert configure({"env": "CartPole-v1", "max_episode_frames": chosen}).task_options["cut_after_frames"] == cut


def test_what_is_not_seen_is_where_the_interval_ends() -> None:
    assert steps_seen(spec(18_000, skip=4), 8, 40_000) == 1_250
    assert unseen_from_step(spec(18_000, skip=4), 8, 40_000) == 1_250
    assert unseen_from_step(spec(5_000, skip=4), 8, 40_000) is None
    assert unseen_from_step(spec(None), 16, 1_000) is None
    assert fitted(spec(None, family="minigrid"), OPTIONS, 1_000) == OPTIONS, "its episodes have a limit that is not registered"


@pytest.mark.parametrize(("agent", "copies"), [("a2c", "envs_per_member"), ("ppo", "envs_per_member"), ("sb3:ppo", "n_envs")])
def test_a_run_records_what_its_training_does_not_see(agent: str, copies: str) -> None:
    seen = configure({"env": "CartPole-v1", "agent": agent})
    assert seen.task_options["unseen_from_step"] is None and not task_type(seen.task).cautions(seen.task_options, [], [])
    fresh = {} if agent.startswith("sb3") else {"carry_episodes": False}
    short = configure({"env": "CartPole-v1", "agent": agent, "interval": 800, "agent_options": {copies: 8}, **fresh})
    assert short.task_options["unseen_from_step"] == 100
    (said,) = task_type(short.task).cautions(short.task_options, [], [])
    assert "saw nothing of an episode after its step 100" in said
    assert configure({}, short) == short
    lines = dict(task_type(short.task).describe(short, make_task(short, 1)))
    said = "the first 100 steps of an episode, of up to 500, since every interval begins new ones"
    carried = "" if agent.startswith("sb3") else "; with carry_episodes, episodes continue in the next interval"
    assert lines["trains on"] == said + carried
    assert "trains on" not in dict(task_type(seen.task).describe(seen, make_task(seen, 1)))


def test_a_report_says_that_no_episode_ended_where_nobody_knew_how_long_they_are(
    two_phases: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And that tests were cut; and no method overspends, though none can learn from training what an evaluation costs."""
    monkeypatch.setattr("rl_pbt.report.write_report", report.summarise)
    sizes: dict[str, Any] = {"population": 2, "frames": 3_000, "interval": 500, "eval_episodes": 1, "test_episodes": 2}
    run = rl_pbt.bench(
        env=two_phases, methods=["pbt", "random"], workers=1, quiet=True, anytime_tests=0, out=tmp_path / "run", **sizes
    )
    assert run.config.task_options["unseen_from_step"] is None and run.config.task_options["cut_after_frames"] == 500
    (unseen,) = (caveat for caveat in run.summary.caveats if "no training episode ended" in caveat)
    trained = [row["train_units"] for row in run.rows()]
    assert unseen.startswith(f"In {len(trained)} of {len(trained)} intervals") and f"after step {max(trained) // 4}, " in unseen
    (cut,) = (caveat for caveat in run.summary.caveats if "cut at frame 500" in caveat)
    assert "4 of 4 test episodes ended at a limit" in cut and "evaluation episodes" in cut
    judged = task_type(run.config.task).evaluation(run.config.task_options)
    assert "1 evaluation episode, played to the end or to frame 500; all members" in judged
    for method in run.summary.methods.values():
        assert method.budget - 500 <= method.cost.units <= method.budget


@pytest.mark.parametrize("agent", ["a2c", "sb3:a2c"])
def test_a_run_records_when_its_evaluations_are_cut(agent: str, two_phases: str) -> None:
    for given in ({}, {"interval": 10_000}, {"max_episode_frames": 300}):
        config = configure({"env": two_phases, "agent": agent, "frames": 80_000, **given})
        assert config.task_options["cut_after_frames"] == given.get("max_episode_frames", config.interval)
        assert configure({}, config) == config
    whole = configure({"env": "CartPole-v1", "agent": agent})
    assert whole.task_options["cut_after_frames"] is None
    assert "played to the end" in (text := task_type(whole.task).evaluation(whole.task_options)) and "to frame" not in text


def trial(ended: bool, *, units: int = 400, capped: float | None = None, failure: str | None = None) -> Trial:
    metrics = {TRAINING_SCORE: 1.0} if ended else {}
    judged = {} if capped is None else {"eval/capped_episodes": capped}
    asked = Proposal(id=0, member=0, generation=0, hypers={}, parent=None if units else 0, units=units)
    result = Result(
        proposal=0,
        fitness=None if failure else 1.0,
        failure=failure,
        returns=() if failure else (1.0, 1.0),
        cost=Cost(train_units=units),
        metrics=metrics | judged,
    )
    return Trial(proposal=asked, result=result)


def test_only_intervals_in_which_nothing_ended_are_told() -> None:
    options = {"unseen_from_step": None, "frame_skip": 2}
    again, failed = trial(False, units=0), trial(False, failure="diverged")
    assert unseen_tails(options, [trial(True), again, failed], 4) == () == unseen_tails(options, [trial(False)], None)
    (said,) = unseen_tails(options, [trial(True), trial(False, units=320), trial(False), again, failed], 4)
    assert said.startswith("In 2 of 3 intervals no training episode ended") and "after step 50," in said


def test_only_episodes_that_a_limit_of_ours_may_have_cut_are_told() -> None:
    tests = [FinalTest(proposal=0, returns=(1.0, 2.0, 3.0), cost=Cost(), capped=capped) for capped in (0, 2)]
    trials = [trial(True, capped=1.0), trial(True, capped=0.0), trial(True)]
    assert cut_short({"cut_after_frames": None}, trials, tests) == () == cut_short({"cut_after_frames": 9}, trials[1:], tests[:1])
    (said,) = cut_short({"cut_after_frames": 9_000}, trials, tests)
    assert "cut at frame 9,000: 1 of 4 evaluation episodes and 2 of 6 test episodes ended at a limit" in said


def test_what_a_user_chooses_stays(two_phases: str) -> None:
    for name, value in (("envs_per_member", 16), ("unroll_length", 5)):
        chosen = configure({"env": two_phases, "agent_options": {name: value}}).task_options["agent_options"]
        assert isinstance(chosen, dict) and chosen[name] == value
    assert chosen["envs_per_member"] == 16


def acrobot(agent: str = "a2c", **options: Any) -> RunConfig:
    sizes = {"envs_per_member": 4, "unroll_length": 5, "hidden": [8], **options}
    return configure({"env": "Acrobot-v1", "agent": agent, "frames": 8_000, "interval": 400, "agent_options": sizes})


def proposal(id_: int, parent: int | None, member: int = 0, **rest: Any) -> Proposal:
    hypers = {"learning_rate": 1e-3, "entropy_cost": 0.01, "discount": 0.97, **rest.pop("hypers", {})}
    return Proposal(id=id_, member=member, generation=id_, hypers=hypers, parent=parent, units=400, **rest)


def interval(config: RunConfig, checkpoints: FolderCheckpoints, *proposals: Proposal) -> list[Result]:
    ages = tuple(0 if p.parent is None else 400 for p in proposals)
    return make_task(config, 1).interval(
        IntervalJob(proposals=proposals, lineage_units=ages, root_seed=0, checkpoints=checkpoints)
    )


@pytest.mark.parametrize("options", [{}, {"core": "lstm"}, {"normalise_returns": True}], ids=str)
@pytest.mark.parametrize("agent", ["a2c", "ppo"])
def test_episodes_go_on_from_interval_to_interval(agent: str, options: dict[str, Any], tmp_path: Path) -> None:
    """An episode of Acrobot that is not solved has 500 steps: it takes five intervals of 100 steps."""
    config, checkpoints = acrobot(agent, **options), FolderCheckpoints(tmp_path)
    assert config.task_options["carry_episodes"] and config.task_options["unseen_from_step"] is None
    still = {"clip_range": 0.2, "num_epochs": 2} if agent == "ppo" else {}
    lengths = []
    for number in range(6):
        (result,) = interval(config, checkpoints, proposal(number, number - 1 if number else None, hypers=still))
        assert result.failure is None
        lengths.append(result.metrics.get("rollout/ep_len_mean"))
    assert lengths[:4] == [None] * 4 and lengths[4] == 500.0
    state = checkpoints.load(0)
    assert state["unfinished.environments.lengths"].tolist() == [100] * 4 and int(state["unfinished.member"]) == 0
    scaled = config.task_options["agent_options"]["normalise_returns"]  # type: ignore[index, call-overload]
    assert ("unfinished.agent.sums" in state) == scaled


@pytest.mark.parametrize("game", ["Pacman", "MsPacman"])
def test_an_episode_of_atari_is_longer_than_an_interval(game: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Episodes are cut after 40 steps here, and an interval has 25."""
    monkeypatch.setattr("rl_pbt.envs.atari.EPISODE_FRAMES", 160)
    config = configure(
        {
            "env": game,
            "env_options": {"noop_max": 0},
            "carry_episodes": True,
            "frames": 4_000,
            "interval": 400,
            "agent_options": {"envs_per_member": 4, "unroll_length": 5, "autocast": False},
        }
    )
    assert config.task_options["unseen_from_step"] is None
    checkpoints, found = FolderCheckpoints(tmp_path), []
    for number in range(3):
        (result,) = interval(config, checkpoints, proposal(number, number - 1 if number else None))
        found.append((result.metrics.get("rollout/ep_len_mean"), checkpoints.load(number)["unfinished.environments.lengths"][0]))
    assert found == [(None, 25), (40.0, 9), (None, 34)], "the step after an end is none of the next episode's"


def test_a_copy_begins_new_episodes_and_the_donor_goes_on(tmp_path: Path) -> None:
    config, checkpoints = acrobot(), FolderCheckpoints(tmp_path)
    interval(config, checkpoints, proposal(0, None), proposal(1, None, member=1))
    interval(config, checkpoints, proposal(2, 0), proposal(3, 0, member=1, hypers_from=0))
    lengths = [checkpoints.load(number)["unfinished.environments.lengths"].tolist() for number in (2, 3)]
    assert lengths == [[200] * 4, [100] * 4]


def test_an_interval_with_unfinished_episodes_is_a_pure_function(tmp_path: Path) -> None:
    config, checkpoints = acrobot(core="lstm", normalise_returns=True), FolderCheckpoints(tmp_path)
    interval(config, checkpoints, proposal(0, None), proposal(1, None, member=1))
    states = []
    for _ in range(2):
        interval(config, checkpoints, proposal(2, 0), proposal(3, 1, member=1))
        states.append(checkpoints.load(2))
    assert states[0].keys() == states[1].keys()
    assert all(np.array_equal(states[0][name], states[1][name]) for name in states[0])


def test_episodes_are_left_out_where_a_member_is_played_judged_or_does_not_carry(tmp_path: Path) -> None:
    config, checkpoints = acrobot(), FolderCheckpoints(tmp_path)
    interval(config, checkpoints, proposal(0, None))
    (again,) = interval(config, checkpoints, replace(proposal(5, 0), units=0, episodes=2))
    assert again.failure is None and len(again.returns) == 2
    task = make_task(config, 1)
    assert task.winner(0, checkpoints).act(np.zeros(6, np.float32)) in (0, 1, 2)
    assert len(task.test(FinalTestJob(proposal=0, episodes=(0, 1), root_seed=0, checkpoints=checkpoints)).returns) == 2
    fresh = configure({"carry_episodes": False, "env": "Acrobot-v1", "frames": 8_000, "interval": 400})
    interval(fresh, FolderCheckpoints(tmp_path / "fresh"), proposal(0, None))
    assert not [name for name in FolderCheckpoints(tmp_path / "fresh").load(0) if name.startswith("unfinished")]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: state | {"unfinished.environments.states": np.zeros((4, 9))},
        lambda state: state | {"unfinished.environments.lengths": np.zeros(3, np.int64)},
        lambda state: state | {"unfinished.memory": np.zeros((4, 7), np.float32)},
        lambda state: {name: array for name, array in state.items() if name != "unfinished.environments.ended"},
        lambda state: state | {"unfinished.agent.sums": np.zeros(4)},
    ],
)
def test_episodes_of_another_environment_are_one_line(spoil: Any, tmp_path: Path) -> None:
    config, checkpoints = acrobot(), FolderCheckpoints(tmp_path)
    interval(config, checkpoints, proposal(0, None))
    checkpoints.save(0, spoil(dict(checkpoints.load(0))))
    with pytest.raises(UserError, match="a checkpoint is not of these environments"):
        interval(config, checkpoints, proposal(1, 0))


def test_only_what_can_be_left_is_carried() -> None:
    with pytest.raises(UserError, match=r"carry_episodes.*FrozenLake-v1"):
        configure({"env": "FrozenLake-v1", "carry_episodes": True})
    assert not configure({"env": "FrozenLake-v1"}).task_options["carry_episodes"]
    assert configure({"env": "Pacman"}).task_options["carry_episodes"]
    usual = configure({"env": "MsPacman"})
    assert not usual.task_options["carry_episodes"] and usual.task_options["unseen_from_step"] == 2_500
    lines = dict(task_type(usual.task).describe(usual, make_task(usual, 1)))
    assert lines["trains on"].endswith("with carry_episodes, episodes continue in the next interval")
    carried = configure({"env": "MsPacman", "carry_episodes": True})
    assert "trains on" not in dict(task_type(carried.task).describe(carried, make_task(carried, 1)))
    assert not configure({"env": "Pacman", "carry_episodes": False}).task_options["carry_episodes"]
