"""`python -m rl_pbt.bench`: the command line, and the one place where objects are built from names."""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

from rl_pbt import quadratic, report
from rl_pbt.config import DEFAULTS, Defaults, RunConfig, did_you_mean, parse_search, split_search
from rl_pbt.controller import Journal, search
from rl_pbt.executors import Executor, InlineExecutor, IntervalJob, ProcessExecutor
from rl_pbt.executors.interrupts import heard, held
from rl_pbt.progress import Progress, duration, readable
from rl_pbt.records import JSON, Proposal, UserError
from rl_pbt.search import METHODS, Method, PBTConfig, Plan
from rl_pbt.search.operators import UNBIASED_FACTORS
from rl_pbt.space import Space
from rl_pbt.store import Checkpoints, Run
from rl_pbt.tracking import TensorBoard
from rl_pbt.training import AGENTS, RLTask

PACKAGES = ("torch", "numpy", "gymnasium", "ale-py", "safetensors")


class _Parser(argparse.ArgumentParser):
    """Errors in one line that says the way out; exit status 2."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see --help")


def build_parser() -> argparse.ArgumentParser:
    """Flags default to None: the family of the environment decides, and a resume can tell what was said."""
    parser = _Parser(
        prog="python -m rl_pbt.bench",
        description="Train a population with PBT and with its baselines on the same budget, and compare the winners.",
        allow_abbrev=False,
        argument_default=None,
    )
    add = parser.add_argument
    add("--env", help="Pacman, MsPacman, CartPole-v1, any Gymnasium id, module:Id, or quadratic (the paper's toy)")
    add("--agent", help=f"one of: {', '.join(AGENTS)}")
    add("--methods", nargs="+", help=f"any of: {', '.join(METHODS)} (default: all); 'help' lists them")
    add("--population", type=int, help="members of the population")
    add(
        "--frames",
        type=_count,
        help="budget of each member in environment frames, evaluation included (200000, 200k, 1.5M)",
    )
    add("--interval", type=_count, help="frames of a generation")
    add("--seeds", type=int, nargs="+", help="root seeds; each is one run of every method (default: 0)")
    add("--search", nargs="+", metavar="NAME=RANGE", help="lr=log:1e-5:1e-2, or lr=7e-4 to hold it there")
    add("--fitness", choices=("evaluation", "training"), help="what selection looks at (default: evaluation)")
    add("--eval-episodes", type=int, help="episodes a member is judged on at the end of an interval")
    add("--test-episodes", type=int, help="episodes the winner is tested on, on seeds nothing was selected on")
    add("--fraction", type=float, help="bottom and top part of truncation selection (default: 0.2)")
    add("--factors", type=float, nargs="+", help="perturbation factors (default: 1.2 and 1/1.2; the paper's: 1.2 0.8)")
    add("--resample-probability", type=float, help="chance that an explored hyper is drawn anew (default: 0)")
    add("--burn-in", type=_count, help="frames of a member before which nobody copies (default: 0)")
    add("--group-size", type=int, help="members trained together in one tensor (default: half the population)")
    add("--envs-per-member", type=int, help="copies of the environment a member acts in")
    add("--device", help="cpu or cuda (default: cpu)")
    add(
        "--workers",
        type=int,
        help="worker processes (default: one a group, at most one a core); never changes a result",
    )
    add("--out", type=Path, help="the run's own folder (default: results/ENV/TIME)")
    add("--resume", type=Path, metavar="DIR", help="go on with the run in DIR")
    add("--dry-run", action="store_true", help="print the plan, its cost and an estimate of the time, and stop")
    return parser


def _count(text: str) -> int:
    """`200000`, `200k`, `1.5M`."""
    units = {"k": 1e3, "M": 1e6, "G": 1e9}
    number, unit = (text[:-1], units[text[-1]]) if text and text[-1] in units else (text, 1.0)
    try:
        return round(float(number) * unit)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of frames: write 200000, 200k or 1.5M") from None


def configure(said: argparse.Namespace) -> RunConfig:
    """Names and numbers of the command line, defaults filled in, into one checked configuration."""
    from envs import UnknownEnvironment, resolve  # noqa: PLC0415 - `--help` need not load gymnasium

    try:
        env = resolve(said.env)
    except UnknownEnvironment as error:
        raise UserError(str(error)) from None
    defaults: Defaults = DEFAULTS[env.family]
    agent = _one_of("agent", said.agent or "a2c", AGENTS)
    options = dict(defaults.agent_options)
    if said.envs_per_member is not None:
        options["envs_per_member"] = _positive("--envs-per-member", said.envs_per_member)
    population = _or(said.population, defaults.population)
    frames = _or(said.frames, defaults.frames)
    return RunConfig(
        env=env.id,
        agent=agent,
        methods=tuple(_one_of("method", name, METHODS) for name in said.methods or METHODS),
        seeds=tuple(_or(said.seeds, [0])),
        population=population,
        frames=frames,
        interval=_or(said.interval, min(defaults.interval, max(frames, 1))),
        group_size=_or(said.group_size, max(1, (population + 1) // 2)),
        search=parse_search(said.search or [], AGENTS[agent].changeable, defaults.search),
        fitness=_or(said.fitness, "evaluation"),
        eval_episodes=_or(said.eval_episodes, defaults.eval_episodes),
        test_episodes=_or(said.test_episodes, defaults.test_episodes),
        fraction=_or(said.fraction, 0.2),
        factors=tuple(_or(said.factors, UNBIASED_FACTORS)),
        resample_probability=_or(said.resample_probability, 0.0),
        burn_in=_or(said.burn_in, 0),
        device=_device(_or(said.device, "cpu")),
        agent_options=options,
        env_options=dict(env.options),
        frame_skip=env.frame_skip,
    )


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


def _positive(flag: str, value: int) -> int:
    if value < 1:
        raise UserError(f"{flag} must be 1 or more, but is {value}")
    return value


def _one_of(kind: str, name: str, known: Any) -> str:
    if name not in known:
        raise did_you_mean(kind, name, tuple(known))
    return name


def _device(name: str) -> str:
    import torch  # noqa: PLC0415

    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError):
        raise UserError(f"device {name!r} is not available here: use --device cpu") from None
    return name


def make_task(config: RunConfig) -> RLTask:
    from envs import resolve  # noqa: PLC0415

    return RLTask(
        env=resolve(config.env),
        agent_config=AGENTS[config.agent].config(**config.agent_options),
        held=split_search(config.search)[1],
        eval_episodes=config.eval_episodes,
        test_episodes=config.test_episodes,
        fitness="training" if config.fitness == "training" else "evaluation",
        device=config.device,
    )


def make_method(name: str, config: RunConfig, seed: int, quantum: int) -> Method:
    plan = Plan(population=config.population, frames_per_member=config.frames, interval=config.interval, quantum=quantum)
    pbt = PBTConfig(
        fraction=config.fraction,
        factors=config.factors,
        resample_probability=config.resample_probability,
        burn_in=config.burn_in,
    )
    return METHODS[name].make(make_space(config), plan, seed, pbt)


def make_space(config: RunConfig) -> Space:
    return Space.parse(split_search(config.search)[0])


def make_executor(task: RLTask, workers: int) -> Executor:
    return InlineExecutor(task) if workers == 1 else ProcessExecutor(task, workers)


def default_workers(config: RunConfig) -> int:
    groups = -(-config.population // config.group_size)
    return max(1, min(groups, os.cpu_count() or 1))


def plan_lines(config: RunConfig, task: RLTask, workers: int) -> list[str]:
    """What would be run, what it costs, and about how long it takes here, by a short measurement."""
    make_method(config.methods[0], config, config.seeds[0], task.quantum)  # checks the plan
    total = config.population * config.frames * len(config.methods) * len(config.seeds)
    frames_per_s, checkpoint_bytes = measure(config, task)
    ranges = ", ".join(f"{name} {text}" for name, text in config.search.items())
    return [
        f"environment  {config.env}, frame skip {config.frame_skip}; agent {config.agent}",
        f"methods      {', '.join(config.methods)}; seeds {', '.join(map(str, config.seeds))}",
        f"population   {config.population} members in groups of {config.group_size}, {workers} worker processes",
        f"budget       {readable(config.frames)} frames a member, {readable(total)} in all, evaluation included",
        f"interval     {readable(config.interval)} frames, {config.frames // config.interval} generations",
        f"search       {ranges}",
        f"checkpoints  {config.population * checkpoint_bytes / 1e6:.1f} MB while a method runs, "
        f"{checkpoint_bytes / 1e6:.1f} MB each after",
        f"time         about {duration(total / frames_per_s / workers)} "
        f"({readable(frames_per_s)} frames/s measured on one worker)",
    ]


def measure(config: RunConfig, task: RLTask) -> tuple[float, int]:
    """Frames per second of one worker in a short interval of one group, and the bytes of a checkpoint."""
    size = min(config.group_size, config.population)
    hypers = make_space(config).sample
    from rl_pbt import seeds  # noqa: PLC0415

    frames = task.quantum * task.agent_config.unroll_length * 4
    proposals = tuple(
        Proposal(id=m, member=m, generation=0, hypers=hypers(seeds.rng(0, purpose="measure")), parent=None, frames=frames)
        for m in range(size)
    )
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(Path(folder))
        job = IntervalJob(proposals=proposals, lineage_frames=(0,) * size, root_seed=0, checkpoints=checkpoints)
        timed = replace(task, fitness="training")
        timed.interval(job)
        started = time.perf_counter()
        timed.interval(job)
        speed = size * frames / (time.perf_counter() - started)
        sizes = [path.stat().st_size for path in Path(folder).iterdir()]
    return speed, max(sizes, default=0)


def open_run(said: argparse.Namespace) -> tuple[Run, RunConfig]:
    """The run's folder and configuration, new or resumed. An existing run is never overwritten."""
    if said.resume is not None:
        run = Run(said.resume)
        recorded = RunConfig.from_json(run.manifest()["config"])
        said.env = said.env or recorded.env
        _same(configure(_filled(said, recorded)), recorded, run)
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


