from __future__ import annotations

import math
from dataclasses import dataclass

import gymnasium
import numpy as np
import pytest
import torch
from torch import distributions

from rl_pbt.agents.heads import make_head
from rl_pbt.agents.networks import UnsupportedSpace

MEMBERS = 3


@dataclass(frozen=True)
class Case:
    space: gymnasium.Space
    size: int
    parts: int | None  # None where an action is a single number


LOW, HIGH = np.array([[-1.0, -0.5]], np.float32), np.array([[1.0, 2.0]], np.float32)
CASES = {
    "discrete": Case(gymnasium.spaces.Discrete(4, start=-1), 4, None),
    "multi": Case(gymnasium.spaces.MultiDiscrete([2, 5, 1, 3], start=[0, -2, 7, 1]), 11, 4),
    "multi, of a shape": Case(gymnasium.spaces.MultiDiscrete([[3, 2], [2, 4]], dtype=np.int32, start=[[1, 0], [0, 5]]), 11, 4),
    "binary": Case(gymnasium.spaces.MultiBinary(5), 5, 5),
    "binary, of a shape": Case(gymnasium.spaces.MultiBinary((2, 3)), 6, 6),
    "box": Case(gymnasium.spaces.Box(LOW, HIGH), 2, 2),
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def with_weights(head) -> dict[str, torch.Tensor]:
    """Weights of all members, each its own, with gradients."""
    members = [head.initialise() for _ in range(MEMBERS)]
    stacked = {name: torch.stack([member[name] for member in members]) for name in members[0]}
    return {name: weight.normal_(generator=generator(5), std=0.5).requires_grad_() for name, weight in stacked.items()}


def drawn_outputs(case: Case, count: int, scale: float = 2.0) -> torch.Tensor:
    """[P, N, size] with a gradient."""
    return (scale * torch.randn(MEMBERS, count, case.size, generator=generator(1))).requires_grad_()


def drawn_noise(head, count: int) -> torch.Tensor:
    """[P, N] or [P, N, D]."""
    return torch.stack([head.noise(generator(p), 1, count)[0] for p in range(MEMBERS)])


class Independent:
    """Parts of an action whose log probabilities and entropies add up, in torch.distributions, for outputs [N, size]."""

    def __init__(self, case: Case, outputs: torch.Tensor, weights: dict[str, torch.Tensor], p: int) -> None:
        match case.space:
            case gymnasium.spaces.Discrete():
                self.parts = [distributions.Categorical(logits=outputs)]
            case gymnasium.spaces.MultiDiscrete():
                split = outputs.split(case.space.nvec.reshape(-1).tolist(), -1)
                self.parts = [distributions.Categorical(logits=logits) for logits in split]
            case gymnasium.spaces.MultiBinary():
                self.parts = [distributions.Bernoulli(logits=logit) for logit in outputs.unbind(-1)]
            case _:
                deviations = weights["log_std"][p].exp()
                self.parts = [distributions.Normal(outputs[:, d], deviations[d]) for d in range(case.size)]

    def log_prob_and_entropy(self, actions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        columns = actions.view(len(actions), -1).unbind(-1)
        if isinstance(self.parts[0], distributions.Bernoulli):
            columns = tuple(column.float() for column in columns)
        log_probs = [part.log_prob(column) for part, column in zip(self.parts, columns, strict=True)]
        return sum(log_probs), sum(part.entropy() for part in self.parts)


@pytest.mark.parametrize("name", CASES)
def test_log_probabilities_entropies_and_their_gradients_are_torchs(name: str) -> None:
    case = CASES[name]
    head = make_head(case.space)
    weights, outputs = with_weights(head), drawn_outputs(case, 8)
    actions = head.sample(weights, outputs, drawn_noise(head, 8)).detach()
    assert head.size == case.size
    assert actions.shape == ((MEMBERS, 8) if case.parts is None else (MEMBERS, 8, case.parts))
    ours = head.log_prob_and_entropy(weights, outputs, actions)
    theirs = [
        torch.stack(both)
        for both in zip(
            *(Independent(case, outputs[p], weights, p).log_prob_and_entropy(actions[p]) for p in range(MEMBERS)), strict=True
        )
    ]
    cotangent = torch.randn(2, MEMBERS, 8, generator=generator(3))
    parameters = [outputs, *weights.values()]
    gradients = [
        torch.autograd.grad((log_probs * cotangent[0] + entropies * cotangent[1]).sum(), parameters)
        for log_probs, entropies in (ours, theirs)
    ]
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("scale", [1e3, 1e6])
def test_certain_policies_have_finite_log_probabilities_entropies_and_gradients(name: str, scale: float) -> None:
    case = CASES[name]
    head = make_head(case.space)
    weights, outputs = with_weights(head), drawn_outputs(case, 8, scale)
    actions = head.sample(weights, outputs, drawn_noise(head, 8)).detach()
    log_probs, entropies = head.log_prob_and_entropy(weights, outputs, actions)
    (gradient,) = torch.autograd.grad((log_probs + entropies).sum(), [outputs])
    for array in (log_probs, entropies, gradient):
        assert array.isfinite().all()


@pytest.mark.parametrize("name", CASES)
def test_actions_are_elements_of_the_space_that_follow_the_policy(name: str) -> None:
    case, draws = CASES[name], 20_000
    head = make_head(case.space)
    weights = with_weights(head)
    outputs = drawn_outputs(case, 1, 1.0).detach().expand(-1, draws, -1)
    actions = head.sample(weights, outputs, drawn_noise(head, draws)).detach()
    for action in head.to_environment(actions)[:, :20].reshape(-1, *case.space.shape):
        assert case.space.contains(action.item() if case.parts is None else action)
    for p in range(MEMBERS):
        columns = actions[p].view(draws, -1)
        for part, column in zip(Independent(case, outputs[p, :1], weights, p).parts, columns.unbind(-1), strict=True):
            if isinstance(part, distributions.Categorical):
                frequencies = torch.bincount(column, minlength=part.probs.shape[-1]) / draws
                torch.testing.assert_close(frequencies, part.probs[0], rtol=0, atol=4.5 * 0.5 / math.sqrt(draws))
            else:
                tolerance = 4.5 * part.stddev.item() / math.sqrt(draws)
                assert column.float().mean().item() == pytest.approx(part.mean.item(), abs=tolerance)
                assert column.float().std().item() == pytest.approx(part.stddev.item(), rel=0.05)


@pytest.mark.parametrize("name", ["multi", "multi, of a shape", "binary", "binary, of a shape"])
def test_parts_of_an_action_are_drawn_apart(name: str) -> None:
    case, draws = CASES[name], 20_000
    head = make_head(case.space)
    actions = head.sample({}, torch.zeros(MEMBERS, draws, case.size), drawn_noise(head, draws))
    spread = [d for d in range(case.parts) if actions[0, :, d].unique().numel() > 1]
    correlations = np.corrcoef(actions[0][:, spread].numpy().T) - np.eye(len(spread))
    assert np.abs(correlations).max() < 4.5 / math.sqrt(draws)


def test_each_part_begins_at_its_start_in_the_shape_of_the_space() -> None:
    case = CASES["multi, of a shape"]
    head = make_head(case.space)
    environment = head.to_environment(torch.tensor([[[0, 1, 1, 3], [2, 0, 0, 0]]]))
    assert environment.dtype == np.int32
    np.testing.assert_array_equal(environment, [[[[1, 1], [1, 8]], [[3, 0], [0, 5]]]])


@pytest.mark.parametrize("name", CASES)
def test_actions_for_the_environment_are_the_same_in_torch_alone(name: str) -> None:
    head = make_head(CASES[name].space)
    actions = head.sample(with_weights(head), drawn_outputs(CASES[name], 200), drawn_noise(head, 200)).detach()
    expected, computed = head.to_environment(actions), head.as_environment(actions).numpy()
    assert computed.dtype == expected.dtype
    np.testing.assert_array_equal(computed, expected)


@pytest.mark.parametrize("name", ["discrete", "multi", "multi, of a shape"])
def test_the_largest_noise_gives_a_legal_action_whatever_the_rounding(name: str) -> None:
    case = CASES[name]
    head = make_head(case.space)
    noise = torch.full_like(drawn_noise(head, 2000), 1.0 - 2.0**-24)
    actions = head.sample({}, drawn_outputs(case, 2000).detach(), noise)
    assert all(case.space.contains(action) for action in head.to_environment(actions).reshape(-1, *case.space.shape))
    assert not head.sample({}, drawn_outputs(case, 2000).detach(), torch.zeros_like(noise)).any()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("spoilt", [math.nan, math.inf, -math.inf])
def test_a_diverged_member_gives_legal_actions_and_leaves_its_neighbours_alone(name: str, spoilt: float) -> None:
    case = CASES[name]
    head = make_head(case.space)
    weights, outputs, noise = with_weights(head), drawn_outputs(case, 6).detach(), drawn_noise(head, 6)
    before = head.sample(weights, outputs, noise)
    log_probs, entropies = head.log_prob_and_entropy(weights, outputs, before)
    outputs[1] = spoilt
    after = head.sample(weights, outputs, noise)
    others = [0, 2]
    assert torch.equal(before[others], after[others])
    for action in head.to_environment(after.detach())[1]:
        assert case.space.contains(action)
    spoilt_log_probs, spoilt_entropies = head.log_prob_and_entropy(weights, outputs, after)
    assert torch.equal(log_probs[others], spoilt_log_probs[others])
    assert torch.equal(entropies[others], spoilt_entropies[others])


@pytest.mark.parametrize("name", CASES)
def test_noise_has_the_axes_of_time_and_environments_first(name: str) -> None:
    case = CASES[name]
    noise = make_head(case.space).noise(generator(), 7, 3)
    assert noise.shape == ((7, 3) if case.parts is None else (7, 3, case.parts))


@pytest.mark.parametrize(
    ("space", "says"),
    [
        (gymnasium.spaces.Tuple((gymnasium.spaces.Discrete(2), gymnasium.spaces.Discrete(3))), r"Tuple\(Discrete\(2\)"),
        (gymnasium.spaces.Dict({"move": gymnasium.spaces.Discrete(2)}), "Dict"),
        (gymnasium.spaces.Box(0, 9, (2,), np.int64), r"Box\(0, 9, \(2,\), int64\)"),
        (gymnasium.spaces.Box(0, np.array([[1, 2], [3, 4]]), (2, 2), np.int64), "int64"),
        (gymnasium.spaces.Box(0.0, 1.0, (0,), np.float32), r"\(0,\)"),
        (gymnasium.spaces.Text(5), "Text"),
    ],
)
def test_unsupported_actions_are_named_in_one_line_with_the_way_out(space: gymnasium.Space, says: str) -> None:
    with pytest.raises(UnsupportedSpace, match=f"{says}.*gymnasium.wrappers.TransformAction") as error:
        make_head(space)
    assert "\n" not in str(error.value)
