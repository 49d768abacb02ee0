"""Settings into a configuration: whose they are, what is unknown, and the same from keywords, JSON, TOML and flags."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rl_pbt.cli.arguments import build_parser, settings_of
from rl_pbt.cli.toml import toml_of
from rl_pbt.config import RunConfig
from rl_pbt.errors import BadSetting, UserError
from rl_pbt.making import configure, make_method, make_task
from rl_pbt.options import fields_of
from rl_pbt.search import METHODS
from rl_pbt.store.files import read_toml
from rl_pbt.tasks.registry import task_type

OWN = {"task": "numpy.linalg:LinAlgError", "search": {"lr": "log:1e-4:1e-1", "mode": "fast"}, "budget": 1000}
SETTINGS: list[dict[str, Any]] = [
    {"env": "CartPole-v1"},
    {"env": "cartpole", "agent": "impala", "frames": 50_000, "agent_options": {"core": "lstm", "hidden": [32]}, "seeds": [0, 1]},
    {"env": "Pendulum-v1", "search": {"lr": "log:1e-5:1e-2", "gamma": 0.9}, "methods": ["pbt-async", "random"], "any_age": True},
    {"env": "CartPole-v1", "env_options": {"sutton_barto_reward": True, "max_episode_steps": 50, "frame_stack": 2}},
    {"env": "MsPacman", "env_options": {"stack_num": 2, "full_action_space": True}},
    {"env": "Pendulum-v1", "agent": "sb3:ppo", "env_options": {"g": 5.0}},
    {"task": "quadratic", "population": 4, "factors": [1.5, 0.5], "fraction": 0.25, "methods": ["pbt"]},
    {"task": "quadratic", "methods": ["pbt", "random", "asha"], "primary": "random:asha", "against": "random"},
    OWN,
    {"task": "command", "program": ["sh", "train.sh"], "search": {"lr": "log:1e-4:1e-1"}, "budget": 10, "interval": 2},
]


def parsed(*words: str) -> RunConfig:
    args = build_parser("bench").parse_args(words)
    return configure(settings_of(args))


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_a_configuration_comes_back_from_json_and_from_toml(settings: dict[str, Any], tmp_path: Path) -> None:
    config = configure(settings)
    assert RunConfig.from_json(json.loads(json.dumps(config.to_json(), sort_keys=True))).difference(config) == []
    path = tmp_path / "run.toml"
    path.write_text(toml_of(config))
    assert configure(read_toml(path)[1]).difference(config) == []


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_a_resumed_configuration_is_the_recorded_one(settings: dict[str, Any]) -> None:
    config = configure(settings)
    recorded = RunConfig.from_json(json.loads(json.dumps(config.to_json(), sort_keys=True)))
    assert configure({}, recorded).difference(config) == []
    assert configure(settings, recorded).difference(config) == []
    assert configure({"population": 6}, recorded).difference(config) == [f"population: 6, not {config.population}"]


def test_flags_keywords_and_a_file_with_flags_over_it_say_the_same(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(
        """
        env = "CartPole-v1"
        frames = 9000
        seeds = [3, 4]
        fraction = 0.3
        [search]
        lr = "log:1e-4:1e-3"
        [agent_options]
        hidden = [8, 8]
        """
    )
    keywords = configure(
        {
            "env": "CartPole-v1",
            "frames": 10_000,
            "seeds": [3, 4],
            "fraction": 0.3,
            "search": {"lr": "log:1e-4:1e-3"},
            "agent_options": {"hidden": (8, 8)},
        }
    )
    words = ["--env", "CartPole-v1", "--frames", "10k", "--seeds", "3", "4", "--fraction", "0.3", "--search", "lr=log:1e-4:1e-3"]
    assert parsed(*words, "--agent-options", "hidden=8,8").difference(keywords) == []
    assert parsed("--config", str(path), "--budget", "10K").difference(keywords) == []
    assert parsed("--config", str(path), "--seeds", "3,4", "--frames", "0.01M").difference(keywords) == []


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"env": "CartPole-v1", "poplation": 3}, "did you mean 'population'"),
        ({"env": "CartPole-v1", "population": "8"}, "population must be a whole number"),
        ({"env": "CartPole-v1", "fitness": "trainning"}, "did you mean 'training'"),
        ({"env": "CartPole-v1", "search": {"lr": True}}, "search cannot set learning_rate to True"),
        ({"env": "CartPole-v1", "methods": "pbt"}, "methods must be a list"),
        ({"env": "CartPole-v1", "methods": []}, "methods names no method"),
        ({"env": "CartPole-v1", "any_age": True}, "any_age is an option of pbt-async"),
        ({"env": "CartPole-v1", "task_options": {}}, "task_options is not a setting"),
        ({"env": "CartPole-v1", "eval_episodes": 0}, "eval_episodes must be 1 or more"),
        ({"task": "quadratic", "env": "CartPole-v1"}, "env is not a setting of the task quadratic"),
        ({**OWN, "budget": None}, "budget"),
        ({"task": OWN["task"], "budget": 10}, "search is missing"),
        ({"task": OWN["task"], "search": {"lr": "log:1e-4:1e-1"}}, "budget is missing"),
        ({**OWN, "search": {"lr": [1, 2]}}, "search"),
        ({"env": "CartPole-v1", "frame_skip": 2}, "frame_skip is a record of what CartPole-v1 is"),
        ({"env": "Pendulum-v1", "env_options": 5}, "env_options must map names to values"),
        ({"env": "Pendulum-v1", "env_options": {"make_kwargs": 5}}, "make_kwargs must be names with values"),
        ({"env": "Pendulum-v1", "agent": "sb3:ppo", "env_options": [1]}, "env_options must map names to values"),
        ({"env": "Pendulum-v1", "env_options": {"gg": 5.0}}, "env_options has no 'gg' for Pendulum-v1: did you mean 'g'"),
        ({"env": "CartPole-v1", "env_options": {"vectorization_mode": "sync"}}, "env_options cannot set vectorization_mode"),
        ({"env": "CartPole-v1", "env_options": {"frame_stack": 2}, "carry_episodes": True}, "carry_episodes"),
        ({"env": "CartPole-v1", "agent": "sb3:ppo", "env_options": {"frame_stack": 2}}, "cannot set frame_stack"),
        ({}, "say which environment"),
    ],
)
def test_what_cannot_be_is_one_line(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError) as error:
        configure(settings).space  # noqa: B018
    assert says in str(error.value) and "\n" not in str(error.value) and "--" not in str(error.value)


def test_options_of_methods_are_recorded_for_those_that_run_alone() -> None:
    assert configure({"task": "quadratic", "methods": ["random"]}).method_options == {}
    options = configure({"task": "quadratic", "methods": ["pbt-async", "pbt-ttest"]}).method_options
    assert options.keys() == {"fraction", "copy_margin", "factors", "resample_probability", "burn_in", "any_age"}


@pytest.mark.parametrize("method", [name for name, entry in METHODS.items() if not entry.replays])
def test_every_method_is_made_from_a_configuration(method: str) -> None:
    try:
        config = configure(
            {
                "task": "quadratic",
                "methods": [method],
                "population": 8,
                **({"annealed": "h0"} if "annealed" in fields_of(METHODS[method].options) else {}),
            }
        )
        made = make_method(method, config, 0, make_task(config, 1))
    except UserError as error:
        if "not installed" in str(error):
            pytest.skip(str(error))
        raise
    assert made.ask()


def test_a_task_is_made_by_its_name() -> None:
    assert make_task(configure({"task": "quadratic"}), 1).quantum == 1
    with pytest.raises(BadSetting, match="device"):
        make_task(configure({"env": "CartPole-v1", "device": "cuda:99"}), 1)


@pytest.mark.parametrize("agent", ["a2c", "ppo"])
def test_a_run_of_a_version_with_fewer_options_is_the_same_when_it_is_resumed(agent: str) -> None:
    whole = configure({"env": "CartPole-v1", "agent": agent})
    options = whole.task_options["agent_options"]
    assert isinstance(options, dict)
    for missing in options:
        fewer = {name: value for name, value in options.items() if name != missing}
        recorded = replace(whole, task_options={**whole.task_options, "agent_options": fewer})
        assert configure({}, recorded) == recorded
        assert task_type("rl").describe(recorded, make_task(recorded, 1)), "a dry run of it, too"
        named = configure({"agent_options": {missing: options[missing]}}, recorded)
        assert named.task_options["agent_options"] == options


def test_words_set_an_environment_as_values_do() -> None:
    said = parsed("--env", "Pendulum-v1", "--env-options", "g=5.0", "max_episode_steps=30", "frame_stack=2")
    options = {"g": 5.0, "max_episode_steps": 30, "frame_stack": 2}
    assert said.difference(configure({"env": "Pendulum-v1", "env_options": options})) == []
    task = make_task(said, workers=1)
    assert task.env.max_episode_frames == 30 and task.env.options["make_kwargs"]["g"] == 5.0


def test_a_run_is_resumed_with_the_environment_that_it_has() -> None:
    recorded = configure({"env": "Pendulum-v1", "env_options": {"g": 5.0}})
    assert configure({"env": "pendulum"}, recorded).difference(recorded) == []
    assert configure({"env": "Pendulum-v1", "env_options": {"g": 5.0}, "agent": "a2c"}, recorded).difference(recorded) == []


OTHERS = [
    ({"backend": "envpool"}, r"^backend cannot be envpool, since in the run that is resumed it is gymnasium: start a new run"),
    ({"backend": "envpool", "env": "Pendulum-v1"}, "^backend cannot be envpool"),
    ({"env": "FrozenLake-v1"}, r"^env cannot be FrozenLake-v1, since in the run that is resumed it is Acrobot-v1"),
    ({"env": "Pendulum-v1"}, "^env cannot be"),
    ({"env_options": {"frame_stack": 2}}, r"^env_options cannot be .*frame_stack=2, since in the run that is resumed it is "),
    ({"agent": "ppo"}, r"^agent cannot be ppo, since in the run that is resumed it is a2c"),
    ({"agent": "sb3:ppo"}, "^agent cannot be sb3:ppo"),
]


@pytest.mark.parametrize("options", [{}, {"max_episode_steps": 50}])
@pytest.mark.parametrize(("other", "says"), OTHERS, ids=str)
def test_what_cannot_change_in_a_resumed_run_is_named_and_not_what_follows_from_it(
    other: dict[str, Any], says: str, options: dict[str, Any]
) -> None:
    recorded = configure({"env": "Acrobot-v1", "env_options": options})
    with pytest.raises(BadSetting, match=says) as error:
        configure(other, recorded)
    assert "\n" not in str(error.value)


def test_neither_can_it_with_agents_of_stable_baselines() -> None:
    recorded = configure({"env": "CartPole-v1", "agent": "sb3:ppo"})
    assert configure({"env": "cartpole", "agent": "sb3:PPO"}, recorded).difference(recorded) == []
    for other in ({"agent": "sb3:dqn"}, {"agent": "a2c"}, {"env": "Pendulum-v1"}, {"env_options": {"max_episode_steps": 9}}):
        with pytest.raises(BadSetting, match=f"^{next(iter(other))} cannot be .*, since in the run that is resumed it is"):
            configure(other, recorded)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"env": "CartPole-v1", "agent_options": {"anneal": "linear"}}, "the learning rate is annealed"),
        ({"env": "CartPole-v1"}, None),
        ({"env": "CartPole-v1", "agent": "sb3:dqn"}, "its exploration falls"),
        ({"env": "CartPole-v1", "agent": "sb3:ppo"}, None),
        ({"task": "quadratic"}, None),
    ],
)
def test_what_depends_on_the_whole_budget_is_known(settings: dict[str, object], reason: str | None) -> None:
    config = configure(settings)
    assert task_type(config.task).planned_for_all(config.task_options) == reason


@pytest.mark.parametrize("agent", ["a2c", "ppo"])
def test_unrolls_are_searched_or_held(agent: str) -> None:
    given = {"env": "CartPole-v1", "agent": agent}
    plain = configure(given)
    assert "unroll_length" not in plain.hypers and "unroll_length" not in plain.search
    searched = configure({**given, "search": {"unroll_length": "int:5:40"}})
    options = searched.task_options["agent_options"]
    assert searched.hypers["unroll_length"] == options["unroll_length"] == plain.task_options["agent_options"]["unroll_length"]  # type: ignore[index]
    assert configure({}, searched).difference(searched) == []
    held = configure({**given, "search": {"unroll_length": 7}})
    assert held.difference(configure({**given, "agent_options": {"unroll_length": 7}})) == []
    for wrong in ("log:1:20", "int:0:3", 0, 2.5):
        with pytest.raises(UserError, match="unroll_length"):
            configure({**given, "search": {"unroll_length": wrong}})


def test_a_whole_number_is_searched_among_whole_numbers() -> None:
    given = {"env": "CartPole-v1", "agent": "ppo"}
    for ranged in ("int:1:20", "choice:4:10"):
        config = configure({**given, "search": {"n_epochs": ranged}})
        drawn = [config.space.sample(np.random.default_rng(seed))["num_epochs"] for seed in range(20)]
        assert all(value == int(value) for value in drawn) and len(set(drawn)) > 1
    for wrong in ("log:1:20", "linear:1:20", "int:0:3", "choice:1:2.5", 2.5, float("inf"), float("nan")):
        with pytest.raises(UserError, match="num_epochs"):
            configure({**given, "search": {"num_epochs": wrong}})
    with pytest.raises(UserError, match="'num_epochs', a hyperparameter of ppo, which this agent does not have"):
        configure({"env": "CartPole-v1", "search": {"num_epochs": "int:1:3"}})


def test_a_rate_that_the_agent_anneals_is_not_annealed_by_a_method_too() -> None:
    annealing = {"env": "CartPole-v1", "agent_options": {"anneal": "linear"}}
    with pytest.raises(UserError, match="methods cannot have random-annealed of a training that anneals its learning_rate"):
        configure({**annealing, "methods": ["pbt", "random-annealed"]})
    other = configure({**annealing, "methods": ["pbt", "random-annealed"], "annealed": "entropy_cost"})
    (told,) = task_type("rl").cautions(other.task_options, [], [])
    assert "annealed their learning rate" in told
    assert task_type("rl").cautions(configure({"env": "CartPole-v1"}).task_options, [], []) == ()
