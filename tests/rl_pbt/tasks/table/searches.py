"""Whole searches on a table in this process and in memory: the controller's conversation without its files, milliseconds each."""

from __future__ import annotations

from collections.abc import Mapping

from rl_pbt.arrays import State
from rl_pbt.records import Proposal
from rl_pbt.search import Method
from rl_pbt.store.events import Chosen, Ended, FinalTested, Finished, Proposed
from rl_pbt.store.history import History, Reader
from rl_pbt.tasks.base import FinalTestJob, IntervalJob, Task


class Memory:
    """Checkpoints that nobody will miss."""

    def __init__(self) -> None:
        self.states: dict[int, State] = {}

    def save(self, proposal: int, state: State) -> None:
        self.states[proposal] = state

    def save_together(self, states: Mapping[int, State]) -> None:
        self.states |= states

    def load(self, proposal: int) -> State:
        return self.states[proposal]

    def keep_only(self, proposals: object, *, being_written: object = ()) -> None:
        """Keeps all."""

    def leave_only(self, proposals: object) -> None:
        """Keeps all."""


def searched(task: Task, method: Method, root_seed: int, *, episodes: int = 16, together: int = 8) -> History:
    """What a ledger would hold; `together` proposals are worked on before the method is asked for more."""
    memory, reader = Memory(), Reader()
    ages: dict[int | None, int] = {None: 0}
    underway: list[Proposal] = []
    while True:
        asked = method.ask()
        for proposal in asked:
            reader.take(Proposed(proposal=proposal))
        underway += asked
        if not underway:
            break
        group, underway = tuple(underway[:together]), underway[together:]
        before = tuple(ages[proposal.parent] for proposal in group)
        for result in task.interval(IntervalJob(proposals=group, lineage_units=before, root_seed=root_seed, checkpoints=memory)):
            ages[result.proposal] = result.lineage_units
            reader.take(Finished(result=result, time=0.0))
            method.tell(result)
    winner = method.winner()
    assert winner is not None
    job = FinalTestJob(proposal=winner, episodes=range(episodes), root_seed=root_seed, checkpoints=memory)
    for event in (Chosen(proposal=winner), FinalTested(test=task.test(job)), Ended()):
        reader.take(event)
    return reader.history()
