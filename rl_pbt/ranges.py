"""A range to search, or a value to hold: what a user wrote for a hyperparameter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from rl_pbt.errors import BadSetting, UserError
from rl_pbt.space import SCALES, Dimension, is_range, lacks_scale, maker_of, range_or_value


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """A range that a user wrote, as a text with its scale and as the dimension that it describes."""

    text: str
    dimension: Dimension


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A value that a user wrote; the task knows whether it can be one."""

    value: object


def read_search(name: str, written: object, usual: str | None) -> Searched | Held:
    """What a user wrote for the hyperparameter `name`; a range without a scale, `1e-5:1e-2`, has that of its `usual` range.

    Raises BadSetting for a range that no hyperparameter can have.
    """
    if not is_range(written):
        return Held(value=range_or_value(written))
    text = _with_scale(written, usual)
    try:
        return Searched(text=text, dimension=maker_of(text)())
    except UserError as error:
        raise BadSetting("search", f"cannot use {name}: {error}") from None


def _with_scale(text: str, usual: str | None) -> str:
    scale = (usual or "").partition(":")[0]
    return f"{scale}:{text}" if scale in SCALES and lacks_scale(text) else text