def _filled(said: argparse.Namespace, recorded: RunConfig) -> argparse.Namespace:
    """What was not said on a resume is as it was recorded; what was said is compared."""
    filled = argparse.Namespace(**vars(said))
    for name, value in recorded.to_json().items():
        if name in vars(filled) and getattr(filled, name) is None:
            setattr(filled, name, value)
    given = [f"{name}={text}" for name, text in recorded.search.items()]
    filled.search = given if said.search is None else given + said.search
    if filled.envs_per_member is None:
        filled.envs_per_member = recorded.agent_options.get("envs_per_member")
    return filled


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
    """Every method on every seed, then the random policy, then the report."""
    run.write_manifest(manifest)
    total = config.population * config.frames * len(config.methods) * len(config.seeds)
    progress = Progress(total, sys.stdout)
    executor = make_executor(task, workers)
    started = time.perf_counter()
    try:
        for seed in config.seeds:
            for name in config.methods:
                _search(run, config, task, executor, progress, name, seed)
    finally:
        progress.close()
        executor.close()
    manifest["overhead"] = {"wall_s": time.perf_counter() - started, "workers": workers}
    with heard():
        random_policy = task.random_policy(config.seeds[0])
    manifest["random_policy"] = {"returns": list(random_policy.returns), "frames": random_policy.frames}
    manifest["status"] = "finished"
    run.write_manifest(manifest)


