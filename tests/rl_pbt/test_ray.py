"""Ray on one machine: the same run as inline, whatever becomes of its workers, and not a word of its own."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from rl_pbt.config import RunConfig
from rl_pbt.controller import Search
from rl_pbt.errors import BadSetting, LostCheckpoint, UserError
from rl_pbt.executors import InlineExecutor, RayExecutor, RayOptions, TaskError, ray_cluster, run_all
from rl_pbt.executors import ray as ray_executor
from rl_pbt.executors.base import Executor
from rl_pbt.executors.interrupts import held
from rl_pbt.executors.ray_cluster import Cluster, cluster
from rl_pbt.making import configure, executor_options, make_task, plan_of
from rl_pbt.options import built
from rl_pbt.records import FinalTest, Result
from rl_pbt.search import METHODS, Plan, Problem
from rl_pbt.store.checkpoints import FolderCheckpoints
from rl_pbt.store.journal import Journal
from rl_pbt.store.ledger import Ledger
from rl_pbt.store.run import RunFolder
from rl_pbt.tasks.base import Advance, FinalTestJob, IntervalJob, Task, unheeded
from rl_pbt.tasks.quadratic import QuadraticTask
from tests.rl_pbt.test_controller import SPACE, Killed, MortalLedger, contents, flip_a_bit, lose
from tests.rl_pbt.test_executors import DEADLY, Daemonic, Deadly, Moody, Slow, is_alive, job, wait_until

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray, of the extra ray")
ROOT = Path(__file__).parents[2]
WAYS = pytest.mark.parametrize("way", ["ray", "shared"])


@pytest.fixture(scope="module")
def machine() -> Iterator[Cluster]:
    """One Ray for all tests of this process; executors leave it as they found it."""
    made = cluster(RayOptions(), 4)
    yield made
    assert made.ray.is_initialized()
    made.close()


def make(task: Any, workers: int = 2, **options: Any) -> RayExecutor:
    return RayExecutor(task, workers, RayOptions(**{"cpus_per_worker": 0.1, **options}))


@pytest.fixture
def moody(machine: Cluster, tmp_path: Path) -> Iterator[RayExecutor]:
    made = make(Moody(tmp_path))
    yield made
    made.close()


def test_outcomes_come_in_the_order_of_the_jobs(moody: RayExecutor) -> None:
    for _ in range(2):
        outcomes = run_all(moody, [job(0, 1), job(2), job(3, 4), job(5)])
        assert [[r.proposal for r in results] for results in outcomes] == [[0, 1], [2], [3, 4], [5]]
    waiting, seen = [moody.submit(job(0)), moody.submit(job(1))], []
    for number in range(2, 8):
        seen.append(waiting.pop(0).result()[0].proposal)
        waiting.append(moody.submit(job(number)))
    assert [*seen, *(future.result()[0].proposal for future in waiting)] == list(range(8))


def test_what_the_task_raises_reaches_the_caller(moody: RayExecutor) -> None:
    for kind, number in ((UserError, 14), (TaskError, 15), (LostCheckpoint, 16)):
        with pytest.raises(kind, match=r"say it so|a bug|gone") as raised:
            run_all(moody, [job(number)])
        assert number != 16 or (isinstance(raised.value, LostCheckpoint) and raised.value.proposal == 7)
        assert str(raised.value).count("Traceback") == (number == 15)


def test_a_checkpoint_that_is_lost_is_missed_where_its_job_is_waited_for(moody: RayExecutor, tmp_path: Path) -> None:
    future = moody.submit(FinalTestJob(proposal=9, episodes=range(3), root_seed=0, checkpoints=FolderCheckpoints(tmp_path)))
    with pytest.raises(LostCheckpoint, match=r"000009.safetensors is missing"):
        future.result()


def test_a_killed_worker_is_replaced_and_its_job_run_again(moody: RayExecutor, tmp_path: Path) -> None:
    (tmp_path / "die-1").touch()
    assert [r[0].proposal for r in run_all(moody, [job(0), job(1), job(2)])] == [0, 1, 2]
    with pytest.raises(UserError, match=r"killed by SIGKILL .* 3 times on the same job: resume with fewer workers"):
        run_all(moody, [job(13)])


class Orphaned(Moody):
    """Kills the actor that it works for, once for each file."""

    def interval(self, job: IntervalJob, advance: Advance = unheeded) -> list[Result]:
        for marker in self.folder.glob("lose-*"):
            marker.unlink()
            actor = multiprocessing.parent_process()
            assert actor is not None and actor.pid is not None
            os.kill(actor.pid, signal.SIGKILL)
            time.sleep(60)
        return super().interval(job, advance)


def test_a_job_that_lost_its_actor_is_run_again_but_not_for_ever(
    machine: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_executor, "LOSSES", 2)
    made = make(Orphaned(tmp_path), 1)
    try:
        (tmp_path / "lose-0").touch()
        assert run_all(made, [job(0), job(1)])[1][0].proposal == 1
        for number in range(2):
            (tmp_path / f"lose-{number}").touch()
        with pytest.raises(UserError, match=r"the same job lost its worker 2 times, the last time so: .*: resume when"):
            run_all(made, [job(0)])
    finally:
        made.close()


@pytest.mark.parametrize("way", ["sys_exit", "os_exit", "native_hang", "segmentation_fault"])
def test_who_ends_the_worker_twice_is_given_up_alone(machine: Cluster, way: str, tmp_path: Path) -> None:
    made = make(Deadly(tmp_path, way=way), timeout=1.0)
    try:
        (first, second, third), (fourth,) = run_all(made, [job(0, 1, 2), job(3)])
        assert [first.fitness, third.fitness, fourth.fitness] == [0, 2, 3]
        assert re.fullmatch(f"the mood: its process {DEADLY[way][1]}, twice", second.failure or "")
        assert (tmp_path / "tries").read_text() == "xx"
    finally:
        made.close()


def test_silence_is_told_where_a_person_is(machine: Cluster, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    made = make(Deadly(tmp_path, way="hang"), 1, timeout=2.0)
    try:
        run_all(made, [job(0, 1, 2)])
    finally:
        made.close()
    told = capfd.readouterr().err.splitlines()
    assert len(told) == 2
    for line in told:
        assert re.fullmatch(r"warning: no sign of life for \ds from the mood, member 1 in generation 1, in worker .*", line), line


def test_units_underway_are_seen_before_the_interval_ends(machine: Cluster, tmp_path: Path) -> None:
    made = make(Slow(tmp_path), 1)
    seen: list[int] = []

    def watch() -> None:
        deadline = time.monotonic() + 60
        while made.units_underway < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
        seen.append(made.units_underway)
        (tmp_path / "end").touch()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        run_all(made, [job(0)])
        watcher.join()
        assert seen == [5] and made.units_underway == 0
    finally:
        made.close()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_nothing_that_a_worker_started_outlives_the_executor(machine: Cluster, tmp_path: Path) -> None:
    made = make(Daemonic(tmp_path), 1)
    try:
        run_all(made, [job(1)])
    finally:
        made.close()
    engines = [int(line) for line in (tmp_path / "engines").read_text().split()]
    assert len(engines) == 1
    wait_until(lambda: not any(map(is_alive, engines)))


def search(
    folder: Path,
    method: str,
    executor: Executor,
    ledger: Ledger | None = None,
    problem: Problem | None = None,
    **changed: Any,
) -> None:
    """A run of a method, on the quadratic unless there is another problem."""
    run, entry = RunFolder(folder), METHODS[method]
    settings: dict[str, Any] = {"population": 4, "group_size": 2, "say": lambda line: None, **changed}
    if problem is None:
        plan = Plan(population=settings["population"], budget_per_member=40, interval=10)
        problem = Problem(space=SPACE, plan=plan, root_seed=5, published={"h0": 0.5, "h1": 0.5})
    Search(
        title=method,
        method=entry.make(problem, built(entry.options, {})),
        executor=executor,
        journal=Journal(ledger or run.ledger(method, 5), clock=lambda: 0.0),
        checkpoints=run.checkpoints(method, 5),
        root_seed=5,
        test_episodes=20,
        cpu_s=lambda: 0.0,
        **settings,
    ).run()


@pytest.fixture(scope="module")
def quadratics(machine: Cluster) -> Iterator[dict[str, RayExecutor]]:
    """An executor for each way of checkpoints."""
    made = {way: make(QuadraticTask(), ray_checkpoints=way) for way in ("ray", "shared")}
    yield made
    for executor in made.values():
        executor.close()


@WAYS
@pytest.mark.parametrize("method", ["pbt", "pbt-async", "asha", "pb2"])
def test_the_ledger_is_the_same_as_inline(quadratics: dict[str, RayExecutor], tmp_path: Path, method: str, way: str) -> None:
    if method == "pb2":
        pytest.importorskip("sklearn")
    search(tmp_path / "inline", method, InlineExecutor(QuadraticTask()))
    search(tmp_path / "ray", method, quadratics[way])
    assert contents(tmp_path / "ray") == contents(tmp_path / "inline")


@WAYS
@pytest.mark.parametrize("damage", [lose, flip_a_bit])
def test_lost_checkpoints_are_computed_again(
    quadratics: dict[str, RayExecutor], tmp_path: Path, way: str, damage: Callable[[Path], None]
) -> None:
    search(tmp_path / "inline", "pbt-async", InlineExecutor(QuadraticTask()))
    mortal = MortalLedger(RunFolder(tmp_path / "ray").ledger("pbt-async", 5).path, 13)
    with pytest.raises(Killed):
        search(tmp_path / "ray", "pbt-async", InlineExecutor(QuadraticTask()), mortal)
    for path in RunFolder(tmp_path / "ray").checkpoints("pbt-async", 5).folder.iterdir():
        damage(path)
    told: list[str] = []
    search(tmp_path / "ray", "pbt-async", quadratics[way], say=told.append)
    assert "computed again" in told[0]
    assert contents(tmp_path / "ray") == contents(tmp_path / "inline")


def test_more_members_than_workers_train_in_waves(machine: Cluster, tmp_path: Path) -> None:
    many = {"population": 200, "group_size": 4}
    search(tmp_path / "inline", "pbt", InlineExecutor(QuadraticTask()), **many)
    with closing(make(QuadraticTask(), 8)) as executor:
        search(tmp_path / "ray", "pbt", executor, **many)
    assert contents(tmp_path / "ray") == contents(tmp_path / "inline")


def test_where_there_is_no_room_a_person_is_told(
    machine: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ray_executor, "NOTICE_S", 1.0)
    made = make(Moody(tmp_path), 1, cpus_per_worker=1000)
    try:
        made.submit(job(0))
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            made.listen()
    finally:
        made.close()
    told = r"warning: no worker yet: each asks for 1000 CPUs, 0 GPUs; the Ray cluster has \d+ CPUs, .*; still waiting\n"
    assert re.fullmatch(told, capfd.readouterr().err)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"cpus_per_worker": 0}, "cpus_per_worker must be above 0"),
        ({"gpus_per_worker": 1.5}, "gpus_per_worker must be a part of one, or a whole number, but is 1.5"),
        ({"gpus_per_worker": -1}, "gpus_per_worker must be a part of one"),
        ({"timeout": 0}, "timeout must be above 0"),
        ({"ray_checkpoints": "nowhere"}, "ray_checkpoints cannot be 'nowhere'"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(BadSetting, match=told):
        executor_options("ray", given)


def test_without_ray_a_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"^the executor ray needs the package ray, which is not installed: pip install"):
        executor_options("ray", {})


def test_who_has_no_use_for_ray_does_not_load_it() -> None:
    script = "import sys, rl_pbt.cli.command; print([name for name in ('ray', 'torch') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_options_of_ray_are_refused_elsewhere() -> None:
    with pytest.raises(BadSetting, match="cpus_per_worker is an option of the executor ray, and this one is processes"):
        executor_options("processes", {"cpus_per_worker": 1})


@pytest.fixture(scope="module")
def cartpole() -> tuple[RunConfig, Task]:
    settings = {
        "env": "CartPole-v1",
        "frames": 1200,
        "interval": 400,
        "eval_episodes": 1,
        "agent_options": {"envs_per_member": 4},
    }
    config = configure({"population": 4, **settings})
    return config, make_task(config, 2)


@WAYS
def test_an_agent_learns_the_same(machine: Cluster, tmp_path: Path, cartpole: tuple[RunConfig, Task], way: str) -> None:
    config, task = cartpole
    for name, executor in {"inline": InlineExecutor(task), "ray": make(task, ray_checkpoints=way)}.items():
        problem = Problem(space=config.space, plan=plan_of(config, task), root_seed=5, published=dict(config.hypers))
        with closing(executor):
            search(tmp_path / name, "pbt", executor, problem=problem)
    assert timeless(tmp_path / "ray") == timeless(tmp_path / "inline")


def timeless(folder: Path) -> dict[str, Any]:
    """Ledgers without times, and checkpoints byte for byte."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("ledger.jsonl")):
        found[str(path.relative_to(folder))] = [without_times(json.loads(line)) for line in path.read_text().splitlines()]
    return found | {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.safetensors")}


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: without_times(inner)
            for key, inner in value.items()
            if key not in ("time", "cpu_s", "wall_s", "method_s", "eval_cpu_s", "crc")
        }
    return [without_times(inner) for inner in value] if isinstance(value, list) else value


