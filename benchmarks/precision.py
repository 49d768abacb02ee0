"""What a torso in bfloat16 costs in returns and gains in time, beside the same agent in float32, seed by seed.

    python -m benchmarks.precision [--env ID ...] [--seeds N] [--share S] [--out FILE.json]

A member has the same initial weights and the same seeds in both precisions. They take turns on the same cores, so one run gives
the ratio of their times. A processor without instructions for bfloat16 is refused, since it would measure an emulation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain
from statistics import fmean
from typing import TypedDict

from benchmarks.learning import Case, Learned, learn
from benchmarks.measuring import Measurement, estimate_cells, of_seeds, parser, run
from rl_pbt.agents.networks import computes_in_bfloat16
from rl_pbt.errors import UserError
from rl_pbt.report.statistics import difference_of
from rl_pbt.text import readable, table

# Marks are not used here.
CASES = tuple(
    Case(env=env, frames=frames, solved=0.0, mark="none")
    for env, frames in (
        ("MinAtar/Breakout-v1", 600_000),
        ("MinAtar/Asterix-v1", 300_000),
        ("MinAtar/SpaceInvaders-v1", 300_000),
        ("MiniGrid-DoorKey-5x5-v0", 200_000),
    )
)
WORKERS = 2


class Precisions(TypedDict):
    """A2C in both precisions on one environment."""

    frames: int
    bfloat16: Learned
    float32: Learned


def compare(case: Case, *, seeds: int, frames: int) -> Precisions:
    """Both on one environment. Raises UserError where the processor has no bfloat16."""
    if not computes_in_bfloat16("cpu"):
        raise UserError("this processor does not compute in bfloat16: measure on another one")
    bfloat16, float32 = (
        learn(case, "a2c", seeds=seeds, frames=frames, workers=WORKERS, settings={"agent_options": {"autocast": autocast}})
        for autocast in (True, False)
    )
    return {"frames": bfloat16["frames"], "bfloat16": bfloat16, "float32": float32}


HEADER = ("environment", "seeds", "frames", "float32", "bfloat16", "bfloat16 - float32", "95 % interval", "times as fast")


def page(results: Mapping[str, Precisions]) -> str:
    """A row for each environment: means over seeds, their difference, and the ratio of seconds of training."""
    return table(HEADER, [_row(env, one) for env, one in results.items()])


def _row(env: str, one: Precisions) -> list[str]:
    sides = one["float32"], one["bfloat16"]
    float32, bfloat16 = (of_seeds(side["mean_test_returns"]) for side in sides)
    return [
        *(env, str(len(float32)), readable(one["frames"])),
        *(f"{fmean(chain(*returns)):.4g}" for returns in (float32, bfloat16)),
        *estimate_cells(difference_of(bfloat16, float32).to_json()),
        f"{sides[0]['train_wall_s'] / sides[1]['train_wall_s']:.2f}",
    ]


def main(words: Sequence[str] | None = None) -> None:
    """Compare in every environment, write the file, print its page."""
    arguments = parser("precision", __doc__)
    arguments.add_argument("--env", nargs="+", choices=[case.env for case in CASES], help="only these")
    arguments.add_argument("--seeds", type=int, default=10, help="how many (default 10)")
    arguments.add_argument("--share", type=float, default=1.0, help="of each environment's frames (default 1)")
    args = arguments.parse_args(words)
    todo = [
        Measurement(
            place=(case.env,),
            asked={"seeds": args.seeds, "asked_frames": frames},
            make=partial(compare, case, seeds=args.seeds, frames=frames),
        )
        for case, frames in ((case, round(case.frames * args.share)) for case in CASES)
        if not args.env or case.env in args.env
    ]
    run(todo, out=args.out, page=page)


if __name__ == "__main__":
    main()
