"""Speed of whole runs, side by side with the same agent of Stable-Baselines3 (SB3), in agent steps per second.

    python -m benchmarks.throughput [--quick] [--out FILE.json]

Candidates take turns, so that a drift of the machine affects all of them; medians are reported. Each measurement runs in a
process of its own. SB3 is timed from the start of `learn()`; ours from the first proposal to the end of the run, including
evaluation, final test, checkpoints and ledger. `train` counts training steps alone, as SB3 does; `all` also counts those of
evaluation and of the final test.
"""

from __future__ import annotations

import importlib
import importlib.util
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

from benchmarks.measuring import Entry, Measurement, Results, alone, parser, run, spread
from rl_pbt.provenance import ROOT
from rl_pbt.records import Cost
from rl_pbt.store.history import read_history
from rl_pbt.store.run import RunFolder
from rl_pbt.text import table

Figures: TypeAlias = dict[str, dict[str, float]]  # by name: a `measuring.Spread` in JSON; under "ratios" one number each

SB3_ENVS = 16
CEILING_ENVS = 8  # in each process, as many as a member has


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One environment and how much to run of it; `frames` are for each member, as on the command line."""

    env: str
    agent: str = "a2c"
    methods: tuple[str, ...] = ("pbt",)
    population: int = 8
    workers: int = 2
    frames: int
    interval: int
    sb3_steps: int
    ceiling_s: float | None = None

    @property
    def name(self) -> str:
        """The name of its row; A2C, the agent of most rows, goes without saying."""
        return self.env if self.agent == "a2c" else f"{self.env}, {self.agent}"


# Pacman has the frames and the interval that are the command line's defaults; all others have fewer frames.
SETTINGS = (
    Setting(
        env="CartPole-v1",
        methods=("pbt", "random"),
        population=16,
        frames=200_000,
        interval=20_000,
        sb3_steps=144_000,
    ),
    Setting(env="Pacman", frames=200_000, interval=40_000, sb3_steps=16_000, ceiling_s=15.0),
    Setting(env="Acrobot-v1", frames=100_000, interval=10_000, sb3_steps=80_000),
    Setting(env="LunarLander-v3", frames=80_000, interval=8_000, sb3_steps=80_000),
    Setting(env="MinAtar/Breakout-v1", frames=80_000, interval=8_000, sb3_steps=80_000),
    Setting(env="CartPole-v1", agent="ppo", frames=100_000, interval=10_000, sb3_steps=80_000),
    Setting(env="LunarLander-v3", agent="ppo", frames=80_000, interval=8_000, sb3_steps=80_000),
)
QUICK_SHARE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounting:
    """What one run of ours did and how long it took.

    `working_s` are the seconds that workers spent on environments and networks; `command_wall_s` also holds start-up
    and the report.
    """

    train_frames: int
    eval_frames: int
    test_frames: int
    frame_skip: int
    wall_s: float
    workers: int
    working_s: float
    command_wall_s: float


def steps_per_second(frames: int, frame_skip: int, wall_s: float) -> float:
    """Agent steps per second; an agent step is `frame_skip` frames. Raises ValueError for a skip below 1, and for no time."""
    if frame_skip < 1 or wall_s <= 0:
        raise ValueError(f"a rate needs a frame skip of 1 at least and time above 0, but has {frame_skip} and {wall_s}")
    return frames / frame_skip / wall_s


def overhead_share(wall_s: float, workers: int, working_s: float) -> float:
    """The share of the workers' time that is spent neither in environments nor in networks.

    It is spent on controller, ledger, checkpoints, TensorBoard and progress, but also on starting processes and waiting for each
    other. Raises ValueError for times that do not fit together.
    """
    if workers < 1 or not 0 <= working_s <= wall_s * workers or wall_s == 0:
        raise ValueError(f"work took {working_s} s of {workers} x {wall_s} s: they must fit in the run")
    return 1.0 - working_s / (wall_s * workers)


def accounting_of(folder: RunFolder, frame_skip: int, command_wall_s: float) -> Accounting:
    """The accounting of a finished run, over all its methods and seeds. Raises ValueError if it does not tell its time."""
    manifest = folder.manifest()
    if manifest.elapsed_s is None or manifest.last.workers is None:
        raise ValueError(f"{folder.folder} does not say how long it took with how many workers")
    histories = [read_history(folder, name, seed) for name in manifest.config.methods for seed in manifest.config.seeds]
    spent = sum((history.cost for history in histories), Cost())
    tested = sum((history.test.cost for history in histories if history.test), Cost())
    return Accounting(
        train_frames=spent.train_units,
        eval_frames=spent.eval_units,
        test_frames=tested.eval_units,
        frame_skip=frame_skip,
        wall_s=manifest.elapsed_s,
        workers=manifest.last.workers,
        working_s=spent.wall_s + tested.wall_s,
        command_wall_s=command_wall_s,
    )


def rates(accounting: Accounting) -> dict[str, float]:
    """Both rates of a run of ours, and the time that it spends outside of intervals."""
    frames = accounting.train_frames + accounting.eval_frames + accounting.test_frames
    return {
        "train": steps_per_second(accounting.train_frames, accounting.frame_skip, accounting.wall_s),
        "all": steps_per_second(frames, accounting.frame_skip, accounting.wall_s),
        "overhead": overhead_share(accounting.wall_s, accounting.workers, accounting.working_s),
        "start-up and report, s": accounting.command_wall_s - accounting.wall_s,
    }


def compare(runs: Sequence[Mapping[str, float]], sb3: Sequence[float], ceiling: Sequence[float]) -> Figures:
    """The figures of one environment from those of its repeats; ratios are of medians, `ceiling` may be empty."""
    spreads = {name: spread([run[name] for run in runs]) for name in runs[0]}
    peer = spread(sb3)
    figures: Figures = {name: asdict(one) for name, one in {**spreads, "sb3": peer}.items()}
    figures["ratios"] = {f"{name}/sb3": spreads[name].median / peer.median for name in ("train", "all")}
    if ceiling:
        figures["ceiling"] = asdict(spread(ceiling))
        for name in ("train", "all"):
            figures["ratios"][f"{name}/ceiling"] = spreads[name].median / figures["ceiling"]["median"]
    return figures


def shortened(setting: Setting, share: int) -> Setting:
    """The same setting with `1/share` of the work."""
    return replace(
        setting,
        frames=setting.frames // share,
        interval=setting.interval // share,
        sb3_steps=setting.sb3_steps // share,
        ceiling_s=None if setting.ceiling_s is None else setting.ceiling_s / share,
    )


def bench_command(setting: Setting, out: Path) -> list[str]:
    """The command line of a run of ours."""
    return [
        *(
            sys.executable,
            "-m",
            "rl_pbt.bench",
            "--env",
            setting.env,
            "--agent",
            setting.agent,
            "--methods",
            *setting.methods,
            "--out",
            str(out),
        ),
        *("--population", str(setting.population), "--workers", str(setting.workers)),
        *("--frames", str(setting.frames), "--interval", str(setting.interval), "--seeds", "0"),
    ]


def run_ours(setting: Setting) -> dict[str, float]:
    """Rates of a run of ours, from its command to its report."""
    from rl_pbt.envs import resolve

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        start = time.perf_counter()
        done = subprocess.run(bench_command(setting, out), cwd=ROOT, capture_output=True, text=True, check=False)
        command_wall_s = time.perf_counter() - start
        if done.returncode:
            raise SystemExit(f"the run on {setting.name} failed:\n{done.stderr or done.stdout}")
        return rates(accounting_of(RunFolder(out), resolve(setting.env).frame_skip, command_wall_s))


def run_sb3(setting: Setting) -> float:
    """Agent steps per second of SB3's agent with its defaults on 16 environments."""
    from benchmarks.sb3_agents import train

    steps, wall_s = train(setting.env, setting.agent, copies=SB3_ENVS, steps=setting.sb3_steps)
    return steps_per_second(steps, 1, wall_s)


