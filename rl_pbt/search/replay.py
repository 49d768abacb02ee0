"""Replay: fresh weights trained along a schedule of hyperparameters that an earlier search found (Jaderberg 2017, sec. 5).

This shows what the schedule is worth without the copying of weights by which it was found. The whole population follows the one
schedule, so its members differ only in their random streams. Their numbers continue after those of the earlier population: a
member's number determines its streams, and with the same root seed they would otherwise start from the very weights that the
schedule was found with.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TypedDict, final

from rl_pbt.errors import UserError
from rl_pbt.options import Settings, option
from rl_pbt.records import Hypers
from rl_pbt.search.problem import Problem
from rl_pbt.search.random_search import Independent


@final
class StageRecord(TypedDict):
    """A `Stage`, as a configuration records it."""

    units: int
    hypers: Hypers


@final
class Schedules(TypedDict):
    """What an earlier `run` found: the stages, by seed (as text) and by the method that replays them.

    `method` is the one that found them, `members` one more than its run's highest member number, and `setting` what both runs
    must have in common.
    """

    run: str
    method: str
    members: int
    setting: Settings
    seeds: dict[str, dict[str, list[StageRecord]]]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """`replay` has the entries of `Schedules`; it is empty if there is nothing to replay."""

    replay: Settings = option(factory=dict, help="schedules of hyperparameters that an earlier run found", flag=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Hyperparameters, and the number of units that were trained with them."""

    units: int
    hypers: Hypers


def stages_for(replay: Settings, name: str, root_seed: int) -> list[Stage]:
    """The stages that the method `name` replays: those of the same seed if the replayed run has it, otherwise of its seeds in
    turn.

    Raises UserError if there is nothing to replay.
    """
    seeds = replay.get("seeds", {})
    in_turn = sorted(seeds, key=int)  # numerically: a manifest has them in another order
    same = str(root_seed)
    stages_by_method = seeds[same if same in seeds else in_turn[root_seed % len(in_turn)]] if seeds else {}
    if name not in stages_by_method:
        raise UserError(f"{name} needs a finished run that has what it replays: say replay:RUN among the methods")
    return [Stage(units=stage["units"], hypers=stage["hypers"]) for stage in stages_by_method[name]]


@final
class Replay(Independent):
    """Follows the stages of its schedule, each of which takes the same share of the training as in the earlier run."""

    def __init__(self, problem: Problem, name: str, options: ReplayOptions) -> None:
        self._stages = stages_for(options.replay, name, problem.root_seed)
        self._units = sum(stage.units for stage in self._stages)
        super().__init__(problem, first=options.replay["members"])

    def hypers_of(self, member: int) -> Hypers:
        """The hyperparameters of the stage in which the middle of the next generation lies."""
        place = self.middle * self._units
        ends = accumulate(stage.units for stage in self._stages)
        stage = next(stage for stage, end in zip(self._stages, ends, strict=True) if place < end)
        return {name: stage.hypers[name] for name in self.space.dimensions}
