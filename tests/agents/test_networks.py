from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from rl_pbt.agents import networks
from rl_pbt.agents.networks import conv, dense, dense_weights, orthogonal, tanh_dense


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("shape", [(5, 5), (3, 8), (8, 3), (16, 4, 2, 2), (4, 8, 3, 3), (1, 7), (7, 1)])
@pytest.mark.parametrize("gain", [0.01, 1.0, math.sqrt(2.0)])
def test_orthogonal_matrices_have_orthogonal_rows_or_columns_of_the_gain(shape: tuple[int, ...], gain: float) -> None:
    drawn = orthogonal(shape, gain, generator())
    assert drawn.shape == shape
    matrix = drawn.flatten(1)
    product = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    torch.testing.assert_close(product, gain**2 * torch.eye(len(product)), rtol=0, atol=1e-5 * gain**2)


def test_orthogonal_draws_are_uniform_in_sign_and_follow_the_generator() -> None:
    source = generator(3)
    draws = torch.stack([orthogonal((3, 3), 1.0, source) for _ in range(500)])
    assert draws.mean(0).abs().max() < 0.12  # standard error 1 / sqrt(3 * 500) = 0.026
    assert torch.equal(orthogonal((3, 3), 1.0, generator(3)), draws[0])
    assert not torch.equal(draws[0], draws[1])


@pytest.mark.parametrize("rows", [*range(1, 34), 80, 144])
@pytest.mark.parametrize(("inputs", "outputs"), [(8, 6), (6, 2), (5, 7), (64, 64), (4, 64), (64, 3), (1, 64), (64, 1)])
@pytest.mark.parametrize("layer", [dense, tanh_dense])
def test_a_layer_and_its_gradient_do_not_depend_on_a_members_place(layer, rows: int, inputs: int, outputs: int) -> None:
    """To the last bit, whatever the processor: members differ in where their numbers begin in memory, and who is last."""
    one = {
        "x.weight": torch.randn(inputs, outputs, generator=generator(1)),
        "x.bias": torch.randn(outputs, generator=generator(2)),
    }
    seen, pull = torch.randn(rows, inputs, generator=generator(3)), torch.randn(rows, outputs, generator=generator(4))

    def passed(members: int) -> list[torch.Tensor]:
        weights = {name: torch.stack([value] * members).requires_grad_() for name, value in one.items()}
        observed = torch.stack([seen] * members).requires_grad_()
        output = layer(weights, "x", observed)
        output.backward(torch.stack([pull] * members))
        return [output.detach(), observed.grad, *(value.grad for value in weights.values())]

    alone = passed(1)
    for members in (2, 5):
        for own, ours in zip(alone, passed(members), strict=True):
            assert all(torch.equal(own[0], one) for one in ours)


def test_dense_weights_are_transposed_with_zero_bias() -> None:
    weights = dense_weights("x", 6, 4, 2.0, generator())
    assert weights["x.weight"].shape == (6, 4)
    torch.testing.assert_close(weights["x.weight"].T @ weights["x.weight"], 4.0 * torch.eye(4), rtol=0, atol=1e-5)
    assert torch.equal(weights["x.bias"], torch.zeros(4))


def test_dense_is_each_members_linear_layer() -> None:
    weights = {"x.weight": torch.randn(3, 5, 2, generator=generator(1)), "x.bias": torch.randn(3, 2, generator=generator(2))}
    inputs = torch.randn(3, 7, 5, generator=generator(3))
    outputs = dense(weights, "x", inputs)
    for p in range(3):
        torch.testing.assert_close(outputs[p], F.linear(inputs[p], weights["x.weight"][p].T, weights["x.bias"][p]))


@pytest.mark.parametrize(("stride", "padding", "shape"), [(2, 0, (4, 3)), (1, 1, (9, 7)), (2, 1, (5, 4))])
@pytest.mark.parametrize("grouped", [False, True], ids=["looped", "grouped"])
def test_conv_is_each_members_convolution(
    stride: int, padding: int, shape: tuple[int, int], grouped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if grouped:  # what a GPU does
        monkeypatch.setattr(networks, "_looped_conv", networks._grouped_conv)
    weights = {
        "x.weight": torch.randn(3, 4, 2, 3, 3, generator=generator(1)),
        "x.bias": torch.randn(3, 4, generator=generator(2)),
    }
    inputs = torch.randn(3, 5, 2, 9, 7, generator=generator(3))
    outputs = conv(weights, "x", inputs, stride, padding)
    assert outputs.shape == (3, 5, 4, *shape)
    for p in range(3):
        layer = torch.nn.Conv2d(2, 4, 3, stride=stride, padding=padding)
        layer.load_state_dict({"weight": weights["x.weight"][p], "bias": weights["x.bias"][p]})
        torch.testing.assert_close(outputs[p], layer(inputs[p]).detach())