def test_the_terminal_shows_nothing_of_ray(tmp_path: Path) -> None:
    words = ["--task", "quadratic", "--budget", "40", "--interval", "10", "--population", "4", "--methods", "pbt"]
    line = [sys.executable, "-m", "rl_pbt", "tune", *words, "--executor", "ray", "--workers", "2", "--out", "run"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=200, check=False, cwd=tmp_path)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("run run; stop it") and any(line.startswith("report ") for line in lines) and len(lines) < 40
    assert not re.search(r"\bray\b|raylet|session|INFO|WARNING", done.stdout, re.IGNORECASE), done.stdout


@dataclass(frozen=True, slots=True, kw_only=True)
class Sluggish:
    """The quadratic, in no hurry."""

    seconds: float = 0.2
    subject: str = "the sluggish one"
    patience_s: float = 60.0
    quantum: int = 1
    free_evaluation: bool = True

    def interval(self, job: IntervalJob, advance: Advance = unheeded) -> list[Result]:
        results = QuadraticTask().interval(job, advance)
        time.sleep(self.seconds)
        return results

    def test(self, job: FinalTestJob, advance: Advance = unheeded) -> FinalTest:
        return QuadraticTask().test(job, advance)


def driver(folder: Path) -> None:
    """A run to be stopped; with another process as its main one, as it is for a person."""
    try:
        with held(), closing(RayExecutor(Sluggish(), 2, RayOptions())) as executor:
            search(folder, "pbt", executor)
    except KeyboardInterrupt:
        sys.exit(130)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.nightly), signal.SIGKILL])
