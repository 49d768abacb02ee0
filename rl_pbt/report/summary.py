"""`summary.json`: what came of a run, from the manifest and the ledgers alone. Its fields are explained in docs/summary.md."""

from __future__ import annotations

from dataclasses import dataclass

from rl_pbt.config import RunConfig
from rl_pbt.history import History, best_fitness_curve, copies, founders, judged, parallelism, read_history, survivors
from rl_pbt.records import JSON, Cost, UserError
from rl_pbt.report.comparison import Histories, above_the_random_policy, caveats, comparisons, returns_of
from rl_pbt.statistics import iqm_of, mean_of
from rl_pbt.store import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a report needs of a manifest."""

    config: RunConfig
    status: str
    command: str
    commit: str | None
    random_returns: tuple[float, ...] = ()
    elapsed_s: float | None = None
    workers: int | None = None

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
                elapsed_s=manifest.get("elapsed_s"),
                workers=manifest.get("workers"),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{run.manifest_path} is damaged or of another version: {error} is missing or wrong") from None

    @property
    def fitness_in_words(self) -> str:
        if self.config.fitness == "training":
            return "mean return of the training episodes that ended in the interval"
        return f"mean return of {self.config.eval_episodes} evaluation episodes"


def read_histories(run: Run, setting: Setting) -> Histories:
    return {method: {seed: read_history(run, method, seed) for seed in setting.config.seeds} for method in setting.config.methods}


def summary_of(setting: Setting, histories: Histories) -> dict[str, JSON]:
    """The content of summary.json; the same manifest and ledgers give the same."""
    config, random_returns = setting.config, setting.random_returns
    found: list[JSON] = list(comparisons(config, histories, random_returns))
    first = config.methods[0]
    alone: JSON = {
        "refused": f"{first} is the only method",
        "verdict": f"No comparison: {first} is the only method.",
        "random_policy": above_the_random_policy(histories, random_returns),
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
        "comparison": found[0] if found else alone,
        "further_comparisons": found[1:],
        "caveats": list(caveats(config, histories, random_returns)),
    }


def _method(setting: Setting, by_seed: dict[int, History]) -> dict[str, JSON]:
    returns = returns_of(by_seed)
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
