from __future__ import annotations

import itertools
import math

import pytest
import torch

from rl_pbt.agents.cores import LSTM, make_core

INPUTS, SIZE, LENGTH, MEMBERS, ENVS = 5, 7, 6, 3, 4
CORES = {"none": (INPUTS, 0), "lstm": (SIZE, 2 * SIZE)}  # features out, width of the state


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def stacked(core, seeds=(4, 5, 6)) -> dict[str, torch.Tensor]:
    members = [core.initialise(generator(seed)) for seed in seeds]
    # Biases start at zero; other values show where they are added.
    for seed, member in zip(seeds, members, strict=True):
        if "core.bias" in member:
            member["core.bias"].normal_(generator=generator(100 + seed))
    return {name: torch.stack([member[name] for member in members]) for name in members[0]}


def inputs_of(length: int = LENGTH, seed: int = 1, width: int = 2 * SIZE) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features [P, T B, in], a state [P, B, width] as an LSTM may have it, and fresh [T, P, B], about a third True."""
    source = generator(seed)
    features = torch.randn(MEMBERS, length * ENVS, INPUTS, generator=source)
    state = torch.rand(MEMBERS, ENVS, width, generator=source) - 0.5
    return features, state, torch.rand(length, MEMBERS, ENVS, generator=source) < 0.3


def never(length: int = LENGTH) -> torch.Tensor:
    return torch.zeros(length, MEMBERS, ENVS, dtype=torch.bool)


def by_step(features: torch.Tensor) -> torch.Tensor:
    """[P, T B, F] -> [P, T, B, F]."""
    return features.unflatten(1, (-1, ENVS))


@pytest.mark.parametrize("name", CORES)
def test_a_member_alone_computes_what_it_computes_in_a_population(name: str) -> None:
    features_out, width = CORES[name]
    core = make_core(name, INPUTS, SIZE)
    weights, (features, state, fresh) = stacked(core), inputs_of(width=width)
    outputs, last = core(weights, features, state, fresh)
    assert (core.features, core.width) == (features_out, width)
    assert outputs.shape == (MEMBERS, LENGTH * ENVS, features_out)
    assert last.shape == (MEMBERS, ENVS, width)
    for p in range(MEMBERS):
        own = {key: weight[p : p + 1] for key, weight in weights.items()}
        alone, alone_last = core(own, features[p : p + 1], state[p : p + 1], fresh[:, p : p + 1])
        torch.testing.assert_close(outputs[p], alone[0], rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(last[p], alone_last[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", CORES)
def test_others_do_not_matter_to_a_bit(name: str) -> None:
    core = make_core(name, INPUTS, SIZE)
    weights, (features, state, fresh) = stacked(core), inputs_of(width=CORES[name][1])
    before = core(weights, features, state, fresh)
    for array in (*weights.values(), features, state):
        array[[0, 2]] = math.nan
    fresh[:, [0, 2]] = True
    for clean, spoilt in zip(before, core(weights, features, state, fresh), strict=True):
        assert torch.equal(clean[1], spoilt[1])


def test_no_core_gives_what_it_takes() -> None:
    core = make_core("none", INPUTS, SIZE)
    features, state, fresh = inputs_of(width=0)
    outputs, last = core({}, features, state, fresh)
    assert outputs is features
    assert last is state
    assert core.initialise(generator()) == {}


def torchs(weights: dict[str, torch.Tensor], p: int) -> torch.nn.LSTM:
    """torch.nn.LSTM with one member's weights; one of its two biases is zero."""
    layer = torch.nn.LSTM(INPUTS, SIZE)
    loaded = {"weight_ih_l0": weights["core.input.weight"][p].T, "weight_hh_l0": weights["core.hidden.weight"][p].T}
    loaded |= {"bias_ih_l0": weights["core.bias"][p], "bias_hh_l0": torch.zeros(4 * SIZE)}
    layer.load_state_dict({name: weight.detach().clone() for name, weight in loaded.items()})
    return layer


def test_lstm_has_the_values_and_gradients_of_torchs() -> None:
    core = LSTM(INPUTS, SIZE)
    weights = {name: weight.requires_grad_() for name, weight in stacked(core).items()}
    features, state, _ = inputs_of()
    features.requires_grad_()
    state.requires_grad_()
    outputs, last = core(weights, features, state, never())
    cotangent, last_cotangent = (torch.randn(array.shape, generator=generator(7)) for array in (outputs, last))
    ((outputs * cotangent).sum() + (last * last_cotangent).sum()).backward()
    for p in range(MEMBERS):
        layer = torchs(weights, p)
        own_features = by_step(features)[p].detach().requires_grad_()
        own_state = state[p].detach().requires_grad_()
        expected, (hidden, cell) = layer(own_features, tuple(part[None].contiguous() for part in own_state.chunk(2, -1)))
        expected_last = torch.cat([hidden[0], cell[0]], -1)
        torch.testing.assert_close(by_step(outputs)[p], expected)
        torch.testing.assert_close(last[p], expected_last)
        ((expected * by_step(cotangent)[p]).sum() + (expected_last * last_cotangent[p]).sum()).backward()
        assert features.grad is not None
        assert state.grad is not None
        gradients = [
            (weights["core.input.weight"].grad[p], layer.weight_ih_l0.grad.T),
            (weights["core.hidden.weight"].grad[p], layer.weight_hh_l0.grad.T),
            (weights["core.bias"].grad[p], layer.bias_ih_l0.grad),
            (by_step(features.grad)[p], own_features.grad),
            (state.grad[p], own_state.grad),
        ]
        for ours, theirs in gradients:
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_resets_are_separate_runs() -> None:
    core = LSTM(INPUTS, SIZE)
    weights, (features, state, fresh) = stacked(core), inputs_of()
    assert fresh[0].any()
    assert fresh[1:].any()
    outputs, last = core(weights, features, state, fresh)
    for p in range(MEMBERS):
        layer = torchs(weights, p)
        for b in range(ENVS):
            starts = [0, *(t for t in range(1, LENGTH) if fresh[t, p, b]), LENGTH]
            parts = (part[None].contiguous() for part in state[p, b : b + 1].chunk(2, -1))
            carried = tuple(torch.zeros_like(part) if fresh[0, p, b] else part for part in parts)
            for start, end in itertools.pairwise(starts):
                run, (hidden, cell) = layer(by_step(features)[p, start:end, b : b + 1], carried)
                torch.testing.assert_close(by_step(outputs)[p, start:end, b], run[:, 0])
                carried = (torch.zeros_like(hidden), torch.zeros_like(cell))
            torch.testing.assert_close(last[p, b], torch.cat([hidden, cell], -1)[0, 0])


