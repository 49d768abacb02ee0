"""From the manifest and the ledgers to a summary; the same files give the same summary."""

from __future__ import annotations

from rl_pbt.config import RunConfig
from rl_pbt.records import Cost
from rl_pbt.report.comparison import caveats, comparisons
from rl_pbt.report.diagnostics import diagnostics_of, reach_of
from rl_pbt.report.evidence import Evidence, Histories, returns_of, total_cost
from rl_pbt.report.parallelism import parallelism
from rl_pbt.report.statistics import iqm_of, mean_of
from rl_pbt.report.summary import MethodSummary, SeedSummary, Summary, Winner
from rl_pbt.store.curves import anytime_curve, best_fitness_curve
from rl_pbt.store.descent import copies, founders, survivors
from rl_pbt.store.history import History, with_reevaluations


def summary_of(evidence: Evidence, against: str | None = None) -> Summary:
    """The summary of a run's files; `against` compares the others with that method instead of the one that was declared."""
    config, manifest = evidence.config, evidence.manifest
    first, *others = comparisons(evidence, against)
    methods = {method: _method_summary(method, by_seed, config) for method, by_seed in evidence.histories.items()}
    diagnostics = {method: [seed.diagnostics for seed in one.seeds.values()] for method, one in methods.items()}
    return Summary(
        task=config.task,
        task_options=config.task_options,
        status=evidence.status,
        command=manifest.command,
        commit=manifest.last.commit,
        seeds=config.seeds,
        population=config.population,
        methods=methods,
        comparison=first,
        further_comparisons=tuple(others),
        caveats=tuple(caveats(evidence, diagnostics, against)),
    )


def _method_summary(method: str, by_seed: Histories, config: RunConfig) -> MethodSummary:
    returns = returns_of(by_seed)
    return MethodSummary(
        finished=all(history.ended for history in by_seed.values()),
        cost=total_cost(by_seed),
        test_return=mean_of(returns) if returns else None,
        iqm=iqm_of(returns) if returns else None,
        reach=reach_of(method, config),
        seeds={seed: _seed_summary(history, config) for seed, history in by_seed.items()},
    )


def _seed_summary(history: History, config: RunConfig) -> SeedSummary:
    parallel = parallelism(history)
    return SeedSummary(
        finished=history.ended,
        budget=config.population * config.budget,
        cost=history.cost,
        winner=_winner(history),
        test_returns=history.test.returns if history.test else (),
        test_cost=history.test.cost if history.test else Cost(),
        test_episodes_capped=history.test.capped if history.test else 0,
        test_episodes_excluded=history.test.excluded if history.test else 0,
        test_failure=history.test.failure if history.test else None,
        best_fitness_curve=tuple(best_fitness_curve(history)),
        anytime_test_curve=tuple(anytime_curve(history)),
        final_fitness=tuple(_final_fitness(history, survivor) for survivor in sorted(survivors(history))),
        sequential_depth=parallel.sequential_depth,
        sequential_units=parallel.sequential_units,
        peak_proposals=parallel.peak,
        discarded_units=parallel.discarded_units,
        surviving_founders=founders(history),
        exploits=len(copies(history)),
        failures=sum(trial.result.failure is not None for trial in history.trials),
        diagnostics=diagnostics_of(history, config.space),
    )


def _final_fitness(history: History, proposal: int) -> float | None:
    """The fitness of a survivor; if it was evaluated only after all training had ended, the fitness from then."""
    result = history.by_id[proposal].result
    return with_reevaluations(history, proposal).fitness if result.unevaluated else result.fitness


def _winner(history: History) -> Winner | None:
    if history.chosen is None:
        return None
    trial = history.by_id[history.chosen]
    result = with_reevaluations(history, history.chosen)
    return Winner(
        proposal=trial.proposal.id,
        member=trial.proposal.member,
        generation=trial.proposal.generation,
        hypers=trial.proposal.hypers,
        fitness=result.fitness,
        fitness_episodes=len(result.returns),
        lineage_units=trial.result.lineage_units,
    )
