"""A small table of an invented training, the same as trainings/toy_table.json, whose curves are known in closed form.

With `rate` 0 nothing is learned; `speed` doubles what is; a higher seed is luckier.
"""

from __future__ import annotations

from itertools import product

from rl_pbt.tasks.table.recorded import Curve, Header, Table

RATES, SPEEDS, SEEDS = (0.0, 0.5, 1.0), (0.0, 1.0), (0, 1, 2, 3, 4)
UNITS = tuple(range(10, 110, 10))
EPISODES, EVAL_UNITS, SD = 2, 6, 0.5


def score(rate: float, speed: float, seed: int, units: float) -> float:
    """What the curves hold; between their points it is linear too."""
    return rate * (1 + speed) * (1 + seed) * units / 64


def toy_table(**header: object) -> Table:
    """With other fields of its header."""
    fields = {
        "title": "an invented training",
        "words": {"unit": "update", "short_unit": "update", "score": "skill", "episode": "trial", "baseline": "beginner"},
        "search": {"rate": "linear:0:1", "speed": "linear:0:1"},
        "hypers": {"rate": 0.5, "speed": 0.0, "depth": 3},
        "points": len(RATES) * len(SPEEDS),
        "seeds": SEEDS,
        "units": UNITS[-1],
        "interval": 10,
        "episodes": EPISODES,
        "start": 0.0,
        "start_sd": SD,
    }
    curves = tuple(
        Curve(
            hypers={"rate": rate, "speed": speed},
            seed=seed,
            units=UNITS,
            mean=tuple(score(rate, speed, seed, units) for units in UNITS),
            sd=(SD,) * len(UNITS),
            eval_units=(EVAL_UNITS,) * len(UNITS),
        )
        for rate, speed, seed in product(RATES, SPEEDS, SEEDS)
    )
    return Table(header=Header(**{**fields, **header}), curves=curves)  # type: ignore[arg-type]
