"""Ray, started on this machine or joined where it runs: silent, without usage statistics, and with nothing left behind."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from math import ceil
from typing import Any, Literal, final

from rl_pbt.errors import BadSetting, UserError, in_one_line
from rl_pbt.executors.base import ExecutorOptions
from rl_pbt.executors.ray_folder import RayFolder
from rl_pbt.options import option

OBJECT_STORE_BYTES = 256 * 2**20  # of shared memory, for jobs and answers in transit; the excess goes to disk
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",  # lines that Ray would forward to the terminal, such as those about a worker that died
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # leave devices alone that no worker asks for
    "RAY_worker_niceness": "0",  # the same as for worker processes without Ray
}
PATIENCE_S = 10.0  # seconds to wait for a cluster that does not answer
CONCURRENCY = 2  # simultaneous calls of an actor: a job, and news of it
ERRORS = (OSError, RuntimeError, ValueError)  # what Ray raises if it does not start
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RayOptions(ExecutorOptions):
    """Where Ray is, and what a worker takes of it. Raises BadSetting, and UserError if Ray is not installed."""

    ray_address: str | None = option(
        None,
        help="Ray cluster to join, HOST:PORT, or auto for the one on this machine (default: Ray is started for this run)",
        metavar="HOST:PORT",
    )
    cpus_per_worker: float = option(1.0, help="CPUs that Ray reserves for a worker; with 0.5, two share one")
    gpus_per_worker: float = option(0.0, help="GPUs that Ray reserves for a worker; with 0.25, four share one")
    ray_checkpoints: Literal["auto", "ray", "shared"] = option(
        "auto",
        help="how checkpoints reach Ray's workers: ray (with each job, and only the driver writes), shared (all machines see the "
        "disk of the run), or auto (ray where a cluster is joined)",
    )

    def __post_init__(self) -> None:
        ExecutorOptions.__post_init__(self)  # super() fails: slots=True creates the class a second time
        for name, asked in (("cpus_per_worker", self.cpus_per_worker), ("gpus_per_worker", self.gpus_per_worker)):
            if not asked >= 0 or (asked > 1 and asked % 1 != 0):
                raise BadSetting(name, f"must be a part of one, or a whole number, but is {asked:g}")
        if self.cpus_per_worker == 0:
            raise BadSetting("cpus_per_worker", "must be above 0: how many workers a machine has follows from it")
        if find_spec("ray") is None:
            raise UserError("the executor ray needs the package ray, which is not installed: pip install -e '.[ray]'")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Ray, as one executor uses it: `ours` if it was started or joined for this executor; `folder` if it was started."""

    ray: Any
    options: RayOptions
    ours: bool
    folder: RayFolder | None = None

    @property
    def is_this_machine(self) -> bool:
        """Whether the whole cluster is on this machine."""
        return self.folder is not None

    def actor(self, cls: type) -> Any:
        """A new actor of that class, which starts as soon as there is room, and ends with this process at the latest."""
        cpus, gpus = self.options.cpus_per_worker, self.options.gpus_per_worker
        made = self.ray.remote(cls).options(num_cpus=cpus, num_gpus=gpus, max_restarts=0, max_concurrency=CONCURRENCY)
        return made.remote()

    def room(self) -> str:
        """What a worker asks for, and what the cluster has, in words."""
        asked = {"CPU": self.options.cpus_per_worker, "GPU": self.options.gpus_per_worker}
        there, free = self.ray.cluster_resources(), self.ray.available_resources()
        return f"each asks for {_in_words(asked)}; the Ray cluster has {_in_words(there)}, free are {_in_words(free)}"

    def close(self) -> None:
        """Leave it as it was found."""
        if self.ours:
            self.ray.shutdown()
        if self.folder is not None:
            self.folder.remove()


def _in_words(resources: Mapping[str, float]) -> str:
    """The resources that a worker can ask for, in words."""
    return ", ".join(f"{resources.get(name, 0):g} {name}s" for name in ("CPU", "GPU"))


def cluster(options: RayOptions, workers: int) -> Cluster:
    """The cluster that this process has joined already, or else the one at the address, or a new one with room for the workers.

    Raises UserError if it cannot be joined or started.
    """
    if (ray := sys.modules.get("ray")) is not None and ray.is_initialized():
        return Cluster(ray=ray, options=options, ours=False)
    return _started(options, workers) if options.ray_address is None else _joined(options)


def _imported() -> Any:
    """Ray, imported late: it is optional."""
    return import_module("ray")


def _joined(options: RayOptions) -> Cluster:
    address = str(options.ray_address)
    if _token.cache_info().currsize and not _token().items() <= os.environ.items():
        raise BadSetting("ray_address", "cannot be joined by a process that has started Ray for itself: join it from a new one")
    try:
        if address != "auto":
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), PATIENCE_S).close()  # Ray itself would try for minutes
        with _quietly({}):
            ray = _imported()
            ray.init(address=address, log_to_driver=False, logging_level="error")
    except ERRORS as error:
        raise BadSetting("ray_address", f"names {address}, which cannot be joined: {in_one_line(error)}") from error
    return Cluster(ray=ray, options=options, ours=True)


def _started(options: RayOptions, workers: int) -> Cluster:
    """Start Ray on this machine; if there are more workers than cores, they share them, like worker processes without Ray."""
    folder = RayFolder()
    try:
        with _quietly(_token()):
            ray = _imported()
            ray.init(
                address="local",
                num_cpus=max(os.cpu_count() or 1, ceil(workers * options.cpus_per_worker)),
                object_store_memory=OBJECT_STORE_BYTES,
                include_dashboard=False,
                log_to_driver=False,
                logging_level="error",
                _temp_dir=str(folder.path),
            )
    except ERRORS as error:
        folder.remove()
        raise UserError(f"Ray could not be started: {in_one_line(error)}") from error
    made = Cluster(ray=ray, options=options, ours=True, folder=folder)
    if options.gpus_per_worker > (gpus := ray.cluster_resources().get("GPU", 0)):
        made.close()
        raise BadSetting("gpus_per_worker", f"is {options.gpus_per_worker:g}, but Ray finds {gpus:g} on this machine")
    return made


@cache
def _token() -> Mapping[str, str]:
    """Environment variables with a secret that keeps others out, since Ray listens on the network.

    There is one secret per process, because Ray reads it once, on import; empty if Ray was imported before.
    """
    return {} if "ray" in sys.modules else {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


@contextmanager
def _quietly(environment: Mapping[str, str]) -> Iterator[None]:
    """Within, Ray starts with these environment variables, without statistics or warnings, and takes over no signal handlers."""
    environment = {**QUIET, **environment}
    before = {name: os.environ.get(name) for name in environment}
    main = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in SIGNALS} if main else {}
    os.environ.update(environment)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        for number, handler in handlers.items():
            signal.signal(number, handler)
