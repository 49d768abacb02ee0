"""The ledger of one method and seed: append-only lines of JSON, the authoritative record of a search.

Lines that are appended together are a *batch*. Its last line ends in a checksum, a CRC-32 of all bytes of the file before it.
So damage is found, and lines that were lost, swapped or duplicated, as SQLite finds them in its write-ahead log. A batch
without its end was cut off by a kill, and one with NUL bytes at the end of the file by a power loss: neither was ever
acknowledged, and both are dropped. Ledgers of versions 1 and 2 have no checksums; they can be reported but not continued. The
same holds for a compressed ledger, which is read if the plain one is missing.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import stat
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, final
from zlib import crc32

from rl_pbt.errors import UserError
from rl_pbt.records import JSON
from rl_pbt.store.events import VERSION, Event, Header, from_json, version_of
from rl_pbt.store.files import NO_LINKS, disk_errors_in_one_line, parsed, sync_folder

BEGINNING = b'{"config":"'  # how the first line begins
LONGEST_HEADER = 1 << 16  # bytes in which a first line ends, also one of version 1, which is an event
LARGEST = 1 << 31  # bytes of a compressed ledger's content: a small file from somebody else may expand beyond any memory
CHECKSUM = re.compile(rb',"crc":"([0-9a-f]{8})"\}\n\Z')


@final
@dataclass(slots=True, kw_only=True)
class _Content:
    """What a file holds: its events with their line numbers, and the size in bytes and the checksum of its complete batches."""

    version: int = VERSION
    header: Header | None = None  # None if the file is empty or of an earlier version
    events: list[tuple[int, Event]] = field(default_factory=list)
    size: int = 0
    crc: int = 0


class Ledger:
    """The append-only event log of one method and seed, which begins with `header`."""

    def __init__(self, path: Path, header: Header | None = None) -> None:
        self.path = path
        self._header = header or Header()
        self._known: _Content | None = None  # as this object left the file

    @property
    def compressed(self) -> Path:
        """Where it is after a finished run was compacted."""
        return self.path.with_name(f"{self.path.name}.gz")

    @property
    def exists(self) -> bool:
        """Whether there is a file, plain or compressed."""
        return self.path.exists() or self.compressed.exists()

    def read(self) -> list[Event]:
        """All events of complete batches. Raises UserError, naming file and line, for damage, and for a ledger of another run."""
        return [event for _, event in self.numbered()]

    def numbered(self) -> list[tuple[int, Event]]:
        """Like `read`, with the line number of each event."""
        found = self._read(self._bytes())
        if found.header is not None and found.header.config and self._header.config:
            self._check_whose(found.header)
        return found.events

    def repair(self) -> list[Event]:
        """Like `read`, but also cuts an incomplete batch off the file, so that the next append starts a line.

        Raises UserError, too, for a ledger that is compressed or of another version, which can be reported but not continued.
        """
        if not self.path.exists() and self.compressed.exists():
            raise UserError(f"{self.path} was compressed when the run had ended: it can be reported, and not continued")
        content = self._bytes()
        found = self._read(content)
        self._check_continues(found.version, found.header)
        if len(content) != found.size:
            with self._opened(os.O_WRONLY) as file:
                file.truncate(found.size)
                file.flush()
                os.fsync(file.fileno())
        self._known = found
        return [event for _, event in found.events]

    def check_beginning(self) -> None:
        """Raises UserError for a ledger of another version or run, as `repair` does, but reads only its beginning."""
        line, ended, _ = self._bytes(LONGEST_HEADER).partition(b"\n")
        if not ended:
            return
        version = version_of(line)
        try:
            header = Header.from_json(parsed(line)) if version == VERSION else None
        except (ValueError, UserError):
            return  # damage, or the result of a power loss: `repair` will tell
        self._check_continues(version, header)

    def _check_continues(self, version: int, header: Header | None) -> None:
        if version != VERSION:
            raise UserError(
                f"{self.path} was written by an earlier version of rl_pbt: it can be reported, but to resume it use that version"
            )
        if header is not None:
            self._check_whose(header)

    def _check_whose(self, header: Header) -> None:
        if header != self._header:
            raise UserError(f"{self.path} belongs to a run of another configuration: restore the folder from a copy")

    def append(self, events: Iterable[Event]) -> None:
        """Append one batch; durable when this returns. Raises UserError if another process has changed the file."""
        if self._known is None:
            self.repair()
        assert self._known is not None
        begins = not self._known.size
        lines = [_line(event.to_json()) for event in events]
        batch, crc = _closed([_line(self._header.to_json()), *lines] if begins else lines, self._known.crc)
        if begins:  # later on, a missing folder is an error: writing half a ledger would not fix it
            with disk_errors_in_one_line(self.path):
                self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._opened(os.O_WRONLY | os.O_APPEND | (os.O_CREAT if begins else 0)) as file:
            if os.fstat(file.fileno()).st_size != self._known.size:
                raise UserError(f"{self.path} was changed by somebody else meanwhile: end what writes there, then resume")
            file.write(batch)
            file.flush()
            os.fsync(file.fileno())
        if begins:
            sync_folder(self.path.parent)
        self._known.size += len(batch)
        self._known.crc = crc

    @contextmanager
    def _opened(self, flags: int) -> Iterator[BinaryIO]:
        with disk_errors_in_one_line(self.path), os.fdopen(os.open(self.path, flags | NO_LINKS, 0o666), "wb") as file:
            yield file

    def _bytes(self, most: int = -1) -> bytes:
        """The content of the file or, if it is missing, of its compressed version; empty if there is neither.

        All of it, or the first `most` bytes.
        """
        try:
            with _ordinary(self.path) as file:
                return file.read(most)
        except FileNotFoundError:
            return self._unpacked(most)

    def _unpacked(self, most: int) -> bytes:
        content = b""
        with suppress(FileNotFoundError), _ordinary(self.compressed) as packed:
            try:
                with gzip.open(packed) as file:
                    content = file.read(LARGEST + 1 if most < 0 else most)
            except (gzip.BadGzipFile, EOFError, zlib.error) as error:
                raise UserError(f"{self.compressed} is damaged ({error}): restore it from a copy") from None
        if len(content) > LARGEST:
            raise UserError(f"{self.compressed} is too large to be a ledger")
        return content

    def _read(self, content: bytes) -> _Content:
        lines = [line + b"\n" for line in content.split(b"\n")[:-1]]  # anything after the last line break is incomplete
        version = version_of(lines[0]) if lines else VERSION
        if version == VERSION:
            if not (content.startswith((BEGINNING, b"\0")) or BEGINNING.startswith(content)):  # not cut off, but no ledger
                raise self._damaged(1, 1, "no ledger begins like that")
            return self._checked(lines)
        headers = version - 1  # version 1 had none
        events = self._events(lines[headers:], 1 + headers, version)
        return _Content(version=version, events=events, size=sum(map(len, lines)))

    def _checked(self, lines: list[bytes]) -> _Content:
        found, first = _Content(), 1
        for batch in _batches(lines):
            last = first + len(batch) - 1
            fits, crc = _checksum(batch, found.crc)
            if not fits and last == len(lines) and any(b"\0" in line for line in batch):
                break  # a power loss: the disk had written the end of the batch before its beginning
            if not fits:
                raise self._damaged(first, last, "the checksum is another")
            events = batch
            if first == 1:
                found.header, events = self._header_of(batch[0]), batch[1:]
            found.events += self._events(events, last - len(events) + 1, VERSION)
            found.size += sum(map(len, batch))
            found.crc = crc
            first = last + 1
        return found

    def _header_of(self, line: bytes) -> Header:
        try:
            return Header.from_json(parsed(line))
        except (ValueError, UserError) as error:
            raise self._damaged(1, 1, str(error)) from None

    def _events(self, lines: list[bytes], first: int, version: int) -> list[tuple[int, Event]]:
        found: list[tuple[int, Event]] = []
        for number, line in enumerate(lines, start=first):
            try:
                found.append((number, from_json(parsed(line), version)))
            except (ValueError, KeyError, TypeError, AttributeError, UserError) as error:
                raise self._damaged(number, number, str(error)) from None
        return found

    def _damaged(self, first: int, last: int, why: str) -> UserError:
        where = f"line {first} is" if first == last else f"lines {first} to {last} are"
        return UserError(f"{self.path}, {where} damaged ({why}): restore the file from a copy")


@contextmanager
def _ordinary(path: Path) -> Iterator[BinaryIO]:
    """The file, to be read. Raises FileNotFoundError, and UserError if it is not an ordinary file, or cannot be read."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | NO_LINKS), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # a device may have no end
                raise UserError(f"{path} is not an ordinary file: restore it from a copy")
            yield file
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None


def _line(fields: Mapping[str, JSON]) -> bytes:
    return (json.dumps(fields, sort_keys=True, allow_nan=False, separators=(",", ":")) + "\n").encode()


def _closed(lines: Sequence[bytes], crc: int) -> tuple[bytes, int]:
    """The lines as a batch to follow bytes with checksum `crc`; and the checksum of everything, the batch included."""
    open_ = b"".join(lines).removesuffix(b"}\n")
    crc = crc32(open_, crc)
    ending = b',"crc":"%08x"}\n' % crc
    return open_ + ending, crc32(ending, crc)


def _batches(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    """The lines of each complete batch."""
    batch: list[bytes] = []
    for line in lines:
        batch.append(line)
        if CHECKSUM.search(line):
            yield batch
            batch = []


def _checksum(batch: Sequence[bytes], crc: int) -> tuple[bool, int]:
    """Whether a batch that follows bytes with checksum `crc` states the right one; and the checksum of everything."""
    ending = CHECKSUM.search(batch[-1])
    assert ending is not None
    for line in batch[:-1]:
        crc = crc32(line, crc)
    crc = crc32(batch[-1][: ending.start()], crc)
    return crc == int(ending[1], 16), crc32(ending[0], crc)
