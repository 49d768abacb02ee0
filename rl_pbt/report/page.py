"""`summary.md`: the page that a person reads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from rl_pbt.errors import plain_text
from rl_pbt.report import tables
from rl_pbt.report.evidence import Evidence
from rl_pbt.report.summary import Summary
from rl_pbt.report.tables import Table
from rl_pbt.store.history import History
from rl_pbt.tasks.words import Words
from rl_pbt.text import counted, duration, table


def page_of(evidence: Evidence, summary: Summary, figures: Sequence[str]) -> str:
    """The page in Markdown; `figures` are paths relative to it."""
    words = evidence.words
    embedded = _embedded(figures)
    state, compared, beside = tables.state_of(evidence), tables.compared(summary), tables.beside(evidence)
    told = [
        f"# {evidence.title}",
        state and f"**{state}**",
        tables.failure_of(evidence),
        *(f"**{verdict}** {trained}".rstrip() for verdict, trained in tables.verdicts(summary)),
        *summary.caveats,
        _section(f"Test {words.score}", tables.results(summary)),
        _section("Comparisons", compared) if compared else "",
        f"{_section('Beside the score', beside)}\n{tables.BESIDE}" if beside else "",
        _section(f"Compute accounting, {tables.accounted(summary)}", tables.accounting(summary))
        + f"\n{tables.accounting_note(summary)}",
        _section("Diagnostics", tables.diagnostics(summary)) + f"\n{tables.DIAGNOSTICS}",
    ]
    schedules = [
        _schedule(f"{method}, seed {seed}", history, words)
        for method, by_seed in evidence.histories.items()
        for seed, history in by_seed.items()
    ]
    parts = [
        *map(harmless, told),
        _measured(evidence),
        *(f"![{Path(name).stem}]({name})" for name in embedded),
        "## Winners and their schedules",
        *map(harmless, schedules),
        *(f"[{Path(name).stem}]({name})" for name in figures if name not in embedded),
    ]
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def _embedded(figures: Sequence[str]) -> list[str]:
    """Figures of the whole run and of each method's first seed, which are shown on the page; the others are linked."""
    firsts: dict[str, str] = {}
    for name in figures:
        firsts.setdefault(name.partition("-seed-")[0], name)
    return list(firsts.values())


def _section(title: str, content: Table) -> str:
    return f"## {title}\n\n{table(content.header, content.rows)}"


def _in_code(text: str) -> str:
    """A code span on one line, whatever backticks are in the text."""
    text = plain_text(text)
    ticks = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if "`" in text else ""
    return f"{ticks}{space}{text}{space}{ticks}"


def harmless(text: str) -> str:
    """The text without anything that Markdown would take for HTML or a link, since names in it may come from anybody."""
    shown = "".join(c if c.isprintable() or c == "\n" else "?" for c in text)
    return shown.replace("<", "&lt;").replace("](", "]\\(")


def _measured(evidence: Evidence) -> str:
    manifest = evidence.manifest
    commit = f", commit {_in_code(manifest.last.commit)}" if manifest.last.commit else ""
    workers = "" if manifest.last.workers is None else f" with {counted(manifest.last.workers, 'worker')}"
    took = "" if manifest.elapsed_s is None else f", in {duration(manifest.elapsed_s)}{workers}"
    told = harmless(tables.measuring(evidence))
    return f"## How it was measured\n\n{told}\n\nMade by {_in_code(manifest.command)}{commit}{took}."


def _schedule(name: str, history: History, words: Words) -> str:
    descent = tables.descent(history, words)
    told = f"### {name}\n\n{tables.winner_of(history)}"
    return f"{told} Its line of descent:\n\n{table(descent.header, descent.rows)}" if descent else told
