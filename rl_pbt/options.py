"""Frozen dataclasses of options: described once, by their fields, and built from plain values that are checked.

The same description serves a dict (a manifest, a line of a ledger, a TOML file, keywords of the Python API) and the words of the
command line. A field's type is `int`, `float`, `str`, `bool`, a `Literal` of words, a union of these, possibly with None, a
`tuple[..., ...]` of one of them, a `Mapping`, or another such dataclass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from enum import StrEnum
from functools import cache
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, get_args, get_origin, get_type_hints, overload

from rl_pbt.errors import BadSetting, near_names
from rl_pbt.records import JSON

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")
Settings: TypeAlias = Mapping[str, Any]  # values by name; a dataclass declares their types, and `checked` enforces them
Kind: TypeAlias = object  # a declared type: int, tuple[str, ...], Literal["a", "b"]

IN_WORDS: Mapping[Kind, str] = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
READERS: Mapping[Kind, Callable[[str], object]] = {int: int, float: float, bool: {"true": True, "false": False}.__getitem__}

MAPPINGS = (Mapping, dict)
LARGEST = 2**53  # whole numbers up to here are exact as floats
_without_default: dict[type, tuple[str, ...]] = {}  # cache: the fields without a default, by dataclass
_types: dict[type, Mapping[str, Kind]] = {}  # cache, by dataclass: resolving type hints is slow


class Group(StrEnum):
    """The groups of options, in the order in which help shows them."""

    WHAT = "what to run"
    BUDGET = "budget"
    SEARCH = "PBT and other methods"
    AGENT = "agent and environment"
    OWN = "training of your own"
    TRANSLATION = "machine translation"
    MACHINE = "machine"
    OUTPUT = "output"


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What is said of an option where it is declared.

    `help` is the line that the command line shows; without `flag`, the command line lacks the option. What has no flag is found
    by the task and not set by users, unless it is `given` in another way. `group` is the group of the help, if not the usual one
    of the class, and `metavar` what the help calls a value, if its type does not tell. The default of an option that `varies`
    depends on what is trained.

    `trains` is False for options that change how a training is evaluated or where it runs, but not the training itself. An option
    `of_scores` decides what a score means, so scores with different ones are not compared. A `place` is the location of files
    whose digest is another option: a resumed run may have another location. `entries` returns, for all values of the dataclass,
    what a mapping's entries are if nothing is said: those that an older version did not have. An option `of_hypers` names
    hyperparameters, as keys or separated by commas, so they may have other names too.
    """

    help: str = ""
    flag: bool = True
    given: bool = False
    group: Group | None = None
    metavar: str | None = None
    varies: bool = False
    trains: bool = True
    of_scores: bool = False
    place: bool = False
    entries: Callable[[Settings], Settings] | None = None
    of_hypers: bool = False


UNSAID = About()  # of a field that `option` did not make
ABOUT = "about"  # the key in the metadata of a field


@overload
def option(*, help: str, factory: Callable[[], T], **about: Any) -> T: ...
@overload
def option(*, help: str, **about: Any) -> Any: ...
@overload
def option(default: T, *, help: str, **about: Any) -> T: ...
def option(default: object = MISSING, *, help: str, factory: Callable[[], object] | None = None, **about: Any) -> object:
    """A dataclass field, and what is said `about` it: the fields of `About`, by keyword."""
    metadata = {ABOUT: About(help=help, **about)}
    if factory is not None:
        return field(default_factory=factory, metadata=metadata)
    return field(default=default, metadata=metadata)


def about(one: Field[Any]) -> About:
    """What was said of a field where it was declared."""
    found: About = one.metadata.get(ABOUT, UNSAID)
    return found


def types_of(cls: type) -> Mapping[str, Kind]:
    """Field name -> type, in the order of the fields."""
    if cls not in _types:
        hints = get_type_hints(cls)
        _types[cls] = {one.name: hints[one.name] for one in fields(cls)}
    return _types[cls]


