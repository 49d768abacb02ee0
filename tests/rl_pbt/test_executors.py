"""Executors on a task that can be told to misbehave."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from rl_pbt.errors import UserError
from rl_pbt.executors import Executor, InlineExecutor, ProcessExecutor, run_all
from rl_pbt.executors.processes import TaskError
from rl_pbt.records import Cost, FinalTest, Proposal, Result, joined
from rl_pbt.store.run import FolderCheckpoints
from rl_pbt.tasks.base import Advance, FinalTestJob, IntervalJob, unheeded


@dataclass(frozen=True)
class Moody:
    """Fitness is the proposal's id. Dies, once for each file name in `folder`, or always for id 13; complains for 14 and 15."""

    folder: Path

    def interval(self, job: IntervalJob, advance: Advance = unheeded) -> list[Result]:
        first = job.proposals[0].id
        marker = self.folder / f"die-{first}"
        if marker.exists() or first == 13:
            marker.unlink(missing_ok=True)
            os.kill(os.getpid(), signal.SIGKILL)
        if first == 14:
            raise UserError("say it so")
        if first == 15:
            raise ZeroDivisionError("a bug")
        return [Result(proposal=p.id, fitness=float(p.id)) for p in job.proposals]

    def test(self, job: FinalTestJob) -> FinalTest:
        return FinalTest(proposal=job.proposal, returns=tuple(map(float, job.episodes)), cost=Cost(eval_units=1))


def job(*ids: int) -> IntervalJob:
    proposals = tuple(Proposal(id=i, member=i, generation=0, hypers={}, parent=None, units=1) for i in ids)
    return IntervalJob(
        proposals=proposals, lineage_units=(0,) * len(ids), root_seed=0, checkpoints=FolderCheckpoints(Path("unused"))
    )


@pytest.mark.parametrize("make", [InlineExecutor, lambda task: ProcessExecutor(task, 3)], ids=["inline", "processes"])
def test_outcomes_come_in_the_order_of_the_jobs(make: type[InlineExecutor], tmp_path: Path) -> None:
    executor: Executor = make(Moody(tmp_path))
    try:
        for _ in range(2):
            outcomes = list(run_all(executor, [job(0, 1), job(2), job(3, 4), job(5)]))
            assert [[r.proposal for r in results] for results in outcomes] == [[0, 1], [2], [3, 4], [5]]
        assert list(run_all(executor, [])) == []
        shares = [range(2), range(2, 4), range(4, 5)]
        folder = FolderCheckpoints(tmp_path)
        shares_of_test = [FinalTestJob(proposal=9, episodes=share, root_seed=0, checkpoints=folder) for share in shares]
        whole = FinalTest(proposal=9, returns=(0.0, 1.0, 2.0, 3.0, 4.0), cost=Cost(eval_units=3))
        assert joined(list(run_all(executor, shares_of_test))) == whole
    finally:
        executor.close()


@pytest.mark.parametrize("make", [InlineExecutor, lambda task: ProcessExecutor(task, 2)], ids=["inline", "processes"])
def test_work_can_be_submitted_while_other_work_is_not_collected(make: type[InlineExecutor], tmp_path: Path) -> None:
    executor: Executor = make(Moody(tmp_path))
    try:
        waiting = [executor.submit(job(0)), executor.submit(job(1))]
        seen = []
        for number in range(2, 8):
            seen.append(waiting.pop(0).wait()[0].proposal)
            waiting.append(executor.submit(job(number)))
        seen += [outcome.wait()[0].proposal for outcome in waiting]
        assert seen == list(range(8))
    finally:
        executor.close()


@dataclass(frozen=True)
class Slow(Moody):
    """Says that it trained for 5 units, and ends when told to."""

    def interval(self, job: IntervalJob, advance: Advance = unheeded) -> list[Result]:
        advance(2)
        advance(3)
        while not (self.folder / "end").exists():
            time.sleep(0.01)
        return [Result(proposal=p.id, fitness=0.0) for p in job.proposals]


