"""What IMPALA's acting and learning gain from a second core, by each way of using it, in agent steps per second.

    python -m benchmarks.overlap [--env ID ...] [--repeats N] [--unrolls N] [--out FILE.json]

Four members train on one worker with the family's defaults, on one core and on two. What may go on side by side:

* in turn: nothing; environments step one member after the other, and updates wait for the unroll;
* begun: environments of all members are begun together (ale_py's `send`) and then waited for (`recv`);
* begun, updated meanwhile: an update is computed between the first `send` and its `recv`;
* thread: updates are computed in a thread, environments step in turn;
* thread, begun: both.

Ways take turns within one process, an interval each, so that a machine that drifts drifts for all of them. Reported are medians
of the rates, and of the ratios within a round.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, final
from unittest import mock

from benchmarks.learning import CASES, configuration
from benchmarks.measuring import alone, is_made, provenance, read, spread, write
from envs import begin_step
from rl_pbt import seeds, training
from rl_pbt.bench.command import make_task
from rl_pbt.executors import IntervalJob
from rl_pbt.records import Proposal
from rl_pbt.store import Checkpoints
from rl_pbt.training import RLTask

MEMBERS = 4
ENVS = ("ALE/Pong-v5", "ALE/Breakout-v5")
WAYS = ("in turn", "begun", "begun, updated meanwhile", "thread", "thread, begun")
CORES = (1, 2)


@final
class _Meanwhile(Executor):
    """What is submitted is done when environments that have been begun are about to be waited for."""

    def __init__(self) -> None:
        self._waiting: list[Callable[[], None]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        self._waiting.append(lambda: done.set_result(fn(*args, **kwargs)))
        return done

    def begin_step(self, env: Any, actions: Any) -> Callable[[], Any]:
        wait = begin_step(env, actions)

        def after_updates() -> Any:
            while self._waiting:
                self._waiting.pop()()
            return wait()

        return after_updates


def speeds(question: tuple[str, int, int, int]) -> dict[str, list[float]]:
    """Agent steps per second of each of WAYS in an environment, on so many cores: intervals of so many unrolls, in turn."""
    env, cores, unrolls, repeats = question
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    config = configuration(next(case for case in CASES if case.env == env), "impala")
    config = replace(config, population=MEMBERS, group_size=MEMBERS, fitness="training")
    task = make_task(config, workers=1)
    steps = task.agent_config.unroll_length * task.agent_config.envs_per_member  # of an unroll of one member
    hypers = config.space.sample(seeds.rng(0, purpose="measure"))
    proposals = tuple(
        Proposal(id=m, member=m, generation=0, hypers=hypers, parent=None, frames=unrolls * steps * config.frame_skip)
        for m in range(MEMBERS)
    )
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(Path(folder))
        job = IntervalJob(proposals=proposals, lineage_frames=(0,) * MEMBERS, root_seed=0, checkpoints=checkpoints)
        for _ in range(repeats):
            for way, rates in found.items():
                rates.append(MEMBERS * steps / _seconds_an_unroll(task, job, way))
    return found


def _seconds_an_unroll(task: RLTask, job: IntervalJob, way: str) -> float:
    """From the first unroll to the last: environments take seconds to be made and seeded, whichever way they step."""
    collected: list[float] = []
    with _working(way):
        replace(task, overlap=way != "in turn").interval(job, lambda _: collected.append(time.perf_counter()))
    return (collected[-1] - collected[0]) / (len(collected) - 1)


@contextmanager
def _working(way: str) -> Iterator[None]:
    """Take from a task that may overlap what is not of this way."""
    meanwhile = _Meanwhile()
    changes: dict[str, dict[str, Any]] = {
        "in turn": {},
        "begun": {"rl_pbt.training._learner": lambda *_: training._AtOnce()},
        "begun, updated meanwhile": {
            "rl_pbt.training._learner": lambda *_: meanwhile,
            "rl_pbt.actors.begin_step": meanwhile.begin_step,
        },
        "thread": {"rl_pbt.actors.begin_step": lambda env, actions: partial(env.step, actions)},
        "thread, begun": {},
    }
    with ExitStack() as patches:
        for name, instead in changes[way].items():
            patches.enter_context(mock.patch(name, instead))
        yield


def of_environment(env: str, *, unrolls: int, repeats: int) -> dict[str, Any]:
    """Rates of all ways, and of each the median over the rounds of its ratio to everything in turn."""
    found = {}
    for cores in CORES:
        rates = alone(speeds, (env, cores, unrolls, repeats))
        found[f"{cores} cores"] = {
            way: {
                **asdict(spread(rates[way])),
                "ratio": asdict(spread([one / base for one, base in zip(rates[way], rates[WAYS[0]], strict=True)])),
            }
            for way in WAYS
        }
    return found


def table(results: Any) -> str:
    """Medians, and beside them the ratio to doing everything in turn on as many cores."""
    lines = ["| environment | cores | " + " | ".join(WAYS) + " |", "| --- | ---: |" + " ---: |" * len(WAYS)]
    for env, entry in results.items():
        for cores in CORES:
            ways = [entry[f"{cores} cores"][way] for way in WAYS]
            cells = " | ".join(f"{way['median']:,.0f} ({way['ratio']['median']:.2f}x)" for way in ways)
            lines.append(f"| {env} | {cores} | {cells} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table, write the file after each environment."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overlap", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--env", nargs="+", choices=ENVS, default=ENVS, help="only these")
    parser.add_argument("--repeats", type=int, default=3, help="rounds (default 3)")
    parser.add_argument("--unrolls", type=int, default=9, help="of each interval, timed but for the first (default 9)")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="write the figures there as well")
    said = parser.parse_args(arguments)
    if not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < max(CORES):
        parser.error(f"needs a system that can keep a process to some of its cores (Linux), and {max(CORES)} of them")
    results = read(said.out)
    for env in said.env:
        asked = {"repeats": said.repeats, "unrolls": said.unrolls}
        if not is_made(results.get(env), asked):
            results[env] = {**provenance(), **asked, **of_environment(env, **asked)}
            write(said.out, results, table(results))
    print(table(results))


if __name__ == "__main__":
    main()
