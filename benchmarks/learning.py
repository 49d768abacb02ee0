"""What every agent learns in every family of environments, with the family's default hyperparameters and no search.

    python -m benchmarks.learning [--env ID ...] [--agent NAME ...] [--seeds N] [--share S | --default-budget] [--out FILE.json]

Seeds are members of one population that share nothing but the tensors. Each trains for the frames of its environment and is then
tested on episodes of its own test seeds; a uniformly random policy is shown beside it. `solved` is the field's usual mark.

With --default-budget they train for as many frames as a member of a run has by default. From these rows follows which agent is a
family's default; docs/architecture.md has the rule, and tests/test_reference.py holds the defaults to it.

Rows that are already in FILE.json stay, each with the commit that made it. A row that this commit made from the same number of
seeds and frames is not made again, so a run that was killed resumes where it stopped.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import TypedDict

from benchmarks.measuring import Measurement, estimate_cells, of_seeds, parser, run
from rl_pbt.config import RunConfig
from rl_pbt.executors import run_all
from rl_pbt.making import configure, make_executor, make_task
from rl_pbt.options import Settings
from rl_pbt.records import Hypers, Proposal
from rl_pbt.report.statistics import mean_of
from rl_pbt.store.checkpoints import FolderCheckpoints
from rl_pbt.tasks.base import FinalTestJob, IntervalJob
from rl_pbt.tasks.checkpoints import Checkpoints
from rl_pbt.text import readable, table

TEST_EPISODES = 32  # of each seed, and of the random policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An environment, the frames that a seed trains for, and the return that counts as solved, with the source of that mark.

    `published` is what others reached, for orientation only: their frames and protocols differ. "zoo" is the one A2C run that
    rl-baselines3-zoo's benchmark.md shows for each environment; its Atari steps are four frames each.
    """

    env: str
    frames: int
    solved: float
    mark: str
    published: str = "–"


CASES = (
    Case(env="CartPole-v1", frames=500_000, solved=475, mark="Gymnasium's reward threshold", published="500 (zoo, 500k)"),
    Case(env="Acrobot-v1", frames=500_000, solved=-100, mark="Gymnasium's reward threshold", published="-83.4 (zoo, 500k)"),
    Case(env="Pendulum-v1", frames=1_000_000, solved=-250, mark="usual; Gymnasium sets none", published="-163 (zoo, 1M)"),
    Case(
        env="LunarLander-v3", frames=1_500_000, solved=200, mark="Gymnasium's reward threshold", published="155.8 (zoo, v2, 200k)"
    ),
    Case(env="MinAtar/Breakout-v1", frames=600_000, solved=8, mark="Young & Tian 2019, actor-critic after 5M frames"),
    Case(env="MiniGrid-DoorKey-5x5-v0", frames=200_000, solved=0.9, mark="usual"),
    Case(env="InvertedPendulum-v5", frames=200_000, solved=950, mark="Gymnasium's reward threshold"),
    Case(env="VizdoomBasic-v1", frames=600_000, solved=50, mark="usual"),
    Case(env="VizdoomHealthGathering-v1", frames=2_000_000, solved=1_000, mark="ours: alive for half of the 2,100 tics"),
    Case(env="VizdoomMyWayHome-v1", frames=4_000_000, solved=0.5, mark="ours: half of the episodes find the armour"),
    Case(env="SMAX/3m-v0", frames=600_000, solved=1.5, mark="ours: more than half of the battles must be won for it"),
    Case(env="ALE/Pong-v5", frames=4_000_000, solved=0, mark="a draw", published="17.3 (zoo, 10M steps)"),
    Case(env="ALE/Breakout-v5", frames=4_000_000, solved=20, mark="usual for short runs", published="279.8 (zoo, 10M steps)"),
)
AGENTS: Mapping[str, Settings] = {
    "a2c": {"agent": "a2c"},
    "impala": {"agent": "impala"},
    "impala-lstm": {"agent": "impala", "agent_options": {"core": "lstm", "core_size": 64}},
    "ppo": {"agent": "ppo"},
}


def configuration(case: Case, agent: str, settings: Settings | None = None) -> RunConfig:
    """The suite's own defaults for that environment and agent, changed by `settings`."""
    return configure({"env": case.env, **AGENTS[agent], **(settings or {})})


class Learned(TypedDict):
    """One agent in one environment: the mean test return of each seed that did not fail, and what it took."""

    frames: int
    hypers: Hypers
    agent_options: Settings
    mean_test_returns: list[float]
    solved_by: int
    failures: list[str]
    train_wall_s: float
    random_policy: float
    solved: float
    mark: str


