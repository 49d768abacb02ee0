"""Several searches side by side, so that workers have something to do while one search waits for its slowest member.

What a search does depends on its own results alone, which it takes in an order of its own. So its ledger is the same beside
others as alone, and only the time changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from rl_pbt.executors.base import Executor, Future, Steps


@dataclass(slots=True, kw_only=True)
class _Running:
    """A search, and the future that it is about to wait for; None before its first step."""

    steps: Steps[None]
    future: Future[Any] | None = None


def interleave(searches: Iterable[Steps[None]], executor: Executor, at_once: int) -> None:
    """Run all searches to their end: `at_once` of them side by side, begun in this order. Raises whatever one of them raises."""
    waiting, running = iter(searches), list[_Running]()
    try:
        while True:
            running += [_Running(steps=steps) for steps in islice(waiting, at_once - len(running))]
            if not running:
                return
            ready = [one for one in running if one.future is None or one.future.done]
            if not ready:
                executor.listen()
            for one in ready:
                one.future = next(one.steps, None)
            running = [one for one in running if one.future is not None]
    finally:
        for one in running:
            one.steps.close()
