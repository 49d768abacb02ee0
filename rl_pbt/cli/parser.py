"""The parser of every command: one-line errors that say what to do, and readable help."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

from rl_pbt.errors import BadSetting, UserError
from rl_pbt.tasks.other_words import our_flag


class Help(argparse.RawDescriptionHelpFormatter):
    """Shows the value of a flag once: `--budget, --frames N`, `--seeds N ...`, `--[no-]any-age`."""

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings:
            return super()._format_action_invocation(action)
        flags = list(action.option_strings)
        if isinstance(action, argparse.BooleanOptionalAction):
            flags = [flag.replace("--", "--[no-]", 1) for flag in flags if not flag.startswith("--no-")]
        value = "" if action.nargs == 0 else " " + self._format_args(action, action.dest.upper())
        return ", ".join(flags) + value

    def _format_args(self, action: argparse.Action, default_metavar: str) -> str:
        if action.nargs == argparse.ONE_OR_MORE:
            return f"{action.metavar or default_metavar} ..."
        return super()._format_args(action, default_metavar)


class Parser(argparse.ArgumentParser):
    """Raises UserError for every error, which gives exit status 2; for an unknown flag it suggests the nearest one."""

    def __init__(self, prog: str, description: str, *, usage: Sequence[str], examples: Iterable[str]) -> None:
        super().__init__(
            prog=prog,
            description=description,
            usage="\n       ".join(usage),
            epilog="\n  ".join(["examples:", *examples]),
            formatter_class=Help,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        told = re.sub(r"^argument ([^:]+): ", lambda found: f"{found[1].replace('/', ', ')}: ", message)
        raise UserError(f"{told}; see --help" if "write" not in told else told)

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        parsed, unknown = self.parse_known_args(args, namespace)
        if unknown:
            raise UserError(self._unknown(unknown[0]))
        return parsed

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        try:
            return super().parse_known_args(args, namespace)
        except UserError:
            # A mistyped flag is a better explanation than a missing value, which may only be its consequence.
            for word in args or ():
                if word.startswith("--") and word.partition("=")[0] not in self._flags() and word != "--":
                    raise UserError(self._unknown(word)) from None
            raise

    def _unknown(self, word: str) -> str:
        flag = word.partition("=")[0]
        if (ours := our_flag(flag)) and ours.split(" ")[0] in self._flags():
            return f"unknown argument {flag!r}: here that is {ours}"
        near = get_close_matches(flag, self._flags(), n=1) if flag.startswith("-") else []
        return f"unknown argument {flag!r}: " + (f"did you mean {near[0]!r}?" if near else "see --help")

    def _flags(self) -> list[str]:
        return [flag for action in self._actions for flag in action.option_strings]


def in_flags(error: UserError, parser: argparse.ArgumentParser, words: Sequence[str]) -> str:
    """The error's message, with the flag in place of the setting's name: the flag that was typed, if there are several."""
    if isinstance(error, BadSetting):
        for action in parser._actions:
            if action.dest == error.field and action.option_strings:
                typed = [flag for flag in action.option_strings if flag in words]
                return f"{[*typed, action.option_strings[0]][0]} {error.message}"
    return str(error)
