"""Settings that `--config` reads, from a TOML file or from a run: so a run can be repeated or varied."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from rl_pbt.config import RunConfig
from rl_pbt.making import OWN
from rl_pbt.named_code import check_code
from rl_pbt.options import Settings, types_of, with_entries
from rl_pbt.recorded import manifest_of
from rl_pbt.search import METHODS
from rl_pbt.store.files import read_toml
from rl_pbt.store.run import RunFolder
from rl_pbt.tasks.registry import task_type


def settings_from(place: Path, given: Settings) -> dict[str, Any]:
    """The settings of a TOML file or, if it is a folder, of the run in it, for a command with the `given` settings over them.

    If other methods are given, options of methods that are not among them are left out, and so are comparisons of such methods.
    Raises UserError as `read_toml` does, and if a run names code that is not `given` too.
    """
    if not place.is_dir():
        return read_toml(place)[1]
    run = RunFolder(place)
    config = manifest_of(run).config
    check_code(given, config, run)
    settings = settings_of_run(config)
    if (methods := given.get("methods")) is None:
        return settings
    kept = {name for method in methods if method in METHODS for name in types_of(METHODS[method].options)}
    compared = {*(config.primary or "").split(":"), config.against or ""} - {""}
    dropped = {*config.method_options, *(() if compared <= {*methods} else ("primary", "against"))} - kept
    return {name: value for name, value in settings.items() if name not in dropped}


def toml_of(config: RunConfig) -> str:
    """A configuration as TOML, which `making.configure` turns into the same configuration."""
    return tomli_w.dumps(settings_of_run(config))


def settings_of_run(config: RunConfig) -> dict[str, Any]:
    """A configuration as one flat list of settings."""
    flat = {name: value for name, value in config.to_json().items() if name not in OWN}
    held = {name: value for name, value in config.hypers.items() if name not in config.search}
    flat["search"] = {**config.search, **held}
    flat["hypers"] = {name: value for name, value in config.hypers.items() if name in config.search}
    flat |= {**with_entries(task_type(config.task).options, config.task_options), **config.method_options}
    return {name: _without_none(value) for name, value in _tables_last(flat) if value is not None}


def _tables_last(flat: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return sorted(flat.items(), key=lambda entry: isinstance(entry[1], Mapping))


def _without_none(value: Any) -> Any:
    """The value without None, which TOML lacks; what is left out gets its default."""
    if isinstance(value, Mapping):
        return {name: _without_none(entry) for name, entry in value.items() if entry is not None}
    return [_without_none(entry) for entry in value if entry is not None] if isinstance(value, list) else value
