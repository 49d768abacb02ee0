"""What `python -m rl_pbt.bench --env Pacman` should do with its ten minutes: candidates for the default run, measured.

    python -m benchmarks.first_run [--candidate NAME ...] [--seeds N] [--out FILE.json]

A good first run has ten generations or more, winners that are better than a random policy, and copies to look at. The candidates
were written down before the first of them ran, and so was the rule. All run on two seeds. The three whose winners, PBT's and
random search's together, have the highest mean test return then run on five. Of those that have ten generations or more, and
whose run takes at most ten minutes on two cores, the one with the highest mean is chosen. Each seed is a row of its own, so that
the work of several nights can be put together: FILE.json keeps rows of earlier commits.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import TypedDict

import rl_pbt
from benchmarks.measuring import Measurement, estimate_cells, parser, run
from rl_pbt.options import Settings
from rl_pbt.report.statistics import margin_of, mean_of
from rl_pbt.store.descent import copies
from rl_pbt.store.history import read_history
from rl_pbt.store.run import RunFolder
from rl_pbt.text import NOTHING, table

ENV = "Pacman"
MANY: Settings = {"population": 8, "frames": 200_000, "interval": 20_000, "eval_episodes": 1}
FEW: Settings = {"population": 4, "frames": 400_000, "interval": 30_000, "eval_episodes": 2}
FREE: Settings = {"population": 8, "frames": 200_000, "interval": 20_000, "fitness": "training"}
CANDIDATES: Mapping[str, Settings] = {
    "a2c, 8 members, 4 episodes every 40k": {"population": 8, "frames": 200_000, "interval": 40_000, "eval_episodes": 4},
    "a2c, 8 members, 1 episode every 20k": MANY,
    "a2c, 4 members, 2 episodes every 30k": FEW,
    "a2c, 8 members, training fitness": FREE,
    "ppo, 8 members, 1 episode every 20k": {"agent": "ppo", **MANY},
    "ppo, 4 members, 2 episodes every 30k": {"agent": "ppo", **FEW},
    "ppo, 8 members, training fitness": {"agent": "ppo", **FREE},
}
METHODS, AGENT = ("pbt", "random"), "a2c"  # the agent of candidates that name no other


class Tried(TypedDict):
    """One seed of a candidate: test returns of both winners, and of a random policy; what PBT did; CPU seconds of both methods'
    workers, which other work on the machine does not change.
    """

    returns: dict[str, list[float]]
    random_policy: list[float]
    generations: int
    copies: int
    cpu_s: float


def settings_of(candidate: str) -> Settings:
    """All that is set for a candidate."""
    return {"agent": AGENT, **CANDIDATES[candidate]}


def attempt(candidate: str, seed: int) -> Tried:
    """Run a candidate on one seed, in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        made = rl_pbt.bench(
            ENV, methods=list(METHODS), seeds=[seed], out=Path(folder) / "run", quiet=True, **settings_of(candidate)
        )
        histories = {method: read_history(RunFolder(made.folder), method, seed) for method in METHODS}
        baseline = made.manifest.baseline or ()
    return {
        "returns": {method: list(history.test.returns) for method, history in histories.items() if history.test is not None},
        "random_policy": list(baseline),
        "generations": len(histories["pbt"].rounds),
        "copies": len(copies(histories["pbt"])),
        "cpu_s": sum(history.cost.cpu_s for history in histories.values()),
    }


HEADER = ("candidate", "seeds", "method", "mean test return", "95 % interval", "above a random policy", "95 % interval")
OF_PBT = ("generations", "copies", "CPU minutes of both")


def page(results: Mapping[str, Mapping[str, Tried]]) -> str:
    """A row for each method of each candidate."""
    return table(
        (*HEADER, *OF_PBT),
        [row for name in CANDIDATES if name in results for row in _rows(name, list(results[name].values()))],
    )


def _rows(candidate: str, tried: Sequence[Tried]) -> list[list[str]]:
    policy = [value for one in tried for value in one["random_policy"]]
    rows = []
    for method in METHODS:
        returns = [one["returns"][method] for one in tried if method in one["returns"]]
        done = [f"{fmean(one['generations'] for one in tried):.3g}", f"{fmean(one['copies'] for one in tried):.3g}"]
        own = [*done, f"{fmean(one['cpu_s'] for one in tried) / 60:.1f}"] if method == "pbt" else [NOTHING] * 3
        found = [*estimate_cells(mean_of(returns).to_json()), *estimate_cells(margin_of(returns, policy).to_json())]
        rows.append([candidate, str(len(tried)), method, *found, *own])
    return rows


def main(words: Sequence[str] | None = None) -> None:
    """Run every candidate on every seed, write the file, print its page."""
    arguments = parser("first_run", __doc__)
    arguments.add_argument("--candidate", nargs="+", choices=list(CANDIDATES), default=list(CANDIDATES), help="only these")
    arguments.add_argument("--seeds", type=int, default=5, help="how many (default 5)")
    args = arguments.parse_args(words)
    todo = [
        Measurement(
            place=(candidate, f"seed {seed}"),
            asked={"settings": dict(CANDIDATES[candidate])},
            make=partial(attempt, candidate, seed),
        )
        for seed in range(args.seeds)
        for candidate in args.candidate
    ]
    run(todo, out=args.out, page=page, of_any_commit=True)


if __name__ == "__main__":
    main()
