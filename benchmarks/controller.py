"""How many members the controller can handle: PBT on the quadratic of Jaderberg 2017, whose training costs nothing.

    python -m benchmarks.controller [--sizes MEMBERS[xGENERATIONS] ...] [--out FILE.json]

Ledger and checkpoints are written as durably as in any run. Each run is stopped in its last generation, resumed, and reported
with its plots: these show every interval, so a long run of few members is measured, too. Each size is measured in a process of
its own, with one thread; peak memory is the operating system's figure.
"""

from __future__ import annotations

import contextlib
import resource
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NotRequired, TypedDict, final

from benchmarks.measuring import Measurement, alone, parser, run
from rl_pbt.config import RunConfig
from rl_pbt.controller import Search
from rl_pbt.making import configure, make_executor, make_method, make_task
from rl_pbt.records import FinalTest, Proposal, Result
from rl_pbt.store.history import read_history
from rl_pbt.store.journal import Journal
from rl_pbt.store.manifest import Manifest
from rl_pbt.store.run import RunFolder
from rl_pbt.text import NOTHING, table

SIZES = ("1000", "2000", "5000", "10000", "64x100")
GENERATIONS = 10  # if a size does not say how many
INTERVAL = 10  # gradient steps
GROUP_SIZE = 1_000  # members of one job at most


class Stopped(Exception):
    """Stands for a kill."""


@final
class Stopper:
    """An observer that stops the run after a number of results."""

    def __init__(self, results: int) -> None:
        self._left = results

    def proposed(self, proposals: Sequence[Proposal]) -> None:
        """Nothing stops here."""

    def finished(self, proposal: Proposal, result: Result, *, replayed: bool) -> None:
        """Raises Stopped at the last of these results."""
        self._left -= 1
        if self._left == 0:
            raise Stopped

    def incumbent_tested(self, test: FinalTest, units: int) -> None:
        """Nothing stops here."""

    def tested(self, test: FinalTest) -> None:
        """Nothing stops here."""


def shape_of(size: str) -> tuple[int, int]:
    """Members and generations: "64x100" -> (64, 100). Raises ValueError for anything else than numbers."""
    members, _, generations = size.partition("x")
    return int(members), int(generations or GENERATIONS)


def configuration(members: int, generations: int) -> RunConfig:
    """PBT on the quadratic with a number of members and of generations."""
    return configure(
        {
            **{"task": "quadratic", "methods": ["pbt"], "seeds": [0], "test_episodes": 1},
            **{"population": members, "group_size": GROUP_SIZE, "budget": generations * INTERVAL, "interval": INTERVAL},
        }
    )


def search(folder: RunFolder, config: RunConfig, stop_after: int | None = None) -> float:
    """Begin or resume the run, and stop it after `stop_after` results. Returns the seconds that it took."""
    started = time.perf_counter()
    task = make_task(config, workers=1)
    with contextlib.suppress(Stopped):
        Search(
            title="pbt",
            population=config.population,
            method=make_method("pbt", config, 0, task),
            executor=make_executor(task, workers=1),
            journal=Journal(folder.ledger("pbt", 0)),
            checkpoints=folder.checkpoints("pbt", 0),
            root_seed=0,
            group_size=config.group_size,
            test_episodes=config.test_episodes,
            observers=[Stopper(stop_after)] if stop_after else [],
        ).run()
    return time.perf_counter() - started


def report(folder: RunFolder, config: RunConfig) -> float:
    """Write the report of the run, with its plots. Returns the seconds that it took."""
    from rl_pbt.report import write_report

    folder.write_manifest(Manifest(command="python -m benchmarks.controller", config=config, status="finished"))
    started = time.perf_counter()
    write_report(folder)
    return time.perf_counter() - started


class Size(TypedDict):
    """What was measured of one size of the population; an older entry may lack the report's figures."""

    members: int
    generations: int
    proposals: int
    proposals_per_s: float
    peak_memory_mib: float
    resume_s: float
    report_s: NotRequired[float]
    report_peak_memory_mib: NotRequired[float]


def measure(shape: tuple[int, int]) -> Size:
    """Measure one size, members and generations; to be called in a process of its own."""
    members, generations = shape
    config = configuration(members, generations)
    proposals = members * generations
    stopped_after = proposals - members // 2
    with tempfile.TemporaryDirectory() as name:
        folder = RunFolder(Path(name))
        forward_s = search(folder, config, stopped_after)
        peak_mib = _peak_mib()
        resume_s = search(folder, config)
        history = read_history(folder, "pbt", 0)
        if not history.ended or len(history.trials) != proposals:
            raise SystemExit(f"the resumed run of {members} members did not end as it should")
        del history
        report_s = report(folder, config)
    return {
        "members": members,
        "generations": generations,
        "proposals": proposals,
        "proposals_per_s": stopped_after / forward_s,
        "peak_memory_mib": peak_mib,
        "resume_s": resume_s,
        "report_s": report_s,
        "report_peak_memory_mib": _peak_mib(),
    }


def _peak_mib() -> float:
    """Peak memory of this process so far, in MiB (Linux counts in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def page(results: Mapping[str, Size]) -> str:
    """The figures as a Markdown table, a row for each size."""
    header = [
        "members",
        "generations",
        "proposals",
        "proposals/s",
        "peak memory",
        "resumed in",
        "reported in",
        "peak memory by then",
    ]
    return table(header, [_row(one) for one in results.values()])


def _row(one: Size) -> list[str]:
    reported = "report_s" in one
    return [
        *(f"{one['members']:,}", f"{one['generations']}", f"{one['proposals']:,}", f"{one['proposals_per_s']:,.0f}"),
        *(f"{one['peak_memory_mib']:,.0f} MiB", f"{one['resume_s']:.1f} s"),
        *((f"{one['report_s']:.1f} s", f"{one['report_peak_memory_mib']:,.0f} MiB") if reported else (NOTHING, NOTHING)),
    ]


def main(words: Sequence[str] | None = None) -> None:
    """Measure each size, write the file, print its page."""
    arguments = parser("controller", __doc__)
    arguments.add_argument("--sizes", nargs="+", default=list(SIZES), metavar="MEMBERS[xGENERATIONS]")
    args = arguments.parse_args(words)
    shapes = {size: shape_of(size) for size in args.sizes}
    todo = [Measurement(place=(size,), asked={}, make=partial(alone, measure, shape)) for size, shape in shapes.items()]
    run(todo, out=args.out, page=page)


if __name__ == "__main__":
    main()
