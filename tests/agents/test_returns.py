from __future__ import annotations

import numpy as np
import pytest
import torch

from rl_pbt.agents.returns import lambda_returns, vtrace

ONE = torch.tensor(1.0)


def n_step_returns(rewards, discounts, values, valid):
    return lambda_returns(rewards, discounts, values, valid, ONE)


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


def random_rollout(seed: int, members: int = 3, envs: int = 4):
    """Rewards, discounts with terminations as 0, values, valid: all [T, P, B] but values [T+1, P, B], float64."""
    rng = np.random.default_rng(seed)
    length = int(rng.integers(1, 12))
    ends = [[random_episodes(rng, length) for _ in range(envs)] for _ in range(members)]
    terminated, invalid = (np.array([[end[i] for end in row] for row in ends]).transpose(2, 0, 1) for i in (0, 1))
    discounts = np.array([0.3, 0.9, 1.0])[None, :, None] * ~terminated
    arrays = (rng.normal(size=terminated.shape), discounts, rng.normal(size=(length + 1, members, envs)), ~invalid)
    return tuple(torch.tensor(array) for array in arrays)


@pytest.mark.parametrize("seed", range(10))
def test_lambda_returns_are_the_weighted_sum_of_n_step_returns(seed: int) -> None:
    """Schulman 2015, eq. 16: return = v + sum of (discount λ)^l δ, cut where the next step is not valid."""
    rewards, discounts, values, valid = random_rollout(seed)
    lambdas = torch.tensor([0.0, 0.6, 0.95], dtype=torch.float64)[:, None]
    returns = lambda_returns(rewards, discounts, values, valid, lambdas)
    for t, p, b in np.ndindex(*rewards.shape):
        total, weight = values[t, p, b].item(), 1.0
        for step in range(t, len(rewards)):
            if not valid[step, p, b]:
                break
            delta = rewards[step, p, b] + discounts[step, p, b] * values[step + 1, p, b] - values[step, p, b]
            total += weight * delta.item()
            weight *= discounts[step, p, b].item() * lambdas[p, 0].item()
        assert returns[t, p, b].item() == pytest.approx(total, rel=1e-9, abs=1e-9)


def slow_vtrace(log_ratios, rewards, discounts, values, lambda_, clip_rho, clip_pg_rho):
    """One environment without resets, from the sum of Espeholt 2018, eq. 1: two loops, no recursion."""
    length, ratios = len(rewards), np.exp(log_ratios)
    targets = np.array(values, dtype=np.float64)
    for start in range(length):
        product = 1.0
        for t in range(start, length):
            delta = min(clip_rho, ratios[t]) * (rewards[t] + discounts[t] * values[t + 1] - values[t])
            targets[start] += product * delta
            product *= discounts[t] * lambda_ * min(1.0, ratios[t])
    next_ = (1.0 - lambda_) * values[1:] + lambda_ * targets[1:]
    return targets[:-1], np.minimum(clip_pg_rho, ratios) * (rewards + discounts * next_ - values[:-1])


@pytest.mark.parametrize("clips", [(1.0, 1.0), (0.5, 2.0), (3.7, 2.2)])
@pytest.mark.parametrize("lambda_", [1.0, 0.7, 0.0])
def test_vtrace_agrees_with_the_equations_on_both_sides_of_each_clip(clips: tuple[float, float], lambda_: float) -> None:
    rng = np.random.default_rng(0)
    log_ratios = rng.uniform(-2.5, 2.5, size=(7, 2, 3))
    assert (log_ratios > np.log(3.7)).any() and (log_ratios < np.log(0.5)).any()
    rewards, values = rng.normal(size=(7, 2, 3)), rng.normal(size=(8, 2, 3))
    discounts = 0.9 * (rng.random((7, 2, 3)) > 0.2)
    arrays = [torch.tensor(array) for array in (log_ratios, rewards, discounts, values)]
    valid = torch.ones(7, 2, 3, dtype=torch.bool)
    traced = vtrace(*arrays, valid, torch.tensor(lambda_, dtype=torch.float64), clip_rho=clips[0], clip_pg_rho=clips[1])
    for p, b in np.ndindex(2, 3):
        own = [array[:, p, b] for array in (log_ratios, rewards, discounts, values)]
        targets, advantages = slow_vtrace(*own, lambda_, *clips)
        np.testing.assert_allclose(traced.values[:, p, b].numpy(), targets, rtol=1e-12)
        np.testing.assert_allclose(traced.advantages[:, p, b].numpy(), advantages, rtol=1e-10, atol=1e-12)


