"""`summary.json`: what came of a run, from the manifest and the ledgers alone. Its fields are explained in docs/summary.md.

A comparison is fair or it is refused: methods that are unfinished, or that spent different numbers of frames, are not
compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rl_pbt.config import RunConfig
from rl_pbt.history import History, best_fitness_curve, copies, founders, judged, parallelism, read_history, survivors
from rl_pbt.records import JSON, Cost, UserError
from rl_pbt.statistics import Estimate, difference_of, improvement_of, iqm_of, margin_of, mean_of
from rl_pbt.store import Run

DEAR = 0.4  # share of the frames above which evaluation is worth a word
TOLERANCE = 0.005  # by which the frames that two methods spent may differ
# The chance that equal methods differ in the same direction on all of n seeds is 2^(1-n): below 5 % from 6 seeds on.
SEEDS_TO_CLAIM = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a report needs of a manifest."""

    config: RunConfig
    status: str
    command: str
    commit: str | None
    random_returns: tuple[float, ...] = ()

    @classmethod
    def read(cls, run: Run) -> Setting:
        manifest = run.manifest()
        try:
            return cls(
                config=RunConfig.from_json(manifest["config"]),
                status=manifest["status"],
                command=manifest["command"],
                commit=manifest.get("commit"),
                random_returns=tuple((manifest.get("random_policy") or {}).get("returns", ())),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{run.manifest_path} is damaged or of another version: {error} is missing or wrong") from None

    @property
    def fitness_in_words(self) -> str:
        if self.config.fitness == "training":
            return "mean return of the training episodes that ended in the interval"
        return f"mean return of {self.config.eval_episodes} evaluation episodes"


Histories = dict[str, dict[int, History]]  # by method, by seed


def read_histories(run: Run, setting: Setting) -> Histories:
    return {method: {seed: read_history(run, method, seed) for seed in setting.config.seeds} for method in setting.config.methods}


def summary_of(setting: Setting, histories: Histories) -> dict[str, JSON]:
    """The content of summary.json; the same manifest and ledgers give the same."""
    first, *others = setting.config.methods
    comparisons: list[JSON] = [_comparison(setting, histories, first, other) for other in others]
    alone: JSON = {
        "refused": f"{first} is the only method",
        "verdict": f"No comparison: {first} is the only method.",
        "random_policy": _random_policy(setting, histories, [first]),
    }
    return {
        "env": setting.config.env,
        "agent": setting.config.agent,
        "status": setting.status,
        "command": setting.command,
        "commit": setting.commit,
        "seeds": list(setting.config.seeds),
        "population": setting.config.population,
        "fitness": setting.config.fitness,
        "frame_skip": setting.config.frame_skip,
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
    parallel = parallelism(history)
    return {
        "finished": history.ended,
        "budget_frames": setting.config.population * setting.config.frames,
        "cost": _cost(history.cost),
        "winner": _winner(history),
        "test_returns": list(history.test.returns) if history.test else [],
        "test_cost": _cost(history.test.cost if history.test else Cost()),
        "test_episodes_capped": history.test.capped if history.test else 0,
        "best_fitness_curve": [[frames, fitness] for frames, fitness in best_fitness_curve(history)],
        "final_fitness": [history.by_id[id_].result.fitness for id_ in sorted(survivors(history))],
        "sequential_depth": parallel.sequential_depth,
        "sequential_frames": parallel.sequential_frames,
        "peak_proposals": parallel.peak,
        "discarded_frames": parallel.discarded_frames,
        "surviving_founders": founders(history),
        "exploits": len(copies(history)),
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
    verdict = _verdict(first, second, difference, len(setting.config.seeds))
    return {
        **head,
        "mean_test_returns": {method: [mean_of([values]).value for values in returns[method]] for method in returns},
        "difference": difference.to_json(),
        "probability_of_improvement": improvement_of(returns[first], returns[second]).to_json(),
        "iqm": {method: iqm_of(returns[method]).to_json() for method in returns},
        "verdict": " ".join([verdict, *_caveats(setting, histories, returns)]),
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


def _work(history: History) -> list[tuple[JSON, ...]]:
    """All that a method asked to be trained."""
    proposals = [trial.proposal for trial in history.trials]
    return [(p.member, p.generation, dict(p.hypers), p.parent, p.frames) for p in proposals]


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
    dear = [m for m in returns if (cost := sum((h.cost for h in histories[m].values()), Cost())).eval_frames > DEAR * cost.frames]
    if dear:
        caveats.append(
            f"Evaluation took more than {DEAR:.0%} of the frames of {' and '.join(dear)}: a longer --interval or fewer "
            "--eval-episodes would leave more to learn from."
        )
    first, second = ([_work(history) for history in histories[method].values()] for method in returns)
    if first == second:
        caveats.append("No member was ever copied, so the methods did not differ in what they did.")
    return caveats
