from __future__ import annotations

import math
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch

from rl_pbt.agents import AGENTS
from rl_pbt.agents.a2c import A2C
from rl_pbt.agents.actor_critic import ActorCritic
from rl_pbt.agents.hypers import HYPERS
from rl_pbt.agents.networks import UnsupportedSpace
from rl_pbt.agents.rollout import Rollout
from rl_pbt.agents.settings import ActorCriticConfig
from rl_pbt.agents.slots import CheckpointMismatch

VECTOR = gymnasium.spaces.Box(-np.inf, np.inf, (3,), np.float32)
IMAGE = gymnasium.spaces.Box(0, 255, (2, 36, 36), np.uint8)
DISCRETE = gymnasium.spaces.Discrete(4)
BOX = gymnasium.spaces.Box(np.array([-1.0, -0.5], np.float32), np.array([1.0, 2.0], np.float32))
SPACES = {"discrete": (VECTOR, DISCRETE), "box": (VECTOR, BOX), "image": (IMAGE, DISCRETE)}
CONFIG = ActorCriticConfig(hidden=(8, 6))
MEMBERS = {
    "learning_rate": [1e-3, 7e-3, 3e-2],
    "entropy_cost": [0.0, 0.3, 0.01],
    "discount": [0.5, 0.9, 0.99],
    "value_cost": [0.5, 0.1, 1.0],
    "trace_lambda": [1.0, 0.8, 0.95],
    "max_grad_norm": [0.5, 2.0, 0.1],
    "epsilon": [1e-5, 1e-3, 1e-2],
}
OTHERS = {"learning_rate": 2e-2, "entropy_cost": 0.1, "discount": 0.7, "value_cost": 0.9} | {
    "trace_lambda": 0.3,
    "max_grad_norm": 0.05,
    "epsilon": 0.1,
    "clip_range": 0.01,
    "num_epochs": 2,
}
LENGTH, ENVS = 6, 4
ONE_UPDATE = ("a2c", "impala")  # a rollout


def make_agent(
    kind: str = "discrete", seeds=(1, 2, 3), config: ActorCriticConfig = CONFIG, hypers=None, name: str = "a2c"
) -> ActorCritic:
    fields = {field: getattr(config, field) for field in ActorCriticConfig.__slots__}
    agent = AGENTS[name].make(AGENTS[name].config(**fields), *SPACES[kind], seeds=seeds)
    agent.set_hypers(hypers or of_all(name, len(seeds)))
    return agent


def of_all(agent: str, members: int = 3) -> dict[str, list[float]]:
    """MEMBERS, and the defaults of what an agent has beside."""
    defaults = {name: [hyper.default] * members for name, hyper in AGENTS[agent].hypers.items()}
    return defaults | {name: values[:members] for name, values in MEMBERS.items()}


def orders() -> list[torch.Generator]:
    """For those agents that learn in minibatches."""
    return [torch.Generator().manual_seed(p) for p in range(3)]


def usual(members: int = 3, **hypers: list[float]) -> dict[str, list[float]]:
    """The default hyperparameters of every member, except those given."""
    return {name: [hyper.default] * members for name, hyper in HYPERS.items()} | hypers


def act(agent: ActorCritic, observations: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    policy = agent.policy()
    return policy.act(observations, policy.initial_state(*observations.shape[:2]), noise)[0]


def some_noise(agent: ActorCritic, members: int, envs: int, length: int = 1) -> torch.Tensor:
    return agent.policy().sample_noise([torch.Generator().manual_seed(p) for p in range(members)], length, envs)


def make_rollout(kind: str = "discrete", seed: int = 0, members: int = 3) -> Rollout:
    generator = torch.Generator().manual_seed(seed)
    shape = (LENGTH, members, ENVS)
    if kind == "image":
        observations = torch.randint(0, 256, (LENGTH + 1, members, ENVS, 2, 36, 36), generator=generator, dtype=torch.uint8)
    else:
        observations = torch.randn(LENGTH + 1, members, ENVS, 3, generator=generator)
    actions = torch.randn(*shape, 2, generator=generator) if kind == "box" else torch.randint(0, 4, shape, generator=generator)
    ends = torch.rand(shape, generator=generator) < 0.3
    valid = torch.ones(shape, dtype=torch.bool)
    for t in range(1, LENGTH):
        ends[t] &= ~(ends[t - 1] & valid[t - 1])
        valid[t] = ~ends[t - 1]
    terminated = ends & (torch.rand(shape, generator=generator) < 0.5)
    rewards = 2.0 * torch.randn(shape, generator=generator) * valid
    return Rollout(
        observations=observations,
        actions=actions,
        behaviour_log_probs=-1.4 + 0.7 * torch.randn(shape, generator=generator),  # ratios on both sides of 1
        rewards=rewards,
        terminated=terminated,
        valid=valid,
        core_state=torch.zeros(members, ENVS, 0),
    )


def of_members(rollout: Rollout, members: list[int]) -> Rollout:
    fields = {name: getattr(rollout, name)[:, members] for name in Rollout.__slots__ if name != "core_state"}
    return Rollout(**fields, core_state=rollout.core_state[members])


def of_member(rollout: Rollout, p: int) -> Rollout:
    return of_members(rollout, [p])


def states_equal(one, other) -> bool:
    return set(one) == set(other) and all(np.array_equal(one[name], other[name], equal_nan=True) for name in one)


def assert_states_close(one, other, atol: float = 3e-5) -> None:
    """A first step of RMSProp is up to ten times the rate, 0.3 here, and magnifies the rounding of tiny gradients."""
    assert set(one) == set(other)
    for name in one:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-4, atol=atol, err_msg=name)


