"""Options as dataclasses: what is unknown, missing or wrong is one line that names the field."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from rl_pbt.errors import BadSetting
from rl_pbt.options import About, about, built, fields_of, in_words, option, plain, read, types_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Kettle:
    """Something with a field of each kind."""

    litres: float = option(help="how much")
    cups: int = option(4, help="how many")
    lid: bool = option(True, help="whether")
    colour: Literal["red", "blue"] = option("red", help="which")
    marks: tuple[int, ...] = option((1, 2), help="where")
    names: tuple[str, ...] = option((), help="what they are called")
    limit: int | None = option(None, help="at most")
    extra: Mapping[str, Any] = option(factory=dict, help="the rest")
    secret: str = option("x", help="no flag", flag=False)


def test_what_is_built_comes_back_from_json() -> None:
    kettle = built(Kettle, {"litres": 2, "marks": [3], "limit": 7, "extra": {"a": [1, 2], "b": {"c": None}}})
    assert kettle.litres == 2.0 and isinstance(kettle.litres, float) and kettle.marks == (3,)
    assert built(Kettle, json.loads(json.dumps(plain(kettle)))) == Kettle(
        litres=2.0, marks=(3,), limit=7, extra={"a": [1, 2], "b": {"c": None}}
    )
    assert types_of(Kettle)["cups"] is int and about(fields_of(Kettle)["secret"]) == About(help="no flag", flag=False)


@pytest.mark.parametrize(
    ("values", "field", "says"),
    [
        ({}, "litres", "is missing"),
        ({"litres": 1, "cupz": 1}, "cupz", "did you mean 'cups'"),
        ({"litres": "much"}, "litres", "must be a number, but is 'much'"),
        ({"litres": True}, "litres", "must be a number"),
        ({"litres": 1, "cups": 1.5}, "cups", "must be a whole number"),
        ({"litres": 1, "cups": True}, "cups", "must be a whole number"),
        ({"litres": 1, "lid": 1}, "lid", "must be true or false"),
        ({"litres": 1, "colour": "blau"}, "colour", "did you mean 'blue'"),
        ({"litres": 1, "marks": 3}, "marks", "must be a list, each a whole number"),
        ({"litres": 1, "marks": "12"}, "marks", "must be a list"),
        ({"litres": 1, "marks": [1, "2"]}, "marks", "must be a whole number"),
        ({"litres": 1, "names": "ann"}, "names", "must be a list, each a word"),
        ({"litres": 1, "limit": "none"}, "limit", "must be a whole number or none"),
        ({"litres": 1, "extra": [1]}, "extra", "must map names to values"),
        ({"litres": 1, "extra": {1: 2}}, "extra", "must map names to values"),
    ],
)
def test_what_cannot_be_is_one_line_that_names_the_field(values: dict[str, Any], field: str, says: str) -> None:
    with pytest.raises(BadSetting) as error:
        built(Kettle, values)
    assert error.value.field == field and says in str(error.value) and "\n" not in str(error.value)
    assert str(error.value) == f"{error.value.field} {error.value.message}"


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("litres", "1e-3", 1e-3),
        ("cups", "12", 12),
        ("lid", "false", False),
        ("colour", "blue", "blue"),
        ("marks", "1,2", (1, 2)),
        ("limit", "none", None),
        ("limit", "3", 3),
    ],
)
def test_words_are_read_by_the_type_of_the_field(field: str, text: str, value: Any) -> None:
    assert read(field, text, types_of(Kettle)[field]) == value


@pytest.mark.parametrize("field", ["litres", "cups", "lid", "colour", "marks", "limit"])
def test_a_word_that_cannot_be_read_is_one_line(field: str) -> None:
    with pytest.raises(BadSetting, match=field):
        read(field, "?", types_of(Kettle)[field])
    assert in_words(types_of(Kettle)[field])


def test_only_plain_json_is_an_option() -> None:
    with pytest.raises(TypeError, match="not plain JSON"):
        plain(Kettle(litres=1.0, extra={"a": object()}))


def test_a_dataclass_within_another_is_an_object_and_the_names_of_a_mapping_are_text() -> None:
    found = plain(Kettle(litres=1.0, extra={"lids": {2: Kettle(litres=0.5, marks=(3,))}}))
    assert json.loads(json.dumps(found)) == found
    assert isinstance(found["extra"], dict) and found["extra"]["lids"] == {"2": plain(Kettle(litres=0.5, marks=(3,)))}