def test_vtrace_gives_the_figures_of_the_papers_own_tests() -> None:
    """Inputs of scalable_agent's vtrace_test.py; figures computed from the paper's equations in float64."""
    steps = torch.arange(5, dtype=torch.float64)
    values = torch.cat([steps, torch.ones(1, dtype=torch.float64)])
    valid = torch.ones(5, dtype=torch.bool)
    discounts = torch.full((5,), 0.9, dtype=torch.float64)
    traced = vtrace(5 * (steps / 5 - 0.5), steps, discounts, values, valid, ONE, clip_rho=3.7, clip_pg_rho=2.2)
    np.testing.assert_allclose(traced.values, [0.200182, 2.709682, 8.513628, 11.932397, 7.33], rtol=1e-5)
    np.testing.assert_allclose(traced.advantages, [0.200182, 1.709682, 6.513628, 10.876614, 1.98], rtol=1e-5)


def test_vtrace_gives_the_figures_of_rlaxs_tests() -> None:
    behaviour = [[[8.9, 0.7], [5, 1], [0.6, 0.1], [-0.9, -0.1]], [[0.3, -5], [1, -8], [0.3, 1.7], [4.7, 3.3]]]
    target = [[[0.4, 0.5], [9.2, 8.8], [0.7, 4.4], [7.9, 1.4]], [[1, 0.9], [1, -1], [-4.3, 8.7], [0.8, 0.3]]]
    actions = torch.tensor([[0, 1, 0, 0], [1, 0, 0, 1]])[..., None]
    chosen = [torch.tensor(logits).log_softmax(-1).gather(-1, actions)[..., 0].T for logits in (target, behaviour)]
    rewards = torch.tensor([[-1.3, -1.3, 2.3, 42], [1.3, 5.3, -3.3, -5]]).T
    discounts = torch.tensor([[0, 0.89, 0.85, 0.99], [0.88, 1, 0.83, 0.95]]).T
    values = torch.tensor([[2.1, 1.1, -3.1, 0, 8.4], [3.1, 0.1, -1.1, 7.4, -1.2]]).T
    valid = torch.ones(4, 2, dtype=torch.bool)
    traced = vtrace(chosen[0] - chosen[1], rewards, discounts, values, valid, ONE)
    errors = [[-1.6155143, -3.4973226, 1.8670533, 50.316002], [1.4662437, 3.6116405, -8.3327293e-5, -13.54]]
    advantages = [[-1.6155143, -3.4973226, 1.8670534, 50.316002], [1.4662433, 3.6116405, -8.3369283e-5, -13.54]]
    np.testing.assert_allclose((traced.values - values[:-1]).T, errors, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(traced.advantages.T, advantages, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("seed", range(10))
def test_on_policy_vtrace_is_the_lambda_return_across_every_kind_of_end(seed: int) -> None:
    rewards, discounts, values, valid = random_rollout(seed)
    for lambdas in (ONE, torch.tensor([0.0, 0.6, 0.95], dtype=torch.float64)[:, None]):
        traced = vtrace(torch.zeros_like(rewards), rewards, discounts, values, valid, lambdas)
        returns = lambda_returns(rewards, discounts, values, valid, lambdas)
        torch.testing.assert_close(traced.values, returns)
        torch.testing.assert_close(traced.advantages, returns - values[:-1])


def test_vtrace_never_reads_an_invalid_step_and_cuts_there() -> None:
    rewards, discounts, values, _ = random_rollout(3)
    valid = torch.ones_like(rewards, dtype=torch.bool)
    assert len(rewards) > 3
    cut = 2
    valid[cut] = False
    spoilt = rewards.clone()
    spoilt[cut] = float("nan")
    log_ratios = torch.linspace(-1, 1, rewards.numel(), dtype=torch.float64).view(rewards.shape)
    whole = vtrace(log_ratios, spoilt, discounts, values, valid, ONE)
    head = vtrace(log_ratios[:cut], rewards[:cut], discounts[:cut], values[: cut + 1], valid[:cut], ONE)
    torch.testing.assert_close(whole.values[:cut], head.values)
    torch.testing.assert_close(whole.advantages[:cut], head.advantages)
    assert torch.equal(whole.values[cut], values[cut]) and not whole.advantages[cut].any()