class Reference:
    """One member, by hand: torch.nn layers, torch.distributions, loops over steps, torch.optim.RMSprop."""

    def __init__(self, state, kind: str, config: ActorCriticConfig = CONFIG, name: str = "a2c") -> None:
        self.kind, self.config, self.name = kind, config, name
        names = [name.removeprefix("weights.") for name in state if name.startswith("weights.")]
        self.weights = {name: torch.tensor(state[f"weights.{name}"]).requires_grad_() for name in names}
        self.optimiser = torch.optim.RMSprop(self.weights.values(), lr=1.0, alpha=0.99, eps=1e-5)

    def linear(self, name: str, inputs: torch.Tensor) -> torch.Tensor:
        return inputs @ self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def trunks(self, observation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if self.kind == "image":
            hidden = observation[None].float() / 255.0
            for layer, stride in enumerate((4, 2)):
                kernel, bias = self.weights[f"torso.{layer}.weight"], self.weights[f"torso.{layer}.bias"]
                hidden = torch.nn.functional.conv2d(hidden, kernel, bias, stride=stride).relu()
            features = self.linear("torso.dense", hidden.flatten()).relu()
            return features, features
        features = []
        for trunk in ("policy_torso", "value_torso"):
            hidden = observation
            for layer in range(len(self.config.hidden)):
                hidden = self.linear(f"{trunk}.{layer}", hidden).tanh()
            features.append(hidden)
        return features[0], features[1]

    def value(self, observation: torch.Tensor) -> torch.Tensor:
        return self.linear("value", self.trunks(observation)[1])[0]

    def policy(self, observation: torch.Tensor) -> torch.distributions.Distribution:
        outputs = self.linear("policy", self.trunks(observation)[0])
        if self.kind != "box":
            return torch.distributions.Categorical(logits=outputs)
        return torch.distributions.Independent(torch.distributions.Normal(outputs, self.weights["log_std"].exp()), 1)

    def targets(self, rollout: Rollout, b: int, discount: float, trace_lambda: float) -> tuple[list[float], list[float]]:
        """Value targets and advantages of one environment, by sums from each step to the end of its segment."""
        values = [self.value(observation).item() for observation in rollout.observations[:, 0, b]]
        rewards = rollout.rewards[:, 0, b].clone()
        if self.config.rewards == "clip":
            rewards = rewards.clamp(-1.0, 1.0)
        elif self.config.rewards == "symlog":
            rewards = torch.sign(rewards) * torch.log(1.0 + torch.abs(rewards))
        discounts = [0.0 if end else discount for end in rollout.terminated[:, 0, b]]
        ratios = [1.0] * LENGTH
        if self.name == "impala":
            pairs = zip(rollout.observations[:, 0, b], rollout.actions[:, 0, b], strict=False)
            log_probs = torch.stack([self.policy(seen).log_prob(action) for seen, action in pairs])
            ratios = (log_probs - rollout.behaviour_log_probs[:, 0, b]).exp().tolist()
        targets = list(values)
        for start in range(LENGTH):
            product = 1.0
            for t in range(start, LENGTH):
                if not rollout.valid[t, 0, b]:
                    break
                targets[start] += product * min(1.0, ratios[t]) * (rewards[t].item() + discounts[t] * values[t + 1] - values[t])
                product *= discounts[t] * trace_lambda * min(1.0, ratios[t])
        mixed = [(1.0 - trace_lambda) * v + trace_lambda * target for v, target in zip(values, targets, strict=True)]
        advantages = [min(1.0, ratios[t]) * (rewards[t].item() + discounts[t] * mixed[t + 1] - values[t]) for t in range(LENGTH)]
        return targets[:LENGTH], advantages

    def learn(self, rollout: Rollout, **hypers: float) -> dict[str, float]:
        policy_losses, value_losses, entropies = [], [], []
        for b in range(ENVS):
            targets, advantages = self.targets(rollout, b, hypers["discount"], hypers["trace_lambda"])
            for t in range(LENGTH):
                if not rollout.valid[t, 0, b]:
                    continue
                observation = rollout.observations[t, 0, b]
                policy = self.policy(observation)
                policy_losses.append(-advantages[t] * policy.log_prob(rollout.actions[t, 0, b]))
                value_losses.append((targets[t] - self.value(observation)) ** 2)
                entropies.append(policy.entropy())
        terms = [torch.stack(losses).mean() for losses in (policy_losses, value_losses, entropies)]
        loss = terms[0] + hypers["value_cost"] * terms[1] - hypers["entropy_cost"] * terms[2]
        self.optimiser.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.weights.values(), hypers["max_grad_norm"])
        self.optimiser.param_groups[0]["lr"] = hypers["learning_rate"]
        self.optimiser.param_groups[0]["eps"] = hypers["epsilon"]
        self.optimiser.step()
        values = [*(term.item() for term in terms), norm.item()]
        return dict(zip(("policy_loss", "value_loss", "entropy", "grad_norm"), values, strict=True))

    def state(self) -> dict[str, np.ndarray]:
        arrays = {f"weights.{name}": weight.detach().numpy() for name, weight in self.weights.items()}
        averages = {f"rmsprop.{name}": self.optimiser.state[weight]["square_avg"] for name, weight in self.weights.items()}
        return arrays | {name: average.numpy() for name, average in averages.items()}


