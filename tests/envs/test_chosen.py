"""What a user sets of an environment is what is made, is recorded, and can be made again from the record."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from rl_pbt.envs import EnvironmentUnavailable, WrongOption, chosen_of, make_population, make_vector, resolve
from rl_pbt.envs.aliases import Options


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("LunarLander-v3", {"continuous": True, "gravity": -5.0}),
        ("CartPole-v1", {"sutton_barto_reward": True, "max_episode_steps": 50}),
        ("CartPole-v1", {"frame_stack": 3}),
        ("Pendulum-v1", {"g": 5.0, "frame_stack": 2}),
        ("MinAtar/Breakout-v1", {"sticky_action_prob": 0.5, "frame_stack": 2}),
        ("MiniGrid-DoorKey-5x5-v0", {"max_steps": 50}),
        ("Pacman", {"stack_num": 2, "noop_max": 0}),
        ("Pacman", {"full_action_space": True, "use_fire_reset": True}),
        ("MsPacman", {"full_action_space": True, "repeat_action_probability": 0}),
    ],
)
def test_a_record_makes_the_same_again(name: str, options: Options) -> None:
    pytest.importorskip({"L": "Box2D", "M": "minatar"}.get(name[0], "numpy"))
    spec, plain = resolve(name, options=options), resolve(name)
    assert spec != plain and resolve(name, options=chosen_of(spec.options)) == spec
    assert chosen_of(spec.options).items() >= options.items()
    assert resolve(name, options=chosen_of(plain.options)) == plain
    env = make_vector(spec, 2)
    first, _ = env.reset(seed=0)
    assert first.shape == (2, *(env.single_observation_space.shape or ()))
    env.close()


@pytest.mark.parametrize(
    "name",
    [
        *("Pacman", "Pong", "CartPole-v1", "FrozenLake-v1", "LunarLander-v3", "HalfCheetah-v5", "MinAtar/Breakout-v1"),
        *("MiniGrid-DoorKey-5x5-v0", "VizdoomBasic-v1", "SMAX/3m-v0", "probe/Discount"),
    ],
)
def test_what_nobody_chose_can_be_chosen_again(name: str) -> None:
    try:
        plain = resolve(name)
    except EnvironmentUnavailable as error:
        pytest.skip(str(error))
    assert resolve(name, options=chosen_of(plain.options)) == plain


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("SMAX/3m-v0", "map_name"),
        ("MinAtar/Breakout-v1", "game"),
        ("VizdoomBasic-v1", "scenario_config_file"),
    ],
)
def test_an_id_is_not_made_another_environment(name: str, argument: str) -> None:
    try:
        spec = resolve(name)
    except EnvironmentUnavailable as error:
        pytest.skip(str(error))
    assert argument in gymnasium.registry[spec.id].kwargs, "what the package's ids stand for"
    with pytest.raises(WrongOption, match=f"cannot set {argument}: {name} stands for one"):
        resolve(name, options={argument: "8m"})


def test_arguments_reach_the_constructor() -> None:
    pytest.importorskip("Box2D")
    env = make_vector(resolve("LunarLander-v3", options={"continuous": True}), 1)
    assert isinstance(env.single_action_space, gymnasium.spaces.Box)
    env.close()


@pytest.mark.parametrize("name", ["CartPole-v1", "Acrobot-v1"])
def test_a_time_limit_is_kept_and_known(name: str) -> None:
    spec = resolve(name, options={"max_episode_steps": 4})
    assert spec.max_episode_frames == 4 and make_population(spec, 1, 1) is None and not spec.resumable
    env = make_vector(spec, 1)
    env.reset(seed=0)
    assert [bool(env.step(np.zeros(1, int))[3][0]) for _ in range(4)] == [False, False, False, True]
    env.close()


@pytest.mark.parametrize("name", ["CartPole-v1", "MinAtar/Breakout-v1", "MsPacman"])
def test_a_stack_holds_the_last_observations_and_nothing_of_the_episode_before(name: str) -> None:
    pytest.importorskip({"MinAtar/Breakout-v1": "minatar"}.get(name, "numpy"))
    limit: Options = {} if name == "MsPacman" else {"max_episode_steps": 5}
    stacked = make_vector(resolve(name, options={**limit, "frame_stack": 3}), 1)
    single = make_vector(resolve(name, options={**limit, "frame_stack": 1}), 1)
    seen = [single.reset(seed=1)[0].squeeze()]
    shown = stacked.reset(seed=1)[0].reshape(3, *seen[0].shape)
    assert np.array_equal(shown[-1], seen[0]) and not shown[:-1].any()
    ended = False
    for _ in range(12):
        observation, *_, terminated, truncated, _ = single.step(np.zeros(1, int))
        shown = stacked.step(np.zeros(1, int))[0].reshape(3, *seen[0].shape)
        seen = [observation.squeeze()] if ended else [*seen, observation.squeeze()]
        ended = bool(terminated[0] or truncated[0])
        last = [np.zeros_like(seen[0])] * (3 - len(seen)) + seen[-3:]
        np.testing.assert_array_equal(shown, np.stack(last))
    stacked.close()
    single.close()


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("LunarLander-v3", {"contnuous": True}, "did you mean 'continuous'"),
        ("CartPole-v1", {"anything": 1}, "it takes sutton_barto_reward, max_episode_steps, frame_stack"),
        ("CartPole-v1", {"max_episode_steps": 0}, "a whole number, 1 or more"),
        ("CartPole-v1", {"frame_stack": True}, "a whole number, 1 or more"),
        ("CartPole-v1", {"frame_stack": "x"}, "a whole number, 1 or more"),
        ("MsPacman", {"game": "pong"}, "cannot set 'game' of ms_pacman: what can be set is stack_num, "),
        ("MsPacman", {"repeat_action_probability": 2.0}, "from 0 to 1"),
        ("MsPacman", {"noop_max": 1.5}, "must be like 30"),
    ],
)
def test_what_an_environment_does_not_have_is_one_line(name: str, options: Options, says: str) -> None:
    with pytest.raises(WrongOption, match=says) as error:
        resolve(name, options=options)
    assert "\n" not in str(error.value)


def test_another_backend_takes_none() -> None:
    pytest.importorskip("envpool")
    with pytest.raises(WrongOption, match="backend envpool"):
        resolve("CartPole-v1", backend="envpool", options={"max_episode_steps": 5})
