"""From settings to one exact environment with its options."""

from __future__ import annotations

from collections.abc import Mapping

from rl_pbt.envs import (
    DEFAULT_BACKEND,
    EnvironmentUnavailable,
    EnvSpec,
    UnknownEnvironment,
    WrongOption,
    chosen_of,
    resolve,
)
from rl_pbt.envs.spec import ARGUMENTS, FRAME_STACK
from rl_pbt.errors import BadSetting, UserError
from rl_pbt.options import Settings, checked
from rl_pbt.tasks.on_environments.words import in_a_word, named


def resolved(settings: Settings) -> EnvSpec:
    """The exact environment that settings name, with the options that they set. Raises UserError, in one line.

    `env_options` may be what a user sets, or the record of an environment that was resolved before, or both.
    """
    if settings.get("env") is None:
        raise BadSetting("env", "is missing: say which environment, Pacman for instance")
    given = checked("env_options", settings.get("env_options", {}), Settings)
    try:
        bare = resolve(settings["env"], backend=settings.get("backend", DEFAULT_BACKEND))
        record = {name: value for name, value in given.items() if name in (*bare.options, ARGUMENTS, FRAME_STACK)}
        own = {name: value for name, value in given.items() if name not in record}
        spec = resolve(settings["env"], backend=bare.backend, options={**chosen_of(record), **own})
    except WrongOption as error:
        raise BadSetting("env_options", str(error)) from None
    except (UnknownEnvironment, EnvironmentUnavailable) as error:
        raise UserError(str(error)) from None
    for name, value in record.items():
        if spec.options.get(name, value) != value:
            raise BadSetting("env_options", f"cannot set {name}: it is {spec.options[name]!r} of {spec.id}")
    return spec


def in_words(settings: Settings) -> str:
    """The environment that settings name, with the options that were set: `LunarLander-v3 (continuous=true)`."""
    spec = resolved(settings)
    usual = chosen_of(resolved({**settings, "env_options": {}}).options)
    own = [f"{name}={in_a_word(value)}" for name, value in chosen_of(spec.options).items() if usual.get(name, ...) != value]
    return named(spec.id, spec.options, *own)


def environment_settings(given: Settings, before: Settings) -> Settings:
    """The environment's settings: those `given` over those of a resumed run, unless another environment is named."""
    said = {**before, **given}
    named: Settings = {name: said[name] for name in ("env", "backend") if name in said}
    own, recorded = (checked("env_options", settings.get("env_options", {}), Settings) for settings in (given, before))
    if resolved(named).id != before.get("env"):
        return {**named, "env_options": own}
    try:
        return {**named, "env_options": {**chosen_of(recorded), **own}}
    except WrongOption as error:
        raise BadSetting("env_options", str(error)) from None


def check_resumed(given: Settings, recorded: Settings | None, **now: object) -> None:
    """Raises BadSetting for a `given` setting that is `now` another than in the run that is resumed, if there is one.

    Call it before what follows from the setting is checked, since a complaint would then name something that nobody set.
    """
    for name, value in now.items():
        if name in given and recorded and name in recorded and value != (was := _chosen(name, recorded[name])):
            why = f"since in the run that is resumed it is {_in_words(was)}"
            raise BadSetting(name, f"cannot be {_in_words(value)}, {why}: start a new run, or leave the setting out")


def _chosen(name: str, value: object) -> object:
    return dict(chosen_of(value)) if name == "env_options" and isinstance(value, Mapping) else value


def _in_words(value: object) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{name}={in_a_word(entry)}" for name, entry in value.items()) or "none"
    return in_a_word(value)


def check_env(given: Settings) -> None:
    """Raises UserError if settings name an environment that is unknown or not available."""
    if given.get("env") is not None:
        resolved(given)
