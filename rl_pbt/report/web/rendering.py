"""What HTML pages have in common: templates that are filled into one file each, and tiles with a score."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import final

from rl_pbt.report.statistics import Estimate
from rl_pbt.report.web.charts import series
from rl_pbt.tasks.words import Words
from rl_pbt.text import NOTHING, value_text

HERE = Path(__file__).parent


def rendered(template: str, **content: object) -> str:
    """The page that a template makes of its content; it has the scripts and the style of all pages."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - for pages alone
    from markupsafe import Markup  # noqa: PLC0415

    library, script = _library(), (HERE / "page.js").read_text(encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, finalize=_printable
    )
    return environment.get_template(template).render(
        policy=_policy(library, script),
        style=Markup((HERE / "page.css").read_text(encoding="utf-8")),
        library=Markup(library),
        script=Markup(script),
        **content,
    )


def _library() -> str:
    """Bokeh's own script, which comes with its package."""
    from bokeh.resources import Resources  # noqa: PLC0415 - takes a while, and is needed for pages alone

    return str(Resources(mode="inline", minified=True, components=["bokeh"]).js_raw[0])


def _policy(*scripts: str) -> str:
    """A content security policy under which nothing is loaded from anywhere, and no script runs but these."""
    digests = [b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:"


def _printable(value: object) -> object:
    """Text from outside, without characters that hide or reverse text; our own files are `Markup` and stay as they are."""
    return "".join(c if c.isprintable() else "?" for c in value) if type(value) is str else value


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """The test of one method at a glance; `series` is the tag of all that is drawn for it."""

    name: str
    series: str
    colour: str
    value: str
    under: str


def tile_of(name: str, tested: Estimate | None, colour: str, words: Words) -> Tile:
    """The tile of a method with its mean test score; None before any test."""
    interval = NOTHING if tested is None else tested.interval_text(words)
    under = "not tested yet" if tested is None else f"mean test {words.score}"
    under += "" if interval == NOTHING else f", 95 % interval {interval}"
    value = value_text(None if tested is None else tested.value)
    return Tile(name=name, series=series(name), colour=colour, value=value, under=under)
