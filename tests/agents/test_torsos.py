from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import gymnasium
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from rl_pbt.agents.images import ImageFormat
from rl_pbt.agents.networks import UnsupportedSpace
from rl_pbt.agents.torsos import make_torso

VECTOR = gymnasium.spaces.Box(-1.0, 1.0, (6,), np.float32)


def bytes_of(*shape: int, white: int = 255) -> gymnasium.spaces.Box:
    return gymnasium.spaces.Box(0, white, shape, np.uint8)


def booleans_of(*shape: int) -> gymnasium.spaces.Box:
    return gymnasium.spaces.Box(0, 1, shape, np.bool_)


@dataclass(frozen=True)
class Case:
    """A torso, an observation space that it takes and the number of features that it is published with."""

    name: str
    space: gymnasium.spaces.Box
    features: int
    hidden: tuple[int, ...] = ()
    shared: bool = False

    def torso(self, autocast: bool = False):
        return make_torso(self.name, self.space, hidden=self.hidden, shared=self.shared, autocast=autocast)

    def observations(self, members: int, count: int) -> torch.Tensor:
        shape = (members, count, *self.space.shape)
        if self.space.dtype == np.float32:
            return torch.randn(shape, generator=generator(9))
        drawn = torch.randint(0, int(self.space.high.max()) + 1, shape, generator=generator(9), dtype=torch.uint8)
        return drawn.to(torch.bool) if self.space.dtype == np.bool_ else drawn


CASES = {
    "dense": Case("dense", VECTOR, 5, hidden=(8, 5)),
    "dense, shared": Case("dense", VECTOR, 5, hidden=(8, 5), shared=True),
    "shallow": Case("shallow", bytes_of(4, 40, 44), 256),
    "nature": Case("nature", bytes_of(4, 40, 44), 512),
    "small": Case("small", booleans_of(10, 9, 4), 128),
    "deep": Case("deep", bytes_of(17, 14, 3), 256),
}
CONVOLUTIONAL = [name for name in CASES if not name.startswith("dense")]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def stacked(torso, seeds):
    members = [torso.initialise(generator(seed)) for seed in seeds]
    # Biases start at zero; other values show where they are added.
    for seed, member in zip(seeds, members, strict=True):
        for name, weight in member.items():
            if name.endswith("bias"):
                weight.normal_(generator=generator(100 + seed), std=0.1)
    return {name: torch.stack([member[name] for member in members]) for name in members[0]}


def features_of(torso, weights, observations):
    """For the policy and for the value, as a learner computes them."""
    return torso(torso.prepared(weights), observations)


@pytest.mark.parametrize("name", CASES)
def test_a_member_alone_computes_what_it_computes_in_a_population(name: str) -> None:
    case = CASES[name]
    torso = case.torso()
    weights, observations = stacked(torso, (4, 5, 6)), case.observations(3, 4)
    together = features_of(torso, weights, observations)
    assert torso.features == case.features
    assert together[0].shape == together[1].shape == (3, 4, case.features)
    for p in range(3):
        alone = features_of(torso, {key: weight[p : p + 1] for key, weight in weights.items()}, observations[p : p + 1])
        for population_features, own_features in zip(together, alone, strict=True):
            torch.testing.assert_close(population_features[p], own_features[0], rtol=1e-4, atol=1e-5)
    same = features_of(torso, weights, observations[:1].expand_as(observations))[0]
    assert not torch.allclose(same[0], same[1])


@pytest.mark.parametrize("name", CASES)
def test_weights_and_observations_of_others_do_not_matter_to_a_bit(name: str) -> None:
    case = CASES[name]
    torso = case.torso()
    weights, observations = stacked(torso, (4, 5, 6)), case.observations(3, 2)
    before = features_of(torso, weights, observations)
    for weight in weights.values():
        weight[[0, 2]] = math.nan
    if observations.is_floating_point():
        observations[[0, 2]] = math.nan
    for clean, spoilt in zip(before, features_of(torso, weights, observations), strict=True):
        assert torch.equal(clean[1], spoilt[1])


