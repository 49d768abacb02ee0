from __future__ import annotations

import math

import gymnasium
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from agents.networks import UnsupportedSpace, conv, dense, dense_weights, make_torso, orthogonal

IMAGE = gymnasium.spaces.Box(0, 255, (4, 84, 84), np.uint8)
VECTOR = gymnasium.spaces.Box(-1.0, 1.0, (6,), np.float32)
TORSOS = {"dense": (VECTOR, 16), "shallow": (IMAGE, 256), "nature": (IMAGE, 512)}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def some_observations(name: str, members: int, count: int) -> torch.Tensor:
    if name == "dense":
        return torch.randn(members, count, 6, generator=generator(9))
    return torch.randint(0, 256, (members, count, 4, 84, 84), generator=generator(9), dtype=torch.uint8)


def stacked(torso, seeds):
    members = [torso.initialise(generator(seed)) for seed in seeds]
    # Biases start at zero; other values show where they are added.
    for seed, member in zip(seeds, members, strict=True):
        for name, weight in member.items():
            if name.endswith("bias"):
                weight.normal_(generator=generator(100 + seed), std=0.1)
    return {name: torch.stack([member[name] for member in members]) for name in members[0]}


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


def test_conv_is_each_members_convolution() -> None:
    weights = {
        "x.weight": torch.randn(3, 4, 2, 3, 3, generator=generator(1)),
        "x.bias": torch.randn(3, 4, generator=generator(2)),
    }
    inputs = torch.randn(3, 5, 2, 9, 7, generator=generator(3))
    outputs = conv(weights, "x", inputs, 2)
    assert outputs.shape == (3, 5, 4, 4, 3)
    for p in range(3):
        layer = torch.nn.Conv2d(2, 4, 3, stride=2)
        layer.load_state_dict({"weight": weights["x.weight"][p], "bias": weights["x.bias"][p]})
        torch.testing.assert_close(outputs[p], layer(inputs[p]).detach())


