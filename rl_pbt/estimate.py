"""What a run would cost: the plan in words, and a short measurement here."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path

from rl_pbt import seeds
from rl_pbt.config import RunConfig
from rl_pbt.executors import IntervalJob
from rl_pbt.records import Proposal
from rl_pbt.search import METHODS, Plan
from rl_pbt.store import Checkpoints
from rl_pbt.text import duration, readable
from rl_pbt.training import RLTask


def plan_lines(config: RunConfig, task: RLTask, workers: int) -> list[str]:
    """What would be run, what it costs, and about how long it takes here, by a short measurement."""
    total = config.population * config.frames * len(config.methods) * len(config.seeds)
    plan = Plan(population=config.population, frames_per_member=config.frames, interval=config.interval, quantum=task.quantum)
    frames_per_s, checkpoint_bytes = measure(config, task)
    ranges = ", ".join(f"{name} {text}" for name, text in config.search.items())
    held = ", ".join(f"{name} {value:g}" for name, value in config.hypers.items() if name not in config.search)
    options = ", ".join(f"{name}={value}" for name, value in config.agent_options.items())
    return [
        f"environment  {config.env}, frame skip {config.frame_skip}; agent {config.agent}",
        f"methods      {', '.join(config.methods)}; seeds {', '.join(map(str, config.seeds))}",
        f"population   {config.population} members in groups of {config.group_size}, {workers} worker processes",
        f"budget       {readable(config.frames)} frames a member, {readable(total)} in all, evaluation included",
        f"interval     {readable(config.interval)} frames, {plan.generations} generations",
        f"search       {ranges}",
        f"held         {held}",
        f"agent        {options}",
        f"checkpoints  {config.population * checkpoint_bytes / 1e6:.1f} MB while a method runs, "
        f"{checkpoint_bytes / 1e6:.1f} MB each after (asha and hyperband: one for every trial)",
        f"time         about {duration(_seconds(config, frames_per_s, workers))} "
        f"({readable(frames_per_s)} frames/s measured on one worker)",
    ]


def _seconds(config: RunConfig, frames_per_s: float, workers: int) -> float:
    """Of all methods and seeds; a method that does one thing after another has one worker."""
    of_one = config.population * config.frames / frames_per_s
    return len(config.seeds) * sum(of_one / (1 if METHODS[name].sequential else workers) for name in config.methods)


def measure(config: RunConfig, task: RLTask) -> tuple[float, int]:
    """Frames per second of one worker in a short interval of one group, and the bytes of a checkpoint."""
    size = min(config.group_size, config.population)
    hypers = config.space.sample
    frames = task.quantum * task.agent_config.unroll_length * 4
    proposals = tuple(
        Proposal(id=m, member=m, generation=0, hypers=hypers(seeds.rng(0, purpose="measure")), parent=None, frames=frames)
        for m in range(size)
    )
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(Path(folder))
        job = IntervalJob(proposals=proposals, lineage_frames=(0,) * size, root_seed=0, checkpoints=checkpoints)
        timed = replace(task, fitness="training")
        timed.interval(job)
        started = time.perf_counter()
        timed.interval(job)
        speed = size * frames / (time.perf_counter() - started)
        sizes = [path.stat().st_size for path in Path(folder).iterdir()]
    return speed, max(sizes, default=0)
