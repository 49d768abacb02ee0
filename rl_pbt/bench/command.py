"""`python -m rl_pbt.bench`: the command line, and the one place where objects are built from names."""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from agents import AGENTS
from envs import resolve
from rl_pbt import quadratic, report
from rl_pbt.arguments import build_parser, configure, toy_arguments
from rl_pbt.config import TOY, RunConfig
from rl_pbt.controller import Journal, search
from rl_pbt.estimate import plan_lines
from rl_pbt.executors import Executor, InlineExecutor, ProcessExecutor
from rl_pbt.executors.interrupts import heard, held
from rl_pbt.progress import Progress
from rl_pbt.records import JSON, UserError
from rl_pbt.schedule import stages_for
from rl_pbt.search import METHODS, Method, Plan, Setup, Stage
from rl_pbt.store import Run
from rl_pbt.tracking import TensorBoard
from rl_pbt.training import RLTask

PACKAGES = ("torch", "numpy", "gymnasium", "ale-py", "safetensors")


def make_task(config: RunConfig, workers: int) -> RLTask:
    return RLTask(
        env=resolve(config.env, backend=config.backend),
        agent=config.agent,
        agent_config=AGENTS[config.agent].config(**config.agent_options),
        hypers=config.hypers,
        eval_episodes=config.eval_episodes,
        fitness="training" if config.fitness == "training" else "evaluation",
        device=config.device,
        # Acting beside learning needs a core, or a device, that would else be idle.
        overlap=config.device != "cpu" or workers < (os.cpu_count() or 1),
    )


def make_method(name: str, config: RunConfig, seed: int, quantum: int) -> Method:
    return METHODS[name].make(
        Setup(
            space=config.space,
            plan=Plan(population=config.population, frames_per_member=config.frames, interval=config.interval, quantum=quantum),
            root_seed=seed,
            published=dict(config.hypers),
            fraction=config.fraction,
            factors=config.factors,
            resample_probability=config.resample_probability,
            burn_in=config.burn_in,
            any_age=config.any_age,
            schedules={
                method: [Stage(**stage) for stage in stages] for method, stages in stages_for(config.replay, seed).items()
            },
            first_replayed_member=config.replay.get("members", 0),
        )
    )


def make_executor(task: RLTask, workers: int) -> Executor:
    return InlineExecutor(task) if workers == 1 else ProcessExecutor(task, workers)