@pytest.mark.parametrize("name", ONE_UPDATE)
@pytest.mark.parametrize(
    ("kind", "rewards"), [("discrete", "true"), ("discrete", "clip"), ("box", "symlog"), ("box", "true"), ("image", "clip")]
)
def test_updates_are_those_of_a_single_member_written_by_hand(name: str, kind: str, rewards: str) -> None:
    config = replace(CONFIG, rewards=rewards)
    agent = make_agent(kind, config=config, name=name)
    references = [Reference(agent.state(p), kind, config, name) for p in range(3)]
    updates = 1 if kind == "image" else 3
    for update in range(updates):
        rollout = make_rollout(kind, seed=update)
        # Hypers rotate among members, so that a stale one shows.
        hypers = {hyper: values[update:] + values[:update] for hyper, values in MEMBERS.items()}
        agent.set_hypers(hypers)
        metrics = agent.learn(rollout)
        for p, reference in enumerate(references):
            expected = reference.learn(of_member(rollout, p), **{hyper: values[p] for hyper, values in hypers.items()})
            for metric, value in expected.items():
                assert metrics[metric][p].item() == pytest.approx(value, rel=1e-3, abs=1e-5), metric
    for p, reference in enumerate(references):
        state = agent.state(p)
        assert state.pop("updates") == updates
        assert_states_close(state, reference.state(), atol=3e-5 if kind == "image" else 2e-6)


