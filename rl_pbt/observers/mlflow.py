"""MLflow: one MLflow run for each method and seed, tagged with the name of the run folder. Members are only in TensorBoard.

A resumed run continues its MLflow runs if the server still has them: points that are there are not sent twice, and parameters,
which MLflow does not allow to change, stay as they were. `MLFLOW_TRACKING_URI` and `MLFLOW_EXPERIMENT_NAME` are respected.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import final

from rl_pbt.errors import UserError, plain_text
from rl_pbt.observers.tracked import keep_number, known_number
from rl_pbt.records import JSON, Hypers
from rl_pbt.store.run import RunFolder, search_name


@final
class MLflow:
    """A sink for the curves of one method and seed of a run. Raises UserError if no server accepts them."""

    def __init__(self, run: RunFolder, method: str, seed: int, *, config: Mapping[str, JSON], about: Hypers) -> None:
        self._mlflow = import_module("mlflow")
        self._points: dict[str, set[int]] = {}  # by curve: units of the points that were there before
        try:
            self._continued = self._continues(known_number(run, method, seed, "mlflow"))
            if not self._continued:
                self._mlflow.start_run(run_name=search_name(method, seed), tags={"run": run.folder.name})
            self._number: str = self._mlflow.active_run().info.run_id
            keep_number(run, method, seed, "mlflow", self._number)
            self._log_params({**config, **about})
        except self._mlflow.exceptions.MlflowException as error:
            raise UserError(f"mlflow: {plain_text(str(error))}: check MLFLOW_TRACKING_URI, then resume") from None

    def _continues(self, number: str | None) -> bool:
        """Continue that MLflow run; whether it was possible."""
        if number is None:
            return False
        try:
            self._mlflow.start_run(run_id=number)
        except self._mlflow.exceptions.MlflowException:  # it was deleted, or belongs to another server or experiment
            return False
        return True

    def _log_params(self, params: Mapping[str, JSON]) -> None:
        known = self._mlflow.MlflowClient().get_run(self._number).data.params if self._continued else {}
        self._mlflow.log_params({name: value for name, value in params.items() if name not in known})

    def _log(self, values: Mapping[str, float], units: int) -> None:
        if new := {tag: value for tag, value in values.items() if units not in self._had(tag)}:
            self._mlflow.log_metrics(new, step=units)

    def _had(self, tag: str) -> set[int]:
        """The units at which a curve had a point before the run was resumed."""
        if self._continued and tag not in self._points:
            history = self._mlflow.MlflowClient().get_metric_history(self._number, tag)
            self._points[tag] = {point.step for point in history}
        return self._points.get(tag, set())

    def population(self, values: Mapping[str, float], units: int) -> None:
        """Points against all units spent."""
        self._log(values, units)

    def winner(self, values: Mapping[str, float], units: int) -> None:
        """Points against the winner's training age."""
        self._log(values, units)

    def member(self, member: int, values: Mapping[str, float], units: int) -> None:
        """Not shown."""

    def note(self, tag: str, text: str, units: int, *, member: int | None = None) -> None:
        """Not shown."""

    def outcome(self, hypers: Hypers, scores: Mapping[str, float]) -> None:
        """Columns of the table of runs; the scores are the last points of curves that are there already."""
        self._log_params(hypers)

    def close(self) -> None:
        """Nothing more will come."""
        self._mlflow.end_run()
