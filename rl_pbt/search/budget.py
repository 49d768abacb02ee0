"""How many frames each proposal may train for, so that methods stop at the same budget, evaluation included."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from rl_pbt.records import Cost, Proposal, Result, UserError

# Kept back: what an evaluation costs is known when it is over, and the last one may be longer than those before.
RESERVE = 0.002


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A budget cut into generations. Frames are environment frames; `quantum` is the least a member can train for.

    There are two generations at least: what an evaluation costs is known after the first, and only then can the budget be kept.
    """

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
        return max(2, self.frames_per_member // self.interval)

    @property
    def shortest(self) -> float:
        """Half a generation: to train for less is not worth an evaluation."""
        return min(self.interval, self.frames_per_member / 2) / 2

    @property
    def total(self) -> int:
        return self.population * self.frames_per_member


class Account:
    """What one method spent of its plan, and what it has committed itself to.

    An evaluation is expected to cost what the last ones did, as many as the population has members. One more evaluation of the
    whole population is kept back for the play-off.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.spent = Cost()
        self._committed: dict[int, int] = {}  # training frames of proposals underway, by id
        self._evaluations: deque[int] = deque(maxlen=plan.population)

    @property
    def evaluation(self) -> float:
        """Frames that judging one proposal is expected to cost."""
        return sum(self._evaluations) / len(self._evaluations) if self._evaluations else 0.0

    @property
    def left(self) -> float:
        """Frames that are neither spent nor committed nor the reserve."""
        committed = sum(self._committed.values()) + len(self._committed) * self.evaluation
        reserve = RESERVE * self.plan.total if self.evaluation else 0
        return self.plan.total - reserve - self.spent.frames - committed

    def commit(self, proposal: Proposal) -> None:
        self._committed[proposal.id] = proposal.frames

    def charge(self, proposal: Proposal, result: Result) -> None:
        del self._committed[proposal.id]
        self.spent = self.spent + result.cost
        if proposal.trains:
            self._evaluations.append(result.cost.eval_frames)

    def allowance(self, members: int, proposals: int) -> int:
        """Training frames for the next proposal of each of the `members`, who shall have so many `proposals` each at most.

        What is left is shared equally by all of them, so that members are ranked at equal age. Where evaluation has turned out so
        dear that less than half an interval would remain, there are fewer proposals, not shorter ones; 0 where there can be none.
        """
        for fewer in range(proposals, 1, -1):
            frames = self._share(members * fewer, self.evaluation)
            if frames >= self.plan.shortest:
                return frames
        # The last ones count on judging at its dearest: nothing can make up for them.
        frames = self._share(members, max(self._evaluations, default=0))
        return frames if frames >= self.plan.shortest or not self.evaluation else 0

    def room(self, frames: int) -> int:
        """As many of `frames`, in whole quanta, as one more proposal may train for now."""
        return min(frames // self.plan.quantum * self.plan.quantum, self._share(1, self.evaluation))

    def _share(self, proposals: int, evaluation: float) -> int:
        """Training frames of each, in whole quanta, if all so many are judged, and the population once more in the play-off."""
        available = self.left - evaluation * (proposals + self.plan.population)
        return max(0, int(available / proposals / self.plan.quantum)) * self.plan.quantum


def affordable(evaluated: Mapping[int, tuple[int, int]], frames: float) -> dict[int, int]:
    """How many episodes more each member may play for `frames` in all, first come first served.

    `evaluated` says what each member's last evaluation cost: frames and episodes. Nobody plays more episodes than that.
    """
    share: dict[int, int] = {}
    for member, (cost, episodes) in evaluated.items():
        more = min(episodes, int(frames * episodes / cost)) if cost > 0 and frames > 0 else 0
        if more < 1:
            break
        share[member] = more
        frames -= cost * more / episodes
    return share
