"""Environments that are left in the middle of an episode and gone on with play as if nothing had happened."""

from __future__ import annotations

import numpy as np
import pytest

from rl_pbt.envs import Resumes, emulators, make_population, make_vector, resolve, resumable_form

COPIES = 3
POPULATIONS = ("CartPole-v1", "Acrobot-v1", "Pendulum-v1", "MountainCar-v0", "MountainCarContinuous-v0")


def actions_of(id_: str, steps: int) -> np.ndarray:
    space = make_vector(resolve(id_), 1).single_action_space
    space.seed(0)
    return np.array([[space.sample() for _ in range(COPIES)] for _ in range(steps)])


@pytest.mark.parametrize("id_", POPULATIONS)
@pytest.mark.parametrize("steps", [0, 1, 37, 200])
def test_classic_control_goes_on(id_: str, steps: int) -> None:
    """Until an episode ends there is no chance in it, so what follows must be the same."""
    spec, actions = resolve(id_), actions_of(id_, steps + 9)
    assert spec.resumable
    left, gone_on = make_population(spec, 2, COPIES), make_population(spec, 1, COPIES)
    assert left is not None and gone_on is not None
    left.reset([1, 2])
    for chosen in actions[:steps]:
        left.step(np.stack((chosen, chosen)))
    state = left.state(1)
    gone_on.reset([77])
    gone_on.resume(0, state)
    for chosen in actions[steps:]:
        if state["ended"].any():
            break
        one, other = left.step(np.stack((chosen, chosen))), gone_on.step(chosen[None])
        for theirs, ours in zip(one, other, strict=True):
            np.testing.assert_array_equal(theirs[1], ours[0])
        state = left.state(1)
        assert all(np.array_equal(state[name], array) for name, array in gone_on.state(0).items())


def test_what_begins_later_is_of_the_new_seed() -> None:
    spec = resolve("CartPole-v1")
    begun = []
    for seed in (77, 78):
        population = make_population(spec, 1, COPIES)
        assert population is not None
        population.reset([1])
        for _ in range(6):
            population.step(np.zeros((1, COPIES), int))
        state = population.state(0)
        population.reset([seed])
        population.resume(0, state)
        begun.append([population.step(np.zeros((1, COPIES), int))[0] for _ in range(30)])
    np.testing.assert_array_equal(begun[0][0], begun[1][0])
    assert not np.array_equal(begun[0][-1], begun[1][-1])


def atari(game: str) -> Resumes:
    spec = resumable_form(resolve(game))
    assert spec is not None
    env = make_vector(spec, COPIES)
    assert isinstance(env, Resumes)
    return env


def test_only_atari_has_a_form_of_its_own_for_resuming() -> None:
    for name in ("Pacman", "CartPole-v1"):
        assert resumable_form(resolve(name)) == resolve(name)
    assert resumable_form(resolve("FrozenLake-v1")) is None


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize("steps", [0, 1, 60])
@pytest.mark.parametrize("game", ["Pacman", "MsPacman"])
def test_atari_goes_on_here_and_elsewhere(game: str, steps: int, elsewhere: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere the emulators' own states are not known, and the frames are played again."""
    monkeypatch.setattr(emulators, "_left", {})
    actions = actions_of(game, steps + 40)
    left, gone_on = atari(game), atari(game)
    left.reset(seed=5)  # type: ignore[attr-defined]
    for chosen in actions[:steps]:
        left.step(chosen)  # type: ignore[attr-defined]
    state = left.state()
    assert len(emulators._left) == COPIES
    if elsewhere:
        emulators._left.clear()
    gone_on.reset(seed=9)  # type: ignore[attr-defined]
    gone_on.resume(state)
    for env in (left, gone_on):  # from now on, the same chance
        for number, game in enumerate(env._games):  # type: ignore[attr-defined]
            game.generator = np.random.default_rng(number)
    for chosen in actions[steps:]:
        for one, other in zip(left.step(chosen)[:4], gone_on.step(chosen)[:4], strict=True):  # type: ignore[attr-defined]
            np.testing.assert_array_equal(one, other)


def test_no_more_emulators_are_remembered_than_is_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulators, "_left", {})
    monkeypatch.setattr(emulators, "MOST_LEFT", 4)
    env = atari("Pacman")
    for seed in range(4):
        env.reset(seed=seed)  # type: ignore[attr-defined]
        env.state()
    assert len(emulators._left) <= 4


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda state: state | {"played": state["played"] + 200}, "cannot have been played"),
        (
            lambda state: state | {"played": np.zeros((COPIES, 20_000), np.uint8), "frames": np.full(COPIES, 20_000)},
            "cannot have",
        ),
        (lambda state: state | {"frames": state["frames"] - 10_000}, "frames long"),
        (lambda state: state | {"frames": state["frames"] + 10_000}, "frames long"),
        (lambda state: state | {"shown": state["shown"][:, :2]}, "shown is"),
        (lambda state: state | {"ended": state["ended"].astype(float)}, "ended is"),
        (lambda state: {name: array for name, array in state.items() if name != "played"}, "and not"),
        (lambda state: state | {"played": state["played"][:2]}, "played is"),
    ],
)
def test_what_is_no_state_of_pacman_is_refused(spoil, says: str) -> None:  # type: ignore[no-untyped-def]
    env = atari("Pacman")
    env.reset(seed=1)  # type: ignore[attr-defined]
    for chosen in actions_of("Pacman", 5):
        env.step(chosen)  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=says):
        env.resume(spoil(env.state()))


def test_what_is_no_state_of_a_population_is_refused() -> None:
    population = make_population(resolve("Acrobot-v1"), 2, COPIES)
    assert population is not None
    population.reset([1, 2])
    state = population.state(0)
    for wrong in ({**state, "states": state["states"][:1]}, {**state, "more": state["steps"]}, {"states": state["states"]}):
        with pytest.raises(ValueError, match=r"it has|states is"):
            population.resume(0, wrong)
