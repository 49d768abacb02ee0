"""`summary.md`: the page that a person reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rl_pbt.history import History, copies, line_of_descent
from rl_pbt.records import Hypers, Trial
from rl_pbt.report.comparison import Histories
from rl_pbt.report.summary import Setting
from rl_pbt.statistics import LEAST_SEEDS
from rl_pbt.text import duration, interval_text, readable, value_text


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def page_of(setting: Setting, summary: Mapping[str, Any], histories: Histories, figures: Sequence[str]) -> str:
    unfinished = "" if setting.status == "finished" else f"**This run is {setting.status}: what follows is what there is.**"
    parts = [
        f"# {setting.config.agent} on {setting.config.env}",
        unfinished,
        *(f"**{comparison['verdict']}**" for comparison in (summary["comparison"], *summary["further_comparisons"])),
        *summary["caveats"],
        _results(summary),
        _compared(summary),
        _receipts(setting, summary),
        _measured(setting, histories),
        *(f"![{Path(name).stem}]({name})" for name in _embedded(figures)),
        "## Winners and their schedules",
        *(
            _schedule(setting, f"{method}, seed {seed}", history)
            for method, by_seed in histories.items()
            for seed, history in by_seed.items()
        ),
        *(f"[{Path(name).stem}]({name})" for name in figures if name not in _embedded(figures)),
    ]
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def _embedded(figures: Sequence[str]) -> list[str]:
    """Figures of the whole run, and of each method's first seed; the others are linked."""
    firsts: dict[str, str] = {}
    for name in figures:
        firsts.setdefault(name.partition("-seed-")[0], name)
    return list(firsts.values())


def _results(summary: Mapping[str, Any]) -> str:
    margins: dict[str, Any] = {}
    # Of fewer than four values nothing is cut off, and the interquartile mean is the mean.
    trimmed = any(of_method["iqm"] != of_method["test_return"] for of_method in summary["methods"].values())
    for comparison in (summary["comparison"], *summary["further_comparisons"]):
        margins |= (comparison["random_policy"] or {}).get("margins", {})
    rows: list[list[str]] = []
    for method, of_method in summary["methods"].items():
        winners = [seed["winner"] for seed in of_method["seeds"].values() if seed["winner"]]
        fitness = sum(winner["fitness"] for winner in winners) / len(winners) if winners else None
        estimates = [of_method["test_return"], *([of_method["iqm"]] if trimmed else []), margins.get(method)]
        cells = [text for e in estimates for text in (value_text(e), interval_text(e))]
        rows.append([method, *cells, value_text(fitness)])
    header = ["method", "mean test return", "95 % interval", *(["IQM", "95 % interval"] if trimmed else [])]
    header += ["above the random policy", "95 % interval", "fitness of the winner (selected on, too high)"]
    return "## Test returns\n\n" + _table(header, rows)


def _compared(summary: Mapping[str, Any]) -> str:
    """All comparisons that were not refused."""
    rows: list[list[str]] = []
    for one in (summary["comparison"], *summary["further_comparisons"]):
        if one["refused"] is None:
            estimates = [one["difference"], one["probability_of_improvement"]]
            cells = [text for estimate in estimates for text in (value_text(estimate), interval_text(estimate))]
            p_values = [value_text(one[name]) for name in ("p_value", "p_value_corrected")]
            rows.append([" minus ".join(one["methods"]), *cells, *p_values])
    if not rows:
        return ""
    header = ["methods", "difference of mean test returns", "95 % interval", "P(the first is better)", "95 % interval"]
    header += ["p", f"p, corrected for {len(rows)} comparison(s)"]
    return "## Comparisons\n\n" + _table(header, rows)


