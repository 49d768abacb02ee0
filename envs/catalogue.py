"""From what people type to exactly one environment, fully specified."""

from __future__ import annotations

import functools
import importlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches

import ale_py
import gymnasium
from gymnasium.envs.registration import EnvSpec as GymnasiumSpec

from rl_pbt.envs import names, probes
from rl_pbt.envs.aliases import Options, Vector
from rl_pbt.envs.backends import BACKENDS
from rl_pbt.envs.chosen import with_options
from rl_pbt.envs.families import FAMILIES, family_of, family_of_name, import_failure, register_ids, require
from rl_pbt.envs.population import Population
from rl_pbt.envs.spec import AS_ARRAYS, DEFAULT_BACKEND, EnvSpec, UnknownEnvironment, WrongOption

gymnasium.register_envs(ale_py)
gymnasium.register_envs(probes)


def resolve(name: str, *, backend: str = DEFAULT_BACKEND, options: Options | None = None) -> EnvSpec:
    """The environment that a name stands for: `Pacman`, `ms_pacman`, `ALE/Pong-v5`, `cartpole`, `probe/Discount` or `module:Id`.

    An exact id stands for itself. Otherwise case and separators do not matter, and a name without a version means the newest one.
    A package that registers its ids when imported is imported only if the name begins like one of those. `options` are a user's
    settings: arguments of the constructor, `max_episode_steps`, `frame_stack`; for Atari, `frame_stack` and `atari.SETTABLE`.

    Raises UnknownEnvironment, EnvironmentUnavailable where a package is not installed or the backend has no such environment,
    and WrongOption.
    """
    if backend not in BACKENDS:
        raise UnknownEnvironment(f"unknown backend {backend!r}: one of {', '.join(BACKENDS)}")
    module, colon, id_ = name.rpartition(":")
    spec = _from_module(module, id_) if colon else _from_name(name)
    if options and backend != DEFAULT_BACKEND:
        raise WrongOption(f"cannot be set with the backend {backend}: leave one of the two out")
    chosen = with_options(spec, options or {})
    chosen = replace(chosen, resumable=chosen.resumable or make_population(chosen, 1, 1) is not None)
    return BACKENDS[backend].spec_of(chosen)


def make_vector(spec: EnvSpec, num_envs: int, *, threads: int = 1) -> Vector:
    """`num_envs` copies with Box observations, which the caller owns, NEXT_STEP autoreset and true rewards.

    `reset(seed=s)` seeds everything. `threads` is the number of C++ threads of Atari and EnvPool. Raises
    EnvironmentUnavailable where a dependency is missing or observations have no fixed size.
    """
    return BACKENDS[spec.backend].make(spec, num_envs, threads)


def resumable_form(spec: EnvSpec) -> EnvSpec | None:
    """The same environment, stepped so that its episodes can be left and continued, even if that is slower; None if nothing can.

    What an episode shows and pays is the same in both.
    """
    if spec.resumable:
        return spec
    other = FAMILIES[spec.family].resumes_slower and spec.backend == DEFAULT_BACKEND
    return replace(spec, resumable=True) if other else None


def make_population(spec: EnvSpec, members: int, copies: int) -> Population | None:
    """All copies of all members in one object, which play as those of `make_vector` would; None where that is impossible."""
    return BACKENDS[spec.backend].make_population(spec, members, copies)


def _from_name(name: str) -> EnvSpec:
    family = family_of_name(name)
    if family is not None and name not in gymnasium.registry:
        register_ids(family, name)
    id_ = names.registered_id(name, family)
    return _spec_of(id_, gymnasium.registry[id_])


def _spec_of(id_: str, spec: GymnasiumSpec) -> EnvSpec:
    """What is registered as `spec`, under the id that makes it in any process."""
    name = family_of(spec)
    family = FAMILIES[name]
    if family.specify is not None:  # `ale_py:ALE/Pong-v5` is the same Pong as without a module: Gymnasium would clip rewards
        return family.specify(spec)
    require(name, id_)
    # CartPole's NumPy vector environment is 9 times as fast as the sync one; JAX's (phys2d) is untried. The choice depends on the
    # id, not on what is installed, since the two kinds draw different random numbers.
    vectorised = spec.vector_entry_point is not None and spec.namespace != "phys2d" and not spec.additional_wrappers
    return EnvSpec(
        id=id_,
        family=name,
        frame_skip=family.frame_skip,
        max_episode_frames=None if spec.max_episode_steps is None else spec.max_episode_steps * family.frame_skip,
        options={
            "backend": DEFAULT_BACKEND,
            "vectorization_mode": AS_ARRAYS if vectorised else family.vectorization_mode,
            "registered_kwargs": {key: _as_json(value) for key, value in spec.kwargs.items()},
            **family.options,
        },
    )


def _as_json(value: object) -> object:
    """A value for the record only: what JSON cannot hold is described, in the same way in every process.

    Gymnasium itself has the arguments.
    """
    try:
        found: object = json.loads(json.dumps(value, allow_nan=False))
        return found
    except (TypeError, ValueError):
        return _described(value)


def _described(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _as_json(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(entry) for entry in value]
    if isinstance(value, set | frozenset):
        return sorted(str(_as_json(entry)) for entry in value)
    if isinstance(value, functools.partial):
        return {"partial": _as_json(value.func), "args": _as_json(value.args), "keywords": _as_json(value.keywords)}
    name = getattr(value, "__qualname__", None)
    if isinstance(name, str):  # functions and classes, whose repr contains an address
        return f"{getattr(value, '__module__', None)}.{name}"
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


def _from_module(module: str, id_: str) -> EnvSpec:
    if not re.fullmatch(r"\w+(\.\w+)*", module):
        raise UnknownEnvironment(f"{module!r} before the colon is not the name of a module")
    try:
        importlib.import_module(module)
    except (Exception, SystemExit) as error:
        raise UnknownEnvironment(f"cannot import {module!r}: {import_failure(module, error)}") from error
    if id_ not in gymnasium.registry:
        found = names.matches(id_)
        if len(found) != 1:
            near = get_close_matches(id_, list(gymnasium.registry), n=1, cutoff=0.7)
            hint = f"did you mean {near[0]!r}?" if near else "register it when the module is imported"
            raise UnknownEnvironment(f"{module!r} registers no environment {id_!r}: {hint}")
        id_ = found[0]
    return _spec_of(f"{module}:{id_}", gymnasium.registry[id_])