@pytest.mark.parametrize("name", TORSOS)
def test_a_member_alone_computes_what_it_computes_in_a_population(name: str) -> None:
    space, features = TORSOS[name]
    torso = make_torso(name, space, (32, features), autocast=False)
    weights = stacked(torso, (4, 5, 6))
    observations = some_observations(name, 3, 4)
    together = torso(weights, observations)
    assert together[0].shape == together[1].shape == (3, 4, features)
    for p in range(3):
        alone = torso({key: weight[p : p + 1] for key, weight in weights.items()}, observations[p : p + 1])
        for population_features, own_features in zip(together, alone, strict=True):
            torch.testing.assert_close(population_features[p], own_features[0], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(together[0][0], together[0][1])


@pytest.mark.parametrize(("name", "layers"), [("shallow", [4, 2]), ("nature", [4, 2, 1])])
def test_convolutional_torsos_compute_the_published_network_on_images_of_0_to_1(name: str, layers: list[int]) -> None:
    torso = make_torso(name, IMAGE, (), autocast=False)
    weights = stacked(torso, (1,))
    observations = some_observations(name, 1, 3)
    hidden = observations[0].float() / 255.0
    for layer, stride in enumerate(layers):
        hidden = F.relu(F.conv2d(hidden, weights[f"torso.{layer}.weight"][0], weights[f"torso.{layer}.bias"][0], stride))
    expected = F.relu(hidden.flatten(1) @ weights["torso.dense.weight"][0] + weights["torso.dense.bias"][0])
    policy, value = torso(weights, observations)
    torch.testing.assert_close(policy[0], expected, rtol=1e-4, atol=1e-5)
    assert policy is value
    shapes = {"shallow": [(16, 4, 8, 8), (32, 16, 4, 4)], "nature": [(32, 4, 8, 8), (64, 32, 4, 4), (64, 64, 3, 3)]}
    assert [tuple(weights[f"torso.{layer}.weight"].shape[1:]) for layer in range(len(layers))] == shapes[name]


def test_dense_torso_has_separate_trunks_of_tanh() -> None:
    torso = make_torso("dense", VECTOR, (8, 5), autocast=False)
    weights = stacked(torso, (0,))
    observations = some_observations("dense", 1, 3)
    outputs = torso(weights, observations)
    for trunk, output in zip(("policy_torso", "value_torso"), outputs, strict=True):
        hidden = observations[0]
        for layer in range(2):
            hidden = torch.tanh(hidden @ weights[f"{trunk}.{layer}.weight"][0] + weights[f"{trunk}.{layer}.bias"][0])
        torch.testing.assert_close(output[0], hidden)
    assert not torch.allclose(outputs[0], outputs[1])


@pytest.mark.parametrize("name", ["shallow", "nature"])
def test_autocast_is_close_to_float32_and_gives_float32(name: str) -> None:
    weights = stacked(make_torso(name, IMAGE, (), autocast=False), (1, 2))
    for weight in weights.values():
        weight.requires_grad_()
    observations = some_observations(name, 2, 2)
    results = []
    for autocast in (False, True):
        features, _ = make_torso(name, IMAGE, (), autocast=autocast)(weights, observations)
        assert features.dtype == torch.float32
        (features.square().sum()).backward()
        results.append((features.detach(), {key: weight.grad for key, weight in weights.items()}))
        for weight in weights.values():
            weight.grad = None
    (exact, exact_gradients), (rough, rough_gradients) = results
    assert not torch.equal(exact, rough)  # it did compute in bfloat16
    assert (exact - rough).norm() < 0.03 * exact.norm()
    for key, gradient in exact_gradients.items():
        assert rough_gradients[key].dtype == torch.float32
        assert (gradient - rough_gradients[key]).norm() < 0.05 * gradient.norm()


def test_auto_takes_a_torso_that_fits_the_space() -> None:
    assert make_torso("auto", IMAGE, (64, 64), autocast=False).features == 256
    assert make_torso("auto", VECTOR, (64, 32), autocast=False).features == 32
    # Bytes that are no image, and images that are no bytes, are vectors.
    for space in (gymnasium.spaces.Box(0, 255, (128,), np.uint8), gymnasium.spaces.Box(0.0, 1.0, (3, 20, 20), np.float32)):
        torso = make_torso("auto", space, (7,), autocast=False)
        observations = torch.tensor(np.stack([space.sample() for _ in range(2)]))[None]
        assert torso(stacked(torso, (0,)), observations)[0].shape == (1, 2, 7)


@pytest.mark.parametrize(
    ("name", "space", "says"),
    [
        ("auto", gymnasium.spaces.Discrete(5), r"Discrete\(5\)"),
        ("auto", gymnasium.spaces.Dict({"a": VECTOR}), "Dict"),
        ("auto", gymnasium.spaces.Box(0.0, 1.0, (), np.float32), "Box"),
        ("shallow", VECTOR, r"\(6,\)"),
        ("nature", gymnasium.spaces.Box(0, 255, (1, 20, 20), np.uint8), r"\(1, 20, 20\)"),
        ("auto", gymnasium.spaces.Box(0, 255, (3, 5, 5), np.uint8), r"\(3, 5, 5\)"),
        ("deep", VECTOR, "'deep'"),
        ("auto", gymnasium.spaces.Dict({"a": gymnasium.spaces.Box(np.arange(60.0), 99.0, (60,), np.float64)}), "Dict"),
        ("shallow", gymnasium.spaces.Box(np.arange(60.0), 99.0, (60,), np.float64), "Box"),
    ],
)
def test_unsupported_observations_raise_one_line_that_names_them(name: str, space: gymnasium.Space, says: str) -> None:
    with pytest.raises(UnsupportedSpace, match=says) as error:
        make_torso(name, space, (8,), autocast=False)
    assert "\n" not in str(error.value)