@pytest.mark.parametrize("name", CASES)
def test_gradients_reach_every_weight_of_the_member_they_are_for(name: str) -> None:
    case = CASES[name]
    torso = case.torso()
    weights = {key: weight.requires_grad_() for key, weight in stacked(torso, (1, 2)).items()}
    policy, value = features_of(torso, weights, case.observations(2, 3))
    (policy[1].square().sum() + value[1].square().sum()).backward()
    for key, weight in weights.items():
        assert weight.grad is not None, key
        assert not weight.grad[0].any(), key
        assert weight.grad[1].any(), key
        assert weight.grad[1].isfinite().all(), key


@pytest.mark.parametrize("name", CASES)
def test_weights_follow_their_own_generator_and_start_orthogonal_without_bias(name: str) -> None:
    torso = CASES[name].torso()
    one, again, other = (torso.initialise(generator(seed)) for seed in (1, 1, 2))
    for key, weight in one.items():
        assert torch.equal(weight, again[key])
        if key.endswith("bias"):
            assert not weight.any()
        else:
            assert not torch.equal(weight, other[key])
            assert torch.linalg.svdvals(weight.flatten(1)).std(correction=0) < 1e-4


@pytest.mark.parametrize("shared", [False, True])
def test_dense_torso_is_tanh_in_two_trunks_or_in_one(shared: bool) -> None:
    case = CASES["dense, shared" if shared else "dense"]
    torso = case.torso()
    weights, observations = stacked(torso, (0,)), case.observations(1, 3)
    outputs = features_of(torso, weights, observations)
    trunks = ("torso", "torso") if shared else ("policy_torso", "value_torso")
    for trunk, output in zip(trunks, outputs, strict=True):
        hidden = observations[0]
        for layer in range(2):
            hidden = torch.tanh(hidden @ weights[f"{trunk}.{layer}.weight"][0] + weights[f"{trunk}.{layer}.bias"][0])
        torch.testing.assert_close(output[0], hidden)
    assert (outputs[0] is outputs[1]) == shared
    assert {key.split(".")[0] for key in weights} == set(trunks)


@pytest.mark.parametrize(
    ("name", "strides", "shapes"),
    [
        ("shallow", [4, 2], [(16, 4, 8, 8), (32, 16, 4, 4)]),
        ("nature", [4, 2, 1], [(32, 4, 8, 8), (64, 32, 4, 4), (64, 64, 3, 3)]),
        ("small", [1], [(16, 4, 3, 3)]),
    ],
)
def test_convolutional_torsos_compute_the_published_network_on_images_of_0_to_1(name: str, strides, shapes) -> None:
    case = CASES[name]
    torso = case.torso()
    weights, observations = stacked(torso, (1,)), case.observations(1, 3)
    hidden = observations[0].float() / case.space.high.max()
    hidden = hidden.permute(0, 3, 1, 2) if name == "small" else hidden
    for layer, stride in enumerate(strides):
        hidden = F.relu(F.conv2d(hidden, weights[f"torso.{layer}.weight"][0], weights[f"torso.{layer}.bias"][0], stride))
    expected = F.relu(hidden.flatten(1) @ weights["torso.dense.weight"][0] + weights["torso.dense.bias"][0])
    policy, value = features_of(torso, weights, observations)
    torch.testing.assert_close(policy[0], expected, rtol=1e-4, atol=1e-5)
    assert policy is value
    assert [tuple(weights[f"torso.{layer}.weight"].shape[1:]) for layer in range(len(strides))] == shapes