def _search(run: Run, config: RunConfig, task: RLTask, executor: Executor, progress: Progress, name: str, seed: int) -> None:
    board = TensorBoard(run.method_folder(name, seed), make_space(config))
    progress.begin(f"{name}, seed {seed}")
    try:
        search(
            make_method(name, config, seed, task.quantum),
            executor=executor,
            journal=Journal(run.ledger(name, seed)),
            checkpoints=run.checkpoints(name, seed),
            root_seed=seed,
            group_size=config.group_size,
            observers=(board, progress),
        )
    finally:
        board.close()


def bench(argv: Sequence[str]) -> None:
    said = build_parser().parse_args(argv)
    if said.methods == ["help"]:
        print("\n".join(f"{name:8} {entry.description}" for name, entry in METHODS.items()))
        return
    if said.env == quadratic.NAME:
        quadratic.bench(said.out, said.seeds or [0])
        return
    run, config = open_run(said)
    task = make_task(config)
    workers = default_workers(config) if said.workers is None else _positive("--workers", said.workers)
    make_method(config.methods[0], config, config.seeds[0], task.quantum)  # a plan that cannot be fails before a folder is made
    if said.dry_run:
        print("\n".join(plan_lines(config, task, workers)))
        return
    manifest = run.manifest() if run.manifest_path.exists() else manifest_of(config, argv)
    if manifest["status"] == "finished":
        print(f"{run.folder} is finished: rebuilding its report")
    else:
        print(
            f"run {run.folder}; stop it with Ctrl-C, go on with: python -m rl_pbt.bench --resume {run.folder}",
            flush=True,
        )
        try:
            with held():
                execute(run, config, task, workers, {**manifest, "status": "running"})
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


if __name__ == "__main__":
    main()
