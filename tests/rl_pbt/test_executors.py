"""Executors on a task that can be told to misbehave."""

import asyncio
import ctypes
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rl_pbt.errors import LostCheckpoint, UserError
from rl_pbt.executors import Executor, ExecutorOptions, InlineExecutor, ProcessExecutor, TaskError, run_all
from rl_pbt.records import Cost, FinalTest, Proposal, Result, joined
from rl_pbt.store.checkpoints import FolderCheckpoints
from rl_pbt.tasks.base import Advance, FinalTestJob, IntervalJob, unheeded


@dataclass(frozen=True)
class Moody:
    """Fitness is the proposal's id. Killed once for each file name in `folder`, and always for id 13; complains for 14 to 16."""

    folder: Path
    subject: str = "the mood"
    patience_s: float | None = None

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
        if first == 16:
            raise LostCheckpoint(7, "gone")
        return [Result(proposal=p.id, fitness=float(p.id)) for p in job.proposals]

    def test(self, job: FinalTestJob, advance: Advance = unheeded) -> FinalTest:
        return FinalTest(proposal=job.proposal, returns=tuple(map(float, job.episodes)), cost=Cost(eval_units=1))


def job(*ids: int) -> IntervalJob:
    proposals = tuple(Proposal(id=i, member=i, generation=0, hypers={}, parent=None, units=1) for i in ids)
    return IntervalJob(
        proposals=proposals, lineage_units=(0,) * len(ids), root_seed=0, checkpoints=FolderCheckpoints(Path("unused"))
    )


EXECUTORS = pytest.mark.parametrize(
    "make",
    [InlineExecutor, lambda task, *options: ProcessExecutor(task, 2, *options)],
    ids=["inline", "processes"],
)


@EXECUTORS
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


@EXECUTORS
def test_work_can_be_submitted_while_other_work_is_not_collected(make: type[InlineExecutor], tmp_path: Path) -> None:
    executor: Executor = make(Moody(tmp_path))
    try:
        waiting = [executor.submit(job(0)), executor.submit(job(1))]
        seen = []
        for number in range(2, 8):
            seen.append(waiting.pop(0).result()[0].proposal)
            waiting.append(executor.submit(job(number)))
        seen += [future.result()[0].proposal for future in waiting]
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


@EXECUTORS
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
        multiprocessing.active_children()[0].kill()  # while idle
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


class Parent(Moody):
    """Starts a child process, as vector environments and data loaders do, and leaves it running."""

    def interval(self, job: IntervalJob, advance: Advance = unheeded) -> list[Result]:
        child = multiprocessing.get_context("spawn").Process(target=work_for, args=(self.folder,), daemon=True)
        child.start()
        wait_until(lambda: (self.folder / "child").exists() and (self.folder / "child").read_text() != "")
        return super().interval(job, advance)


def work_for(folder: Path) -> None:
    (folder / "child").write_text(str(os.getpid()))
    time.sleep(600)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_is_trained_may_have_child_processes_which_end_with_the_worker(tmp_path: Path) -> None:
    executor = ProcessExecutor(Parent(tmp_path), 1)
    try:
        assert [r[0].proposal for r in run_all(executor, [job(1)])] == [1]
        child = int((tmp_path / "child").read_text())
        assert is_alive(child)
    finally:
        executor.close()
    wait_until(lambda: not is_alive(child))


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
        with pytest.raises(
            UserError, match=r"killed by SIGKILL \(out of memory\?\) 3 times on the same job: resume with fewer workers"
        ):
            list(run_all(executor, [job(13)]))
    finally:
        executor.close()


def test_what_the_task_raises_reaches_the_caller(tmp_path: Path) -> None:
    executor = ProcessExecutor(Moody(tmp_path), 1)
    try:
        for kind, number in ((UserError, 14), (TaskError, 15), (LostCheckpoint, 16)):
            with pytest.raises(kind, match=r"say it so|a bug|gone") as raised:
                list(run_all(executor, [job(number)]))
            assert number != 16 or raised.value.proposal == 7
    finally:
        executor.close()


def sleep_in_native_code() -> None:
    ctypes.CDLL(None).sleep(600)


def raising(error: BaseException) -> None:
    raise error


def exhaust() -> None:
    while True:
        pass


def swallow() -> None:
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        try:
            time.sleep(60)
        except Exception:
            continue


