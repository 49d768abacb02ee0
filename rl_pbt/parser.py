"""What every command reads its words with."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn, final

from rl_pbt.errors import UserError, near_names


@final
class Parser(argparse.ArgumentParser):
    """Errors in one line that says the way out; exit status 2."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see --help")

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        parsed, unknown = self.parse_known_args(args, namespace)
        if unknown:
            flags = [flag for action in self._actions for flag in action.option_strings]
            word = unknown[0].partition("=")[0]
            raise UserError(f"unknown argument {word!r}: {near_names(word, flags) if word.startswith('-') else 'see --help'}")
        return parsed
