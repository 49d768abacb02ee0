"""What Ray costs on one machine: the same run with `--executor processes` and with `--executor ray`, in wall-clock time.

    python -m benchmarks.ray_overhead [--env ID ...] [--frames N] [--repeats N] [--out FILE.json]

Whole commands are timed, from the first import to the report, so that Ray's start and end are part of it. Everything else is at
its default, and so is the budget if none is given. The two take turns, and each round begins with the other one, so that a drift
of the machine affects both. Medians of the times, and of the ratios within a round, are reported.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

from benchmarks.measuring import Measurement, parser, run, spread
from rl_pbt.errors import UserError
from rl_pbt.text import table

EXECUTORS = ("processes", "ray")
ENVS = ("CartPole-v1", "Acrobot-v1", "Pacman")  # runs of a minute, a few minutes, and more than ten


class Overhead(TypedDict):
    """Seconds of whole runs, median, least and greatest, and the spread of ray's ratio to processes."""

    seconds: dict[str, dict[str, float]]
    ratio: dict[str, float]


def compare(env: str, *, frames: int | None, repeats: int) -> Overhead:
    """Time runs in an environment. Raises UserError if one fails, for instance because Ray is not installed."""
    found: dict[str, list[float]] = {name: [] for name in EXECUTORS}
    for number in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            for name in EXECUTORS if number % 2 == 0 else reversed(EXECUTORS):
                found[name].append(seconds_of(env, frames, name, Path(folder) / name))
            if (ray := ledgers(Path(folder) / "ray")) != ledgers(Path(folder) / "processes") or not ray:
                raise SystemExit(f"the runs of {env} differ, so there is nothing to compare")
    ratios = [ray / processes for ray, processes in zip(found["ray"], found["processes"], strict=True)]
    return {"seconds": {name: asdict(spread(found[name])) for name in EXECUTORS}, "ratio": asdict(spread(ratios))}


def seconds_of(env: str, frames: int | None, executor: str, out: Path) -> float:
    """The seconds that one command takes. Raises UserError if it fails."""
    words = ["--env", env, "--executor", executor, "--out", str(out), *([] if frames is None else ["--frames", str(frames)])]
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "rl_pbt.bench", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise UserError(f"with the executor {executor}: {done.stderr.strip()}")
    return time.perf_counter() - began


def ledgers(folder: Path) -> list[Any]:
    """The lines of all ledgers of a run, without times."""
    return [_timeless(json.loads(line)) for path in folder.rglob("ledger.jsonl") for line in path.read_text().splitlines()]


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _timeless(inner)
            for key, inner in value.items()
            if key not in ("time", "cpu_s", "wall_s", "method_s", "eval_cpu_s", "crc")
        }
    return [_timeless(inner) for inner in value] if isinstance(value, list) else value


def page(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Median seconds of both, and the median of the ratios with the least and the greatest."""
    header = ["environment", "frames a member", "rounds", *EXECUTORS, "ray / processes"]
    return table(header, [_row(env, entry) for env, entry in results.items()])


def _row(env: str, entry: Mapping[str, Any]) -> list[str]:
    ratio = entry["ratio"]
    return [
        env,
        "default" if entry["frames"] is None else f"{entry['frames']:,}",
        str(entry["repeats"]),
        *(f"{entry['seconds'][name]['median']:.1f} s" for name in EXECUTORS),
        f"{ratio['median']:.3f} ({ratio['min']:.3f} to {ratio['max']:.3f})",
    ]


def main(words: Sequence[str] | None = None) -> None:
    """Measure each environment, write the file, print its page."""
    arguments = parser("ray_overhead", __doc__)
    arguments.add_argument("--env", nargs="+", choices=ENVS, default=ENVS[:1], help="default: CartPole-v1")
    arguments.add_argument("--frames", type=int, help="of each member (default: the environment's own)")
    arguments.add_argument("--repeats", type=int, default=5, help="rounds (default 5)")
    args = arguments.parse_args(words)
    todo = []
    for env in args.env:
        asked = {"frames": args.frames, "repeats": args.repeats}
        todo.append(Measurement(place=(env,), asked=asked, make=partial(compare, env, **asked)))
    run(todo, out=args.out, page=page)


if __name__ == "__main__":
    main()