def run_ceiling(setting: Setting) -> float:
    """Agent steps per second of our vector environments alone, with random actions, in as many processes as workers."""
    with ProcessPoolExecutor(setting.workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        return sum(pool.map(_step_environments, [setting] * setting.workers))


def _step_environments(setting: Setting) -> float:
    from rl_pbt.envs import make_vector, resolve

    vector = make_vector(resolve(setting.env), CEILING_ENVS)
    vector.reset(seed=0)
    vector.action_space.seed(0)
    actions = [vector.action_space.sample() for _ in range(64)]
    for warm_up in actions:
        vector.step(warm_up)
    calls, start = 0, time.perf_counter()
    while (wall_s := time.perf_counter() - start) < (setting.ceiling_s or 0):
        vector.step(actions[calls % len(actions)])
        calls += 1
    vector.close()
    return steps_per_second(calls * CEILING_ENVS, 1, wall_s)


def measure(setting: Setting, repeats: int) -> Entry:
    """All candidates of one environment in turn, `repeats` times."""
    runs, sb3, ceiling = [], [], []
    for repeat in range(repeats):
        print(f"{setting.name}: repeat {repeat + 1} of {repeats}", file=sys.stderr, flush=True)
        runs.append(alone(run_ours, setting))
        sb3.append(alone(run_sb3, setting))
        if setting.ceiling_s is not None:
            ceiling.append(alone(run_ceiling, setting))
    opencv = importlib.import_module("cv2").__version__  # which SB3's Atari wrappers resize with
    return {"opencv": opencv, "setting": asdict(setting), **compare(runs, sb3, ceiling)}


# Figures in an entry -> what the table calls them.
LABELS = {
    "train": "rl_pbt, training steps",
    "all": "rl_pbt, all steps",
    "sb3": f"SB3, {SB3_ENVS} environments",
    "ceiling": f"our environments alone, {CEILING_ENVS} a process",
}


def page(results: Results) -> str:
    """The figures as a Markdown table, and what is neither environments nor networks."""
    header = ["environment", "what", "steps/s, median", "min", "max", "against SB3", "of the ceiling"]
    rows = [_row(env, key, figures) for env, figures in results.items() for key in LABELS if key in figures]
    overheads = [
        f"{env}: {one['overhead']['median']:.1%} of worker time is neither environments nor networks"
        for env, one in results.items()
    ]
    return "\n".join([table(header, rows).rstrip("\n"), "", *overheads])


def _row(env: str, key: str, figures: Figures) -> list[str]:
    against, share = (figures["ratios"].get(f"{key}/{other}") for other in ("sb3", "ceiling"))
    return [
        *(env, LABELS[key], *(f"{figures[key][name]:,.0f}" for name in ("median", "min", "max"))),
        *(f"{against:.2f}x" if against else "", f"{share:.0%}" if share else ""),
    ]


def main(words: Sequence[str] | None = None) -> None:
    """Measure each environment, write the file, print its page."""
    arguments = parser("throughput", __doc__)
    arguments.add_argument("--quick", action="store_true", help=f"one repeat of 1/{QUICK_SHARE} of the work")
    arguments.add_argument("--repeats", type=int, help="measurements of each candidate (default 5)")
    arguments.add_argument("--env", choices=sorted({one.env for one in SETTINGS}), help="this environment only")
    args = arguments.parse_args(words)
    if importlib.util.find_spec("cv2") is None:
        raise SystemExit("Stable-Baselines3's Atari wrappers need OpenCV: pip install -e '.[bench]'")
    repeats = args.repeats or (1 if args.quick else 5)
    todo = [
        Measurement(
            place=(one.name,),
            asked={"quick": args.quick, "repeats": repeats},
            make=partial(measure, shortened(one, QUICK_SHARE) if args.quick else one, repeats),
        )
        for one in SETTINGS
        if args.env in (None, one.env)
    ]
    run(todo, out=args.out, page=page)


if __name__ == "__main__":
    main()
