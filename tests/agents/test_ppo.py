from __future__ import annotations

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch

from rl_pbt.agents import AGENTS
from rl_pbt.agents.a2c import A2C
from rl_pbt.agents.actor_critic import ActorCritic
from rl_pbt.agents.ppo import PPO
from rl_pbt.agents.rollout import Rollout
from rl_pbt.agents.settings import PPOConfig
from tests.agents.test_actor_critic import (
    ENVS,
    LENGTH,
    MEMBERS,
    SPACES,
    Reference,
    assert_states_close,
    make_rollout,
    of_member,
    states_equal,
)

CONFIG = PPOConfig(hidden=(8, 6), batch_size=7)
HYPERS = {**MEMBERS, "clip_range": [0.2, 0.05, 0.4], "num_epochs": [3, 1, 2]}


def make_agent(kind: str = "discrete", config: PPOConfig = CONFIG, seeds=(1, 2, 3), **hypers: list[float]) -> PPO:
    agent = PPO(config, *SPACES[kind], seeds=seeds)
    agent.set_hypers({name: values[: len(seeds)] for name, values in (HYPERS | hypers).items()})
    return agent


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def acted(agent: ActorCritic, rollout: Rollout, core_state: torch.Tensor | None = None) -> Rollout:
    """The rollout as if the agent's policy of now had chosen its actions."""
    policy = agent.policy()
    state = policy.initial_state(*rollout.rewards.shape[1:]) if core_state is None else core_state
    start, outputs = state, []
    noise = policy.sample_noise(generators(*range(rollout.rewards.shape[1])), 1, rollout.rewards.shape[2])[0]
    for t in range(len(rollout.rewards)):
        _, output, state = policy.act(rollout.observations[t], state, noise)
        outputs.append(output)
        state = state * rollout.valid[t][..., None]
    return replace(rollout, behaviour_log_probs=policy.log_probs(torch.stack(outputs), rollout.actions), core_state=start)


class ByHand(Reference):
    """One member, by hand: loops over epochs, minibatches and steps, torch.optim.Adam."""

    def __init__(self, state, kind: str, config: PPOConfig) -> None:
        super().__init__(state, kind, config, "ppo")
        self.ppo = config
        self.adam = torch.optim.Adam(self.weights.values(), lr=1.0)

    def update(self, rollout: Rollout, generator: torch.Generator, **hypers: float) -> dict[str, float]:
        by_env = [self.targets(rollout, b, hypers["discount"], hypers["trace_lambda"])[0] for b in range(ENVS)]
        before = [[self.value(rollout.observations[t, 0, b]).item() for b in range(ENVS)] for t in range(LENGTH)]
        orders = [torch.randperm(LENGTH * ENVS, generator=generator).tolist() for _ in range(int(hypers["num_epochs"]))]
        rows: list[dict[str, float]] = []
        for order in orders:
            for start in range(0, LENGTH * ENVS, self.ppo.batch_size):
                at = [divmod(step, ENVS) for step in order[start : start + self.ppo.batch_size]]
                steps = [(t, b) for t, b in at if rollout.valid[t, 0, b]]
                if not steps:
                    continue
                row, step = self.minibatch(rollout, steps, by_env, before, **hypers)
                if self.ppo.target_kl and row["approx_kl"] > 1.5 * self.ppo.target_kl:
                    return {name: float(np.mean([row[name] for row in rows])) if rows else 0.0 for name in row}
                step()
                rows.append(row)
        return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}

    def minibatch(self, rollout, steps, by_env, before, **hypers: float):
        advantages = torch.tensor([by_env[b][t] - before[t][b] for t, b in steps])
        if self.ppo.normalise_advantages and len(steps) > 1:
            advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        policies = [self.policy(rollout.observations[t, 0, b]) for t, b in steps]
        values = torch.stack([self.value(rollout.observations[t, 0, b]) for t, b in steps])
        log_probs = torch.stack(
            [policy.log_prob(rollout.actions[t, 0, b]) for policy, (t, b) in zip(policies, steps, strict=True)]
        )
        ratios = (log_probs - torch.stack([rollout.behaviour_log_probs[t, 0, b] for t, b in steps])).exp()
        clip, returns = hypers["clip_range"], torch.tensor([by_env[b][t] for t, b in steps])
        policy_loss = -torch.min(advantages * ratios, advantages * ratios.clip(1 - clip, 1 + clip)).mean()
        errors = (returns - values) ** 2
        if self.ppo.clip_values:
            old = torch.tensor([before[t][b] for t, b in steps])
            errors = torch.max(errors, (returns - (old + (values - old).clip(-clip, clip))) ** 2)
        entropy = torch.stack([policy.entropy() for policy in policies]).mean()
        loss = policy_loss + hypers["value_cost"] * errors.mean() - hypers["entropy_cost"] * entropy
        row = {"policy_loss": policy_loss, "value_loss": errors.mean(), "entropy": entropy}
        row |= {"approx_kl": (ratios - 1 - ratios.log()).mean(), "clip_fraction": ((ratios - 1).abs() > clip).float().mean()}

        def step() -> None:
            self.adam.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.weights.values(), hypers["max_grad_norm"])
            self.adam.param_groups[0]["lr"], self.adam.param_groups[0]["eps"] = hypers["learning_rate"], hypers["epsilon"]
            self.adam.step()

        return {name: tensor.item() for name, tensor in row.items()}, step


