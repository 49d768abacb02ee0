"""How hypers move, as the papers word it, and the deviations that the module lists."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_pbt.errors import BadSetting
from rl_pbt.search.explore import UNBIASED_FACTORS, Perturb, PerturbOrResample, explore_by, reach
from rl_pbt.space import Space, parse_dimension

SPACE = Space.parse({"lr": "log:1e-9:1e9", "entropy": "log:1e-9:1e9", "discount": "horizon:0.5:0.9999"})
JADERBERG_FACTORS = (1.2, 0.8)
START = {"lr": 1.0, "entropy": 1.0, "discount": 0.98}


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_each_hyper_draws_its_own_factor() -> None:
    moves = {tuple(round(v, 6) for v in Perturb()(SPACE, START, rng(seed)).values()) for seed in range(100)}
    assert len(moves) == 8


def test_default_factors_do_not_drift_and_the_papers_do() -> None:
    def median_after(factors: tuple[float, ...]) -> float:
        ends = []
        for seed in range(300):
            generator, hypers = rng(seed), START
            for _ in range(50):
                hypers = Perturb(factors=factors)(SPACE, hypers, generator)
            ends.append(float(hypers["lr"]))
        return float(np.median(ends))

    assert median_after(UNBIASED_FACTORS) == pytest.approx(1.0, rel=0.5)
    assert median_after(JADERBERG_FACTORS) == pytest.approx(0.36, rel=0.5)


@pytest.mark.parametrize(
    "explore", [Perturb(probability=0.25), PerturbOrResample(probability=0.25, perturb=Perturb(probability=0.0))]
)
def test_each_hyper_moves_with_its_probability(explore: Perturb | PerturbOrResample) -> None:
    generator = rng()
    changed = [
        sum(moved[name] != START[name] for name in START) for moved in (explore(SPACE, START, generator) for _ in range(2000))
    ]
    assert np.mean(changed) / 3 == pytest.approx(0.25, abs=0.03)


def test_what_is_not_resampled_is_perturbed_and_1_is_the_papers_resample() -> None:
    steps = {1.2, 1 / 1.2}
    generator = rng()
    some = [float(PerturbOrResample(probability=0.25)(SPACE, START, generator)["lr"]) for _ in range(2000)]
    assert np.mean([any(value == pytest.approx(step) for step in steps) for value in some]) == pytest.approx(0.75, abs=0.03)
    drawn = [np.log(float(PerturbOrResample(probability=1.0)(SPACE, START, generator)["lr"])) for _ in range(2000)]
    width = 2 * np.log(1e9)
    assert np.mean(drawn) == pytest.approx(0.0, abs=0.03 * width) and np.std(drawn) == pytest.approx(width / 12**0.5, rel=0.05)


def test_settings_that_cannot_be() -> None:
    for factors in ((), (1.2, -1.0)):
        with pytest.raises(BadSetting, match=r"^factors must be numbers above 0, one at least, but are ") as error:
            Perturb(factors=factors)
        assert error.value.field == "factors"
    for probability in (-0.1, 2.0):
        with pytest.raises(BadSetting, match=r"^resample_probability must be between 0 and 1, but is ") as error:
            PerturbOrResample(probability=probability)
        assert error.value.field == "resample_probability"


def test_nothing_is_resampled_without_a_probability() -> None:
    assert explore_by((2.0,), 0.0) == Perturb(factors=(2.0,))
    assert explore_by((2.0,), 0.5) == PerturbOrResample(probability=0.5, perturb=Perturb(factors=(2.0,)))


@given(
    st.sampled_from(
        ["log:1e-5:1e-2", "horizon:0.9:0.999", "linear:0.1:0.4", "linear:0:3", "linear:-2:1", "choice:a:b:c:d:e:f:g"]
    ),
    st.integers(0, 2**32 - 1),
    st.integers(0, 30),
)
def test_no_walk_goes_farther_than_its_reach_and_one_that_never_turns_gets_there(text: str, seed: int, times: int) -> None:
    dimension, generator = parse_dimension(text), np.random.default_rng(seed)
    start = value = dimension.sample(generator)
    for _ in range(times):
        value = dimension.perturb(value, UNBIASED_FACTORS[int(generator.integers(2))])
    farthest = reach(dimension, UNBIASED_FACTORS, times)
    assert abs(dimension.unit(value) - dimension.unit(start)) <= farthest + 1e-9 <= 1 + 1e-9
    assert reach(dimension, UNBIASED_FACTORS, times + 1) >= farthest


def test_reach_of_scales_on_which_a_factor_is_a_distance() -> None:
    for text, width in (("log:1e-5:1e-2", np.log(1e3)), ("horizon:0.9:0.999", np.log(1e2))):
        assert reach(parse_dimension(text), (1.2, 1 / 1.2), 5) == pytest.approx(5 * np.log(1.2) / width)
        assert reach(parse_dimension(text), (0.5,), 2) == pytest.approx(2 * np.log(2) / width), "downwards"
    assert reach(parse_dimension("linear:0.1:0.4"), (1.2, 1 / 1.2), 2) == pytest.approx((0.4 - 0.4 / 1.44) / 0.3)
    assert reach(parse_dimension("choice:a:b:c:d:e"), (1.2, 1 / 1.2), 3) == pytest.approx(3 / 4)
    assert reach(parse_dimension("log:1e-5:1e-2"), (1.0,), 5) == 0.0 == reach(parse_dimension("int:1:9"), (1.2,), 0)