class Residual(nn.Module):
    """relu - conv - relu - conv, plus what came in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1)
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images + self.branch(images)


def published_deep_torso(channels: int, flat: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for outputs in (16, 32, 32):
        layers += [nn.Conv2d(channels, outputs, 3, padding=1), nn.MaxPool2d(3, stride=2, padding=1)]
        layers += [Residual(outputs), Residual(outputs)]
        channels = outputs
    return nn.Sequential(*layers, nn.ReLU(), nn.Flatten(), nn.Linear(flat, 256), nn.ReLU())


@pytest.mark.parametrize("shape", [(4, 21, 16), (17, 14, 3), (5, 1)])
def test_deep_torso_is_impalas_residual_network_on_images_of_0_to_1(shape: tuple[int, ...]) -> None:
    case = Case("deep", bytes_of(*shape), 256)
    torso = case.torso()
    weights, observations = stacked(torso, (1,)), case.observations(1, 3)
    images = observations[0].float() / 255.0
    images = images[:, None] if len(shape) == 2 else images.permute(0, 3, 1, 2) if shape[2] == 3 else images
    height, width = (math.ceil(size / 8) for size in images.shape[2:])
    published = published_deep_torso(images.shape[1], 32 * height * width)
    own = {key: weight[0].T if key == "torso.dense.weight" else weight[0] for key, weight in weights.items()}
    with torch.no_grad():
        for parameter, weight in zip(published.parameters(), own.values(), strict=True):
            parameter.copy_(weight)
        expected = published(images)
    policy, value = features_of(torso, weights, observations)
    torch.testing.assert_close(policy[0], expected, rtol=1e-4, atol=1e-5)
    assert policy is value
    assert sum(weight.dim() == 5 for weight in weights.values()) == 15  # convolutions, Espeholt 2018, Fig. 3


@pytest.mark.parametrize("name", ["shallow", "nature", "deep"])
def test_features_start_at_the_scale_of_the_images(name: str) -> None:
    case = Case(name, bytes_of(1, 84, 84), 256)
    torso = case.torso()
    features, _ = features_of(
        torso, {key: weight[None] for key, weight in torso.initialise(generator()).items()}, case.observations(1, 4)
    )
    assert 0.1 < features.square().mean().sqrt() < 3.0


@pytest.mark.parametrize(("name", "size"), [("shallow", (36, 40)), ("nature", (36, 40)), ("small", (10, 9)), ("deep", (10, 9))])
@pytest.mark.parametrize("kind", [bytes_of, booleans_of])
def test_channels_last_or_first_or_none_are_the_same_images(name: str, size: tuple[int, int], kind: Callable) -> None:
    first, last = Case(name, kind(3, *size), 0), Case(name, kind(*size, 3), 0)
    weights, images = stacked(first.torso(), (1, 2)), first.observations(2, 2)
    assert {key: weight.shape for key, weight in stacked(last.torso(), (1, 2)).items()} == {
        key: weight.shape for key, weight in weights.items()
    }
    transposed = images.movedim(2, -1).contiguous()
    torch.testing.assert_close(
        features_of(first.torso(), weights, images)[0], features_of(last.torso(), weights, transposed)[0], rtol=1e-4, atol=1e-5
    )

    grey, plain = Case(name, kind(1, *size), 0), Case(name, kind(*size), 0)
    weights, images = stacked(grey.torso(), (1, 2)), grey.observations(2, 2)
    assert torch.equal(features_of(grey.torso(), weights, images)[0], features_of(plain.torso(), weights, images[:, :, 0])[0])


@pytest.mark.parametrize(
    ("shape", "channels", "size", "channels_last"),
    [
        ((4, 84, 84), 4, (84, 84), False),
        ((12, 40, 44), 12, (40, 44), False),
        ((210, 160, 3), 3, (210, 160), True),
        ((10, 10, 7), 7, (10, 10), True),
        ((9, 9, 9), 9, (9, 9), True),  # nothing tells: last
        ((20, 30), 1, (20, 30), False),
    ],
)
def test_channels_are_last_unless_the_first_axis_is_smaller(shape, channels: int, size, channels_last: bool) -> None:
    image = ImageFormat.of(bytes_of(*shape))
    assert image == ImageFormat(channels=channels, height=size[0], width=size[1], channels_last=channels_last, white=255.0)
    seen = torch.zeros(2, 3, *shape, dtype=torch.uint8)
    assert image.channels_first(seen).shape == (2, 3, channels, *size)


@pytest.mark.parametrize("name", ["small", "deep"])
def test_white_is_one_whatever_its_byte(name: str) -> None:
    images = Case(name, booleans_of(10, 9, 4), 0).observations(1, 3)
    outputs = []
    for space in (booleans_of(10, 9, 4), bytes_of(10, 9, 4, white=1), bytes_of(10, 9, 4, white=10), bytes_of(10, 9, 4)):
        torso = make_torso(name, space, hidden=(), shared=False, autocast=False)
        seen = images if space.dtype == np.bool_ else images.to(torch.uint8) * int(space.high.max())
        outputs.append(features_of(torso, stacked(torso, (1,)), seen)[0])
    for output in outputs[1:]:
        torch.testing.assert_close(outputs[0], output, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_weights_prepared_once_serve_many_steps_and_leave_the_originals_alone(name: str, autocast: bool) -> None:
    case = CASES[name]
    torso, observations = case.torso(autocast), case.observations(2, 3)
    weights = stacked(torso, (1, 2)) | {"policy.weight": torch.ones(2, 3, 4)}
    before = {key: weight.clone() for key, weight in weights.items()}
    prepared = torso.prepared(weights)
    for _ in range(2):
        features = torso.for_policy(prepared, observations)
        assert torch.equal(features, features_of(torso, weights, observations)[0]) and features.dtype == torch.float32
    assert all(torch.equal(weights[key], before[key]) for key in before)
    assert torch.equal(prepared["policy.weight"], before["policy.weight"])


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_autocast_is_close_to_float32_and_gives_float32(name: str) -> None:
    case = CASES[name]
    weights = {key: weight.requires_grad_() for key, weight in stacked(case.torso(), (1, 2)).items()}
    observations = case.observations(2, 2)
    results = []
    for autocast in (False, True):
        features, _ = features_of(case.torso(autocast), weights, observations)
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
        assert (gradient - rough_gradients[key]).norm() < 0.1 * gradient.norm()


@pytest.mark.parametrize(
    ("space", "features"),
    [
        (VECTOR, 7),
        (gymnasium.spaces.Box(0, 9, (4,), np.int64), 7),
        (bytes_of(128), 7),  # Atari's memory
        (bytes_of(4, 83, 80), 256),
        (bytes_of(210, 160, 3), 256),
        (bytes_of(36, 36), 256),
        (bytes_of(35, 90), 128),
        (booleans_of(10, 10, 4), 128),
        (bytes_of(7, 7, 3), 128),
        (bytes_of(3, 3), 128),
        (bytes_of(2, 9), 7),  # no room for a kernel
        (gymnasium.spaces.Box(0.0, 1.0, (3, 20, 20), np.float32), 128),
        (gymnasium.spaces.Box(-1.0, 1.0, (64, 64, 3), np.float64), 256),
        (gymnasium.spaces.Box(0, 9, (8, 8, 5), np.int32), 128),
        # Numbers without bounds, or with other axes, are no images.
        (gymnasium.spaces.Box(-np.inf, 1.0, (3, 20, 20), np.float32), 7),
        (gymnasium.spaces.Box(0.0, 1.0, (20, 20), np.float32), 7),
        (gymnasium.spaces.Box(0.0, 1.0, (2, 3, 4, 5, 6), np.float64), 7),
        # Stacked images.
        (bytes_of(4, 84, 84, 3), 256),
        (gymnasium.spaces.Box(0.0, 1.0, (2, 10, 10, 4), np.float32), 128),
    ],
)
def test_auto_takes_a_torso_that_fits_the_space(space: gymnasium.spaces.Box, features: int) -> None:
    torso = make_torso("auto", space, hidden=(7,), shared=False, autocast=False)
    observations = torch.tensor(np.stack([space.sample() for _ in range(2)]))[None]
    outputs = features_of(torso, stacked(torso, (0,)), observations)
    assert torso.features == features
    assert outputs[0].shape == outputs[1].shape == (1, 2, features)


class Mission(gymnasium.spaces.Space[str]):
    """A space of someone's own, of which Gymnasium knows nothing, as in MiniGrid."""

    def __init__(self) -> None:
        super().__init__(dtype=str)

    def __repr__(self) -> str:
        return "Mission()"


