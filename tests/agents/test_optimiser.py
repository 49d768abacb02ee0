from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch

from rl_pbt.agents.optimiser import Adam, RMSProp, make_optimiser

SHAPES = {"kernel": (4, 3, 2, 2), "matrix": (5, 7), "bias": (7,)}
RATES, NORMS, EPSILONS = (1e-3, 7e-2, 0.0), (0.5, 12.0, 1e9), (1e-5, 1e-1, 1e-8)
MEMBERS = len(RATES)
DECAY = 0.9
NAMES = ("rmsprop", "adam")
# Ours -> torch.optim's name of the same moment.
MOMENTS = {
    "rmsprop": {"rmsprop": "square_avg"},
    "adam": {"adam.mean": "exp_avg", "adam.square": "exp_avg_sq"},
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def population(seed: int = 0) -> dict[str, torch.Tensor]:
    source = generator(seed)
    return {name: torch.randn(MEMBERS, *shape, generator=source).requires_grad_() for name, shape in SHAPES.items()}


def settings(
    rates: Sequence[float] = RATES,
    norms: Sequence[float] = NORMS,
    epsilons: Sequence[float] = EPSILONS,
    dtype: torch.dtype = torch.float32,
) -> dict[str, torch.Tensor]:
    values = {"learning_rate": rates, "max_grad_norm": norms, "epsilon": epsilons}
    return {name: torch.tensor(list(each), dtype=dtype) for name, each in values.items()}


def torchs(name: str, own: list[torch.Tensor], rate: float, epsilon: float) -> torch.optim.Optimizer:
    if name == "rmsprop":
        return torch.optim.RMSprop(own, lr=rate, alpha=DECAY, eps=epsilon)
    return torch.optim.Adam(own, lr=rate, eps=epsilon)


def draw_gradients(weights: dict[str, torch.Tensor], source: torch.Generator, update: int) -> None:
    for weight in weights.values():
        # Members' gradients differ in size, so that some are clipped and others are not.
        sizes = torch.tensor([0.01, 1.0, 10.0 * update]).view(-1, *[1] * (weight.dim() - 1))
        weight.grad = torch.randn(weight.shape, generator=source) * sizes


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("turn", range(MEMBERS))
def test_each_member_steps_as_torchs_with_its_own_rate_clip_and_epsilon(name: str, turn: int) -> None:
    rates, limits, epsilons = (values[turn:] + values[:turn] for values in (RATES, NORMS, EPSILONS))
    source = generator(1)
    weights = population()
    optimiser = make_optimiser(name, weights, decay=DECAY)
    members = [[weight[p].detach().clone().requires_grad_() for weight in weights.values()] for p in range(MEMBERS)]
    references = [torchs(name, members[p], rates[p], epsilons[p]) for p in range(MEMBERS)]
    for update in range(6):
        draw_gradients(weights, source, update)
        expected_norms = []
        for p, (own, reference) in enumerate(zip(members, references, strict=True)):
            for mine, weight in zip(own, weights.values(), strict=True):
                assert weight.grad is not None
                mine.grad = weight.grad[p].clone()
            expected_norms.append(torch.nn.utils.clip_grad_norm_(own, limits[p]))
            reference.step()
        norms = optimiser.step(**settings(rates, limits, epsilons))
        torch.testing.assert_close(norms, torch.stack(expected_norms))
    for p, (own, reference) in enumerate(zip(members, references, strict=True)):
        for mine, (key, weight) in zip(own, weights.items(), strict=True):
            torch.testing.assert_close(weight[p], mine, rtol=1e-5, atol=1e-6)
            for ours, theirs in MOMENTS[name].items():
                expected = reference.state[mine][theirs]
                atol = 1e-6 * expected.abs().max().item()  # means of gradients that cancel
                torch.testing.assert_close(optimiser.slots()[f"{ours}.{key}"][p], expected, rtol=1e-5, atol=atol)


@pytest.mark.parametrize("name", NAMES)
def test_moments_are_all_that_an_exploit_must_copy(name: str) -> None:
    donor_weights, weights = population(1), population(2)
    donor, optimiser = (make_optimiser(name, each, decay=DECAY) for each in (donor_weights, weights))
    source = generator(3)
    for update in range(7):  # the donor is older: a member's count of steps differs from its neighbour's
        draw_gradients(donor_weights, source, update)
        donor.step(**settings([0.01] * 3))
        if update < 2:
            draw_gradients(weights, source, update)
            optimiser.step(**settings([0.01] * 3))
    for moment, tensor in optimiser.slots().items():
        assert tensor.shape[0] == MEMBERS
        tensor[1] = donor.slots()[moment][2]
    with torch.no_grad():
        for key, weight in weights.items():
            weight[1] = donor_weights[key][2]
    for update in range(3):
        draw_gradients(weights, source, update)
        for key, weight in donor_weights.items():
            own = weights[key].grad
            assert own is not None
            weight.grad = own[[0, 2, 1]].clone()
        optimiser.step(**settings())
        donor.step(**settings(*([each[0], each[2], each[1]] for each in (RATES, NORMS, EPSILONS))))
    for key, weight in weights.items():
        assert torch.equal(weight[1], donor_weights[key][2])
    for moment, tensor in optimiser.slots().items():
        assert torch.equal(tensor[1], donor.slots()[moment][2])
        assert not torch.equal(tensor[0], tensor[1])


def test_adam_counts_each_members_steps_and_corrects_by_them() -> None:
    weight = torch.zeros(2, 3, requires_grad=True)
    optimiser = Adam({"w": weight})
    steps = optimiser.slots()["adam.steps"]
    assert steps.dtype == torch.int64
    assert steps.tolist() == [0, 0]
    steps[1] = 10**6  # of an old donor whose moments are zero: nothing is corrected any more
    weight.grad = torch.ones_like(weight)
    optimiser.step(**settings([0.1] * 2, [1e9] * 2, [0.0] * 2))
    assert steps.tolist() == [1, 10**6 + 1]
    torch.testing.assert_close(weight[0], torch.full((3,), -0.1))
    torch.testing.assert_close(weight[1], torch.full((3,), -0.1 * (1 - 0.9) / math.sqrt(1 - 0.999)))


def test_names_of_moments_are_what_checkpoints_hold() -> None:
    assert set(RMSProp(population(), DECAY).slots()) == {f"rmsprop.{name}" for name in SHAPES}
    expected = {f"adam.{moment}.{name}" for name in SHAPES for moment in ("mean", "square")}
    assert set(Adam(population()).slots()) == expected | {"adam.steps"}


@pytest.mark.parametrize("name", NAMES)
def test_a_rate_of_zero_moves_nothing_and_gradients_are_cleared(name: str) -> None:
    weights = population()
    before = {key: weight.detach().clone() for key, weight in weights.items()}
    optimiser = make_optimiser(name, weights, decay=DECAY)
    for weight in weights.values():
        weight.grad = torch.ones_like(weight)
    optimiser.step(**settings())
    for key, weight in weights.items():
        assert weight.grad is None
        assert torch.equal(weight[2], before[key][2])
        assert not torch.equal(weight[0], before[key][0])
    for tensor in optimiser.slots().values():
        assert tensor[2].any()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("changed", "value"), [("learning_rate", 0.5), ("max_grad_norm", 0.01), ("epsilon", 3.0)])
