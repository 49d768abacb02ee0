"""TensorBoard's files: RUN/tensorboard has a TensorBoard run for each method and seed, RUN/tensorboard_members one for each
member.

They are separate because a page of all members would hide the curves that compare the methods. Nothing is read back from these
files: a resumed run deletes them, and writes them again from the ledger.

The writer comes with torch, which is loaded only for the first result: a training without torch need not wait for it to start.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, final

from rl_pbt.observers.curves import BEST, MEDIAN, range_tags, ranged, test_tag
from rl_pbt.records import Hypers
from rl_pbt.space import Space
from rl_pbt.store.files import check_inside
from rl_pbt.store.run import RunFolder
from rl_pbt.tasks.words import Words

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

PNG, SIZE_ENDS = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 24  # how a PNG file begins, and the offset at which its width and height end
# The page of hyperparameters sorts its columns, and shows only the first five by default.
SHOWN_FIRST = frozenset({"method", "seed"})
MOST_MEMBERS = 64  # that get a run: each is a file and a thread, and a page of more is unreadable
RGBA = 4  # TensorBoard's code for it


@final
class TensorBoard:
    """A sink for the curves of one method and seed of a run.

    `about` is shown on the page of hyperparameters, besides those of its winner. Raises UserError if a link would lead out of the
    run's folder.
    """

    def __init__(self, run: RunFolder, method: str, seed: int, space: Space, *, words: Words, about: Hypers) -> None:
        self._run = run.folder
        self._population_folder = run.tensorboard(method, seed)
        self._members_folder = run.tensorboard_members(method, seed)
        run.check_inside(method, seed)
        for folder in (self._population_folder, self._members_folder, run.old_tensorboard(method, seed)):
            _delete_events(folder)
        self._layout = _layout(space, words)
        self._about = about
        self._writers: dict[Path, SummaryWriter] = {}

    def population(self, values: Mapping[str, float], units: int) -> None:
        """Points in the TensorBoard run of the method and seed."""
        _scalars(self._writer(self._population_folder), values, units)

    def winner(self, values: Mapping[str, float], units: int) -> None:
        """Points in the same run, with tags of their own."""
        self.population(values, units)

    def member(self, member: int, values: Mapping[str, float], units: int) -> None:
        """Points in the member's own run, which only the first MOST_MEMBERS members have."""
        if member < MOST_MEMBERS:
            _scalars(self._writer(self._member_folder(member)), values, units)

    def note(self, tag: str, text: str, units: int, *, member: int | None = None) -> None:
        """A text about the population or a member."""
        folder = self._population_folder if member is None or member >= MOST_MEMBERS else self._member_folder(member)
        self._writer(folder).add_text(tag, text, units)

    def outcome(self, hypers: Hypers, scores: Mapping[str, float]) -> None:
        """A row of the page of hyperparameters."""
        from torch.utils.tensorboard.summary import hparams  # noqa: PLC0415 - loads torch

        about = {f"{'about' if name in SHOWN_FIRST else 'run'}/{name}": value for name, value in self._about.items()}
        # The page takes the scores' values from the curves of the same run.
        for summary in hparams({**about, **hypers}, dict(scores)):  # type: ignore[no-untyped-call]
            self._writer(self._population_folder)._get_file_writer().add_summary(summary)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Flush everything to disk."""
        for writer in self._writers.values():
            writer.close()

    def _member_folder(self, member: int) -> Path:
        return self._members_folder / f"{member:02d}"

    def _writer(self, folder: Path) -> SummaryWriter:
        if folder not in self._writers:
            self._writers[folder] = _opened(self._run, folder)
            if folder == self._population_folder:
                self._writers[folder].add_custom_scalars(self._layout)
        return self._writers[folder]


def add_pictures(run: RunFolder, method: str, seed: int, pictures: Mapping[str, bytes]) -> None:
    """Add PNG files, by name, to the curves of one method and seed."""
    from tensorboard.compat.proto.summary_pb2 import Summary  # noqa: PLC0415 - as the writer

    drawn = {name: png for name, png in pictures.items() if png.startswith(PNG) and len(png) > SIZE_ENDS}
    if not drawn:
        return
    writer = _opened(run.folder, run.tensorboard(method, seed))
    for name, png in drawn.items():
        width, height = struct.unpack(">II", png[len(PNG) : SIZE_ENDS])
        image = Summary.Image(height=height, width=width, colorspace=RGBA, encoded_image_string=png)
        summary = Summary(value=[Summary.Value(tag=f"plots/{name}", image=image)])
        writer._get_file_writer().add_summary(summary, 0)  # type: ignore[no-untyped-call]
    writer.close()


def _opened(run: Path, folder: Path) -> SummaryWriter:
    from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - loads torch

    return SummaryWriter(str(check_inside(run, *folder.relative_to(run).parts)))


def _layout(space: Space, words: Words) -> dict[str, dict[str, list[object]]]:
    """The page of custom scalars, the same for all methods, so that its charts overlay them."""
    compared = {"best fitness": BEST, "median fitness": MEDIAN, f"test {words.score}, held out": test_tag(words)}
    ranges: dict[str, list[object]] = {}
    for name in ranged(space):
        low, middle, high = range_tags(name)
        ranges[name] = ["Margin", [middle, low, high]]
    charts: dict[str, list[object]] = {title: ["Multiline", [f"^{re.escape(tag)}$"]] for title, tag in compared.items()}
    return {"methods on the same budget": charts, "hyperparameters in the population: smallest, median, largest": ranges}


def _delete_events(folder: Path) -> None:
    """Delete TensorBoard's files, and folders that are then empty; links are not followed, and other files stay."""
    for root, folders, names in os.walk(folder, topdown=False):
        for name in names:
            if name.startswith("events.out.tfevents."):
                Path(root, name).unlink(missing_ok=True)
        for name in folders:
            with suppress(OSError):  # something else is in it, or it is a link
                Path(root, name).rmdir()
    with suppress(OSError):
        folder.rmdir()


def _scalars(writer: SummaryWriter, values: Mapping[str, float], units: int) -> None:
    for tag, value in sorted(values.items()):
        writer.add_scalar(tag, value, units)