@pytest.mark.parametrize(
    ("name", "space", "says"),
    [
        ("auto", gymnasium.spaces.Discrete(5), r"Discrete\(5\).*wrappers\.FlattenObservation"),
        ("auto", gymnasium.spaces.MultiBinary(5), r"MultiBinary\(5\).*wrappers\.FlattenObservation"),
        ("auto", gymnasium.spaces.Dict({"a": VECTOR}), r"Dict.*wrappers\.FlattenObservation"),
        (
            "auto",
            gymnasium.spaces.Dict({"image": VECTOR, "mission": Mission()}),
            r"Mission.*drop the entry 'mission' with gymnasium\.wrappers\.FilterObservation",
        ),
        (
            "dense",
            gymnasium.spaces.Dict({"a": VECTOR, "t": gymnasium.spaces.Text(9), "s": gymnasium.spaces.Sequence(VECTOR)}),
            r"drop the entries '(s', 't|t', 's)' with gymnasium\.wrappers\.FilterObservation",
        ),
        ("auto", gymnasium.spaces.Text(9), r"Text.*wrappers\.TransformObservation"),
        ("auto", Mission(), r"Mission.*wrappers\.TransformObservation"),
        ("auto", gymnasium.spaces.Box(0.0, 1.0, (), np.float32), r"Box.*wrappers\.FlattenObservation"),
        ("auto", bytes_of(2, 4, 84, 84, 3), r"\(2, 4, 84, 84, 3\).*wrappers\.FlattenObservation"),
        ("shallow", VECTOR, r"\(6,\)"),
        ("deep", gymnasium.spaces.Box(0.0, np.inf, (3, 40, 40), np.float32), r"\(3, 40, 40\)"),
        ("nature", bytes_of(1, 20, 20), r"\(1, 20, 20\)"),
        ("shallow", bytes_of(19, 90), r"\(1, 19, 90\)"),
        ("lenet", VECTOR, r"'lenet': use auto, dense, shallow, nature, small or deep"),
        ("auto", gymnasium.spaces.Dict({"a": gymnasium.spaces.Box(np.arange(60.0), 99.0, (60,), np.float64)}), "Dict"),
        ("shallow", gymnasium.spaces.Box(np.arange(60.0), 99.0, (60,), np.float64), "Box"),
    ],
)
def test_unsupported_observations_raise_one_line_that_names_them(name: str, space: gymnasium.Space, says: str) -> None:
    with pytest.raises(UnsupportedSpace, match=says) as error:
        make_torso(name, space, hidden=(8,), shared=False, autocast=False)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("shape", "channels", "channels_last"),
    [
        ((4, 84, 84), 4, False),  # Atari
        ((4, 83, 80), 4, False),  # Pacman
        ((10, 10, 4), 4, True),  # MinAtar
        ((10, 10, 10), 10, True),  # a game of MinAtar with as many channels
        ((7, 7, 20), 20, True),  # MiniGrid, one-hot
        ((7, 7, 3), 3, True),
        ((20, 7, 7), 20, False),
        ((96, 96, 3), 3, True),  # CarRacing
        ((72, 96, 3), 3, True),  # DeepMind Lab
        ((3, 72, 96), 3, False),
        ((210, 160, 3), 3, True),
        ((3, 3, 20), 20, True),
    ],
)
def test_which_axis_has_the_channels(shape: tuple[int, int, int], channels: int, channels_last: bool) -> None:
    image = ImageFormat.of(bytes_of(*shape))
    assert image is not None and (image.channels, image.channels_last) == (channels, channels_last)
    seen = torch.arange(math.prod(shape)).reshape(1, 1, *shape)
    first = image.channels_first(seen)
    assert first.shape == (1, 1, channels, image.height, image.width)
    expected = seen[0, 0].permute(2, 0, 1) if channels_last else seen[0, 0]
    assert torch.equal(first[0, 0], expected)


