"""A2C against Stable-Baselines3's A2C (SB3), both with SB3's default hypers, network and number of frames, seed by seed.

    python -m benchmarks.parity [--env ID ...] [--seeds N] [--share S] [--out FILE.json]

Both train on eight environments and are tested by sampling from the policy. Ours trains all seeds as members of one population.
A departure remains: CartPole is Gymnasium's NumPy vector environment for ours.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean
from typing import Any

from agents import HYPERS
from benchmarks.learning import Case, learn
from benchmarks.measuring import is_made, provenance, read, write
from rl_pbt.statistics import difference_of, iqm_of
from rl_pbt.text import interval_text, value_text

ENVS = 8
SB3 = ("envs_per_member=8", "unroll_length=5", "normalise_observations=false", "normalise_returns=false")
SB3_HYPERS = tuple(f"{name}={hyper.default!r}" for name, hyper in HYPERS.items())
CASES = (
    Case(env="CartPole-v1", frames=200_000, solved=475, mark="Gymnasium's reward threshold"),
    Case(env="Acrobot-v1", frames=500_000, solved=-100, mark="Gymnasium's reward threshold"),
    Case(env="LunarLander-v3", frames=500_000, solved=200, mark="Gymnasium's reward threshold"),
)
TEST_EPISODES = 32
WORKERS = 2


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


def compare(case: Case, *, seeds: int, frames: int) -> dict[str, Any]:
    """Both agents on one environment."""
    started = time.perf_counter()
    options = ("--agent-options", *SB3, "--search", *SB3_HYPERS)
    ours = learn(case, "a2c", seeds=seeds, frames=frames, workers=WORKERS, options=options)
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


def table(results: dict[str, Any]) -> str:
    """A row for each environment and agent; the difference of the means, ours minus SB3's, once for both."""
    lines = [
        "| environment | agent | frames | IQM | 95 % interval | mean | ours - SB3 | 95 % interval | time |",
        "| --- | --- | ---: | ---: | --- | ---: | ---: | --- | ---: |",
    ]
    for env, one in results.items():
        for agent in ("rl_pbt", "sb3"):
            iqm = one[agent]["iqm"]
            low, high = iqm["interval"] or (iqm["value"], iqm["value"])
            mean = fmean(one[agent]["mean_test_returns"])
            cells = [env, agent, f"{one['frames']:,}", f"{iqm['value']:.4g}", f"{low:.4g} to {high:.4g}", f"{mean:.4g}"]
            difference = one["difference"] if agent == "rl_pbt" else None
            cells += [value_text(difference), interval_text(difference)]
            lines.append(f"| {' | '.join(cells)} | {one[agent]['wall_s']:.0f} s |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run, print the table, write the file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parity", description="A2C against Stable-Baselines3's A2C.")
    parser.add_argument("--env", nargs="+", choices=[case.env for case in CASES], help="only these")
    parser.add_argument("--seeds", type=int, default=10, help="how many (default 10)")
    parser.add_argument("--share", type=float, default=1.0, help="of each environment's frames (default 1)")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="write the results there, after each")
    said = parser.parse_args(arguments)
    results = read(said.out)
    for case in CASES:
        asked = {"seeds": said.seeds, "frames": round(case.frames * said.share)}
        if (said.env and case.env not in said.env) or is_made(results.get(case.env), asked):
            continue
        results[case.env] = {**provenance(), **asked, **compare(case, **asked)}
        print(table({case.env: results[case.env]}), flush=True)
        write(said.out, results, table(results))


if __name__ == "__main__":
    main()
