"""Observations of any shape become one array, or one line says why they cannot."""

from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from rl_pbt.envs import EnvironmentUnavailable, make_vector, resolve

BOX = spaces.Box(-1, 1, (2, 3), np.float32)
FLATTENABLE = {
    "Box": BOX,
    "Discrete": spaces.Discrete(5, start=2),
    "MultiDiscrete": spaces.MultiDiscrete([3, 2]),
    "MultiBinary": spaces.MultiBinary(4),
    "Tuple": spaces.Tuple((spaces.Discrete(3), BOX)),
    "Dict": spaces.Dict({"where": BOX, "what": spaces.Tuple((spaces.Discrete(2), spaces.MultiBinary(3)))}),
}
SHAPELESS = {
    "Text": (spaces.Text(8), "Text observations"),
    "Graph": (spaces.Graph(BOX, None), "Graph observations"),
    "Sequence": (spaces.Sequence(BOX), "Sequence observations"),
    "Mission": (spaces.Dict({"image": BOX, "mission": spaces.Text(8)}), "with a Text space in mission"),
    "Deep": (spaces.Dict({"left": spaces.Tuple((BOX, spaces.Sequence(BOX)))}), "with a Sequence space in left.1"),
}


class Sampling(gymnasium.Env[Any, Any]):
    """Shows samples of a space."""

    action_space: Any = spaces.Discrete(2)

    def __init__(self, space: spaces.Space[Any]) -> None:
        self.observation_space = space

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return self.observation_space.sample(), 0.0, False, False, {}


class SamplingVector(VectorEnv[Any, Any, Any]):
    metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(self, num_envs: int, space: spaces.Space[Any], max_episode_steps: int | None = None) -> None:
        self.num_envs = num_envs
        self.single_observation_space, self.single_action_space = space, spaces.Discrete(2)
        self.observation_space = batch_space(space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, actions: Any) -> tuple[Any, ...]:
        return self.observation_space.sample(), np.zeros(self.num_envs), *np.zeros((2, self.num_envs), bool), {}


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    every = FLATTENABLE | {name: space for name, (space, _) in SHAPELESS.items()}
    for name, space in every.items():
        gymnasium.register(f"sampling/{name}-v0", entry_point=Sampling, kwargs={"space": space})
        gymnasium.register(f"sampling/{name}Vector-v0", vector_entry_point=SamplingVector, kwargs={"space": space})
    yield
    for id_ in [id_ for id_ in gymnasium.registry if id_.startswith("sampling/")]:
        del gymnasium.registry[id_]


@pytest.mark.parametrize("kind", ["", "Vector"])
@pytest.mark.parametrize("name", FLATTENABLE)
def test_observations_are_flattened_as_gymnasium_does(name: str, kind: str) -> None:
    env = make_vector(resolve(f"sampling/{name}{kind}-v0"), 3)
    space, flat = FLATTENABLE[name], env.single_observation_space
    assert flat == (BOX if name == "Box" else spaces.flatten_space(space)) and isinstance(flat, spaces.Box)
    assert getattr(flat, "original", BOX) == space, "what it was is remembered"
    first, _ = env.reset(seed=3)
    seen = [first, *(env.step(env.action_space.sample())[0] for _ in range(3))]
    env.close()
    assert all(env.observation_space.contains(shown) for shown in seen)
    assert not np.array_equal(first, seen[1]), "what was returned is not written to again"
    if kind == "" and name != "Box":
        space.seed(3)
        np.testing.assert_array_equal(first[0], spaces.flatten(space, space.sample()))


@pytest.mark.parametrize("kind", ["", "Vector"])
@pytest.mark.parametrize("name", SHAPELESS)
def test_observations_without_a_fixed_size_are_refused_in_one_line(name: str, kind: str) -> None:
    with pytest.raises(EnvironmentUnavailable) as error:
        make_vector(resolve(f"sampling/{name}{kind}-v0"), 3)
    said = str(error.value)
    assert said.startswith(f"sampling/{name}{kind}-v0 has") and SHAPELESS[name][1] in said and "\n" not in said
    assert "FilterObservation" in said if "space in" in said else "TransformObservation" in said


class Endless(VectorEnv[Any, Any, Any]):
    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012

    def __init__(self, num_envs: int) -> None:
        self.single_observation_space = BOX


def test_another_autoreset_is_refused() -> None:
    gymnasium.register("sampling/SameStep-v0", vector_entry_point=Endless)
    with pytest.raises(EnvironmentUnavailable, match="does not declare NEXT_STEP"):
        make_vector(resolve("sampling/SameStep-v0"), 3)
