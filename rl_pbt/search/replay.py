"""Replay: fresh weights trained along a schedule of hyperparameters that an earlier search found (Jaderberg 2017, sec. 5).

It tells what the schedule is worth without the copying of weights that found it. The whole population follows the one schedule,
so its members differ in their random streams alone. They are numbered on from the earlier population: a member's number names
its streams, and with the same root seed they would otherwise begin from the very weights that the schedule was found with.
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
    """What an earlier `run` found: by seed, in text, and by the method that replays them, the stages.

    `method` found them, `members` is one more than the highest number of a member, `setting` what both runs must have alike.
    """

    run: str
    method: str
    members: int
    setting: Settings
    seeds: dict[str, dict[str, list[StageRecord]]]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """`replay` has the entries of `Schedules`; it is empty where there is nothing to replay."""

    replay: Settings = option(factory=dict, help="schedules of hyperparameters that an earlier run found", flag=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Hyperparameters, and how many units were trained with them."""

    units: int
    hypers: Hypers


def stages_for(replay: Settings, name: str, root_seed: int) -> list[Stage]:
    """What the method of that name replays: of the same seed where the replayed run has it, otherwise its seeds in turn.

    Raises UserError where there is nothing to replay.
    """
    seeds = replay.get("seeds", {})
    in_turn = sorted(seeds, key=int)  # not as they stand: a manifest lists them otherwise
    same = str(root_seed)
    stages_by_method = seeds[same if same in seeds else in_turn[root_seed % len(in_turn)]] if seeds else {}
    if name not in stages_by_method:
        raise UserError(f"{name} needs a finished run that has what it replays: say replay:RUN among the methods")
    return [Stage(units=stage["units"], hypers=stage["hypers"]) for stage in stages_by_method[name]]


@final
class Replay(Independent):
    """Generation by generation along the stages of its schedule, each of which takes the part of the training that it had."""

    def __init__(self, problem: Problem, name: str, options: ReplayOptions) -> None:
        self._stages = stages_for(options.replay, name, problem.root_seed)
        self._units = sum(stage.units for stage in self._stages)
        super().__init__(problem, first=options.replay["members"])

    def hypers_of(self, member: int) -> Hypers:
        """Those of the stage in which the middle of the generation lies."""
        place = self.middle * self._units
        ends = accumulate(stage.units for stage in self._stages)
        stage = next(stage for stage, end in zip(self._stages, ends, strict=True) if place < end)
        return {name: stage.hypers[name] for name in self.space.dimensions}
