"""What a run would cost: the plan in words, and a time estimate from a short measurement on this machine."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rl_pbt import seeds
from rl_pbt.config import RunConfig
from rl_pbt.errors import UserError
from rl_pbt.making import plan_of
from rl_pbt.records import Proposal, Result
from rl_pbt.search import METHODS
from rl_pbt.store.checkpoints import FolderCheckpoints
from rl_pbt.tasks.base import IntervalJob, Task
from rl_pbt.tasks.registry import task_type, words_of
from rl_pbt.text import counted, duration, readable, value_text

FIRST_QUANTA = 32  # length of a measurement's first interval
LONGER = 4  # each further interval is this many times longer
MEASURABLE = 1e9  # units per second; anything faster, such as the quadratic (computed in closed form), is lost in the noise
DRAWS = 4  # of hyperparameters, until one does not fail
MOST_ROUNDS = 12  # of longer intervals: a training that takes no time would need ever more


def planned(config: RunConfig, task: Task, workers: int) -> tuple[list[str], float]:
    """The lines of the plan: what would be run, what it costs and, by a short measurement, about how long it takes here.

    The seconds that it would take are returned beside them. Raises UserError if nothing can be measured: every member fails.
    """
    words = words_of(config)
    total = plan_of(config, task).total * len(config.methods) * len(config.seeds)
    lost = config.budget % task.quantum
    rounded = f"; {lost} remain unused, since members train for multiples of {task.quantum}" if lost else ""
    plan = plan_of(config, task)
    pace, checkpoint_bytes = measure(config, task)
    seconds = _seconds(config, pace, workers)
    rate = f"{readable(pace.units_per_s)} {words.short_units}/s measured on one worker"
    if pace.units_per_s > MEASURABLE:
        rate = "training itself takes no time that could be measured"
    lines = [
        *task_type(config.task).describe(config, task),
        ("methods", f"{', '.join(config.methods)}; seeds {', '.join(map(str, config.seeds))}"),
        ("population", _population(config, workers)),
        ("budget", f"{readable(config.budget)} {words.units} per member, {readable(total)} in all, evaluation included{rounded}"),
        ("interval", f"{readable(config.interval)} {words.units}, {counted(plan.generations, 'generation')}"),
        ("tested on", f"{counted(config.test_episodes, words.episode, words.episodes)} with the winner"),
        ("would find", _would_find(config)),
        ("search", ", ".join(f"{name} {text}" for name, text in config.search.items())),
        ("fixed", ", ".join(f"{n} {value_text(v)}" for n, v in config.hypers.items() if n not in config.search) or "none"),
        ("checkpoints", _sizes(config, checkpoint_bytes)),
        ("time", f"about {duration(seconds)} ({rate})"),
    ]
    return labelled(lines), seconds


def labelled(lines: Iterable[tuple[str, str]]) -> list[str]:
    """The lines of a plan, from (label, text)."""
    return [f"{label:12} {text}" for label, text in lines]


def _population(config: RunConfig, workers: int) -> str:
    groups = f"{counted(config.population, 'member')} in groups of {config.group_size}, {counted(workers, 'worker')}"
    return groups if (idle := idle_workers(config, workers)) is None else f"{groups}: {idle}"


def idle_workers(config: RunConfig, workers: int) -> str | None:
    """What to tell a user who asked for more workers than can be busy at once; None where all can."""
    busy = config.jobs_at_once
    if workers <= busy:
        return None
    smaller = max(1, config.population * len(config.methods) * len(config.seeds) // workers)
    more = f"; --group-size {smaller} gives work to more of them" if smaller < config.group_size else ""
    return f"at most {busy} of {workers} workers are busy at once{more}"


def _would_find(config: RunConfig) -> str:
    """The smallest difference that this many seeds can show, for each family of comparisons."""
    from rl_pbt.report.comparison import contrasts  # noqa: PLC0415 - it loads SciPy, which the help does not need

    told = []
    for family, together in Counter(contrasts(config).values()).items():
        compared = "the primary contrast" if family == "primary" else counted(together, "comparison")
        told.append(f"{compared}: {detectable(together, len(config.seeds))}")
    return "; ".join(told) or "nothing: there is only one method"


def detectable(together: int, seeds: int) -> str:
    """The smallest difference that is found in each of so many comparisons that are corrected together."""
    from rl_pbt.report.chance import Chance  # noqa: PLC0415

    # With a spread of 1, the detectable difference is in standard deviations.
    chance = Chance(p_value=None, corrected=None, together=together, seeds=(seeds,), spread=1.0)
    if (found := chance.detectable) is None:
        return f"nothing; that takes {chance.needed} seeds"
    return f"{found:.1f} standard deviations over seeds, 4 times in 5"


def _sizes(config: RunConfig, checkpoint_bytes: int) -> str:
    each = checkpoint_bytes / 1e6
    running = f"{config.population * each:.1f} MB while a method runs (asha and hyperband: {each:.1f} MB per trial)"
    return f"{running}, {each:.1f} MB per winner afterwards"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The pace of one worker: seconds to begin an interval, and from then on units per second of the whole group."""

    start_s: float
    units_per_s: float