def default_workers(config: RunConfig) -> int:
    groups = -(-config.population // config.group_size)
    return max(1, min(groups, os.cpu_count() or 1))


def open_run(said: argparse.Namespace) -> tuple[Run, RunConfig]:
    """The run's folder and configuration, new or resumed. An existing run is never overwritten."""
    if said.resume is not None:
        run = Run(said.resume)
        recorded = RunConfig.from_json(run.manifest()["config"])
        _same(configure(said, recorded), recorded, run)
        return run, recorded
    if said.env is None:
        raise UserError("say which environment: --env Pacman, for instance; see --help")
    config = configure(said)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    run = Run(said.out or Path("results") / config.env.replace("/", "-").replace(":", "-") / stamp)
    if run.manifest_path.exists():
        _same(config, RunConfig.from_json(run.manifest()["config"]), run)
    elif run.folder.exists() and (not run.folder.is_dir() or any(run.folder.iterdir())):
        raise UserError(f"{run.folder} exists and is no run: choose another --out")
    return run, config


def _same(config: RunConfig, recorded: RunConfig, run: Run) -> None:
    if difference := config.difference(recorded):
        raise UserError(
            f"{run.folder} holds a run of another configuration ({'; '.join(difference)}): use another --out to start a "
            f"new run, or --resume {run.folder} without these flags"
        )


def manifest_of(config: RunConfig, argv: Sequence[str]) -> dict[str, JSON]:
    versions: dict[str, JSON] = {"rl_pbt": version("rl-pbt"), "python": platform.python_version()}
    return {
        "status": "running",
        "command": shlex.join(["python", "-m", "rl_pbt.bench", *argv]),
        "config": config.to_json(),
        "versions": versions | {package: version(package) for package in PACKAGES},
        "commit": _commit(),
        "hardware": {"machine": platform.machine(), "system": platform.system(), "cores": os.cpu_count()},
    }


def _commit() -> str | None:
    """The checkout's commit, with "-dirty" where files differ; None outside a checkout."""
    here = Path(__file__).parent
    try:
        shown = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return shown.stdout.strip()


def execute(run: Run, config: RunConfig, task: RLTask, workers: int, manifest: dict[str, JSON]) -> None:
    """Every method on every seed, then the random policy. The manifest gets what it takes, also where it is interrupted."""
    run.write_manifest(manifest)
    before = manifest.get("elapsed_s", 0.0)
    assert isinstance(before, float)
    total = config.population * config.frames * len(config.methods) * len(config.seeds)
    executor = make_executor(task, workers)
    progress = Progress(total, sys.stdout, lambda: executor.frames_underway)
    started = time.perf_counter()
    try:
        for seed in config.seeds:
            for name in config.methods:
                _search(run, config, task, executor, progress, name, seed)
    finally:
        progress.close()
        executor.close()
        manifest |= {"elapsed_s": before + time.perf_counter() - started, "workers": workers}
    with heard():
        random_policy = task.random_policy(config.seeds[0], config.test_episodes)
    manifest["random_policy"] = {"returns": list(random_policy.returns), "frames": random_policy.cost.frames}
    manifest["status"] = "finished"
    run.write_manifest(manifest)


def _search(run: Run, config: RunConfig, task: RLTask, executor: Executor, progress: Progress, name: str, seed: int) -> None:
    board = TensorBoard(run.method_folder(name, seed), config.space)
    progress.begin(f"{name}, seed {seed}")
    try:
        search(
            make_method(name, config, seed, task.quantum),
            executor=executor,
            journal=Journal(run.ledger(name, seed)),
            checkpoints=run.checkpoints(name, seed),
            root_seed=seed,
            group_size=config.group_size,
            test_episodes=config.test_episodes,
            observers=(board, progress),
        )
    finally:
        board.close()


def bench(argv: Sequence[str]) -> None:
    said = build_parser().parse_args(argv)
    if "help" in (said.methods or ()):
        width = max(map(len, METHODS))
        print("\n".join(f"{name:{width}} {entry.description} ({entry.reference})" for name, entry in METHODS.items()))
        return
    if said.env is not None and said.env.lower() == TOY:
        quadratic.bench(*toy_arguments(said))
        return
    run, config = open_run(said)
    if said.workers is not None and said.workers < 1:
        raise UserError(f"--workers must be 1 or more, but is {said.workers}")
    workers = said.workers or default_workers(config)
    task = make_task(config, workers)
    for name in config.methods:  # what cannot be fails before a folder is made
        make_method(name, config, config.seeds[0], task.quantum)
    if said.dry_run:
        print("\n".join(plan_lines(config, task, workers)))
        return
    manifest: dict[str, JSON] = run.manifest() if run.manifest_path.exists() else manifest_of(config, argv)
    if manifest["status"] == "finished":
        print(f"{run.folder} is finished: rebuilding its report")
    else:
        print(
            f"run {run.folder}; stop it with Ctrl-C, go on with: python -m rl_pbt.bench --resume {run.folder}",
            flush=True,
        )
        manifest["status"] = "running"
        try:
            with held():
                execute(run, config, task, workers, manifest)
        except KeyboardInterrupt:
            run.write_manifest({**manifest, "status": "interrupted"})
            print(f"\nstopped; go on with: python -m rl_pbt.bench --resume {run.folder}", file=sys.stderr)
            raise SystemExit(130) from None
    report.write_report(run)
    print(report.terminal_summary(run))


def main() -> None:
    try:
        bench(sys.argv[1:])
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        raise SystemExit(130) from None
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(1) from None
        print(f"error: {error}: free space or choose another folder with --out, then resume", file=sys.stderr)
        raise SystemExit(2) from None
