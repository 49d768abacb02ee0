"""A policy plays: the copies that still play are computed for, whatever the others do, and each as if all were."""

import gymnasium
import numpy as np
import pytest
import torch

from rl_pbt.agents import AGENTS
from rl_pbt.agents.actor_critic import ActorCritic
from rl_pbt.agents.hypers import HYPERS
from rl_pbt.agents.settings import ActorCriticConfig
from rl_pbt.tasks.rl.collecting import NOISE_CHUNK, Sampler

MEMBERS, COPIES, STEPS = 3, 4, NOISE_CHUNK + 8
VECTORS = gymnasium.spaces.Box(-1.0, 1.0, (5,), np.float32)
ACTIONS = gymnasium.spaces.Discrete(50)


def make_agent(core: str) -> ActorCritic:
    config = ActorCriticConfig(core=core, core_size=6, hidden=(8,), normalise_observations=True)
    agent = AGENTS["a2c"].make(config, VECTORS, ACTIONS, seeds=[1, 2, 3])
    agent.set_hypers({name: [hyper.default] * MEMBERS for name, hyper in HYPERS.items()})
    for p in range(MEMBERS):  # heads that say something, and other statistics for each member
        state = agent.state(p)
        state["weights.policy.weight"] = np.random.default_rng(p).normal(size=state["weights.policy.weight"].shape).astype("f4")
        state["normaliser.mean"] += p
        agent.load_state(p, state)
    return agent


def generators() -> list[torch.Generator]:
    return [torch.Generator().manual_seed(p) for p in range(MEMBERS)]


@pytest.mark.parametrize("core", ["none", "lstm"])
def test_a_copy_acts_as_if_all_played_on(core: str) -> None:
    agent = make_agent(core)
    rng = np.random.default_rng(0)
    observations = rng.uniform(-1, 1, (STEPS, MEMBERS, COPIES, 5)).astype(np.float32)
    ends = rng.integers(3, STEPS, (MEMBERS, COPIES))
    ends[1] = 0  # a member that does not play at all, as one that diverged
    everyone, some = (Sampler(agent.policy(), generators(), COPIES) for _ in range(2))
    for t, seen in enumerate(observations):
        playing = ends > t
        if not playing.any():
            break
        np.testing.assert_array_equal(some(seen, playing)[playing], everyone(seen, np.ones_like(playing))[playing])
    assert t > NOISE_CHUNK, "long enough that noise was drawn again"


@pytest.mark.parametrize("core", ["none", "lstm"])
def test_greedily_it_takes_the_likeliest_actions_whatever_the_chance(core: str) -> None:
    agent = make_agent(core)
    policy, rng = agent.policy(), np.random.default_rng(0)
    greedy = [
        Sampler(policy, [torch.Generator().manual_seed(s + p) for p in range(MEMBERS)], COPIES, greedy=True) for s in (0, 9)
    ]
    sampled = Sampler(policy, generators(), COPIES)
    state = policy.initial_state(MEMBERS, COPIES)
    differing = 0
    for t in range(12):
        seen = rng.uniform(-1, 1, (MEMBERS, COPIES, 5)).astype(np.float32)
        playing = np.ones((MEMBERS, COPIES), bool)
        playing[0, 0] = t < 6
        noise = policy.sample_noise(generators(), 1, COPIES)[0]
        _, outputs, state = policy.act(torch.from_numpy(seen), state, noise)
        expected = outputs.argmax(-1).numpy()
        for choose in greedy:
            np.testing.assert_array_equal(choose(seen, playing)[playing], expected[playing])
        differing += int((sampled(seen, playing) != expected)[playing].sum())
    assert differing > 0


def test_it_computes_for_those_that_play_and_for_few_others(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = make_agent("none").policy()
    computed = []
    act = type(policy).act

    def counting(self, observations, state, noise):  # type: ignore[no-untyped-def]
        computed.append(tuple(observations.shape[:2]))
        return act(self, observations, state, noise)

    monkeypatch.setattr(type(policy), "act", counting)
    choose = Sampler(policy, generators(), COPIES)
    playing = np.ones((MEMBERS, COPIES), bool)
    for row in ([], [(0, 1), (2, 3), (2, 0)], [(0, 0), (0, 2), (0, 3), (1, 0), (1, 1)]):
        for at in row:
            playing[at] = False
        choose(np.zeros((MEMBERS, COPIES, 5), np.float32), playing)
    assert computed == [(3, 4), (3, 4), (2, 2)]
