"""Unfinished episodes in a checkpoint: apart from the agent, and for the member that left them alone."""

from __future__ import annotations

import numpy as np

from rl_pbt.tasks.rl.unfinished import continued_by, left_by, parted

WEIGHTS, STATES = np.ones(2), np.zeros(3)


def test_what_a_member_left_it_alone_continues() -> None:
    learned, episodes = parted({"weights.a": WEIGHTS, **left_by(7, {"environments.states": STATES})})
    assert learned == {"weights.a": WEIGHTS}
    assert continued_by(7, episodes) == {"environments.states": STATES}
    assert continued_by(8, episodes) is None


def test_a_checkpoint_without_unfinished_episodes_is_of_an_agent_alone() -> None:
    learned, episodes = parted({"weights.a": WEIGHTS})
    assert learned == {"weights.a": WEIGHTS} and episodes == {}
    assert continued_by(0, episodes) is None