def test_a_driver_that_is_stopped_leaves_nothing_behind_and_is_resumed(
    quadratics: dict[str, RayExecutor], tmp_path: Path, number: signal.Signals
) -> None:
    search(tmp_path / "inline", "pbt", InlineExecutor(QuadraticTask()))
    script = f"from pathlib import Path; from tests.rl_pbt.test_ray import driver; driver(Path({str(tmp_path / 'ray')!r}))"
    line = [sys.executable, "-c", script]
    process = subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True, cwd=ROOT
    )
    ledger = RunFolder(tmp_path / "ray").ledger("pbt", 5).path
    wait_until(lambda: ledger.exists() and ledger.read_text().count('"result"') > 1)
    begun = [process.pid, *descendants_of(process.pid)]
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # Ctrl-C reaches all that a terminal has started
    else:
        process.send_signal(number)
    said = process.communicate(timeout=60)[0]
    assert said == "" and process.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 130)
    wait_until(lambda: not any(map(is_alive, begun)))
    assert len(begun) > 6
    search(tmp_path / "ray", "pbt", quadratics["shared"])
    assert contents(tmp_path / "ray") == contents(tmp_path / "inline")


def descendants_of(ancestor: int) -> list[int]:
    """Processes that a process started, and those that they started, but for two of Ray's own that take a minute to end."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rsplit(")", 1)[1].split()[1])
    found = [ancestor]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return [pid for pid in found[1:] if b"Agent" not in Path(f"/proc/{pid}/cmdline").read_bytes()]