@pytest.mark.parametrize("shape", [(10, 10, 4), (3, 10, 20)])
def test_a_stack_of_images_has_the_channels_of_all(shape: tuple[int, int, int]) -> None:
    one, stack = ImageFormat.of(bytes_of(*shape)), ImageFormat.of(bytes_of(5, *shape))
    assert one is not None and stack is not None and stack.channels == 5 * one.channels
    observations = torch.randint(0, 256, (2, 3, 5, *shape), dtype=torch.uint8)
    expected = torch.cat([one.channels_first(observations[:, :, place]) for place in range(5)], 2)
    assert torch.equal(stack.channels_first(observations), expected)


def flattened(space: gymnasium.Space) -> gymnasium.spaces.Box:
    """As `envs.flattening` makes it."""
    flat = gymnasium.spaces.flatten_space(space)
    assert isinstance(flat, gymnasium.spaces.Box)
    flat.original = space  # type: ignore[attr-defined]
    return flat


MIXED = gymnasium.spaces.Dict(
    {
        "camera": bytes_of(20, 20, 3),
        "far": gymnasium.spaces.Dict({"camera": gymnasium.spaces.Box(0.0, 2.0, (1, 40, 50), np.float64)}),
        "memory": bytes_of(6),
        "room": gymnasium.spaces.Discrete(4),
        "speed": gymnasium.spaces.Box(-np.inf, np.inf, (3,), np.float32),
    }
)