def test_explained_variance_is_over_valid_steps() -> None:
    agent, rollout = make_agent(), make_rollout()
    references = [Reference(agent.state(p), "discrete") for p in range(3)]
    metrics = agent.learn(rollout)
    for p, reference in enumerate(references):
        own = of_member(rollout, p)
        steps = [(t, b) for t in range(LENGTH) for b in range(ENVS) if own.valid[t, 0, b]]
        by_env = [reference.targets(own, b, MEMBERS["discount"][p], MEMBERS["trace_lambda"][p])[0] for b in range(ENVS)]
        returns = np.array([by_env[b][t] for t, b in steps])
        values = np.array([reference.value(own.observations[t, 0, b]).item() for t, b in steps])
        expected = 1.0 - np.var(returns - values) / np.var(returns)
        assert metrics["explained_variance"][p].item() == pytest.approx(expected, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize(("name", "changed"), [(name, hyper) for name, entry in AGENTS.items() for hyper in entry.hypers])
@pytest.mark.parametrize("kind", ["discrete", "box"])
def test_each_hyper_alone_changes_its_own_members_update_only(name: str, kind: str, changed: str) -> None:
    base, other = make_agent(kind, name=name), make_agent(kind, name=name)
    hypers = {hyper: list(values) for hyper, values in of_all(name).items()}
    hypers[changed][1] = OTHERS[changed]
    other.set_hypers(hypers)
    for agent in (base, other):
        agent.learn(make_rollout(kind), orders())
    assert states_equal(base.state(0), other.state(0))
    assert states_equal(base.state(2), other.state(2))
    differing = [
        name for name, array in base.state(1).items() if not np.allclose(array, other.state(1)[name], rtol=1e-4, atol=1e-9)
    ]
    assert any(name.startswith("weights.") for name in differing)


def test_a_learning_rate_of_zero_leaves_the_weights() -> None:
    agent = make_agent(hypers=MEMBERS | {"learning_rate": [1e-3, 0.0, 1e-3]})
    before = [agent.state(p) for p in range(3)]
    agent.learn(make_rollout())
    for p in range(3):
        same = all(
            np.array_equal(array, agent.state(p)[name]) for name, array in before[p].items() if name.startswith("weights.")
        )
        assert same == (p == 1)
    assert agent.state(1)["updates"] == 1
    assert agent.state(1)["rmsprop.value.weight"].any()


@pytest.mark.parametrize("kind", SPACES)
def test_a_member_starts_and_learns_alone_as_in_a_population(kind: str) -> None:
    population = make_agent(kind)
    alone = make_agent(kind, seeds=(2,), hypers={name: values[1:2] for name, values in MEMBERS.items()})
    assert states_equal(population.state(1), alone.state(0))
    assert not states_equal(population.state(1), population.state(0))
    for seed in range(2):
        rollout = make_rollout(kind, seed)
        population.learn(rollout)
        alone.learn(of_member(rollout, 1))
    assert_states_close(population.state(1), alone.state(0))


def test_acting_follows_the_members_own_generator() -> None:
    agent, alone = make_agent(), make_agent(seeds=(2,))
    noise = agent.policy().sample_noise([torch.Generator().manual_seed(seed) for seed in (7, 8, 9)], LENGTH, ENVS)
    own = alone.policy().sample_noise([torch.Generator().manual_seed(8)], LENGTH, ENVS)
    assert noise.shape[:3] == (LENGTH, 3, ENVS)
    assert torch.equal(noise[:, 1], own[:, 0])
    observations = make_rollout().observations[0]
    assert torch.equal(act(agent, observations, noise[0])[1], act(alone, observations[1:2], own[0])[0])


STATEFUL = replace(CONFIG, normalise_observations=True, normalise_returns=True, optimiser="adam")


# Not with the scale of returns: the sums of unfinished episodes are no state, since an interval begins with fresh ones.
MOVED = replace(STATEFUL, normalise_returns=False)


@pytest.mark.parametrize(("kind", "config"), [("discrete", CONFIG), ("box", CONFIG), ("discrete", MOVED)])
def test_a_state_loads_exactly_and_continues_identically_in_another_slot(kind: str, config: ActorCriticConfig) -> None:
    source, target = make_agent(kind, config=config), make_agent(kind, seeds=(11, 12, 13), config=config)
    for agent, seed in ((source, 0), (target, 5), (source, 1)):
        agent.learn(make_rollout(kind, seed))
    state = source.state(0)
    neighbours = [target.state(0), target.state(1)]
    target.load_state(2, state)
    assert states_equal(target.state(2), state)
    assert state["updates"] == 2
    assert states_equal(target.state(0), neighbours[0])
    assert states_equal(target.state(1), neighbours[1])
    order = [2, 1, 0]  # member 0's experience and hyperparameters now belong to slot 2
    target.set_hypers({key: [values[p] for p in order] for key, values in MEMBERS.items()})
    for seed in (2, 3):
        rollout = make_rollout(kind, seed)
        source.learn(rollout)
        target.learn(of_members(rollout, order))
    assert states_equal(source.state(0), target.state(2))
    assert not states_equal(source.state(0), state)


def test_a_state_is_a_copy_in_both_directions() -> None:
    agent = make_agent(config=replace(CONFIG, normalise_observations=True))
    agent.learn(make_rollout())
    state = agent.state(0)
    kept = {name: array.copy() for name, array in state.items()}
    agent.learn(make_rollout(seed=1))
    assert states_equal(state, kept)
    agent.load_state(1, state)
    for array in state.values():
        array[...] = 77
    assert states_equal(agent.state(1), kept)


def test_a_state_holds_all_that_an_exploit_must_copy() -> None:
    prefixes = {name.split(".")[0] for name in make_agent(config=STATEFUL).state(0)}
    assert prefixes == {"weights", "adam", "updates", "normaliser", "return_scale"}
    assert {name.split(".")[0] for name in make_agent().state(0)} == {"weights", "rmsprop", "updates"}
    assert "weights.log_std" in make_agent("box").state(0)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda state: {name: array for name, array in state.items() if name != "rmsprop.value.bias"}, "rmsprop.value.bias"),
        (lambda state: state | {"weights.extra": np.zeros(3, np.float32)}, "weights.extra"),
        (lambda state: state | {"updates": np.zeros(1, np.int64)}, "updates"),
        # All names before it are right, and would already be loaded by a careless loader.
        (
            lambda state: state | {"weights.value.weight": np.zeros((6, 2), np.float32)},
            r"weights\.value\.weight.*\(6, 2\).*\(6, 1\)",
        ),
        (lambda state: {}, "is in only one"),
    ],
)
def test_a_wrong_checkpoint_is_refused_in_one_line_before_anything_changes(spoil, says: str) -> None:
    agent, other = make_agent(), make_agent(seeds=(21, 22, 23))
    other.learn(make_rollout())
    before = [agent.state(p) for p in range(3)]
    with pytest.raises(CheckpointMismatch, match=says) as error:
        agent.load_state(1, spoil(other.state(0)))
    assert "\n" not in str(error.value)
    assert all(states_equal(agent.state(p), before[p]) for p in range(3))