@pytest.mark.parametrize("make", [InlineExecutor, lambda task: ProcessExecutor(task, 1)], ids=["inline", "processes"])
def test_units_underway_are_seen_before_the_interval_ends(make: type[InlineExecutor], tmp_path: Path) -> None:
    executor: Executor = make(Slow(tmp_path))
    seen: list[int] = []

    def watch() -> None:
        deadline = time.monotonic() + 60
        while executor.units_underway < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
        seen.append(executor.units_underway)
        (tmp_path / "end").touch()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        list(run_all(executor, [job(0)]))
        watcher.join()
        assert seen == [5] and executor.units_underway == 0
    finally:
        executor.close()


def test_a_killed_worker_is_replaced_and_its_job_run_again(tmp_path: Path) -> None:
    (tmp_path / "die-1").touch()
    executor = ProcessExecutor(Moody(tmp_path), 2)
    try:
        assert [r[0].proposal for r in run_all(executor, [job(0), job(1), job(2)])] == [0, 1, 2]
        assert not (tmp_path / "die-1").exists()
        os.kill(executor.pids[0], signal.SIGKILL)  # while idle
        assert [r[0].proposal for r in run_all(executor, [job(3), job(4), job(5)])] == [3, 4, 5]
    finally:
        executor.close()


class Engine(Moody):
    """Starts a process that is to serve it and inherits what it has open, as ViZDoom does, and dies before it has ended that."""

    def interval(self, job: IntervalJob, advance: Advance = unheeded) -> list[Result]:
        engines = self.folder / "engines"
        engine = subprocess.Popen(["sleep", "600"], close_fds=False)
        with engines.open("a") as file:
            file.write(f"{engine.pid}\n")
        return super().interval(job, advance)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_a_dead_worker_had_started_neither_hides_its_death_nor_lives_on(tmp_path: Path) -> None:
    (tmp_path / "die-1").touch()
    executor = ProcessExecutor(Engine(tmp_path), 1)
    try:
        assert [r[0].proposal for r in run_all(executor, [job(1)])] == [1]
    finally:
        executor.close()
    engines = [int(line) for line in (tmp_path / "engines").read_text().split()]
    assert len(engines) == 2
    wait_until(lambda: not any(map(is_alive, engines)))


class Endless(Engine):
    """Says who works, and goes on for ever."""

    def interval(self, job: IntervalJob, advance: Advance = unheeded) -> list[Result]:
        super().interval(job, advance)
        (self.folder / "worker").write_text(str(os.getpid()))
        time.sleep(600)
        raise AssertionError("nobody ended it")


def work_without_end(folder: Path) -> None:
    list(run_all(ProcessExecutor(Endless(folder), 1), [job(1)]))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_workers_leave_an_interval_when_the_run_is_killed(tmp_path: Path) -> None:
    run = multiprocessing.get_context("spawn").Process(target=work_without_end, args=(tmp_path,))
    run.start()
    try:
        wait_until(lambda: (tmp_path / "worker").exists() and (tmp_path / "worker").read_text() != "")
    finally:
        run.kill()
        run.join()
    left = [int((tmp_path / name).read_text()) for name in ("worker", "engines")]
    wait_until(lambda: not any(map(is_alive, left)))


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_job_that_always_kills_its_worker_is_given_up_in_one_line(tmp_path: Path) -> None:
    executor = ProcessExecutor(Moody(tmp_path), 1)
    try:
        with pytest.raises(UserError, match="died 3 times on the same job"):
            list(run_all(executor, [job(13)]))
    finally:
        executor.close()


def test_what_the_task_raises_reaches_the_caller(tmp_path: Path) -> None:
    for kind, number in ((UserError, 14), (TaskError, 15)):
        executor = ProcessExecutor(Moody(tmp_path), 1)
        try:
            with pytest.raises(kind, match=r"say it so|a bug"):
                list(run_all(executor, [job(number)]))
        finally:
            executor.close()
