"""TensorBoard, written from results: one run a member, one for the population, one for the winner's line of descent.

The x axis is in the units of the task. The population is drawn against all that it has spent, evaluation included, so that
methods lie over one another at equal compute; `charts/`, which comes first on the page, has what to compare them by. Members are
drawn against the units that their slot has trained for, which never fall, as the training age of one that copies a younger donor
would. Nothing is read back from these files: a resumed run deletes them and writes them again from the ledger.

The writer comes with torch, which is loaded for the first result: a training without torch need not wait for it to start.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING, final

from rl_pbt.records import FinalTest, Hypers, Proposal, Result
from rl_pbt.space import Space, spread
from rl_pbt.store.lineage import Lineage
from rl_pbt.tasks.base import Words
from rl_pbt.text import value_text

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FOLDER_NAME = "tensorboard"


@final
class TensorBoard:
    """An observer of one method and seed, which writes to `folder`. Close it to flush.

    `about` is what the page of hyperparameters says of the run, beside those of its winner. Tags of the training's own metrics
    stay as they are; where the unit is a frame, the speed is called `time/fps` as Stable-Baselines3 does.
    """

    def __init__(self, folder: Path, space: Space, *, words: Words, about: Hypers) -> None:
        self._folder = folder / FOLDER_NAME
        _delete_events(self._folder)
        self._space = space
        self._speed_tag = "time/fps" if words.short_unit == "frame" else f"time/{_in_tag(words.short_units)}_per_s"
        self._test_tag = f"charts/test_{_in_tag(words.score)}"
        self._about = about
        self._writers: dict[str, SummaryWriter] = {}
        self._lineage = Lineage()  # of the finished proposals
        self._results: dict[int, Result] = {}
        self._standing: dict[int, Proposal] = {}  # each member's newest finished proposal
        self._units: dict[int, int] = {}  # that each member's slot has trained for
        self._spent = 0  # units, by the whole population
        self._unseen = 0  # results since the population was last drawn

    def proposed(self, proposals: Sequence[Proposal]) -> None:
        """Draw the population as it stood, and write down who copies whom."""
        self._population()
        for proposal in proposals:
            donor = self._lineage.donor(proposal)
            if donor is None:
                continue
            before = donor if proposal.hypers_from is not None else self._standing[proposal.member]
            moved = [
                f"{name} {value_text(before.hypers[name])} -> {value_text(value)}"
                for name, value in sorted(proposal.hypers.items())
            ]
            text = f"member {proposal.member} copies member {donor.member}: {', '.join(moved)}"
            self._writer("population").add_text("exploit", text, self._spent)

    def finished(self, proposal: Proposal, result: Result, *, replayed: bool) -> None:
        """A point on each curve of the member; final re-evaluations have none."""
        self._spent += result.cost.units
        if not proposal.trains:
            return
        self._lineage.add(proposal)
        self._results[proposal.id] = result
        self._standing[proposal.member] = proposal
        self._unseen += 1
        units = self._units[proposal.member] = self._units.get(proposal.member, 0) + proposal.units
        writer = self._writer(f"member-{proposal.member:02d}")
        scalars = {**result.metrics, **_hyper_scalars(proposal.hypers), **_fitness_scalars(result)}
        if result.cost.wall_s > 0:
            scalars[self._speed_tag] = result.cost.units / result.cost.wall_s
        _scalars(writer, scalars, units)
        if result.failure is not None:
            writer.add_text("failure", result.failure, units)

    def _population(self) -> None:
        """The members as they stand, whenever the method asks for more."""
        if not self._unseen:
            return
        self._unseen = 0
        writer = self._writer("population")
        units = self._spent
        standing = [proposal for _, proposal in sorted(self._standing.items())]
        results = [self._results[proposal.id] for proposal in standing]
        if fitness := [result.fitness for result in results if result.fitness is not None]:
            told = {"charts/best_fitness": max(fitness), "charts/median_fitness": median(fitness)}
            _scalars(writer, {**told, "diversity/fitness": max(fitness) - min(fitness)}, units)
        for name, dimension in self._space.dimensions.items():
            diversity = spread(dimension, [proposal.hypers[name] for proposal in standing])
            writer.add_scalar(f"diversity/{name}", diversity, units)
        founders = len({self._lineage.founder(proposal.id) for proposal in standing})
        writer.add_scalar("diversity/surviving_founders", founders, units)

    def incumbent_tested(self, test: FinalTest, units: int) -> None:
        """A point of the anytime curve, which the test of the winner ends."""
        if test.returns:
            self._writer("winner").add_scalar(self._test_tag, fmean(test.returns), units)

    def tested(self, test: FinalTest) -> None:
        """Draw the winner's ancestor curve, and write its hyperparameters, first and last, for the HParams page."""
        from torch.utils.tensorboard.summary import hparams  # noqa: PLC0415 - loads torch

        assert test.proposal is not None, "a winner is tested here, and no baseline"
        self._population()
        line = self._lineage.line(test.proposal)
        writer = self._writer("winner")
        for proposal in line:
            result = self._results[proposal.id]
            _scalars(writer, {**_hyper_scalars(proposal.hypers), **_fitness_scalars(result)}, result.lineage_units)
        ends = {"first": line[0], "last": line[-1]}
        hypers = {f"{end}/{name}": value for end, proposal in ends.items() for name, value in proposal.hypers.items()}
        about = {f"about/{name}": value for name, value in self._about.items()}  # columns are sorted: it comes first
        tested = {self._test_tag: fmean(test.returns)} if test.returns else {}
        # The page takes the values of these from the curves of the same writer.
        for summary in hparams({**about, **hypers}, {**tested, "fitness": 0.0}):  # type: ignore[no-untyped-call]
            writer._get_file_writer().add_summary(summary)  # type: ignore[no-untyped-call]
        _scalars(writer, tested, self._spent)

    def close(self) -> None:
        """Flush everything to disk."""
        self._population()
        for writer in self._writers.values():
            writer.close()

    def _writer(self, name: str) -> SummaryWriter:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - loads torch

        if name not in self._writers:
            self._writers[name] = SummaryWriter(str(self._folder / name))
        return self._writers[name]


def _delete_events(folder: Path) -> None:
    """What TensorBoard wrote, and the folders that are empty without it; links are not followed, and other files stay."""
    for root, folders, names in os.walk(folder, topdown=False):
        for name in names:
            if name.startswith("events.out.tfevents."):
                Path(root, name).unlink(missing_ok=True)
        for name in folders:
            with suppress(OSError):  # something else is in it, or it is a link
                Path(root, name).rmdir()


def _in_tag(noun: str) -> str:
    """Letters that TensorBoard takes in a tag."""
    return re.sub(r"[^\w.-]+", "_", noun)


def _hyper_scalars(hypers: Hypers) -> dict[str, float]:
    """Those that are numbers, by tag."""
    return {f"hypers/{name}": value for name, value in hypers.items() if not isinstance(value, str)}


def _fitness_scalars(result: Result) -> dict[str, float]:
    return {} if result.fitness is None else {"fitness": result.fitness}


def _scalars(writer: SummaryWriter, scalars: Mapping[str, float], units: int) -> None:
    for tag, value in sorted(scalars.items()):
        writer.add_scalar(tag, value, units)
