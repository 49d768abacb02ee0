"""Figures as text inside a page: the same figures give the same text, and nothing in the text can end its element."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast, final

from rl_pbt.records import JSON

if TYPE_CHECKING:
    from bokeh.plotting import figure

HARMLESS = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Figures that are drawn together: `places` are the ids of the elements that they are drawn in, `heights` are in pixels,
    and `data` is for `page.js`.
    """

    name: str
    places: Sequence[str]
    heights: Sequence[int]
    data: str


def embedded(name: str, figures: Sequence[figure]) -> Block:
    """Figures that may share ranges and sources, under a name that no other block has."""
    from bokeh.document import Document  # noqa: PLC0415 - takes a while, and is needed for this page alone

    document = Document(title="")
    for figure in figures:
        document.add_root(figure)
    names = _Names(name)
    told = names.of(cast(JSON, document.to_json(deferred=False)))
    places = [f"{name}-{index}" for index in range(len(figures))]
    heights = [figure.height for figure in figures]
    roots: dict[str, JSON] = {names.known[figure.id]: place for figure, place in zip(figures, places, strict=True)}
    return Block(name=name, places=places, heights=heights, data=harmless_json({"document": told, "roots": roots}))


def harmless_json(value: Mapping[str, JSON]) -> str:
    """JSON that is safe in a script element: characters that could end it, which occur only in strings, are JSON escapes."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).translate(HARMLESS)


@final
class _Names:
    """New ids of models: Bokeh counts them per process; here they are counted per block, in the order of its JSON."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.known: dict[str, str] = {}

    def of(self, value: JSON) -> JSON:
        """The same JSON with new ids in models and in references to them."""
        match value:
            case dict():
                return {
                    key: self._new(entry) if key == "id" and isinstance(entry, str) else self.of(entry)
                    for key, entry in value.items()
                }
            case list():
                return [self.of(entry) for entry in value]
        return value

    def _new(self, old: str) -> str:
        return self.known.setdefault(old, f"{self.prefix}.{len(self.known)}")
