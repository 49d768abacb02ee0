"""How many members the controller can handle: PBT on the quadratic of Jaderberg 2017, whose training costs nothing.

    python -m benchmarks.controller [--members N ...] [--out FILE.json]

Ledger and checkpoints are written as durably as ever. Each run is stopped in its last generation and resumed. Each size has one
process of its own, with one thread; its peak memory is the operating system's figure.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measuring import alone, provenance, read, write
from rl_pbt.controller import Journal, search
from rl_pbt.executors import InlineExecutor
from rl_pbt.quadratic import QuadraticTask
from rl_pbt.records import Proposal, Result, Test
from rl_pbt.search import METHODS, Plan, Setup
from rl_pbt.space import Space
from rl_pbt.store import Run

MEMBERS = (1_000, 2_000, 5_000, 10_000)
GENERATIONS = 10
INTERVAL = 10
GROUP = 1_000
SPACE = Space.parse({"h0": "linear:0:1", "h1": "linear:0:1"})


class Stopped(Exception):
    """Stands for a kill."""


class Stopper:
    """An observer that stops the run after so many results."""

    def __init__(self, results: int) -> None:
        self._left = results

    def proposed(self, proposals: Sequence[Proposal]) -> None:
        """Goes on."""

    def finished(self, proposal: Proposal, result: Result, *, replayed: bool) -> None:
        self._left -= 1
        if self._left == 0:
            raise Stopped

    def tested(self, test: Test) -> None:
        """Goes on."""


def run(folder: Path, members: int, stop_after: int | None) -> float:
    """Seconds until it ended or stopped."""
    plan = Plan(population=members, frames_per_member=GENERATIONS * INTERVAL, interval=INTERVAL)
    ledger = Run(folder).ledger("pbt", 0)
    started = time.perf_counter()
    with contextlib.suppress(Stopped):
        search(
            METHODS["pbt"].make(Setup(space=SPACE, plan=plan, root_seed=0)),
            executor=InlineExecutor(QuadraticTask()),
            journal=Journal(ledger),
            checkpoints=Run(folder).checkpoints("pbt", 0),
            root_seed=0,
            group_size=GROUP,
            test_episodes=1,
            observers=[Stopper(stop_after)] if stop_after else [],
        )
    return time.perf_counter() - started


def measure(members: int) -> dict[str, Any]:
    """Of one size; to be run in a process of its own."""
    proposals = members * GENERATIONS
    stopped_after = proposals - members // 2
    with tempfile.TemporaryDirectory() as folder:
        forward_s = run(Path(folder), members, stopped_after)
        peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        resume_s = run(Path(folder), members, None)
        events = Run(Path(folder)).ledger("pbt", 0).read()
        ended = events[-1]["event"] == "ended" and sum(event["event"] == "finished" for event in events) == proposals
    if not ended:
        raise SystemExit(f"the resumed run of {members} members did not end as it should")
    return {
        "members": members,
        "generations": GENERATIONS,
        "proposals": proposals,
        "proposals_per_s": stopped_after / forward_s,
        "peak_memory_mib": peak_mib,
        "resume_s": resume_s,
    }


def table(results: Mapping[str, Mapping[str, Any]]) -> str:
    lines = ["| members | proposals | proposals/s | peak memory | resumed in |", "| ---: | ---: | ---: | ---: | ---: |"]
    for one in results.values():
        cells = [f"{one['members']:,}", f"{one['proposals']:,}", f"{one['proposals_per_s']:,.0f}"]
        cells += [f"{one['peak_memory_mib']:,.0f} MiB", f"{one['resume_s']:.1f} s"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table, write the file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.controller", description="Speed of the controller alone.")
    parser.add_argument("--members", type=int, nargs="+", default=list(MEMBERS))
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="write the figures there as well")
    said = parser.parse_args(arguments)
    results = read(said.out)
    for members in said.members:
        results[str(members)] = {**provenance(), **alone(measure, members)}
        write(said.out, results, table(results))
    print(table(results))


if __name__ == "__main__":
    main()
