"""Whether one method did better than another, and what weakens that result; or why they cannot be compared.

A comparison is fair or it is refused: methods that are unfinished, or that spent different numbers of units, are not compared.
The primary contrast, if one was declared, claims a difference between equal methods with a probability of at most 5 %. So do all
other comparisons of a run together, however many there are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from rl_pbt.config import RunConfig
from rl_pbt.errors import plain_text
from rl_pbt.records import JSON, Cost
from rl_pbt.report.bounds import at_bounds
from rl_pbt.report.chance import Chance, Family, Samples, chances
from rl_pbt.report.diagnostics import Diagnostics
from rl_pbt.report.evidence import BUDGET_TOLERANCE, Evidence, Histories, budgets_differ, differ, returns_of, total_cost
from rl_pbt.report.selection import of_selection
from rl_pbt.report.statistics import Estimate, difference_of, improvement_of, iqm_of, margin_of, mean_of
from rl_pbt.report.summary import BaselineMargins, Comparison, Measured
from rl_pbt.report.verdict import verdict_of
from rl_pbt.search import Plan
from rl_pbt.store.descent import winning_line
from rl_pbt.store.history import History
from rl_pbt.tasks.words import Words
from rl_pbt.text import listed, readable, told_apart

COSTLY_SHARE = 0.4  # of all units; if evaluation takes more, there is a caveat
TRAINING_TOLERANCE = 0.05  # share by which the units that they trained for may differ without a caveat
OF_A_SUITE = (
    "This run is a cell of a suite, and p values are not corrected for the other cells: what may be claimed over all cells, "
    "and in which of them, is on the suite's page."
)
Methods: TypeAlias = tuple[str, str]


def comparisons(evidence: Evidence, against: str | None = None) -> list[Comparison]:
    """The primary contrast, and the reference against each of the others; for a run with one method, one that says so.

    `against` another method than the run's reference is a second look, unless there are only two. Raises BadSetting for a method
    that the run does not have.
    """
    planned = contrasts(evidence.config, against)
    if not planned:
        return [_refused(evidence, (), f"{evidence.config.methods[0]} is the only method")]
    refusals = {methods: _refusal(evidence, *methods) for methods in planned}
    returns = {method: returns_of(by_seed) for method, by_seed in evidence.histories.items()}
    fair = {methods: family for methods, family in planned.items() if refusals[methods] is None}
    found: dict[Methods, Chance] = {}
    for family in dict.fromkeys(fair.values()):
        pairs = [methods for methods in fair if fair[methods] == family]
        found |= chances({(one, other): Samples(first=returns[one], second=returns[other]) for one, other in pairs}, family)
    return [
        _refused(evidence, methods, refusal, family)
        if (refusal := refusals[methods]) is not None
        else _compared(evidence, methods, found[methods])
        for methods, family in planned.items()
    ]


def contrasts(config: RunConfig, against: str | None = None) -> dict[Methods, Family]:
    """The pairs of methods that are compared, the primary contrast first, with the family of claims that each belongs to."""
    chosen = config if against is None else replace(config, against=against)
    primary, reference = config.primary_contrast, chosen.reference
    others: Family = "second look" if is_second_look(config, against) else "further" if primary else "all"
    planned: dict[Methods, Family] = {primary: "primary"} if primary else {}
    pairs = [(reference, method) for method in config.methods if method != reference]
    return planned | {pair: others for pair in pairs if set(pair) != set(primary or ())}


def is_second_look(config: RunConfig, against: str | None) -> bool:
    """Whether the methods are compared with another one than the run did. Of two methods there is one comparison, either way."""
    return against not in (None, config.reference) and len(config.methods) > 2


def caveats(evidence: Evidence, diagnostics: Mapping[str, Sequence[Diagnostics]], against: str | None = None) -> Iterator[str]:
    """What weakens all results, and what to do about it, in sentences; `diagnostics` has one entry per seed for each method."""
    config, words = evidence.config, evidence.words
    if is_second_look(config, against):
        yield (
            f"This is a second look: the others are compared with {against}, but the run had compared them with "
            f"{config.reference}. When the reference is chosen after seeing the results, p values are too small."
        )
    if evidence.of_a_suite:
        yield OF_A_SUITE
    if words.baseline and evidence.manifest.baseline is None:
        yet = "" if evidence.status == "finished" else " yet"
        yield f"The {words.baseline} was not measured{yet}, so it is unknown whether anything was learned."
    yield from evidence.cautions
    yield from _not_held_out(evidence)
    yield from _left_out_of_tests(evidence)
    yield from at_bounds(evidence)
    yield from of_selection(evidence, diagnostics)
    if earlier := evidence.manifest.extended_from:
        budgets = ", ".join(f"{budget:,}" for budget in earlier)
        yield f"A member's budget was extended from {budgets} to {config.budget:,} {words.units}, after the methods had ended."
    if restored := sum(session.restored_units for session in evidence.manifest.sessions):
        yield f"Recomputing lost checkpoints took another {restored:,} {words.units}, which are not charged to any budget."
    costs = {method: total_cost(by_seed) for method, by_seed in evidence.histories.items()}
    if costly := [method for method, cost in costs.items() if cost.eval_units > COSTLY_SHARE * cost.units]:
        yield (
            f"Evaluation took more than {COSTLY_SHARE:.0%} of the {words.units} of {listed(costly)}: a longer interval or less "
            "evaluation would leave more for training."
        )
    yield from _unequal_training(contrasts(config, against), costs, words)
    planned = Plan.nominal(config).generations
    fewest = {
        method: min(_generations(history, config.population, planned) for history in by_seed.values())
        for method, by_seed in evidence.histories.items()
    }
    if short := [f"{method} {generations}" for method, generations in fewest.items() if generations < planned]:
        yield (
            f"Evaluation used part of the budget, so fewer than the {planned} planned generations were trained: "
            f"{', '.join(short)}."
        )


def _unequal_training(compared: Collection[Methods], costs: Mapping[str, Cost], words: Words) -> Iterator[str]:
    """A sentence on methods that are compared and spent equal budgets, but trained for different shares of them."""
    unlike = [(one, other) for one, other in compared if _trained_unequally(costs[one], costs[other])]
    if unlike:
        methods = dict.fromkeys(method for pair in unlike for method in pair)
        first, *others = [f"{method} on {readable(costs[method].train_units)}" for method in methods]
        yield f"At equal cost, the methods trained on different numbers of {words.units}: {first}, {listed(others)}."


def _trained_unequally(one: Cost, other: Cost) -> bool:
    return not budgets_differ(one.units, other.units) and differ(one.train_units, other.train_units, TRAINING_TOLERANCE)


def _not_held_out(evidence: Evidence) -> Iterator[str]:
    """A sentence on what a test means that was the evaluation itself with other seeds."""
    tests = [history.test for by_seed in evidence.histories.values() for history in by_seed.values() if history.test]
    if not any(not test.held_out for test in tests):
        return
    if all(len(set(test.returns)) == 1 for test in tests if len(test.returns) > 1) and any(len(t.returns) > 1 for t in tests):
        yield (
            f"All test {evidence.words.episodes} of a winner gave the same {evidence.words.score}: the evaluation does not "
            "depend on its seed, so winners were tested on the data they were selected on, and the test is optimistically biased."
        )
    else:
        yield (
            "The training has no separate test, so winners were evaluated with new seeds: the test is held out only if the seed "
            "determines the data."
        )


def _left_out_of_tests(evidence: Evidence) -> Iterator[str]:
    """A sentence on test episodes that gave no score."""
    tests = [history.test for by_seed in evidence.histories.values() for history in by_seed.values() if history.test]
    several = evidence.words.episodes
    if excluded := sum(test.excluded for test in tests):
        first = plain_text(next(test.failure for test in tests if test.excluded) or "for a reason that is not known")
        whole = excluded + sum(len(test.returns) for test in tests)
        yield f"{excluded:,} of {whole:,} test {several} gave no {evidence.words.score} and are left out: {first}."


def _generations(history: History, population: int, planned: int) -> int:
    """The number of generations; `planned` if it is not known yet, or if the method does not wait for all members."""
    in_step = history.ended and all(len(trials) == population for trials in history.rounds)
    return len(history.rounds) if in_step else planned


def _refusal(evidence: Evidence, first: str, second: str) -> str | None:
    """Why the two methods cannot be compared, and what would help; or None."""
    for method in (first, second):
        if untested := without_a_test(method, evidence.histories[method]):
            return untested
    one, other = (total_cost(evidence.histories[method]).units for method in (first, second))
    return unequal_budgets((first, second), one, other, evidence.words)


def without_a_test(method: str, by_seed: Histories) -> str | None:
    """Why a method has no score to compare on one of its seeds; None if it has one on all."""
    for seed, history in by_seed.items():
        if not history.ended:
            return f"{method} is unfinished on seed {seed}"
        if history.chosen is None:
            return f"{method} has no winner on seed {seed}: every member failed"
        if history.test is None or not history.test.returns:
            return f"{method}'s winner on seed {seed} was not tested"
    return None


def unequal_budgets(methods: tuple[str, str], one: int, other: int, words: Words) -> str | None:
    """Why methods that spent `one` and `other` units cannot be compared, and what would help; or None."""
    if not budgets_differ(one, other):
        return None
    apart = told_apart(abs(one - other) / max(one, other), BUDGET_TOLERANCE, "%", 1)
    return (
        f"the budgets differ: {methods[0]} spent {one:,} {words.units} and {methods[1]} {other:,}, {apart} apart. "
        "With a larger budget, or less evaluation, the cost of the last evaluation matters less"
    )


def _refused(evidence: Evidence, methods: tuple[str, ...], refusal: str, family: Family = "all") -> Comparison:
    return Comparison(
        methods=methods,
        family=family,
        refused=refusal,
        verdict=f"No comparison: {refusal}.",
        baseline=_margins(evidence, methods or evidence.config.methods),
        measured=None,
    )


def _margins(evidence: Evidence, methods: Sequence[str]) -> BaselineMargins | None:
    baseline = evidence.baseline
    if not baseline:
        return None
    returns = {method: returns_of(evidence.histories[method]) for method in methods}
    return BaselineMargins(
        mean=mean_of([baseline]).value,
        episodes=len(baseline),
        margins={method: margin_of(values, baseline) if values else None for method, values in returns.items()},
    )


def _compared(evidence: Evidence, methods: Methods, chance: Chance) -> Comparison:
    histories = {method: evidence.histories[method] for method in methods}
    returns = {method: returns_of(by_seed) for method, by_seed in histories.items()}
    first, second = returns.values()
    difference = difference_of(first, second)
    margins = _margins(evidence, methods)
    told = [verdict_of(methods, difference, chance, evidence.words), *_remarks(histories, margins, evidence.words)]
    return Comparison(
        methods=methods,
        family=chance.family,
        refused=None,
        verdict=" ".join(told),
        baseline=margins,
        measured=Measured(
            mean_test_returns={
                method: tuple(mean_of([episodes]).value for episodes in by_seed) for method, by_seed in returns.items()
            },
            difference=difference,
            probability_of_improvement=improvement_of(first, second),
            iqm={method: iqm_of(by_seed) for method, by_seed in returns.items()},
            p_value=chance.p_value,
            p_value_corrected=chance.corrected,
            detectable_difference=chance.detectable,
        ),
    )


def _remarks(histories: Mapping[str, Histories], margins: BaselineMargins | None, words: Words) -> Iterator[str]:
    """Sentences on what makes the difference between two methods mean little, whatever its interval."""
    if margins and not any(margin is None or _is_above(margin) for margin in margins.margins.values()):
        yield (
            "The budget is too small for the difference to mean anything: neither method's winner is shown to be "
            f"better than the {words.baseline}."
        )
    one, other = histories.values()
    same = [str(seed) for seed in one if _life(one[seed]) == _life(other[seed])]
    if all(_work(one[seed]) == _work(other[seed]) for seed in one):
        yield "No member was ever copied, so the methods did exactly the same."
    elif all(_choices(one[seed]) == _choices(other[seed]) for seed in one):
        yield "No member was ever copied, so the methods differed only in how much of their budget went to training."
    elif same:
        yield f"Both chose the very same member on {'every seed' if len(same) == len(one) else 'seed ' + listed(same)}."


def _is_above(margin: Estimate) -> bool:
    """Whether a margin is shown to be above 0. Without an interval, as between two single evaluations, it is what it is."""
    return margin.value > 0 if margin.interval is None else margin.sign > 0


def _work(history: History) -> list[tuple[JSON, ...]]:
    """All training that a method asked for."""
    proposals = [trial.proposal for trial in history.trials]
    return [(p.member, p.generation, dict(p.hypers), p.parent, p.units) for p in proposals]


def _choices(history: History) -> list[tuple[JSON, ...]]:
    """The same without the units."""
    return [work[:-1] for work in _work(history)]


def _life(history: History) -> list[tuple[JSON, ...]]:
    """Everything that determines the winner, along its line of descent: random streams are keyed by member and generation."""
    proposals = [trial.proposal for trial in winning_line(history)]
    return [(p.member, p.generation, dict(p.hypers), p.units) for p in proposals]
