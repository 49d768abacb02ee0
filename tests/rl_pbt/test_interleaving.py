"""Searches side by side: none waits for another, none notices another, and all end whatever one of them raises."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import rl_pbt
from rl_pbt.executors.base import Steps
from rl_pbt.interleaving import interleave
from rl_pbt.making import configure, searches_at_once


@dataclass
class Future:
    """Done after the executor has listened so many times."""

    executor: Executor
    due: int

    @property
    def done(self) -> bool:
        return self.executor.listened >= self.due

    def result(self) -> None:
        assert self.done, "nobody waits here: another search could go on"


@dataclass
class Executor:
    listened: int = 0
    told: list[str] = field(default_factory=list)

    units_underway = 0

    def listen(self) -> None:
        self.listened += 1
        assert self.listened < 100

    def submit(self, job: object) -> Any:
        raise NotImplementedError

    def close(self) -> None:
        pass

    def search(self, name: str, *waits: int) -> Steps[None]:
        self.told.append(f"{name} begins")
        try:
            for wait in waits:
                future = Future(self, self.listened + wait)
                yield future
                future.result()
                self.told.append(f"{name} after {self.listened}")
        finally:
            self.told.append(f"{name} ends")


def test_a_search_goes_on_while_another_waits() -> None:
    executor = Executor()
    interleave([executor.search("slow", 5), executor.search("fast", 1, 1), executor.search("late")], executor, at_once=2)
    assert executor.told == [
        "slow begins", "fast begins", "fast after 1", "fast after 2", "fast ends", "late begins", "late ends", "slow after 5",
        "slow ends",
    ]  # fmt: skip


def test_one_at_a_time_is_in_order() -> None:
    executor = Executor()
    interleave((executor.search(name, 1) for name in "ab"), executor, at_once=1)
    assert executor.told == ["a begins", "a after 1", "a ends", "b begins", "b after 2", "b ends"]


def test_what_one_raises_ends_all() -> None:
    def broken() -> Steps[None]:
        yield Future(executor, 1)
        raise ValueError("broken")

    executor = Executor()
    with pytest.raises(ValueError, match="broken"):
        interleave([executor.search("slow", 5), broken(), executor.search("never")], executor, at_once=2)
    assert executor.told == ["slow begins", "slow ends"]


TIMES = ("cpu_s", "wall_s", "method_s", "eval_cpu_s")


def without_times(run: rl_pbt.Run) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in TIMES} for row in run.rows()]


def test_ledgers_are_the_same_beside_others_as_alone(tmp_path: Path) -> None:
    """Six searches on one worker, one after the other, and on eight, all at once."""
    small = {"methods": ["pbt", "random"], "population": 4, "seeds": [0, 1, 2], "group_size": 2, "quiet": True}
    config = configure({"task": "quadratic", **{name: value for name, value in small.items() if name != "quiet"}})
    assert (searches_at_once(config, 1), searches_at_once(config, 2), searches_at_once(config, 8)) == (1, 2, 5)
    alone, together = (
        rl_pbt.tune("quadratic", {}, budget=60, interval=10, out=tmp_path / str(workers), workers=workers, **small)
        for workers in (1, 8)
    )
    assert without_times(alone) == without_times(together)
    assert alone.summary.methods["pbt"].test_return == together.summary.methods["pbt"].test_return
