"""The command line: bad input in one line and status 2, a run from end to end, resume, kills."""

import importlib.util
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import fields, replace
from pathlib import Path

import pytest

from rl_pbt.agents import AGENTS
from rl_pbt.cli import command as module
from rl_pbt.cli import playing
from rl_pbt.cli.arguments import build_parser, settings_of
from rl_pbt.cli.dry_run import idle_workers, planned
from rl_pbt.cli.resuming import where_it_stands
from rl_pbt.errors import UserError
from rl_pbt.making import configure, make_task
from rl_pbt.schedule import check_replay, setting_of
from rl_pbt.search import METHODS
from rl_pbt.store.manifest import Manifest
from rl_pbt.store.run import RunFolder
from rl_pbt.tasks.rl.defaults import defaults_of

PROGRAM = "python -m rl_pbt.bench"
SMALL = [
    "--env", "CartPole-v1", "--population", "2", "--frames", "800", "--interval", "400", "--agent-options", "envs_per_member=4",
    "--eval-episodes", "2", "--test-episodes", "2", "--group-size", "1",
]  # fmt: skip


OPTIONS_OF_AGENT = ["--agent-options", "envs_per_member=4"]
BESIDES = [word for word in SMALL if word not in OPTIONS_OF_AGENT]  # for tests with other options of the agent


def command(*arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "rl_pbt.bench", *arguments],
        capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip


def train(*words: str) -> None:
    """The command in this process."""
    module.train(words, PROGRAM)