def test_checkpoints_of_other_networks_are_refused() -> None:
    agent = make_agent()
    others = (
        make_agent("box"),
        make_agent(config=replace(CONFIG, hidden=(8, 7))),
        make_agent(config=replace(CONFIG, hidden=(8, 6, 6))),
        make_agent(config=replace(CONFIG, normalise_observations=True)),
    )
    for other in others:
        with pytest.raises(CheckpointMismatch):
            agent.load_state(0, other.state(0))
        with pytest.raises(CheckpointMismatch):
            other.load_state(0, agent.state(0))


@pytest.mark.parametrize("kind", SPACES)
def test_a_diverged_member_harms_only_itself_and_heals_by_loading(kind: str) -> None:
    sick, well = make_agent(kind), make_agent(kind)
    good = well.state(0)
    assert sick.healthy().tolist() == [True, True, True]
    poisoned = {name: np.full_like(array, np.nan) if array.dtype.kind == "f" else array for name, array in sick.state(1).items()}
    sick.load_state(1, poisoned)
    assert sick.healthy().tolist() == [True, False, True]
    noise = some_noise(sick, 3, ENVS)[0]
    observations = make_rollout(kind).observations[0]
    actions = act(sick, observations, noise)
    assert torch.equal(actions[[0, 2]], act(well, observations, noise)[[0, 2]])
    for action in sick.policy().environment_actions(actions)[1]:
        assert SPACES[kind][1].contains(action)
    for agent in (sick, well):
        agent.learn(make_rollout(kind))
    assert sick.healthy().tolist() == [True, False, True]
    assert states_equal(sick.state(0), well.state(0))
    assert states_equal(sick.state(2), well.state(2))
    for agent in (sick, well):
        agent.load_state(1, good)
    assert sick.healthy().tolist() == [True, True, True]
    for agent in (sick, well):
        agent.learn(make_rollout(kind, seed=1))
    assert sick.healthy().tolist() == [True, True, True]
    assert all(states_equal(sick.state(p), well.state(p)) for p in range(3))


def test_a_loss_that_was_not_finite_is_remembered_while_the_weights_still_are() -> None:
    agent, rollout = make_agent(), make_rollout()
    good = agent.state(1)
    rollout.rewards[:, 1] = 1e25  # its square overflows; the gradient does not, and is clipped to nothing
    agent.learn(rollout)
    assert all(np.isfinite(array).all() for array in agent.state(1).values())
    agent.learn(make_rollout())
    assert agent.healthy().tolist() == [True, False, True]
    agent.load_state(1, good)
    assert agent.healthy().all()


def test_rewards_are_clipped_on_both_sides() -> None:
    rollout, clipped = make_rollout(), make_rollout()
    assert (rollout.rewards.amax() > 1.0) & (rollout.rewards.amin() < -1.0)
    clipped.rewards.clamp_(-1.0, 1.0)
    ends = []
    for its, rewards in ((rollout, "clip"), (clipped, "true"), (rollout, "true")):
        agent = make_agent(config=replace(CONFIG, rewards=rewards))
        kept = its.rewards.clone()
        agent.learn(its)
        assert torch.equal(its.rewards, kept)  # true rewards stay true
        ends.append(agent.state(1))
    assert states_equal(ends[0], ends[1])
    assert not states_equal(ends[0], ends[2])


@pytest.mark.parametrize("name", AGENTS)
@pytest.mark.parametrize("kind", ["discrete", "box"])
def test_invalid_transitions_contribute_nothing(name: str, kind: str) -> None:
    plain, changed = make_rollout(kind), make_rollout(kind)
    invalid = ~plain.valid
    assert invalid.any()
    changed.rewards[invalid] = 1e6
    changed.behaviour_log_probs[invalid] = -500.0
    changed.actions[invalid] = 3
    changed.terminated[invalid] = True
    ends = []
    for rollout in (plain, changed):
        agent = make_agent(kind, name=name)
        agent.learn(rollout, orders())
        ends.append([agent.state(p) for p in range(3)])
    assert all(states_equal(one, other) for one, other in zip(*ends, strict=True))


def test_a_member_with_nothing_valid_stays_as_it_is() -> None:
    agent, rollout = make_agent(), make_rollout()
    rollout.valid[:, 1] = False
    before = agent.state(1)
    agent.learn(rollout)
    assert states_equal(agent.state(1) | {"updates": before["updates"]}, before)
    assert agent.healthy().all()


@pytest.mark.parametrize(
    "hypers",
    [
        {},
        {name: MEMBERS[name] for name in list(HYPERS)[:2]},
        MEMBERS | {"momentum": [0.0] * 3},
        {"lr": [0.0] * 3, "entropy_cost": [0.0] * 3},
    ],
)
def test_hypers_with_missing_or_unknown_names_are_refused(hypers) -> None:
    with pytest.raises(ValueError, match="A2C needs"):
        make_agent().set_hypers(hypers)


