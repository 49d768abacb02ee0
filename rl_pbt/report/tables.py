"""The tables and sentences of a report, before they become Markdown (`page`) or HTML (`web`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

from rl_pbt.errors import plain_text
from rl_pbt.records import Cost, Hypers, Trial
from rl_pbt.report.diagnostics import Diagnostics, typical_reliability
from rl_pbt.report.evidence import Evidence
from rl_pbt.report.statistics import LEAST_SEEDS, Estimate
from rl_pbt.report.summary import MethodSummary, Summary
from rl_pbt.store.descent import copies, winning_line
from rl_pbt.store.history import History
from rl_pbt.tasks.words import LONGEST_WORD, Words
from rl_pbt.text import NOTHING, counted, listed, readable, value_text

INTERVAL = "95 % interval"
ACCOUNTING = (
    "Worker seconds are the time that workers spent on training and evaluation, summed over workers. The method's CPU seconds "
    "are what the method itself needed to choose what to train, for example to fit a model; they are not charged to any budget. "
    "Training of weights from which no surviving member descends counts as discarded. The critical path is the longest chain of "
    "intervals in which each had to wait for the one before, however many machines there are; peak parallelism is the largest "
    "number of intervals under way at once. Both are shown for the seed where they are largest."
)

BESIDE = (
    "What else the task measured in the tests of the winners: means over each test, then over the seeds. None of it was used for "
    "selection."
)

DIAGNOSTICS = (
    "Reliability is the share of the variance of fitness that is between members and is not evaluation noise: the median over "
    "the generations of each half. Below 0.5, selection sees more noise than skill. Founders are the initial members that still "
    "have descendants. A hyperparameter's movement is along the winner's line of descent, as a share of its range on its own "
    "scale: first from the first value to the last, then between the two values farthest apart, out of what all perturbations "
    "together could reach. All columns but reliability are means over the seeds."
)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A header, and rows with as many cells."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def state_of(evidence: Evidence) -> str:
    """What a reader must know first about a run that is not finished; "" if it is."""
    unfinished = {"finished": "", "running": "In progress — partial results."}
    return unfinished.get(evidence.status, f"{evidence.status.capitalize()} — partial results.")


def failure_of(evidence: Evidence) -> str:
    """Why the run failed; "" if it did not."""
    failed = plain_text(evidence.manifest.reason or "")
    return failed and f"It failed: {failed}"


def results(summary: Summary) -> Table:
    """The test scores of each method."""
    words = summary.words
    # With fewer than four values nothing is cut off, and the interquartile mean is the mean except for last digits.
    trimmed = any(cells_of([one.iqm], words) != cells_of([one.test_return], words) for one in summary.methods.values())
    margins: dict[str, Estimate | None] = {}
    for comparison in summary.comparisons:
        margins |= comparison.baseline.margins if comparison.baseline else {}
    rows: list[list[str]] = []
    for name, method in summary.methods.items():
        estimates = [method.test_return]
        estimates += [method.iqm] if trimmed else []
        estimates += [margins.get(name)] if words.baseline and margins else []
        rows.append([name, *cells_of(estimates, words), value_text(_selection_fitness(method))])
    header = ["method", f"mean test {words.score}", INTERVAL, *(["IQM", INTERVAL] if trimmed else [])]
    header += [f"above the {words.baseline}", INTERVAL] if words.baseline and margins else []
    header.append("selection fitness (optimistically biased)")
    return Table(header=header, rows=rows)


def verdicts(summary: Summary) -> list[tuple[str, str]]:
    """For each comparison the verdict, and how much the two methods trained for; "" if the comparison was refused."""
    costs = {name: method.cost for name, method in summary.methods.items()}
    return [
        (one.verdict, trained({name: costs[name] for name in one.methods}, summary.words.short_units) if one.measured else "")
        for one in summary.comparisons
    ]


def trained(costs: Mapping[str, Cost], short_units: str) -> str:
    """How much of what methods spent went to training; `costs` are by method."""
    told = [f"{readable(cost.train_units)} for {name} ({cost.updates:,} updates)" for name, cost in costs.items()]
    spent = readable(max(cost.units for cost in costs.values()))
    return f"Of the {spent} {short_units} that each spent, training took {listed(told)}."


def compared(summary: Summary) -> Table | None:
    """All comparisons that were not refused; None if all were."""
    words = summary.words
    rows: list[list[str]] = []
    for comparison in summary.comparisons:
        if measured := comparison.measured:
            cells = cells_of([measured.difference, measured.probability_of_improvement], words)
            numbers = (measured.p_value, measured.p_value_corrected, measured.detectable_difference)
            which = " (primary contrast)" if comparison.family == "primary" else ""
            rows.append([" minus ".join(comparison.methods) + which, *cells, *map(value_text, numbers)])
    if not rows:
        return None
    header = ["methods", f"difference in mean test {words.score}", INTERVAL, "P(the first is better)", INTERVAL]
    header += ["p", "p, corrected", "difference found 4 times in 5"]
    return Table(header=header, rows=rows)


def beside(evidence: Evidence) -> Table | None:
    """What else was measured in the tests of the winners, as `BESIDE` explains; None if nothing was."""
    found = {
        method: [history.test.metrics for history in by_seed.values() if history.test is not None]
        for method, by_seed in evidence.histories.items()
    }
    names = list(dict.fromkeys(name for of_method in found.values() for of_seed in of_method for name in of_seed))
    if not names:
        return None
    rows = [
        [method, *(value_text(_mean(of_seed.get(name) for of_seed in of_method)) for name in names)]
        for method, of_method in found.items()
    ]
    return Table(header=["method", *(plain_text(name, LONGEST_WORD) for name in names)], rows=rows)


def accounting(summary: Summary) -> Table:
    """What each method spent, as `ACCOUNTING` explains."""
    units = summary.words.short_units
    rows: list[list[str]] = []
    for name, method in summary.methods.items():
        cost, seeds = method.cost, method.seeds.values()
        numbers = [
            method.budget,
            cost.train_units,
            cost.eval_units,
            cost.units,
            cost.updates,
            sum(seed.discarded_units for seed in seeds),
            max(seed.sequential_depth for seed in seeds),
            max(seed.sequential_units for seed in seeds),
            max(seed.peak_proposals for seed in seeds),
        ]
        seconds = [f"{cost.cpu_s:.1f}", f"{cost.wall_s:.1f}", f"{cost.method_s:.1f}"]
        events = [str(sum(seed.exploits for seed in seeds)), str(sum(seed.failures for seed in seeds))]
        rows.append([name, *(f"{number:,}" for number in numbers), *seconds, *events])
    header = ["method", f"budget, {units}", f"training {units}", f"evaluation {units}", f"{units} spent", "updates"]
    header += [f"discarded {units}", "critical path (intervals)", f"critical path ({units})", "peak parallelism"]
    header += ["CPU seconds", "worker seconds", "the method's CPU seconds", "copies", "failures"]
    return Table(header=header, rows=rows)


def accounting_note(summary: Summary) -> str:
    """`ACCOUNTING`, with the share of the CPU seconds that evaluation took, where that was measured."""
    costs = {name: method.cost for name, method in summary.methods.items()}
    shares = [f"{_percent(cost.eval_cpu_s / cost.cpu_s)} of those of {name}" for name, cost in costs.items() if cost.eval_cpu_s]
    return f"{ACCOUNTING} Of the CPU seconds, evaluation took {listed(shares)}." if shares else ACCOUNTING


def diagnostics(summary: Summary) -> Table:
    """How each method searched, as `DIAGNOSTICS` explains."""
    found = {name: [seed.diagnostics for seed in method.seeds.values()] for name, method in summary.methods.items()}
    hypers = list(dict.fromkeys(hyper for of_method in found.values() for one in of_method for hyper in one.movement))
    rows: list[list[str]] = []
    for name, method in summary.methods.items():
        reliability = [typical_reliability(found[name], second_half=half) for half in (False, True)]
        founders = [_mean(one.founders_at_half for one in found[name]), _mean(one.founders_at_end for one in found[name])]
        evaluation = method.cost.eval_units / method.cost.units if method.cost.units else None
        row = [name, *map(_two_decimals, reliability), *map(_three_digits, founders), _percent(evaluation)]
        rows.append(row + [_moved(found[name], method.reach, hyper) for hyper in hypers])
    header = ["method", "reliability of fitness, first half", "second half", "founders left halfway", "at the end"]
    header += [f"evaluation, share of {summary.words.short_units}", *(f"{hyper} moved" for hyper in hypers)]
    return Table(header=header, rows=rows)


def _moved(found: Sequence[Diagnostics], reach: Mapping[str, float] | None, hyper: str) -> str:
    movements = [one.movement[hyper] for one in found if hyper in one.movement]
    if not movements:
        return NOTHING
    net, span = _mean(movement.net for movement in movements), _mean(movement.span for movement in movements)
    return f"{_percent(net)}, {_percent(span)} of {_percent(reach[hyper])}" if reach else f"{_percent(net)}, {_percent(span)}"


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _two_decimals(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2f}"


def _three_digits(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3g}"


def _percent(share: float | None) -> str:
    return NOTHING if share is None else f"{100 * share:.0f} %"


def accounted(summary: Summary) -> str:
    """How many seeds the accounting covers, in words."""
    return "one seed" if len(summary.seeds) == 1 else f"all {len(summary.seeds)} seeds together"


def measuring(evidence: Evidence) -> str:
    """How fitness and test scores were measured."""
    config, words = evidence.config, evidence.words
    tested = counted(config.test_episodes, words.episode, words.episodes)
    return (
        f"Fitness is {evidence.evaluation}. The winner has the highest fitness at the end, so its fitness is optimistically "
        f"biased; the test {words.score} is the mean of {tested} on {words.held_out} that were not used for selection. The "
        f"independent unit is one population run, on one seed: an interval over seeds needs at least {LEAST_SEEDS} seeds. A "
        f"generation was planned as {config.interval:,} {words.units} per member, evaluation included{_trained_for(evidence)}."
    )


def _trained_for(evidence: Evidence) -> str:
    """The shortest and the longest training between two evaluations, in words."""
    lengths = {
        trial.proposal.units
        for by_seed in evidence.histories.values()
        for history in by_seed.values()
        for trial in history.trials
    }
    return f"; members trained for {min(lengths):,} to {max(lengths):,} at a time" if lengths else ""


def winner_of(history: History) -> str:
    """Which member won a search, and with which hyperparameters; or why none did."""
    if not (line := winning_line(history)):
        return "Every member failed." if history.ended else "No winner yet."
    winner = line[-1].proposal
    final_hypers = ", ".join(f"{hyper} {value_text(value)}" for hyper, value in winner.hypers.items())
    return f"Member {winner.member} won with {final_hypers}."


def descent(history: History, words: Words) -> Table | None:
    """The winner's line of descent, one row for each stretch in which nothing changed; None if there is no winner."""
    if not (line := winning_line(history)):
        return None
    rows = [_stage_row(history.by_id, stage) for stage in _stages(line, copies(history))]
    header = ["generations", f"training {words.short_units}", "member", *line[-1].proposal.hypers, "what changed"]
    return Table(header=header, rows=rows)


