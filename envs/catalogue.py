"""From what people type to exactly one environment, fully specified."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import ale_py
import gymnasium
from gymnasium import error as gymnasium_error
from gymnasium.envs.registration import EnvSpec as GymnasiumSpec

from envs import atari, probes

__all__ = ["EnvSpec", "EnvironmentUnavailable", "UnknownEnvironment", "make_vector", "resolve"]

gymnasium.register_envs(ale_py)
gymnasium.register_envs(probes)


class UnknownEnvironment(ValueError):
    """A name that stands for no environment, or for none in particular; one line with the nearest ones."""


class EnvironmentUnavailable(RuntimeError):
    """A known environment whose dependencies are absent; one line that says what to install."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvSpec:
    """One environment. `frame_skip` is emulator frames in an agent step; `options` is every option that is set, as plain JSON."""

    id: str
    family: str  # "atari", "gymnasium" or "probe"
    frame_skip: int = 1
    max_episode_frames: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


def resolve(name: str) -> EnvSpec:
    """`Pacman`, `ms_pacman`, `ALE/Pong-v5`, `CartPole-v1`, `cartpole`, `probe/Discount` or `module:Id`.

    Raises UnknownEnvironment.
    """
    module, colon, id_ = name.rpartition(":")
    if colon:
        return _gymnasium_spec(name, _import_and_find(module, id_))
    games = _games()
    if name in gymnasium.registry:
        return _registered(name, games)
    if game := games.get(_plain(name)):
        return _atari_spec(*game)
    if newest := _versionless(name):
        return _registered(newest, games)
    raise UnknownEnvironment(_unknown(name, [id_ for id_, _ in games.values()]))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _games() -> dict[str, tuple[str, str]]:
    """Every game ale_py registers: plain name -> (id, name in snake case)."""
    ids = [id_ for id_, spec in gymnasium.registry.items() if spec.namespace == "ALE"]
    return {_plain(gymnasium.registry[id_].name): (id_, str(gymnasium.registry[id_].kwargs["game"])) for id_ in sorted(ids)}


def _registered(id_: str, games: Mapping[str, tuple[str, str]]) -> EnvSpec:
    spec = gymnasium.registry[id_]
    game = spec.kwargs.get("game")
    if not str(spec.entry_point).startswith("ale_py"):
        return _gymnasium_spec(id_, spec)
    if spec.namespace == "ALE":
        return _atari_spec(id_, str(game))
    modern = next((ale_id for ale_id, name in games.values() if name == game), None)
    raise UnknownEnvironment(
        f"{id_} is an old id without sticky actions, whose scores do not compare with ours: use {modern or 'its ALE/ id'}"
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
    # JAX vector environments are left to those who ask for them by `module:Id`; CartPole's NumPy one is 9x the sync one.
    vectorised = spec.vector_entry_point is not None and spec.namespace != "phys2d"
    return EnvSpec(
        id=id_,
        family="probe" if spec.namespace == "probe" else "gymnasium",
        max_episode_frames=spec.max_episode_steps,
        options={"vectorization_mode": "vector_entry_point" if vectorised else "sync"},
    )


def _versionless(name: str) -> str | None:
    """`cartpole` -> the newest CartPole, `lunarlander-v3` -> LunarLander-v3."""
    by_name = {
        id_: spec
        for id_, spec in gymnasium.registry.items()
        if spec.namespace is None and not str(spec.entry_point).startswith("ale_py")
    }
    wanted = _plain(name)
    exact = [id_ for id_ in by_name if _plain(id_) == wanted]
    versions = [id_ for id_, spec in by_name.items() if _plain(spec.name) == wanted]
    newest = max(versions, key=lambda id_: by_name[id_].version or 0, default=None)
    return exact[0] if exact else newest


def _import_and_find(module: str, id_: str) -> GymnasiumSpec:
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise UnknownEnvironment(f"cannot import {module!r} ({error}): install it, or set PYTHONPATH") from None
    if id_ not in gymnasium.registry:
        near = get_close_matches(id_, list(gymnasium.registry), n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}?" if near else "register it when the module is imported"
        raise UnknownEnvironment(f"{module!r} registers no environment {id_!r}: {hint}")
    return gymnasium.registry[id_]


def _unknown(name: str, games: list[str]) -> str:
    """Compare plain names, so that `Pacmann` finds `ALE/Pacman-v5` and `CartPol` finds `CartPole-v1`."""
    others = (
        id_
        for id_, spec in gymnasium.registry.items()
        if spec.namespace in (None, "probe") and not str(spec.entry_point).startswith("ale_py")
    )
    ids = [*games, *others]
    plain = {_plain(gymnasium.registry[id_].name): id_ for id_ in sorted(ids)}
    near = get_close_matches(_plain(re.sub(r"-v\d+$", "", name.rsplit("/", maxsplit=1)[-1])), list(plain), n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(plain[word] for word in near)}?" if near else "see the names in the README"
    return f"unknown environment {name!r}: {hint}"


def make_vector(spec: EnvSpec, num_envs: int, *, threads: int = 1) -> gymnasium.vector.VectorEnv[Any, Any, Any]:
    """`num_envs` copies, NEXT_STEP autoreset, true rewards. `reset(seed=s)` seeds everything.

    Raises EnvironmentUnavailable where a dependency is absent. `threads` is for Atari's C++ threads.
    """
    if spec.family == "atari":
        return atari.make(dict(spec.options), num_envs, threads)
    try:
        return gymnasium.make_vec(spec.id, num_envs, vectorization_mode=str(spec.options["vectorization_mode"]))
    except (gymnasium_error.DependencyNotInstalled, ImportError) as error:
        first_line = str(error).splitlines()[0]
        raise EnvironmentUnavailable(f"{spec.id} needs a package that is not installed: {first_line}") from error
