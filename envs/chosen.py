"""What a user sets for an environment: arguments of its constructor, its time limit, how many observations are stacked."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches

import gymnasium
from gymnasium.envs.registration import load_env_creator

from rl_pbt.envs.aliases import Options
from rl_pbt.envs.families import FAMILIES
from rl_pbt.envs.spec import ARGUMENTS, AS_ARRAYS, FRAME_STACK, EnvSpec, WrongOption

LIMIT = "max_episode_steps"
SETTABLE = (FRAME_STACK, *(name for family in FAMILIES.values() for name in family.settable))  # beside arguments
OURS = ("render_mode", "num_envs")  # arguments that are not the user's to set


def with_options(spec: EnvSpec, chosen: Options) -> EnvSpec:
    """The same environment with the user's choices, which are recorded in its options. Raises WrongOption."""
    if not chosen:
        return spec
    if (choose := FAMILIES[spec.family].choose) is not None:
        return choose(spec, chosen)
    arguments = {name: value for name, value in chosen.items() if name != FRAME_STACK}
    options = dict(spec.options)
    if FRAME_STACK in chosen:
        options[FRAME_STACK] = at_least(FRAME_STACK, chosen[FRAME_STACK], 1)
        if spec.vectorization_mode == AS_ARRAYS:
            options["vectorization_mode"] = "sync"  # observations are stacked for each copy by itself
    if arguments:
        _check_arguments(spec, arguments)
        options[ARGUMENTS] = {**spec.arguments, **arguments}
    longest = spec.max_episode_frames
    if LIMIT in arguments:
        longest = at_least(LIMIT, arguments[LIMIT], 1) * spec.frame_skip
    return replace(spec, options=options, max_episode_frames=longest)


def chosen_of(record: Options) -> Options:
    """The choices that lead to these recorded options again. Raises WrongOption where they cannot be those of an environment."""
    arguments = record.get(ARGUMENTS, {})
    if not isinstance(arguments, Mapping):
        raise WrongOption(f"cannot be used: {ARGUMENTS} must be names with values, but is {arguments!r:.100}")
    return {**arguments, **{name: record[name] for name in SETTABLE if name in record}}


def at_least(name: str, value: object, least: int) -> int:
    """`value`, if it is a whole number of `least` or more. Raises WrongOption otherwise."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise WrongOption(f"cannot be used: {name} must be a whole number, {least} or more, but is {value!r:.100}")
    return value


def _check_arguments(spec: EnvSpec, arguments: Mapping[str, object]) -> None:
    """Raises WrongOption for arguments that the constructor does not take; if its signature cannot be read, any are allowed."""
    known, usual = _parameters(spec), spec.arguments
    of_id = FAMILIES[spec.family].chosen_by_id
    for name, value in arguments.items():
        if name in usual and usual[name] == value:
            continue
        if spec.frame_skip != 1 and name in ("frame_skip", "frameskip"):
            raise WrongOption(f"cannot set {name}: it is {spec.frame_skip} for every environment of its family")
        if name in of_id:
            raise WrongOption(f"cannot set {name}: {spec.id} stands for one, so name another environment")
        if known is not None and name not in (*known, LIMIT):
            near = get_close_matches(name, [*known, LIMIT, FRAME_STACK], n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join([*known, LIMIT, FRAME_STACK])}"
            raise WrongOption(f"has no {name!r} for {spec.id}: {hint}")


def _parameters(spec: EnvSpec) -> list[str] | None:
    """The names of the constructor's arguments; None where it takes any, or where its signature cannot be read."""
    registered = gymnasium.registry[spec.id.rpartition(":")[2]]
    entry = registered.vector_entry_point if spec.vectorization_mode == AS_ARRAYS else registered.entry_point
    try:
        signature = inspect.signature(load_env_creator(entry) if isinstance(entry, str) else entry)  # type: ignore[arg-type]
    except (Exception, SystemExit):
        return None
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    if inspect.Parameter.VAR_KEYWORD in kinds:
        return None
    ours = (*OURS, LIMIT, *FAMILIES[spec.family].chosen_by_id)
    return [name for name in signature.parameters if name not in ours]
