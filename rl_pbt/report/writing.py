"""`summary.json`, `summary.md`, `report.html` and plots of a run, from its manifest and ledgers alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

from matplotlib.figure import Figure

from rl_pbt.report import plots, style
from rl_pbt.report.anytime import anytime_curves
from rl_pbt.report.evidence import Evidence, read_evidence
from rl_pbt.report.family_tree import family_tree, has_tree
from rl_pbt.report.page import page_of
from rl_pbt.report.schedules import schedules
from rl_pbt.report.score_tree import has_score_tree, score_tree
from rl_pbt.report.sheets import rows_of, sheet
from rl_pbt.report.summarising import summary_of
from rl_pbt.report.summary import Summary
from rl_pbt.report.web import document_of
from rl_pbt.store.files import check_inside, write_durably, write_json
from rl_pbt.store.history import has_schedules
from rl_pbt.store.run import RunFolder
from rl_pbt.tasks.base import Words
from rl_pbt.tasks.registry import task_type
from rl_pbt.text import counted

PLOTS = "plots"
# Pictures of one method and seed; the last is of what its members have left to look at.
OF_POPULATIONS = SCHEDULES, TREE, SCORES, SHEET = "schedules", "family-tree", "score-tree", "samples"
MOST_DRAWN = 40  # populations whose schedules and family trees are all drawn; of more, each method's first seed


def summarise(run: RunFolder) -> Summary:
    """The summary of a run, as far as it went; nothing is written. Raises UserError where there is no run or it is damaged."""
    return summary_of(read_evidence(run))


def write_report(run: RunFolder, against: str | None = None) -> Summary:
    """`summarise`, and write it as data, as pages and as plots; the same manifest and ledgers give the same bytes.

    `against` compares the others with another method than the run declared: a second look, as every verdict then says.
    """
    check_inside(run.folder, PLOTS)
    evidence = read_evidence(run)
    summary = summary_of(evidence, against)
    write_json(run.folder / "summary.json", summary.to_json())
    sheets = _sheets(run, evidence)
    figures = _draw(run, evidence, sheets)
    write_durably(run.folder / "summary.md", page_of(evidence, summary, figures).encode())
    write_durably(page_path(run), document_of(evidence, summary, sheets).encode())
    return summary


def pictures_of(run: RunFolder, method: str, seed: int) -> dict[str, bytes]:
    """The pictures of one population, as `write_report` drew them: PNG files, by a name for each."""
    paths = {name: check_inside(run.folder, PLOTS, f"{_of(name, method, seed)}.png") for name in OF_POPULATIONS}
    return {name: path.read_bytes() for name, path in paths.items() if path.is_file()}


def _of(name: str, method: str, seed: int) -> str:
    return f"{name}-{method}-seed-{seed}"


def page_path(run: RunFolder) -> Path:
    """Where the page of a run is that a browser shows, or will be."""
    return run.folder / "report.html"


def _sheets(run: RunFolder, evidence: Evidence) -> dict[tuple[str, int], bytes]:
    """By method and seed, a PNG of what members left to look at, where that is anything."""
    task, title = task_type(evidence.config.task), style.literal(evidence.title)
    found: dict[tuple[str, int], bytes] = {}
    for method, by_seed in evidence.histories.items():
        for seed, history in by_seed.items():
            if rows := rows_of(history, run.checkpoints(method, seed), task):
                found[method, seed] = style.as_png(sheet(rows, title=f"{title}: {method}, seed {seed}"))
    return found


def _draw(run: RunFolder, evidence: Evidence, sheets: Mapping[tuple[str, int], bytes]) -> list[str]:
    """Draw what there is to draw; the names of the files, relative to the run."""
    by_method = {method: list(by_seed.values()) for method, by_seed in evidence.histories.items()}
    everything = [history for histories in by_method.values() for history in histories]
    words, title, space = as_labels(evidence.words), style.literal(evidence.title), evidence.config.space
    names: list[str] = []

    def save(figure: Figure, name: str) -> None:
        names.append(f"{PLOTS}/{name}.png")
        style.save(figure, run.folder / names[-1])

    if any(history.rounds for history in everything):
        save(plots.learning_curves(by_method, words=words, title=_heading(evidence, title)), "learning_curves")
    if any(history.incumbents for history in everything):
        heading = f"{title}: the best member so far, on held-out test seeds"
        save(anytime_curves(by_method, words=words, baseline=evidence.baseline, title=heading), "anytime_curves")
    if any(history.test is not None for history in everything):
        heading = f"{title}: the winners on held-out test seeds"
        save(plots.winners_scores(by_method, words=words, baseline=evidence.baseline, title=heading), "test_scores")
    for method, by_seed in evidence.histories.items():
        for seed, history in list(by_seed.items())[: 1 if len(everything) > MOST_DRAWN else None]:
            heading = f"{title}: {method}, seed {seed}"
            if has_schedules(history):
                save(schedules(history, space, title=heading, words=words), _of(SCHEDULES, method, seed))
            if has_tree(history):
                save(family_tree(history, title=heading), _of(TREE, method, seed))
            if has_score_tree(history):
                save(score_tree(history, words=words, title=heading), _of(SCORES, method, seed))
            if picture := sheets.get((method, seed)):
                names.append(f"{PLOTS}/{_of(SHEET, method, seed)}.png")
                write_durably(run.folder / names[-1], picture)
    return names


def _heading(evidence: Evidence, title: str) -> str:
    config = evidence.config
    seeds = f"seed {config.seeds[0]}" if len(config.seeds) == 1 else counted(len(config.seeds), "seed")
    return f"{title}, {counted(config.population, 'member')}, {seeds}: fitness while learning"


def as_labels(words: Words) -> Words:
    """The nouns as figures can show them."""
    return replace(words, **{one.name: style.literal(getattr(words, one.name)) for one in fields(words)})