# Minibatches of 7 of 24 steps leave one of 3; one of 100 holds all.
VARIANTS = [
    {},
    {"batch_size": 100},
    {"batch_size": 1},
    {"normalise_advantages": False},
    {"clip_values": True},
    {"target_kl": 0.02},
]


@pytest.mark.parametrize("kind", ["discrete", "box"])
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_updates_are_those_of_a_single_member_written_by_hand(kind: str, variant) -> None:
    config = replace(CONFIG, **variant)
    agent = make_agent(kind, config)
    references = [ByHand(agent.state(p), kind, config) for p in range(3)]
    for update in range(2):
        rollout = acted(agent, make_rollout(kind, seed=update))
        hypers = {hyper: values[update:] + values[:update] for hyper, values in HYPERS.items()}
        agent.set_hypers(hypers)
        metrics = agent.learn(rollout, generators(5, 6, 7 + update))
        for p, (reference, generator) in enumerate(zip(references, generators(5, 6, 7 + update), strict=True)):
            expected = reference.update(of_member(rollout, p), generator, **{name: values[p] for name, values in hypers.items()})
            for metric, value in expected.items():
                assert metrics[metric][p].item() == pytest.approx(value, rel=2e-3, abs=2e-5), metric
    for p, reference in enumerate(references):
        weights = {name: array for name, array in agent.state(p).items() if name.startswith("weights.")}
        assert_states_close(weights, {f"weights.{name}": w.detach().numpy() for name, w in reference.weights.items()}, atol=5e-5)


@pytest.mark.parametrize("core", ["none", "lstm"])
@pytest.mark.parametrize("kind", SPACES)
def test_the_first_step_on_all_that_was_just_acted_is_a2cs(kind: str, core: str) -> None:
    """Every ratio is 1, so the gradient of the clipped objective is that of the policy gradient."""
    config = replace(
        CONFIG,
        core=core,
        core_size=5,
        batch_size=10_000,
        normalise_advantages=False,
        normalise_observations=kind != "image",
    )
    ppo = make_agent(kind, config, num_epochs=[1, 1, 1])
    shared = {name: values for name, values in HYPERS.items() if name in A2C.HYPERS}
    a2c = A2C(config, *SPACES[kind], seeds=(1, 2, 3))
    a2c.set_hypers(shared)
    for seed in range(2):
        rollout = acted(a2c, make_rollout(kind, seed))
        a2c.learn(rollout)
        metrics = ppo.learn(rollout, generators(1, 2, 3))
        assert metrics["approx_kl"].abs().max() < 1e-4 and metrics["clip_fraction"].max() == 0
    for p in range(3):
        assert_states_close(ppo.state(p), a2c.state(p), atol=3e-4)


