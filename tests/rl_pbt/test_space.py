"""The search space: priors, perturbation on each scale, bounds that hold, and errors that say what to write instead."""

import numpy as np
import pytest

from rl_pbt import seeds
from rl_pbt.errors import UserError
from rl_pbt.space import Choice, Horizon, Integer, Linear, Log, Space, parse_dimension, spread

TEXTS = ["log:1e-05:0.01", "linear:0:1", "int:1:8", "horizon:0.9:0.999", "choice:0.1:0.001:1e-05"]


@pytest.mark.parametrize("text", TEXTS)
def test_samples_and_perturbations_stay_inside_and_move_both_ways(text: str) -> None:
    dimension, rng = parse_dimension(text), np.random.default_rng(0)
    values = [dimension.sample(rng) for _ in range(200)]
    for factor in (1.2, 1 / 1.2, 1e9, 1e-9):
        values += [dimension.perturb(value, factor) for value in values[:200]]
    if isinstance(dimension, Choice):
        assert set(values) <= set(dimension.choices)
    else:
        assert all(dimension.low <= value <= dimension.high for value in values)  # type: ignore[attr-defined]
    middle = sorted(values[:200], key=str if isinstance(values[0], str) else float)[100]
    up, down = dimension.perturb(middle, 1.2), dimension.perturb(middle, 1 / 1.2)
    assert up != middle and down not in (middle, up)


@pytest.mark.parametrize("text", TEXTS)
def test_the_unit_scale_goes_from_bound_to_bound_and_back(text: str) -> None:
    dimension, rng = parse_dimension(text), np.random.default_rng(0)
    low, high = dimension.extremes[0], dimension.extremes[-1]
    assert (dimension.unit(low), dimension.unit(high)) == (0, pytest.approx(1))
    assert (dimension.from_unit(-0.1), dimension.from_unit(1.1)) == (pytest.approx(low), pytest.approx(high))
    values = [dimension.sample(rng) for _ in range(500)]
    assert [dimension.from_unit(dimension.unit(value)) for value in values] == pytest.approx(values, rel=1e-12)
    assert all(type(dimension.from_unit(dimension.unit(value))) is type(value) for value in values)
    units = np.array([dimension.unit(value) for value in values])
    assert abs(units.mean() - 0.5) < 0.05, "the prior is uniform on the unit scale"
    assert spread(dimension, values) == pytest.approx(units.std()) and spread(dimension, [low, low]) == 0
    assert spread(dimension, [low, high]) == pytest.approx(0.5)
    steps = np.linspace(0, 1, 101)
    assert np.all(np.diff([dimension.unit(dimension.from_unit(u)) for u in steps]) >= 0)


@pytest.mark.parametrize(
    ("text", "value", "at"),
    [
        ("log:0.0001:0.01", 0.001, 0.5),
        ("linear:-1:3", 0, 0.25),
        ("int:1:9", 3, 0.25),
        ("horizon:0.9:0.999", 0.99, 0.5),
        ("choice:a:b:c", "b", 0.5),
    ],
)
def test_the_unit_scale_is_the_dimensions_own(text: str, value: float | str, at: float) -> None:
    assert parse_dimension(text).unit(value) == pytest.approx(at)
    assert parse_dimension(text).from_unit(at) == pytest.approx(value)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("value", [-1e9, -1, 0, 1, 1e9])
def test_values_outside_the_bounds_have_a_unit_too(text: str, value: float) -> None:
    """Hand tuning's published hypers may lie outside; a discount may be 1, an entropy cost 0."""
    dimension = parse_dimension(text)
    assert 0 <= dimension.unit(value) <= 1
    assert spread(dimension, [value, value]) == 0


@pytest.mark.parametrize("text", TEXTS)
def test_description_is_what_parse_reads(text: str) -> None:
    assert parse_dimension(parse_dimension(text).describe()) == parse_dimension(text)


@pytest.mark.parametrize("text", ["choice:0.12345678:0.2", "int:1:1234567", "log:1.2345678e-05:0.1", "horizon:0.5:0.99999999"])
def test_a_description_keeps_every_digit(text: str) -> None:
    assert parse_dimension(parse_dimension(text).describe()) == parse_dimension(text)


