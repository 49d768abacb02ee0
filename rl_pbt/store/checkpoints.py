"""The checkpoints of one method and seed, in a folder: safetensors files, which hold named arrays and no code.

A second folder beside it holds exhibits: arrays that a report may show of proposals, in files of the same kind, kept as long
as the run.
"""

from __future__ import annotations

import re
import stat
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import final

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from rl_pbt.arrays import LARGEST_EXHIBIT, Array, State
from rl_pbt.errors import LostCheckpoint, UserError
from rl_pbt.store.files import write_durably

SUFFIX = ".safetensors"
HEAD = 10_000  # bytes of a file besides its arrays, at most
# A file of one proposal or of many that were saved together, or what an interrupted `write_durably` left. Only these are deleted.
OURS = re.compile(r"(?P<dot>\.)?(?P<first>\d{6,18})(-(?P<last>\d{6,18}))?\.safetensors(?(dot)\.\d+\.tmp)")


@final
class FolderCheckpoints:
    """Safetensors files: one per proposal, or one for many small ones that were saved together (a pack).

    Without a folder for `exhibits`, exhibits are not kept.
    """

    def __init__(self, folder: Path, exhibits: Path | None = None) -> None:
        self.folder = folder
        self.exhibits = exhibits
        self._packs: dict[Path, dict[int, dict[str, Array]]] = {}  # by file: the contents of packs that were read

    def __getstate__(self) -> dict[str, object]:
        # This object is sent with each job, so leave out what is on disk anyway.
        return {"folder": self.folder, "exhibits": self.exhibits, "_packs": {}}

    def path(self, proposal: int) -> Path:
        """The file of a proposal that was saved by itself."""
        return self.folder / f"{proposal:06d}{SUFFIX}"

    def save(self, proposal: int, state: State) -> None:
        """Save a checkpoint; durable when this returns."""
        write_durably(self.path(proposal), save({name: np.asarray(array, order="C") for name, array in state.items()}))

    def save_together(self, states: Mapping[int, State]) -> None:
        """Save many small checkpoints in one file, for the price of one; durable when this returns."""
        arrays = {
            f"{proposal}/{name}": np.asarray(array, order="C")
            for proposal, state in states.items()
            for name, array in state.items()
        }
        if arrays:
            write_durably(self.folder / f"{min(states):06d}-{max(states):06d}{SUFFIX}", save(arrays))

    def exhibit(self, proposal: int, arrays: State) -> None:
        """Keep arrays that a report may show; durable when this returns."""
        if self.exhibits is not None:
            content = save({name: np.asarray(array, order="C") for name, array in arrays.items()})
            write_durably(self.exhibits / f"{proposal:06d}{SUFFIX}", content)

    def exhibited(self, proposal: int) -> State | None:
        """What `exhibit` kept; None if it is missing or unreadable, which is no reason to fail a report."""
        if self.exhibits is None or self.exhibits.is_symlink():  # a link may lead to somebody else's files
            return None
        path = self.exhibits / f"{proposal:06d}{SUFFIX}"
        try:
            found = path.lstat()
            readable = stat.S_ISREG(found.st_mode) and found.st_size <= LARGEST_EXHIBIT + HEAD
            return _read_arrays(path, proposal) if readable else None
        except (LostCheckpoint, UserError, OSError):
            return None

    def load(self, proposal: int) -> State:
        """Load a checkpoint. Raises LostCheckpoint if its file is missing or damaged (never a silent fresh start).

        Raises UserError if the disk cannot be read.
        """
        path = self.path(proposal)
        if not path.exists() and (state := self._from_pack(proposal)) is not None:
            return state
        return _read_arrays(path, proposal)

    def _from_pack(self, proposal: int) -> State | None:
        for path, states in self._packs.items():
            if proposal in states and path.exists():
                return states[proposal]
        for path in self._files():
            if _is_pack(path) and proposal in _range(path):
                states = self._packs[path] = {}
                for name, array in _read_arrays(path, proposal).items():
                    id_, _, inner = name.partition("/")
                    if not (id_.isascii() and id_.isdecimal()):
                        raise LostCheckpoint(proposal, f"checkpoint {path} is damaged (it has an array {name!r:.100})")
                    states.setdefault(int(id_), {})[inner] = array
                if proposal in states:
                    return states[proposal]
        return None

    def holds(self, proposal: int) -> bool:
        """Whether there is a file that may hold a proposal's checkpoint."""
        return any(proposal in _range(path) for path in self._files() if not path.name.startswith("."))

    def _files(self) -> list[Path]:
        """Our own files in the folder; anything else there is left alone."""
        if not self.folder.is_dir():
            return []
        return sorted(path for path in self.folder.iterdir() if OURS.fullmatch(path.name) and not path.is_dir())

    def keep_only(self, proposals: Iterable[int], *, being_written: Iterable[int] = ()) -> None:
        """Delete every file, and every leftover of an interrupted write, that holds none of these proposals.

        Those that are being written are kept too, with their temporary files. Of exhibits, only leftovers are deleted.
        """
        writing = sorted(being_written)
        kept = sorted({*proposals, *writing})
        for path in self._files():
            temporary = path.name.startswith(".")
            if not _meets(_range(path), writing if temporary else kept):
                path.unlink(missing_ok=True)
        for path in self._left_of_exhibits():
            if not _meets(_range(path), writing):
                path.unlink(missing_ok=True)

    def _left_of_exhibits(self) -> list[Path]:
        """Leftovers of interrupted writes of exhibits."""
        if self.exhibits is None or self.exhibits.is_symlink():  # a link may lead to somebody else's files
            return []
        return [path for path in self.exhibits.glob(".*") if OURS.fullmatch(path.name) and not path.is_dir()]

    def leave_only(self, proposals: Iterable[int]) -> None:
        """Like `keep_only`, but also removes whatever else shares a file with these proposals."""
        proposals = list(proposals)
        for proposal in proposals:
            if not self.path(proposal).exists():
                self.save(proposal, self.load(proposal))
        self.keep_only(proposals)
        for path in self._files():
            if _is_pack(path):
                path.unlink(missing_ok=True)


def _read_arrays(path: Path, proposal: int) -> State:
    """The arrays of a proposal's file. Raises LostCheckpoint if it is missing or damaged, and UserError for a disk error."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):  # a pipe would never end, and a link may lead elsewhere
            raise LostCheckpoint(proposal, f"checkpoint {path} is not an ordinary file")
        return dict(load_file(path))
    except FileNotFoundError:
        raise LostCheckpoint(proposal, f"checkpoint {path} is missing") from None
    except OSError as error:  # the disk's fault, not the file's
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:  # the last three for unknown dtypes
        raise LostCheckpoint(proposal, f"checkpoint {path} is damaged ({error})") from None


def _range(path: Path) -> range:
    """The proposals that a checkpoint file, or a leftover of one, may hold."""
    found = OURS.fullmatch(path.name)
    assert found is not None
    first, last = int(found["first"]), int(found["last"] or found["first"])
    return range(first, last + 1)


def _is_pack(path: Path) -> bool:
    return not path.name.startswith(".") and "-" in path.name


def _meets(ids: range, ordered: Sequence[int]) -> bool:
    """Whether one of the `ordered` numbers lies in `ids`."""
    place = bisect_left(ordered, ids.start)
    return place < len(ordered) and ordered[place] in ids