@pytest.mark.parametrize(
    ("observations", "actions", "says"),
    [
        (gymnasium.spaces.Discrete(7), DISCRETE, r"Discrete\(7\)"),
        (gymnasium.spaces.Dict({"seen": VECTOR}), DISCRETE, "Dict"),
        (VECTOR, gymnasium.spaces.Box(0, 9, (2,), np.int64), r"Box\(0, 9, \(2,\), int64\)"),
        (VECTOR, gymnasium.spaces.Box(0, np.array([[1, 2], [3, 4]]), (2, 2), np.int64), "int64"),
        (VECTOR, gymnasium.spaces.Tuple((DISCRETE, DISCRETE)), "Tuple"),
    ],
)
def test_unsupported_spaces_are_named_in_one_line(observations, actions, says: str) -> None:
    with pytest.raises(UnsupportedSpace, match=says) as error:
        A2C(CONFIG, observations, actions, seeds=(0,))
    assert "\n" not in str(error.value)


def sharpen(agent: ActorCritic, member: int, biases: list[float]) -> None:
    """Give one member a policy that ignores the observation."""
    state = agent.state(member)
    state["weights.policy.weight"] = np.zeros_like(state["weights.policy.weight"])
    state["weights.policy.bias"] = np.array(biases, np.float32)
    agent.load_state(member, state)


def test_discrete_actions_follow_the_softmax() -> None:
    agent, draws = make_agent(), 40_000
    logits = [[0.0, 0.0, 0.0, 0.0], [2.0, -1.0, 0.5, 0.0], [-50.0, 0.0, 1.0, -50.0]]
    for p, biases in enumerate(logits):
        sharpen(agent, p, biases)
    noise = some_noise(agent, 3, draws)[0]
    actions = act(agent, torch.randn(3, draws, 3, generator=torch.Generator().manual_seed(0)), noise)
    for p, biases in enumerate(logits):
        expected = np.exp(biases) / np.exp(biases).sum()
        frequencies = np.bincount(actions[p].numpy(), minlength=4) / draws
        np.testing.assert_allclose(frequencies, expected, atol=4.5 * 0.5 / math.sqrt(draws))
        assert set(np.flatnonzero(frequencies)) <= set(np.flatnonzero(expected > 1e-9))


def test_the_largest_noise_gives_a_legal_action_whatever_the_rounding() -> None:
    agent = A2C(replace(CONFIG, hidden=(64,)), VECTOR, gymnasium.spaces.Discrete(18), seeds=(0,))
    observations = torch.randn(1, 5000, 3, generator=torch.Generator().manual_seed(0))
    largest = torch.full((1, 5000), 1.0 - 2.0**-24)
    assert act(agent, observations, largest).max() == 17
    assert act(agent, observations, torch.zeros_like(largest)).max() == 0


def test_box_actions_have_the_mean_and_deviation_of_the_policy_and_are_clipped_for_the_environment_only() -> None:
    agent, draws = make_agent("box"), 40_000
    sharpen(agent, 1, [0.5, -2.0])
    state = agent.state(1)
    state["weights.log_std"] = np.log(np.array([0.3, 2.0], np.float32))
    agent.load_state(1, state)
    noise = some_noise(agent, 3, draws)[0]
    actions = act(agent, torch.zeros(3, draws, 3), noise)
    assert actions.shape == (3, draws, 2)
    np.testing.assert_allclose(actions[1].mean(0).numpy(), [0.5, -2.0], atol=0.05)
    np.testing.assert_allclose(actions[1].std(0).numpy(), [0.3, 2.0], rtol=0.03)
    assert (actions[1, :, 1] < BOX.low[1]).any()
    environment = agent.policy().environment_actions(actions)
    np.testing.assert_array_equal(environment, np.clip(actions.numpy(), BOX.low, BOX.high))
    assert environment.dtype == BOX.dtype


def test_a_box_of_any_shape_and_type_gets_actions_of_its_own() -> None:
    space = gymnasium.spaces.Box(-1.0, 1.0, (2, 3), np.float64)
    agent = A2C(CONFIG, VECTOR, space, seeds=(0, 1))
    noise = some_noise(agent, 2, ENVS)[0]
    environment = agent.policy().environment_actions(act(agent, torch.zeros(2, ENVS, 3), noise))
    assert environment.shape == (2, ENVS, 2, 3)
    assert all(space.contains(action) for action in environment.reshape(-1, 2, 3))


def test_discrete_actions_begin_at_the_spaces_start() -> None:
    space = gymnasium.spaces.Discrete(3, start=-1)
    agent = A2C(CONFIG, VECTOR, space, seeds=(0,))
    actions = act(agent, torch.zeros(1, 200, 3), some_noise(agent, 1, 200)[0])
    assert set(actions.flatten().tolist()) == {0, 1, 2}  # what the learner sees
    environment = agent.policy().environment_actions(actions)
    np.testing.assert_array_equal(environment, actions.numpy() - 1)
    assert environment.dtype.kind == "i"