def learn(case: Case, agent: str, *, seeds: int, frames: int, workers: int, settings: Settings | None = None) -> Learned:
    """Train and test all seeds. Returns mean test returns by seed, what they cost, and the random policy's return."""
    config = configuration(case, agent, settings)
    task = make_task(config, workers)
    hypers = {name: config.hypers[name] for name in config.search}
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = FolderCheckpoints(Path(folder))
        executor = make_executor(task, workers)
        try:
            jobs = [_job(group, hypers, frames, checkpoints) for group in _groups(range(seeds), -(-seeds // workers))]
            results = [result for group in run_all(executor, jobs) for result in group]
            wall_s = time.perf_counter() - started
            tests = [_test(result.proposal, checkpoints) for result in results if result.failure is None]
            returns = [test.returns for test in run_all(executor, tests)]
        finally:
            executor.close()
    baseline = task.baseline(0, TEST_EPISODES)
    assert baseline is not None  # environments have a random policy
    return {
        "frames": results[0].cost.train_units,
        "hypers": dict(config.hypers),
        "agent_options": dict(config.task_options["agent_options"]),
        "mean_test_returns": [fmean(values) for values in returns],
        "solved_by": sum(fmean(values) >= case.solved for values in returns),
        "failures": [result.failure for result in results if result.failure],
        "train_wall_s": wall_s,
        "random_policy": fmean(baseline.returns),
        "solved": case.solved,
        "mark": case.mark,
    }


def _groups(items: Sequence[int], size: int) -> list[Sequence[int]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _job(members: Sequence[int], hypers: Hypers, frames: int, checkpoints: Checkpoints) -> IntervalJob:
    proposals = tuple(Proposal(id=m, member=m, generation=0, hypers=hypers, parent=None, units=frames) for m in members)
    return IntervalJob(proposals=proposals, lineage_units=(0,) * len(proposals), root_seed=0, checkpoints=checkpoints)


def _test(member: int, checkpoints: Checkpoints) -> FinalTestJob:
    """The test of a member, whose number is its root seed in the test."""
    return FinalTestJob(proposal=member, episodes=range(TEST_EPISODES), root_seed=member, checkpoints=checkpoints)


HEADER = (
    *("environment", "agent", "frames", "mean test return by seed", "mean", "95 % interval"),
    *("random", "published", "solved at", "by", "time"),
)


def page(results: Mapping[str, Mapping[str, Learned]]) -> str:
    """The results as a Markdown table, a row for each environment and agent."""
    found = [(case, agent, results.get(case.env, {}).get(agent)) for case in CASES for agent in AGENTS]
    return table(HEADER, [_row(case, agent, one) for case, agent, one in found if one])


def _row(case: Case, agent: str, one: Learned) -> list[str]:
    returns = one["mean_test_returns"]
    return [
        *(case.env, agent, readable(one["frames"]), ", ".join(f"{value:.4g}" for value in returns)),
        *estimate_cells(mean_of(of_seeds(returns)).to_json() if returns else None),
        *(f"{one['random_policy']:.4g}", case.published, f"{case.solved:g}"),
        *(f"{one['solved_by']} of {len(returns) + len(one['failures'])}", f"{one['train_wall_s']:.0f} s"),
    ]


def main(words: Sequence[str] | None = None) -> None:
    """Train and test every agent in every environment, write the file, print its page."""
    arguments = parser("learning", __doc__)
    arguments.add_argument("--env", nargs="+", choices=[case.env for case in CASES], help="only these")
    arguments.add_argument("--agent", nargs="+", choices=list(AGENTS), default=list(AGENTS), help="only these")
    arguments.add_argument("--seeds", type=int, default=5, help="how many (default 5)")
    frames = arguments.add_mutually_exclusive_group()
    frames.add_argument("--share", type=float, default=1.0, help="of each environment's frames (default 1)")
    frames.add_argument("--default-budget", action="store_true", help="the frames of a member of a run, instead")
    arguments.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    args = arguments.parse_args(words)
    todo = [
        Measurement(
            place=(case.env, agent),
            asked={"seeds": args.seeds, "asked_frames": frames},
            make=partial(learn, case, agent, seeds=args.seeds, frames=frames, workers=args.workers),
        )
        for case in CASES
        if not args.env or case.env in args.env
        for frames in [configuration(case, "a2c").budget if args.default_budget else round(case.frames * args.share)]
        for agent in args.agent
    ]
    run(todo, out=args.out, page=page)


if __name__ == "__main__":
    main()
