"""TensorBoard, written from results: one run a member, one for the population, one for the winner's line of descent.

The x axis is environment frames. A member that copied a younger donor would go back in time on its training age, so members
are drawn against the frames that their slot has trained for, which never fall, and the population against their mean. Nothing
is read back from these files: a resumed run deletes them and writes them again from the ledger.
"""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import final

from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from rl_pbt.records import Proposal, Result, Test
from rl_pbt.space import Space

FOLDERS = "tensorboard"


@final
class TensorBoard:
    """An observer of one method and seed. Close it to flush."""

    def __init__(self, folder: Path, space: Space) -> None:
        self._folder = folder / FOLDERS
        shutil.rmtree(self._folder, ignore_errors=True)
        self._space = space
        self._writers: dict[str, SummaryWriter] = {}
        self._trials: dict[int, tuple[Proposal, Result]] = {}
        self._standing: dict[int, Proposal] = {}  # each member's newest finished proposal
        self._frames: dict[int, int] = {}  # that each member's slot has trained for
        self._unseen = 0  # results since the population was last drawn

    def proposed(self, proposals: Sequence[Proposal]) -> None:
        self._population()
        for proposal in proposals:
            donor = self._donor(proposal)
            if donor is None:
                continue
            before = donor if proposal.hypers_from is not None else self._standing[proposal.member]
            moved = [f"{name} {before.hypers[name]} -> {value}" for name, value in sorted(proposal.hypers.items())]
            text = f"member {proposal.member} copies member {donor.member}: {', '.join(moved)}"
            self._writer("population").add_text("exploit", text, self._frames[proposal.member])

    def _donor(self, proposal: Proposal) -> Proposal | None:
        """The other member's proposal that weights or hypers are of."""
        ancestors = [self._trials[id_][0] for id_ in (proposal.hypers_from, proposal.parent) if id_ is not None]
        return next((ancestor for ancestor in ancestors if ancestor.member != proposal.member), None)

    def finished(self, proposal: Proposal, result: Result, *, replayed: bool) -> None:
        if not proposal.trains:
            return
        self._trials[proposal.id] = (proposal, result)
        self._standing[proposal.member] = proposal
        self._unseen += 1
        frames = self._frames[proposal.member] = self._frames.get(proposal.member, 0) + proposal.frames
        writer = self._writer(f"member-{proposal.member:02d}")
        scalars = {
            **result.metrics,
            **{f"hypers/{name}": v for name, v in proposal.hypers.items() if not isinstance(v, str)},
        }
        if result.fitness is not None:
            scalars["fitness"] = result.fitness
        if result.cost.wall_s > 0:
            scalars["time/fps"] = result.cost.frames / result.cost.wall_s
        self._scalars(writer, scalars, frames)
        if result.failure is not None:
            writer.add_text("failure", result.failure, frames)

    def _population(self) -> None:
        """The members as they stand, whenever the method asks for more."""
        if not self._unseen:
            return
        self._unseen = 0
        writer = self._writer("population")
        frames = round(statistics.fmean(self._frames.values()))
        standing = [self._trials[proposal.id] for _, proposal in sorted(self._standing.items())]
        fitness = [result.fitness for _, result in standing if result.fitness is not None]
        if fitness:
            spread = {"best": max(fitness), "median": statistics.median(fitness), "spread": max(fitness) - min(fitness)}
            self._scalars(writer, {f"population/{name}": value for name, value in spread.items()}, frames)
        for name, dimension in self._space.dimensions.items():
            diversity = dimension.spread([proposal.hypers[name] for proposal, _ in standing])
            writer.add_scalar(f"diversity/{name}", diversity, frames)
        founders = len({self._line(proposal.id)[0].id for proposal, _ in standing})
        writer.add_scalar("diversity/surviving_founders", founders, frames)

    def _line(self, id_: int) -> list[Proposal]:
        """The line of descent of a proposal, founder first."""
        line = [self._trials[id_][0]]
        while line[-1].parent is not None:
            line.append(self._trials[line[-1].parent][0])
        return line[::-1]

    def tested(self, test: Test) -> None:
        """The winner is known: draw its ancestor curve, and write its hypers, first and last, for the HParams page."""
        self._population()
        line = self._line(test.id)
        writer = self._writer("winner")
        for proposal in line:
            result = self._trials[proposal.id][1]
            scalars = {f"hypers/{n}": v for n, v in proposal.hypers.items() if not isinstance(v, str)}
            if result.fitness is not None:
                scalars["fitness"] = result.fitness
            self._scalars(writer, scalars, result.lineage_frames)
        first_and_last = {f"first/{n}": v for n, v in line[0].hypers.items()} | {
            f"last/{n}": v for n, v in line[-1].hypers.items()
        }
        metrics = {"test/mean_return": statistics.fmean(test.returns)}
        for summary in hparams(first_and_last, metrics):  # type: ignore[no-untyped-call]
            writer._get_file_writer().add_summary(summary)  # type: ignore[no-untyped-call]
        self._scalars(writer, metrics, self._trials[test.id][1].lineage_frames)

    def close(self) -> None:
        self._population()
        for writer in self._writers.values():
            writer.close()

    def _writer(self, name: str) -> SummaryWriter:
        if name not in self._writers:
            self._writers[name] = SummaryWriter(str(self._folder / name))
        return self._writers[name]

    @staticmethod
    def _scalars(writer: SummaryWriter, scalars: Mapping[str, float | int], frames: int) -> None:
        for tag, value in sorted(scalars.items()):
            writer.add_scalar(tag, value, frames)
