"""Tables of HPO-RL-Bench, read from its files.

Shala et al. 2024, "HPO-RL-Bench: A Zero-Cost Benchmark for HPO in Reinforcement Learning" (AutoML conference). Its static search
spaces have one file for each setting and seed, in a folder for each algorithm and environment:

    ALGORITHM/ENV/ENV_ALGORITHM_random_lr_-3_gamma_0.99_clip_0.2_seed0_eval.json

with the curves `returns_eval`, `std_returns_eval` and `timesteps_eval`; a learning rate is named by its logarithm to base 10.
Timesteps that are not numbers are taken to be 10,000 apart, as in the benchmark's own reader. The cost of an evaluation is not
recorded, so it is free here. Nothing of the benchmark comes with this suite.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rl_pbt.errors import BadSetting, UserError
from rl_pbt.records import Hyper, Hypers
from rl_pbt.space import Choice, Log
from rl_pbt.tasks.on_environments.words import FRAMES
from rl_pbt.tasks.table.recorded import Curve, Header, Table, in_digits, reached_by_all

NAME = re.compile(r"(?P<env>.+)_(?P<algorithm>[A-Z0-9]+)_random_(?P<setting>lr_.+)_seed(?P<seed>\d+)_eval\.json")
ONE = re.compile(r"(lr|gamma|clip|epsilon|tau)_(-?\d+(?:\.\d+)?(?:e-?\d+)?)")
RATE = "learning_rate"
STEPS_APART = 10_000
EPISODES = 10  # of an evaluation


def read_folder(folder: Path) -> Table:
    """The table of one algorithm on one environment. Raises UserError if files are missing, or are something else."""
    named = [(found, path) for path in sorted(folder.iterdir()) if (found := NAME.fullmatch(path.name))]
    read = [_curve(path, found["setting"], int(found["seed"])) for found, path in named]
    curves = tuple(curve for curve in read if curve)
    if not curves:
        raise UserError(f"{folder} has no files of HPO-RL-Bench, such as CartPole-v1_A2C_random_lr_-3_gamma_0.99_seed0_eval.json")
    if len({frozenset(curve.hypers) for curve in curves}) > 1:
        raise UserError(f"{folder} has files that do not name the same hyperparameters: put each grid into a folder of its own")
    title = "{algorithm} on {env}".format_map(named[0][0].groupdict())
    try:
        return Table(header=_header(curves, title), curves=curves, source={"benchmark": "HPO-RL-Bench"})
    except BadSetting as error:
        raise UserError(f"{folder} cannot be made a table of: {error}") from None


def _setting(text: str) -> Hypers:
    """The values in `lr_-3_gamma_0.99`, by name; empty for a schedule, such as `lr_-3-4-4`, which is not a point of a grid."""
    pairs = ONE.findall(text)
    if "_".join(f"{name}_{value}" for name, value in pairs) != text:
        return {}
    return {RATE if name == "lr" else name: 10.0 ** float(value) if name == "lr" else float(value) for name, value in pairs}


def _curve(path: Path, setting: str, seed: int) -> Curve | None:
    """A recorded curve, up to its first score that is not finite: there the training had failed. None for a schedule."""
    try:
        hypers = _setting(setting)
        if not hypers:
            return None
        fields = json.loads(path.read_bytes())
        mean, sd, units = (_numbers(fields, f"{name}_eval") for name in ("returns", "std_returns", "timesteps"))
        scores = list(zip(mean, sd, strict=True))
        sound = next((place for place, pair in enumerate(scores) if not all(map(math.isfinite, pair))), len(scores))
        ages = [STEPS_APART * (place + 1) if math.isnan(age) else round(age) for place, age in enumerate(units[:sound])]
        return Curve(
            hypers=hypers,
            seed=seed,
            units=tuple(ages),
            mean=tuple(map(in_digits, mean[:sound])),
            sd=tuple(map(in_digits, sd[:sound])),
            eval_units=(0,) * sound,
            failed=sound < len(scores),
        )
    except (OSError, ValueError, KeyError, TypeError, OverflowError, UserError) as error:
        raise UserError(f"{path} is not a file of HPO-RL-Bench ({error})") from None


def _numbers(fields: Mapping[str, Any], name: str) -> list[float]:
    return [float(value) for value in fields[name]]


def _header(curves: Sequence[Curve], title: str) -> Header:
    seeds = tuple(sorted({curve.seed for curve in curves}))
    values = {name: sorted({curve.hypers[name] for curve in curves}) for name in curves[0].hypers}
    reached = reached_by_all(curves)
    return Header(
        title=title,
        words={**asdict(FRAMES), "baseline": ""},
        search={name: _range(name, several) for name, several in values.items() if len(several) > 1},
        hypers={name: several[0] for name, several in values.items() if len(several) == 1},
        points=len(curves) // len(seeds),
        seeds=seeds,
        units=reached,
        interval=max(1, reached // max(len(curve.units) for curve in curves)),
        episodes=EPISODES,
        start=min(curve.mean[0] for curve in curves if curve.mean),  # the worst first score is nearest to no training
    )


def _range(name: str, values: Sequence[Hyper]) -> str:
    """A logarithmic range for rates, which are powers of ten; choices for all else, as in the benchmark.

    Other grids are uneven, and a discount of 1 has no place on the scale of horizons.
    """
    return (
        Log(low=float(values[0]), high=float(values[-1])).describe() if name == RATE else Choice(choices=tuple(values)).describe()
    )