def test_images_among_other_numbers_are_convolved_and_the_others_are_not() -> None:
    flat = flattened(MIXED)
    torso = make_torso("auto", flat, hidden=(7,), shared=False, autocast=False)
    assert "20x20 and 3 channels" in torso.words and "40x50 and 1 channel," in torso.words and "vector of 13" in torso.words
    weights = stacked(torso, (0, 1))
    MIXED.seed(0)
    samples = [MIXED.sample() for _ in range(2 * 3)]
    observations = torch.tensor(np.stack([gymnasium.spaces.flatten(MIXED, one) for one in samples])).reshape(2, 3, -1)
    features, for_value = features_of(torso, weights, observations)
    assert torch.equal(features, for_value) and features.shape == (2, 3, torso.features) and torso.features == 128 + 256 + 7

    def alone(space: gymnasium.Space, entry: str, seen: np.ndarray) -> torch.Tensor:
        part = make_torso("auto", space, hidden=(7,), shared=True, autocast=False)
        renamed = {key.replace(f"torso.{entry}.", "torso."): weight for key, weight in weights.items()}
        return features_of(part, renamed, torch.tensor(seen).reshape(2, 3, *seen.shape[1:]))[0]

    near = alone(MIXED["camera"], "image0", np.stack([one["camera"] for one in samples]))
    far = alone(MIXED["far"]["camera"], "image1", np.stack([one["far"]["camera"] for one in samples]))
    torch.testing.assert_close(features[..., :128], near)
    torch.testing.assert_close(features[..., 128:384], far)
    rest = np.stack(
        [np.concatenate([one["memory"] / 255, np.eye(4)[one["room"]], one["speed"]]).astype(np.float32) for one in samples]
    )
    vector = gymnasium.spaces.Box(-np.inf, np.inf, (13,), np.float32)
    torch.testing.assert_close(features[..., 384:], alone(vector, "rest", rest))


