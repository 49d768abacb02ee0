"""A run from its folder to its report: what the command line and the Python API share."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TextIO, final

from rl_pbt import provenance
from rl_pbt.config import RunConfig
from rl_pbt.controller import Search
from rl_pbt.errors import UserError, in_one_line
from rl_pbt.executors import Executor, ExecutorOptions, Steps
from rl_pbt.executors.interrupts import held
from rl_pbt.interleaving import interleave
from rl_pbt.making import (
    check_workers,
    default_executor,
    default_workers,
    executor_options,
    make_executor,
    make_method,
    make_task,
    plan_of,
    searches_at_once,
)
from rl_pbt.observers import TRACKERS, check_tracker
from rl_pbt.observers.base import MakeWatcher, Watcher
from rl_pbt.observers.curves import Curves, Sink
from rl_pbt.observers.standing import Outline
from rl_pbt.observers.tensorboard import TensorBoard, add_pictures
from rl_pbt.observers.terminal import Progress
from rl_pbt.opening import Opened, check_longer
from rl_pbt.options import Settings
from rl_pbt.recorded import manifest_of
from rl_pbt.records import FinalTest, Hypers, Proposal, Result
from rl_pbt.store.files import disk_errors_in_one_line
from rl_pbt.store.journal import Journal
from rl_pbt.store.manifest import Manifest, Session
from rl_pbt.store.owner import owned
from rl_pbt.store.run import RunFolder
from rl_pbt.tasks.base import BaselineJob, Task
from rl_pbt.tasks.registry import task_type, words_of
from rl_pbt.text import shown

if TYPE_CHECKING:
    from rl_pbt.report import Summary

NOTHING: Settings = MappingProxyType({})


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A run that is ready to start: all settings have been checked, and nothing has been written."""

    opened: Opened
    task: Task
    workers: int
    executor: str
    executor_options: ExecutorOptions
    keep_population: bool = False
    track: str | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing is left to train."""
        return self.opened.finished


def prepare(
    opened: Opened,
    workers: int | None = None,
    executor: str | None = None,
    *,
    how: Settings = NOTHING,
    keep_population: bool = False,
    track: str | None = None,
    make: Callable[[RunConfig, int], Task] = make_task,
) -> Prepared:
    """Make the task for that many workers, and try to make every method: what cannot work fails before a folder is made.

    `how` are options of the executor. `keep_population` keeps every checkpoint from which the run can be extended; `track` names
    a tracker that the curves are sent to. Raises UserError.
    """
    check_workers(workers)
    check_tracker(track)
    config = opened.config
    workers = workers or (1 if executor == "inline" else default_workers(config))
    executor = executor or default_executor(workers)
    options = executor_options(executor, how)
    task = make(opened.here, workers)
    for name in config.methods:
        make_method(name, config, config.seeds[0], task)
    return Prepared(
        opened=opened,
        task=task,
        workers=workers,
        executor=executor,
        executor_options=options,
        keep_population=keep_population,
        track=track,
    )


@contextmanager
def owning(prepared: Prepared) -> Iterator[Prepared]:
    """Within, this process owns the run: its folder exists and is locked. Yields the run as it is under the lock.

    Raises UserError if another process owns it.
    """
    opened = prepared.opened
    folder = RunFolder(_made(opened.folder.folder, numbered=opened.numbered))
    with owned(folder.folder):
        manifest = manifest_of(folder) if folder.begun else None  # another process may have written it since it was opened
        if manifest is not None:
            check_longer(opened.config, manifest.config, folder)
        yield replace(prepared, opened=replace(opened, folder=folder, manifest=manifest))


def _made(folder: Path, *, numbered: bool) -> Path:
    """Make the folder; if `numbered`, a new one: the first of FOLDER, FOLDER-2, FOLDER-3 ... that is free."""
    with disk_errors_in_one_line(folder):
        if not numbered:
            folder.mkdir(parents=True, exist_ok=True)
            return folder
        for number in count(1):
            candidate = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
            with suppress(FileExistsError):
                candidate.mkdir(parents=True)
                return candidate
    raise AssertionError("there are numbers without end")


def complete(prepared: Prepared, *, command: str, stream: TextIO | None = None, watch: MakeWatcher = Progress) -> Summary:
    """`execute` the rest of a run that this process owns, and write its report.

    If the run fails or is interrupted, the partial results are reported, and the exception propagates.
    """
    folder, config = prepared.opened.folder, prepared.opened.config
    if prepared.finished:
        return _report(folder)
    try:
        execute(prepared, command=command, stream=stream, watch=watch)
    except (Exception, KeyboardInterrupt):
        with suppress(UserError):  # the original exception says more
            _report(folder)
        raise
    summary = _report(folder)
    from rl_pbt.report import pictures_of  # noqa: PLC0415 - as below

    for name in config.methods:
        for seed in config.seeds:
            add_pictures(folder, name, seed, pictures_of(folder, name, seed))
    return summary


def _report(folder: RunFolder) -> Summary:
    from rl_pbt.report import write_report  # noqa: PLC0415 - plots take longer to load than everything else

    return write_report(folder)


@final
class _LoadsReports:
    """Loads the report code once workers train: earlier, they would wait for it; at the end, the code might have changed."""

    def proposed(self, proposals: Sequence[Proposal]) -> None:
        import_module("rl_pbt.report")

    def finished(self, proposal: Proposal, result: Result, *, replayed: bool) -> None:
        pass

    def incumbent_tested(self, test: FinalTest, units: int) -> None:
        pass

    def tested(self, test: FinalTest) -> None:
        pass


def execute(prepared: Prepared, *, command: str, stream: TextIO | None = None, watch: MakeWatcher = Progress) -> None:
    """Run every method on every seed, and then the baseline, of a run that this process owns.

    `watch` makes the observer that shows progress on `stream`, by default standard output. The manifest records how the run
    ended, even if it failed or was interrupted; the exception propagates once everything is on disk.
    """
    opened = prepared.opened
    for name in opened.config.methods:
        for seed in opened.config.seeds:
            opened.folder.ledger(name, seed).check_beginning()  # before the manifest says that the run goes on
    manifest = opened.manifest or Manifest(command=command, config=opened.config)
    session = _session(prepared)
    if manifest.sessions and (differences := session.differences(manifest.last)):
        told = "; ".join(differences)
        print(f"warning: not as in the session before ({told}): results may differ in their last digits", file=sys.stderr)
    manifest = replace(
        manifest,
        config=opened.config,
        extended_from=opened.earlier_budgets,
        status="running",
        reason=None,
        sessions=(*manifest.sessions, session),
    )
    opened.folder.write_manifest(manifest)
    started = time.perf_counter()
    searches = _Searches(prepared=prepared, watch=watch, stream=stream or sys.stdout)
    ending: dict[str, Any] = {"status": "interrupted"}
    try:
        with held():
            measured = searches.run()
        ending = {"status": "finished", "baseline": measured.returns if measured else ()}
    except Exception as error:
        ending = {"status": "failed", "reason": in_one_line(error)}
        raise
    finally:
        session = replace(session, elapsed_s=time.perf_counter() - started, restored_units=searches.restored_units)
        opened.folder.write_manifest(replace(manifest, sessions=(*manifest.sessions[:-1], session), **ending))


def _session(prepared: Prepared) -> Session:
    config = prepared.opened.config
    code = task_type(config.task).code(config.task_options)
    return Session(
        began=time.time(),
        versions=provenance.versions(),
        commit=provenance.commit(),
        hardware=provenance.hardware(),
        sources=provenance.sources(word for words in code.values() for word in words),
        workers=prepared.workers,
        executor=prepared.executor,
    )


@final
@dataclass(slots=True, kw_only=True)
class _Searches:
    """Every method on every seed, and then the baseline. `restored_units` were retrained because checkpoints were lost."""

    prepared: Prepared
    watch: MakeWatcher
    stream: TextIO
    restored_units: int = 0

    def run(self) -> FinalTest | None:
        """Run all of them, and return the test of the baseline."""
        prepared, config = self.prepared, self.prepared.opened.config
        executor = make_executor(prepared.task, prepared.workers, prepared.executor, prepared.executor_options)
        progress = self.watch(_outline(prepared), self.stream, lambda: executor.units_underway)
        try:
            searches = (self._search(executor, progress, name, seed) for seed in config.seeds for name in config.methods)
            interleave(searches, executor, searches_at_once(config, prepared.workers))
            baseline = executor.submit(BaselineJob(root_seed=config.seeds[0], episodes=config.test_episodes)).result()
            if baseline is not None and baseline.failure is not None:
                progress.say(f"{words_of(config).baseline}: {baseline.excluded} without a score: {baseline.failure}")
            return baseline
        finally:
            progress.close()
            executor.close()

    def _search(self, executor: Executor, progress: Watcher, name: str, seed: int) -> Steps[None]:
        prepared, config, folder = self.prepared, self.prepared.opened.config, self.prepared.opened.folder
        folder.check_inside(name, seed)
        curves = Curves(config.space, words=words_of(config), sinks=_sinks(prepared, name, seed))
        first, *later = [replace(config, budget=budget) for budget in (*prepared.opened.earlier_budgets, config.budget)]
        search = Search(
            title=f"{name}, seed {seed}",
            method=make_method(name, first, seed, prepared.task),
            extensions=[plan_of(longer, prepared.task) for longer in later],
            keep_population=prepared.keep_population,
            executor=executor,
            journal=Journal(folder.ledger(name, seed)),
            checkpoints=folder.checkpoints(name, seed),
            root_seed=seed,
            population=config.population,
            group_size=config.group_size,
            test_episodes=config.test_episodes,
            budget=plan_of(first, prepared.task).total,
            anytime_tests=config.anytime_tests,
            observers=(curves, progress.begin(name, seed), _LoadsReports()),
            say=progress.say,
        )
        try:
            yield from search.steps()
        finally:
            curves.close()
            self.restored_units += search.restorer.units


def _outline(prepared: Prepared) -> Outline:
    config, plan = prepared.opened.config, plan_of(prepared.opened.config, prepared.task)
    return Outline(
        title=task_type(config.task).title(config.task_options),
        folder=shown(prepared.opened.folder.folder),
        methods=config.methods,
        seeds=config.seeds,
        population=config.population,
        generations=plan.generations,
        units=plan.total,
        words=words_of(config),
    )


def _sinks(prepared: Prepared, name: str, seed: int) -> list[Sink]:
    """Where the curves of one method and seed are written."""
    config, folder = prepared.opened.config, prepared.opened.folder
    title = task_type(config.task).title(config.task_options)
    about: Hypers = {"method": name, "seed": seed, "population": config.population, "task": title}
    sinks: list[Sink] = [TensorBoard(folder, name, seed, config.space, words=words_of(config), about=about)]
    if prepared.track is not None:
        sinks.append(TRACKERS[prepared.track].make(folder, name, seed, config=config.to_json(), about=about))
    return sinks