BAD = [
    (["--env", "Pacmann"], "did you mean ALE/Pacman-v5"),
    (["--env", "CartPole-v1", "--methods", "pbtt"], "did you mean 'pbt'"),
    (["--env", "CartPole-v1", "--methods", "replay:nowhere"], "is not a run"),
    (["--env", "CartPole-v1", "--methods", "replay-final"], "replay:RUN"),
    (["--env", "CartPole-v1", "--agent", "a3c"], "did you mean 'a2c'"),
    (["--env", "CartPole-v1", "--frame", "10"], "did you mean '--frames'"),
    (["--env", "CartPole-v1", "--popluation", "10"], "did you mean '--population'"),
    (["--env", "CartPole-v1", "--search", "lr=log:1e-2:1e-5"], "low < high"),
    (["--env", "CartPole-v1", "--search", "lr=log:"], "LOW:HIGH"),
    (["--env", "CartPole-v1", "--search", "lr=log"], "--search cannot set learning_rate to 'log'"),
    (["--env", "CartPole-v1", "--search", "lr"], "write NAME=VALUE"),
    (["--env", "CartPole-v1", "--search", "lr=-1"], "--search cannot use learning_rate"),
    (["--env", "CartPole-v1", "--hypers", "lr=-1"], "--hypers cannot use learning_rate"),
    (["--env", "CartPole-v1", "--hypers", "beta=1"], "--hypers names an unknown hyperparameter 'beta'"),
    (["--env", "CartPole-v1", "--hypers", "lr=fast"], "--hypers cannot set learning_rate to 'fast': write a number"),
    (["--env", "CartPole-v1", "--search", "momentum=log:1:2"], "unknown hyperparameter 'momentum'"),
    (["--env", "CartPole-v1", "--search", "gama=0.9"], "did you mean 'gamma'"),
    (["--env", "CartPole-v1", "--search", "lr=1e-2:1e-5"], "low < high"),
    (["--env", "CartPole-v1", "--search", "vf_coef=0.1:1"], "write log:0.1:1, linear:0.1:1, int:0.1:1 or horizon:0.1:1"),
    (["--task", "quadratic", "--search", "h7=0.1:1"], "--search cannot use h7: '0.1:1' needs a scale"),
    (
        ["--env", "CartPole-v1", "--search", "entropy_cost=0:0.1"],
        "--search cannot use entropy_cost: a log scale needs bounds above",
    ),
    (["--env", "CartPole-v1", "--search", "lr=1e-3", "entropy=0", "gamma=0.99"], "search space is empty"),
    (["--env", "CartPole-v1", "--population", "1"], "--population must be 2 or more"),
    (["--env", "CartPole-v1", "--population", "2.5"], "'2.5' is not a whole number"),
    (["--env", "CartPole-v1", "--frames", "1000", "--interval", "2000"], "longer than the budget"),
    (["--env", "CartPole-v1", "--frames", "-5"], "above 0"),
    (["--env", "CartPole-v1", "--frames", "many"], "'many' is not a whole number"),
    (["--env", "CartPole-v1", "--interval", "3"], "--interval must be 16, the least that a member trains for"),
    (["--env", "CartPole-v1", "--workers", "0"], "--workers must be 1 or more"),
    (["--env", "CartPole-v1", "--executor", "cluster"], "unknown executor 'cluster'"),
    (["--env", "CartPole-v1", "--seeds", "-1"], "--seeds must be"),
    (["--env", "CartPole-v1", "--seeds", "1", "1"], "--seeds must not name one twice"),
    (["--env", "CartPole-v1", "--seeds", "one"], "'one' is not a whole number"),
    (["--env", "CartPole-v1", "--fitness", "trainning"], "'trainning' is not one of evaluation, training"),
    (["--env", "CartPole-v1", "--any-age"], "--any-age is an option of pbt-async"),
    (["--env", "CartPole-v1", "--against", "asha"], "--against must be one of the methods, but is 'asha': known are pbt, random"),
    (
        ["--env", "CartPole-v1", "--primary", "pbt"],
        "--primary must be two of the methods (pbt, random), as in pbt:random, but",
    ),
    (["--env", "CartPole-v1", "--primary", "pbt:asha"], "--primary must be two of the methods"),
    (["--env", "CartPole-v1", "--methods", "pbt", "random", "asha", "--primary", "asha:asha"], "--primary must be two of"),
    (["--env", "CartPole-v1", "--fraction", "0.9"], "--fraction must be above 0 and at most 0.5"),
    (["--env", "CartPole-v1", "--step-size", "0.1"], "--step-size is not a setting of the task rl"),
    (["--env", "xyzzy"], "CartPole-v1"),
    (["--task", "quadratik"], "did you mean 'quadratic'"),
    (["--task", "no_such_module:Training", "--budget", "9", "--search", "lr=log:1:2"], "no_such_module"),
    (["--task", "quadratic", "--env", "CartPole-v1"], "--env is not a setting of the task quadratic"),
    (["--env", "CartPole-v1", "--device", "cuda:99"], "--device 'cuda:99' is not available here: use cpu"),
    (["--env", "no_such_module:Env-v0"], "cannot import 'no_such_module'"),
    (["--env", "CartPole-v1", "--agent-options", "torso_=nature"], "did you mean 'torso'"),
    (["--env", "CartPole-v1", "--agent-options", "envs_per_member=many"], "envs_per_member must be a whole number"),
    (["--env", "CartPole-v1", "--agent-options", "autocast=yes"], "true or false"),
    (["--env", "CartPole-v1", "--agent-options", "unroll_length=0"], "unroll_length must be 1 or more, but is 0"),
    (["--env", "CartPole-v1", "--agent-options", "rewards=tanh"], "rewards must be one of true, clip, symlog, but is 'tanh'"),
    (["--env", "CartPole-v1", "--agent-options", "core=gru"], "core must be one of none, lstm, but is 'gru'"),
    (["--env", "CartPole-v1", "--agent", "impala", "--agent-options", "policy_lag=-1"], "policy_lag must be 0 or more"),
    (["--env", "CartPole-v1", "--search", "discount=1.2"], "discount: it must be 0 or more and at most 1, but is 1.2"),
    (["--env", "CartPole-v1", "--search", "lambda=linear:0.5:1.5"], "trace_lambda: it must be 0 or more and at most 1"),
    (["--env", "CartPole-v1", "--search", "epsilon=0"], "epsilon: it must be above 0, but is 0"),
    (["--env", "CartPole-v1", "--search", "lr=nan"], "lr must be a finite number"),
    (["--env", "CartPole-v1", "--search", "lr=choice:low:high"], "cannot set learning_rate to 'low'"),
    (["--env", "CartPole-v1", "--backend", "jax"], "unknown backend 'jax'"),
    (["--env", "CartPole-v1", "--search", "clip_eps=0.2"], "'clip_eps', a hyperparameter of ppo, which this agent does not have"),
    (["--env", "CartPole-v1", "--search", "clip_epss=0.2"], "unknown hyperparameter 'clip_epss': known are learning_rate"),
    (["--env", "CartPole-v1", "--search", "hidden=8"], "which stays fixed while an agent trains: set it among the agent_options"),
    (
        ["--env", "CartPole-v1", "--agent", "ppo", "--hypers", "num_epochs=2.5"],
        "--hypers cannot use num_epochs: it must be a whole",
    ),
    (["--env", "CartPole-v1", "--hypers", "lr=fast"], "--hypers cannot set learning_rate to 'fast': write a number"),
    (["--env", "CartPole-v1", "--hypers", "momentum=1"], "--hypers names an unknown hyperparameter 'momentum'"),
    (["--env", "CartPole-v1", "--agent", "ppo", "--agent-options", "n_epochs=3"], "has no 'n_epochs': it is a hyperparameter"),
    (["--env", "CartPole-v1", "--agent-options", "n_epochs=3"], "has no 'n_epochs': it is a hyperparameter of ppo"),
    (["--env", "CartPole-v1", "--agent-options", "n_envs=3"], "has no 'n_envs': it is envs_per_member here"),
    (
        ["--env", "CartPole-v1", "--agent-options", "hidden=64x64"],
        "hidden must be a list, each a whole number, separated by commas",
    ),
    (["--env", "CartPole-v1", "--search", "lr=1e-2:1e-5"], "--search cannot use lr: bounds must be finite"),
    (["--env", "CartPole-v1", "--search", "lr=1e-3", "learning_rate=1e-2"], "--search names learning_rate twice, as lr and as"),
    (
        ["--env", "CartPole-v1", "--agent", "sb3:ppo", "--search", "lr=1e-3", "learning_rate=1e-2"],
        "--search names learning_rate twice",
    ),
    (
        ["--env", "CartPole-v1", "--agent", "sb3:ppo", "--search", "epsilom=1"],
        "'epsilom', which sb3:ppo does not have: known are",
    ),
    (["--env", "CartPole-v1", "--search", "lr=1e-3", "lr=1e-2"], "--search names lr twice"),
    (["--env", "CartPole-v1", "--hypers", "lr=1e-3", "learning_rate=1e-2"], "--hypers names learning_rate twice"),
    (
        ["--env", "CartPole-v1", "--methods", "grid", "--grid-points", "lr=4", "learning_rate=2"],
        "--grid-points names learning_rate twice, as lr and",
    ),
    (["--env", "CartPole-v1", "--seeds", "0", "--seeds", "1"], "--seeds: is given twice: write all of its values after one"),
    (["--env", "CartPole-v1", "--seeds", "0-5"], "'0-5' is not a whole number: write each, as in 0 1 2 3"),
    (["--env", "CartPole-v1", "--methods", "replay:"], "--methods must name the run that is replayed"),
    (["--env", "CartPole-v1", "--methods", "PBT"], "unknown method 'PBT': did you mean 'pbt'?"),
    (["--env", "CartPole-v1", "--agent", "PPOO"], "did you mean 'ppo'"),
    (["--env", "CartPole-v1", "--total-timesteps", "10k"], "unknown argument '--total-timesteps': here that is --frames"),
    (["--env", "CartPole-v1", "--learning-rate", "1e-3"], "here that is --search learning_rate="),
    (["--config", "nowhere.toml"], "cannot read nowhere.toml"),
    ([], "say which environment"),
]