def test_minibatches_of_an_lstm_are_whole_unrolls_of_environments_each_seen_once_an_epoch() -> None:
    agent = make_agent(config=replace(CONFIG, core="lstm", core_size=5, batch_size=2 * LENGTH), num_epochs=[2, 1, 2])
    batches = list(agent._minibatches(LENGTH * ENVS, ENVS, generators(1, 2, 3)))
    assert len(batches) == 2 * ENVS // 2
    assert [within.tolist() for _, _, within in batches] == [[True] * 3] * 2 + [[True, False, True]] * 2
    for index, streams, _ in batches:
        for p in range(3):
            assert sorted(index[p].tolist()) == sorted(t * ENVS + b for t in range(LENGTH) for b in streams[p].tolist())
    for epoch in (batches[:2], batches[2:]):
        for p in range(3):
            assert sorted(b for _, streams, _ in epoch for b in streams[p].tolist()) == list(range(ENVS))


def test_an_lstm_learns_from_a_minibatch_as_if_the_other_environments_were_not_there() -> None:
    config = replace(CONFIG, core="lstm", core_size=5, batch_size=2 * LENGTH, normalise_advantages=False)
    whole = make_agent(config=config)
    rollout = acted(whole, make_rollout(), core_state=torch.randn(3, ENVS, 10, generator=torch.Generator().manual_seed(0)))
    orders = [torch.randperm(ENVS, generator=generator) for generator in generators(4, 5, 6)]
    halves = make_agent(config=replace(config, batch_size=10_000), num_epochs=[1, 1, 1])
    # The values that advantages are made of are those from before the first step.
    first = [of_environments(of_member(rollout, p), orders[p][: ENVS // 2]) for p in range(3)]
    joined = Rollout(
        **{name: torch.cat([getattr(one, name) for one in first], 0 if name == "core_state" else 1) for name in Rollout.__slots__}
    )
    halves.learn(joined, generators(0, 0, 0))
    taken = []
    step = whole._step
    whole._step = lambda loss, active=None: taken.append(step(loss, active)) or stop()  # type: ignore[method-assign]
    with pytest.raises(StopIteration):
        whole.learn(rollout, generators(4, 5, 6))
    for p in range(3):
        assert_states_close(whole.state(p), halves.state(p), atol=3e-4)


def stop() -> torch.Tensor:
    raise StopIteration


def of_environments(rollout: Rollout, chosen: torch.Tensor) -> Rollout:
    fields = {name: getattr(rollout, name)[:, :, chosen] for name in Rollout.__slots__ if name != "core_state"}
    return Rollout(**fields, core_state=rollout.core_state[:, chosen])


@pytest.mark.parametrize("target_kl", [0.0, 0.003])
def test_a_member_learns_alone_as_in_a_population(target_kl: float) -> None:
    config = replace(CONFIG, target_kl=target_kl)
    population, alone = make_agent(config=config), make_agent(config=config, seeds=(2,))
    alone.set_hypers({name: values[1:2] for name, values in HYPERS.items()})
    orders, own = generators(1, 2, 3), generators(2)
    for seed in range(3):
        rollout = acted(population, make_rollout(seed=seed))
        population.learn(rollout, orders)
        alone.learn(of_member(rollout, 1), own)
    assert_states_close(population.state(1), alone.state(0), atol=2e-4)
    assert torch.equal(orders[1].get_state(), own[0].get_state())


def test_a_member_past_its_divergence_rests_and_its_neighbours_go_on() -> None:
    rates = [1e-5, 0.3, 1e-5]
    free, limited = (
        make_agent(config=replace(CONFIG, target_kl=limit), learning_rate=rates, num_epochs=[3, 3, 3]) for limit in (0.0, 0.01)
    )
    rollout = acted(free, make_rollout())
    for agent in (free, limited):
        agent.learn(rollout, generators(1, 2, 3))
    assert states_equal(free.state(0), limited.state(0)) and states_equal(free.state(2), limited.state(2))
    assert 1 <= limited.state(1)["updates"] < free.state(1)["updates"] == 3 * 4
    assert limited.state(1)["adam.steps"] == limited.state(1)["updates"]
    assert limited.healthy().all()


def test_what_diverges_while_it_rests_is_no_divergence() -> None:
    agent = make_agent(config=replace(CONFIG, target_kl=1e-9), learning_rate=[1e-3, 1e-3, 1e-3])
    rollout = acted(agent, make_rollout())
    rollout.behaviour_log_probs[:, 1] = -500.0  # ratios that overflow: beyond any divergence before the first step
    before = agent.state(1)
    agent.learn(rollout, generators(1, 2, 3))
    assert states_equal(agent.state(1), before)
    assert agent.healthy().tolist() == [True, True, True]


def test_a_member_with_nothing_valid_stays_as_it_is() -> None:
    agent = make_agent()
    agent.learn(acted(agent, make_rollout()), generators(1, 2, 3))  # or its moments would be zero
    before, rollout = agent.state(1), acted(agent, make_rollout(seed=1))
    rollout.valid[:, 1] = False
    metrics = agent.learn(rollout, generators(1, 2, 3))
    assert states_equal(agent.state(1), before) and agent.healthy().all()
    assert metrics["policy_loss"][1] == 0 and metrics["policy_loss"][0] != 0


def test_the_order_is_the_members_own_and_needs_a_generator_each() -> None:
    ends = []
    for seeds in ((1, 2, 3), (1, 9, 3)):
        agent = make_agent()
        agent.learn(acted(agent, make_rollout()), generators(*seeds))
        ends.append([agent.state(p) for p in range(3)])
    assert [states_equal(one, other) for one, other in zip(*ends, strict=True)] == [True, False, True]
    with pytest.raises(ValueError, match="a generator a member"):
        make_agent().learn(make_rollout())


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"target_kl": -0.1}, {"target_kl": float("nan")}, {"unroll_length": 0}])
def test_settings_out_of_their_range_are_refused(wrong) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PPOConfig(**wrong)


