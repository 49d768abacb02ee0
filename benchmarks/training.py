"""Training alone: an interval of ours, without evaluation, as a worker does it, on one core."""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rl_pbt.executors.memory import keep_freed_memory
from rl_pbt.options import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Each of `members` has `copies` of an environment and learns from `unroll` steps of each copy at a time."""

    env: str
    members: int
    copies: int
    unroll: int
    updates: int  # in a measurement

    @property
    def steps(self) -> int:
        """Agent steps of all members in a measurement."""
        return self.members * self.copies * self.unroll * self.updates


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A measurement: its seconds, and the mean return of the members' episodes that ended in it."""

    wall_s: float
    mean_return: float


def on_one_core() -> None:
    """Hold this process to one core, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def train(setting: Setting, hypers: Settings) -> Trained:
    """Time a second interval, as long as the first. To be called in a process of its own, since it changes how that works."""
    import torch

    from rl_pbt.envs import resolve
    from rl_pbt.making import configure, make_task
    from rl_pbt.records import Proposal
    from rl_pbt.store.checkpoints import FolderCheckpoints
    from rl_pbt.tasks.base import IntervalJob

    on_one_core()
    torch.set_num_threads(1)
    keep_freed_memory()
    options = {"envs_per_member": setting.copies, "unroll_length": setting.unroll}
    config = configure({"env": setting.env, "agent_options": options, "search": hypers, "carry_episodes": False})
    task = make_task(config, workers=1).rehearsal()
    units = setting.copies * setting.unroll * setting.updates * resolve(setting.env).frame_skip
    with tempfile.TemporaryDirectory() as folder:
        for generation in (0, 1):
            proposals = tuple(
                Proposal(
                    id=generation * setting.members + member,
                    member=member,
                    generation=generation,
                    hypers={},
                    parent=member if generation else None,
                    units=units,
                )
                for member in range(setting.members)
            )
            job = IntervalJob(
                proposals=proposals,
                lineage_units=(generation * units,) * setting.members,
                root_seed=0,
                checkpoints=FolderCheckpoints(Path(folder)),
            )
            start = time.perf_counter()
            results = task.interval(job)
            wall_s = time.perf_counter() - start
    returns = [result.metrics.get("rollout/ep_rew_mean", 0.0) for result in results]
    return Trained(wall_s=wall_s, mean_return=sum(returns) / len(returns))