@pytest.mark.parametrize(("arguments", "says"), BAD, ids=[" ".join(a) or "nothing" for a, _ in BAD])
def test_bad_input_is_one_line(arguments: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    assert module.main([*arguments, "--out", str(out)], PROGRAM) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and says in error and error.count("\n") == 1
    assert not out.exists(), "half a run was left behind"


def test_an_environment_whose_package_is_absent_is_one_line_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "minigrid" else find(name, *a))
    with pytest.raises(UserError, match=r"pip install -e '\.\[minigrid\]'$") as error:
        train("--env", "MiniGrid-DoorKey-5x5-v0", "--dry-run")
    assert "\n" not in str(error.value)


def test_an_error_is_status_2_and_one_line_without_a_traceback(tmp_path: Path) -> None:
    done = command("--env", "Pacmann", "--out", str(tmp_path / "run"))
    assert done.returncode == 2 and done.stdout == ""
    assert re.fullmatch(r"error: unknown environment 'Pacmann': .*\n", done.stderr)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run of both methods with two workers, through the real command."""
    out = tmp_path_factory.mktemp("runs") / "run"
    done = command(*SMALL, "--out", str(out), "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert "left" in done.stdout and "test return" in done.stdout and "\nreport  " in done.stdout
    return out


def timeless(value: dict[str, object]) -> dict[str, object]:
    return {key: inner for key, inner in value.items() if key not in ("time", "cpu_s", "wall_s", "method_s", "eval_cpu_s", "crc")}


def ledger(folder: Path, method: str) -> list[dict[str, object]]:
    lines = (folder / method / "seed-0" / "ledger.jsonl").read_text().splitlines()
    return [json.loads(line, object_hook=timeless) for line in lines]


def test_a_run_leaves_what_the_readme_says(finished: Path) -> None:
    summary = json.loads((finished / "summary.json").read_text())
    assert summary["task_options"]["env"] == "CartPole-v1" and set(summary["methods"]) == {"pbt", "random"}
    for method in ("pbt", "random"):
        seed = summary["methods"][method]["seeds"]["0"]
        spent = seed["cost"]["train_units"] + seed["cost"]["eval_units"]
        assert seed["budget"] == 1600 and spent > 0 and len(seed["test_returns"]) == 2
        assert len(list((finished / method / "seed-0" / "checkpoints").iterdir())) == 1
        assert list((finished / "tensorboard" / f"{method}-s0").glob("events.out.tfevents.*"))
        assert len(list((finished / "tensorboard_members" / f"{method}-s0").glob("*/events.out.tfevents.*"))) == 2
    manifest = json.loads((finished / "manifest.json").read_text())
    assert manifest["status"] == "finished" and manifest["config"]["task_options"]["env"] == "CartPole-v1"
    assert (finished / "summary.md").exists() and list((finished / "plots").glob("*.png"))


def test_one_and_two_workers_write_the_same_ledger(finished: Path, tmp_path: Path) -> None:
    train(*SMALL, "--out", str(tmp_path / "run"), "--workers", "1")
    for method in ("pbt", "random"):
        assert ledger(tmp_path / "run", method) == ledger(finished, method)


def test_methods_start_from_the_same_members(finished: Path) -> None:
    """Of which only PBT needs to know how good they are."""
    pbt, random = ([e["result"] for e in ledger(finished, m) if e["event"] == "finished"][:2] for m in ("pbt", "random"))
    assert [one["digest"] for one in pbt] == [one["digest"] for one in random], "they have learned the same"
    for ours, theirs in zip(pbt, random, strict=True):
        learned = [
            {name: value for name, value in one["metrics"].items() if not name.startswith("eval/")} for one in (ours, theirs)
        ]
        assert learned[0] == learned[1] and ours["cost"]["train_units"] == theirs["cost"]["train_units"]
        assert ours["fitness"] is not None and theirs["fitness"] is None


def test_a_finished_run_is_not_run_again_and_another_configuration_is_refused(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (finished / "pbt" / "seed-0" / "ledger.jsonl").read_bytes()
    train("--resume", str(finished))
    assert "is finished" in capsys.readouterr().out
    for arguments in ([*SMALL[:3], "3", *SMALL[4:], "--out", str(finished)], ["--resume", str(finished), "--interval", "300"]):
        with pytest.raises(UserError, match="another configuration") as error:
            train(*arguments)
        assert "\n" not in str(error.value) and "not " in str(error.value)
    assert (finished / "pbt" / "seed-0" / "ledger.jsonl").read_bytes() == before


def test_a_finished_run_is_replayed_with_fresh_weights(finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(*SMALL, "--methods", f"replay:{finished}", "random", "--out", str(out), "--workers", "1")
    summary = json.loads((out / "summary.json").read_text())
    assert list(summary["methods"]) == ["random", "replay-final", "replay-random", "replay-schedule"]
    events = {method: ledger(out, method) for method in summary["methods"]}
    found = json.loads((finished / "summary.json").read_text())["methods"]
    for method, source in (("replay-final", "pbt"), ("replay-random", "random")):
        proposals = [event["proposal"] for event in events[method] if event["event"] == "proposed"]
        assert all(p["hypers"] == found[source]["seeds"]["0"]["winner"]["hypers"] for p in proposals)
        assert {p["member"] for p in proposals} == {2, 3}, "with the members' numbers go their weights"
    run = (out / "manifest.json").read_text()
    assert json.loads(run)["config"]["method_options"]["replay"]["method"] == "pbt"
    with pytest.raises(UserError, match="was made with env CartPole-v1, not Acrobot-v1"):
        train("--env", "Acrobot-v1", "--methods", f"replay:{finished}", "--out", str(tmp_path / "other"))


UNUSUAL = [
    "--agent-options", "envs_per_member=4", "unroll_length=8", "--env-options", "max_episode_steps=100",
    "--hypers", "vf_coef=0.7", "--search", "gamma=0.9:0.99", "--fraction", "0.5", "--primary", "pbt:random",
]  # fmt: skip


@pytest.mark.usefixtures("without_pages")
def test_what_is_offered_at_the_end_of_a_run_with_its_own_settings_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    train(*BESIDES, *UNUSUAL, "--executor", "inline", "--out", "run")
    lines = capsys.readouterr().out.splitlines()
    offered = dict(line.split(maxsplit=1) for line in lines if re.match(r"(report|curves|watch|replay) ", line))
    assert list(offered) == ["report", "curves", "watch", "replay"]
    assert Path(shlex.split(offered["curves"])[-1]).is_dir()
    played, replayed = (shlex.split(offered[what].split(" -m ")[1])[1:] for what in ("watch", "replay"))
    assert playing.build_parser("play").parse_args(played).run == Path("run")
    train(*replayed, "--dry-run")
    plan = capsys.readouterr().out
    assert "replay-schedule" in plan and "unroll_length=8" in plan and "max_episode_steps=100" in plan
    with pytest.raises(UserError, match=r"was made with agent_options unroll_length=8, not unroll_length=5: replay it"):
        train(*replayed, "--agent-options", "unroll_length=5", "envs_per_member=4", "--dry-run")


def test_what_an_older_version_recorded_of_evaluation_does_not_keep_a_schedule_from_being_replayed() -> None:
    """SB3's `fitness` once counted as a part of the training."""
    options = {"env": "CartPole-v1", "agent": "sb3:a2c", "fitness": "evaluation"}
    config = configure(options)
    replay = {"run": "old", "method": "pbt", "members": 8, "seeds": {}, "setting": {**setting_of(config), "fitness": "training"}}
    check_replay(replace(config, method_options={"replay": replay}))
    with pytest.raises(UserError, match="old was made with replay_buffer False, not True"):
        other = {**replay, "setting": {**setting_of(config), "replay_buffer": False}}
        check_replay(replace(config, method_options={"replay": other}))


