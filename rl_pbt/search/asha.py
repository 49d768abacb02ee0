"""ASHA: successive halving without a barrier (Li et al. 2020, arXiv 1810.05934, Algorithm 2), based on `halving`."""

from __future__ import annotations

from typing import final

from rl_pbt.records import Proposal
from rl_pbt.search.halving import Halving


@final
class ASHA(Halving):
    """As many trials train at a time as the population has members; none waits for another."""

    def work(self) -> list[Proposal]:
        asked: list[Proposal] = []
        while len(self.underway) < self.plan.population and (proposal := self._job()) is not None:
            asked.append(proposal)
        return asked

    def _job(self) -> Proposal | None:
        trial, rung = self.choose()
        return self.train(trial, rung, self.step(trial, rung)) if self.fits(trial, rung) else self.remainder()

    def choose(self) -> tuple[int, int]:
        """The next trial to train, and the rung that it trains to (Li 2020, Algorithm 2, get_job)."""
        for above in range(len(self.rungs) - 1, 0, -1):
            if (trial := self.rungs[above - 1].promotable()) is not None:
                return trial, above
        return self.new_trial, 0