def places_of(cls: type) -> list[str]:
    """The names of the options that are locations of files."""
    return [one.name for one in fields(cls) if about(one).place]


def settable(cls: type) -> set[str]:
    """The names of the options that a user may set; the others are found by the task."""
    return {one.name for one in fields(cls) if about(one).flag or about(one).given}


def fields_of(cls: type) -> dict[str, Field[Any]]:
    """Field name -> field, with its default and what is said `about` it."""
    return {one.name: one for one in fields(cls)}


def built(cls: type[T], values: object) -> T:
    """An instance of a dataclass from plain values by name. Raises BadSetting for an unknown name, a missing or wrong value."""
    if not isinstance(values, Mapping):
        raise BadSetting(cls.__name__, f"must be names with values, but is {values!r:.100}")
    kinds = types_of(cls)
    for name in values:
        if name not in kinds:
            raise BadSetting(name, f"is not a setting here: {near_names(name, kinds)}")
    for name in _required(cls):
        if name not in values:
            raise BadSetting(name, f"is missing: say {in_words(kinds[name])}")
    return cls(**{name: _checker_of(kinds[name])(name, value) for name, value in values.items()})


def _required(cls: type) -> tuple[str, ...]:
    """The fields without a default."""
    if cls not in _without_default:
        missing = (MISSING, MISSING)
        _without_default[cls] = tuple(n for n, one in fields_of(cls).items() if (one.default, one.default_factory) == missing)
    return _without_default[cls]


def plain(instance: DataclassInstance) -> dict[str, JSON]:
    """The fields of a dataclass as plain JSON, which `built` reads."""
    return {name: as_json(getattr(instance, name)) for name in fields_of(type(instance))}


def with_entries(cls: type, values: Settings) -> Settings:
    """The values, with every entry of their mappings: an older version, whose record they may be, had fewer."""
    described = {name: about(one).entries for name, one in fields_of(cls).items()}
    usual = {name: entries_of(values) for name, entries_of in described.items() if entries_of is not None}
    return {
        **values,
        **{name: {**entries, **values.get(name, {})} for name, entries in usual.items() if _is_mapping(values, name)},
    }


def _is_mapping(values: Settings, name: str) -> bool:
    """Whether a value is missing or a mapping, as it should be: a record may come from anybody."""
    return isinstance(values.get(name, {}), Mapping)


