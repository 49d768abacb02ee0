"""What IMPALA's acting and learning gain from a second core, by each way of using it, in agent steps per second.

    python -m benchmarks.overlap [--env ID ...] [--repeats N] [--unrolls N] [--out FILE.json]

Four members train on one worker with the family's defaults, on one core and on two. What may run side by side:

* in turn: nothing; environments step one member after the other, and updates wait for the unroll;
* begun: steps of all members' environments are begun together (ale_py's `send`) and then waited for (`recv`);
* thread: updates are computed in a thread, environments step in turn;
* thread, begun: both.

The ways take turns within one process, one interval each, so that a drift of the machine affects all of them. Medians of the
rates, and of the ratios within a round, are reported. A fifth way, updates between `send` and `recv`, was measured by commit
ad19d03. It was slower than both together, and is not part of the suite.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TypedDict

from benchmarks.learning import CASES, configuration
from benchmarks.measuring import Measurement, Spread, alone, parser, run, spread
from rl_pbt import seeds
from rl_pbt.making import machine
from rl_pbt.records import Proposal
from rl_pbt.store.checkpoints import FolderCheckpoints
from rl_pbt.tasks.base import IntervalJob
from rl_pbt.tasks.rl.interval import RLTask
from rl_pbt.tasks.rl.making import make
from rl_pbt.text import table

MEMBERS = 4  # that train on the one worker
ENVS = ("ALE/Pong-v5", "ALE/Breakout-v5")
# Name -> whether learning runs beside acting, and whether the members' environments step together.
WAYS = {"in turn": (False, False), "begun": (False, True), "thread": (True, False), "thread, begun": (True, True)}
CORES = (1, 2)  # that the worker may use


def speeds(question: tuple[str, int, int, int]) -> dict[str, list[float]]:
    """Agent steps per second of each of WAYS in an environment on `cores` cores, one rate for each repeated interval.

    The question is (environment, cores, unrolls, repeats). To be called in a process of its own, which keeps to those cores.
    """
    env, cores, unrolls, repeats = question
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    case = next(case for case in CASES if case.env == env)
    config = configuration(case, "impala", {"population": MEMBERS, "group_size": MEMBERS, "fitness": "training"})
    task = make(config, machine(workers=1))
    length = task.agent_config.unroll_length
    hypers = config.space.sample(seeds.rng(0, purpose="measure"))
    proposals = tuple(
        Proposal(id=m, member=m, generation=0, hypers=hypers, parent=None, units=unrolls * length * task.quantum)
        for m in range(MEMBERS)
    )
    steps = MEMBERS * length * task.agent_config.envs_per_member  # of an unroll of all members
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = FolderCheckpoints(Path(folder))
        job = IntervalJob(proposals=proposals, lineage_units=(0,) * MEMBERS, root_seed=0, checkpoints=checkpoints)
        for _ in range(repeats):
            for way, (beside, together) in WAYS.items():
                task = replace(task, learn_beside=beside, step_together=together)
                found[way].append(steps / _seconds_an_unroll(task, job))
    return found


def _seconds_an_unroll(task: RLTask, job: IntervalJob) -> float:
    """Seconds per unroll, without the first: making and seeding environments takes seconds, whichever way they step."""
    collected: list[float] = []
    task.interval(job, lambda units, _=None, /: collected.append(time.perf_counter()) if units else None)
    return (collected[-1] - collected[0]) / (len(collected) - 1)


class Rate(TypedDict):
    """Agent steps per second of one way, and the spread of its ratio to everything in turn."""

    median: float
    min: float
    max: float
    ratio: dict[str, float]


def compare(env: str, *, unrolls: int, repeats: int) -> dict[str, dict[str, Rate]]:
    """Rates of all ways in an environment, and for each the spread over the rounds of its ratio to everything in turn."""
    found: dict[str, dict[str, Rate]] = {}
    for cores in CORES:
        rates = alone(speeds, (env, cores, unrolls, repeats))
        in_turn = rates["in turn"]
        found[f"{cores} cores"] = {
            way: _rate(spread(rates[way]), spread([one / base for one, base in zip(rates[way], in_turn, strict=True)]))
            for way in WAYS
        }
    return found


def _rate(rate: Spread, ratio: Spread) -> Rate:
    return {"median": rate.median, "min": rate.min, "max": rate.max, "ratio": asdict(ratio)}


def page(results: Mapping[str, Mapping[str, Mapping[str, Rate]]]) -> str:
    """Medians, and beside them the ratio to doing everything in turn on as many cores."""
    rows = [
        [env, str(cores), *(_cell(entry[f"{cores} cores"][way]) for way in WAYS)]
        for env, entry in results.items()
        for cores in CORES
    ]
    return table(["environment", "cores", *WAYS], rows)


def _cell(way: Rate) -> str:
    return f"{way['median']:,.0f} ({way['ratio']['median']:.2f}x)"


def main(words: Sequence[str] | None = None) -> None:
    """Measure each environment, write the file, print its page."""
    arguments = parser("overlap", __doc__)
    arguments.add_argument("--env", nargs="+", choices=ENVS, default=ENVS, help="only these")
    arguments.add_argument("--repeats", type=int, default=3, help="rounds (default 3)")
    arguments.add_argument("--unrolls", type=int, default=9, help="of each interval, all timed except the first (default 9)")
    args = arguments.parse_args(words)
    if not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < max(CORES):
        arguments.error(f"needs a system that can keep a process to some of its cores (Linux), and {max(CORES)} of them")
    asked = {"repeats": args.repeats, "unrolls": args.unrolls}
    todo = [Measurement(place=(env,), asked=asked, make=partial(compare, env, **asked)) for env in args.env]
    run(todo, out=args.out, page=page)


if __name__ == "__main__":
    main()