@pytest.mark.parametrize("name", ["acrobot-v1", "cartpole-v1"])
def test_a_run_of_an_older_version_can_be_replayed_with_its_own_settings(name: str) -> None:
    """Options that came later have the values that do what that version did, whatever a new run of it would have."""
    folder = Path(__file__).parents[3] / "results" / "reference" / name
    words = ["--config", str(folder), "--methods", f"replay:{folder}"]
    config = configure(settings_of(build_parser(PROGRAM).parse_args(words)))
    recorded = RunFolder(folder).manifest().config
    assert config.task_options["agent_options"].items() >= recorded.task_options["agent_options"].items()
    assert set(config.task_options["agent_options"]) == {field.name for field in fields(AGENTS["a2c"].config)}
    assert (config.budget, config.seeds, config.search) == (recorded.budget, recorded.seeds, recorded.search)


def test_settings_of_a_run_run_no_code_that_is_not_named_again(tmp_path: Path) -> None:
    config = configure({"task": "tests.rl_pbt.undrawn:Made", "budget": 20, "interval": 10, "search": {"x": "log:1:2"}})
    RunFolder(tmp_path).write_manifest(Manifest(command="", config=config, status="finished"))
    with pytest.raises(UserError, match="names code"):
        settings_of(build_parser(PROGRAM).parse_args(["--config", str(tmp_path)]))


