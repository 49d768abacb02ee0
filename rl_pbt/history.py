"""What the ledger says of one method and seed: its trials, their descent, and the curves that follow from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from rl_pbt.records import Cost, Proposal, Result, Test, Trial, UserError, pooled
from rl_pbt.store import Event, Run


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What a ledger says of one method and seed. `chosen` is None before the end, or where every member failed.

    `trials` trained; `play_off` judged the best of them again.
    """

    trials: tuple[Trial, ...] = ()
    play_off: tuple[Trial, ...] = ()
    pending: tuple[Proposal, ...] = ()
    chosen: int | None = None
    test: Test | None = None
    ended: bool = False

    @property
    def cost(self) -> Cost:
        """Training and evaluation; testing is not charged, as nothing is learnt from it."""
        return sum((trial.result.cost for trial in self.trials + self.play_off), Cost())

    @property
    def by_id(self) -> dict[int, Trial]:
        return {trial.proposal.id: trial for trial in self.trials}

    @property
    def generations(self) -> list[list[Trial]]:
        """Trials by generation; a generation that is still going on is left out."""
        unfinished = {proposal.generation for proposal in self.pending if proposal.trains}
        whole = sorted({trial.proposal.generation for trial in self.trials} - unfinished)
        grouped: dict[int, list[Trial]] = {generation: [] for generation in whole}
        for trial in self.trials:
            if trial.proposal.generation in grouped:
                grouped[trial.proposal.generation].append(trial)
        return [grouped[generation] for generation in whole]


def judged(history: History, proposal: int) -> Result:
    """The result that the winner was chosen by: with the episodes of the play-off."""
    again = [trial.result for trial in history.play_off if trial.proposal.parent == proposal]
    return reduce(pooled, again, history.by_id[proposal].result)


def line_of_descent(history: History, proposal: int) -> list[int]:
    """Proposal ids from the founder to `proposal`, across every copy on the way. Raises KeyError for an unknown id."""
    trials = history.by_id
    line = [proposal]
    while (parent := trials[line[-1]].proposal.parent) is not None:
        line.append(parent)
    return line[::-1]


def founders(history: History, generation: int) -> int:
    """How many proposals without a parent still have a living descendant in `generation`."""
    founder: dict[int, int] = {}  # parents come before their children in a ledger
    for trial in history.trials:
        parent = trial.proposal.parent
        founder[trial.proposal.id] = trial.proposal.id if parent is None else founder[parent]
    living = (t.proposal for t in history.trials if t.result.failure is None)
    return len({founder[proposal.id] for proposal in living if proposal.generation == generation})


def frames_spent(history: History) -> list[int]:
    """Frames the whole population had spent, evaluation included, at the end of each whole generation."""
    costs = [sum(trial.result.cost.frames for trial in generation) for generation in history.generations]
    return [int(total) for total in np.cumsum(costs)]


def best_fitness_curve(history: History) -> list[tuple[int, float]]:
    """(frames spent, best fitness of that generation); a generation in which every member failed has no point."""
    best = [[t.result.fitness for t in trials if t.result.fitness is not None] for trials in history.generations]
    return [(frames, max(values)) for frames, values in zip(frames_spent(history), best, strict=True) if values]


def ancestor_curve(history: History, proposal: int) -> list[tuple[int, float]]:
    """(lineage frames, fitness) along the line of descent: one agent's own life, stitched through its donors."""
    trials = history.by_id
    results = [trials[ancestor].result for ancestor in line_of_descent(history, proposal)]
    return [(result.lineage_frames, result.fitness) for result in results if result.fitness is not None]


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
