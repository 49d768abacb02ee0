"""From what people type to exactly one environment, fully specified."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import ale_py
import gymnasium
from gymnasium import error as gymnasium_error
from gymnasium.envs.registration import EnvSpec as GymnasiumSpec
from gymnasium.vector import AutoresetMode, VectorEnv

from envs import atari, probes

__all__ = ["EnvSpec", "EnvironmentUnavailable", "UnknownEnvironment", "make_vector", "resolve"]

FAMILIES = ("atari", "gymnasium", "probe")

gymnasium.register_envs(ale_py)
gymnasium.register_envs(probes)


class UnknownEnvironment(ValueError):
    """A name that stands for no environment, or for none in particular; one line with the nearest ones."""


class EnvironmentUnavailable(RuntimeError):
    """A known environment that cannot be made here; one line that says why and what to install."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvSpec:
    """One environment. `frame_skip` is emulator frames in an agent step; `options` is what is set, in plain JSON types.

    Outside Atari a frame is a step, and `max_episode_frames` is Gymnasium's `max_episode_steps`.
    """

    id: str
    family: str  # one of FAMILIES
    frame_skip: int = 1
    max_episode_frames: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise ValueError(f"{self.id}: no family {self.family!r}, only {', '.join(FAMILIES)}")
        if self.frame_skip < 1:
            raise ValueError(f"{self.id}: frame_skip is {self.frame_skip}, not positive")

    @property
    def copies_are_independent(self) -> bool:
        """Whether copy i of a vector environment reset with seed s plays as one copy alone reset with seed s + i.

        True of Atari and of Gymnasium's sync vector environment; vector environments of the NumPy kind have one random
        stream for all copies.
        """
        return self.options.get("vectorization_mode") != "vector_entry_point"

    @property
    def reusable(self) -> bool:
        """Whether a seeded reset leaves nothing of what was played before. True of Atari, which then loads its ROM anew;
        of others nobody can know.
        """
        return self.family == "atari"


def resolve(name: str) -> EnvSpec:
    """`Pacman`, `ms_pacman`, `ALE/Pong-v5`, `CartPole-v1`, `cartpole`, `probe/Discount` or `module:Id`.

    An exact id is itself. Otherwise case and separators do not matter, and no version means the newest one.
    Raises UnknownEnvironment.
    """
    module, colon, id_ = name.rpartition(":")
    if colon:
        return _from_module(module, id_)
    if name in gymnasium.registry:
        return _registered(name)
    found = _found(name)
    if len(found) == 1:
        return _registered(found[0])
    if found:
        raise UnknownEnvironment(f"{name!r} could be any of {', '.join(found)}: write one of these")
    raise UnknownEnvironment(f"unknown environment {name!r}: {_hint(name)}")


def make_vector(spec: EnvSpec, num_envs: int, *, threads: int = 1) -> VectorEnv[Any, Any, Any]:
    """`num_envs` copies: NEXT_STEP autoreset, true rewards, observations that the caller owns.

    `reset(seed=s)` seeds everything. `threads` is for Atari's C++ threads. Raises EnvironmentUnavailable where a dependency
    is absent.
    """
    if spec.family == "atari":
        return atari.make(dict(spec.options), num_envs, threads)
    try:
        env = gymnasium.make_vec(spec.id, num_envs, vectorization_mode=str(spec.options["vectorization_mode"]))
    except gymnasium_error.UnregisteredEnv:
        raise EnvironmentUnavailable(
            f"{spec.id} is not registered in this process: name it module:{spec.id}, after the module that registers it"
        ) from None
    except (gymnasium_error.DependencyNotInstalled, ImportError) as error:
        raise EnvironmentUnavailable(f"{spec.id} cannot be made here: {_what_to_install(error)}") from error
    if env.metadata.get("autoreset_mode") is not AutoresetMode.NEXT_STEP:
        env.close()
        raise EnvironmentUnavailable(f"{spec.id} has a vector environment that does not declare NEXT_STEP autoreset")
    return env


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _is_atari(spec: GymnasiumSpec) -> bool:
    return str(spec.entry_point).startswith("ale_py")


def _spellings(spec: GymnasiumSpec) -> set[str]:
    """What may be typed for an environment, in plain form: version and `ALE/` may be left out, other namespaces not."""
    version = f"v{spec.version}" if spec.version is not None else ""
    if spec.namespace is None and _is_atari(spec):
        return {_plain(spec.id)}  # of an old Atari id, all of it
    stems = {_plain(f"{spec.namespace or ''}{spec.name}")}
    if spec.namespace == "ALE":
        stems.add(_plain(spec.name))
    return {stem + suffix for stem in stems for suffix in ("", version)}


