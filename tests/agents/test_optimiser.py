from __future__ import annotations

import pytest
import torch

from agents.optimiser import RMSProp

SHAPES = {"kernel": (4, 3, 2, 2), "matrix": (5, 7), "bias": (7,)}
RATES = (1e-3, 7e-2, 0.0)
DECAY, EPSILON = 0.9, 1e-5


def population(generator: torch.Generator) -> dict[str, torch.Tensor]:
    return {name: torch.randn(len(RATES), *shape, generator=generator).requires_grad_() for name, shape in SHAPES.items()}


@pytest.mark.parametrize("max_grad_norm", [0.5, 12.0, 1e9])
def test_each_member_steps_as_torchs_rmsprop_with_clipping(max_grad_norm: float) -> None:
    generator = torch.Generator().manual_seed(0)
    weights = population(generator)
    optimiser = RMSProp(weights, decay=DECAY, epsilon=EPSILON)
    members = [[weight[p].detach().clone().requires_grad_() for weight in weights.values()] for p in range(len(RATES))]
    references = [torch.optim.RMSprop(own, lr=rate, alpha=DECAY, eps=EPSILON) for own, rate in zip(members, RATES, strict=True)]
    for update in range(6):
        for weight in weights.values():
            # Members' gradients differ in size, so that some are clipped and others are not.
            sizes = torch.tensor([0.01, 1.0, 10.0 * update]).view(-1, *[1] * (weight.dim() - 1))
            weight.grad = torch.randn(weight.shape, generator=generator) * sizes
        expected_norms = []
        for p, (own, reference) in enumerate(zip(members, references, strict=True)):
            for mine, weight in zip(own, weights.values(), strict=True):
                assert weight.grad is not None
                mine.grad = weight.grad[p].clone()
            expected_norms.append(torch.nn.utils.clip_grad_norm_(own, max_grad_norm))
            reference.step()
        norms = optimiser.step(torch.tensor(RATES), max_grad_norm)
        torch.testing.assert_close(norms, torch.stack(expected_norms))
    for p, (own, reference) in enumerate(zip(members, references, strict=True)):
        for mine, (name, weight) in zip(own, weights.items(), strict=True):
            torch.testing.assert_close(weight[p], mine, rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(
                optimiser.square_averages[name][p], reference.state[mine]["square_avg"], rtol=1e-5, atol=1e-9
            )


def test_a_rate_of_zero_moves_nothing_and_gradients_are_cleared() -> None:
    weights = population(torch.Generator().manual_seed(1))
    before = {name: weight.detach().clone() for name, weight in weights.items()}
    optimiser = RMSProp(weights, decay=DECAY, epsilon=EPSILON)
    for weight in weights.values():
        weight.grad = torch.ones_like(weight)
    optimiser.step(torch.tensor(RATES), 1.0)
    for name, weight in weights.items():
        assert weight.grad is None
        assert torch.equal(weight[2], before[name][2])
        assert not torch.equal(weight[0], before[name][0])


def test_a_changed_rate_counts_at_once_and_keeps_the_moments() -> None:
    def run(rates: list[float]) -> tuple[torch.Tensor, torch.Tensor]:
        weight = torch.zeros(1, 1, dtype=torch.float64, requires_grad=True)
        optimiser = RMSProp({"w": weight}, decay=0.5, epsilon=0.0)
        for rate in rates:
            weight.grad = torch.ones_like(weight)
            optimiser.step(torch.tensor([rate], dtype=torch.float64), 1e9)
        return weight.detach(), optimiser.square_averages["w"]

    slow, slow_average = run([1.0, 1.0])
    fast, fast_average = run([1.0, 3.0])
    assert torch.equal(slow_average, fast_average)
    assert slow.item() == pytest.approx(-(1 / 0.5**0.5) - 1 / 0.75**0.5)
    assert fast.item() == pytest.approx(-(1 / 0.5**0.5) - 3 / 0.75**0.5)


def test_a_member_with_infinite_gradients_leaves_its_neighbours_alone() -> None:
    ends = []
    for bad in (1.0, float("nan"), float("inf")):
        weights = population(torch.Generator().manual_seed(2))
        optimiser = RMSProp(weights, decay=DECAY, epsilon=EPSILON)
        for weight in weights.values():
            weight.grad = torch.ones_like(weight)
            weight.grad[1] = bad
        optimiser.step(torch.tensor(RATES), 0.5)
        ends.append({name: weight.detach()[[0, 2]] for name, weight in weights.items()})
    for name in SHAPES:
        assert torch.equal(ends[0][name], ends[1][name])
        assert torch.equal(ends[0][name], ends[2][name])