DEADLY: dict[str, tuple[Callable[[], object], str]] = {
    "sys_exit": (sys.exit, r"was ended by SystemExit\(None\)"),
    "sys_exit_0": (lambda: sys.exit(0), r"was ended by SystemExit\(0\)"),
    "cancelled": (lambda: raising(asyncio.CancelledError()), "was ended by CancelledError"),
    "os_exit": (lambda: os._exit(0), "ended with status 0"),
    "hang": (lambda: time.sleep(600), "gave no sign of life for 1s"),
    "endless_loop": (lambda: all(iter(int, 1)) or exhaust(), "gave no sign of life for 1s"),
    "swallows_errors": (swallow, "gave no sign of life for 1s"),
    "native_hang": (sleep_in_native_code, "gave no sign of life for 1s"),
    "segmentation_fault": (lambda: ctypes.string_at(0), r"crashed \(SIGSEGV\)"),
    "abort": (os.abort, r"crashed \(SIGABRT\)"),
}
ENDS_PYTHON = {"native_hang", "segmentation_fault", "abort"}  # as no executor in the same process could prevent


@dataclass(frozen=True)
class Deadly(Moody):
    """Proposal 1 does what `way` names; with a file `once` in the folder only if it is there."""

    way: str = ""
    names: bool = True  # whether it says who is at work

    def interval(self, job: IntervalJob, advance: Advance = unheeded) -> list[Result]:
        results = []
        for one in job.proposals:
            advance(0, one.id if self.names else None)
            if one.id == 1:
                with (self.folder / "tries").open("a") as tries:
                    tries.write("x")
                if not (self.folder / "healed").exists():
                    DEADLY[self.way][0]()
            results.append(Result(proposal=one.id, fitness=float(one.id)))
        return results

    def test(self, job: FinalTestJob, advance: Advance = unheeded) -> FinalTest:
        advance(0, job.proposal)
        DEADLY[self.way][0]()
        raise AssertionError("still alive")


SOON = ExecutorOptions(timeout=1.0)


@pytest.mark.parametrize("way", DEADLY)
@EXECUTORS
def test_who_ends_the_worker_twice_is_given_up_alone(make: Any, way: str, tmp_path: Path) -> None:
    if make is InlineExecutor and way in ENDS_PYTHON:
        pytest.skip("nothing in the same process survives that")
    executor: Executor = make(Deadly(tmp_path, way=way), SOON)
    try:
        (first, second, third), (fourth,) = run_all(executor, [job(0, 1, 2), job(3)])
        assert [first.fitness, third.fitness, fourth.fitness] == [0, 2, 3]
        assert re.fullmatch(f"the mood: its process {DEADLY[way][1]}, twice", second.failure or "")
        assert (tmp_path / "tries").read_text() == "xx"
        checkpoints = FolderCheckpoints(tmp_path)
        (test,) = run_all(executor, [FinalTestJob(proposal=0, episodes=range(3), root_seed=0, checkpoints=checkpoints)])
        assert test.excluded == 3 and not test.returns and re.search(DEADLY[way][1], test.failure or "")
    finally:
        executor.close()


@pytest.mark.parametrize("way", ["sys_exit", "os_exit", "hang"])
@EXECUTORS
def test_without_a_name_all_of_the_job_are_given_up(make: Any, way: str, tmp_path: Path) -> None:
    executor: Executor = make(Deadly(tmp_path, way=way, names=False), SOON)
    try:
        (results,) = run_all(executor, [job(0, 1, 2)])
        assert all(re.search(DEADLY[way][1], result.failure or "") for result in results)
    finally:
        executor.close()


@EXECUTORS
def test_what_does_not_come_again_leaves_no_trace(make: Any, tmp_path: Path) -> None:
    executor: Executor = make(Deadly(tmp_path, way="hang"), SOON)
    threading.Timer(0.7, (tmp_path / "healed").touch).start()
    try:
        (results,) = run_all(executor, [job(0, 1, 2)])
        assert [result.fitness for result in results] == [0, 1, 2] and (tmp_path / "tries").read_text() == "xx"
    finally:
        executor.close()


