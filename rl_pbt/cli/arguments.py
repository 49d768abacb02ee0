"""The words of the command line into settings: every setting is a flag, described where it is declared."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

from rl_pbt import __version__, options
from rl_pbt.cli.toml import read_toml
from rl_pbt.config import RunConfig
from rl_pbt.errors import BadSetting, UserError
from rl_pbt.executors import EXECUTORS
from rl_pbt.options import in_words, types_of
from rl_pbt.parser import Parser
from rl_pbt.search import METHODS
from rl_pbt.space import range_or_value
from rl_pbt.tasks.registry import TASKS, task_type

EXAMPLES = """examples:
  python -m rl_pbt.bench --env Pacman
  python -m rl_pbt.bench --env CartPole-v1 --methods pbt random --seeds 0 1 2 3 4 5 --frames 200k
  rl-pbt tune --task my_package:MyTraining --search lr=log:1e-5:1e-1 --budget 20k --interval 1k
  rl-pbt tune --task command --search lr=log:1e-5:1e-1 --budget 100 --interval 5 -- python train.py
"""
UNITS = {"k": 1e3, "m": 1e6, "g": 1e9}
# What is not a setting: where and how to run, which changes no result.
OUTSIDE = ("config", "out", "resume", "workers", "executor", "keep_population", "dry_run", "program")


def _flag(setting: str) -> str:
    return "--" + setting.replace("_", "-")


def build_parser(program: str) -> argparse.ArgumentParser:
    """A flag for each setting of the search, of every task and of every method; all default to None: what was not said."""
    parser = Parser(
        prog=program,
        description="Train a population with PBT and with its baselines on the same budget, and compare the winners.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        argument_default=None,
    )
    parser.add_argument("--version", action="version", version=f"rl_pbt {__version__}")
    known: set[str] = set()
    _add_settings(parser.add_argument_group("what to run"), RunConfig, known)
    for name in TASKS:
        _add_settings(parser.add_argument_group(f"task {name}"), task_type(name).options, known)
    methods = parser.add_argument_group("methods")
    for entry in METHODS.values():
        _add_settings(methods, entry.options, known)
    machine = parser.add_argument_group("machine and output")
    add = machine.add_argument
    add("--workers", type=_count, help="worker processes (default: one a group, at most one a core); never changes a result")
    add("--executor", help=f"where jobs run, one of: {', '.join(EXECUTORS)} (default: processes)")
    for executor in EXECUTORS.values():
        _add_settings(machine, executor.options, known)
    add("--keep-population", action="store_true", help="keep every member's last checkpoint, so that the budget can be extended")
    add("--out", type=Path, help="the run's own folder (default: results/NAME/TIME)")
    add("--resume", type=Path, metavar="DIR", help="resume the run in DIR; with a larger --budget, go on when it has ended")
    add("--config", type=Path, metavar="FILE", help="settings from a TOML file; flags go over them")
    add("--dry-run", action="store_true", help="print the plan, its cost and an estimate of the time, and stop")
    return parser


def _add_settings(group: Any, cls: type, known: set[str]) -> None:
    names = {alias: field for name in TASKS for alias, field in task_type(name).aliases.items()}
    for name, one in options.fields_of(cls).items():
        if name in known or not one.metadata.get("flag", True):
            continue
        known.add(name)
        flags = [_flag(name), *(_flag(alias) for alias, field in names.items() if field == name)]
        group.add_argument(*flags, dest=name, help=one.metadata.get("help", "").replace("%", "%%"), **_form(types_of(cls)[name]))


def _form(kind: Any) -> dict[str, Any]:
    """How argparse reads a setting of that type."""
    if get_origin(kind) is tuple:
        return {"nargs": "+", "type": _words(get_args(kind)[0]), "action": _Flattened}
    if (get_origin(kind) or kind) is Mapping:
        return {"nargs": "+", "metavar": "NAME=VALUE"}
    if kind is bool:
        return {"action": argparse.BooleanOptionalAction}
    return {"type": _reader(kind)}


class _Flattened(argparse.Action):
    """One list of what several words, each with commas or without, stand for."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        setattr(namespace, self.dest, [value for word in values for value in word])


def _words(kind: Any) -> Callable[[str], list[Any]]:
    read = _reader(kind)
    return lambda text: [read(word) for word in text.split(",") if word]


def _reader(kind: Any) -> Callable[[str], Any]:
    """A function from a word to a value, whose complaint argparse repeats."""

    def read(text: str) -> Any:
        try:
            return _count(text) if kind is int else options.read("it", text, kind)
        except BadSetting:
            raise argparse.ArgumentTypeError(f"{text!r} is not {in_words(kind)}") from None

    return read


def _count(text: str) -> int:
    """`200000`, `200k`, `1.5M`."""
    number, unit = (text[:-1], UNITS[text[-1].lower()]) if text[-1:].lower() in UNITS else (text, 1.0)
    try:
        count = float(number) * unit
        if count != round(count):
            raise ValueError
        return round(count)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number: write 200000, 200k or 1.5M") from None


def settings_of(args: argparse.Namespace) -> dict[str, Any]:
    """What was said, by the names of settings: of the TOML file, and over that of the flags."""
    given = dict(read_toml(args.config)) if args.config else {}
    for name, value in vars(args).items():
        if value is None or name in OUTSIDE:
            continue
        given[name] = _entries(name, value) if _is_mapping(name) else value
    if program := getattr(args, "program", None):
        given["program"] = program
    return given


def _is_mapping(name: str) -> bool:
    classes: list[type] = [RunConfig, *(task_type(task).options for task in TASKS)]
    return any((get_origin(types_of(cls).get(name)) or None) is Mapping for cls in classes)


def _entries(name: str, words: Iterable[str]) -> dict[str, Any]:
    """`lr=7e-4` by name; numbers as numbers."""
    entries: dict[str, Any] = {}
    for word in words:
        entry, equals, text = word.partition("=")
        if not equals or not text:
            raise BadSetting(name, f"cannot read {word!r}: write NAME=VALUE")
        entries[entry] = READERS.get(name, range_or_value)(text)
    return entries


def _as_json(text: str) -> object:
    """`true`, `0.5` or `[1, 2]` as JSON has them, and anything else as the word that it is."""
    try:
        found: object = json.loads(text)
        return found
    except ValueError:
        return text


# How the values of some settings are read: those of an agent's options by the agent, which knows their types.
READERS: Mapping[str, Callable[[str], object]] = {"agent_options": str, "env_options": _as_json}


def split_program(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words before and after `--`: what follows is a program to be trained."""
    words = list(words)
    place = words.index("--") if "--" in words else len(words)
    return words[:place], words[place + 1 :]


def in_flags(error: UserError, parser: argparse.ArgumentParser, words: Sequence[str]) -> str:
    """The message of an error, with a flag for the name of a setting: the one that was typed, where it has several."""
    if isinstance(error, BadSetting):
        for action in parser._actions:
            if action.dest == error.field and action.option_strings:
                typed = [flag for flag in action.option_strings if flag in words]
                return f"{[*typed, action.option_strings[0]][0]} {error.message}"
    return str(error)
