"""How many frames each generation may train for, so that methods stop at the same budget, evaluation included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rl_pbt.records import Cost, UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A budget cut into generations. Frames are environment frames; `quantum` is the least a member can train for."""

    population: int
    frames_per_member: int
    interval: int
    quantum: int = 1

    def __post_init__(self) -> None:
        if self.population < 2:
            raise UserError(f"--population must be 2 or more (there is nobody to copy from), but is {self.population}")
        if self.frames_per_member <= 0 or self.interval <= 0:
            raise UserError("--frames and --interval must be above 0")
        if self.interval > self.frames_per_member:
            raise UserError(
                f"--interval {self.interval} is longer than the budget --frames {self.frames_per_member}: make it shorter"
            )
        if self.interval < self.quantum:
            raise UserError(
                f"--interval {self.interval} is shorter than one round of the environments: use {self.quantum} or more"
            )

    @property
    def generations(self) -> int:
        return self.frames_per_member // self.interval

    @property
    def total(self) -> int:
        return self.population * self.frames_per_member


class Account:
    """What one method spent of its plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.spent = Cost()
        self._eval_frames_of_generation = 0

    def charge(self, cost: Cost) -> None:
        self.spent = self.spent + cost
        self._eval_frames_of_generation += cost.eval_frames

    def allowance(self, generation: int, live: int) -> int:
        """Training frames for each of `live` members in `generation`; call it once a generation, in order.

        All members of a generation get the same, so they are ranked at equal age. Evaluation is predicted to cost what it
        cost in the last generation; what is left is shared equally by the generations to come, and one evaluation more is
        kept back for the play-off.
        """
        predicted, self._eval_frames_of_generation = self._eval_frames_of_generation, 0
        to_come = self.plan.generations - generation
        available = self.plan.total - self.spent.frames - predicted * (to_come + 1)
        return max(1, round(available / to_come / live / self.plan.quantum)) * self.plan.quantum


def affordable(evaluated: Mapping[int, tuple[int, int]], frames: int) -> dict[int, int]:
    """How many episodes more each member may play for `frames` in all, first come first served.

    `evaluated` says what each member's last evaluation cost: frames and episodes. Nobody plays more episodes than that.
    """
    share: dict[int, int] = {}
    for member, (cost, episodes) in evaluated.items():
        more = min(episodes, round(frames * episodes / cost)) if cost > 0 else 0
        if more < 1:
            break
        share[member] = more
        frames -= round(cost * more / episodes)
    return share
