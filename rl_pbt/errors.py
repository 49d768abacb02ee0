"""Errors that the user can fix, each with a one-line message."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

LONGEST = 2000  # characters, of a message


class UserError(Exception):
    """Something the user can fix. Its message says what to do, and is always one line, whatever it quotes."""

    def __init__(self, message: str = "") -> None:
        super().__init__(plain_text(message))


class BadSetting(UserError):
    """An invalid setting. `field` is its name in Python; the command line shows the flag instead.

    The message continues the name: `BadSetting("population", "must be 2 or more, but is 1")`.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field} {message}")
        self.field = field
        self.message = message

    def __reduce__(self) -> tuple[type[BadSetting], tuple[str, str]]:
        return type(self), (self.field, self.message)  # so that a worker can send it


class LostCheckpoint(UserError):
    """A proposal's checkpoint is missing, damaged or not the recorded one; `what` says which. It can be recomputed."""

    def __init__(self, proposal: int, what: str) -> None:
        super().__init__(f"{what}: restore it from a copy, or start a new run in another folder")
        self.proposal = proposal
        self.what = what

    def __reduce__(self) -> tuple[type[LostCheckpoint], tuple[int, str]]:
        return type(self), (self.proposal, self.what)


class Unfinished(UserError):
    """The run in `folder` has not finished. It was made by `command`, with code of the user's that is named in `code` words."""

    def __init__(self, folder: Path, status: str, command: str, code: Sequence[str]) -> None:
        super().__init__(f"{folder} has not finished ({status}): resume it first")
        self.folder = folder
        self.command = command
        self.code = code


def against_disk_error(error: OSError) -> str:
    """What helps where a file cannot be written: space, or another place."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return "free space, then resume or repeat the command" if full else "choose a folder in which you can write"


def in_one_line(error: BaseException) -> str:
    """The error's message on one line, without control characters; preceded by its type unless it is a UserError."""
    told = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
    return plain_text(told)


def plain_text(text: str, longest: int = LONGEST) -> str:
    """`text` on one line, at most `longest` characters, without control characters: it may come from somebody else."""
    shown = " ".join("".join(c if c.isprintable() or c.isspace() else "?" for c in text).split())
    return shown if len(shown) <= longest else f"{shown[: longest - 4]} ..."


def near_names(name: str, known: Iterable[str]) -> str:
    """A hint for an unknown name: the nearest known one, or all of them if none is near."""
    by_word = {one.lower(): one for one in known}
    near = get_close_matches(name.lower(), by_word, n=1)
    return f"did you mean {by_word[near[0]]!r}?" if near else f"known are {', '.join(by_word.values())}"


def did_you_mean(kind: str, name: str, known: Iterable[str]) -> UserError:
    """The error for an unknown name of some kind."""
    return UserError(f"unknown {kind} {name!r}: {near_names(name, known)}")


def exit_status(command: Callable[[], None], worded: Callable[[UserError], str] = str) -> int:
    """Run a command of the command line and return its exit status.

    0: success. 2: an error, one line on standard error. 130: interrupted. 1: standard output was closed early.
    """
    try:
        command()
    except UserError as error:
        print(f"error: {plain_text(worded(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains about it at exit
        return 1
    except OSError as error:
        print(f"error: {plain_text(str(error))}: {against_disk_error(error)}", file=sys.stderr)
        return 2
    return 0
