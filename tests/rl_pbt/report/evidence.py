"""Evidence of runs that were never made, from histories with whatever scores a test needs."""

from __future__ import annotations

from collections.abc import Mapping

from rl_pbt.config import RunConfig
from rl_pbt.records import Cost, FinalTest, Proposal, Result, Trial
from rl_pbt.report.evidence import Evidence
from rl_pbt.store.history import History
from rl_pbt.store.manifest import Manifest


def scored(score: float) -> History:
    """A search whose winner has this test score."""
    proposal = Proposal(id=0, member=0, generation=0, hypers={}, parent=None, units=1)
    trial = Trial(proposal=proposal, result=Result(proposal=0, fitness=0.0))
    return History(trials=(trial,), chosen=0, test=FinalTest(proposal=0, returns=(score,), cost=Cost()), ended=True)


def evidence_of(histories: Mapping[str, Mapping[int, History]], primary: str | None = None) -> Evidence:
    """A finished run with these searches, by method and seed."""
    seeds = tuple(next(iter(histories.values())))
    config = RunConfig(
        task="quadratic", methods=tuple(histories), seeds=seeds, primary=primary, population=2, budget=1, interval=1,
        group_size=1, search={}, hypers={}, test_episodes=1,
    )  # fmt: skip
    return Evidence(status="finished", manifest=Manifest(command="", config=config), histories=histories)
