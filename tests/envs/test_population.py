"""Environments of all members as one play as Gymnasium's own, bit for bit."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from rl_pbt.envs import EnvSpec, make_population, make_vector, resolve
from rl_pbt.envs.classic_control import CLASSIC_CONTROL

IDS = ("CartPole-v1", "Acrobot-v1", "Pendulum-v1", "MountainCar-v0", "MountainCarContinuous-v0")
MEMBERS, COPIES, SEEDS = 3, 4, (7, 7_000_000, 12)


def random_actions(spec: EnvSpec, seed: int = 0):  # type: ignore[no-untyped-def]
    """Actions [P, B, ...], some of which last, so that states are far from the beginning, and some of which lie outside."""
    space = gymnasium.make(spec.id).action_space
    rng = np.random.default_rng(seed)
    last = None
    while True:
        if isinstance(space, gymnasium.spaces.Discrete):
            drawn = rng.integers(space.n, size=(MEMBERS, COPIES))
        else:
            drawn = rng.normal(0.0, space.high[0], (MEMBERS, COPIES, 1)).astype(np.float32)
        keep = rng.random((MEMBERS, COPIES)) < 0.9
        last = drawn if last is None else np.where(keep.reshape(keep.shape + (1,) * (drawn.ndim - 2)), last, drawn)
        yield last


def population(spec: EnvSpec):  # type: ignore[no-untyped-def]
    found = make_population(spec, MEMBERS, COPIES)
    assert found is not None
    return found


@pytest.mark.parametrize("steps", [1500, pytest.param(100_000, marks=pytest.mark.nightly)])
@pytest.mark.parametrize("id_", IDS)
def test_every_number_is_gymnasiums(id_: str, steps: int) -> None:
    spec = resolve(id_)
    ours, theirs = population(spec), [make_vector(spec, COPIES) for _ in range(MEMBERS)]
    first = ours.reset(SEEDS)
    np.testing.assert_array_equal(first, [env.reset(seed=seed)[0] for env, seed in zip(theirs, SEEDS, strict=True)])
    ends = 0
    for step, actions in zip(range(steps), random_actions(spec), strict=False):
        observations, rewards, terminated, truncated = ours.step(actions)
        expected = [env.step(chosen)[:4] for env, chosen in zip(theirs, actions, strict=True)]
        for name, found, each in zip(
            ("observations", "rewards", "terminated", "truncated"),
            (observations, rewards, terminated, truncated),
            zip(*expected, strict=True),
            strict=True,
        ):
            np.testing.assert_array_equal(found, np.asarray(each, found.dtype), err_msg=f"{name} of step {step}")
        ends += int((terminated | truncated).sum())
    assert ends > 2 * MEMBERS * COPIES, "episodes ended, and others began"
    assert observations.dtype == np.float32 and rewards.dtype == np.float32


@pytest.mark.parametrize("id_", IDS)
def test_a_member_plays_alone_as_in_a_population(id_: str) -> None:
    spec = resolve(id_)
    ours, alone = population(spec), make_population(spec, 1, COPIES)
    assert alone is not None
    np.testing.assert_array_equal(ours.reset(SEEDS)[1:2], alone.reset(SEEDS[1:2]))
    for _, actions in zip(range(600), random_actions(spec), strict=False):
        for one, other in zip(ours.step(actions), alone.step(actions[1:2]), strict=True):
            np.testing.assert_array_equal(one[1:2], other)


@pytest.mark.parametrize("id_", [id_ for id_ in IDS if "CartPole" not in id_])
def test_copies_that_rest_stay_as_they_are_and_the_others_do_not_notice(id_: str) -> None:
    spec = resolve(id_)
    all_, some = population(spec), population(spec)
    shown = all_.reset(SEEDS), some.reset(SEEDS)
    resting = np.zeros((MEMBERS, COPIES), bool)
    resting[0, 2] = resting[2] = True
    for _, actions in zip(range(400), random_actions(spec), strict=False):
        before = shown[1]
        stepped = all_.step(actions), some.step(actions, ~resting)
        shown = stepped[0][0], stepped[1][0]
        for one, other in zip(*stepped, strict=True):
            np.testing.assert_array_equal(one[~resting], other[~resting])
        np.testing.assert_array_equal(shown[1][resting], before[resting])
        assert not stepped[1][1][resting].any() and not stepped[1][2][resting].any() and not stepped[1][3][resting].any()
    np.testing.assert_array_equal(some.step(actions, np.zeros_like(resting))[0], shown[1])


def test_what_is_shown_is_the_callers() -> None:
    ours = population(resolve("CartPole-v1"))
    first = ours.reset(SEEDS)
    kept = first.copy()
    actions = np.zeros((MEMBERS, COPIES), np.int64)
    second = ours.step(actions)[0]
    np.testing.assert_array_equal(first, kept)
    second[...] = 77
    nobody = np.zeros((MEMBERS, COPIES), bool)
    assert (ours.step(actions, nobody)[0] != 77).all()


def test_only_what_is_exactly_gymnasiums_own_is_stepped_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for entry_point in CLASSIC_CONTROL:
        assert any(spec.entry_point == entry_point for spec in gymnasium.registry.values()), entry_point
    gymnasium.register("test/Heavy-v0", entry_point="gymnasium.envs.classic_control.pendulum:PendulumEnv", kwargs={"g": 20.0})
    try:
        assert make_population(resolve("test/Heavy-v0"), 2, 2) is None
    finally:
        del gymnasium.registry["test/Heavy-v0"]
    for id_ in ("FrozenLake-v1", "probe/Discount", "ALE/Pong-v5"):
        assert make_population(resolve(id_), 2, 2) is None
