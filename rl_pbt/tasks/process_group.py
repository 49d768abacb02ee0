"""Runs a program to its end with every process that it starts: none outlives its interval, or the process that asked for it.

Only processes that leave its session on purpose, as daemons do, can escape.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, final

from rl_pbt.errors import BadSetting

SCRIPTS = (".py", ".sh", ".bash", ".jl", ".R", ".lua")  # extensions of scripts that an interpreter runs
KEPT_BYTES = 8192  # of the end of a program's output; the rest is dropped as it arrives
LAST_OUTPUT_S = 1.0  # to wait for the last output once the program and its group are gone

# Waits for a word and then becomes the program, so that it does not start before it is watched. Without that word it just ends.
GATE = 'read -r word && exec "$@" </dev/null'
# Waits for a word. If the process that should send it dies first, by whatever signal, it kills the program's group and removes
# the folder.
WATCH = 'read -r word || { kill -9 "-$1"; rm -rf "$2"; } 2>/dev/null'


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a program ended, and the end of its output. `status` is negative for a signal, None if it took too long."""

    status: int | None
    out: str
    err: str

    @property
    def how(self) -> str:
        """In words, to follow "the program"; empty if it ended well."""
        if self.status is None:
            return "took too long and was stopped"
        if self.status < 0:
            return f"was killed by {next((one.name for one in signal.Signals if one == -self.status), f'signal {-self.status}')}"
        return f"ended with status {self.status}" if self.status else ""

    def last_lines(self, lines: int, characters: int, *, nameless: Path) -> str:
        """The last lines of its errors or, if there are none, of its output, as one line; the path `nameless` becomes "..."."""
        text = (self.err if self.err.strip() else self.out).replace(str(nameless), "...")
        printed = [line.strip() for line in text.splitlines() if line.strip()]
        return " | ".join(printed[-lines:])[-characters:]


def script_of(program: Sequence[str]) -> str:
    """The script that an interpreter is to run, or the program itself."""
    first = next((word for word in program[1:] if not word.startswith("-")), "")
    return first if first.endswith(SCRIPTS) and len(first.split()) == 1 else program[0]


def check_program(program: Sequence[str]) -> None:
    """Raises BadSetting if this program, or its script, is not found here or may not be executed."""
    first, script = program[0], script_of(program)
    if shutil.which(first) is None:
        if Path(first).is_file():
            raise BadSetting(
                "program", f"names {first}, which may not be executed: put its interpreter first, or chmod +x {first}"
            )
        raise BadSetting("program", f"names {first}, which is not here: run from the folder that has it")
    if script is not first and not Path(script).exists():
        raise BadSetting("program", f"names {script}, which is not here: run from the folder that has it")


def run(program: Sequence[str], *, cwd: str, env: Mapping[str, str], timeout_s: float | None, scratch: Path) -> Ended:
    """Run a program to its end, `timeout_s` seconds at most, and kill what it left running. Its output is read and not shown.

    If this process dies meanwhile, the program's group is killed too, and the folder `scratch` is removed (not on Windows).
    Raises OSError if the program cannot be started.
    """
    gated = sys.platform != "win32"
    if gated and shutil.which(program[0], path=env.get("PATH")) is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), program[0])
    process = subprocess.Popen(
        ["/bin/sh", "-c", GATE, "sh", *program] if gated else program,
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.PIPE if gated else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    tails = _Tail(process.stdout), _Tail(process.stderr)
    try:
        with _watched(process.pid, scratch):
            if process.stdin is not None:
                _say(process.stdin, b"begin\n")
            status: int | None = process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        status = None
    finally:
        _end_group(process)
        process.wait()
        out, err = (tail.text() for tail in tails)
    return Ended(status=status, out=out, err=err)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):  # the group has no processes left
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def _watched(group: int, scratch: Path) -> Iterator[None]:
    """Within it, a process of its own kills the group if this one dies: nothing else would notice a SIGKILL."""
    if sys.platform == "win32":
        yield
        return
    watcher = subprocess.Popen(
        ["/bin/sh", "-c", WATCH, "sh", str(group), str(scratch)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.environ.get("PATH", os.defpath)},  # nothing that marks it as one of the program's
        start_new_session=True,
    )
    assert watcher.stdin is not None
    try:
        yield
    finally:
        _say(watcher.stdin, b"done\n")
        watcher.wait()


def _say(pipe: IO[bytes], word: bytes) -> None:
    """Write a word and close the pipe; the process that should read it may have been killed."""
    with suppress(BrokenPipeError):
        pipe.write(word)
        pipe.flush()
    with suppress(BrokenPipeError):
        pipe.close()


@final
class _Tail:
    """The end of a stream, which a thread reads as it arrives: so the program never waits for a reader, nor fills a disk."""

    def __init__(self, stream: IO[bytes] | None) -> None:
        assert stream is not None
        self._stream = stream
        self._kept = b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with suppress(OSError, ValueError):  # closed by `text`
            while chunk := os.read(self._stream.fileno(), KEPT_BYTES):
                self._kept = (self._kept + chunk)[-KEPT_BYTES:]

    def text(self) -> str:
        """What there is once the group has ended. Does not wait long: a process that left the group may hold the stream open."""
        self._thread.join(LAST_OUTPUT_S)
        if not self._thread.is_alive():
            self._stream.close()
        return self._kept.decode(errors="replace")
