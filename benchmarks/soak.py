"""Whether anything grows: one process makes runs, one after another, and counts what it holds after each.

    python -m benchmarks.soak [--minutes N] [--out FILE.json]

In a round, an agent trains on CartPole with two workers, and the quadratic runs in the process itself. In every fifth round there
is one more run, whose environment crashes its workers. Counted are the process's memory, file descriptors, threads and children,
and what it left in shared memory and in a temporary folder of its own. Linux only: it reads /proc.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

from benchmarks.measuring import Entry, Measurement, alone, parser, run
from rl_pbt.errors import UserError
from rl_pbt.text import table

MINUTES = 30.0
CRASH_EVERY = 5  # rounds
WARM_UP = 0.25  # of the rounds: until caches are full
COUNTED = ("memory_mib", "descriptors", "threads", "children", "shared_memory", "temporary")
CRASHING = '''"""An environment that ends its process."""
import os
import gymnasium
from gymnasium.envs.classic_control import CartPoleEnv


class Crashing(CartPoleEnv):
    def step(self, action):
        os._exit(1)


gymnasium.register("Crashing-v0", Crashing, max_episode_steps=50)
'''


def counts(temporary: Path) -> dict[str, float]:
    """What this process holds now."""
    here = Path("/proc/self")
    resident_pages = int((here / "statm").read_text().split()[1])
    return {
        "memory_mib": resident_pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        "descriptors": len(list((here / "fd").iterdir())),
        "threads": len(list((here / "task").iterdir())),
        "children": len((here / "task" / str(os.getpid()) / "children").read_text().split()),
        "shared_memory": len(list(Path("/dev/shm").iterdir())),
        "temporary": len(list(temporary.rglob("*"))),
    }


def one_round(folder: Path, number: int) -> None:
    """A few runs, each in a folder of its own."""
    import rl_pbt

    small: dict[str, Any] = {"population": 2, "seeds": [number], "quiet": True}
    agent: dict[str, Any] = {
        "agent_options": {"envs_per_member": 2, "hidden": "8"},
        "frames": 800,
        "interval": 400,
        "eval_episodes": 1,
    }
    rl_pbt.bench("CartPole-v1", out=folder / f"agent-{number}", workers=2, group_size=1, **agent, **small)
    rl_pbt.tune("quadratic", {}, out=folder / f"quadratic-{number}", executor="inline", budget=40, interval=10, **small)
    if number % CRASH_EVERY == 0:
        try:
            rl_pbt.bench("crashing_env:Crashing-v0", out=folder / f"crash-{number}", executor="processes", **agent, **small)
        except UserError:
            return
        raise SystemExit("a run whose environment always crashes has ended well")


def soak(minutes: float) -> Entry:
    """The counts after each round; to be run in a process of its own."""
    found: dict[str, list[float]] = {name: [] for name in COUNTED}
    with tempfile.TemporaryDirectory() as runs, tempfile.TemporaryDirectory() as temporary:
        tempfile.tempdir = os.environ["TMPDIR"] = temporary
        (Path(runs) / "crashing_env.py").write_text(CRASHING)
        sys.path.insert(0, runs)
        ends = time.monotonic() + 60 * minutes
        while time.monotonic() < ends or len(found["threads"]) < 8:
            one_round(Path(runs), len(found["threads"]))
            for name, value in counts(Path(temporary)).items():
                found[name].append(value)
    return {"rounds": len(found["threads"]), "counted": {name: grown(values) for name, values in found.items()}}


class Growth(TypedDict):
    """Medians over the first and the last quarter of the rounds after the warm-up, and what was counted most."""

    first: float
    last: float
    most: float


def grown(values: Sequence[float]) -> Growth:
    """The growth of a count that was taken after each round, 8 times at least."""
    warm = values[int(WARM_UP * len(values)) :]
    quarter = max(1, len(warm) // 4)
    return {"first": statistics.median(warm[:quarter]), "last": statistics.median(warm[-quarter:]), "most": max(warm)}


def page(results: Mapping[str, Entry]) -> str:
    """The figures as a Markdown table, a row for each thing that was counted."""
    header = ["soak", "rounds", "counted", "first quarter", "last quarter", "most"]
    return table(
        header,
        [
            [name, str(one["rounds"]), what.replace("_", " "), *(f"{growth[key]:.0f}" for key in ("first", "last", "most"))]
            for name, one in results.items()
            for what, growth in one["counted"].items()
        ],
    )


def main(words: Sequence[str] | None = None) -> None:
    """Soak, write the file, print its page."""
    arguments = parser("soak", __doc__)
    arguments.add_argument("--minutes", type=float, default=MINUTES)
    args = arguments.parse_args(words)
    asked = {"minutes": args.minutes}
    run(
        [Measurement(place=(f"{args.minutes:g} minutes",), asked=asked, make=partial(alone, soak, args.minutes))],
        out=args.out,
        page=page,
    )


if __name__ == "__main__":
    main()
