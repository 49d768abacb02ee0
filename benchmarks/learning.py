"""What every agent learns in every family of environments, with the family's default hypers and no search.

    python -m benchmarks.learning [--env ID ...] [--agent NAME ...] [--seeds N] [--share S] [--out FILE.json]

Seeds are members of one population that share nothing but the tensors. Each trains for the frames of its environment and is then
tested on episodes of its own test seeds, beside a uniformly random policy. `solved` is the field's usual mark.

Rows that FILE.json holds already stay, each with the commit that made it; one that this commit made from the same number of seeds
and frames is not made again, so a run that was killed goes on where it stopped.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.measuring import is_made, provenance, read, write
from rl_pbt.arguments import build_parser, configure
from rl_pbt.bench.command import make_task
from rl_pbt.config import RunConfig
from rl_pbt.executors import IntervalJob, ProcessExecutor, TestJob, run_intervals, run_tests
from rl_pbt.records import Proposal, UserError
from rl_pbt.statistics import mean_of
from rl_pbt.store import Checkpoints
from rl_pbt.text import readable

TEST_EPISODES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An environment, the frames that a seed trains for, and the return that counts as solved, with where that mark is from.

    `published` is what others reached: for orientation, their frames and protocols differ. "zoo" is the one A2C run that
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
    Case(env="ALE/Pong-v5", frames=4_000_000, solved=0, mark="a draw", published="17.3 (zoo, 10M steps)"),
    Case(env="ALE/Breakout-v5", frames=4_000_000, solved=20, mark="usual for short runs", published="279.8 (zoo, 10M steps)"),
)
AGENTS: Mapping[str, tuple[str, ...]] = {
    "a2c": ("--agent", "a2c"),
    "impala": ("--agent", "impala"),
    "impala-lstm": ("--agent", "impala", "--agent-options", "core=lstm", "core_size=64"),
}


def configuration(case: Case, agent: str, options: Sequence[str] = ()) -> RunConfig:
    """The command line's own defaults for that environment and agent, and what `options` change in them."""
    words = ["--env", case.env, *AGENTS[agent], *options]
    return configure(build_parser().parse_args(words))


def learn(case: Case, agent: str, *, seeds: int, frames: int, workers: int, options: Sequence[str] = ()) -> dict[str, Any]:
    """Mean test returns by seed, what they cost, and the random policy's."""
    config = configuration(case, agent, options)
    task = make_task(config, workers)
    hypers = {name: config.hypers[name] for name in config.search}
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(Path(folder))
        executor = ProcessExecutor(task, workers)
        try:
            jobs = [_job(group, hypers, frames, checkpoints) for group in _groups(range(seeds), -(-seeds // workers))]
            results = [result for of_group in run_intervals(executor, jobs) for result in of_group]
            wall_s = time.perf_counter() - started
            tested = [result.id for result in results if result.failure is None]
            tests = [TestJob(id=i, episodes=range(TEST_EPISODES), root_seed=i, checkpoints=checkpoints) for i in tested]
            returns = [test.returns for test in run_tests(executor, tests)]
        finally:
            executor.close()
    random_policy = task.random_policy(0, TEST_EPISODES)
    return {
        "frames": results[0].cost.train_frames,
        "hypers": dict(config.hypers),
        "agent_options": dict(config.agent_options),
        "mean_test_returns": [fmean(values) for values in returns],
        "mean": mean_of(returns).to_json() if returns else None,
        "solved_by": sum(fmean(values) >= case.solved for values in returns),
        "failures": [result.failure for result in results if result.failure],
        "train_wall_s": wall_s,
        "random_policy": fmean(random_policy.returns),
        "solved": case.solved,
        "mark": case.mark,
    }


def _groups(items: Sequence[int], size: int) -> list[Sequence[int]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _job(members: Sequence[int], hypers: Mapping[str, float], frames: int, checkpoints: Checkpoints) -> IntervalJob:
    proposals = tuple(Proposal(id=m, member=m, generation=0, hypers=dict(hypers), parent=None, frames=frames) for m in members)
    return IntervalJob(proposals=proposals, lineage_frames=(0,) * len(proposals), root_seed=0, checkpoints=checkpoints)


def table(results: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """The results as a Markdown table, a row for each environment and agent."""
    names = ("environment", "agent", "frames", "mean test return by seed", "mean", "95 % interval", "random", "published")
    lines = [f"| {' | '.join(names)} | solved at | by | time |"]
    lines.append("| --- | --- | ---: | --- | ---: | --- | ---: | --- | ---: | --- | ---: |")
    for case, agent in ((case, agent) for case in CASES for agent in AGENTS):
        if one := results.get(case.env, {}).get(agent):
            seeds = one["mean_test_returns"]
            mean = one["mean"]
            interval = mean and mean["interval"]
            cells = [case.env, agent, readable(one["frames"]), ", ".join(f"{value:.4g}" for value in seeds)]
            cells += [f"{mean['value']:.4g}" if mean else "–", f"{interval[0]:.4g} to {interval[1]:.4g}" if interval else "–"]
            cells += [f"{one['random_policy']:.4g}", case.published, f"{case.solved:g}"]
            cells += [f"{one['solved_by']} of {len(seeds) + len(one['failures'])}", f"{one['train_wall_s']:.0f} s"]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--env", nargs="+", choices=[case.env for case in CASES], help="only these")
    parser.add_argument("--agent", nargs="+", choices=list(AGENTS), default=list(AGENTS), help="only these")
    parser.add_argument("--seeds", type=int, default=5, help="how many (default 5)")
    parser.add_argument("--share", type=float, default=1.0, help="of each environment's frames (default 1)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="write the results there, after each")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, test, print a row at a time, write the file."""
    said = parse_arguments(arguments)
    results = read(said.out)
    for case in CASES:
        if said.env and case.env not in said.env:
            continue
        for agent in said.agent:
            asked = {"seeds": said.seeds, "asked_frames": round(case.frames * said.share)}
            if is_made(results.get(case.env, {}).get(agent), asked):
                continue
            try:
                one = learn(case, agent, seeds=said.seeds, frames=asked["asked_frames"], workers=said.workers)
            except UserError as error:
                print(f"left out: {error}")
                break
            results.setdefault(case.env, {})[agent] = {**provenance(), **asked, **one}
            print(table({case.env: {agent: one}}).splitlines()[-1], flush=True)
            write(said.out, results, table(results))


if __name__ == "__main__":
    main()
