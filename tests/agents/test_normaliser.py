from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from rl_pbt.agents.normaliser import CLIP, Normaliser, ReturnScale

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
        np.testing.assert_allclose(normaliser.slots()["count"][p].item(), len(everything) + PRIOR)
        np.testing.assert_allclose(normaliser.slots()["mean"][p].numpy(), mean, rtol=1e-10)
        np.testing.assert_allclose(normaliser.slots()["variance"][p].numpy(), variance, rtol=1e-7)
        expected = np.clip((probe[p] - mean) / np.sqrt(variance + 1e-8), -CLIP, CLIP)
        np.testing.assert_allclose(normalised[p].numpy(), expected, rtol=1e-5)


def test_nothing_valid_changes_nothing() -> None:
    normaliser = Normaliser(2, (3,), "cpu")
    normaliser.update(torch.full((4, 2, 5, 3), 7.0), torch.zeros(4, 2, 5, dtype=torch.bool))
    assert torch.equal(normaliser.slots()["mean"], torch.zeros(2, 3, dtype=torch.float64))
    assert torch.equal(normaliser.slots()["variance"], torch.ones(2, 3, dtype=torch.float64))


def test_a_member_alone_has_the_same_statistics() -> None:
    generator = torch.Generator().manual_seed(0)
    population, alone = Normaliser(3, (2,), "cpu"), Normaliser(1, (2,), "cpu")
    for _ in range(3):
        batch = torch.randn(4, 3, 5, 2, generator=generator)
        valid = torch.rand(4, 3, 5, generator=generator) < 0.8
        batch[:, 0] = float("nan")  # a neighbour whose environment broke
        population.update(batch, valid)
        alone.update(batch[:, 1:2], valid[:, 1:2])
    torch.testing.assert_close(population.slots()["mean"][1:2], alone.slots()["mean"], rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(population.slots()["variance"][1:2], alone.slots()["variance"], rtol=1e-12, atol=1e-14)
    assert torch.isfinite(population.slots()["mean"][1:]).all()
    assert torch.isfinite(population.slots()["variance"][1:]).all()


def test_large_means_lose_no_variance() -> None:
    normaliser = Normaliser(1, (1,), "cpu")
    batch = torch.randn(50, 1, 40, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for half in (batch[:20] + 1e6, batch[20:] + 1e6):
        normaliser.update(half, torch.ones(half.shape[:3], dtype=torch.bool))
    # The prior at 0, of weight 1e-4, is 1e6 away: it adds 1e-4 / 2000 * 1e12.
    assert normaliser.slots()["variance"].item() - PRIOR / 2000 * 1e12 == pytest.approx(
        batch.var(correction=0).item(), rel=0.02, abs=6.0
    )


def test_values_far_out_are_clipped() -> None:
    normaliser = Normaliser(1, (1,), "cpu")
    assert normaliser(torch.tensor([[[1e9], [-1e9]]])).flatten().tolist() == [CLIP, -CLIP]


def test_a_copy_stays_as_it_is_and_slots_are_live() -> None:
    normaliser = Normaliser(2, (3,), "cpu")
    slots, kept = normaliser.slots(), normaliser.of_members()
    before = {name: tensor.clone() for name, tensor in slots.items()}
    normaliser.update(torch.randn(4, 2, 5, 3, generator=torch.Generator().manual_seed(0)), torch.ones(4, 2, 5, dtype=torch.bool))
    for name, tensor in normaliser.slots().items():
        assert tensor is slots[name]
        assert not torch.equal(tensor, before[name])
        assert torch.equal(kept.slots()[name], before[name])
    for name, tensor in slots.items():
        tensor[0] = kept.slots()[name][1]  # as an exploit does
    assert torch.equal(normaliser(torch.ones(2, 1, 3))[0], kept(torch.ones(2, 1, 3))[0])


def steps_of_episodes(members: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rewards and valid, 60 steps; each member's rewards have a scale of their own, and invalid steps hold rubbish."""
    rng = np.random.default_rng(seed)
    ends = rng.random((60, members, 4)) < 0.1
    valid = np.ones_like(ends)
    for t in range(1, 60):
        valid[t] = ~(ends[t - 1] & valid[t - 1])
    rewards = rng.normal(0.3, 1.0, ends.shape) * np.array([0.1, 1.0, 50.0])[:members, None]
    return np.where(valid, rewards, np.nan).astype(np.float32), valid


def expected_returns(rewards: np.ndarray, valid: np.ndarray, p: int) -> np.ndarray:
    """Discounted sums of the rewards of each episode up to each valid step, as VecNormalize keeps them."""
    returns = []
    for b in range(valid.shape[2]):
        total = 0.0
        for t in range(valid.shape[0]):
            total = total * 0.99 + float(rewards[t, p, b]) if valid[t, p, b] else 0.0
            returns += [total] if valid[t, p, b] else []
    return np.array(returns)


def test_rewards_are_divided_by_the_deviation_of_discounted_returns() -> None:
    rewards, valid = steps_of_episodes(3)
    scale = ReturnScale(3, "cpu")
    for start, end in ((0, 7), (7, 8), (8, 60)):  # sums go on from one rollout to the next
        scale.update(torch.tensor(rewards[start:end]), torch.tensor(valid[start:end]))
    probe = torch.tensor(np.random.default_rng(1).normal(size=(5, 3, 4)), dtype=torch.float32)
    scaled = scale(probe)
    assert scaled.dtype == torch.float32
    for p in range(3):
        returns = expected_returns(rewards, valid, p)
        mean, variance = with_prior(returns[:, None])
        np.testing.assert_allclose(scale.slots()["count"][p].item(), len(returns) + PRIOR)
        np.testing.assert_allclose(scale.slots()["mean"][p].item(), mean[0], rtol=1e-9)
        np.testing.assert_allclose(scale.slots()["variance"][p].item(), variance[0], rtol=1e-7)
        expected = np.clip(probe[:, p].numpy() / math.sqrt(variance[0] + 1e-8), -CLIP, CLIP)
        np.testing.assert_allclose(scaled[:, p].numpy(), expected, rtol=1e-5)


def test_the_scale_of_rewards_cancels_and_their_sign_does_not() -> None:
    rewards, valid = steps_of_episodes(3)
    scaled = []
    for factor in (1.0, 1000.0):
        scale = ReturnScale(3, "cpu")
        scale.update(factor * torch.tensor(rewards), torch.tensor(valid))
        scaled.append(scale(factor * torch.tensor(np.nan_to_num(rewards))))
    torch.testing.assert_close(scaled[0], scaled[1], rtol=1e-3, atol=1e-4)
    assert torch.equal(scaled[0].sign(), torch.tensor(np.nan_to_num(rewards)).sign())


def test_a_reset_begins_the_sum_anew() -> None:
    scale = ReturnScale(1, "cpu")
    rewards = torch.tensor([100.0, 100.0, 5.0, 1.0]).view(4, 1, 1)
    scale.update(rewards, torch.tensor([True, True, False, True]).view(4, 1, 1))
    returns = np.array([[100.0], [199.0], [1.0]])
    mean, variance = with_prior(returns)
    assert scale.slots()["mean"].item() == pytest.approx(mean[0])
    assert scale.slots()["variance"].item() == pytest.approx(variance[0])


def test_a_member_alone_has_the_same_scale_whatever_its_neighbours_meet() -> None:
    rewards, valid = (torch.tensor(array) for array in steps_of_episodes(3))
    rewards[:, 0] = math.nan
    population, alone = ReturnScale(3, "cpu"), ReturnScale(1, "cpu")
    for half in (slice(0, 30), slice(30, 60)):
        population.update(rewards[half], valid[half])
        alone.update(rewards[half, 1:2], valid[half, 1:2])
    for name, tensor in alone.slots().items():
        assert tensor.dtype == torch.float64
        torch.testing.assert_close(population.slots()[name][1:2], tensor, rtol=1e-12, atol=1e-14)
        assert population.slots()[name][1:].isfinite().all()
    torch.testing.assert_close(population(rewards)[:, 1:2], alone(rewards[:, 1:2]), equal_nan=True)


def test_rewards_far_out_are_clipped() -> None:
    scale = ReturnScale(1, "cpu")
    assert scale(torch.tensor([[[1e9, -1e9, 0.5]]])).flatten().tolist() == [CLIP, -CLIP, pytest.approx(0.5)]