@EXECUTORS
def test_silence_is_told_before_it_is_ended(make: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    executor: Executor = make(Deadly(tmp_path, way="hang"), ExecutorOptions(timeout=2.0))
    try:
        list(run_all(executor, [job(0, 1, 2)]))
    finally:
        executor.close()
    told = capfd.readouterr().err.splitlines()
    assert len(told) == 2
    for line in told:
        assert re.fullmatch(
            r"warning: no sign of life for [12]s from the mood, member 1 in generation 1, "
            r"in (this process|worker process) \(?\d+\)?; it is given up after 2s",
            line,
        )


def test_a_slow_task_that_gives_signs_is_left_alone(tmp_path: Path) -> None:
    executor = ProcessExecutor(Lively(tmp_path), 1, SOON)
    try:
        assert run_all(executor, [job(0)])[0][0].fitness == 0
    finally:
        executor.close()


@dataclass(frozen=True)
class Lively(Moody):
    """Takes thrice the patience, and says now and then that it is alive."""

    def interval(self, job: IntervalJob, advance: Advance = unheeded) -> list[Result]:
        for _ in range(12):
            time.sleep(0.25)
            advance(0, 0)
        return super().interval(job, advance)


@dataclass(frozen=True)
class Daemonic(Moody):
    """Starts a process that leaves the group, and the session, and then dies if it is told to."""

    def interval(self, job: IntervalJob, advance: Advance = unheeded) -> list[Result]:
        engine = subprocess.Popen(["sleep", "600"], start_new_session=True)
        with (self.folder / "engines").open("a") as file:
            file.write(f"{engine.pid}\n")
        return super().interval(job, advance)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_left_the_group_does_not_outlive_the_run(tmp_path: Path) -> None:
    (tmp_path / "die-1").touch()
    executor = ProcessExecutor(Daemonic(tmp_path), 1)
    try:
        run_all(executor, [job(1)])
    finally:
        executor.close()
    engines = [int(line) for line in (tmp_path / "engines").read_text().split()]
    assert len(engines) == 2
    wait_until(lambda: not any(map(is_alive, engines)))


def test_a_temporary_folder_with_a_long_path_is_no_hindrance(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    script = (
        "from rl_pbt.executors import ProcessExecutor\n"
        "from rl_pbt.tasks.base import BaselineJob\n"
        "from rl_pbt.tasks.quadratic import QuadraticTask\n"
        "if __name__ == '__main__':\n"
        "    executor = ProcessExecutor(QuadraticTask(), 1)\n"
        "    print(executor.submit(BaselineJob(root_seed=0, episodes=2)).result().returns)\n"
        "    executor.close()\n"
    )
    environment = {**os.environ, "TMPDIR": str(folder)}
    ran = subprocess.run(
        [sys.executable, "-c", script], check=False, env=environment, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0 and ran.stdout.startswith("(-0.42"), ran.stderr


UNGUARDED = """
import sys
import rl_pbt
from rl_pbt.cli.main import main

print("imported")
if sys.argv[1] == "keywords":
    rl_pbt.tune("quadratic", {}, population=2, budget=20, interval=10, workers=2, out="run", quiet=True)
else:
    main(["tune", "--task", "quadratic", "--population", "2", "--budget", "20", "--interval", "10", "--out", "run"])
"""


OF_THE_USER = """
import multiprocessing
import rl_pbt

if multiprocessing.current_process().name == "MainProcess":
    process = multiprocessing.get_context("spawn").Process(target=print)
    process.start()
    process.join()
else:
    rl_pbt.tune("quadratic", {}, population=2, budget=20, interval=10, workers=1, out="run", quiet=True)
"""


def test_another_process_that_imports_an_unguarded_script_says_so_itself(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(OF_THE_USER)
    done = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, check=False, cwd=tmp_path, timeout=120)
    assert done.stderr.count("\n") == 1 and 'put the call under `if __name__ == "__main__":`' in done.stderr


@pytest.mark.parametrize("way", ["keywords", "words"])
def test_a_script_without_the_guard_is_told_so_once(tmp_path: Path, way: str) -> None:
    """Worker processes import the script, and so would begin the run again."""
    (tmp_path / "script.py").write_text(UNGUARDED)
    words = [sys.executable, "-W", "ignore", "script.py", way]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=120)
    assert done.returncode == (1 if way == "keywords" else 2), done.stderr
    assert 'put the call under `if __name__ == "__main__":`' in done.stderr.splitlines()[-1]
    assert done.stderr.count("Traceback") == (1 if way == "keywords" else 0), "of the script's own process"
    assert "status" not in done.stderr
