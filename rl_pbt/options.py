"""Frozen dataclasses of options: described once, by their fields, and built from plain values that are checked.

The same description serves a dict (a manifest, a TOML file, keywords of the Python API) and the words of the command line. Fields
are of type `int`, `float`, `str`, `bool`, a `Literal` of words, one of these or None, `tuple[one of them, ...]`, or `Mapping`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, field, fields
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from rl_pbt.errors import BadSetting, near_names
from rl_pbt.records import JSON

T = TypeVar("T")
IN_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}


def option(default: Any = MISSING, *, help: str, factory: Any = MISSING, flag: bool = True, trains: bool = True) -> Any:
    """A field with the one line that the command line's help shows of it; without `flag` the command line has no such option.

    Not `trains` are options that change how a training is judged or where it runs, and not the training.
    """
    return field(default=default, default_factory=factory, metadata={"help": help, "flag": flag, "trains": trains})


def types_of(cls: type) -> dict[str, Any]:
    """Field name -> type, in the order of the fields."""
    hints = get_type_hints(cls)
    return {one.name: hints[one.name] for one in fields(cls)}


def fields_of(cls: type) -> dict[str, Field[Any]]:
    """Field name -> field, with its default and what `option` said of it."""
    return {one.name: one for one in fields(cls)}


def built(cls: type[T], values: Mapping[str, Any]) -> T:
    """An instance of a dataclass from plain values. Raises BadSetting for an unknown name, a missing or a wrong value."""
    kinds = types_of(cls)
    for name in values:
        if name not in kinds:
            raise BadSetting(name, f"is no setting here: {near_names(name, kinds)}")
    for name, one in fields_of(cls).items():
        if name not in values and one.default is MISSING and one.default_factory is MISSING:
            raise BadSetting(name, f"is missing: say {in_words(kinds[name])}")
    return cls(**{name: checked(name, value, kinds[name]) for name, value in values.items()})


def plain(instance: Any) -> dict[str, JSON]:
    """The fields of a dataclass as JSON has them; `built` reads it."""
    return {name: _as_json(getattr(instance, name)) for name in fields_of(type(instance))}


def _as_json(value: Any) -> JSON:
    if isinstance(value, Mapping):
        return {name: _as_json(entry) for name, entry in value.items()}
    if isinstance(value, tuple | list):
        return [_as_json(entry) for entry in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{value!r} is not plain JSON")


def checked(name: str, value: Any, kind: Any) -> Any:
    """`value` as a field of that type holds it. Raises BadSetting."""
    alternatives = get_args(kind)
    if value is None and NoneType in alternatives:
        return None
    if get_origin(kind) is Literal:
        if value not in alternatives:
            raise BadSetting(name, f"cannot be {value!r}: {near_names(str(value), map(str, alternatives))}")
        return value
    if get_origin(kind) is tuple:
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise BadSetting(name, f"must be {in_words(kind)}, but is {value!r}")
        return tuple(checked(name, entry, alternatives[0]) for entry in value)
    plain_kind = _without_none(kind)
    if (get_origin(plain_kind) or plain_kind) is Mapping:
        return _checked_mapping(name, value)
    if plain_kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if plain_kind in IN_WORDS and (not isinstance(value, plain_kind) or (isinstance(value, bool) and plain_kind is not bool)):
        raise BadSetting(name, f"must be {in_words(kind)}, but is {value!r}")
    return value


def _checked_mapping(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise BadSetting(name, f"must map names to values, but is {value!r}")
    return dict(value)


def read(name: str, text: str, kind: Any) -> Any:
    """A value of that type from a word of the command line. Raises BadSetting."""
    alternatives = get_args(kind)
    if text == "none" and NoneType in alternatives:
        return None
    if get_origin(kind) is tuple:
        return tuple(read(name, word, alternatives[0]) for word in text.split(","))
    if get_origin(kind) is Literal:
        return checked(name, text, kind)
    try:
        plain_kind = _without_none(kind)
        return {"true": True, "false": False}[text] if plain_kind is bool else plain_kind(text)
    except (ValueError, KeyError):
        raise BadSetting(name, f"must be {in_words(kind)}, but is {text!r}") from None


def _without_none(kind: Any) -> Any:
    """`int` of `int | None`."""
    others = [one for one in get_args(kind) if one is not NoneType]
    return others[0] if NoneType in get_args(kind) and len(others) == 1 else kind


def in_words(kind: Any) -> str:
    """What a value of that type is, for an error message."""
    alternatives = get_args(kind)
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, alternatives))}"
    if get_origin(kind) is tuple:
        return f"a list, each {in_words(alternatives[0])}"
    if (get_origin(_without_none(kind)) or kind) is Mapping:
        return "names with values"
    words = IN_WORDS.get(_without_none(kind), "a value")
    return f"{words} or none" if NoneType in alternatives else words
