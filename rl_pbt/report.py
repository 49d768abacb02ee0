"""What came of a run: `summary.json`, `summary.md` and plots, from the manifest and the ledgers alone.

A comparison is fair or it is refused: methods that are unfinished, or that spent different numbers of frames, are not
compared. The fields of `summary.json` are explained in docs/summary.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from rl_pbt import plots
from rl_pbt.records import JSON, Cost, Hypers, Proposal, Result, Test, Trial, UserError
from rl_pbt.statistics import (
    LEAST_SEEDS,
    Estimate,
    History,
    best_fitness_curve,
    difference_of,
    founders,
    improvement_of,
    iqm_of,
    judged,
    line_of_descent,
    margin_of,
    mean_of,
)
from rl_pbt.store import Event, Run, write_durably, write_json

__all__ = [
    "History",
    "best_fitness_curve",
    "founders",
    "line_of_descent",
    "main",
    "read_history",
    "summarise",
    "terminal_summary",
    "write_report",
]

TOLERANCE = 0.005  # by which the frames that two methods spent may differ
# The chance that equal methods differ in the same direction on all of n seeds is 2^(1-n): below 5 % from 6 seeds on.
SEEDS_TO_CLAIM = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a report needs of a manifest."""

    status: str
    command: str
    commit: str | None
    env: str
    agent: str
    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    population: int
    frames: int
    interval: int
    fitness: str
    eval_episodes: int
    test_episodes: int
    frame_skip: int
    search: Mapping[str, str]
    random_returns: tuple[float, ...] = ()

    @classmethod
    def read(cls, run: Run) -> Setting:
        manifest = run.manifest()
        try:
            config = manifest["config"]
            same = ("env", "agent", "population", "frames", "interval", "fitness", "eval_episodes", "test_episodes")
            return cls(
                **{name: config[name] for name in same},
                methods=tuple(config["methods"]),
                seeds=tuple(config["seeds"]),
                # a plain number is a hyper that is held, not searched
                search={name: text for name, text in config["search"].items() if ":" in str(text)},
                frame_skip=config.get("frame_skip", 1),
                status=manifest["status"],
                command=manifest["command"],
                commit=manifest.get("commit"),
                random_returns=tuple((manifest.get("random_policy") or {}).get("returns", ())),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{run.manifest_path} is damaged or of another version: {error} is missing or wrong") from None

    @property
    def fitness_in_words(self) -> str:
        if self.fitness == "training":
            return "mean return of the training episodes that ended in the interval"
        return f"mean return of {self.eval_episodes} evaluation episodes"


Histories = dict[str, dict[int, History]]  # by method, by seed


def read_history(run: Run, method: str, seed: int) -> History:
    """What the ledger holds so far; empty where the method has not begun. Raises UserError, naming file and line."""
    ledger = run.ledger(method, seed)
    proposed: dict[int, Proposal] = {}
    trials: dict[int, Trial] = {}
    fields: dict[str, Any] = {}
    for line, event in enumerate(ledger.read(), start=1):
        try:
            _take(event, proposed, trials, fields)
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{ledger.path}, line {line} is damaged ({error}): restore the file from a copy") from None
    pending = tuple(proposal for proposal in proposed.values() if proposal.id not in trials)
    done = trials.values()
    return History(
        trials=tuple(trial for trial in done if trial.proposal.trains),
        play_off=tuple(trial for trial in done if not trial.proposal.trains),
        pending=pending,
        **fields,
    )


def _take(event: Event, proposed: dict[int, Proposal], trials: dict[int, Trial], fields: dict[str, Any]) -> None:
    match event["event"]:
        case "proposed":
            proposal = Proposal.from_json(event["proposal"])
            if proposal.parent is not None and proposal.parent not in trials:
                raise ValueError(f"parent {proposal.parent} of proposal {proposal.id} has no result")
            proposed[proposal.id] = proposal
        case "finished":
            result = Result.from_json(event["result"])
            trials[result.id] = Trial(proposal=proposed[result.id], result=result)
        case "chosen":
            if event["id"] is not None and event["id"] not in trials:
                raise ValueError(f"the chosen proposal {event['id']} has no result")
            fields["chosen"] = event["id"]
        case "tested":
            fields["test"] = Test.from_json(event["test"])
        case "ended":
            fields["ended"] = True
        case other:
            raise ValueError(f"unknown event {other!r}")


def _read(run: Run, setting: Setting) -> Histories:
    return {method: {seed: read_history(run, method, seed) for seed in setting.seeds} for method in setting.methods}


def summarise(run: Run) -> dict[str, JSON]:
    """The content of summary.json; the same manifest and ledgers give the same."""
    setting = Setting.read(run)
    return _summary(setting, _read(run, setting))


def _summary(setting: Setting, histories: Histories) -> dict[str, JSON]:
    first, *others = setting.methods
    comparisons: list[JSON] = [_comparison(setting, histories, first, other) for other in others]
    alone: JSON = {
        "refused": f"{first} is the only method",
        "verdict": f"No comparison: {first} is the only method.",
        "random_policy": _random_policy(setting, histories, [first]),
    }
    return {
        "env": setting.env,
        "agent": setting.agent,
        "status": setting.status,
        "command": setting.command,
        "commit": setting.commit,
        "seeds": list(setting.seeds),
        "population": setting.population,
        "fitness": setting.fitness,
        "frame_skip": setting.frame_skip,
        "methods": {method: _method(setting, by_seed) for method, by_seed in histories.items()},
        "comparison": comparisons[0] if comparisons else alone,
        "further_comparisons": comparisons[1:],
    }


def _method(setting: Setting, by_seed: dict[int, History]) -> dict[str, JSON]:
    returns = _test_returns(by_seed)
    return {
        "finished": all(history.ended for history in by_seed.values()),
        "cost": _cost(sum((history.cost for history in by_seed.values()), Cost())),
        "test_return": mean_of(returns).to_json() if returns else None,
        "iqm": iqm_of(returns).to_json() if returns else None,
        "seeds": {str(seed): _seed(setting, history) for seed, history in by_seed.items()},
    }


def _seed(setting: Setting, history: History) -> dict[str, JSON]:
    newest = max((trial.proposal.generation for trials in history.generations for trial in trials), default=None)
    return {
        "finished": history.ended,
        "budget_frames": setting.population * setting.frames,
        "cost": _cost(history.cost),
        "winner": _winner(history),
        "test_returns": list(history.test.returns) if history.test else [],
        "test_frames": history.test.frames if history.test else 0,
        "test_episodes_capped": history.test.capped if history.test else 0,
        "best_fitness_curve": [[frames, fitness] for frames, fitness in best_fitness_curve(history)],
        "surviving_founders": 0 if newest is None else founders(history, newest),
        "exploits": sum(trial.proposal.hypers_from is not None for trial in history.trials),
        "failures": sum(trial.result.failure is not None for trial in history.trials),
    }


def _cost(cost: Cost) -> dict[str, JSON]:
    return {
        "train_frames": cost.train_frames,
        "eval_frames": cost.eval_frames,
        "updates": cost.updates,
        "cpu_s": cost.cpu_s,
        "wall_s": cost.wall_s,
    }


def _winner(history: History) -> dict[str, JSON] | None:
    if history.chosen is None:
        return None
    trial = history.by_id[history.chosen]
    result = judged(history, history.chosen)
    return {
        "id": trial.proposal.id,
        "member": trial.proposal.member,
        "generation": trial.proposal.generation,
        "hypers": dict(trial.proposal.hypers),
        "fitness": result.fitness,
        "fitness_episodes": len(result.returns),
        "lineage_frames": trial.result.lineage_frames,
    }


def _test_returns(by_seed: Mapping[int, History]) -> list[tuple[float, ...]]:
    return [history.test.returns for history in by_seed.values() if history.test is not None and history.test.returns]


def _refusal(histories: Histories, first: str, second: str) -> str | None:
    """Why the two methods cannot be compared, or None."""
    for method in (first, second):
        for seed, history in histories[method].items():
            if not history.ended:
                return f"{method} is unfinished on seed {seed}"
            if history.chosen is None:
                return f"{method} has no winner on seed {seed}: every member failed"
            if history.test is None or not history.test.returns:
                return f"{method}'s winner on seed {seed} was not tested"
    one, other = (sum(history.cost.frames for history in histories[method].values()) for method in (first, second))
    if abs(one - other) > TOLERANCE * max(one, other):
        apart = f"{abs(one - other) / max(one, other):.1%}"
        return f"the budgets differ: {first} spent {one:,} frames and {second} {other:,}, {apart} apart"
    return None


def _comparison(setting: Setting, histories: Histories, first: str, second: str) -> dict[str, JSON]:
    refused = _refusal(histories, first, second)
    random_policy = _random_policy(setting, histories, [first, second])
    head: dict[str, JSON] = {"methods": [first, second], "refused": refused, "random_policy": random_policy}
    if refused is not None:
        return {**head, "verdict": f"No comparison: {refused}."}
    returns = {method: _test_returns(histories[method]) for method in (first, second)}
    difference = difference_of(returns[first], returns[second])
    return {
        **head,
        "mean_test_returns": {method: [mean_of([values]).value for values in returns[method]] for method in returns},
        "difference": difference.to_json(),
        "probability_of_improvement": improvement_of(returns[first], returns[second]).to_json(),
        "iqm": {method: iqm_of(returns[method]).to_json() for method in returns},
        "verdict": " ".join([_verdict(first, second, difference, len(setting.seeds)), *_caveats(setting, histories, returns)]),
    }


def _random_policy(setting: Setting, histories: Histories, methods: Sequence[str]) -> dict[str, JSON] | None:
    if not setting.random_returns:
        return None
    returns = {method: _test_returns(histories[method]) for method in methods}
    return {
        "mean": mean_of([setting.random_returns]).value,
        "episodes": len(setting.random_returns),
        "margins": {m: margin_of(r, setting.random_returns).to_json() if r else None for m, r in returns.items()},
    }


def _verdict(first: str, second: str, difference: Estimate, seeds: int) -> str:
    """What the difference allows to be said, in plain English."""
    better, worse = (first, second) if difference.value >= 0 else (second, first)
    over = f"over {seeds} seeds" if difference.unit == "seeds" else "over test episodes only"
    measured = f"{first} minus {second} is {difference.value:+.4g} in mean test return"
    if difference.interval is None:
        return f"No difference found: {measured}, and a single test episode gives no interval; test on more."
    measured += f" (95 % interval {difference.interval[0]:+.4g} to {difference.interval[1]:+.4g} {over})"
    if difference.unit == "episodes":
        few = (
            f"With {seeds} seed{'s' if seeds > 1 else ''} no interval over seeds can be given: this says nothing about "
            f"other seeds. Run {SEEDS_TO_CLAIM} seeds or more."
        )
        found = f"In this run {better}'s winner beat {worse}'s" if difference.sign else "No difference found"
        return f"{found}: {measured}. {few}"
    if not difference.sign:
        return f"No difference found: {measured}."
    if seeds < SEEDS_TO_CLAIM:
        chance = 2 ** (seeds - 1)
        return (
            f"{better} did better on these seeds: {measured}. {seeds} seeds are too few to claim it: two equal methods "
            f"would differ in one direction on all of them in 1 of {chance} comparisons. Run {SEEDS_TO_CLAIM} or more."
        )
    return f"{better} is better: {measured}."


def _caveats(setting: Setting, histories: Histories, returns: Mapping[str, list[tuple[float, ...]]]) -> list[str]:
    """What makes the difference mean little, whatever its interval."""
    caveats: list[str] = []
    if setting.random_returns:
        if all(margin_of(values, setting.random_returns).sign <= 0 for values in returns.values()):
            caveats.append(
                "The budget is too small for the difference to mean anything: neither method's winner is shown to be "
                "better than a random policy."
            )
    else:
        caveats.append("How a random policy does was not measured, so it is open whether anything was learnt.")
    trials = [trial for method in returns for history in histories[method].values() for trial in history.trials]
    if not any(trial.proposal.hypers_from is not None for trial in trials):
        caveats.append("No member was ever copied, so the methods did not differ in what they did.")
    return caveats


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def _value(value: object) -> str:
    if isinstance(value, dict):  # an estimate
        return f"{value['value']:.4g}"
    return "–" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _interval(estimate: Any) -> str:
    if estimate is None or estimate["interval"] is None:
        return "–"
    low, high = estimate["interval"]
    return f"{low:.4g} to {high:.4g} ({estimate['unit']})"


def _page(setting: Setting, summary: Mapping[str, Any], histories: Histories, figures: Sequence[str]) -> str:
    unfinished = "" if setting.status == "finished" else f"**This run is {setting.status}: what follows is what there is.**"
    parts = [
        f"# {setting.agent} on {setting.env}",
        unfinished,
        f"**{summary['comparison']['verdict']}**",
        *(f"**{comparison['verdict']}**" for comparison in summary["further_comparisons"]),
        _results(summary),
        _receipts(setting, summary),
        _measured(setting),
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
    margins = (summary["comparison"]["random_policy"] or {}).get("margins", {})
    rows: list[list[str]] = []
    for method, of_method in summary["methods"].items():
        winners = [seed["winner"] for seed in of_method["seeds"].values() if seed["winner"]]
        fitness = sum(winner["fitness"] for winner in winners) / len(winners) if winners else None
        estimates = [of_method["test_return"], of_method["iqm"], margins.get(method)]
        cells = [text for e in estimates for text in (_value(e), _interval(e))]
        rows.append([method, *cells, _value(fitness)])
    header = ["method", "mean test return", "95 % interval", "IQM", "95 % interval"]
    header += ["above the random policy", "95 % interval", "fitness of the winner (selected on, too high)"]
    return "## Test returns\n\n" + _table(header, rows)


def _receipts(setting: Setting, summary: Mapping[str, Any]) -> str:
    rows: list[list[str]] = []
    for method, of_method in summary["methods"].items():
        cost, seeds = of_method["cost"], of_method["seeds"].values()
        frames = [cost["train_frames"], cost["eval_frames"], cost["train_frames"] + cost["eval_frames"]]
        budget = sum(seed["budget_frames"] for seed in seeds)
        events = [sum(seed[name] for seed in seeds) for name in ("exploits", "failures")]
        numbers = [budget, *frames, cost["updates"]]
        rows.append([method, *(f"{n:,}" for n in numbers), f"{cost['cpu_s']:.1f}", f"{cost['wall_s']:.1f}", *map(str, events)])
    header = ["method", "budget, frames", "training frames", "evaluation frames", "frames spent", "updates"]
    header += ["CPU seconds", "wall seconds", "copies", "failures"]
    return f"## Receipts, all {len(setting.seeds)} seed(s) together\n\n" + _table(header, rows)


def _measured(setting: Setting) -> str:
    how = (
        f"Fitness is the {setting.fitness_in_words}; it favours short episodes and costs no frames."
        if setting.fitness == "training"
        else f"Fitness is the {setting.fitness_in_words}, played whole; a generation shares its seeds, "
        "and their frames are charged to the method."
    )
    text = (
        f"{how} The winner has the highest fitness at the end, so its fitness is too high an estimate; the test return "
        f"is the mean of {setting.test_episodes} episodes on seeds that nothing was selected on. One population run of "
        f"one seed is the independent unit: an interval over seeds needs {LEAST_SEEDS} of them. Frames are environment "
        f"frames; one action lasts {setting.frame_skip}. Generations are {setting.interval:,} frames a member."
    )
    commit = f", commit `{setting.commit}`" if setting.commit else ""
    return f"## How it was measured\n\n{text}\n\nMade by `{setting.command}`{commit}."


def _schedule(setting: Setting, name: str, history: History) -> str:
    if history.chosen is None:
        return f"### {name}\n\n" + ("Every member failed." if history.ended else "No winner yet.")
    trials = history.by_id
    line = [trials[ancestor] for ancestor in line_of_descent(history, history.chosen)]
    stages: list[list[Trial]] = []
    for trial in line:
        if stages and trial.proposal.hypers == stages[-1][-1].proposal.hypers and trial.proposal.hypers_from is None:
            stages[-1].append(trial)
        else:
            stages.append([trial])
    hypers = list(line[-1].proposal.hypers)
    final = ", ".join(f"{hyper} {_value(value)}" for hyper, value in line[-1].proposal.hypers.items())
    rows = [_stage(trials, stage) for stage in stages]
    told = f"Member {line[-1].proposal.member} won with {final}. Its line of descent:"
    table = _table(["generations", "training frames", "member", *hypers, "what changed"], rows)
    return f"### {name}\n\n{told}\n\n{table}"


def _stage(trials: Mapping[int, Trial], stage: Sequence[Trial]) -> list[str]:
    """One row: generations in which the agent trained on with the same hypers."""
    first, last = stage[0].proposal, stage[-1].proposal
    start = 0 if first.parent is None else trials[first.parent].result.lineage_frames
    generations = str(first.generation) if len(stage) == 1 else f"{first.generation}–{last.generation}"
    frames = f"{plots.human(start)}–{plots.human(stage[-1].result.lineage_frames)}"
    if first.parent is None:
        changed = "began"
    else:
        parent = trials[first.parent].proposal
        copied = f"member {first.member} copied {parent.member}; " if first.member != parent.member else ""
        changed = copied + (_changes(parent.hypers, first.hypers) or "same hypers")
    return [generations, frames, str(first.member), *map(_value, first.hypers.values()), changed]


def _changes(before: Hypers, after: Hypers) -> str:
    return ", ".join(f"{n} {_value(before[n])} → {_value(v)}" for n, v in after.items() if v != before[n])


def _draw(run: Run, setting: Setting, histories: Histories) -> list[str]:
    """Draw what there is to draw; the names of the files, relative to the run."""
    by_method = {method: list(by_seed.values()) for method, by_seed in histories.items()}
    names: list[str] = []

    def save(figure: Figure, name: str) -> None:
        names.append(f"plots/{name}.png")
        plots.save(figure, run.folder / names[-1])

    if any(history.generations for of_method in by_method.values() for history in of_method):
        save(plots.learning_curves(by_method, fitness=f"fitness: {setting.fitness_in_words}"), "learning_curves")
    if any(history.test is not None for of_method in by_method.values() for history in of_method):
        save(plots.winners_returns(by_method, random_policy=setting.random_returns), "test_returns")
    for method, by_seed in histories.items():
        for seed, history in by_seed.items():
            if history.trials:
                title = f"{setting.env}: {method}, seed {seed}"
                save(plots.schedules(history, setting.search, title=title), f"schedules-{method}-seed-{seed}")
                save(plots.family_tree(history, title=title), f"family-tree-{method}-seed-{seed}")
    return names


def write_report(run: Run) -> Path:
    """Write summary.json, summary.md and the plots; the path of summary.md."""
    setting = Setting.read(run)
    histories = _read(run, setting)
    summary = _summary(setting, histories)
    write_json(run.folder / "summary.json", summary)
    figures = _draw(run, setting, histories)
    page = run.folder / "summary.md"
    write_durably(page, _page(setting, summary, histories, figures).encode())
    return page


def terminal_summary(run: Run) -> str:
    """A few lines for the end of a run: each method's test return and cost, the verdict, where the page is."""
    summary: dict[str, Any] = summarise(run)
    lines: list[str] = []
    for method, of_method in summary["methods"].items():
        cost, tested = of_method["cost"], of_method["test_return"]
        frames = plots.human(cost["train_frames"] + cost["eval_frames"])
        lines.append(
            f"{method:8} mean test return {_value(tested)}, 95 % interval {_interval(tested)}; "
            f"{frames} frames, {cost['updates']:,} updates, {cost['wall_s']:.0f} s"
        )
    return "\n".join([*lines, summary["comparison"]["verdict"], f"report: {run.folder / 'summary.md'}"])


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m rl_pbt.report", description="Make the report of a run anew.")
    parser.add_argument("run", type=Path, help="the run's folder, which holds manifest.json")
    try:
        print(write_report(Run(parser.parse_args(argv).run)))
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
