"""A run on disk: the manifest, one ledger and one checkpoint folder for each method and seed.

The ledger is the truth: append-only JSON lines; the checkpoint a line speaks of is durable before the line is. A torn last
line is dropped, any other bad line is an error that names file and line. Checkpoints are safetensors files: numbers with
names, so opening a run that someone sent you cannot run their code.
"""

from __future__ import annotations

import json
import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import final

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from rl_pbt.arrays import Array, State
from rl_pbt.errors import UserError
from rl_pbt.records import JSON, Fields
from rl_pbt.store.events import HEADER, VERSION, Event, from_json
from rl_pbt.store.manifest import Manifest

SUFFIX = ".safetensors"


@contextmanager
def _disk_errors_in_one_line(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror or error}; free space or choose another folder, then resume"
        ) from error


def write_durably(path: Path, content: bytes) -> None:
    """Write to a temporary name, fsync, rename: readers see the old file or the new one, never a part."""
    with _disk_errors_in_one_line(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            with open(temporary, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            _sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable (POSIX; Windows has no such call)."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_json(path: Path, value: Mapping[str, JSON]) -> None:
    """A JSON file, durable when this returns."""
    write_durably(path, (json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Fields:
    """Raises UserError where the file is absent or not a JSON object."""
    try:
        value = json.loads(path.read_text())
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}): restore it from a copy") from None
    if not isinstance(value, dict):
        raise UserError(f"{path} is damaged: it is not a JSON object")
    return value


class Ledger:
    """The append-only event log of one method and seed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[Event]:
        """All whole events. Raises UserError, naming file and line, where a line that is not torn off at the end is bad."""
        return [event for _, event in self.numbered()]

    def numbered(self) -> list[tuple[int, Event]]:
        """`read`, each event with the number of its line."""
        return self._read()[0]

    def _read(self) -> tuple[list[tuple[int, Event]], int, int]:
        """The numbered events, the bytes of all whole lines, and the version that the file is of."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return [], 0, VERSION
        except OSError as error:
            raise UserError(f"cannot read {self.path}: {error.strerror}") from None
        lines = content.splitlines(keepends=True)
        if lines and not lines[-1].endswith(b"\n"):
            del lines[-1]  # torn: the process died while writing it
        events: list[tuple[int, Event]] = []
        version = VERSION
        for number, line in enumerate(lines, start=1):
            try:
                fields = json.loads(line)
                if number == 1:
                    version = _version(fields)
                    if version != 1:
                        continue
                events.append((number, from_json(fields, version)))
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(f"{self.path}, line {number} is damaged ({error}): restore the file from a copy") from None
        return events, sum(map(len, lines)), version

    def repair(self) -> list[Event]:
        """`read`, and cut a torn last line off the file so that the next append starts a line.

        Raises UserError for a ledger of another version, which can be reported but not continued.
        """
        events, whole, version = self._read()
        if version != VERSION:
            raise UserError(
                f"{self.path} was written by an earlier version of rl_pbt: it can be reported, but to resume it use that version"
            )
        if self.path.exists() and self.path.stat().st_size != whole:
            with _disk_errors_in_one_line(self.path), open(self.path, "r+b") as file:
                file.truncate(whole)
                file.flush()
                os.fsync(file.fileno())
        return [event for _, event in events]

    def append(self, events: Iterable[Event]) -> None:
        """Durable when this returns; several events cost one fsync."""
        with _disk_errors_in_one_line(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            existed = self.path.exists()
            with open(self.path, "ab") as file:
                lines = [event.to_json() for event in events]
                if not file.tell():
                    lines.insert(0, HEADER)
                file.write("".join(map(_line, lines)).encode())
                file.flush()
                os.fsync(file.fileno())
            if not existed:
                _sync_folder(self.path.parent)


def _line(fields: Mapping[str, JSON]) -> str:
    return json.dumps(fields, sort_keys=True, allow_nan=False, separators=(",", ":")) + "\n"


def _version(first: Fields) -> int:
    """Which version of ledger begins with this line. Raises ValueError for one that is not known here."""
    if first["event"] != "ledger":
        return 1
    if first["version"] != VERSION:
        raise ValueError(f"a ledger of version {first['version']}, which a later rl_pbt writes")
    return VERSION


@final
class FolderCheckpoints:
    """Safetensors files: one a proposal, or one for many small ones that were saved together."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._packs: dict[Path, dict[int, dict[str, Array]]] = {}  # what was read of files of many

    def path(self, proposal: int) -> Path:
        """The file of a proposal that was saved alone."""
        return self.folder / f"{proposal:06d}{SUFFIX}"

    def save(self, proposal: int, state: State) -> None:
        """Durable when this returns."""
        write_durably(self.path(proposal), save({name: np.asarray(array, order="C") for name, array in state.items()}))

    def save_together(self, states: Mapping[int, State]) -> None:
        """Durable when this returns, at the price of one file: for checkpoints that are small and many."""
        arrays = {
            f"{proposal}/{name}": np.asarray(array, order="C")
            for proposal, state in states.items()
            for name, array in state.items()
        }
        if arrays:
            write_durably(self.folder / f"{min(states):06d}-{max(states):06d}{SUFFIX}", save(arrays))

    def load(self, proposal: int) -> State:
        """Raises UserError where the file is absent or damaged: never a fresh start in silence."""
        path = self.path(proposal)
        if not path.exists() and (state := self._from_pack(proposal)) is not None:
            return state
        return _read_arrays(path)

    def _from_pack(self, proposal: int) -> State | None:
        for path, states in self._packs.items():
            if proposal in states and path.exists():
                return states[proposal]
        for path in self._files():
            if proposal in _pack_range(path):
                states = self._packs[path] = {}
                for name, array in _read_arrays(path).items():
                    id_, _, inner = name.partition("/")
                    states.setdefault(int(id_), {})[inner] = array
                if proposal in states:
                    return states[proposal]
        return None

    def _files(self) -> list[Path]:
        return sorted(self.folder.iterdir()) if self.folder.is_dir() else []

    def keep_only(self, proposals: Iterable[int], *, being_written: Iterable[int] = ()) -> None:
        """Delete every file, and every leftover of an interrupted write, that holds none of these proposals.

        Those that are being written are kept too, with their temporary files.
        """
        writing = sorted(being_written)
        kept = sorted({*proposals, *writing})
        for path in self._files():
            # A temporary name ends in the process id and ".tmp", see write_durably.
            temporary = path.name.startswith(".")
            whole = path.with_name(path.name[1:].rsplit(".", 2)[0]) if temporary else path
            if not _meets(_range(whole), writing if temporary else kept):
                path.unlink(missing_ok=True)

    def leave_only(self, proposals: Iterable[int]) -> None:
        """`keep_only`, and nothing beside them in the same files."""
        proposals = list(proposals)
        for proposal in proposals:
            if not self.path(proposal).exists():
                self.save(proposal, self.load(proposal))
        self.keep_only(proposals)
        for path in self._files():
            if _pack_range(path):
                path.unlink(missing_ok=True)


def _read_arrays(path: Path) -> State:
    try:
        return dict(load_file(path))
    except FileNotFoundError:
        raise UserError(f"checkpoint {path} is missing: restore it, or start a new run in another folder") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"checkpoint {path} is damaged ({error}): restore it, or start a new run") from None


def _range(path: Path) -> range:
    """The proposals that a checkpoint file may hold; none for a file of another kind."""
    first, _, last = path.name.removesuffix(SUFFIX).partition("-")
    return range(int(first), int(last or first) + 1) if first.isdigit() and (last or first).isdigit() else range(0)


def _pack_range(path: Path) -> range:
    return _range(path) if "-" in path.name else range(0)


def _meets(ids: range, ordered: Sequence[int]) -> bool:
    """Whether one of the `ordered` numbers lies in `ids`."""
    place = bisect_left(ordered, ids.start)
    return place < len(ordered) and ordered[place] in ids


@final
class RunFolder:
    """The folder of one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def manifest_path(self) -> Path:
        """Where the manifest is, or will be."""
        return self.folder / "manifest.json"

    @property
    def begun(self) -> bool:
        """Whether there is a run in the folder."""
        return self.manifest_path.exists()

    def method_folder(self, method: str, seed: int) -> Path:
        """What belongs to one method and seed."""
        return self.folder / method / f"seed-{seed}"

    def ledger(self, method: str, seed: int) -> Ledger:
        """The events of one method and seed."""
        return Ledger(self.method_folder(method, seed) / "ledger.jsonl")

    def checkpoints(self, method: str, seed: int) -> FolderCheckpoints:
        """The checkpoints of one method and seed."""
        return FolderCheckpoints(self.method_folder(method, seed) / "checkpoints")

    def manifest(self) -> Manifest:
        """Raises UserError where there is none, or one that is damaged."""
        if not self.begun:
            raise UserError(f"{self.folder} is not a run: it has no manifest.json")
        try:
            return Manifest.from_json(read_json(self.manifest_path))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise UserError(f"{self.manifest_path} is damaged or of another version: {error} is missing or wrong") from None

    def write_manifest(self, manifest: Manifest) -> None:
        """Durable when this returns."""
        write_json(self.manifest_path, manifest.to_json())
