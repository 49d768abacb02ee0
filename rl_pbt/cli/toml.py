"""Settings as TOML: read for `--config`, and written from a run, so that it can be repeated or varied."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from rl_pbt.config import RunConfig
from rl_pbt.errors import UserError
from rl_pbt.making import OWN


def read_toml(path: Path) -> dict[str, Any]:
    """The settings of a file. Raises UserError if it cannot be read or is not TOML, naming the line."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not TOML: {error}") from None


def toml_of(config: RunConfig) -> str:
    """A configuration as one flat list of settings, which `making.configure` turns into the same configuration."""
    flat = {name: value for name, value in config.to_json().items() if name not in OWN}
    held = {name: value for name, value in config.hypers.items() if name not in config.search}
    flat["search"] = {**config.search, **held}
    flat["hypers"] = {name: value for name, value in config.hypers.items() if name in config.search}
    flat |= {**config.task_options, **config.method_options}
    return tomli_w.dumps({name: _without_none(value) for name, value in _tables_last(flat) if value is not None})


def _tables_last(flat: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return sorted(flat.items(), key=lambda entry: isinstance(entry[1], Mapping))


def _without_none(value: Any) -> Any:
    """The value without None, which TOML lacks; what is left out gets its default."""
    if isinstance(value, Mapping):
        return {name: _without_none(entry) for name, entry in value.items() if entry is not None}
    return [_without_none(entry) for entry in value if entry is not None] if isinstance(value, list) else value
