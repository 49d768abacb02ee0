"""Where the length of unrolls is searched: a job is cut into parts, one for each length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from rl_pbt.agents.hypers import UNROLL_LENGTH
from rl_pbt.tasks.base import IntervalJob


def by_unroll_length(job: IntervalJob, usual: int) -> Mapping[int, IntervalJob]:
    """The parts of a job, by the length that their proposals train with; those that do not train have the `usual` one."""
    places: dict[int, list[int]] = {}
    for place, proposal in enumerate(job.proposals):
        length = int(proposal.hypers.get(UNROLL_LENGTH, usual)) if proposal.trains else usual
        places.setdefault(length, []).append(place)
    return {
        length: replace(
            job,
            proposals=tuple(job.proposals[place] for place in chosen),
            lineage_units=tuple(job.lineage_units[place] for place in chosen),
        )
        for length, chosen in places.items()
    }
