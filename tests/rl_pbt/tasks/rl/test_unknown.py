"""Environments that no defaults know: what they are like decides, and whatever they do, it is not done here."""

from __future__ import annotations

import os
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from rl_pbt.envs import EnvSpec, resolve
from rl_pbt.making import configure, make_task
from rl_pbt.tasks.rl import unknown
from rl_pbt.tasks.rl.defaults import CONTINUOUS, CONTROL
from rl_pbt.tasks.rl.unknown import Nature, nature_of

MODULE = """
import os
import sys
import time

import gymnasium
import numpy as np
from gymnasium.envs.classic_control import PendulumEnv


class Pictures(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0, 255, (20, 20, 3), np.uint8)
    action_space = gymnasium.spaces.Box(-1, 1, (2,))

    def __init__(self, render_mode=None):
        print("loud", end="")


class Closing(PendulumEnv):
    def close(self):
        print("not an answer")
        time.sleep(600)


class Raising(PendulumEnv):
    def __init__(self, render_mode=None):
        raise RuntimeError("no")


class Leaving(PendulumEnv):
    def __init__(self, render_mode=None):
        sys.exit(0)


class Dying(PendulumEnv):
    def __init__(self, render_mode=None):
        os._exit(0)


class Hanging(PendulumEnv):
    def __init__(self, render_mode=None):
        time.sleep(600)


for cls in (Pictures, Closing, Raising, Leaving, Dying, Hanging):
    gymnasium.register(f"{cls.__name__}-v0", cls, max_episode_steps=200)
gymnasium.register("Swinging-v0", PendulumEnv, max_episode_steps=200)
gymnasium.register("Discrete-v0", "gymnasium.envs.classic_control:CartPoleEnv", max_episode_steps=200)
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of that code, on the path of this process alone."""
    (tmp_path / "nobodys_envs.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)


def spec_of(name: str) -> EnvSpec:
    return resolve(f"nobodys_envs:{name}-v0")


@pytest.mark.parametrize(
    ("name", "nature"),
    [
        ("Swinging", Nature(continuous=True)),
        ("Discrete", Nature()),
        ("Pictures", Nature(continuous=True, pictures=True)),
        ("Closing", Nature(continuous=True)),
        *((name, Nature()) for name in ("Raising", "Leaving", "Dying")),
    ],
)
def test_its_spaces_tell_and_nothing_else_is_waited_for(name: str, nature: Nature) -> None:
    assert nature_of(spec_of(name)) == nature


def test_a_constructor_that_hangs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unknown, "PATIENCE_S", 3.0)
    assert nature_of(spec_of("Hanging")) == Nature()


def test_what_only_this_process_has_registered_is_made_here() -> None:
    made: list[int] = []

    class Mine(gymnasium.Env[np.ndarray, np.ndarray]):
        observation_space = gymnasium.spaces.Box(-1, 1, (2,))
        action_space = gymnasium.spaces.Box(-1, 1, (2,))

        def __init__(self, render_mode: str | None = None) -> None:
            made.append(os.getpid())

    gymnasium.register("test/Mine-v0", entry_point=Mine)  # type: ignore[arg-type]
    try:
        assert nature_of(resolve("test/Mine-v0")) == Nature(continuous=True)
    finally:
        del gymnasium.registry["test/Mine-v0"]
    assert made == [os.getpid()]


@pytest.mark.parametrize("agent", ["a2c", "ppo"])
def test_continuous_actions_get_the_defaults_for_those(agent: str) -> None:
    swinging, pole = (configure({"env": f"nobodys_envs:{name}-v0", "agent": agent}) for name in ("Swinging", "Discrete"))
    for config, known in ((swinging, CONTINUOUS), (pole, CONTROL)):
        assert dict(config.search) == {**known.search, **known.learner(agent).search}
    assert swinging.task_options["agent_options"]["normalise_observations"]  # type: ignore[index]
    assert not pole.task_options["agent_options"]["normalise_observations"]  # type: ignore[index]
    assert configure({}, swinging) == swinging


def test_pictures_with_continuous_actions_make_an_agent() -> None:
    config = configure({"env": "nobodys_envs:Pictures-v0"})
    assert dict(config.search) == {**CONTINUOUS.search}
    assert make_task(config, workers=1)._new_agent([0]).healthy().all()
