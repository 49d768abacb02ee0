"""A run from its folder to its report: what the command line and the Python API have in common."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO, final

from rl_pbt import provenance
from rl_pbt.config import RunConfig
from rl_pbt.controller import Search
from rl_pbt.errors import BadSetting, UserError, did_you_mean
from rl_pbt.executors import EXECUTORS, Executor
from rl_pbt.executors.interrupts import heard, held
from rl_pbt.making import configure, default_workers, make_executor, make_method, make_task, plan_of
from rl_pbt.observers.tensorboard import TensorBoard
from rl_pbt.observers.terminal import Progress
from rl_pbt.options import Settings
from rl_pbt.store.journal import Journal
from rl_pbt.store.manifest import Manifest, Status
from rl_pbt.store.run import RunFolder
from rl_pbt.tasks.base import Task
from rl_pbt.tasks.registry import task_type, words_of


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A run that can begin or continue: its folder, its configuration, and its manifest, if there is one."""

    folder: RunFolder
    config: RunConfig
    manifest: Manifest | None  # None where the run is new

    @property
    def finished(self) -> bool:
        """Whether nothing is left to train."""
        return self.manifest is not None and self.manifest.status == "finished"


def open_run(given: Settings, *, out: Path | None = None, resume: Path | None = None) -> Opened:
    """A new run in the folder `out`, or the one that `resume` names; settings `given` with that must be its own.

    An existing run is never overwritten: where `out` holds one of the same configuration, it is continued. Raises UserError.
    """
    if resume is not None:
        folder = RunFolder(resume)
        manifest = folder.manifest()
        _same(configure(given, manifest.config), manifest.config, folder)
        return Opened(folder=folder, config=manifest.config, manifest=manifest)
    config = configure(given)
    folder = RunFolder(out or _new_folder(config))
    if folder.begun:
        manifest = folder.manifest()
        _same(config, manifest.config, folder)
        return Opened(folder=folder, config=config, manifest=manifest)
    if folder.folder.exists() and (not folder.folder.is_dir() or any(folder.folder.iterdir())):
        raise BadSetting("out", f"names {folder.folder}, which exists and is not a run: choose another folder")
    return Opened(folder=folder, config=config, manifest=None)


def _new_folder(config: RunConfig) -> Path:
    return Path("results") / task_type(config.task).folder(config.task_options) / time.strftime("%Y%m%d-%H%M%S")


def _same(config: RunConfig, recorded: RunConfig, folder: RunFolder) -> None:
    if difference := config.difference(recorded):
        raise UserError(
            f"{folder.folder} holds a run of another configuration ({'; '.join(difference)}): start a new run in another folder, "
            "or resume this one without these settings"
        )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Everything that could be refused has been checked, and nothing has been written."""

    opened: Opened
    task: Task
    workers: int
    executor: str | None  # by name; None: the simplest that has that many workers


def prepare(
    opened: Opened,
    workers: int | None = None,
    executor: str | None = None,
    *,
    make: Callable[[RunConfig, int], Task] = make_task,
) -> Prepared:
    """The task of a run, made for that many workers, and every method tried: what cannot work fails before a folder is made.

    Raises UserError.
    """
    if workers is not None and workers < 1:
        raise BadSetting("workers", f"must be 1 or more, but is {workers}")
    if executor is not None and executor not in EXECUTORS:
        raise did_you_mean("executor", executor, EXECUTORS)
    config = opened.config
    workers = workers or (1 if executor == "inline" else default_workers(config))
    task = make(config, workers)
    for name in config.methods:
        make_method(name, config, config.seeds[0], task)
    return Prepared(opened=opened, task=task, workers=workers, executor=executor)


def execute(prepared: Prepared, *, command: str, stream: TextIO | None = None) -> None:
    """Every method on every seed, then the baseline; progress goes to `stream`, the terminal without one.

    The manifest records how it ended, also where it is interrupted: KeyboardInterrupt passes on when all is on disk.
    """
    opened = prepared.opened
    manifest = opened.manifest or _manifest(opened.config, command)
    manifest = replace(manifest, status="running", workers=prepared.workers)
    opened.folder.write_manifest(manifest)
    started = time.perf_counter()
    status: Status = "interrupted"
    baseline: tuple[float, ...] | None = None
    try:
        with held():
            _all_searches(prepared, stream or sys.stdout)
            with heard():
                measured = prepared.task.baseline(opened.config.seeds[0], opened.config.test_episodes)
        baseline = measured.returns if measured else ()
        status = "finished"
    finally:
        elapsed_s = (manifest.elapsed_s or 0.0) + time.perf_counter() - started
        opened.folder.write_manifest(replace(manifest, status=status, baseline=baseline, elapsed_s=elapsed_s))


def _manifest(config: RunConfig, command: str) -> Manifest:
    return Manifest(
        command=command,
        config=config,
        versions=provenance.versions(),
        commit=provenance.commit(),
        hardware=provenance.hardware(),
    )


def _all_searches(prepared: Prepared, stream: TextIO) -> None:
    config = prepared.opened.config
    total = plan_of(config, prepared.task).total * len(config.methods) * len(config.seeds)
    executor = make_executor(prepared.task, prepared.workers, prepared.executor)
    progress = Progress(total, stream, lambda: executor.units_underway, words=words_of(config))
    try:
        for seed in config.seeds:
            for name in config.methods:
                _search(prepared, executor, progress, name, seed)
    finally:
        progress.close()
        executor.close()


def _search(prepared: Prepared, executor: Executor, progress: Progress, name: str, seed: int) -> None:
    config, folder = prepared.opened.config, prepared.opened.folder
    board = TensorBoard(folder.method_folder(name, seed), config.space, words=words_of(config))
    progress.begin(f"{name}, seed {seed}")
    try:
        Search(
            method=make_method(name, config, seed, prepared.task),
            executor=executor,
            journal=Journal(folder.ledger(name, seed)),
            checkpoints=folder.checkpoints(name, seed),
            root_seed=seed,
            group_size=config.group_size,
            test_episodes=config.test_episodes,
            observers=(board, progress),
        ).run()
    finally:
        board.close()