def test_observations_are_normalised_for_acting_and_learning_alike_with_the_statistics_of_the_rollouts_before() -> None:
    """So the policy that learns is the one that acted: with no lag, every importance ratio is 1."""
    config = replace(CONFIG, normalise_observations=True)
    still = MEMBERS | {"learning_rate": [0.0] * 3}
    normalised, plain = make_agent(config=config, hypers=still), make_agent(hypers=still)
    rollout, valid = make_rollout(), make_rollout().valid
    seen = replace(rollout, observations=rollout.observations * 30.0 + 500.0)
    normalised.learn(seen)
    prepared = []
    for p in range(3):
        own = seen.observations[:-1, p][valid[:, p]].double()
        scaled = (seen.observations[:, p].double() - own.mean(0)) / own.std(0, correction=0)
        prepared.append(scaled.clamp(-10.0, 10.0))
    by_hand = replace(rollout, observations=torch.stack(prepared, 1).float())
    noise = some_noise(plain, 3, ENVS)[0]
    # The prior weighs 1e-4 against some 20 observations: its mean, 500 away, counts a little.
    policies = [agent.policy() for agent in (normalised, plain)]
    arrays = (seen.observations[0], by_hand.observations[0])
    outputs = [p.act(o, p.initial_state(3, ENVS), noise)[1] for p, o in zip(policies, arrays, strict=True)]
    torch.testing.assert_close(*outputs, rtol=0.02, atol=1e-3)
    ours, theirs = normalised.learn(seen), plain.learn(by_hand)
    for name in ("policy_loss", "value_loss", "entropy"):
        torch.testing.assert_close(ours[name], theirs[name], rtol=0.02, atol=0.01)
    count = 2 * valid.sum((0, 2)).double() + 1e-4
    np.testing.assert_allclose([normalised.state(p)["normaliser.count"] for p in range(3)], count.numpy())


@pytest.mark.parametrize("kind", ["discrete", "box"])
@pytest.mark.parametrize("core", ["none", "lstm"])
def test_on_policy_impala_learns_what_a2c_learns(kind: str, core: str) -> None:
    config = replace(CONFIG, core=core, core_size=5, normalise_observations=True)
    a2c, impala = (make_agent(kind, config=config, name=name) for name in ONE_UPDATE)
    for seed in range(2):
        rollout = make_rollout(kind, seed)
        policy = a2c.policy()
        state, outputs = policy.initial_state(3, ENVS), []
        for t in range(LENGTH):
            _, output, after = policy.act(rollout.observations[t], state, some_noise(a2c, 3, ENVS)[0])
            outputs.append(output)
            state = after * rollout.valid[t][..., None]
        log_probs = policy.log_probs(torch.stack(outputs), rollout.actions)
        start = policy.initial_state(3, ENVS)
        for agent in (a2c, impala):
            agent.learn(replace(rollout, behaviour_log_probs=log_probs, core_state=start))
    for p in range(3):
        assert_states_close(a2c.state(p), impala.state(p), atol=2e-4)


def test_a_policy_stays_while_the_agent_learns() -> None:
    agent = make_agent(config=replace(CONFIG, normalise_observations=True))
    agent.learn(make_rollout())
    kept = agent.policy()
    noise, observations = some_noise(agent, 3, ENVS)[0], make_rollout().observations[0]
    before = kept.act(observations, kept.initial_state(3, ENVS), noise)[1]
    agent.learn(make_rollout(seed=1))
    assert torch.equal(kept.act(observations, kept.initial_state(3, ENVS), noise)[1], before)
    now = agent.policy()
    assert not torch.equal(now.act(observations, now.initial_state(3, ENVS), noise)[1], before)


def test_rollouts_of_differing_shapes_are_refused() -> None:
    rollout = make_rollout()
    for field in Rollout.__slots__:
        with pytest.raises(ValueError, match="rollout"):
            replace(rollout, **{field: getattr(rollout, field)[:-1]})


def test_a_two_armed_bandit_is_solved_by_members_that_learn() -> None:
    config = replace(CONFIG, unroll_length=1)
    agent = A2C(config, gymnasium.spaces.Box(0.0, 1.0, (1,), np.float32), gymnasium.spaces.Discrete(2), seeds=(0, 1, 2))
    # The last two do not learn: one has no rate, one is kept at chance by its entropy.
    agent.set_hypers(usual(learning_rate=[1e-2, 0.0, 1e-2], entropy_cost=[0.01, 0.01, 50.0], discount=[0.9] * 3))
    generators = [torch.Generator().manual_seed(p) for p in range(3)]
    shape = (1, 3, 32)
    observations, counted = torch.ones(2, 3, 32, 1), torch.zeros(3)
    for update in range(300):
        actions = act(agent, observations[0], agent.policy().sample_noise(generators, 1, 32)[0])
        ends = torch.ones(shape, dtype=torch.bool)
        agent.learn(
            Rollout(
                observations=observations,
                actions=actions[None],
                behaviour_log_probs=torch.zeros(shape),
                rewards=actions[None].float(),
                terminated=ends,
                valid=ends,
                core_state=torch.zeros(3, 32, 0),
            )
        )
        counted += (update >= 250) * actions.float().mean(1) / 50
    assert counted[0] > 0.95
    assert 0.4 < counted[1] < 0.6
    assert 0.35 < counted[2] < 0.65


