"""`summary.json`, `summary.md`, `report.html` and plots of a run, from its manifest and ledgers alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path

from matplotlib.figure import Figure

from rl_pbt.report import plots, style
from rl_pbt.report.anytime import anytime_curves
from rl_pbt.report.evidence import Evidence, read_evidence
from rl_pbt.report.family_tree import family_tree, has_tree
from rl_pbt.report.page import page_of
from rl_pbt.report.schedules import made_by_hand, schedules
from rl_pbt.report.score_tree import has_score_tree, score_tree
from rl_pbt.report.sheets import rows_of, sheet
from rl_pbt.report.summarising import summary_of
from rl_pbt.report.summary import Summary
from rl_pbt.report.web import document_of
from rl_pbt.store.curves import has_anytime_curve
from rl_pbt.store.descent import has_schedules
from rl_pbt.store.files import check_inside, disk_errors_in_one_line, write_durably, write_json
from rl_pbt.store.run import RunFolder
from rl_pbt.tasks.registry import task_type
from rl_pbt.tasks.words import Words
from rl_pbt.text import counted

PLOTS = "plots"
OF_RUNS = LEARNING, ANYTIME, SCORES = "learning_curves", "anytime_curves", "test_scores"
# Pictures of one method and seed; the last shows what its members left to look at.
OF_POPULATIONS = SCHEDULES, TREE, SCORE_TREE, SHEET = "schedules", "family-tree", "score-tree", "samples"
FORMERLY = ("test_returns",)  # plots of earlier versions
MOST_DRAWN = 40  # populations for which everything is drawn; if there are more, only each method's first seed is


def summarise(run: RunFolder) -> Summary:
    """The summary of a run, as far as it went; writes nothing. Raises UserError as `read_evidence` does."""
    return summary_of(read_evidence(run))


def write_report(run: RunFolder, against: str | None = None) -> Summary:
    """`summarise`, and write the result as data, pages and plots; the same manifest and ledgers give the same bytes.

    `against` compares the others with another method than the run's reference. With more than two methods that is a second look,
    and every verdict says so. Raises UserError as `summarise` does, writing nothing, and BadSetting if the run does not have that
    method.
    """
    check_inside(run.folder, PLOTS)
    evidence = read_evidence(run)
    summary = summary_of(evidence, against)
    write_json(run.folder / "summary.json", summary.to_json())
    sheets = _sheets(run, evidence)
    figures = _draw(run, evidence, sheets)
    _remove_stale(run, evidence, figures)
    write_durably(run.folder / "summary.md", page_of(evidence, summary, figures).encode())
    write_durably(page_path(run), document_of(evidence, summary, sheets).encode())
    return summary


def pictures_of(run: RunFolder, method: str, seed: int) -> dict[str, bytes]:
    """The pictures of one population that `write_report` drew: PNG files by name."""
    paths = {name: check_inside(run.folder, PLOTS, f"{_of(name, method, seed)}.png") for name in OF_POPULATIONS}
    return {name: path.read_bytes() for name, path in paths.items() if path.is_file()}


def _of(name: str, method: str, seed: int) -> str:
    return f"{name}-{method}-seed-{seed}"


def page_path(run: RunFolder) -> Path:
    """Where the HTML page of a run is, or will be."""
    return run.folder / "report.html"


def _sheets(run: RunFolder, evidence: Evidence) -> dict[tuple[str, int], bytes]:
    """By method and seed, a PNG of what members left to look at, for populations that are shown and left anything."""
    task, title = task_type(evidence.config.task), style.literal(evidence.title)
    found: dict[tuple[str, int], bytes] = {}
    for method, seed in _shown(evidence):
        if rows := rows_of(evidence.histories[method][seed], run.checkpoints(method, seed), task):
            found[method, seed] = style.as_png(sheet(rows, title=f"{title}: {method}, seed {seed}"))
    return found


def _draw(run: RunFolder, evidence: Evidence, sheets: Mapping[tuple[str, int], bytes]) -> list[str]:
    """Draw what there is to draw. Returns the names of the files, relative to the run."""
    names: list[str] = []
    for name, figure in _figures(evidence):
        names.append(f"{PLOTS}/{name}.png")
        style.save(figure, run.folder / names[-1])
    for population, picture in sheets.items():
        names.append(f"{PLOTS}/{_of(SHEET, *population)}.png")
        write_durably(run.folder / names[-1], picture)
    return names


def _shown(evidence: Evidence) -> list[tuple[str, int]]:
    """The method and the seed of each population that is drawn."""
    many = sum(len(by_seed) for by_seed in evidence.histories.values()) > MOST_DRAWN
    return [(method, seed) for method, by_seed in evidence.histories.items() for seed in list(by_seed)[: 1 if many else None]]


def _figures(evidence: Evidence) -> Iterator[tuple[str, Figure]]:
    """The figures of the run and then of its populations, each with its name."""
    by_method = {method: list(by_seed.values()) for method, by_seed in evidence.histories.items()}
    everything = [history for histories in by_method.values() for history in histories]
    words, title = as_labels(evidence.words), style.literal(evidence.title)
    if any(history.rounds for history in everything):
        yield LEARNING, plots.learning_curves(by_method, words=words, title=_heading(evidence, title))
    if has_anytime_curve(everything):
        heading = f"{title}: the best member so far, on held-out test {words.held_out}"
        yield ANYTIME, anytime_curves(by_method, words=words, baseline=evidence.baseline, title=heading)
    if any(history.test is not None for history in everything):
        heading = f"{title}: the winners on held-out test {words.held_out}"
        yield SCORES, plots.winners_scores(by_method, words=words, baseline=evidence.baseline, title=heading)
    for method, seed in _shown(evidence):
        for name, figure in _figures_of(evidence, method, seed, words, f"{title}: {method}, seed {seed}"):
            yield _of(name, method, seed), figure


def _figures_of(evidence: Evidence, method: str, seed: int, words: Words, title: str) -> Iterator[tuple[str, Figure]]:
    """The figures of one population."""
    history = evidence.histories[method][seed]
    if has_schedules(history):
        others = {name: found[seed] for name, found in evidence.histories.items() if name != method and seed in found}
        yield SCHEDULES, schedules(history, evidence.config.space, title=title, words=words, beside=made_by_hand(others))
    if has_tree(history):
        yield TREE, family_tree(history, evidence.layouts(history), title=title)
    if has_score_tree(history):
        yield SCORE_TREE, score_tree(history, evidence.layouts(history), words=words, title=title)


def _remove_stale(run: RunFolder, evidence: Evidence, drawn: Collection[str]) -> None:
    """Remove plots that a report of this run can have, or had in earlier versions, but that were not drawn now."""
    populations = [(method, seed) for method, by_seed in evidence.histories.items() for seed in by_seed]
    ours = [*OF_RUNS, *FORMERLY, *(_of(name, *population) for name in OF_POPULATIONS for population in populations)]
    for path in (run.folder / name for one in ours if (name := f"{PLOTS}/{one}.png") not in drawn):
        if path.is_file() and not path.is_symlink():
            with disk_errors_in_one_line(path):
                path.unlink()


def _heading(evidence: Evidence, title: str) -> str:
    config = evidence.config
    seeds = f"seed {config.seeds[0]}" if len(config.seeds) == 1 else counted(len(config.seeds), "seed")
    return f"{title}, {counted(config.population, 'member')}, {seeds}: fitness while learning"


def as_labels(words: Words) -> Words:
    """The nouns as labels of figures."""
    return replace(words, **{one.name: style.literal(getattr(words, one.name)) for one in fields(words)})
