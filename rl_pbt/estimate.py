"""What a run would cost: the plan in words, and a short measurement here."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from rl_pbt import seeds
from rl_pbt.config import RunConfig
from rl_pbt.executors import IntervalJob
from rl_pbt.records import Proposal
from rl_pbt.search import METHODS, Plan
from rl_pbt.store import Checkpoints
from rl_pbt.text import duration, readable
from rl_pbt.training import RLTask

FEWEST_UNROLLS = 4


def plan_lines(config: RunConfig, task: RLTask, workers: int) -> list[str]:
    """What would be run, what it costs, and about how long it takes here, by a short measurement."""
    total = config.population * config.frames * len(config.methods) * len(config.seeds)
    plan = Plan(population=config.population, frames_per_member=config.frames, interval=config.interval, quantum=task.quantum)
    pace, checkpoint_bytes = measure(config, task)
    ranges = ", ".join(f"{name} {text}" for name, text in config.search.items())
    held = ", ".join(f"{name} {value:g}" for name, value in config.hypers.items() if name not in config.search)
    options = ", ".join(f"{name}={value}" for name, value in config.agent_options.items())
    return [
        f"environment  {config.env}, frame skip {config.frame_skip}; agent {config.agent}",
        f"methods      {', '.join(config.methods)}; seeds {', '.join(map(str, config.seeds))}",
        f"population   {config.population} members in groups of {config.group_size}, {workers} worker processes",
        f"budget       {readable(config.frames)} frames a member, {readable(total)} in all, evaluation included",
        f"interval     {readable(config.interval)} frames, {plan.generations} generations",
        f"judged by    {_judging(config, task)}",
        f"tested on    {config.test_episodes} episodes of the winner",
        f"search       {ranges}",
        f"held         {held}",
        f"agent        {options}",
        f"checkpoints  {config.population * checkpoint_bytes / 1e6:.1f} MB while a method runs, "
        f"{checkpoint_bytes / 1e6:.1f} MB each after (asha and hyperband: one for every trial)",
        f"time         about {duration(_seconds(config, pace, workers))} "
        f"({readable(pace.frames_per_s)} frames/s measured on one worker)",
    ]


def _judging(config: RunConfig, task: RLTask) -> str:
    if config.fitness == "training":
        return "the training episodes that end in a generation"
    text = f"{config.eval_episodes} episodes after each generation"
    if task.env.max_episode_frames is None:
        return text
    most = config.eval_episodes * task.env.max_episode_frames
    text += f", of {readable(task.env.max_episode_frames)} frames each at most"
    return f"{text}; where they last so long, fewer or shorter generations are trained" if 2 * most > config.interval else text


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Of one worker: seconds to begin an interval, and frames per second of the group from then on."""

    start_s: float
    frames_per_s: float


def _seconds(config: RunConfig, pace: Pace, workers: int) -> float:
    """Of all methods and seeds; a method that does one thing after another has one worker."""
    intervals = -(-config.population // config.group_size) * max(1, config.frames // config.interval)
    of_one = config.population * config.frames / pace.frames_per_s + intervals * pace.start_s
    return len(config.seeds) * sum(of_one / (1 if METHODS[name].sequential else workers) for name in config.methods)


def measure(config: RunConfig, task: RLTask, seconds: float = 3.0) -> tuple[Pace, int]:
    """Pace of one worker in intervals of one group, in training for about so many seconds, and the bytes of a checkpoint."""
    size = min(config.group_size, config.population)
    hypers = config.space.sample(seeds.rng(0, purpose="measure"))
    task = replace(task, fitness="training")
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(Path(folder))

        def timed(unrolls: int) -> float:
            frames = task.quantum * task.agent_config.unroll_length * unrolls
            proposals = tuple(
                Proposal(id=m, member=m, generation=0, hypers=hypers, parent=None, frames=frames) for m in range(size)
            )
            started = time.perf_counter()
            task.interval(IntervalJob(proposals=proposals, lineage_frames=(0,) * size, root_seed=0, checkpoints=checkpoints))
            return time.perf_counter() - started

        timed(FEWEST_UNROLLS)  # the first one loads libraries and fills caches
        short, more = timed(FEWEST_UNROLLS), FEWEST_UNROLLS
        # What begins an interval is in `short` too, and may be most of it: twice as many until they take long enough.
        while (longer := timed(FEWEST_UNROLLS + more) - short) < seconds / 2:
            more *= 2
        each = longer / more
        sizes = [path.stat().st_size for path in Path(folder).iterdir()]
    frames_of_unroll = size * task.quantum * task.agent_config.unroll_length
    pace = Pace(start_s=max(0.0, short - FEWEST_UNROLLS * each), frames_per_s=frames_of_unroll / each)
    return pace, max(sizes, default=0)