def chain_rollouts():
    """Two steps of every episode: 0 -> 1 (reward 0) -> end (reward 1) -> reset, cut into rollouts of two steps."""
    codes = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    for start in range(3):
        # Four environments at different phases, three members.
        phases = (torch.arange(3)[:, None] * 2 + start + torch.arange(4)) % 3
        phases = phases[:, None].expand(3, 3, 4)
        steps = (phases[0] + torch.arange(3)[:, None, None]) % 3
        terminated = steps[:2] == 1
        yield Rollout(
            observations=codes[steps],
            actions=torch.zeros(2, 3, 4, dtype=torch.int64),
            behaviour_log_probs=torch.zeros(2, 3, 4),
            rewards=terminated.float(),
            terminated=terminated,
            valid=steps[:2] != 2,
            core_state=torch.zeros(3, 4, 0),
        )


def test_values_of_a_two_step_chain_are_powers_of_each_members_discount() -> None:
    agent = A2C(CONFIG, gymnasium.spaces.Box(0.0, 1.0, (2,), np.float32), gymnasium.spaces.Discrete(2), seeds=(0, 1, 2))
    discounts = [0.0, 0.5, 0.9]
    for rate in (1e-2, 1e-3):
        agent.set_hypers(usual(learning_rate=[rate] * 3, discount=discounts))
        for _ in range(80):
            for rollout in chain_rollouts():
                agent.learn(rollout)
    for p, discount in enumerate(discounts):
        reference = Reference(agent.state(p), "discrete")
        assert reference.value(torch.tensor([1.0, 0.0])).item() == pytest.approx(discount, abs=0.03)
        assert reference.value(torch.tensor([0.0, 1.0])).item() == pytest.approx(1.0, abs=0.03)


def test_hypers_are_one_value_a_member() -> None:
    agent = make_agent()
    hypers = usual()
    for wrong in ([0.9], [0.9] * 4):
        with pytest.raises(ValueError, match=f"3 members, but discount has {len(wrong)} values"):
            agent.set_hypers({**hypers, "discount": wrong})


def test_a_checkpoint_of_another_type_is_refused() -> None:
    agent = make_agent()
    state = {name: array.astype(np.float16) if name == "weights.value.bias" else array for name, array in agent.state(0).items()}
    with pytest.raises(CheckpointMismatch, match=r"'weights.value.bias' is float16, not torch.float32"):
        agent.load_state(0, state)


@pytest.mark.parametrize("name", AGENTS)
def test_an_annealed_rate_is_the_rate_times_what_is_left(name: str) -> None:
    left = [1.0, 0.25, 0.0]
    annealed = make_agent(config=replace(CONFIG, anneal="linear"), name=name)
    by_hand, plain, unheeding = (make_agent(name=name) for _ in range(3))
    rates = [rate * part for rate, part in zip(MEMBERS["learning_rate"], left, strict=True)]
    by_hand.set_hypers({**of_all(name), "learning_rate": rates})
    for agent, given in ((annealed, left), (by_hand, None), (plain, None), (unheeding, left)):
        agent.learn(make_rollout(), orders(), given)
    for p in range(3):
        assert states_equal(annealed.state(p), by_hand.state(p))
        assert states_equal(annealed.state(p), plain.state(p)) == (p == 0)
        assert states_equal(unheeding.state(p), plain.state(p)), "it is not annealed unless that is asked for"


def test_no_other_way_to_anneal_is_known() -> None:
    with pytest.raises(ValueError, match="anneal must be one of none, linear, but is 'cosine'"):
        replace(CONFIG, anneal="cosine")


def test_a_rollout_moves_to_another_device_as_a_whole() -> None:
    rollout = make_rollout()
    for name in Rollout.__slots__:
        here, there = getattr(rollout, name), getattr(rollout.to("meta"), name)
        assert there.device.type == "meta" and there.shape == here.shape and there.dtype == here.dtype
        assert getattr(rollout.to("cpu"), name) is here, "nothing is copied to where it is"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_rollout_arrives_unchanged_on_a_gpu() -> None:
    rollout = make_rollout()
    moved = rollout.to("cuda")
    for name in Rollout.__slots__:
        torch.testing.assert_close(getattr(moved, name).cpu(), getattr(rollout, name), rtol=0, atol=0)
