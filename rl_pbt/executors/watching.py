"""Whether a job is still alive: it reports each of its steps. After a long silence the user is warned; after a longer one, the
attempt is given up.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import Any, Protocol, final

from rl_pbt.executors.attempts import NOBODY, Death
from rl_pbt.tasks.base import Job, Task
from rl_pbt.text import duration

TICK_S = 0.5  # between two looks
STARTING_S = 120.0  # the least timeout before the first sign of life: importing packages gives none
NOTICE_S = 15.0  # of silence before the user is warned, for tasks that give signs often
NOTICE_RARELY_S = 600.0  # the same for tasks in which one call of the user's code may take long
UNITS, SIGNS, PROPOSAL, FIELDS = 0, 1, 2, 3  # the numbers on a board, and how many there are


class Numbers(Protocol):
    """A list, or memory that processes share."""

    def __getitem__(self, place: int, /) -> int: ...
    def __setitem__(self, place: int, value: int, /) -> None: ...


@final
class Board:
    """What a job reports, as whole numbers that another process may read: units, signs of life, and the proposal at work."""

    def __init__(self, numbers: Numbers) -> None:
        self.numbers = numbers

    def advance(self, units: int, proposal: int | None = None, /) -> None:
        """Report units and a sign of life, as `tasks.base.Advance`."""
        numbers = self.numbers
        numbers[UNITS] += units
        numbers[SIGNS] += 1
        numbers[PROPOSAL] = NOBODY if proposal is None else proposal

    @property
    def units(self) -> int:
        return self.numbers[UNITS]

    @property
    def proposal(self) -> int | None:
        """The proposal at work, if that is known."""
        return None if self.numbers[PROPOSAL] == NOBODY else self.numbers[PROPOSAL]

    def clear(self) -> None:
        """Reset the board for a new job."""
        self.numbers[UNITS], self.numbers[SIGNS], self.numbers[PROPOSAL] = 0, 0, NOBODY


@final
@dataclass(slots=True)
class Watch:
    """Looks at the board of one attempt from time to time. `timeout` and `notice` are in seconds without a sign of life."""

    board: Board
    job: Job[Any]
    subject: str  # what is trained, in words
    where: str  # which process works
    timeout: float | None
    notice: float
    seen: int = -1
    since: float = field(default_factory=time.monotonic)
    noticed: bool = False

    def look(self) -> Death | None:
        """The reason to end the attempt now, if there is one; before that, the user is warned on standard error."""
        now = time.monotonic()
        if (signs := self.board.numbers[SIGNS]) != self.seen:
            self.seen, self.since, self.noticed = signs, now, False
            return None
        silent = now - self.since
        if self.timeout is not None and silent >= (max(self.timeout, STARTING_S) if signs == 0 else self.timeout):
            return Death(f"gave no sign of life for {duration(self.timeout)}", self.board.proposal)
        if silent >= self.notice and not self.noticed:
            self.noticed = True
            print(f"warning: {self._silence(silent)}", file=sys.stderr, flush=True)
        return None

    def _silence(self, silent: float) -> str:
        whose = self.job.whose(self.board.proposal)
        then = "without a timeout nothing ends it" if self.timeout is None else f"it is given up after {duration(self.timeout)}"
        return f"no sign of life for {duration(silent)} from {self.subject}, {whose}, in {self.where}; {then}"


def watch(task: Task, job: Job[Any], board: Board, where: str, timeout: float | None) -> Watch:
    """A watch over an attempt that begins now; `timeout` in seconds, by default the task's own."""
    timeout = timeout if timeout is not None else task.patience_s
    notice = NOTICE_RARELY_S if task.patience_s is None else NOTICE_S
    return Watch(
        board=board,
        job=job,
        subject=task.subject,
        where=where,
        timeout=timeout,
        notice=notice if timeout is None else min(notice, timeout / 2),
    )