def _found(name: str) -> list[str]:
    """The ids that a name may mean, of each environment the newest."""
    matches = [spec for spec in gymnasium.registry.values() if _plain(name) in _spellings(spec)]
    newest: dict[tuple[str | None, str], GymnasiumSpec] = {}
    for spec in sorted(matches, key=lambda spec: -1 if spec.version is None else spec.version):
        newest[spec.namespace, spec.name] = spec
    return sorted(spec.id for spec in newest.values())


def _registered(id_: str) -> EnvSpec:
    spec = gymnasium.registry[id_]
    if not _is_atari(spec):
        return _gymnasium_spec(id_, spec)
    game = str(spec.kwargs["game"])
    if spec.namespace == "ALE":
        return _atari_spec(id_, game)
    modern = next(s.id for s in gymnasium.registry.values() if s.namespace == "ALE" and s.kwargs["game"] == game)
    raise UnknownEnvironment(
        f"{id_} is an old id with another frame skip or no sticky actions, so its scores do not compare: use {modern}"
    )


def _atari_spec(id_: str, game: str) -> EnvSpec:
    return EnvSpec(
        id=id_,
        family="atari",
        frame_skip=atari.FRAME_SKIP,
        max_episode_frames=atari.EPISODE_FRAMES,
        options=atari.options_of(game),
    )


def _gymnasium_spec(id_: str, spec: GymnasiumSpec) -> EnvSpec:
    # CartPole's NumPy vector environment is 9x the sync one; JAX's (phys2d) is untried. The choice rests on
    # the id, not on what is installed, since the two kinds draw different random numbers.
    vectorised = spec.vector_entry_point is not None and spec.namespace != "phys2d" and not spec.additional_wrappers
    return EnvSpec(
        id=id_,
        family="probe" if spec.namespace == "probe" else "gymnasium",
        max_episode_frames=spec.max_episode_steps,
        options={
            "vectorization_mode": "vector_entry_point" if vectorised else "sync",
            "registered_kwargs": {key: _as_json(value) for key, value in spec.kwargs.items()},
        },
    )


def _as_json(value: Any) -> Any:
    """For the record only: what JSON cannot hold is described. Gymnasium itself applies the registered arguments."""
    try:
        return json.loads(json.dumps(value))
    except (TypeError, ValueError):
        return repr(value)


def _from_module(module: str, id_: str) -> EnvSpec:
    if not re.fullmatch(r"\w+(\.\w+)*", module):
        raise UnknownEnvironment(f"{module!r} before the colon is not the name of a module")
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise UnknownEnvironment(f"cannot import {module!r} ({error}): install it, or set PYTHONPATH") from None
    if id_ not in gymnasium.registry:
        found = _found(id_)
        if len(found) != 1:
            near = get_close_matches(id_, list(gymnasium.registry), n=1, cutoff=0.4)
            hint = f"did you mean {near[0]!r}?" if near else "register it when the module is imported"
            raise UnknownEnvironment(f"{module!r} registers no environment {id_!r}: {hint}")
        id_ = found[0]
    spec = gymnasium.registry[id_]
    # `ale_py:ALE/Pong-v5` is Pong like any other: Gymnasium's own way would clip rewards.
    return _registered(id_) if _is_atari(spec) else _gymnasium_spec(f"{module}:{id_}", spec)


def _hint(name: str) -> str:
    """Compares plain names without version: `Pacmann` finds `ALE/Pacman-v5`, and `CartPol` finds `CartPole-v1`."""
    stem = re.sub(r"(deterministic|noframeskip)?(-v\d+)?$", "", name.lower().rsplit("/", maxsplit=1)[-1])
    known: dict[str, str] = {}
    for spec in sorted(gymnasium.registry.values(), key=lambda spec: spec.version or 0):
        if spec.namespace in ("ALE", "probe") or (spec.namespace is None and not _is_atari(spec)):
            known[_plain(spec.name)] = spec.id
    near = get_close_matches(_plain(stem), list(known), n=3, cutoff=0.6)
    return f"did you mean {' or '.join(known[word] for word in near)}?" if near else "see the names in the README"


def _what_to_install(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = error.name.partition(".")[0]
        return f"the package {package!r} is not installed (pip install {package})"
    return next(iter(str(error).splitlines()), type(error).__name__)
