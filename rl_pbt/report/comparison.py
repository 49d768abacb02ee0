"""Whether one method did better than another, and what bears on it; or why they cannot be compared.

A comparison is fair or it is refused: methods that are unfinished, or that spent different numbers of units, are not
compared. The claims that a run makes together are wrong with a chance of 5 % at most, however many methods it compares.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rl_pbt.errors import plain_text
from rl_pbt.records import JSON, Cost
from rl_pbt.report.bounds import at_bounds
from rl_pbt.report.evidence import Evidence, Histories, returns_of, total_cost
from rl_pbt.report.statistics import difference_of, holm, improvement_of, iqm_of, margin_of, mean_of, p_value_of
from rl_pbt.report.summary import BaselineMargins, Comparison, Measured
from rl_pbt.report.verdict import Chance, verdict_of
from rl_pbt.search import Plan
from rl_pbt.store.history import History, winning_line
from rl_pbt.tasks.base import Words
from rl_pbt.text import listed, readable

COSTLY_SHARE = 0.4  # of the units, above which evaluation is worth a caveat
BUDGET_TOLERANCE = 0.005  # by which the units that two methods spent may differ
TRAINING_TOLERANCE = 0.05  # by which those that they trained for may differ before that is worth a caveat


def comparisons(evidence: Evidence) -> list[Comparison]:
    """The first method against each of the others; of a run of one method, one that says so."""
    first, *others = evidence.config.methods
    if not others:
        return [_refused(evidence, (), f"{first} is the only method")]
    refusals = {other: _refusal(evidence, first, other) for other in others}
    fair = [other for other in others if refusals[other] is None]
    returns = {method: returns_of(by_seed) for method, by_seed in evidence.histories.items()}
    p_values = {other: p_value_of(returns[first], returns[other]) for other in fair}
    known = {other: p_value for other, p_value in p_values.items() if p_value is not None}
    corrected = dict(zip(known, holm(list(known.values())), strict=True))
    return [
        _refused(evidence, (first, other), refusal)
        if (refusal := refusals[other]) is not None
        else _compared(evidence, first, other, _chance(evidence, p_values[other], corrected.get(other), len(fair)))
        for other in others
    ]


def caveats(evidence: Evidence) -> Iterator[str]:
    """What weakens all results, and what to do about it."""
    config, words = evidence.config, evidence.words
    if words.baseline and evidence.manifest.baseline is None:
        yet = "" if evidence.status == "finished" else " yet"
        yield f"The {words.baseline} was not measured{yet}, so it is unknown whether anything was learned."
    yield from evidence.cautions
    yield from _not_held_out(evidence)
    yield from _left_out_of_tests(evidence)
    yield from at_bounds(evidence)
    if earlier := evidence.manifest.extended_from:
        budgets = ", ".join(f"{budget:,}" for budget in earlier)
        yield f"A member's budget was extended from {budgets} to {config.budget:,} {words.units}, whenever a method had ended."
    if restored := sum(session.restored_units for session in evidence.manifest.sessions):
        yield f"{restored:,} {words.units} were trained for again, since checkpoints were lost: no budget holds them."
    costs = {method: total_cost(by_seed) for method, by_seed in evidence.histories.items()}
    if costly := [method for method, cost in costs.items() if cost.eval_units > COSTLY_SHARE * cost.units]:
        yield (
            f"Evaluation took more than {COSTLY_SHARE:.0%} of the {words.units} of {listed(costly)}: a longer interval or less "
            "evaluation would leave more to learn from."
        )
    yield from _unequal_training(costs, words)
    planned = Plan(population=config.population, budget_per_member=config.budget, interval=config.interval).generations
    fewest = {
        method: min(_generations(history, config.population, planned) for history in by_seed.values())
        for method, by_seed in evidence.histories.items()
    }
    if short := [f"{method} {generations}" for method, generations in fewest.items() if generations < planned]:
        yield (
            f"Evaluation used part of the budget, so fewer than the {planned} planned generations were trained: "
            f"{', '.join(short)}."
        )


def _unequal_training(costs: Mapping[str, Cost], words: Words) -> Iterator[str]:
    """What the account leaves open: methods spend as much, and learn from more or less of it."""
    (first, own), *others = costs.items()
    unlike = {
        name: cost.train_units
        for name, cost in others
        if not budgets_differ(own.units, cost.units) and _differ(own.train_units, cost.train_units, TRAINING_TOLERANCE)
    }
    if unlike:
        trained = [f"{name} for {readable(units)}" for name, units in unlike.items()]
        yield (
            f"Methods that spent as much learned from different numbers of {words.units}: {first} trained for "
            f"{readable(own.train_units)}, {listed(trained)}."
        )


def _not_held_out(evidence: Evidence) -> Iterator[str]:
    """What a test says that was the evaluation itself, with other seeds."""
    tests = [history.test for by_seed in evidence.histories.values() for history in by_seed.values() if history.test]
    if not any(not test.held_out for test in tests):
        return
    if all(len(set(test.returns)) == 1 for test in tests if len(test.returns) > 1) and any(len(t.returns) > 1 for t in tests):
        yield (
            f"Each winner's test {evidence.words.episodes} gave one and the same {evidence.words.score}: the evaluation does not "
            f"depend on its seed, so the test is on the data that winners were selected on, and is optimistically biased."
        )
    else:
        yield (
            "The training has no test of its own, so winners were evaluated with new seeds: that is held out only if the seed "
            "chooses the data."
        )


def _left_out_of_tests(evidence: Evidence) -> Iterator[str]:
    """Episodes of tests that gave no score."""
    tests = [history.test for by_seed in evidence.histories.values() for history in by_seed.values() if history.test]
    several = evidence.words.episodes
    if excluded := sum(test.excluded for test in tests):
        first = plain_text(next(test.failure for test in tests if test.excluded) or "for a reason that is not known")
        whole = excluded + sum(len(test.returns) for test in tests)
        yield f"{excluded:,} of {whole:,} test {several} gave no {evidence.words.score} and are left out: {first}."


def _generations(history: History, population: int, planned: int) -> int:
    """How many there were; `planned`, where that is not known yet or the method has none: it does not wait for all members."""
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
    """Why a method has no score to compare on one of its seeds; or None."""
    for seed, history in by_seed.items():
        if not history.ended:
            return f"{method} is unfinished on seed {seed}"
        if history.chosen is None:
            return f"{method} has no winner on seed {seed}: every member failed"
        if history.test is None or not history.test.returns:
            return f"{method}'s winner on seed {seed} was not tested"
    return None


def unequal_budgets(methods: tuple[str, str], one: int, other: int, words: Words) -> str | None:
    """Why methods that spent so much each cannot be compared, and what would help; or None."""
    if not budgets_differ(one, other):
        return None
    return (
        f"the budgets differ: {methods[0]} spent {one:,} {words.units} and {methods[1]} {other:,}, "
        f"{abs(one - other) / max(one, other):.1%} apart. A larger budget, or less evaluation, makes what the last "
        "evaluation costs matter less"
    )


def budgets_differ(one: float, other: float) -> bool:
    """By more than is bound to remain."""
    return _differ(one, other, BUDGET_TOLERANCE)


def _differ(one: float, other: float, tolerance: float) -> bool:
    return abs(one - other) > tolerance * max(one, other)


def _refused(evidence: Evidence, methods: tuple[str, ...], refusal: str) -> Comparison:
    return Comparison(
        methods=methods,
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


def _chance(evidence: Evidence, p_value: float | None, corrected: float | None, together: int) -> Chance:
    return Chance(p_value=p_value, corrected=corrected, together=together, seeds=(len(evidence.config.seeds),))


def _compared(evidence: Evidence, first: str, second: str, chance: Chance) -> Comparison:
    histories = {method: evidence.histories[method] for method in (first, second)}
    returns = {method: returns_of(by_seed) for method, by_seed in histories.items()}
    difference = difference_of(returns[first], returns[second])
    margins = _margins(evidence, (first, second))
    return Comparison(
        methods=(first, second),
        refused=None,
        verdict=" ".join(
            [verdict_of((first, second), difference, chance, evidence.words), *_remarks(histories, margins, evidence.words)]
        ),
        baseline=margins,
        measured=Measured(
            mean_test_returns={
                method: tuple(mean_of([episodes]).value for episodes in by_seed) for method, by_seed in returns.items()
            },
            difference=difference,
            probability_of_improvement=improvement_of(returns[first], returns[second]),
            iqm={method: iqm_of(by_seed) for method, by_seed in returns.items()},
            p_value=chance.p_value,
            p_value_corrected=chance.corrected,
        ),
    )


def _remarks(histories: Mapping[str, Histories], margins: BaselineMargins | None, words: Words) -> Iterator[str]:
    """What makes the difference between two methods mean little, whatever its interval."""
    if margins and all(margin is not None and margin.sign <= 0 for margin in margins.margins.values()):
        yield (
            "The budget is too small for the difference to mean anything: neither method's winner is shown to be "
            f"better than the {words.baseline}."
        )
    one, other = histories.values()
    same = [str(seed) for seed in one if _life(one[seed]) == _life(other[seed])]
    if all(_work(one[seed]) == _work(other[seed]) for seed in one):
        yield "No member was ever copied, so the methods did not differ in what they did."
    elif all(_choices(one[seed]) == _choices(other[seed]) for seed in one):
        yield "No member was ever copied, so the methods differed in nothing but how much of their budget members trained for."
    elif same:
        yield f"Both chose the very same member on {'every seed' if len(same) == len(one) else 'seed ' + listed(same)}."


def _work(history: History) -> list[tuple[JSON, ...]]:
    """All that a method asked to be trained."""
    proposals = [trial.proposal for trial in history.trials]
    return [(p.member, p.generation, dict(p.hypers), p.parent, p.units) for p in proposals]


def _choices(history: History) -> list[tuple[JSON, ...]]:
    """The same, for however many units."""
    return [work[:-1] for work in _work(history)]


def _life(history: History) -> list[tuple[JSON, ...]]:
    """Everything that the winner is a function of, along its line of descent: streams are keyed by member and generation."""
    proposals = [trial.proposal for trial in winning_line(history)]
    return [(p.member, p.generation, dict(p.hypers), p.units) for p in proposals]
