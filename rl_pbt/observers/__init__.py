"""Observers of a search: `terminal` (progress for a person), `curves` (for TensorBoard and trackers). They change nothing.

A tracker is a service that gets the curves in addition to TensorBoard's files: a sink of `curves` in its own file, and a line
here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Protocol, final

from rl_pbt.errors import UserError, did_you_mean
from rl_pbt.observers.curves import Sink
from rl_pbt.observers.mlflow import MLflow
from rl_pbt.observers.wandb import WandB
from rl_pbt.records import JSON, Hypers
from rl_pbt.store.run import RunFolder


class Maker(Protocol):
    """A function that begins to track one method and seed of a run. Raises UserError."""

    def __call__(self, run: RunFolder, method: str, seed: int, *, config: Mapping[str, JSON], about: Hypers) -> Sink: ...


@final
@dataclass(frozen=True, slots=True)
class Tracker:
    """The function that makes the sink, the package that it needs, and the command that installs it."""

    make: Maker
    package: str
    install: str


TRACKERS: dict[str, Tracker] = {
    "wandb": Tracker(WandB, "wandb", "pip install -e '.[track]'"),
    "mlflow": Tracker(MLflow, "mlflow", "pip install mlflow"),
}


def check_tracker(name: str | None) -> None:
    """Raises UserError for a tracker that is unknown, or whose package is not installed; None is fine."""
    if name is None:
        return
    if name not in TRACKERS:
        raise did_you_mean("tracker", name, TRACKERS)
    tracker = TRACKERS[name]
    if find_spec(tracker.package) is None:
        raise UserError(f"tracking by {name} needs the package {tracker.package}, which is not installed: {tracker.install}")
