"""How long an episode of an evaluation can be, and what it may cost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rl_pbt.envs import resolve
from rl_pbt.tasks.on_environments.episodes import Episodes
from rl_pbt.tasks.on_environments.limits import foreseen_frames, longest_possible, steps_within

SPEC = replace(resolve("CartPole-v1"), frame_skip=4, max_episode_frames=400)


@pytest.mark.parametrize(("frames", "steps"), [(None, None), (400, 100), (7, 1), (3, 1)])
def test_a_limit_leaves_a_step_at_least(frames: int | None, steps: int | None) -> None:
    assert steps_within(SPEC, frames) == steps


@pytest.mark.parametrize(("cut", "steps"), [(None, 100), (800, 100), (40, 10)])
def test_an_episode_ends_at_the_lower_limit(cut: int | None, steps: int) -> None:
    assert longest_possible(SPEC, cut) == steps
    assert longest_possible(replace(SPEC, max_episode_frames=None), cut) == (None if cut is None else cut // 4)


@pytest.mark.parametrize(
    ("lengths", "cut", "frames"),
    [
        ((10, 20), None, 2 * 15 * 4),
        ((10, 20), 32, 2 * 8 * 4),
        ((), None, 2 * 60 * 4),  # none ended: as long as an interval, in which two copies made 30 steps each
        ((), 32, 2 * 8 * 4),
    ],
)
def test_an_evaluation_is_foreseen_in_frames(lengths: tuple[int, ...], cut: int | None, frames: int) -> None:
    assert foreseen_frames(SPEC, Episodes(lengths=lengths), 240, copies=2, episodes=2, cut=cut) == frames
