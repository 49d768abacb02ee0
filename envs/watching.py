"""One copy of an environment for a person to watch: the very episode that the agent plays, in colour and at full size."""

from __future__ import annotations

import warnings
from typing import Protocol, final

import numpy as np

from rl_pbt.envs import vector
from rl_pbt.envs.aliases import Array, Pixels, Vector
from rl_pbt.envs.backends import BACKENDS
from rl_pbt.envs.families import FAMILIES, register
from rl_pbt.envs.spec import DEFAULT_BACKEND, EnvironmentUnavailable, EnvSpec


class Watched(Protocol):
    """A vector environment with one copy, and pictures of it. Close it when done."""

    env: Vector
    pictures_per_s: float  # the rate that looks natural

    def reset(self, seed: int) -> Array:
        """The first observation, [1, *observation]."""
        ...

    def step(self, actions: Array) -> tuple[Array, Array, Array, Array]:
        """Observations, true rewards, terminated, truncated, each [1, ...]."""
        ...

    def picture(self) -> Pixels:
        """The current picture, [H, W, 3] uint8."""
        ...

    def close(self) -> None: ...


def watch(spec: EnvSpec) -> Watched:
    """An environment to watch. Raises EnvironmentUnavailable, also if it draws no pictures."""
    if not BACKENDS[spec.backend].draws:
        way_out = f"watch a run with the backend {DEFAULT_BACKEND}"
        raise EnvironmentUnavailable(f"{spec.id} of {spec.backend} draws no pictures: {way_out}")
    film = FAMILIES[spec.family].watch
    return _Rendered(spec) if film is None else film(spec)


@final
class _Rendered:
    """An environment that draws itself."""

    def __init__(self, spec: EnvSpec) -> None:
        register(spec.family, spec.id)
        blind = vector.make(spec, 1)
        blind.close()
        if "rgb_array" not in blind.metadata.get("render_modes", []):
            raise EnvironmentUnavailable(f"{spec.id} draws no pictures: it has no render mode 'rgb_array'")
        self.env = vector.make(spec, 1, render_mode="rgb_array")
        self.pictures_per_s = float(self.env.metadata.get("render_fps") or 30) / spec.frame_skip

    def reset(self, seed: int) -> Array:
        observations: Array = self.env.reset(seed=seed)[0]
        return observations

    def step(self, actions: Array) -> tuple[Array, Array, Array, Array]:
        return self.env.step(actions)[:4]

    def picture(self) -> Pixels:
        with warnings.catch_warnings(category=UserWarning, action="ignore"):
            # Gymnasium warns about colours from 0 to 1, and about a missing frame rate: both are handled here.
            pictures = self.env.render()
        assert pictures is not None
        picture = np.asarray(pictures[0])
        # MinAtar's colours range from 0 to 1.
        return (255 * picture).astype(np.uint8) if picture.dtype.kind == "f" else picture.astype(np.uint8)

    def close(self) -> None:
        self.env.close()
