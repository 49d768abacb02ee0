"""Searching the length of unrolls: a job is cut into parts, one for each length."""

from __future__ import annotations

from collections.abc import Mapping

from rl_pbt.agents.hypers import UNROLL_LENGTH
from rl_pbt.tasks.base import IntervalJob


def by_unroll_length(job: IntervalJob, usual: int) -> Mapping[int, IntervalJob]:
    """The parts of a job, by the unroll length of their proposals; those that do not train have the `usual` one."""
    proposals: dict[int, list[int]] = {}
    for proposal in job.proposals:
        length = int(proposal.hypers.get(UNROLL_LENGTH, usual)) if proposal.trains else usual
        proposals.setdefault(length, []).append(proposal.id)
    return {length: job.only(chosen) for length, chosen in proposals.items()}
