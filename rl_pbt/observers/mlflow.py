"""MLflow: a run there for each method and seed, tagged with the folder of the run. Members stay in TensorBoard.

`MLFLOW_TRACKING_URI` and `MLFLOW_EXPERIMENT_NAME` are heeded.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import final

from rl_pbt.errors import UserError, plain_text
from rl_pbt.records import JSON, Hypers
from rl_pbt.store.run import RunFolder, search_name


@final
class MLflow:
    """A sink for the curves of one method and seed of a run. Raises UserError where there is no server to take it."""

    def __init__(self, run: RunFolder, method: str, seed: int, *, config: Mapping[str, JSON], about: Hypers) -> None:
        self._mlflow = import_module("mlflow")
        try:
            self._mlflow.start_run(run_name=search_name(method, seed), tags={"run": run.folder.name})
            self._mlflow.log_params({**config, **about})
        except self._mlflow.exceptions.MlflowException as error:
            raise UserError(f"mlflow: {plain_text(str(error))}: check MLFLOW_TRACKING_URI, then resume") from None

    def population(self, values: Mapping[str, float], units: int) -> None:
        """Points against all units spent."""
        self._mlflow.log_metrics(dict(values), step=units)

    def winner(self, values: Mapping[str, float], units: int) -> None:
        """Points against the winner's training age."""
        self._mlflow.log_metrics(dict(values), step=units)

    def member(self, member: int, values: Mapping[str, float], units: int) -> None:
        """Not shown."""

    def note(self, tag: str, text: str, units: int, *, member: int | None = None) -> None:
        """Not shown."""

    def outcome(self, hypers: Hypers, scores: Mapping[str, float]) -> None:
        """Columns of the table of runs; the scores end curves that are there."""
        self._mlflow.log_params(hypers)

    def close(self) -> None:
        """Nothing more will come."""
        self._mlflow.end_run()