def test_small_integers_are_not_stuck() -> None:
    """round(2 * 1.2) == 2 and int(4 * 1.2) == 4 are how other implementations drift one way."""
    dimension = Integer(low=1, high=8)
    assert [dimension.perturb(v, 1.2) for v in (1, 2, 4, 8)] == [2, 3, 5, 8]
    assert [dimension.perturb(v, 1 / 1.2) for v in (1, 2, 4, 8)] == [1, 1, 3, 7]


def test_discount_moves_on_the_horizon() -> None:
    dimension = Horizon(low=0.9, high=0.999)
    assert 1 / (1 - dimension.perturb(0.98, 1.2)) == pytest.approx(60)
    assert 1 / (1 - dimension.perturb(0.98, 1 / 1.2)) == pytest.approx(50 / 1.2)


def test_linear_leaves_zero() -> None:
    assert Linear(low=0.0, high=1.0).perturb(0.0, 1.2) == pytest.approx(0.2)


def test_log_is_uniform_in_the_logarithm() -> None:
    rng = np.random.default_rng(0)
    logs = np.log10([Log(low=1e-5, high=1e-1).sample(rng) for _ in range(4000)])
    assert logs.mean() == pytest.approx(-3, abs=0.1) and logs.std() == pytest.approx(4 / 12**0.5, rel=0.05)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("log:1e-2:1e-5", "low < high"),
        ("log:0:1", "above 0"),
        ("linear:1:1", "low < high"),
        ("lin:0:1", "did you mean 'linear'"),
        ("log:1", "LOW:HIGH"),
        ("horizon:0.9:1.0", "[0, 1)"),
        ("int:1.5:3", "whole numbers"),
        ("choice:1", "two different"),
        ("log:nan:1", "finite"),
    ],
)
def test_bad_ranges_say_what_is_wrong_in_one_line(text: str, says: str) -> None:
    with pytest.raises(UserError) as error:
        parse_dimension(text)
    assert says in str(error.value) and "\n" not in str(error.value)


def test_empty_space_is_refused() -> None:
    with pytest.raises(UserError, match="empty"):
        Space({})


def test_streams_are_keyed_by_purpose_member_and_generation() -> None:
    def draw(**key: int) -> float:
        return float(seeds.rng(3, purpose="explore", **key).random())

    assert draw(member=1, generation=2) == draw(member=1, generation=2)
    keys = [{"member": m, "generation": g} for m in range(5) for g in range(5)] + [{"member": 0}, {"generation": 0}, {}]
    assert len({draw(**key) for key in keys}) == len(keys)
    assert seeds.rng(0, purpose="a").random() != seeds.rng(0, purpose="b").random()


def test_environment_seeds_of_the_three_splits_cannot_meet() -> None:
    ranges = {
        split: [seeds.environment_seed(r, split=split, member=m) for r in range(20) for m in range(20)] for split in seeds.SPLITS
    }
    for low, split in enumerate(seeds.SPLITS):
        assert all(low << 29 <= seed < ((low + 1) << 29) - 4096 for seed in ranges[split])


def test_draws_do_not_hang_on_the_order_in_which_hypers_were_written() -> None:
    """A manifest read back may list them in another order."""
    texts = {"b": "log:1:9", "a": "linear:0:1"}
    backwards = dict(reversed(texts.items()))
    assert Space.parse(texts).sample(np.random.default_rng(0)) == Space.parse(backwards).sample(np.random.default_rng(0))


@pytest.mark.parametrize("text", ["choice:true:false", "choice:32:64", "choice:0.1:0.25", "choice:adam:sgd", "choice:1:1.5:fast"])
def test_choices_keep_their_kind_and_come_back_from_their_text(text: str) -> None:
    """A whole number sizes a batch, which 32.0 cannot; and the text "false" would be true."""
    dimension = parse_dimension(text)
    assert dimension.describe() == text
    kinds = {"true": bool, "32": int, "0.1": float, "adam": str, "1": int}
    assert isinstance(dimension.extremes[0], kinds[text.split(":")[1]])
