"""Whether one method did better than another, and what bears on it; or why they cannot be compared.

A comparison is fair or it is refused: methods that are unfinished, or that spent different numbers of frames, are not
compared. The claims that a run makes together are wrong with a chance of 5 % at most, however many methods it compares.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import ceil, log2

from rl_pbt.config import RunConfig
from rl_pbt.history import History, line_of_descent
from rl_pbt.records import JSON, Cost
from rl_pbt.search import Plan
from rl_pbt.statistics import Estimate, difference_of, holm, improvement_of, iqm_of, margin_of, mean_of, p_value_of

Histories = dict[str, dict[int, History]]  # by method, by seed

ALPHA = 0.05
DEAR = 0.4  # share of the frames above which evaluation is worth a word
TOLERANCE = 0.005  # by which the frames that two methods spent may differ


def comparisons(config: RunConfig, histories: Histories, random_returns: Sequence[float]) -> list[dict[str, JSON]]:
    """The first method against each of the others."""
    first, *others = config.methods
    refused = {other: _refusal(histories, first, other) for other in others}
    fair = [other for other in others if refused[other] is None]
    of_first = returns_of(histories[first])
    p_values = {other: p_value_of(of_first, returns_of(histories[other])) for other in fair}
    known = {other: p_value for other, p_value in p_values.items() if p_value is not None}
    corrected = dict(zip(known, holm(list(known.values())), strict=True))
    found = []
    for other in others:
        two = {method: histories[method] for method in (first, other)}
        comparison: dict[str, JSON] = {
            "methods": [first, other],
            "refused": refused[other],
            "random_policy": above_the_random_policy(two, random_returns),
        }
        if refused[other] is not None:
            comparison["verdict"] = f"No comparison: {refused[other]}."
        else:
            comparison |= _compared(two, random_returns, corrected.get(other), len(fair))
            comparison["p_value"], comparison["p_value_corrected"] = p_values[other], corrected.get(other)
        found.append(comparison)
    return found


def returns_of(by_seed: Mapping[int, History]) -> list[tuple[float, ...]]:
    return [history.test.returns for history in by_seed.values() if history.test is not None and history.test.returns]


def above_the_random_policy(histories: Histories, random_returns: Sequence[float]) -> dict[str, JSON] | None:
    if not random_returns:
        return None
    returns = {method: returns_of(by_seed) for method, by_seed in histories.items()}
    return {
        "mean": mean_of([random_returns]).value,
        "episodes": len(random_returns),
        "margins": {m: margin_of(r, random_returns).to_json() if r else None for m, r in returns.items()},
    }


def caveats(config: RunConfig, histories: Histories, random_returns: Sequence[float]) -> Iterator[str]:
    """What makes all results mean less, and what to do about it."""
    if not random_returns:
        yield "How a random policy does was not measured, so it is open whether anything was learnt."
    costs = {method: sum((history.cost for history in of.values()), Cost()) for method, of in histories.items()}
    if dear := [method for method, cost in costs.items() if cost.eval_frames > DEAR * cost.frames]:
        yield (
            f"Evaluation took more than {DEAR:.0%} of the frames of {_listed(dear)}: a longer --interval or fewer "
            "--eval-episodes would leave more to learn from."
        )
    planned = Plan(population=config.population, frames_per_member=config.frames, interval=config.interval).generations
    fewest = {method: min(_generations(history, config, planned) for history in of.values()) for method, of in histories.items()}
    if short := [f"{method} {generations}" for method, generations in fewest.items() if generations < planned]:
        yield f"Of {planned} planned generations, evaluation left the frames for fewer: {', '.join(short)}."


def _generations(history: History, config: RunConfig, planned: int) -> int:
    """How many there were; `planned`, where that is not known yet or the method has none: it does not wait for all members."""
    in_step = history.ended and all(len(of_round) == config.population for of_round in history.rounds)
    return len(history.rounds) if in_step else planned


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _refusal(histories: Histories, first: str, second: str) -> str | None:
    """Why the two methods cannot be compared, and what would help; or None."""
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
        return (
            f"the budgets differ: {first} spent {one:,} frames and {second} {other:,}, {abs(one - other) / max(one, other):.1%} "
            "apart. More --frames, or fewer --eval-episodes, make what the last evaluation costs matter less"
        )
    return None


def _compared(histories: Histories, random_returns: Sequence[float], corrected: float | None, together: int) -> dict[str, JSON]:
    """Two methods, first and second; `corrected` is the p value, corrected for all that are compared `together`."""
    returns = {method: returns_of(by_seed) for method, by_seed in histories.items()}
    first, second = returns
    difference = difference_of(returns[first], returns[second])
    verdict = _verdict(first, second, difference, len(returns[first]), corrected, together)
    return {
        "mean_test_returns": {method: [mean_of([values]).value for values in of_method] for method, of_method in returns.items()},
        "difference": difference.to_json(),
        "probability_of_improvement": improvement_of(returns[first], returns[second]).to_json(),
        "iqm": {method: iqm_of(of_method).to_json() for method, of_method in returns.items()},
        "verdict": " ".join([verdict, *_remarks(histories, random_returns)]),
    }


def seeds_to_claim(together: int) -> int:
    """Equal methods differ in one direction on all of n seeds with chance 2^(1-n): fewer seeds than these can show nothing."""
    return 1 + ceil(log2(together / ALPHA))


def _verdict(first: str, second: str, difference: Estimate, seeds: int, corrected: float | None, together: int) -> str:
    """What the difference allows to be said, in plain English."""
    better, worse = (first, second) if difference.value >= 0 else (second, first)
    over = f"over {seeds} seeds" if difference.unit == "seeds" else "over test episodes only"
    measured = f"{first} minus {second} is {difference.value:+.4g} in mean test return"
    if difference.interval is None:
        return f"No difference found: {measured}, and a single test episode gives no interval; test on more."
    measured += f" (95 % interval {difference.interval[0]:+.4g} to {difference.interval[1]:+.4g} {over})"
    needed = seeds_to_claim(together)
    if corrected is None:
        few = (
            f"With {seeds} seed{'s' if seeds > 1 else ''} no interval over seeds can be given: this says nothing about "
            f"other seeds. Run {needed} seeds or more."
        )
        found = f"In this run {better}'s winner beat {worse}'s" if difference.sign else "No difference found"
        return f"{found}: {measured}. {few}"
    if not difference.sign:
        return f"No difference found: {measured}."
    of_many = f", corrected for {together} comparisons" if together > 1 else ""
    if seeds < needed:
        return (
            f"{better} did better on these seeds: {measured}. {seeds} seeds are too few to claim it: two equal methods "
            f"would differ in one direction on all of them in 1 of {2 ** (seeds - 1)} comparisons"
            f"{f', and here are {together}' if together > 1 else ''}. Run {needed} or more."
        )
    if corrected >= ALPHA:
        return (
            f"{better} did better on these seeds: {measured}. It is not enough to claim it: a permutation test gives p = "
            f"{corrected:.2g}{of_many}."
        )
    return f"{better} is better: {measured}, p = {corrected:.2g}{of_many}."


def _remarks(histories: Histories, random_returns: Sequence[float]) -> Iterator[str]:
    """What makes the difference of two methods mean little, whatever its interval."""
    if random_returns and all(margin_of(returns_of(of), random_returns).sign <= 0 for of in histories.values()):
        yield (
            "The budget is too small for the difference to mean anything: neither method's winner is shown to be "
            "better than a random policy."
        )
    one, other = histories.values()
    same = [str(seed) for seed in one if _life(one[seed]) == _life(other[seed])]
    if all(_work(one[seed]) == _work(other[seed]) for seed in one):
        yield "No member was ever copied, so the methods did not differ in what they did."
    elif same:
        yield f"Both chose the very same agent on {'every seed' if len(same) == len(one) else 'seed ' + _listed(same)}."


def _work(history: History) -> list[tuple[JSON, ...]]:
    """All that a method asked to be trained."""
    proposals = [trial.proposal for trial in history.trials]
    return [(p.member, p.generation, dict(p.hypers), p.parent, p.frames) for p in proposals]


def _life(history: History) -> list[tuple[JSON, ...]]:
    """Everything that the winner is a function of, along its line of descent: streams are keyed by member and generation."""
    assert history.chosen is not None
    proposals = [history.by_id[ancestor].proposal for ancestor in line_of_descent(history, history.chosen)]
    return [(p.member, p.generation, dict(p.hypers), p.frames) for p in proposals]