def test_a_folder_that_is_no_run_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(UserError, match="is not a run"):
        train(*SMALL, "--out", str(tmp_path))
    with pytest.raises(UserError, match="is not a run"):
        train("--resume", str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_unwritable_place_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write|is not a run"):
        train(*SMALL, "--out", str(tmp_path / "file" / "run"))


def test_a_dry_run_gives_no_rate_to_a_training_in_closed_form() -> None:
    config = configure({"task": "quadratic"})
    lines, seconds = planned(config, make_task(config, 1), 1)
    assert lines[-1].endswith("(training itself takes no time that could be measured)")
    assert seconds < 30, "what is left is the time to begin intervals, which on a busy machine is more"


@pytest.mark.parametrize(
    ("workers", "group_size", "said"),
    [
        (4, 4, None),
        (16, 1, None),
        (16, 4, "at most 4 of 16 workers are busy at once; --group-size 1 gives work to more of them"),
        (8, 4, "at most 4 of 8 workers are busy at once; --group-size 2 gives work to more of them"),
        (64, 1, "at most 16 of 64 workers are busy at once"),
    ],
)
def test_who_asks_for_more_workers_than_there_is_work_for_is_told(workers: int, group_size: int, said: str | None) -> None:
    config = configure({"task": "quadratic", "population": 8, "group_size": group_size})
    assert idle_workers(config, workers) == said
    lines, _ = planned(config, make_task(config, 1), workers)
    assert (said is None) is not any(line.startswith("population") and str(said) in line for line in lines)


def test_dry_run_prints_the_plan_and_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(*SMALL, "--out", str(tmp_path / "run"), "--dry-run")
    out = capsys.readouterr().out
    for word in ("budget", "checkpoints", "time", "generations"):
        assert word in out
    assert "would find   1 comparison: nothing; that takes 6 seeds\n" in out
    assert not (tmp_path / "run").exists()


def test_dry_run_says_what_the_seeds_would_find(capsys: pytest.CaptureFixture[str]) -> None:
    seeds, methods = list(map(str, range(10))), ["pbt", "random", "weights-only", "explore-only"]
    train(*SMALL, "--seeds", *seeds, "--methods", *methods, "--primary", "pbt:random", "--dry-run")
    told = "the primary contrast: 1.0 standard deviations over seeds, 4 times in 5; 2 comparisons: "
    assert f"would find   {told}" in capsys.readouterr().out


def test_methods_help(capsys: pytest.CaptureFixture[str]) -> None:
    train("--methods", "help")
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    assert [name for name in METHODS if not any(line.startswith(f"  {name} ") for line in lines)] == []
    headings = [line for line in lines if not line.startswith(" ")]
    assert 3 <= len(headings) <= 7 and all(heading.endswith(":") for heading in headings)


def test_the_page_of_methods_has_them_all() -> None:
    page = (Path(__file__).parents[3] / "docs" / "methods.md").read_text(encoding="utf-8")
    assert [name for name in METHODS if f"`{name}`" not in page] == []


@pytest.mark.skipif(os.name != "posix", reason="sends POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_cleanly_and_says_how_to_go_on(tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "run"
    long = [*SMALL, "--frames", "400k", "--interval", "2k", "--out", str(out), "--workers", "2"]
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "rl_pbt.bench", *long],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # A shell starts background jobs, and so perhaps this test, with SIGINT ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    ) as process:  # fmt: skip
        try:
            deadline = time.monotonic() + 60
            while not (out / "pbt" / "seed-0" / "ledger.jsonl").exists() and time.monotonic() < deadline:
                time.sleep(0.1)
            process.send_signal(number)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130 and "Traceback" not in said
    assert f"--resume {out}" in said
    assert json.loads((out / "manifest.json").read_text())["status"] == "interrupted"
    stands = where_it_stands(RunFolder(out), RunFolder(out).manifest().config)
    assert re.match(r"pbt, seed 0, generation \d+/200; \d+ % of the budget spent", stands)


def test_the_manifest_names_every_option_of_the_agent(finished: Path) -> None:
    options = json.loads((finished / "manifest.json").read_text())["config"]["task_options"]["agent_options"]
    assert set(options) == {field.name for field in fields(AGENTS["a2c"].config)}
    assert options["envs_per_member"] == 4 and options["hidden"] == [64, 64]


def test_an_agent_with_a_memory_has_defaults_of_its_own_under_what_is_said() -> None:
    without, memory, said = (
        configure({"env": "Acrobot-v1", "agent": "impala", "agent_options": options}).task_options["agent_options"]
        for options in ({}, {"core": "lstm"}, {"core": "lstm", "unroll_length": 12})
    )
    learner = defaults_of("classic_control", "Acrobot-v1").learner("impala")
    for name, value in learner.recurrent_options.items():
        assert memory[name] == value
    assert without["unroll_length"] == learner.options["unroll_length"] != memory["unroll_length"]
    assert said["unroll_length"] == 12
    assert said["envs_per_member"] == memory["envs_per_member"]


def test_a_plan_says_how_members_are_judged_and_that_it_may_be_dear(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = [*SMALL, "--out", str(tmp_path / "run"), "--dry-run"]
    train(*plan)
    assert "evaluated on 2 episodes after each generation, of at most 500 frames each; if they last" in capsys.readouterr().out
    train(*plan, "--fitness", "training")
    assert "evaluated on the training episodes" in capsys.readouterr().out


def test_the_agent_options_that_the_help_shows_are_options(tmp_path: Path) -> None:
    (action,) = (action for action in build_parser(PROGRAM)._actions if action.dest == "agent_options")
    shown = [word for word in (action.help or "").split() if "=" in word]
    assert shown
    train(*BESIDES, "--out", str(tmp_path / "run"), "--dry-run", "--agent-options", *shown)


@pytest.mark.skipif(os.name != "posix", reason="sends POSIX signals")
@pytest.mark.parametrize("after_s", [0.4, 0.8])
def test_ctrl_c_while_packages_are_imported_says_nothing(tmp_path: Path, after_s: float) -> None:
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "rl_pbt.bench", *SMALL, "--out", str(tmp_path / "run")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    ) as process:  # fmt: skip
        time.sleep(after_s)
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert said == ("", "") and not (tmp_path / "run").exists()


IMPALA = ["--agent", "impala", "--methods", "pbt-async", "--executor", "inline"]
AGENTS_AT_NIGHT = [
    ["--agent", "a2c", "--methods", "pbt", "--group-size", "1", "--workers", "2"],
    ["--agent", "a2c", "--eval-episodes", "1", "--executor", "inline"],
    ["--env", "MinAtar/Breakout-v1", "--agent", "impala", "--executor", "inline"],
    ["--agent", "a2c", "--methods", "pbt", "--executor", "ray", "--workers", "2"],
    ["--agent", "impala", "--agent-options", "core=lstm", "envs_per_member=4"],
    ["--agent", "ppo", "--agent-options", "unroll_length=9", "batch_size=16", "--hypers", "num_epochs=2"],
    ["--agent", "sb3:ppo", "--agent-options", "n_steps=16", "n_envs=2", "batch_size=16", "--executor", "inline"],
    [
        "--agent", "ppo", "--agent-options", "core=lstm", "core_size=8", "unroll_length=9", "batch_size=16",
        "--hypers", "num_epochs=2", "--methods", "pbt", "--executor", "inline",
    ],
    [
        "--agent", "a2c", "--agent-options", "anneal=linear", "--search", "unroll_length=int:4:12", "--group-size", "2",
        "--methods", "pbt", "--executor", "inline",
    ],
    [
        "--env", "Pacman", "--agent-options", "envs_per_member=2", "unroll_length=5", "hidden=8", "--max-episode-frames", "40",
        "--frames", "480", "--interval", "160", "--methods", "pbt", "--executor", "inline",
    ],
]  # fmt: skip


@pytest.mark.timeout(900)  # a dozen runs and as many resumes, beside other tests
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.parametrize(
    ("agent", "step"),
    [
        (IMPALA, 4),
        *(pytest.param(agent, 1, marks=pytest.mark.nightly) for agent in (IMPALA, *AGENTS_AT_NIGHT)),
    ],
)
def test_a_real_run_killed_after_every_ledger_event_ends_as_if_nothing_had_happened(
    agent: list[str], step: int, tmp_path: Path
) -> None:
    script = Path(__file__).parents[1] / "killing.py"
    small = BESIDES if "--agent-options" in agent else SMALL
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(script), str(tmp_path), *small, *agent],
        capture_output=True, text=True, timeout=2900, check=False, env={**os.environ, "KILL_EVERY": str(step)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    kills = re.fullmatch(r"(\d+) kills\n", done.stdout)
    assert kills and int(kills[1]) > 10 / step, done.stdout
