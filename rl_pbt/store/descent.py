"""Who descends from whom in the ledger of one method and seed: lines of descent, copies, and the survivors at the end."""

from __future__ import annotations

from collections import Counter

from rl_pbt.records import Trial
from rl_pbt.store.history import History


def line_of_descent(history: History, proposal: int) -> list[int]:
    """Proposal ids from the founder to `proposal`, across every copy on the way. Raises KeyError for an unknown id."""
    return [ancestor.id for ancestor in history.lineage.line(proposal)]


def winning_line(history: History) -> list[Trial]:
    """The trials on the winner's line of descent, founder first; empty if there is no winner."""
    return [] if history.chosen is None else [history.by_id[ancestor] for ancestor in line_of_descent(history, history.chosen)]


def lifetime(history: History, trial: Trial) -> tuple[int, int]:
    """Lineage units at the start and at the end of a trial that did not fail."""
    parent = trial.proposal.parent
    return (0 if parent is None else history.by_id[parent].result.lineage_units), trial.result.lineage_units


def copies(history: History) -> set[int]:
    """Ids of the trials whose weights or hyperparameters came from another member."""
    donor = history.lineage.donor
    return {trial.proposal.id for trial in history.trials if donor(trial.proposal) is not None}


def has_schedules(history: History) -> bool:
    """Whether any hyperparameters changed along a line of descent; otherwise there is nothing to draw over time."""
    by_id = history.by_id
    return any(
        t.proposal.parent is not None and by_id[t.proposal.parent].proposal.hypers != t.proposal.hypers for t in history.trials
    )


def survivors(history: History) -> list[int]:
    """Ids of the newest proposals of the members that trained longest, without failures, and of the winner.

    "Longest" is within a tenth of the maximum: a method that trains one after another does not train all equally long.
    """
    newest = {trial.proposal.member: trial for trial in history.trials}
    trained: Counter[int] = Counter()
    for trial in history.trials:
        trained[trial.proposal.member] += trial.proposal.units
    healthy = {member: trial for member, trial in newest.items() if trial.result.failure is None}
    longest = max((trained[member] for member in healthy), default=0)
    found = [trial.proposal.id for member, trial in healthy.items() if trained[member] >= 0.9 * longest]
    return found if history.chosen is None or history.chosen in found else [*found, history.chosen]


def surviving(history: History) -> set[int]:
    """Ids of all proposals that are survivors, or have one among their descendants."""
    found = set(survivors(history))
    for trial in reversed(history.trials):  # parents come before their children in a ledger
        if trial.proposal.id in found and trial.proposal.parent is not None:
            found.add(trial.proposal.parent)
    return found


def founders(history: History) -> int:
    """The number of proposals without a parent that are survivors, or have one among their descendants."""
    return len({history.lineage.founder(survivor) for survivor in survivors(history)})