def _seconds(config: RunConfig, pace: Pace, workers: int) -> float:
    """Estimated seconds for all methods and seeds; a sequential method uses only one worker."""
    intervals = config.groups * max(1, config.budget // config.interval)
    busy = min(workers, config.jobs_at_once)
    alone = config.population * config.budget / pace.units_per_s + intervals * pace.start_s
    return len(config.seeds) * sum(alone / (1 if METHODS[name].sequential else busy) for name in config.methods)


def _refuse_if_all_failed(results: Sequence[Result]) -> None:
    """Raises UserError: such a run would end at its first generation, and what takes no time says nothing of it."""
    failures = [result.failure for result in results if result.failure is not None]
    if len(failures) == len(results):
        raise UserError(f"all members that were tried fail in a first short interval, so nothing is measured: {failures[-1]}")


def measure(config: RunConfig, task: Task, seconds: float = 3.0) -> tuple[Pace, int]:
    """The pace of one worker, measured by training one group for about `seconds`; and the size of a checkpoint in bytes.

    Raises UserError, with the reason, if all of the group fail, whichever of a few draws of hyperparameters they have.
    """
    size = min(config.group_size, config.population)
    drawn = seeds.rng(0, purpose="measure")
    task = task.rehearsal()
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = FolderCheckpoints(Path(folder))

        def timed(units: int) -> float:
            proposals = tuple(
                Proposal(id=m, member=m, generation=0, hypers=hypers, parent=None, units=units) for m in range(size)
            )
            job = IntervalJob(proposals=proposals, lineage_units=(0,) * size, root_seed=0, checkpoints=checkpoints)
            started = time.perf_counter()
            results = task.interval(job)
            took = time.perf_counter() - started
            _refuse_if_all_failed(results)
            return took

        short = max(1, min(FIRST_QUANTA, config.interval // task.quantum)) * task.quantum
        for draw in range(DRAWS):
            hypers = config.space.sample(drawn)
            try:
                timed(short)  # the first interval loads libraries and fills caches
                break
            except UserError:  # perhaps these hyperparameters diverge
                if draw == DRAWS - 1:
                    raise
        took, length = timed(short), short
        # `took` includes beginning an interval, which may be most of it: make intervals longer until training takes long enough.
        for _ in range(MOST_ROUNDS if took < seconds else 1):
            length *= LONGER
            if (more := timed(length) - took) > seconds / 2:
                break
        each = max(more, 1e-9) / (length - short)  # seconds for one unit of every member
        sizes = [path.stat().st_size for path in Path(folder).iterdir()]
    pace = Pace(start_s=max(0.0, took - short * each), units_per_s=size / each)
    return pace, max(sizes, default=0)