def _receipts(setting: Setting, summary: Mapping[str, Any]) -> str:
    rows: list[list[str]] = []
    for method, of_method in summary["methods"].items():
        cost, seeds = of_method["cost"], of_method["seeds"].values()
        frames = [cost["train_frames"], cost["eval_frames"], cost["train_frames"] + cost["eval_frames"]]
        budget = sum(seed["budget_frames"] for seed in seeds)
        discarded = sum(seed["discarded_frames"] for seed in seeds)
        most = [max(seed[name] for seed in seeds) for name in ("sequential_depth", "sequential_frames", "peak_proposals")]
        events = [sum(seed[name] for seed in seeds) for name in ("exploits", "failures")]
        numbers = [budget, *frames, cost["updates"], discarded, *most]
        rows.append([method, *(f"{n:,}" for n in numbers), f"{cost['cpu_s']:.1f}", f"{cost['wall_s']:.1f}", *map(str, events)])
    header = ["method", "budget, frames", "training frames", "evaluation frames", "frames spent", "updates"]
    header += ["discarded frames", "proposals in sequence", "frames in sequence", "proposals at once"]
    header += ["CPU seconds", "worker seconds", "copies", "failures"]
    told = (
        "Worker seconds are those that workers spent on environments and networks, added up over the workers. "
        "Training on weights that nobody carried to the end counts as discarded. In sequence: the longest chain of which each "
        "part had to wait for the one before, whatever the number of machines. Of that, and of what was underway at once, the "
        "seed with the most is shown."
    )
    return f"## Receipts, all {len(setting.config.seeds)} seed(s) together\n\n{_table(header, rows)}\n{told}"


def _measured(setting: Setting, histories: Histories) -> str:
    how = (
        f"Fitness is the {setting.fitness_in_words}; it favours short episodes and costs no frames."
        if setting.config.fitness == "training"
        else f"Fitness is the {setting.fitness_in_words}, played whole; a generation shares its seeds, "
        "and their frames are charged to the method."
    )
    text = (
        f"{how} The winner has the highest fitness at the end, so its fitness is too high an estimate; the test return "
        f"is the mean of {setting.config.test_episodes} episodes on seeds that nothing was selected on. One population run of "
        f"one seed is the independent unit: an interval over seeds needs {LEAST_SEEDS} of them. Frames are environment "
        f"frames; one action lasts {setting.config.frame_skip}. A generation was planned as {setting.config.interval:,} frames a "
        f"member, evaluation included{_trained_for(histories)}."
    )
    commit = f", commit `{setting.commit}`" if setting.commit else ""
    took = f", in {duration(setting.elapsed_s)} with {setting.workers} worker(s)" if setting.elapsed_s is not None else ""
    return f"## How it was measured\n\n{text}\n\nMade by `{setting.command}`{commit}{took}."


def _trained_for(histories: Histories) -> str:
    """How long members really trained between two evaluations."""
    lengths = {
        trial.proposal.frames for by_seed in histories.values() for history in by_seed.values() for trial in history.trials
    }
    return f"; members were trained for {min(lengths):,} to {max(lengths):,} frames at a time" if lengths else ""


def _schedule(setting: Setting, name: str, history: History) -> str:
    if history.chosen is None:
        return f"### {name}\n\n" + ("Every member failed." if history.ended else "No winner yet.")
    trials = history.by_id
    line = [trials[ancestor] for ancestor in line_of_descent(history, history.chosen)]
    made = copies(history)
    stages: list[list[Trial]] = []
    for trial in line:
        if stages and trial.proposal.hypers == stages[-1][-1].proposal.hypers and trial.proposal.id not in made:
            stages[-1].append(trial)
        else:
            stages.append([trial])
    hypers = list(line[-1].proposal.hypers)
    final = ", ".join(f"{hyper} {value_text(value)}" for hyper, value in line[-1].proposal.hypers.items())
    rows = [_stage(trials, stage) for stage in stages]
    told = f"Member {line[-1].proposal.member} won with {final}. Its line of descent:"
    table = _table(["generations", "training frames", "member", *hypers, "what changed"], rows)
    return f"### {name}\n\n{told}\n\n{table}"


def _stage(trials: Mapping[int, Trial], stage: Sequence[Trial]) -> list[str]:
    """One row: generations in which the agent trained on with the same hypers."""
    first, last = stage[0].proposal, stage[-1].proposal
    start = 0 if first.parent is None else trials[first.parent].result.lineage_frames
    generations = str(first.generation) if len(stage) == 1 else f"{first.generation}–{last.generation}"
    frames = f"{readable(start)}–{readable(stage[-1].result.lineage_frames)}"
    if first.parent is None:
        changed = "began"
    else:
        parent = trials[first.parent].proposal
        copied = f"member {first.member} copied {parent.member}; " if first.member != parent.member else ""
        changed = copied + (_changes(parent.hypers, first.hypers) or "same hypers")
    return [generations, frames, str(first.member), *map(value_text, first.hypers.values()), changed]


def _changes(before: Hypers, after: Hypers) -> str:
    return ", ".join(f"{n} {value_text(before[n])} → {value_text(v)}" for n, v in after.items() if v != before[n])
