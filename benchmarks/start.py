"""How long a command takes to begin: CPU seconds for `--help` and for a mistyped name, and seconds until training begins.

    python -m benchmarks.start [--repeats N] [--out FILE.json]

Whole commands are started, each as a process of its own. One that is not counted comes first and leaves compiled modules, as the
first command of an installation does. When an interval began is not recorded. It is computed as the time of its results minus the
seconds that its group of members took, both of which are in the ledger.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from typing import TypeAlias, TypedDict

from benchmarks.measuring import Measurement, parser, run, spread
from rl_pbt.store.events import Finished
from rl_pbt.store.run import RunFolder
from rl_pbt.text import table

REFUSED = 2  # exit status of a command with an invalid setting
RUN = ("--env", "CartPole-v1", "--methods", "pbt", "--frames", "20k", "--interval", "10k")


class Begun(TypedDict):
    """Median, least and greatest seconds of the repeats."""

    seconds: dict[str, float]


Variables: TypeAlias = Mapping[str, str]  # the environment of a process


def cpu_seconds(variables: Variables, words: Sequence[str], status: int) -> float:
    """CPU seconds from the start of a command to its end. Raises SystemExit if it ends with another status."""
    before = getrusage(RUSAGE_CHILDREN)
    done = subprocess.run(_command(words), env=variables, check=False, capture_output=True)
    after = getrusage(RUSAGE_CHILDREN)
    if done.returncode != status:
        raise SystemExit(f"{' '.join(words)} ended with status {done.returncode}")
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def seconds_to_training(variables: Variables) -> float:
    """Wall-clock seconds from the start of a command to the start of its first interval."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        started = time.time()
        subprocess.run(_command([*RUN, "--out", str(out)]), env=variables, check=True, capture_output=True)
        return began(RunFolder(out)) - started


def began(folder: RunFolder) -> float:
    """When the first interval of a run began, in seconds since 1970."""
    first, *others = [event for event in folder.ledger("pbt", 0).read() if isinstance(event, Finished)]
    of_member = first.result.cost.wall_s
    together = 1 + sum(event.result.cost.wall_s == of_member for event in others)  # a group shares its time
    return first.time - of_member * together


WHAT: Mapping[str, Callable[[Variables], float]] = {
    "`--help`, CPU": partial(cpu_seconds, words=["--help"], status=0),
    "a mistyped environment, CPU": partial(cpu_seconds, words=["--env", "Packman"], status=REFUSED),
    "until the first interval of CartPole": seconds_to_training,
}


def begin(what: str, repeats: int) -> Begun:
    """Measure so many times, after once that is not counted."""
    with tempfile.TemporaryDirectory() as compiled:
        variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        variables["PYTHONPYCACHEPREFIX"] = compiled
        _, *counted = [WHAT[what](variables) for _ in range(1 + repeats)]
    return {"seconds": asdict(spread(counted))}


def _command(words: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "rl_pbt.bench", *words]


def page(results: Mapping[str, Begun]) -> str:
    """A row for each thing that begins."""
    rows = [[what, *(f"{value:.2f} s" for value in one["seconds"].values())] for what, one in results.items()]
    return table(("what", "median", "least", "greatest"), rows)


def main(words: Sequence[str] | None = None) -> None:
    """Measure, write the file, print its page."""
    arguments = parser("start", __doc__)
    arguments.add_argument("--repeats", type=int, default=5, help="of each (default 5)")
    args = arguments.parse_args(words)
    todo = [Measurement(place=(what,), asked={"repeats": args.repeats}, make=partial(begin, what, args.repeats)) for what in WHAT]
    run(todo, out=args.out, page=page)


if __name__ == "__main__":
    main()
