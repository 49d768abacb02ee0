"""Gymnasium's vector environments, with the family's wrapper, and with observations flattened to one array where necessary."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import gymnasium
from gymnasium import error as gymnasium_error
from gymnasium import spaces
from gymnasium.vector import AutoresetMode

from rl_pbt.envs.aliases import Env, Options, Space, UnknownEnv, Vector
from rl_pbt.envs.families import FAMILIES
from rl_pbt.envs.flattening import Flat, FlatVector
from rl_pbt.envs.guarding import Guarded, close_quietly
from rl_pbt.envs.spec import AS_ARRAYS, EnvironmentUnavailable, EnvSpec
from rl_pbt.envs.stacking import Stack


def make(spec: EnvSpec, num_envs: int, *, render_mode: str | None = None) -> Vector:
    """`num_envs` copies with Box observations and NEXT_STEP autoreset. Raises EnvironmentUnavailable."""
    try:
        env = flat(_made(spec, num_envs, {} if render_mode is None else {"render_mode": render_mode}), spec.id)
    except gymnasium_error.UnregisteredEnv:
        raise EnvironmentUnavailable(
            f"{spec.id} is not registered in this process: name it module:{spec.id}, after the module that registers it"
        ) from None
    except (gymnasium_error.DependencyNotInstalled, ImportError) as error:
        raise EnvironmentUnavailable(f"{spec.id} cannot be made here: {_reason(error)}") from error
    if env.metadata.get("autoreset_mode") is not AutoresetMode.NEXT_STEP:
        close_quietly(env)
        raise EnvironmentUnavailable(f"{spec.id} has a vector environment that does not declare NEXT_STEP autoreset")
    return env


def _made(spec: EnvSpec, num_envs: int, further: Options) -> Vector:
    mode = spec.vectorization_mode
    kwargs = {**spec.arguments, **further}
    if mode == AS_ARRAYS:
        return gymnasium.make_vec(spec.id, num_envs, vectorization_mode=mode, **kwargs)
    # Any: by its annotations Gymnasium wants functions that return wrappers, but it accepts any environment.
    wrappers: list[Callable[[UnknownEnv], Any]] = [functools.partial(_flat_copy, id_=spec.id), Guarded]
    wrap = FAMILIES[spec.family].wrap
    if wrap is not None:
        wrappers.insert(0, functools.partial(wrap, options=spec.options))
    if spec.frame_stack is not None:
        wrappers.append(functools.partial(Stack, depth=spec.frame_stack))
    # A process that is forked from one with threads may hang.
    vector_kwargs = {"context": "spawn"} if mode == "async" else None
    return gymnasium.make_vec(
        spec.id, num_envs, vectorization_mode=mode, vector_kwargs=vector_kwargs, wrappers=wrappers, **kwargs
    )


def flat(env: Vector, id_: str) -> Vector:
    """A vector environment whose observations are one array each. Raises EnvironmentUnavailable where that is impossible."""
    if isinstance(env.single_observation_space, spaces.Box):
        return env
    refuse_shapeless(env.single_observation_space, id_)
    return FlatVector(env)


def _flat_copy(env: UnknownEnv, id_: str) -> Env:
    """The same for a single environment; arrays of its copies are cheaper to batch than dictionaries."""
    if isinstance(env.observation_space, spaces.Box):
        return env
    refuse_shapeless(env.observation_space, id_)
    return Flat(env)


def refuse_shapeless(space: Space, id_: str) -> None:
    """Raise EnvironmentUnavailable where a space, or a part of it, does not have a fixed number of elements."""
    found = _shapeless(space, "")
    if found is not None:
        part, kind = found
        where = f"observations with a {kind} space in {part}" if part else f"{kind} observations"
        way_out = f"leave {part} out with FilterObservation" if part else "turn them into a Box with TransformObservation"
        raise EnvironmentUnavailable(
            f"{id_} has {where}, which have no fixed size: {way_out} (gymnasium.wrappers) and register the result"
        )


def _shapeless(space: Space, path: str) -> tuple[str, str] | None:
    """The path, such as `left.0`, and the kind of the first part of a space that has no fixed size; None if all parts have one.

    Gymnasium would flatten a text into the numbers of its letters, which mean nothing to a network.
    """
    if isinstance(space, (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)):
        return None
    if isinstance(space, spaces.Dict):
        parts = list(space.spaces.items())
    elif isinstance(space, (spaces.Tuple, spaces.OneOf)):
        parts = [(str(index), part) for index, part in enumerate(space.spaces)]
    else:
        return path, type(space).__name__
    found = (_shapeless(part, f"{path}.{name}".lstrip(".")) for name, part in parts)
    return next((where for where in found if where is not None), None)


def _reason(error: Exception) -> str:
    """One line on the error. The family's own packages have been checked before (`envs.families.require`)."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = error.name.partition(".")[0]
        return f"the package {package!r} is not installed: pip install {package}"
    return next(iter(str(error).splitlines()), type(error).__name__)
