"""The population's arithmetic against plain modules of torch.nn, one model at a time, and against itself in other populations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rl_pbt.agents.slots import CheckpointMismatch
from rl_pbt.tasks.gan.networks import LATENT, as_bytes, as_input
from rl_pbt.tasks.gan.population import Batches, GanPopulation

CHANNELS, STEPS, BATCH = 3, 2, 6
RATES = (3e-3, 1e-3)  # of generator and discriminator


class Generator(nn.Module):
    """As Radford 2015 has it, smaller."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(LATENT, 2 * CHANNELS * 49, bias=False)
        self.norm0 = nn.BatchNorm2d(2 * CHANNELS)
        self.up1 = nn.ConvTranspose2d(2 * CHANNELS, CHANNELS, 4, 2, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(CHANNELS)
        self.up2 = nn.ConvTranspose2d(CHANNELS, 1, 4, 2, 1)

    def forward(self, latents: Tensor) -> Tensor:
        hidden = self.project(latents).view(-1, 2 * CHANNELS, 7, 7)
        hidden = self.up1(torch.relu(self.norm0(hidden)))
        return torch.tanh(self.up2(torch.relu(self.norm1(hidden))))


class Discriminator(nn.Module):
    """The same."""

    def __init__(self) -> None:
        super().__init__()
        self.down1 = nn.Conv2d(1, CHANNELS, 4, 2, 1)
        self.down2 = nn.Conv2d(CHANNELS, 2 * CHANNELS, 4, 2, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(2 * CHANNELS, track_running_stats=False)
        self.decide = nn.Linear(2 * CHANNELS * 49, 1)

    def forward(self, images: Tensor) -> Tensor:
        hidden = nn.functional.leaky_relu(self.down1(images), 0.2)
        hidden = nn.functional.leaky_relu(self.norm2(self.down2(hidden)), 0.2)
        return self.decide(hidden.flatten(1))


def theirs(name: str) -> str:
    """What torch.nn calls an array."""
    return name.replace(".gain", ".weight").replace(".mean", ".running_mean").replace(".variance", ".running_var")


def moments(state: dict[str, np.ndarray], part: str, kind: str) -> dict[str, np.ndarray]:
    """Adam's, "mean" or "square", of a member's state, by the names of the weights."""
    beginning = f"optimiser.{part}.adam.{kind}."
    return {name.removeprefix(beginning): array for name, array in state.items() if name.startswith(beginning)}


class Plain:
    """One GAN, trained as every tutorial does it, from the state of a member."""

    def __init__(self, state: dict[str, np.ndarray]) -> None:
        self.networks = {"generator": Generator(), "discriminator": Discriminator()}
        for part, network in self.networks.items():
            own = {name.removeprefix(f"weights.{part}."): array for name, array in state.items() if f"weights.{part}." in name}
            found = network.load_state_dict({theirs(n): torch.from_numpy(a) for n, a in own.items()}, strict=False)
            assert not found.unexpected_keys and all("running" in n or "num_batches" in n for n in found.missing_keys)
        self.optimisers = {
            part: torch.optim.Adam(network.parameters(), lr=rate, betas=(0.5, 0.999))
            for (part, network), rate in zip(self.networks.items(), RATES, strict=True)
        }

    def learn(self, batches: Batches) -> None:
        generator, discriminator = self.networks.values()
        entropy = nn.BCEWithLogitsLoss()
        real, generated = torch.ones(BATCH, 1), torch.zeros(BATCH, 1)
        for step in range(STEPS):
            fake = generator(batches.latents[step]).detach()
            loss = entropy(discriminator(batches.real[step]), real) + entropy(discriminator(fake), generated)
            self.descend("discriminator", loss)
        self.descend("generator", entropy(discriminator(generator(batches.latents[-1])), real))

    def descend(self, part: str, loss: Tensor) -> None:
        self.optimisers[part].zero_grad()
        loss.backward()
        self.optimisers[part].step()

    def gradients(self, part: str) -> dict[str, np.ndarray]:
        return {n: p.grad.numpy().copy() for n, p in self.networks[part].named_parameters() if p.grad is not None}

    def moments(self, part: str, of_torch: str) -> dict[str, np.ndarray]:
        """Adam's, by the names of the weights; `exp_avg` and `exp_avg_sq` are torch's names."""
        of_weights = self.optimisers[part].state
        return {name: of_weights[weight][of_torch].numpy() for name, weight in self.networks[part].named_parameters()}


def drawn(seed: int) -> Batches:
    generator = torch.Generator().manual_seed(seed)
    real = as_input(torch.randint(0, 256, (STEPS * BATCH, 28, 28), generator=generator, dtype=torch.uint8))
    latents = torch.randn((STEPS + 1, BATCH, LATENT), generator=generator)
    return Batches(real=real.view(STEPS, BATCH, 1, 28, 28), latents=latents)


def population(seeds: Sequence[int]) -> GanPopulation:
    made = GanPopulation(seeds, CHANNELS)
    made.set_rates(generator=[RATES[0]] * len(seeds), discriminator=[RATES[1]] * len(seeds))
    return made


def trained(seeds: Sequence[int], updates: int = 3) -> GanPopulation:
    """Each member on what its own seed draws."""
    made = population(seeds)
    for update in range(updates):
        made.learn([drawn(100 * seed + update) for seed in seeds])
    return made


def test_gradients_are_those_of_plain_modules() -> None:
    """After one update of each network, Adam's first moments are half of its gradients."""
    made = population([5, 7])
    plain = Plain(dict(made.state(1)))
    batches = Batches(real=drawn(1).real[:1], latents=drawn(1).latents[:2])
    made.learn([Batches(real=drawn(2).real[:1], latents=drawn(2).latents[:2]), batches])
    state = made.state(1)
    generator, discriminator = plain.networks.values()
    entropy = nn.BCEWithLogitsLoss()
    fake = generator(batches.latents[0]).detach()
    judged = discriminator(batches.real[0]), discriminator(fake)
    plain.descend("discriminator", entropy(judged[0], torch.ones(BATCH, 1)) + entropy(judged[1], torch.zeros(BATCH, 1)))
    gradients = {"discriminator": plain.gradients("discriminator")}  # before the generator's loss adds others
    entropy(discriminator(generator(batches.latents[1])), torch.ones(BATCH, 1)).backward()
    gradients["generator"] = plain.gradients("generator")
    for part, of_network in gradients.items():
        means = {theirs(name): mean for name, mean in moments(state, part, "mean").items()}
        assert means.keys() == of_network.keys()
        for name, gradient in of_network.items():
            scale = float(np.abs(gradient).max())
            assert scale > 0 and 2.0 * means[name] == pytest.approx(gradient, abs=1e-4 * scale), f"{part} {name}"


def test_a_member_learns_what_plain_modules_learn() -> None:
    """Weights, moments and running statistics, after three updates of the generator and six of the discriminator."""
    first = population([5, 7]).state(1)
    plain = Plain(dict(first))
    for update in range(3):
        plain.learn(drawn(700 + update))
    found = trained([5, 7]).state(1)
    for part, network in plain.networks.items():
        whole = {**dict(network.named_parameters()), **dict(network.named_buffers())}
        names = {
            name: theirs(name.split(".", 2)[2] if name.startswith("weights") else name.split(".", 1)[1])
            for name in found
            if name.startswith(f"weights.{part}.") or (part == "generator" and name.startswith("statistics."))
        }
        assert len(names) == sum("num_batches" not in name for name in whole)
        for name, of_torch in names.items():
            expected = whole[of_torch].detach().numpy()
            assert found[name] == pytest.approx(expected, rel=1e-3, abs=1e-5), name
            assert not np.array_equal(found[name], first[name]), f"{name} does not move"
        for kind, of_torch in (("mean", "exp_avg"), ("square", "exp_avg_sq")):
            expected = plain.moments(part, of_torch)
            ours = {theirs(name): moment for name, moment in moments(found, part, kind).items()}
            assert ours.keys() == expected.keys()
            for name, moment in expected.items():
                scale = float(np.abs(moment).max())
                assert scale > 0 and ours[name] == pytest.approx(moment, abs=1e-3 * scale), f"{kind} of {name}"
    assert found["optimiser.discriminator.adam.steps"] == 3 * STEPS and found["optimiser.generator.adam.steps"] == 3


@pytest.mark.parametrize("seeds", [[5], [5, 7], [7, 5], [9, 5, 7, 8]])
def test_a_member_alone_is_the_same_to_the_last_digit_as_in_any_population(seeds: list[int]) -> None:
    alone, among = trained([5]), trained(seeds)
    place = seeds.index(5)
    one, other = alone.state(0), among.state(place)
    assert one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)
    latents = torch.randn((7, LATENT), generator=torch.Generator().manual_seed(0))
    assert torch.equal(alone.images(0, latents), among.images(place, latents))


def test_what_diverges_leaves_its_neighbours_alone() -> None:
    made = GanPopulation([5, 7], CHANNELS)
    made.set_rates(generator=[1e38, RATES[0]], discriminator=[1e38, RATES[1]])
    for update in range(3):
        made.learn([drawn(update), drawn(700 + update)])
    assert made.healthy().tolist() == [False, True]
    found, expected = made.state(1), trained([7]).state(0)
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_an_exploit_copies_everything() -> None:
    """What was loaded continues as its donor would have, moments and statistics included."""
    donor, copy = trained([5]), population([1, 2])
    copy.load_state(1, donor.state(0))
    donor.learn([drawn(9)])
    copy.learn([drawn(8), drawn(9)])
    one, other = donor.state(0), copy.state(1)
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_a_checkpoint_of_other_networks_changes_nothing() -> None:
    made, wider = population([5]), GanPopulation([5], CHANNELS + 1)
    before = made.state(0)
    with pytest.raises(CheckpointMismatch, match="is of another network"):
        made.load_state(0, wider.state(0))
    assert all(np.array_equal(before[name], array) for name, array in made.state(0).items())


def test_one_image_does_not_depend_on_those_beside_it() -> None:
    made = trained([5])
    latents = torch.randn((8, LATENT), generator=torch.Generator().manual_seed(0))
    together = made.images(0, latents)
    assert torch.allclose(made.images(0, latents[:1]), together[:1], atol=1e-6)
    assert together.shape == (8, 1, 28, 28) and float(together.abs().max()) <= 1.0


def test_bytes_are_seen_and_shown_alike() -> None:
    every = torch.arange(256, dtype=torch.uint8).repeat(28 * 28 // 256 + 1)[: 28 * 28].view(1, 28, 28)
    assert torch.equal(as_bytes(as_input(every)), every)
