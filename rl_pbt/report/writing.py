"""`summary.json`, `summary.md` and plots of a run, from its manifest and ledgers alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from rl_pbt.records import JSON
from rl_pbt.report import plots
from rl_pbt.report.comparison import Histories
from rl_pbt.report.family_tree import family_tree
from rl_pbt.report.page import page_of
from rl_pbt.report.summary import Setting, read_histories, summary_of
from rl_pbt.store import Run, write_durably, write_json
from rl_pbt.text import interval_text, readable, value_text

MOST_DRAWN = 40  # populations whose schedules and family trees are all drawn; of more, each method's first seed


def summarise(run: Run) -> dict[str, JSON]:
    """The content of summary.json; the same manifest and ledgers give the same."""
    setting = Setting.read(run)
    return summary_of(setting, read_histories(run, setting))


def _draw(run: Run, setting: Setting, histories: Histories) -> list[str]:
    """Draw what there is to draw; the names of the files, relative to the run."""
    by_method = {method: list(by_seed.values()) for method, by_seed in histories.items()}
    names: list[str] = []

    def save(figure: Figure, name: str) -> None:
        names.append(f"plots/{name}.png")
        plots.save(figure, run.folder / names[-1])

    if any(history.rounds for of_method in by_method.values() for history in of_method):
        save(plots.learning_curves(by_method, fitness=f"fitness: {setting.fitness_in_words}"), "learning_curves")
    if any(history.test is not None for of_method in by_method.values() for history in of_method):
        save(plots.winners_returns(by_method, random_policy=setting.random_returns), "test_returns")
    many = sum(len(by_seed) for by_seed in histories.values()) > MOST_DRAWN
    for method, by_seed in histories.items():
        for seed, history in list(by_seed.items())[: 1 if many else None]:
            if history.trials:
                title = f"{setting.config.env}: {method}, seed {seed}"
                save(plots.schedules(history, setting.config.search, title=title), f"schedules-{method}-seed-{seed}")
                save(family_tree(history, title=title), f"family-tree-{method}-seed-{seed}")
    return names


def write_report(run: Run) -> Path:
    """Write summary.json, summary.md and the plots; the path of summary.md."""
    setting = Setting.read(run)
    histories = read_histories(run, setting)
    summary = summary_of(setting, histories)
    write_json(run.folder / "summary.json", summary)
    figures = _draw(run, setting, histories)
    page = run.folder / "summary.md"
    write_durably(page, page_of(setting, summary, histories, figures).encode())
    return page


def terminal_summary(run: Run) -> str:
    """The end of a run: each method's test return and cost, what can be said of them, where the page is."""
    summary: dict[str, Any] = summarise(run)
    lines: list[str] = []
    for method, of_method in summary["methods"].items():
        cost, tested = of_method["cost"], of_method["test_return"]
        frames = readable(cost["train_frames"] + cost["eval_frames"])
        lines.append(
            f"{method:14} mean test return {value_text(tested)}, 95 % interval {interval_text(tested)}; "
            f"{frames} frames, {cost['updates']:,} updates, {cost['cpu_s']:.0f} CPU seconds"
        )
    lines += [comparison["verdict"] for comparison in (summary["comparison"], *summary["further_comparisons"])]
    return "\n".join([*lines, *summary["caveats"], f"report: {run.folder / 'summary.md'}"])