def _stages(line: Sequence[Trial], copied: set[int]) -> list[list[Trial]]:
    """The line of descent, split wherever something changed."""
    stages: list[list[Trial]] = []
    for trial in line:
        if stages and trial.proposal.hypers == stages[-1][-1].proposal.hypers and trial.proposal.id not in copied:
            stages[-1].append(trial)
        else:
            stages.append([trial])
    return stages


def _stage_row(trials: Mapping[int, Trial], stage: Sequence[Trial]) -> list[str]:
    """One row, for generations in which the member trained on with the same hyperparameters."""
    first, last = stage[0].proposal, stage[-1].proposal
    start = 0 if first.parent is None else trials[first.parent].result.lineage_units
    generations = str(first.generation) if len(stage) == 1 else f"{first.generation}–{last.generation}"
    units = f"{readable(start)}–{readable(stage[-1].result.lineage_units)}"
    if first.parent is None:
        changed = "began"
    else:
        parent = trials[first.parent].proposal
        copied = f"member {first.member} copied {parent.member}; " if first.member != parent.member else ""
        changed = copied + (_changes(parent.hypers, first.hypers) or "same hyperparameters")
    return [generations, units, str(first.member), *map(value_text, first.hypers.values()), changed]


def _changes(before: Hypers, after: Hypers) -> str:
    return ", ".join(f"{n} {value_text(before[n])} → {value_text(v)}" for n, v in after.items() if v != before[n])


def cells_of(estimates: Iterable[Estimate | None], words: Words) -> list[str]:
    """Two cells for each estimate, its value and its interval."""
    return [
        text
        for estimate in estimates
        for text in ((NOTHING, NOTHING) if estimate is None else (value_text(estimate.value), estimate.interval_text(words)))
    ]


def _selection_fitness(method: MethodSummary) -> float | None:
    """Mean over the seeds of the fitness by which the winners were chosen."""
    return _mean(seed.winner.fitness for seed in method.seeds.values() if seed.winner)
