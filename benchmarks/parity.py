"""A2C against Stable-Baselines3's A2C (SB3), both with SB3's default hyperparameters, network and number of frames, seed by seed.

    python -m benchmarks.parity [--env ID ...] [--seeds N] [--share S] [--out FILE.json]

Both train on eight environments and are tested by sampling from the policy. Ours trains all seeds as members of one population.
One deviation remains: CartPole is Gymnasium's NumPy vector environment for ours.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from statistics import fmean
from typing import NotRequired, TypedDict

from benchmarks.learning import Case, learn
from benchmarks.measuring import EstimateJSON, Measurement, estimate_cells, parser, run
from rl_pbt.agents import HYPERS
from rl_pbt.options import Settings
from rl_pbt.report.statistics import difference_of, iqm_of
from rl_pbt.text import table

ENVS = 8  # of a member of ours, and of SB3's agent
SB3_SETTINGS: Settings = {
    "agent_options": {
        "envs_per_member": ENVS,
        "unroll_length": 5,
        "normalise_observations": False,
        "normalise_returns": False,
    },
    "search": {name: hyper.default for name, hyper in HYPERS.items()},
}
CASES = (
    Case(env="CartPole-v1", frames=200_000, solved=475, mark="Gymnasium's reward threshold"),
    Case(env="Acrobot-v1", frames=500_000, solved=-100, mark="Gymnasium's reward threshold"),
    Case(env="LunarLander-v3", frames=500_000, solved=200, mark="Gymnasium's reward threshold"),
)
TEST_EPISODES = 32  # of each seed of SB3's; ours has as many
WORKERS = 2  # processes, for ours and then for SB3's


def sb3_test_return(env: str, frames: int, seed: int) -> float:
    """Mean return of test episodes of SB3's A2C."""
    import torch
    from stable_baselines3 import A2C
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.evaluation import evaluate_policy

    torch.set_num_threads(1)
    model = A2C("MlpPolicy", make_vec_env(env, n_envs=ENVS, seed=seed), seed=seed, device="cpu")
    model.learn(frames)
    test = make_vec_env(env, n_envs=ENVS, seed=10_000 + seed)
    mean, _ = evaluate_policy(model, test, n_eval_episodes=TEST_EPISODES, deterministic=False)
    assert isinstance(mean, float)  # a list only where every episode's return is asked for
    return mean


class Trained(TypedDict):
    """One agent on one environment."""

    mean_test_returns: list[float]
    iqm: EstimateJSON
    wall_s: float


class Pair(TypedDict):
    """Both agents on one environment, and how far ours is ahead; `frames` are those that were asked for."""

    rl_pbt: Trained
    sb3: Trained
    difference: EstimateJSON
    frames: NotRequired[int]


def compare(case: Case, *, seeds: int, frames: int) -> Pair:
    """Both agents on one environment."""
    started = time.perf_counter()
    ours = learn(case, "a2c", seeds=seeds, frames=frames, workers=WORKERS, settings=SB3_SETTINGS)
    between = time.perf_counter()
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        theirs = list(pool.map(sb3_test_return, [case.env] * seeds, [frames] * seeds, range(seeds)))
    ended = time.perf_counter()
    one, other = ([[value] for value in values] for values in (ours["mean_test_returns"], theirs))
    return {
        "rl_pbt": {"mean_test_returns": ours["mean_test_returns"], "iqm": iqm_of(one).to_json(), "wall_s": between - started},
        "sb3": {"mean_test_returns": theirs, "iqm": iqm_of(other).to_json(), "wall_s": ended - between},
        "difference": difference_of(one, other).to_json(),
    }


HEADER = ("environment", "agent", "frames", "IQM", "95 % interval", "mean", "ours - SB3", "95 % interval", "time")


def page(results: Mapping[str, Pair]) -> str:
    """A row for each environment and agent; the difference of the means, ours minus SB3's, once for both."""
    return table(HEADER, [row for env, one in results.items() for row in _rows(env, one)])


def _rows(env: str, pair: Pair) -> list[list[str]]:
    return [
        [
            *(env, agent, f"{pair['frames']:,}", *estimate_cells(one["iqm"]), f"{fmean(one['mean_test_returns']):.4g}"),
            *estimate_cells(difference),
            f"{one['wall_s']:.0f} s",
        ]
        for agent, one, difference in (("rl_pbt", pair["rl_pbt"], pair["difference"]), ("sb3", pair["sb3"], None))
    ]


def main(words: Sequence[str] | None = None) -> None:
    """Train and test both on each environment, write the file, print its page."""
    arguments = parser("parity", __doc__)
    arguments.add_argument("--env", nargs="+", choices=[case.env for case in CASES], help="only these")
    arguments.add_argument("--seeds", type=int, default=10, help="how many (default 10)")
    arguments.add_argument("--share", type=float, default=1.0, help="of each environment's frames (default 1)")
    args = arguments.parse_args(words)
    todo = []
    for case in CASES:
        asked = {"seeds": args.seeds, "frames": round(case.frames * args.share)}
        if not args.env or case.env in args.env:
            todo.append(Measurement(place=(case.env,), asked=asked, make=partial(compare, case, **asked)))
    run(todo, out=args.out, page=page)


if __name__ == "__main__":
    main()