def test_a_dense_torso_scales_the_bytes_among_other_numbers() -> None:
    torso = make_torso("dense", flattened(MIXED), hidden=(7,), shared=True, autocast=False)
    (seen,) = [gymnasium.spaces.flatten(MIXED, MIXED.sample())]
    scaled = seen.copy()
    scaled[:1200] /= 255
    scaled[3200:3206] /= 255
    plain = make_torso("dense", gymnasium.spaces.Box(-np.inf, np.inf, seen.shape), hidden=(7,), shared=True, autocast=False)
    weights = stacked(torso, (0,))
    outputs = [features_of(*pair)[0] for pair in ((torso, weights, as_one(seen)), (plain, weights, as_one(scaled)))]
    torch.testing.assert_close(outputs[0], outputs[1])


def as_one(observation: np.ndarray) -> torch.Tensor:
    return torch.tensor(observation, dtype=torch.float32)[None, None]


def white_of(space: gymnasium.spaces.Box) -> torch.Tensor:
    return torch.tensor(space.high)[None, None]


@pytest.mark.parametrize(
    "space",
    [
        bytes_of(6),
        bytes_of(6, white=9),
        booleans_of(6),
        bytes_of(20, 20, 3),
        booleans_of(10, 10, 4),
        gymnasium.spaces.Box(0.0, 1.0, (20, 20, 3), np.float32),
        gymnasium.spaces.Box(-3.0, 3.0, (20, 20, 3), np.float64),
        gymnasium.spaces.Box(0, 10, (9, 9, 3), np.int32),
    ],
    ids=str,
)
def test_what_is_white_reaches_the_first_layer_as_one(space: gymnasium.spaces.Box) -> None:
    """The same features as of ones, in a space where 1 is white already."""
    ones = gymnasium.spaces.Box(0, 1, space.shape, np.uint8)
    torsos = [make_torso("auto", one, hidden=(5,), shared=False, autocast=False) for one in (space, ones)]
    weights = stacked(torsos[0], (0,))
    found, expected = (
        torso.for_policy(torso.prepared(weights), white_of(one)) for torso, one in zip(torsos, (space, ones), strict=True)
    )
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("space", [bytes_of(6), gymnasium.spaces.Box(-3.0, 3.0, (20, 20, 3), np.float32)], ids=str)
def test_what_was_normalised_is_not_scaled_again(space: gymnasium.spaces.Box) -> None:
    plain = gymnasium.spaces.Box(-1.0, 1.0, space.shape, np.float32)
    normalised = make_torso("auto", space, hidden=(5,), shared=False, autocast=False, normalised=True)
    other = make_torso("auto", plain, hidden=(5,), shared=False, autocast=False)
    weights = stacked(normalised, (0,))
    seen = torch.randn(1, 4, *space.shape, generator=generator())
    torch.testing.assert_close(
        normalised.for_policy(normalised.prepared(weights), seen), other.for_policy(other.prepared(weights), seen)
    )


def test_images_of_bytes_are_not_normalised() -> None:
    with pytest.raises(UnsupportedSpace, match="scaled already: use the agent option normalise_observations=false"):
        make_torso("auto", bytes_of(20, 20, 3), hidden=(), shared=False, autocast=False, normalised=True)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("dense", "dense layers of 8, 5 units over a vector of 6"),
        ("shallow", "2 convolutions over images of 40x44 and 4 channels, 256 features"),
        ("small", "1 convolution over images of 10x9 and 4 channels, 128 features"),
        ("deep", "15 convolutions, residual, over images of 17x14 and 3 channels, 256 features"),
    ],
)
def test_it_says_what_it_reads(name: str, words: str) -> None:
    assert CASES[name].torso().words == words


def test_a_vector_of_bytes_is_said_to_be_divided() -> None:
    torso = make_torso("auto", bytes_of(128), hidden=(64, 64), shared=False, autocast=False)
    assert torso.words == "dense layers of 64, 64 units over a vector of 128, divided by 255"
