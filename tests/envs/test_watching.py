"""What a person sees is the episode that the agent plays."""

import numpy as np
import pytest

from rl_pbt.envs import EnvironmentUnavailable, EnvSpec, make_vector, resolve, watch


@pytest.mark.parametrize(("name", "shape"), [("Pacman", (250, 160, 3)), ("Breakout", (210, 160, 3))])
def test_the_coloured_twin_plays_the_same_game(name: str, shape: tuple[int, int, int]) -> None:
    spec = resolve(name)
    watched, alone = watch(spec), make_vector(spec, 1)
    actions = np.random.default_rng(0).integers(watched.env.single_action_space.n, size=(120, 1))  # type: ignore[attr-defined]
    np.testing.assert_array_equal(watched.reset(3), alone.reset(seed=3)[0])
    pictures = [watched.picture()]
    for action in actions:
        observations, rewards, *_ = watched.step(action)
        theirs, their_rewards, *_ = alone.step(action)
        np.testing.assert_array_equal(observations, theirs)
        np.testing.assert_array_equal(rewards, their_rewards)
        pictures.append(watched.picture())
    watched.close()
    alone.close()
    assert pictures[0].shape == shape and pictures[0].dtype == np.uint8
    assert len({picture.tobytes() for picture in pictures}) > 60
    assert any((picture[..., 0] != picture[..., 2]).any() for picture in pictures), "no colours"


def test_every_ghost_is_in_the_pictures_of_pacman_and_both_emulators_agree_on_where() -> None:
    """What is bright to the agent is bright to the person, in the same place: the twin is in lock step."""
    watched = watch(resolve("Pacman"))
    watched.reset(0)
    for _ in range(60):
        observations, *_ = watched.step(np.zeros(1, np.int64))
    grey = observations[0, -1].astype(float)
    picture = watched.picture()[:249].astype(float) @ [0.299, 0.587, 0.114]
    shrunk = picture.reshape(83, 3, 80, 2).mean((1, 3))
    watched.close()
    assert np.corrcoef(grey.ravel(), shrunk.ravel())[0, 1] > 0.98


def test_colours_from_0_to_1_are_colours_too() -> None:
    pytest.importorskip("minatar", reason="needs the extra minatar")
    watched = watch(resolve("MinAtar/Breakout-v1"))
    watched.reset(0)
    assert watched.picture().dtype == np.uint8 and watched.picture().max() > 100
    watched.close()


def test_an_environment_that_draws_itself() -> None:
    watched = watch(resolve("CartPole-v1"))
    first = watched.reset(0)
    before = watched.picture()
    for _ in range(5):
        watched.step(np.ones(1, np.int64))
    assert first.shape == (1, 4) and before.ndim == 3
    assert not np.array_equal(before, watched.picture())
    watched.close()


def test_one_that_draws_nothing_and_another_backend_are_one_line() -> None:
    with pytest.raises(EnvironmentUnavailable, match="pictures"):
        watched = watch(resolve("probe/Action"))
        watched.reset(0)
        watched.picture()
    spec = EnvSpec(id="CartPole-v1", family="classic_control", options={"backend": "envpool"})
    with pytest.raises(EnvironmentUnavailable, match="draws no pictures"):
        watch(spec)
