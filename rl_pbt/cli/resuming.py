"""Where a resumed run continues, in words."""

from __future__ import annotations

from rl_pbt.config import RunConfig
from rl_pbt.recorded import history_of
from rl_pbt.search import Plan
from rl_pbt.store.history import History
from rl_pbt.store.run import RunFolder


def where_it_stands(run: RunFolder, config: RunConfig) -> str:
    """As in "pbt, seed 0, generation 3/20; 12 % of the budget spent". Raises UserError if a ledger is damaged."""
    histories = {
        (name, seed): history_of(run, config, name, seed)
        for seed in config.seeds
        for name in config.methods
        if run.ledger(name, seed).path.exists()
    }
    spent = sum(history.cost.units for history in histories.values())
    total = Plan.nominal(config).total * len(config.methods) * len(config.seeds)
    share = f"{100 * spent / total:.0f} % of the budget spent"
    for seed in config.seeds:
        for name in config.methods:
            history = histories.get((name, seed))
            if history is None:
                return f"{name}, seed {seed}, from its start; {share}"
            if not history.ended:
                return f"{name}, seed {seed}, {_place(history, config)}; {share}"
    return f"all searches have ended; {share}"


def _place(history: History, config: RunConfig) -> str:
    """The generation underway, for a method that waits for all members; otherwise the number of intervals done."""
    planned = Plan.nominal(config).generations
    if all(len(trials) == config.population for trials in history.rounds):
        done = len(history.rounds)
        trains = done < planned or any(pending.proposal.trains for pending in history.pending)
        return f"generation {done + 1}/{max(planned, done + 1)}" if trains else "choosing its winner"
    return f"after {len(history.trials)} intervals"