def test_nothing_flows_back_over_a_reset() -> None:
    core = LSTM(INPUTS, SIZE)
    weights, (features, state, _) = stacked(core), inputs_of()
    features.requires_grad_()
    state.requires_grad_()
    fresh = never()
    fresh[2, :, 1] = True
    outputs, _ = core(weights, features, state, fresh)
    by_step(outputs)[:, 2:].sum().backward()
    assert features.grad is not None
    assert state.grad is not None
    before = by_step(features.grad)[:, :2].abs().amax((0, 1, 3))
    assert (before > 0).tolist() == [True, False, True, True]
    assert (state.grad.abs().amax((0, 2)) > 0).tolist() == [True, False, True, True]


def test_a_reset_forgets_a_state_that_is_not_finite() -> None:
    core = LSTM(INPUTS, SIZE)
    weights, (features, state, fresh) = stacked(core), inputs_of()
    fresh[0] = True
    expected = core(weights, features, state, fresh)
    for spoilt in (math.nan, math.inf):
        for clean, ours in zip(expected, core(weights, features, torch.full_like(state, spoilt), fresh), strict=True):
            assert torch.equal(clean, ours)


def test_acting_step_by_step_is_learning_over_all_steps() -> None:
    core = LSTM(INPUTS, SIZE)
    weights, (features, state, fresh) = stacked(core), inputs_of()
    outputs, last = core(weights, features, state, fresh)
    for t in range(LENGTH):
        output, state = core(weights, by_step(features)[:, t], state, fresh[t : t + 1])
        torch.testing.assert_close(output, by_step(outputs)[:, t])
    torch.testing.assert_close(state, last)


def test_a_counting_cell_counts_the_steps_of_each_episode() -> None:
    core = LSTM(INPUTS, SIZE)
    weights = {name: torch.zeros_like(weight) for name, weight in stacked(core).items()}
    # All gates open; what is added at each step is a hundredth.
    candidate = torch.full((SIZE,), math.atanh(0.01))
    wide = torch.full((SIZE,), 50.0)
    weights["core.bias"][:] = torch.cat([wide, wide, candidate, wide])
    length = 40
    fresh = torch.rand(length, MEMBERS, ENVS, generator=generator(3)) < 0.1
    counts, counted = torch.full((MEMBERS, ENVS), 9), []
    for t in range(length):
        counts = torch.where(fresh[t], 0, counts) + 1
        counted.append(counts)
    state = torch.cat([torch.zeros(MEMBERS, ENVS, SIZE), torch.full((MEMBERS, ENVS, SIZE), 0.09)], -1)
    features = torch.randn(MEMBERS, length * ENVS, INPUTS, generator=generator(4))
    outputs, last = core(weights, features, state, fresh)
    expected = torch.stack(counted, 1)[..., None].expand(-1, -1, -1, SIZE)  # [P, T, B, H]
    torch.testing.assert_close(100.0 * torch.atanh(by_step(outputs)), expected.float(), rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(100.0 * last[..., SIZE:], expected[:, -1].float(), rtol=1e-4, atol=1e-3)


def test_weights_follow_their_generator_and_start_orthogonal_without_bias() -> None:
    core = LSTM(INPUTS, SIZE)
    one, again, other = (core.initialise(generator(seed)) for seed in (1, 1, 2))
    shapes = {"core.input.weight": (INPUTS, 4 * SIZE), "core.hidden.weight": (SIZE, 4 * SIZE), "core.bias": (4 * SIZE,)}
    assert {name: tuple(weight.shape) for name, weight in one.items()} == shapes
    assert not one["core.bias"].any()
    for name in ("core.input.weight", "core.hidden.weight"):
        assert torch.equal(one[name], again[name])
        assert not torch.equal(one[name], other[name])
        torch.testing.assert_close(one[name] @ one[name].T, torch.eye(len(one[name])), rtol=0, atol=1e-5)


def test_unknown_cores_are_refused_with_the_names_of_those_there_are() -> None:
    with pytest.raises(ValueError, match="'gru': use none or lstm"):
        make_core("gru", INPUTS, SIZE)
