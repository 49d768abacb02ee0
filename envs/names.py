"""From what people type to registered ids: exact, then without case and separators, then suggestions."""

from __future__ import annotations

import re
from difflib import get_close_matches

import gymnasium
from gymnasium.envs.registration import EnvSpec as GymnasiumSpec

from rl_pbt.envs.families import FAMILIES, family_of
from rl_pbt.envs.spec import UnknownEnvironment

LEFT_OUT = frozenset(family.namespace for family in FAMILIES.values() if family.namespace is not None)


def plain(name: str) -> str:
    """A name in lower case, with letters and digits only."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def registered_id(name: str, family: str | None = None) -> str:
    """The one id that `name` stands for. `family`, if the name looks like one of that family, narrows down the suggestions.

    Raises UnknownEnvironment for no match or several.
    """
    if name in gymnasium.registry:
        return name
    found = matches(name)
    if len(found) == 1:
        return found[0]
    if found:
        raise UnknownEnvironment(f"{name!r} could be any of {', '.join(found)}: write one of these")
    raise UnknownEnvironment(f"unknown environment {name!r}: {_hint(name, family)}")


def matches(name: str) -> list[str]:
    """The ids that a name may mean, the newest version of each environment."""
    specs = [spec for spec in gymnasium.registry.values() if plain(name) in _spellings(spec)]
    newest: dict[tuple[str | None, str], GymnasiumSpec] = {}
    for spec in sorted(specs, key=lambda spec: -1 if spec.version is None else spec.version):
        newest[spec.namespace, spec.name] = spec
    return sorted(spec.id for spec in newest.values())


def _spellings(spec: GymnasiumSpec) -> set[str]:
    """What may be typed for an environment, in plain form: a version, and a namespace in LEFT_OUT, may be left out."""
    version = f"v{spec.version}" if spec.version is not None else ""
    if _is_old(spec):
        return {plain(spec.id)}  # it must be typed in full
    stems = {plain(f"{spec.namespace or ''}{spec.name}")}
    if spec.namespace in LEFT_OUT:
        stems.add(plain(spec.name))
    return {stem + suffix for stem in stems for suffix in ("", version)}


def _is_old(spec: GymnasiumSpec) -> bool:
    """Whether an id lacks the namespace that the others of its family have."""
    return spec.namespace is None and FAMILIES[family_of(spec)].namespace is not None


def _hint(name: str, family: str | None) -> str:
    """Suggestions, from plain names without version: `Pacmann` finds `ALE/Pacman-v5`, and `CartPol` finds `CartPole-v1`."""
    stem = re.sub(r"(deterministic|noframeskip)?(-v\d+)?$", "", name.lower())
    known: dict[str, str] = {}
    for spec in sorted(gymnasium.registry.values(), key=lambda spec: spec.version or 0):
        if family is not None:
            if family_of(spec) == family:
                known[plain(f"{spec.namespace or ''}{spec.name}")] = spec.id
        elif spec.namespace in (None, "probe", *LEFT_OUT) and not _is_old(spec):
            known[plain(spec.name)] = spec.id
    stem = plain(stem if family is not None else stem.rsplit("/", maxsplit=1)[-1])
    near = get_close_matches(stem, list(known), n=3, cutoff=0.6)
    return (
        f"did you mean {' or '.join(known[word] for word in near)}?"
        if near
        else "write Pacman, CartPole-v1 or MinAtar/Breakout-v1, for instance, or module:Id"
    )
