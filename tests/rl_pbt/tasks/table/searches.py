"""Whole searches on a table in this process and in memory: no ledger, no report, milliseconds each."""

from __future__ import annotations

from collections.abc import Mapping

from rl_pbt.arrays import State
from rl_pbt.records import Proposal
from rl_pbt.search import Method
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


def tested_scores(task: Task, method: Method, root_seed: int, *, episodes: int = 16, together: int = 4) -> tuple[float, ...]:
    """Of the winner. The controller's conversation: `together` proposals are worked on before the method is asked for more."""
    memory, ages = Memory(), {None: 0}
    underway: list[Proposal] = []
    while underway := underway + method.ask():
        group, underway = underway[:together], underway[together:]
        before = tuple(ages[proposal.parent] for proposal in group)
        for result in task.interval(
            IntervalJob(proposals=tuple(group), lineage_units=before, root_seed=root_seed, checkpoints=memory)
        ):
            ages[result.proposal] = result.lineage_units
            method.tell(result)
    winner = method.winner()
    assert winner is not None
    return task.test(FinalTestJob(proposal=winner, episodes=range(episodes), root_seed=root_seed, checkpoints=memory)).returns
