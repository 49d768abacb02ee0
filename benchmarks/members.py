"""PPO of Stable-Baselines3 (SB3) as a member of a population in which nothing is searched, beside SB3 alone, seed by seed.

    python -m benchmarks.members [--env ID ...] [--seeds N] [--share S] [--out FILE.json]

Both have the same frames and constructor arguments, those of rl-baselines3-zoo with schedules held at their first values, and are
tested by their likeliest actions. The member lives through ten intervals. Each is a new SB3 object with new environments, which
takes over what the last one had learned: if anything of it were lost on the way, the member would fall behind.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean
from typing import NotRequired, TypedDict

from benchmarks.learning import Case
from benchmarks.measuring import Measurement, estimate_cells, of_seeds, parser, run
from rl_pbt.config import RunConfig
from rl_pbt.making import configure, make_task
from rl_pbt.options import Settings
from rl_pbt.records import Proposal
from rl_pbt.report.statistics import difference_of, mean_of
from rl_pbt.store.checkpoints import FolderCheckpoints
from rl_pbt.tasks.base import FinalTestJob, IntervalJob
from rl_pbt.text import table

CASES = (
    Case(env="CartPole-v1", frames=102_400, solved=475, mark="Gymnasium's reward threshold"),
    Case(env="Pendulum-v1", frames=122_880, solved=-250, mark="usual; Gymnasium sets none"),
)
INTERVALS = 10
TEST_EPISODES = 32
WORKERS = 2  # processes
PPO_ARGUMENTS = ("n_steps", "use_sde")  # fixed settings that are PPO's own arguments; the others are of networks and environments


def configuration(env: str) -> RunConfig:
    """The member's configuration, from which SB3 alone takes its arguments too."""
    return configure({"env": env, "agent": "sb3:ppo"})


def whole(env: str, frames: int) -> int:
    """The frames, rounded down so that every interval consists of whole rollouts: both train for exactly these."""
    round_of_all = make_task(configuration(env), WORKERS).quantum * INTERVALS
    return max(1, frames // round_of_all) * round_of_all


def member_return(env: str, frames: int, seed: int) -> float:
    """Mean test return of a member after its last interval."""
    config = configuration(env)
    task = make_task(config, WORKERS)
    hypers = {name: config.hypers[name] for name in config.search}
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = FolderCheckpoints(Path(folder))
        age = 0
        for interval in range(INTERVALS):
            proposal = Proposal(
                id=interval,
                member=0,
                generation=interval,
                hypers=hypers,
                parent=interval - 1 if interval else None,
                units=frames // INTERVALS,
            )
            job = IntervalJob(proposals=(proposal,), lineage_units=(age,), root_seed=seed, checkpoints=checkpoints)
            (result,) = task.rehearsal().interval(job)
            age = result.lineage_units
        test = FinalTestJob(proposal=INTERVALS - 1, episodes=range(TEST_EPISODES), root_seed=seed, checkpoints=checkpoints)
        return fmean(task.test(test).returns)


def alone_return(env: str, frames: int, seed: int) -> float:
    """Mean test return of SB3's PPO by itself, for as many frames."""
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.evaluation import evaluate_policy

    torch.set_num_threads(1)
    config = configuration(env)
    options = config.task_options["agent_options"]
    arguments: Settings = {**config.hypers, **{name: options[name] for name in PPO_ARGUMENTS}}
    model = PPO("MlpPolicy", make_vec_env(env, n_envs=options["n_envs"], seed=seed), seed=seed, device="cpu", **arguments)
    model.learn(frames)
    mean, _ = evaluate_policy(model, make_vec_env(env, n_envs=8, seed=10_000 + seed), n_eval_episodes=TEST_EPISODES)
    assert isinstance(mean, float)  # a list only where every episode's return is asked for
    return mean


class Trained(TypedDict):
    """The results of one of the two on one environment."""

    mean_test_returns: list[float]
    wall_s: float


class Pair(TypedDict):
    """Both on one environment; `frames` are those that were asked for."""

    member: Trained
    alone: Trained
    frames: NotRequired[int]


def compare(case: Case, *, seeds: int, frames: int) -> Pair:
    """Both on one environment."""
    member, alone = (_trained(train, case.env, seeds=seeds, frames=frames) for train in (member_return, alone_return))
    return {"member": member, "alone": alone}


def _trained(train: Callable[[str, int, int], float], env: str, *, seeds: int, frames: int) -> Trained:
    started = time.perf_counter()
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        means = list(pool.map(train, [env] * seeds, [frames] * seeds, range(seeds)))
    wall_s = time.perf_counter() - started
    return {"mean_test_returns": means, "wall_s": wall_s}


HEADER = ("environment", "PPO", "frames", "mean test return by seed", "mean", "95 % interval", "member - alone", "95 % interval")


def page(results: Mapping[str, Pair]) -> str:
    """Two rows for each environment; the difference of the means once for both."""
    return table(HEADER, [row for env, one in results.items() for row in _rows(env, one)])


def _rows(env: str, pair: Pair) -> list[list[str]]:
    member, alone = (of_seeds(one["mean_test_returns"]) for one in (pair["member"], pair["alone"]))
    difference = difference_of(member, alone).to_json()
    return [
        [
            *(env, name, f"{pair['frames']:,}", ", ".join(f"{value:.4g}" for value in chain(*returns))),
            *estimate_cells(mean_of(returns).to_json()),
            *estimate_cells(ahead),
        ]
        for name, returns, ahead in (("member", member, difference), ("alone", alone, None))
    ]


def main(words: Sequence[str] | None = None) -> None:
    """Train and test both on each environment, write the file, print its page."""
    arguments = parser("members", __doc__)
    arguments.add_argument("--env", nargs="+", choices=[case.env for case in CASES], help="only these")
    arguments.add_argument("--seeds", type=int, default=5, help="how many (default 5)")
    arguments.add_argument("--share", type=float, default=1.0, help="of each environment's frames (default 1)")
    args = arguments.parse_args(words)
    todo = []
    for case in CASES:
        asked = {"seeds": args.seeds, "frames": whole(case.env, round(case.frames * args.share))}
        if not args.env or case.env in args.env:
            todo.append(Measurement(place=(case.env,), asked=asked, make=partial(compare, case, **asked)))
    run(todo, out=args.out, page=page)


if __name__ == "__main__":
    main()