def test_a_changed_setting_counts_at_the_next_step_for_its_own_member_only(name: str, changed: str, value: float) -> None:
    ends = []
    for change in (False, True):
        weights = population()
        optimiser = make_optimiser(name, weights, decay=DECAY)
        for update in range(2):
            for weight in weights.values():
                weight.grad = torch.ones_like(weight)
            its = settings(RATES, [0.5] * 3)
            if change and update == 1:
                its[changed][1] = value
            optimiser.step(**its)
        ends.append(weights["matrix"].detach())
    assert torch.equal(ends[0][[0, 2]], ends[1][[0, 2]])
    assert not torch.allclose(ends[0][1], ends[1][1], rtol=1e-3)


def test_a_changed_rate_keeps_the_moments() -> None:
    def run(rates: list[float]) -> tuple[torch.Tensor, torch.Tensor]:
        weight = torch.zeros(1, 1, dtype=torch.float64, requires_grad=True)
        optimiser = RMSProp({"w": weight}, 0.5)
        for rate in rates:
            weight.grad = torch.ones_like(weight)
            optimiser.step(**settings([rate], [1e9], [0.0], torch.float64))
        return weight.detach(), optimiser.slots()["rmsprop.w"]

    slow, slow_average = run([1.0, 1.0])
    fast, fast_average = run([1.0, 3.0])
    assert torch.equal(slow_average, fast_average)
    assert slow.item() == pytest.approx(-(1 / 0.5**0.5) - 1 / 0.75**0.5)
    assert fast.item() == pytest.approx(-(1 / 0.5**0.5) - 3 / 0.75**0.5)


@pytest.mark.parametrize("name", NAMES)
def test_a_member_with_infinite_gradients_leaves_its_neighbours_alone(name: str) -> None:
    ends = []
    for bad in (1.0, math.nan, math.inf):
        weights = population()
        optimiser = make_optimiser(name, weights, decay=DECAY)
        for _ in range(2):
            for weight in weights.values():
                weight.grad = torch.ones_like(weight)
                weight.grad[1] = bad
            norms = optimiser.step(**settings())
        assert norms[1].isfinite() == math.isfinite(bad)
        ends.append([tensor.detach()[[0, 2]] for tensor in (*weights.values(), *optimiser.slots().values(), norms)])
    for clean, after_nan, after_infinity in zip(*ends, strict=True):
        assert torch.equal(clean, after_nan)
        assert torch.equal(clean, after_infinity)


def test_a_weight_without_gradient_is_refused() -> None:
    weights = population()
    weights["bias"].grad = torch.ones_like(weights["bias"])
    with pytest.raises(ValueError, match=r"\(3, 4, 3, 2, 2\) has no gradient"):
        RMSProp(weights, DECAY).step(**settings())


def test_unknown_optimisers_are_refused_with_the_names_of_those_there_are() -> None:
    with pytest.raises(ValueError, match="'sgd': use rmsprop or adam"):
        make_optimiser("sgd", population(), decay=DECAY)
