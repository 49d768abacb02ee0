"""The model of a table: what must be so by definition, and what follows from curves that are known in closed form."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from rl_pbt.tasks.table.curves import LearningCurve, Position, TableCurves, switched
from rl_pbt.tasks.table.recorded import Curve
from tests.rl_pbt.tasks.table.toy import RATES, SD, SEEDS, SPEEDS, UNITS, score, toy_table

CURVES = TableCurves(toy_table())


def curve_at(rate: float, speed: float, seed: int, curves: TableCurves = CURVES) -> LearningCurve:
    return curves.curve(curves.place({"rate": rate, "speed": speed}), seed)


def learning_curve(*mean: float) -> LearningCurve:
    units = np.arange(len(mean)) * 10.0
    return LearningCurve(units=units, mean=np.array(mean), sd=np.zeros(len(mean)), eval_units=np.zeros(len(mean)))


def test_at_a_point_of_the_grid_it_is_what_was_recorded_bit_for_bit() -> None:
    table = toy_table()
    assert len(table.curves) == len(RATES) * len(SPEEDS) * len(SEEDS)
    for recorded in table.curves:
        curve = CURVES.curve(CURVES.place(recorded.hypers), recorded.seed)
        assert [curve.score(units) for units in recorded.units] == list(recorded.mean)
        assert curve.score(0) == 0.0 and curve.spread(UNITS[3]) == SD and curve.cost(UNITS[3]) == 3.0


@pytest.mark.parametrize(("rate", "speed"), [(0.25, 0.0), (0.7, 1.0), (0.1, 0.6), (0.9, 0.3), (0.5, 0.5)])
def test_between_points_it_is_multilinear(rate: float, speed: float) -> None:
    """The invented score is linear in rate, and in speed, so that interpolation is exact; corners weighed otherwise are not."""
    for seed, units in product(SEEDS, (10, 47, 100)):
        assert curve_at(rate, speed, seed).score(units) == pytest.approx(score(rate, speed, seed, units))


def test_outside_the_grid_it_is_that_of_the_bound_and_beyond_its_end_it_stays() -> None:
    assert curve_at(7.0, -1.0, 1).score(50) == curve_at(1.0, 0.0, 1).score(50)
    assert curve_at(1.0, 1.0, 2).score(5000) == score(1.0, 1.0, 2, UNITS[-1])


def test_choices_are_not_interpolated() -> None:
    table = toy_table(search={"rate": "choice:0:0.5:1", "speed": "linear:0:1"}, hypers={})
    curves = TableCurves(table)
    assert curve_at(0.5, 0.5, 1, curves).score(40) == pytest.approx(score(0.5, 0.5, 1, 40))
    assert {curve_at(rate, 0.0, 1, curves).score(40) for rate in RATES} == {score(rate, 0.0, 1, 40) for rate in RATES}


def test_a_place_is_where_the_curve_has_the_score() -> None:
    curve = learning_curve(0.0, 10.0, 4.0, 8.0, 8.0)
    assert curve.place_of(5.0, near=0) == 5.0  # rising, the first of three crossings
    assert curve.place_of(5.0, near=22) == pytest.approx(22.5)  # rising again
    assert curve.place_of(5.0, near=18) == pytest.approx(10 + 50 / 6)  # falling
    assert curve.place_of(8.0, near=37) == 37  # the flat part is all alike
    assert curve.place_of(8.0, near=90) == 40
    assert curve.place_of(12.0, near=40) == 10 and curve.place_of(-3.0, near=40) == 0  # the closest there is


def test_a_switch_keeps_the_score_and_a_switch_to_the_same_curve_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        curve = learning_curve(*rng.normal(size=8).cumsum())
        units, found = float(rng.uniform(0, 70)), float(rng.normal(scale=4))
        position = switched(curve, found, units)
        assert position.score(curve) == pytest.approx(found)
        assert position.above == 0 or not curve.mean.min() <= found <= curve.mean.max() or abs(position.above) < 1e-9
        same = switched(curve, curve.score(units), units)
        assert same.units == pytest.approx(units) and same.above == pytest.approx(0, abs=1e-9)


def test_a_switch_continues_on_the_other_curve() -> None:
    """Skill 5 after 40 units of a slow training is that after 20 of one twice as fast, from where it goes on twice as fast."""
    slow, fast = curve_at(0.5, 0.0, 0), curve_at(1.0, 0.0, 0)
    position = switched(fast, slow.score(40), 40)
    assert position.units == pytest.approx(20)
    later = position.after(30)
    assert later.score(fast) == pytest.approx(score(1.0, 0.0, 0, 50))


def test_what_no_curve_explains_stays() -> None:
    idle = curve_at(0.0, 0.0, 0)
    position = switched(idle, 8.0, 30)
    assert position.above == 8.0 and position.after(20) == Position(units=position.units + 20, above=8.0)
    assert position.after(20).score(idle) == 8.0


def test_foretelling_is_the_mean_over_the_seeds() -> None:
    """By hand: seed s moves by rate (1 + s) / 64 each unit, wherever it stands."""
    expected = 1.0 + np.mean([(1 + seed) * 16 / 64 for seed in SEEDS])
    assert CURVES.foretold({"rate": 1.0, "speed": 0.0}, score=1.0, near=10, units=16) == pytest.approx(expected)


def test_a_training_that_failed_has_an_end() -> None:
    table = toy_table()
    broken = replace(table.curves[-1], failed=True, units=(10, 20), mean=(1.0, 2.0), sd=(0.0, 0.0), eval_units=(1, 1))
    curves = TableCurves(replace(table, curves=(*table.curves[:-1], broken)))
    assert curve_at(1.0, 1.0, SEEDS[-1], curves).ends == 20 and curve_at(0.8, 0.9, SEEDS[-1], curves).ends == 20
    assert math.isinf(curve_at(0.6, 0.9, SEEDS[-1], curves).ends) and math.isinf(curve_at(1.0, 1.0, 2, curves).ends)
    at_once = Curve(hypers=broken.hypers, seed=SEEDS[-1], units=(), mean=(), sd=(), eval_units=(), failed=True)
    assert curve_at(1.0, 1.0, SEEDS[-1], TableCurves(replace(table, curves=(*table.curves[:-1], at_once)))).ends == 0
