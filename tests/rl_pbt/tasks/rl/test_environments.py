"""Members' environments stepped together: what rests, what is charged, and that neither changes what is played."""

from functools import partial

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.classic_control import AcrobotEnv, CartPoleEnv

from rl_pbt.envs import EnvSpec, make_vector, resolve
from rl_pbt.tasks.on_environments.spaces import KnownSpaces
from rl_pbt.tasks.rl import environments, in_parts
from rl_pbt.tasks.rl.environments import MemberEnvironments, spaces_of
from rl_pbt.tasks.rl.in_parts import Handling, Vector
from rl_pbt.tasks.stable_baselines import settings

SEEDS = [11, 700]
COPIES = 3


def first_episodes(env: str, *, separate: bool, steps: int) -> tuple[list[np.ndarray], np.ndarray, list[int]]:
    """Random play by fixed actions: what each copy saw up to the end of its first episode, its length, units charged."""
    actors = MemberEnvironments(resolve(env), COPIES, SEEDS, Handling(separate=separate))
    actions = np.random.default_rng(0).integers(2, size=(steps, len(SEEDS), COPIES))
    playing = np.ones((len(SEEDS), COPIES), bool)
    lengths = np.zeros_like(playing, int)
    seen = [actors.observations]
    for chosen in actions:
        if not playing.any():
            break
        _, _, ended = actors.step(chosen, playing)
        seen.append(np.where(playing.reshape(*playing.shape, *[1] * (seen[0].ndim - 2)), actors.observations, 0))
        lengths += playing
        playing &= ~ended
    actors.close()
    return seen, lengths, actors.frames


@pytest.mark.parametrize("read", [spaces_of, settings.spaces_of], ids=["ours", "Stable-Baselines3's"])
def test_spaces_are_those_of_what_is_registered_now(read: KnownSpaces) -> None:
    wide = partial(CartPoleEnv, render_mode=None)
    for entry, size in ((CartPoleEnv, 4), (AcrobotEnv, 6), (wide, 4)):
        gymnasium.registry.pop("Mine-v0", None)  # otherwise it warns
        gymnasium.register("Mine-v0", entry)
        for _ in range(2):
            observations, _ = read(resolve("Mine-v0"))
            assert observations.shape == (size,)


@pytest.mark.parametrize(("env", "steps"), [("FrozenLake-v1", 100), ("Pacman", 700), ("Breakout", 250)])
def test_separate_copies_play_the_same_first_episodes_and_rest_afterwards(env: str, steps: int) -> None:
    together, together_lengths, together_units = first_episodes(env, separate=False, steps=steps)
    apart, lengths, units = first_episodes(env, separate=True, steps=steps)
    np.testing.assert_array_equal(lengths, together_lengths)
    assert lengths.min() < lengths.max()  # some rest while others play
    assert len(together) == len(apart)
    for one, other in zip(together, apart, strict=True):
        np.testing.assert_array_equal(one, other)
    skip = resolve(env).frame_skip
    assert units == [int(of_member.sum()) * skip for of_member in lengths]
    assert together_units == [int(of_member.max()) * COPIES * skip for of_member in lengths]


@pytest.mark.parametrize(("env", "separate"), [("CartPole-v1", False), ("CartPole-v1", True), ("Acrobot-v1", True)])
def test_as_one_they_play_the_same_first_episodes_and_rest_afterwards(
    env: str, separate: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once, lengths, units = first_episodes(env, separate=separate, steps=600)
    assert units == [int(of_member.sum()) for of_member in lengths]
    monkeypatch.setattr(environments, "make_population", lambda *_: None)
    apart, apart_lengths, apart_units = first_episodes(env, separate=separate, steps=600)
    np.testing.assert_array_equal(lengths, apart_lengths)
    for one, other in zip(at_once, apart, strict=True):
        np.testing.assert_array_equal(one, other)
    if env == "CartPole-v1":  # whose copies have one random stream, and so stay together
        assert len(set(lengths.ravel().tolist())) > 1
        assert apart_units == [int(of_member.max()) * COPIES for of_member in lengths]


def test_members_that_are_lost_are_not_stepped_as_one_either() -> None:
    everybody = MemberEnvironments(resolve("CartPole-v1"), COPIES, SEEDS, Handling())
    some = MemberEnvironments(resolve("CartPole-v1"), COPIES, SEEDS, Handling(), absent=[0])
    actions = np.random.default_rng(0).integers(2, size=(300, len(SEEDS), COPIES))
    for chosen in actions:
        for one, other in zip(everybody.step(chosen), some.step(chosen), strict=True):
            np.testing.assert_array_equal(one[1], other[1])
            assert not other[0].any()
        np.testing.assert_array_equal(everybody.observations[1], some.observations[1])
        assert not some.observations[0].any() and not some.valid[0].any()
    assert some.frames == [0, 300 * COPIES] and some.episodes[1].returns == everybody.episodes[1].returns
    assert some.episodes[0].returns == ()


@pytest.mark.parametrize(("env", "made_in_all"), [("Pacman", 2), ("FrozenLake-v1", 4)])
def test_an_environment_that_serves_again_plays_as_a_fresh_one(
    env: str, made_in_all: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Vector] = []

    def counting(spec: EnvSpec, size: int) -> Vector:
        made.append(make_vector(spec, size))
        return made[-1]

    monkeypatch.setattr(in_parts, "make_vector", counting)
    monkeypatch.setattr(in_parts, "_idle", type(in_parts._idle)(list))
    fresh, again = (first_episodes(env, separate=False, steps=600) for _ in range(2))
    assert len(made) == made_in_all  # two members, once or twice
    for one, other in zip(fresh[0], again[0], strict=True):
        np.testing.assert_array_equal(one, other)
    assert fresh[2] == again[2]
