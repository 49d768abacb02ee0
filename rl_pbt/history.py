"""What the ledger says of one method and seed: its trials, their descent, and the curves that follow from them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from rl_pbt.records import Cost, Proposal, Result, Test, Trial, UserError, pooled
from rl_pbt.store import Event, Run


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What a ledger says of one method and seed. `chosen` is None before the end, or where every member failed.

    `trials` trained, in the order of their results; `play_off` judged the best of them again.
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
    def rounds(self) -> list[tuple[Trial, ...]]:
        """Trials cut wherever the method asked for more: generations, where it waited for all. One going on is left out."""
        cuts = sorted({trial.asked_after for trial in self.trials} | {0, len(self.trials)})
        rounds = [self.trials[start:end] for start, end in pairwise(cuts)]
        return rounds[:-1] if any(proposal.trains for proposal in self.pending) else rounds


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


def copies(history: History) -> set[int]:
    """Ids of the trials whose weights or hypers are of another member."""
    member = {trial.proposal.id: trial.proposal.member for trial in history.trials}
    proposals = [trial.proposal for trial in history.trials]
    return {p.id for p in proposals if p.hypers_from is not None or (p.parent is not None and member[p.parent] != p.member)}


def survivors(history: History) -> list[int]:
    """Ids of the newest proposals of the members that trained for as long as any did, failures left out.

    To a tenth: the trainings of a method that does one after another differ a little.
    """
    newest = {trial.proposal.member: trial for trial in history.trials}
    trained: Counter[int] = Counter()
    for trial in history.trials:
        trained[trial.proposal.member] += trial.proposal.frames
    healthy = {member: trial for member, trial in newest.items() if trial.result.failure is None}
    longest = max((trained[member] for member in healthy), default=0)
    alive = [trial.proposal.id for member, trial in healthy.items() if trained[member] >= 0.9 * longest]
    return alive if history.chosen is None or history.chosen in alive else [*alive, history.chosen]


def living(history: History) -> set[int]:
    """Ids of all proposals that have a survivor among their descendants, or are one."""
    alive = set(survivors(history))
    for trial in reversed(history.trials):  # parents come before their children in a ledger
        if trial.proposal.id in alive and trial.proposal.parent is not None:
            alive.add(trial.proposal.parent)
    return alive


def founders(history: History) -> int:
    """How many proposals without a parent still have a survivor among their descendants."""
    alive = living(history)
    return sum(trial.proposal.parent is None and trial.proposal.id in alive for trial in history.trials)


def frames_spent(history: History) -> list[int]:
    """Frames the whole population had spent, evaluation included, at the end of each round."""
    costs = [sum(trial.result.cost.frames for trial in of_round) for of_round in history.rounds]
    return [int(total) for total in np.cumsum(costs)]


def best_fitness_curve(history: History) -> list[tuple[int, float]]:
    """(frames spent, best fitness of the members as they stand) after each round; none where all have failed."""
    standing: dict[int, Result] = {}
    curve = []
    for frames, of_round in zip(frames_spent(history), history.rounds, strict=True):
        standing.update({trial.proposal.member: trial.result for trial in of_round})
        if healthy := [result.fitness for result in standing.values() if result.fitness is not None]:
            curve.append((frames, max(healthy)))
    return curve


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallelism:
    """What a method could have run at once, and what had to wait: its play-off is left out.

    `sequential_depth` is the longest chain of proposals of which each was asked for after the result of the one before was
    known, `sequential_frames` the frames along the costliest such chain: the least that any number of machines would have to
    wait for. `peak` is how many proposals were underway at once. `discarded_frames` were trained for on weights that no survivor
    descends from.
    """

    sequential_depth: int
    sequential_frames: int
    peak: int
    discarded_frames: int


def parallelism(history: History) -> Parallelism:
    depths, frames = [0], [0]  # the most of any of the first n results
    for trial in history.trials:
        depths.append(max(depths[-1], depths[trial.asked_after] + 1))
        frames.append(max(frames[-1], frames[trial.asked_after] + trial.result.cost.frames))
    alive = living(history)
    asked = Counter(trial.asked_after for trial in history.trials)
    begun = list(accumulate(asked[known] for known in range(len(history.trials) + 1)))
    return Parallelism(
        sequential_depth=depths[-1],
        sequential_frames=frames[-1],
        peak=max(count - known for known, count in enumerate(begun)),
        discarded_frames=sum(t.result.cost.train_frames for t in history.trials if t.proposal.id not in alive),
    )


def ancestor_curve(history: History, proposal: int) -> list[tuple[int, float]]:
    """(lineage frames, fitness) along the line of descent: one agent's own life, stitched through its donors."""
    trials = history.by_id
    results = [trials[ancestor].result for ancestor in line_of_descent(history, proposal)]
    return [(result.lineage_frames, result.fitness) for result in results if result.fitness is not None]


def read_history(run: Run, method: str, seed: int) -> History:
    """What the ledger holds so far; empty where the method has not begun. Raises UserError, naming file and line."""
    ledger = run.ledger(method, seed)
    proposed: dict[int, tuple[Proposal, int]] = {}  # with how many results were known
    trials: dict[int, Trial] = {}
    fields: dict[str, Any] = {}
    for line, event in enumerate(ledger.read(), start=1):
        try:
            _take(event, proposed, trials, fields)
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{ledger.path}, line {line} is damaged ({error}): restore the file from a copy") from None
    pending = tuple(proposal for proposal, _ in proposed.values() if proposal.id not in trials)
    done = trials.values()
    return History(
        trials=tuple(trial for trial in done if trial.proposal.trains),
        play_off=tuple(trial for trial in done if not trial.proposal.trains),
        pending=pending,
        **fields,
    )


def _take(event: Event, proposed: dict[int, tuple[Proposal, int]], trials: dict[int, Trial], fields: dict[str, Any]) -> None:
    match event["event"]:
        case "proposed":
            proposal = Proposal.from_json(event["proposal"])
            if proposal.parent is not None and proposal.parent not in trials:
                raise ValueError(f"parent {proposal.parent} of proposal {proposal.id} has no result")
            proposed[proposal.id] = (proposal, len(trials))
        case "finished":
            result = Result.from_json(event["result"])
            proposal, asked_after = proposed[result.id]
            trials[result.id] = Trial(proposal=proposal, result=result, asked_after=asked_after)
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
