"""The report of a run. `python -m rl_pbt.report RUN` rebuilds it.

`evidence` reads a run; `comparison` and `summarising` make a typed `summary` of it with `statistics`; `plots` and `family_tree`
draw it in one `style`; `page` puts it into words; and `writing` writes it beside the run. Modules are loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rl_pbt.report.summary import Summary
    from rl_pbt.report.writing import page_path, pictures_of, summarise, write_report

__all__ = ["Summary", "page_path", "pictures_of", "summarise", "write_report"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "rl_pbt.report.summary" if name == "Summary" else "rl_pbt.report.writing"
    value = globals()[name] = getattr(import_module(home), name)
    return value
