"""Replay: fresh weights trained along a schedule of hypers that an earlier search found (Jaderberg 2017, sec. 5).

It tells what the schedule is worth without the copying of weights that found it. The whole population follows the one schedule,
so its members differ in their random streams alone. They are numbered on from the earlier population: a member's number names
its streams, and with the same root seed they would otherwise begin from the very weights that the schedule was found with.
"""

from __future__ import annotations

from itertools import accumulate
from typing import final

from rl_pbt.records import Hypers, Proposal, UserError
from rl_pbt.search.base import Generational
from rl_pbt.search.setup import Setup


@final
class Replay(Generational):
    """Generation by generation along the stages of its schedule, each of which takes the part of the training that it had."""

    def __init__(self, setup: Setup, name: str) -> None:
        super().__init__(setup)
        if name not in setup.schedules:
            raise UserError(f"{name} needs a finished run that has what it replays: say --methods replay:RUN")
        self._stages = setup.schedules[name]
        self._frames = sum(stage.frames for stage in self._stages)
        self.members = range(setup.first_replayed_member, setup.first_replayed_member + setup.plan.population)

    def initial_hypers(self, member: int) -> Hypers:
        return self._hypers()

    def generate(self) -> list[Proposal]:
        members = self.alive()
        frames = self.allowance(len(members)) if members else 0
        hypers = self._hypers()
        return [self.propose(m, hypers, parent=self.last[m].id, frames=frames) for m in members] if frames else []

    def _hypers(self) -> Hypers:
        """Those of the stage in which the middle of the generation lies; the budget is the clock, since it may end it early."""
        spent = self.account.spent.frames / self.plan.total
        place = min(spent + 0.5 / self.plan.generations, 1 - 1e-9) * self._frames
        ends = accumulate(stage.frames for stage in self._stages)
        stage = next(stage for stage, end in zip(self._stages, ends, strict=True) if place < end)
        return {name: stage.hypers[name] for name in self.space.dimensions}
