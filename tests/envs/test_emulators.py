"""Games in ale_py's emulator itself are those of its vector environment, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rl_pbt.envs import make_vector, resolve, resumable_form
from rl_pbt.envs.aliases import Vector

COPIES = 2
NO_CHANCE = {"repeat_action_probability": 0.0, "noop_max": 0}


def both(game: str, **options: Any) -> tuple[Vector, Vector]:
    """The game in ale_py's vector environment, and in the form that can be left."""
    usual = resolve(game, options=options)
    form = resumable_form(usual)
    assert not usual.resumable and form is not None and form.resumable
    return make_vector(usual, COPIES), make_vector(form, COPIES)


@pytest.mark.parametrize(
    ("game", "options", "steps"),
    [
        ("Breakout", {}, 250),
        ("MsPacman", {}, 500),
        ("SpaceInvaders", {"frame_stack": 2}, 500),
        ("Seaquest", {"full_action_space": True}, 500),
        ("Breakout", {"use_fire_reset": True}, 250),
        ("Pong", {"use_fire_reset": True, "full_action_space": True}, 150),
    ],
)
def test_same_actions_same_observations_rewards_and_ends(game: str, options: dict[str, Any], steps: int) -> None:
    theirs, ours = both(game, **NO_CHANCE, **options)
    for name in ("single_observation_space", "single_action_space", "observation_space", "action_space"):
        assert getattr(theirs, name) == getattr(ours, name)
    actions = np.random.default_rng(1).integers(0, theirs.single_action_space.n, (steps, COPIES))  # type: ignore[attr-defined]
    np.testing.assert_array_equal(theirs.reset(seed=3)[0], ours.reset(seed=4)[0])
    ends = paid = 0
    since_end = np.full(COPIES, 9)
    for chosen in actions:
        expected, found = theirs.step(chosen)[:4], ours.step(chosen)[:4]
        for one, other in zip(expected[1:], found[1:], strict=True):
            np.testing.assert_array_equal(one, other)
        ended = found[2] | found[3]
        since_end = np.where(ended, 0, since_end + 1)
        # What is drawn at an end differs, as the module says, and stays in the stack until the reset.
        np.testing.assert_array_equal(expected[0][since_end > 0], found[0][since_end > 0])
        np.testing.assert_array_equal(expected[0][:, :-1], found[0][:, :-1])
        ends, paid = ends + int(ended.sum()), paid + int(found[1].any())
    assert paid and (ends or game == "Pong")
    theirs.close()


@pytest.mark.parametrize("cap", [397, 398, 399, 400])
def test_a_time_limit_ends_an_episode_on_the_same_frame(cap: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rl_pbt.envs.atari.EPISODE_FRAMES", cap)
    theirs, ours = both("MsPacman", **NO_CHANCE)
    theirs.reset(seed=0)
    ours.reset(seed=0)
    truncated = []
    for _ in range(210):
        expected, found = (env.step(np.zeros(COPIES, int))[:4] for env in (theirs, ours))
        for one, other in zip(expected[1:], found[1:], strict=True):
            np.testing.assert_array_equal(one, other)
        truncated.append(bool(found[3].all()))
    assert np.flatnonzero(truncated).tolist() == [99, 200]
    theirs.close()
