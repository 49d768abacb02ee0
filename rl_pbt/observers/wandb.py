"""Weights & Biases: one W&B run for each method and seed, in one group, so that its charts overlay the methods.

Curves are logged directly, not synchronised from TensorBoard's files: that would put each file's folder in front of its tags, so
no two methods would share a chart. Members are only in TensorBoard, since their curves are of interest only next to each other. A
resumed run continues its W&B runs: points that are there are not sent twice. Offline, there is no way to know which are there, so
everything is written again under the same id. `WANDB_MODE=offline`, `WANDB_PROJECT` and the like are respected.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, final

from rl_pbt.errors import UserError, plain_text
from rl_pbt.observers.curves import OF_POPULATION
from rl_pbt.observers.tracked import keep_number, known_number
from rl_pbt.records import JSON, Hypers
from rl_pbt.store.files import check_inside
from rl_pbt.store.run import RunFolder, search_name

PROJECT = "rl_pbt"  # unless another one is named
UNITS, WINNERS_UNITS = "units", "winner/units"  # what curves are drawn against


@final
class WandB:
    """A sink for the curves of one method and seed of a run. Raises UserError if the service does not accept them."""

    def __init__(self, run: RunFolder, method: str, seed: int, *, config: Mapping[str, JSON], about: Hypers) -> None:
        wandb = import_module("wandb")
        check_inside(run.folder, "wandb")
        number = known_number(run, method, seed, "wandb")
        try:
            self._run = wandb.init(
                id=number,
                resume=None if number is None else "allow",
                project=wandb.setup().settings.project or PROJECT,
                group=run.folder.name,
                name=search_name(method, seed),
                job_type=method,
                dir=str(run.folder),
                config={**config, **about},
                settings=wandb.Settings(silent=True, console="off"),  # the terminal shows the search
            )
        except wandb.errors.Error as error:
            reason = plain_text(str(error))
            raise UserError(f"wandb: {reason}: run `wandb login`, or set WANDB_MODE=offline, then resume") from None
        keep_number(run, method, seed, "wandb", self._run.id)
        self._had: Mapping[str, Any] = dict(self._run.summary) if self._run.resumed else {}  # the newest value of each curve
        self._run.define_metric("winner/*", step_metric=WINNERS_UNITS)
        for group in OF_POPULATION:
            self._run.define_metric(f"{group}/*", step_metric=UNITS)

    def population(self, values: Mapping[str, float], units: int) -> None:
        """Points against all units spent."""
        self._log(UNITS, units, values)

    def winner(self, values: Mapping[str, float], units: int) -> None:
        """Points against the winner's training age."""
        self._log(WINNERS_UNITS, units, values)

    def _log(self, axis: str, units: int, values: Mapping[str, float]) -> None:
        """Log the values, unless they were logged before the run was resumed."""
        if not (values.keys() <= self._had.keys() and units <= self._had.get(axis, -1)):
            self._run.log({axis: units, **values})

    def member(self, member: int, values: Mapping[str, float], units: int) -> None:
        """Not shown."""

    def note(self, tag: str, text: str, units: int, *, member: int | None = None) -> None:
        """Not shown."""

    def outcome(self, hypers: Hypers, scores: Mapping[str, float]) -> None:
        """Columns of the table of runs."""
        self._run.config.update(hypers, allow_val_change=True)
        self._run.summary.update(dict(scores))

    def close(self) -> None:
        """Wait until everything is on disk, or sent."""
        self._run.finish()
