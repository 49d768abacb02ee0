"""The code of a Ray actor: it runs jobs in a worker process of its own, which a job may crash or block.

So a job that misbehaves is handled by the same code as on one machine, and the actor survives. Nothing here imports Ray, nor
anything that a task needs: the worker process imports that, once.
"""

from __future__ import annotations

import io
import os
import pickle
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, cast, final

from rl_pbt import provenance
from rl_pbt.executors.base import ExecutorOptions, answered
from rl_pbt.executors.processes import ProcessExecutor, prepare
from rl_pbt.tasks.base import Task


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """What a worker needs from the driver's process: what multiprocessing passes from parent to child, and the pickled task.

    `main` is the file of the driver's main module, and `main_name` that module's name if it was run with `python -m`.
    """

    main: str | None
    main_name: str | None
    path: tuple[str, ...]
    arguments: tuple[str, ...]
    folder: str
    task: bytes
    task_module: str
    subject: str
    patience_s: float | None
    timeout: float | None


def this_process(task: Task, options: ExecutorOptions) -> Driver:
    """The `Driver` that describes this process."""
    main = sys.modules["__main__"]
    return Driver(
        main=getattr(main, "__file__", None),
        main_name=getattr(getattr(main, "__spec__", None), "name", None),
        path=tuple(os.path.abspath(folder) for folder in sys.path),
        arguments=tuple(sys.argv),
        folder=os.getcwd(),
        task=pickle.dumps(task),
        task_module=type(task).__module__,
        subject=task.subject,
        patience_s=task.patience_s,
        timeout=options.timeout,
    )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A worker's machine, and the versions there that the last digits may depend on."""

    host: str
    versions: Mapping[str, object]

    def differences(self, other: Place) -> list[str]:
        """How this machine differs from the other, in words."""
        names = sorted(self.versions.keys() | other.versions.keys())
        pairs = [(name, self.versions.get(name, "absent"), other.versions.get(name, "absent")) for name in names]
        return [f"{name} {mine} instead of {theirs}" for name, mine, theirs in pairs if mine != theirs]


def this_place() -> Place:
    """The machine of this process."""
    return Place(host=socket.gethostname(), versions={**provenance.versions(), "processor": provenance.hardware()["processor"]})


@final
class _Packed:
    """A task that this process does not unpickle; sent to another process, it arrives as the task itself."""

    def __init__(self, driver: Driver) -> None:
        self._content = driver.task
        self.subject = driver.subject
        self.patience_s = driver.patience_s

    def __reduce__(self) -> tuple[Any, ...]:
        return pickle.loads, (self._content,)


@final
class Host:
    """The actor. Arguments and results are pickled by multiprocessing's rules, which find code by name, and not by Ray's.

    `begin` is called once; then `run`, for one job at a time, and `news` at the same time.
    """

    def __init__(self) -> None:
        self._told = io.StringIO()

    def begin(self, driver: bytes) -> bytes:
        """Get ready to run the driver's jobs. Returns a pickled Answer with this Place."""
        return pickle.dumps(answered(lambda: self._begin(pickle.loads(driver))))

    def _begin(self, driver: Driver) -> Place:
        _stand_in_for(driver)
        sys.stderr = self._told  # messages for the user are sent to the driver
        prepare(driver.task_module)
        self._executor = ProcessExecutor(cast("Task", _Packed(driver)), 1, ExecutorOptions(timeout=driver.timeout))
        return this_place()

    def run(self, job: bytes) -> tuple[bytes, str]:
        """Run a pickled job. Returns its pickled Answer, and all messages for the user so far."""
        answer = answered(lambda: self._executor.submit(pickle.loads(job)).result())
        return pickle.dumps(answer), self._told.getvalue()

    def news(self) -> tuple[int, str]:
        """Units trained so far in the job underway, and all messages for the user so far."""
        return self._executor.units_underway, self._told.getvalue()


def _stand_in_for(driver: Driver) -> None:
    """Make this process look like the driver to its worker process, as far as the driver's files exist here."""
    main = ModuleType("__main__")
    if driver.main_name is not None:
        main.__spec__ = ModuleSpec(driver.main_name, None)
    elif driver.main is not None and Path(driver.main).exists():
        main.__file__ = driver.main
    sys.modules["__main__"] = main
    sys.argv = list(driver.arguments)
    sys.path = [*driver.path, *(folder for folder in sys.path if folder not in driver.path)]
    if Path(driver.folder).is_dir():
        os.chdir(driver.folder)