def test_its_own_hyperparameters_are_needed_and_others_have_none_of_them() -> None:
    assert set(PPO.HYPERS) - set(A2C.HYPERS) == {"clip_range", "num_epochs"}
    assert all(entry.hypers is A2C.HYPERS for name, entry in AGENTS.items() if name != "ppo")
    with pytest.raises(ValueError, match="PPO needs"):
        make_agent().set_hypers({name: values for name, values in HYPERS.items() if name != "clip_range"})


def test_a_two_armed_bandit_is_solved_by_members_that_learn() -> None:
    config = PPOConfig(hidden=(8,), unroll_length=1, batch_size=8)
    agent = PPO(config, gymnasium.spaces.Box(0.0, 1.0, (1,), np.float32), gymnasium.spaces.Discrete(2), seeds=(0, 1, 2))
    hypers = {name: [hyper.default] * 3 for name, hyper in PPO.HYPERS.items()}
    # The last two do not learn: one has no rate, one is kept at chance by its entropy.
    agent.set_hypers(hypers | {"learning_rate": [1e-2, 0.0, 1e-2], "entropy_cost": [0.0, 0.0, 50.0], "num_epochs": [4, 4, 4]})
    acting, orders, shape = generators(0, 1, 2), generators(3, 4, 5), (1, 3, 32)
    counted = torch.zeros(3)
    for update in range(60):
        policy = agent.policy()
        noise = policy.sample_noise(acting, 1, 32)
        actions, outputs, _ = policy.act(torch.ones(3, 32, 1), policy.initial_state(3, 32), noise[0])
        ends = torch.ones(shape, dtype=torch.bool)
        rollout = Rollout(
            observations=torch.ones(2, 3, 32, 1),
            actions=actions[None],
            behaviour_log_probs=policy.log_probs(outputs[None], actions[None]),
            rewards=actions[None].float(),
            terminated=ends,
            valid=ends,
            core_state=torch.zeros(3, 32, 0),
        )
        agent.learn(rollout, orders)
        counted += (update >= 50) * actions.float().mean(1) / 10
    assert counted[0] > 0.95
    assert 0.4 < counted[1] < 0.6
    assert 0.35 < counted[2] < 0.65
