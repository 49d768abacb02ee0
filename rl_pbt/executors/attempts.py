"""How often a job is tried, and without whom: the same rule in every executor.

What ends a worker, `sys.exit`, a crash of native code, a hang, is tried once more, since it may have been the machine's fault.
After that it is taken for the fault of the proposal that was at work, whose failure it becomes. A worker that is killed from
outside, as when memory runs out, is nobody's fault: the job is run again as it is, and the run ends if that does not help, so
that no machine's troubles are written into a result.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from typing import Generic, TypeVar, final

from rl_pbt.errors import UserError
from rl_pbt.tasks.base import Job

T = TypeVar("T")

KILLS = 3  # from outside, of the same job
FROM_OUTSIDE = {-number for name in ("SIGKILL", "SIGTERM") if (number := getattr(signal, name, None)) is not None}
NOBODY = -1  # no proposal in particular is at work, where a number must say so


@final
@dataclass(frozen=True, slots=True)
class Death:
    """Why an attempt came to nothing: what became of the process, to follow its name, and who was at work, as far as is known."""

    reason: str
    proposal: int | None
    from_outside: bool = False


@final
@dataclass(slots=True)
class Attempts(Generic[T]):
    """A job, as it is to be tried next. `subject` is what is trained, in words."""

    job: Job[T]
    subject: str
    kills: int = 0
    deaths: int = 0
    given_up: set[int | None] = field(default_factory=set)

    def failed(self, death: Death) -> None:
        """Think again, after a death. Raises UserError where it cannot be helped."""
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
    """Of a process that ended by itself or was killed, by the exit code that multiprocessing has of it."""
    if exit_code is None or exit_code >= 0:
        return Death(f"ended with status {exit_code}", proposal)
    name = next((one.name for one in signal.Signals if one == -exit_code), f"signal {-exit_code}")
    if exit_code in FROM_OUTSIDE:
        return Death(f"was killed by {name} (out of memory?)", proposal, from_outside=True)
    return Death(f"crashed ({name})", proposal)


def death_by(error: BaseException, proposal: int | None) -> Death:
    """Of an attempt that raised what is meant to end a process."""
    said = f"({error.code!r})" if isinstance(error, SystemExit) else ""
    return Death(f"was ended by {type(error).__name__}{said}", proposal)
