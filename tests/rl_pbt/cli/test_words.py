"""Words of the command line: what help shows, what may be written how, and that nothing is loaded to refuse what is wrong."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from rl_pbt.cli import ahead, compacting, configuration, exporting, playing, reporting
from rl_pbt.cli.arguments import build_parser, fixed_default, settings_of
from rl_pbt.cli.parser import Parser
from rl_pbt.errors import UserError
from rl_pbt.making import configure
from rl_pbt.options import Group, as_json
from rl_pbt.space import parse_dimension
from rl_pbt.tasks.registry import task_type

PROGRAM = "python -m rl_pbt.bench"
REFERENCE = Path(__file__).parents[3] / "results" / "reference"
FINISHED = REFERENCE / "acrobot-v1"
HEAVY = (
    "torch",
    "scipy",
    "gymnasium",
    "ale_py",
    "matplotlib",
    "tensorboard",
    "pandas",
    "stable_baselines3",
    "optuna",
    "wandb",
    "mlflow",
)
SCRIPT = f"""
import sys
from multiprocessing import forkserver
from rl_pbt.cli.main import main
try:
    main(sys.argv[1:])
finally:
    server = forkserver._forkserver._forkserver_pid
    print([name for name in {HEAVY} if name in sys.modules], "no server" if server is None else "a server")
