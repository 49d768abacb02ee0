from __future__ import annotations

import numpy as np
import pytest
import torch

from agents.returns import n_step_returns


def slow_returns(rewards, terminated, invalid, values, gamma):
    """One environment, from the definition: discounted rewards to the end of the segment, plus the value that it leaves behind.

    A segment ends at a termination (nothing is left), at the rollout's end, or before an invalid step (the value of the
    observation there is left).
    """
    length = len(rewards)
    returns = np.zeros(length)
    for start in range(length):
        if invalid[start]:
            returns[start] = values[start]
            continue
        total, power, step = 0.0, 1.0, start
        while True:
            total += power * rewards[step]
            if terminated[step]:
                break
            power *= gamma
            step += 1
            if step == length or invalid[step]:
                total += power * values[step]
                break
        returns[start] = total
    return returns


def random_episodes(rng, length):
    """(terminated, invalid) of one environment in the NEXT_STEP mode; the rollout may begin with the reset of an earlier end."""
    terminated, invalid = np.zeros(length, bool), np.zeros(length, bool)
    ended = rng.random() < 0.2
    for t in range(length):
        invalid[t] = ended
        kind = 0.0 if ended else rng.random()
        terminated[t] = kind > 0.8
        ended = kind > 0.6
    return terminated, invalid


@pytest.mark.parametrize("seed", range(20))
def test_agrees_with_the_definition_on_random_mixes_of_ends(seed: int) -> None:
    rng = np.random.default_rng(seed)
    length, members, envs = int(rng.integers(1, 12)), 3, 4
    gammas = np.array([0.0, 0.9, 1.0])
    rewards = rng.normal(size=(length, members, envs))
    values = rng.normal(size=(length + 1, members, envs))
    ends = [[random_episodes(rng, length) for _ in range(envs)] for _ in range(members)]
    terminated = np.array([[end[0] for end in row] for row in ends]).transpose(2, 0, 1)
    invalid = np.array([[end[1] for end in row] for row in ends]).transpose(2, 0, 1)
    expected = np.zeros_like(rewards)
    for p in range(members):
        for b in range(envs):
            expected[:, p, b] = slow_returns(rewards[:, p, b], terminated[:, p, b], invalid[:, p, b], values[:, p, b], gammas[p])
    returns = n_step_returns(
        torch.tensor(rewards), torch.tensor(gammas[None, :, None] * ~terminated), torch.tensor(values), torch.tensor(~invalid)
    )
    np.testing.assert_allclose(returns.numpy(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("gamma", [0.5, 0.9, 0.99])
def test_endless_reward_of_one_keeps_its_value_through_truncations(gamma: float) -> None:
    value = 1.0 / (1.0 - gamma)
    rewards = torch.ones(9, 1, dtype=torch.float64)
    valid = torch.tensor([True, True, True, False, True, False, True, True, True])[:, None]
    rewards[~valid] = 0.0
    returns = n_step_returns(rewards, torch.full_like(rewards, gamma), torch.full((10, 1), value, dtype=torch.float64), valid)
    torch.testing.assert_close(returns, torch.full_like(rewards, value))


def test_termination_leaves_no_value_behind() -> None:
    returns = n_step_returns(
        torch.tensor([1.0, 2.0, 50.0, 4.0]),
        torch.tensor([0.5, 0.0, 0.5, 0.5]),
        torch.tensor([100.0, 100.0, 100.0, 100.0, 10.0]),
        torch.tensor([True, True, False, True]),
    )
    assert returns.tolist() == [2.0, 2.0, 100.0, 9.0]


def test_the_reward_of_an_invalid_step_is_never_read() -> None:
    valid = torch.tensor([True, False, True])
    rewards, discounts, values = torch.tensor([1.0, float("nan"), 3.0]), torch.full((3,), 0.9), torch.arange(4.0)
    returns = n_step_returns(rewards, discounts, values, valid)
    torch.testing.assert_close(returns, torch.tensor([1.0 + 0.9 * 1.0, 1.0, 3.0 + 0.9 * 3.0]))


@pytest.mark.parametrize("wrong", range(4))
def test_differing_shapes_raise(wrong: int) -> None:
    arrays = [torch.zeros(3, 2), torch.zeros(3, 2), torch.zeros(4, 2), torch.ones(3, 2, dtype=torch.bool)]
    n_step_returns(*arrays)
    arrays[wrong] = arrays[wrong][:, :1]  # would broadcast
    with pytest.raises(ValueError, match="shapes differ"):
        n_step_returns(*arrays)


def test_values_without_the_bootstrap_raise() -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        n_step_returns(torch.zeros(3, 2), torch.zeros(3, 2), torch.zeros(3, 2), torch.ones(3, 2, dtype=torch.bool))
