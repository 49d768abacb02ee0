from __future__ import annotations

import numpy as np
import pytest
import torch

from agents.normaliser import CLIP, Normaliser

PRIOR = 1e-4  # weight of the first mean 0 and variance 1


def with_prior(seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of all of `seen` [N, *observation], and of a sample of weight PRIOR with mean 0 and variance 1."""
    share = len(seen) / (len(seen) + PRIOR)
    mean = share * seen.mean(0)
    second = share * np.square(seen).mean(0) + (1.0 - share)
    return mean, second - np.square(mean)


@pytest.mark.parametrize("shape", [(3,), (), (2, 3)])
def test_statistics_are_numpys_over_all_valid_observations(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    normaliser = Normaliser(3, shape, "cpu")
    scale, shift = np.array([0.1, 1.0, 20.0]), np.array([5.0, 0.0, -40.0])
    seen: list[list[np.ndarray]] = [[], [], []]
    for update in range(5):
        length = update + 1
        batch = rng.normal(size=(length, 3, 4, *shape))
        batch = batch * scale.reshape(1, 3, 1, *[1] * len(shape)) + shift.reshape(1, 3, 1, *[1] * len(shape))
        valid = rng.random((length, 3, 4)) < 0.7
        valid[:, 1] &= update != 2  # once, member 1 sees nothing at all
        rubbish = np.where(valid.reshape(*valid.shape, *[1] * len(shape)), batch, np.nan)
        normaliser.update(torch.tensor(rubbish), torch.tensor(valid))
        for p in range(3):
            seen[p].append(batch[:, p][valid[:, p]])
    probe = rng.normal(size=(3, 5, *shape)) * 2.0
    normalised = normaliser(torch.tensor(probe))
    assert normalised.dtype == torch.float32
    for p in range(3):
        everything = np.concatenate(seen[p])
        mean, variance = with_prior(everything)
        np.testing.assert_allclose(normaliser.count[p].item(), len(everything) + PRIOR)
        np.testing.assert_allclose(normaliser.mean[p].numpy(), mean, rtol=1e-10)
        np.testing.assert_allclose(normaliser.variance[p].numpy(), variance, rtol=1e-7)
        expected = np.clip((probe[p] - mean) / np.sqrt(variance + 1e-8), -CLIP, CLIP)
        np.testing.assert_allclose(normalised[p].numpy(), expected, rtol=1e-5)


def test_nothing_valid_changes_nothing() -> None:
    normaliser = Normaliser(2, (3,), "cpu")
    normaliser.update(torch.full((4, 2, 5, 3), 7.0), torch.zeros(4, 2, 5, dtype=torch.bool))
    assert torch.equal(normaliser.mean, torch.zeros(2, 3, dtype=torch.float64))
    assert torch.equal(normaliser.variance, torch.ones(2, 3, dtype=torch.float64))


def test_a_member_alone_has_the_same_statistics() -> None:
    generator = torch.Generator().manual_seed(0)
    population, alone = Normaliser(3, (2,), "cpu"), Normaliser(1, (2,), "cpu")
    for _ in range(3):
        batch = torch.randn(4, 3, 5, 2, generator=generator)
        valid = torch.rand(4, 3, 5, generator=generator) < 0.8
        batch[:, 0] = float("nan")  # a neighbour whose environment broke
        population.update(batch, valid)
        alone.update(batch[:, 1:2], valid[:, 1:2])
    torch.testing.assert_close(population.mean[1:2], alone.mean, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(population.variance[1:2], alone.variance, rtol=1e-12, atol=1e-14)
    assert torch.isfinite(population.mean[1:]).all()
    assert torch.isfinite(population.variance[1:]).all()


def test_large_means_lose_no_variance() -> None:
    normaliser = Normaliser(1, (1,), "cpu")
    batch = torch.randn(50, 1, 40, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for half in (batch[:20] + 1e6, batch[20:] + 1e6):
        normaliser.update(half, torch.ones(half.shape[:3], dtype=torch.bool))
    # The prior at 0, of weight 1e-4, is 1e6 away: it adds 1e-4 / 2000 * 1e12.
    assert normaliser.variance.item() - PRIOR / 2000 * 1e12 == pytest.approx(batch.var(correction=0).item(), rel=0.02, abs=6.0)


def test_values_far_out_are_clipped() -> None:
    normaliser = Normaliser(1, (1,), "cpu")
    assert normaliser(torch.tensor([[[1e9], [-1e9]]])).flatten().tolist() == [CLIP, -CLIP]
