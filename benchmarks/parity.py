"""A2C or PPO against Stable-Baselines3's (SB3), both with SB3's default hyperparameters and network, seed by seed.

    python -m benchmarks.parity [--agent NAME] [--env ID ...] [--seeds N] [--share S] [--out FILE.json]

Both train on eight environments and are tested by sampling from the policy. PPO's rollouts hold 2,048 steps in all, as SB3's on
one environment do by default. Ours trains all seeds as members of one population. Two deviations remain: for ours, CartPole is
Gymnasium's NumPy vector environment, and the step in which an environment resets itself counts as a frame, one per episode.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain
from multiprocessing import get_context
from statistics import fmean
from typing import Any, NotRequired, TypedDict

from benchmarks.learning import Case, learn
from benchmarks.measuring import Measurement, estimate_cells, of_seeds, parser, run
from rl_pbt import agents
from rl_pbt.options import Settings
from rl_pbt.report.statistics import difference_of, iqm_of
from rl_pbt.text import table

ENVS = 8  # of a member of ours, and of SB3's agent
THRESHOLD = "Gymnasium's reward threshold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """An agent: how ours is set up, SB3's class and its arguments beside the defaults, and what both are tried on."""

    settings: Settings
    sb3: str
    arguments: Mapping[str, Any]
    cases: tuple[Case, ...]


def sb3_settings(agent: str, **options: object) -> Settings:
    """Our agent with SB3's own settings, whatever the environment's defaults are: the agent's defaults are SB3's."""
    plain = {"envs_per_member": ENVS, "normalise_observations": False, "normalise_returns": False, "hidden": [64, 64]}
    hypers = agents.AGENTS[agent].hypers
    return {"agent_options": {**plain, **options}, "search": {name: hyper.default for name, hyper in hypers.items()}}


SIDES: Mapping[str, Sides] = {
    "a2c": Sides(
        settings=sb3_settings("a2c", unroll_length=5),
        sb3="A2C",
        arguments={},
        cases=(
            Case(env="CartPole-v1", frames=200_000, solved=475, mark=THRESHOLD),
            Case(env="Acrobot-v1", frames=500_000, solved=-100, mark=THRESHOLD),
            Case(env="LunarLander-v3", frames=500_000, solved=200, mark=THRESHOLD),
            Case(env="Pendulum-v1", frames=1_000_000, solved=-250, mark="usual; Gymnasium sets none"),
        ),
    ),
    "ppo": Sides(
        settings=sb3_settings("ppo", unroll_length=256, batch_size=64),
        sb3="PPO",
        arguments={"n_steps": 256},
        cases=(
            Case(env="CartPole-v1", frames=100_000, solved=475, mark=THRESHOLD),
            Case(env="Acrobot-v1", frames=300_000, solved=-100, mark=THRESHOLD),
            Case(env="LunarLander-v3", frames=500_000, solved=200, mark=THRESHOLD),
            Case(env="Pendulum-v1", frames=300_000, solved=-250, mark="usual; Gymnasium sets none"),
        ),
    ),
}
TEST_EPISODES = 32  # of each seed of SB3's; ours has as many
WORKERS = 2  # processes, for ours and then for SB3's


def sb3_test_return(agent: str, env: str, frames: int, seed: int) -> float:
    """Mean test return of SB3's agent."""
    import stable_baselines3
    import torch
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.evaluation import evaluate_policy

    torch.set_num_threads(1)
    made = getattr(stable_baselines3, SIDES[agent].sb3)
    model = made("MlpPolicy", make_vec_env(env, n_envs=ENVS, seed=seed), seed=seed, device="cpu", **SIDES[agent].arguments)
    model.learn(frames)
    test = make_vec_env(env, n_envs=ENVS, seed=10_000 + seed)
    mean, _ = evaluate_policy(model, test, n_eval_episodes=TEST_EPISODES, deterministic=False)
    assert isinstance(mean, float)  # a list only where every episode's return is asked for
    return mean


class Trained(TypedDict):
    """One agent on one environment."""

    mean_test_returns: list[float]
    wall_s: float


class Pair(TypedDict):
    """Both agents on one environment; `frames` are those that were asked for."""

    rl_pbt: Trained
    sb3: Trained
    frames: NotRequired[int]


def compare(agent: str, case: Case, *, seeds: int, frames: int) -> Pair:
    """Both sides on one environment."""
    started = time.perf_counter()
    ours = learn(case, agent, seeds=seeds, frames=frames, workers=WORKERS, settings=SIDES[agent].settings)
    between = time.perf_counter()
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        theirs = list(pool.map(sb3_test_return, [agent] * seeds, [case.env] * seeds, [frames] * seeds, range(seeds)))
    ended = time.perf_counter()
    return {
        "rl_pbt": {"mean_test_returns": ours["mean_test_returns"], "wall_s": between - started},
        "sb3": {"mean_test_returns": theirs, "wall_s": ended - between},
    }


HEADER = ("environment", "agent", "frames", "IQM", "95 % interval", "mean", "ours - SB3", "95 % interval", "time")


def page(results: Mapping[str, Pair]) -> str:
    """A row for each environment and agent; the difference of the means, ours minus SB3's, once for both."""
    return table(HEADER, [row for env, one in results.items() for row in _rows(env, one)])


def _rows(env: str, pair: Pair) -> list[list[str]]:
    ours, theirs = (of_seeds(one["mean_test_returns"]) for one in (pair["rl_pbt"], pair["sb3"]))
    difference = difference_of(ours, theirs).to_json()
    return [
        [
            *(env, agent, f"{pair['frames']:,}", *estimate_cells(iqm_of(returns).to_json()), f"{fmean(chain(*returns)):.4g}"),
            *estimate_cells(ahead),
            f"{wall_s:.0f} s",
        ]
        for agent, returns, ahead, wall_s in (
            ("rl_pbt", ours, difference, pair["rl_pbt"]["wall_s"]),
            ("sb3", theirs, None, pair["sb3"]["wall_s"]),
        )
    ]


def main(words: Sequence[str] | None = None) -> None:
    """Train and test both on each environment, write the file, print its page."""
    arguments = parser("parity", __doc__)
    arguments.add_argument("--agent", choices=SIDES, default="a2c", help="default a2c; a file is of one agent")
    arguments.add_argument("--env", nargs="+", choices=[case.env for case in SIDES["a2c"].cases], help="only these")
    arguments.add_argument("--seeds", type=int, default=10, help="how many (default 10)")
    arguments.add_argument("--share", type=float, default=1.0, help="of each environment's frames (default 1)")
    args = arguments.parse_args(words)
    todo = []
    for case in SIDES[args.agent].cases:
        asked = {"seeds": args.seeds, "frames": round(case.frames * args.share)}
        if not args.env or case.env in args.env:
            todo.append(Measurement(place=(case.env,), asked=asked, make=partial(compare, args.agent, case, **asked)))
    run(todo, out=args.out, page=page)


if __name__ == "__main__":
    main()
