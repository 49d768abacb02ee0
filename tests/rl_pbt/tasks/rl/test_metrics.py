"""What is told of an interval of an agent."""

from __future__ import annotations

import numpy as np

from rl_pbt.tasks.on_environments.episodes import Episodes
from rl_pbt.tasks.rl.metrics import metrics_of


def test_names_are_stable_baselines3s_and_an_agent_may_have_more() -> None:
    learned = {
        name: np.array([1.0, 2.0]) for name in ("policy_loss", "value_loss", "entropy", "grad_norm", "approx_kl", "surprise")
    }
    found = metrics_of(1, learned, Episodes(returns=(3.0,), lengths=(4,)), None)
    assert found == {
        "train/policy_gradient_loss": 2.0,
        "train/value_loss": 2.0,
        "train/entropy_loss": -2.0,
        "train/grad_norm": 2.0,
        "train/approx_kl": 2.0,
        "train/surprise": 2.0,
        "rollout/ep_rew_mean": 3.0,
        "rollout/ep_len_mean": 4.0,
    }


def test_an_agent_without_an_entropy_tells_what_it_has_and_nothing_that_is_not_finite() -> None:
    assert metrics_of(0, {"loss": np.array([0.5]), "odd": np.array([np.nan])}, Episodes(), None) == {"train/loss": 0.5}
    assert metrics_of(0, {}, Episodes(), None) == {}