def as_json(value: object) -> JSON:
    """A value as plain JSON: tuples become lists, and dataclasses objects.

    Raises TypeError for a value that JSON cannot represent.
    """
    if isinstance(value, Mapping):
        return {str(name): as_json(entry) for name, entry in value.items()}  # a seed is a number; JSON's names are text
    if isinstance(value, tuple | list):
        return [as_json(entry) for entry in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return plain(value)
    raise TypeError(f"{value!r} is not plain JSON")


def checked(name: str, value: object, kind: Kind) -> Any:
    """`value`, converted to the type `kind` of the field `name`. Raises BadSetting."""
    return _checker_of(kind)(name, value)


@cache  # a ledger has many values, and inspecting a type takes longer than checking a value
def _checker_of(kind: Kind) -> Callable[[str, object], Any]:
    """A function (field name, value) -> value of that type."""
    optional = NoneType in get_args(kind)
    of_others = _checker_of_others(kind)

    def check(name: str, value: object) -> Any:
        return None if value is None and optional else of_others(name, value)

    return check


def _checker_of_others(kind: Kind) -> Callable[[str, object], Any]:
    """The same for values other than None."""
    plain_kind, alternatives = _without_none(kind), get_args(kind)
    if get_origin(kind) is Literal:
        return lambda name, value: _checked_word(name, value, alternatives)
    if get_origin(kind) is tuple:
        return lambda name, value: _checked_list(name, value, kind)
    if (get_origin(plain_kind) or plain_kind) in MAPPINGS:
        return lambda name, value: _checked_mapping(name, value, *get_args(plain_kind)[1:])
    if isinstance(plain_kind, type) and is_dataclass(plain_kind):
        return lambda name, value: built(plain_kind, value)
    kinds = tuple(one for one in alternatives or (kind,) if one is not NoneType)
    types = tuple(one for one in kinds if isinstance(one, type) and one in IN_WORDS)
    if len(types) < len(kinds):  # declared as some other type: taken as it is
        return lambda name, value: value
    return lambda name, value: _checked_plain(name, value, kind, types)


def _checked_list(name: str, value: object, kind: Kind) -> tuple[Any, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise BadSetting(name, f"must be {in_words(kind)}, but is {value!r:.100}")
    check = _checker_of(get_args(kind)[0])
    return tuple(check(name, entry) for entry in value)


def _checked_word(name: str, value: object, words: Sequence[object]) -> object:
    if value not in words:
        raise BadSetting(name, f"cannot be {value!r:.100}: {near_names(str(value), map(str, words))}")
    return value


def _checked_mapping(name: str, value: object, kind: Kind = Any) -> Settings:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise BadSetting(name, f"must map names to values, but is {value!r:.100}")
    try:
        check = _checker_of(kind)
        return {key: check(key, entry) for key, entry in value.items()}
    except BadSetting as error:
        raise BadSetting(name, f"has a wrong value: {error}") from None


def _checked_plain(name: str, value: object, kind: Kind, types: tuple[type, ...]) -> object:
    """A value of a plain type, or of one of several; None is handled before."""
    if isinstance(value, bool) and bool not in types:  # a bool is an int
        raise BadSetting(name, f"must be {in_words(kind)}, but is {value!r}")
    if not isinstance(value, types) and not (float in types and isinstance(value, int)):
        raise BadSetting(name, f"must be {in_words(kind)}, but is {value!r:.100}")
    if isinstance(value, int) and abs(value) > LARGEST:
        raise BadSetting(name, f"must lie between -{LARGEST} and {LARGEST}")
    if isinstance(value, float) and not math.isfinite(value):
        raise BadSetting(name, f"must be a finite number, but is {value}")
    return float(value) if isinstance(value, int) and int not in types and not isinstance(value, bool) else value


def read(name: str, text: str, kind: Kind) -> object:
    """Parse a word of the command line as a value of that type. Raises BadSetting."""
    alternatives = get_args(kind)
    if text == "none" and NoneType in alternatives:
        return None
    if get_origin(kind) is tuple:
        return _read_list(name, text, kind)
    if get_origin(kind) is Literal:
        return checked(name, text, kind)
    try:
        return READERS.get(_without_none(kind), str)(text)
    except (ValueError, KeyError):
        raise BadSetting(name, f"must be {in_words(kind)}, but is {text!r}") from None


def _read_list(name: str, text: str, kind: Kind) -> tuple[object, ...]:
    try:
        return tuple(read(name, word.strip(), get_args(kind)[0]) for word in text.split(","))
    except BadSetting:
        raise BadSetting(name, f"must be {in_words(kind)}, separated by commas, but is {text!r}") from None


def _without_none(kind: Kind) -> Kind:
    """`int` for `int | None`; a union with more members, and any other type, as it is."""
    others = [one for one in get_args(kind) if one is not NoneType]
    return others[0] if NoneType in get_args(kind) and len(others) == 1 else kind


def in_words(kind: Kind) -> str:
    """A description of that type, for an error message."""
    alternatives = get_args(kind)
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, alternatives))}"
    if get_origin(kind) is tuple:
        return f"a list, each {in_words(alternatives[0])}"
    if (get_origin(_without_none(kind)) or kind) in MAPPINGS:
        return "names with values"
    return " or ".join("none" if one is NoneType else IN_WORDS.get(one, "a value") for one in alternatives or (kind,))


def at_least_one(instance: object, *names: str) -> None:
    """Raises BadSetting for a field among `names` that is below 1."""
    for name in names:
        check_positive(name, getattr(instance, name))


def check_positive(name: str, number: int) -> None:
    """Raises BadSetting for a number below 1."""
    if number < 1:
        raise BadSetting(name, f"must be 1 or more, but is {number}")