"""


def settings(*words: str) -> dict[str, object]:
    return settings_of(build_parser(PROGRAM).parse_args(words))


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("--help", 0),
        ("bench --help", 0),
        ("tune --help", 0),
        ("report --help", 0),
        ("play --help", 0),
        ("config --help", 0),
        ("bench --methods help", 0),
        ("bench --version", 0),
        ("bnech --env Pacman", 2),
        ("bench --env Pacman --popluation 4", 2),
        ("bench --env Pacman --population", 2),
        ("bench --env Pacman --population many", 2),
        ("bench --env Pacman --population 1", 2),
        ("bench --env Pacman --frames 10 --interval 20", 2),
        ("bench --env Pacman --methods pbtt", 2),
        ("bench --env Pacman --agent a3c", 2),
        ("bench --env Pacman --agent sb3:pppo", 2),
        ("bench --env Pacman --seeds 1,1", 2),
        ("bench --env Pacman --search lr=lgo:1e-5:1e-2", 2),
        ("bench --env Pacman --search lr=1e-2:1e-5", 2),
        ("bench --env Pacman --executor cluster", 2),
        ("bench --env Pacman --step-size 1", 2),
        ("bench", 2),
        ("tune --task quadratik", 2),
        ("tune --resume nowhere", 2),
        ("report nowhere", 2),
        ("play nowhere", 2),
        ("play nowhere --epsiodes 3", 2),
        ("config nowhere", 2),
        ("bench --env Pacman --device cda", 2),
        ("bench --env Pacman --agent sb3:ppo --device cda", 2),
        (f"play {FINISHED} --method nope", 2),
        (f"play {FINISHED} --seed 99", 2),
        (f"play {FINISHED}", 2),  # its checkpoints are gone
        (f"export {FINISHED} winner.zip", 2),
        (f"export {FINISHED} winner.pt --method nope", 2),
        (f"export {FINISHED} winner.pt --seed 99", 2),
        (f"report {FINISHED} --optuna postgres://x", 2),
        (f"report {FINISHED} --against nope", 2),
        ("compare nowhere", 2),
        (f"compare {FINISHED} nowhere", 2),
        (f"compare {FINISHED} {FINISHED}", 2),
        (f"compare {FINISHED} {REFERENCE / 'cartpole-v1'}", 2),
        (f"compare {FINISHED} --format html", 2),
    ],
)
def test_nothing_large_is_loaded_to_help_or_to_refuse(words: str, status: int, tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, *words.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == status, done.stderr
    assert done.stdout.splitlines()[-1] == "[] no server"
    assert done.stderr.count("\n") == (0 if status == 0 else 1) and "Traceback" not in done.stderr


@pytest.mark.parametrize("env", ["Pacmn", "CartPol-v1"])
@pytest.mark.parametrize("agent", ["a2c", "sb3:ppo"])
def test_an_unknown_environment_is_refused_before_what_trains_is_loaded(env: str, agent: str) -> None:
    assert "did you mean" in refused_with_environments_alone("--env", env, "--agent", agent)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("Pacman --agent-options envs_per_membr=4", "has no 'envs_per_membr'"),
        ("Pacman --agent-options hidden=0", "hidden must be layers"),
        ("Pacman --agent ppo --agent-options batch_size=0", "batch_size must be 1 or more"),
        ("CartPole-v1 --agent-options core=gru", "core must be one of none, lstm"),
        ("CartPole-v1 --search entropi=1e-3:1e-1", "unknown hyperparameter 'entropi'"),
        ("CartPole-v1 --search clip_range=0.1:0.3", "'clip_range', a hyperparameter of ppo"),
        ("CartPole-v1 --agent ppo --search clip_range=2", "clip_range: it must be above 0 and at most 1"),
        ("CartPole-v1 --hypers discount=1.5", "discount: it must be 0 or more and at most 1"),
        ("CartPole-v1 --fraction 0.9", "--fraction must be above 0"),
        ("CartPole-v1 --copy-margin -1", "--copy-margin must be 0 or more"),
        ("CartPole-v1 --resample-probability 2", "--resample-probability must be between 0 and 1"),
        ("CartPole-v1 --factors 0", "--factors must be numbers above 0"),
        ("CartPole-v1 --burn-in -1", "--burn-in must be 0 or more"),
        ("CartPole-v1 --any-age", "--any-age is an option of pbt-async"),
        ("CartPole-v1 --methods grid --grid-points lr=4", "--grid-points make 4"),
        ("CartPole-v1 --methods grid --grid-points epsilon=8", "--grid-points cannot cut epsilon"),
        ("CartPole-v1 --methods mf-pbt --population 6", "--population must be 8, 12"),
        ("CartPole-v1 --methods random-annealed --annealed discount", "--annealed must be a searched hyperparameter"),
        ("CartPole-v1 --methods default-warmup --warmup 2", "--warmup must be above 0"),
        ("CartPole-v1 --methods random-annealed --agent-options anneal=linear", "anneals its learning_rate: it would be lowered"),
        ("CartPole-v1 --methods pbt default-warmup --agent-options anneal=linear --dry-run", "it would be lowered twice"),
        ("CartPole-v1 --eval-episodes 0", "--eval-episodes must be 1 or more"),
        ("Pacman --fraction 0.9", "--fraction must be above 0"),
    ],
)
def test_what_an_agent_does_not_have_is_refused_before_torch_is_loaded(words: str, said: str) -> None:
    assert said in refused_with_environments_alone("--env", *words.split())


def refused_with_environments_alone(*words: str) -> str:
    """The one line that says why."""
    done = subprocess.run([sys.executable, "-c", SCRIPT, "bench", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert done.stdout.splitlines()[-1] == "['gymnasium', 'ale_py'] no server"
    return done.stderr


def test_help_is_in_groups_has_a_short_usage_and_four_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    parser = build_parser(PROGRAM)
    text = parser.format_help()
    assert len(parser.format_usage().splitlines()) == 2
    titles = [line[:-1] for line in text.splitlines() if re.fullmatch(r"[a-zA-Z ]+:", line)]
    assert titles == ["options", *Group, "examples"]
    assert len(text.split("examples:")[1].strip().splitlines()) == 4
    assert not re.search(r"\b([A-Z|=:]+) (\[?\1|\[\1)", text), "a value is named twice"
    assert "--budget, --frames N" in text and "--[no-]any-age" in text and "--seeds N ..." in text


WITH_DEFAULTS = [
    {"env": "CartPole-v1"},
    {"env": "Pendulum-v1", "agent": "ppo"},
    {"env": "Pacman"},
    {"env": "CartPole-v1", "agent": "sb3:a2c"},
    {"task": "quadratic"},
    {"task": "numpy.linalg:LinAlgError", "budget": 20, "search": {"x": "log:1:2"}},
    {"task": "command", "program": ["true"], "budget": 20, "search": {"x": "log:1:2"}},
]


@pytest.mark.parametrize("given", WITH_DEFAULTS, ids=[" ".join(map(str, given.values())) for given in WITH_DEFAULTS])
def test_a_default_that_help_shows_is_that_of_every_run(given: dict[str, object]) -> None:
    shown = {
        action.dest: fixed_default(action.dest)
        for action in build_parser(PROGRAM)._actions
        if "(default: " in (action.help or "") and fixed_default(action.dest) is not None
    }
    assert {"seeds", "methods", "anytime_tests", "fraction", "factors", "resample_probability"} <= set(shown)
    config = configure({**given, "methods": ["pbt", "pbt-async", "default-warmup"] if "env" in given else ["pbt"]})
    chosen = {**config.to_json(), **config.task_options, **config.method_options}
    for name in set(shown) & set(chosen) - {"methods"}:
        assert chosen[name] == as_json(shown[name]), name
    if given.get("task") != "command":
        assert configure(given).methods == shown["methods"]


def test_groups_fit_a_screen() -> None:
    parser = build_parser(PROGRAM)
    for title in Group:
        (group,) = (group for group in parser._action_groups if group.title == title)
        assert 2 <= len(group._group_actions) <= 14, title


@pytest.mark.parametrize(
    "parser",
    [reporting.build_parser("x"), playing.build_parser("x"), configuration.build_parser("x")],
    ids=["report", "play", "config"],
)
def test_every_command_has_examples_and_asks_what_was_meant(parser: Parser) -> None:
    assert "examples:" in parser.format_help() and len(parser.format_usage().splitlines()) == 1
    with pytest.raises(UserError, match=r"unknown argument '--hlep': did you mean '--help'\?"):
        parser.parse_args(["run", "--hlep"])
    with pytest.raises(UserError, match="required: RUN"):
        parser.parse_args([])


@pytest.mark.parametrize(
    ("word", "number"),
    [("200000", 200_000), ("60K", 60_000), ("60k", 60_000), ("1m", 1_000_000), ("1.5M", 1_500_000), ("1e5", 100_000)],
)
def test_numbers_have_units_in_either_case(word: str, number: int) -> None:
    assert settings("--frames", word)["budget"] == number


def test_lists_have_commas_or_not() -> None:
    assert settings("--seeds", "0,1", "2", "--methods", "pbt,random") == {"seeds": [0, 1, 2], "methods": ["pbt", "random"]}
    assert settings("--search", "lr=log:1e-5:1e-2,gamma=0.99", "entropy=0")["search"] == {
        "lr": "log:1e-5:1e-2",
        "gamma": 0.99,
        "entropy": 0,
    }
    assert settings("--methods", "pbt, random") == {"methods": ["pbt", "random"]}
    assert settings("--agent-options", "hidden=64,64,rewards=clip")["agent_options"] == {"hidden": "64,64", "rewards": "clip"}


@pytest.mark.parametrize(
    ("given", "searched"),
    [
        ({"env": "CartPole-v1", "search": {"lr": "1e-5:1e-2"}}, {"learning_rate": "log:1e-5:1e-2"}),
        ({"env": "CartPole-v1", "search": {"gamma": "0.9:0.99"}}, {"discount": "horizon:0.9:0.99"}),
        ({"env": "CartPole-v1", "agent": "ppo", "search": {"clip_coef": "0.1:0.3"}}, {"clip_range": "linear:0.1:0.3"}),
        ({"env": "CartPole-v1", "agent": "sb3:ppo", "search": {"lr": "1e-5:1e-2"}}, {"learning_rate": "log:1e-5:1e-2"}),
        ({"task": "quadratic", "search": {"h0": "0:1"}}, {"h0": "linear:0:1"}),
    ],
)
def test_a_range_without_a_scale_has_that_of_the_default_range(given: dict[str, object], searched: dict[str, str]) -> None:
    found = configure(given).search
    assert {name: found[name] for name in searched} == searched


def test_hyperparameters_have_their_other_names_wherever_they_are_named() -> None:
    grid = configure({"env": "CartPole-v1", "methods": ["grid"], "grid_points": {"lr": 4, "gamma": 2}})
    assert grid.method_options["grid_points"] == {"learning_rate": 4, "discount": 2}
    annealed = configure({"env": "CartPole-v1", "methods": ["random-annealed"], "annealed": "lr, ent_coef"})
    assert annealed.method_options["annealed"] == "learning_rate,entropy_cost"
    with pytest.raises(UserError, match="total_timesteps is not a setting of the task rl: here that is frames"):
        configure({"env": "CartPole-v1", "total_timesteps": 10})


def test_an_agent_is_named_in_either_case() -> None:
    assert configure({"env": "CartPole-v1", "agent": "PPO"}) == configure({"env": "CartPole-v1", "agent": "ppo"})


@pytest.mark.parametrize("task", ["quadratic", "tests.no_module:Training"])
def test_a_range_without_a_scale_and_without_a_default_names_the_four(task: str) -> None:
    with pytest.raises(UserError, match=r"x.*write log:1:2, linear:1:2, int:1:2 or horizon:1:2"):
        configure({"task": task, "budget": 20, "search": {"x": "1:2"}})


def test_two_words_are_no_range_without_a_scale() -> None:
    with pytest.raises(UserError, match="unknown scale 'lin'"):
        parse_dimension("lin:0:1")
    with pytest.raises(UserError, match="unknown scale 'a'"):
        parse_dimension("a:b")


@pytest.mark.parametrize(("executor", "begun"), [(None, True), ("processes", True), ("inline", False), ("ray", False)])
def test_only_worker_processes_load_ahead(executor: str | None, begun: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(ahead, "prepare", asked.append)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    ahead.begin_loading("torch", executor)
    assert asked == (["torch"] if begun else [])


@pytest.mark.parametrize("command", [compacting, configuration, exporting, playing, reporting])
def test_examples_of_help_name_folders_that_runs_are_written_to(command: ModuleType) -> None:
    config = configure({"env": "Pacman"})
    usual = task_type(config.task).folder(config.task_options)
    assert set(re.findall(r"results/(\S+)/RUN", command.build_parser("rl-pbt").epilog)) == {usual}
