"""How often a job is tried, and when it is tried without one of its proposals: the same rule in every executor.

A job that ends its worker (by `sys.exit`, a crash of native code, or a hang) is tried once more, since it may have been the
machine's fault. The second time it is blamed on the proposal that was at work, which has then failed. A worker killed from
outside, as when memory runs out, is no proposal's fault: the job is run again unchanged, and if that does not help the run
ends, so that a machine's troubles are never recorded as a result.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from typing import Generic, TypeVar, final

from rl_pbt.errors import UserError
from rl_pbt.tasks.base import Job

T = TypeVar("T")

KILLS = 3  # from outside, on the same job, after which the run ends
FROM_OUTSIDE = {-number for name in ("SIGKILL", "SIGTERM") if (number := getattr(signal, name, None)) is not None}
NOBODY = -1  # in place of a proposal's id: no particular proposal is at work


@final
@dataclass(frozen=True, slots=True)
class Death:
    """Why an attempt failed: what happened to the process (text that follows its name), and the proposal at work, if known."""

    reason: str
    proposal: int | None
    from_outside: bool = False


@final
@dataclass(slots=True)
class Attempts(Generic[T]):
    """A job, as it is to be tried next. `subject` describes what is trained."""

    job: Job[T]
    subject: str
    kills: int = 0
    deaths: int = 0
    given_up: set[int | None] = field(default_factory=set)

    def failed(self, death: Death) -> None:
        """Decide how to go on after a death: change `job`, or leave it for a retry. Raises UserError if nothing helps."""
        if death.from_outside:
            self.kills += 1
            if self.kills >= KILLS:
                raise UserError(f"a worker process {death.reason} {KILLS} times on the same job: resume with fewer workers")
            return
        self.deaths += 1
        if self.deaths == 1:
            return
        if None in self.given_up:
            raise UserError(f"{self.subject}: its process {death.reason}, whichever member is left out: mend it, then resume")
        whom = None if death.proposal in self.given_up else death.proposal
        self.given_up.add(whom)
        self.job = self.job.giving_up(whom, f"{self.subject}: its process {death.reason}, twice")
        self.deaths = 0


def death_of(exit_code: int | None, proposal: int | None) -> Death:
    """The death of a process that ended by itself or was killed, from the exit code that multiprocessing reports."""
    if exit_code is None or exit_code >= 0:
        return Death(f"ended with status {exit_code}", proposal)
    name = next((one.name for one in signal.Signals if one == -exit_code), f"signal {-exit_code}")
    if exit_code in FROM_OUTSIDE:
        return Death(f"was killed by {name} (out of memory?)", proposal, from_outside=True)
    return Death(f"crashed ({name})", proposal)


def death_by(error: BaseException, proposal: int | None) -> Death:
    """The death of an attempt that raised an exception meant to end its process, such as SystemExit."""
    said = f"({error.code!r})" if isinstance(error, SystemExit) else ""
    return Death(f"was ended by {type(error).__name__}{said}", proposal)
