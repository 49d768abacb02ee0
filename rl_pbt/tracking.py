"""TensorBoard, written from results: one run a member, one for the population, one for the winner's line of descent.

The x axis is environment frames. A member that copied a younger donor would go back in time on its training age, so members
are drawn against the age that their generation has reached, which never falls. Nothing is read back from these files: a
resumed run deletes them and writes them again from the ledger.
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
        self._generation: list[Proposal] = []
        self._frames = 0  # the age that the members of the current generation reach

    def proposed(self, proposals: Sequence[Proposal]) -> None:
        if not proposals[0].trains:
            return
        self._generation = list(proposals)
        frames = self._frames
        self._frames += proposals[0].frames
        for proposal in proposals:
            if proposal.hypers_from is not None:
                donor = self._trials[proposal.hypers_from][0]
                moved = ", ".join(f"{name} {donor.hypers[name]} -> {value}" for name, value in sorted(proposal.hypers.items()))
                text = f"member {proposal.member} copies member {donor.member}: {moved}"
                self._writer("population").add_text("exploit", text, frames)

    def finished(self, proposal: Proposal, result: Result, *, replayed: bool) -> None:
        if not proposal.trains:
            return
        self._trials[proposal.id] = (proposal, result)
        writer = self._writer(f"member-{proposal.member:02d}")
        scalars = {
            **result.metrics,
            **{f"hypers/{name}": v for name, v in proposal.hypers.items() if not isinstance(v, str)},
        }
        if result.fitness is not None:
            scalars["fitness"] = result.fitness
        if result.cost.wall_s > 0:
            scalars["time/fps"] = result.cost.frames / result.cost.wall_s
        self._scalars(writer, scalars, self._frames)
        if result.failure is not None:
            writer.add_text("failure", result.failure, self._frames)
        if proposal is self._generation[-1] or proposal.id == self._generation[-1].id:
            self._population()

    def _population(self) -> None:
        writer = self._writer("population")
        ids = [proposal.id for proposal in self._generation]
        fitness = [f for id_ in ids if (f := self._trials[id_][1].fitness) is not None]
        if fitness:
            spread = {"best": max(fitness), "median": statistics.median(fitness), "spread": max(fitness) - min(fitness)}
            self._scalars(writer, {f"population/{name}": value for name, value in spread.items()}, self._frames)
        for name, dimension in self._space.dimensions.items():
            diversity = dimension.spread([proposal.hypers[name] for proposal in self._generation])
            writer.add_scalar(f"diversity/{name}", diversity, self._frames)
        writer.add_scalar("diversity/surviving_founders", len({self._line(id_)[0].id for id_ in ids}), self._frames)

    def _line(self, id_: int) -> list[Proposal]:
        """The line of descent of a proposal, founder first."""
        line = [self._trials[id_][0]]
        while line[-1].parent is not None:
            line.append(self._trials[line[-1].parent][0])
        return line[::-1]

    def tested(self, test: Test) -> None:
        """The winner is known: draw its ancestor curve, and write its hypers, first and last, for the HParams page."""
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
