"""From the words of the command line to settings: every setting is a flag, described where it is declared."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from rl_pbt import __version__, options
from rl_pbt.cli.parser import Parser
from rl_pbt.cli.toml import settings_from
from rl_pbt.config import TASKS_HERE, RunConfig
from rl_pbt.errors import BadSetting
from rl_pbt.executors import EXECUTORS
from rl_pbt.observers import TRACKERS
from rl_pbt.options import Group, in_words, types_of
from rl_pbt.search import METHODS
from rl_pbt.space import range_or_value
from rl_pbt.tasks.completing import SHARED_DEFAULTS
from rl_pbt.tasks.on_environments.task_type import EnvironmentOptions
from rl_pbt.tasks.registry import NAMED, TASKS, aliases, task_type
from rl_pbt.text import value_text

UNITS = {"k": 1e3, "m": 1e6, "g": 1e9}
LARGE = "200000, 200k or 1.5M"  # how a large number can be written
# Flags that are not settings: where and how to run, which changes no result.
OUTSIDE = ("config", "suite", "check", "out", "resume", "workers", "executor", "keep_population", "track", "dry_run", "program")


def _flag(setting: str) -> str:
    return "--" + setting.replace("_", "-")


def build_parser(program: str) -> Parser:
    """A parser with a flag for each setting of the search, of every task and of every method; None means not given."""
    bench, tune = ("python -m rl_pbt.bench", program) if program.endswith("tune") else (program, "rl-pbt tune")
    parser = Parser(
        program,
        "Train a population with PBT and with its baselines on the same budget, and compare the winners.",
        usage=[f"{bench} --env NAME [options]", f"{tune} --task NAME --search NAME=RANGE ... --budget N [options] [-- PROGRAM]"],
        examples=[
            f"{bench} --env Pacman",
            f"{bench} --env CartPole-v1 --methods pbt,random --seeds 0,1,2,3,4,5 --frames 200k",
            f"{tune} --task my_package:MyTraining --search lr=log:1e-5:1e-1 --budget 20k --interval 1k",
            f"{tune} --task command --search lr=log:1e-5:1e-1 --budget 100 --interval 5 -- python train.py",
        ],
    )
    groups = {group: parser.add_argument_group(group) for group in Group}
    known: set[str] = set()
    _add_settings(groups, EnvironmentOptions, Group.AGENT, known, only=("env",))  # what most need comes first
    _add_settings(groups, RunConfig, Group.WHAT, known)
    for name in TASKS:
        kind = task_type(name)
        _add_settings(groups, kind.options, kind.help_group, known)
    for entry in METHODS.values():
        _add_settings(groups, entry.options, Group.SEARCH, known)
    add = groups[Group.MACHINE].add_argument
    workers = "worker processes (default: as many as can be busy, at most one per core); does not change results"
    add("--workers", type=_count, metavar="N", help=workers)
    add("--executor", metavar="NAME", help=f"where jobs run, one of: {', '.join(EXECUTORS)} (default: processes)")
    for executor in EXECUTORS.values():
        _add_settings(groups, executor.options, Group.MACHINE, known)
    _add_outside(groups[Group.WHAT].add_argument, groups[Group.OUTPUT].add_argument)
    return parser


def _add_outside(what: Callable[..., Any], output: Callable[..., Any]) -> None:
    """Add the flags that are not settings."""
    what("--config", type=Path, metavar="FILE", help="settings from a TOML file, or from a run's folder; flags override them")
    suite = "run a suite of environments, whose settings flags cannot change: a name ('help' lists them), or a FILE.toml"
    what("--suite", metavar="NAME", help=suite)
    what("--check", action="store_true", help="with --suite: fail if a score is outside the band that the suite expects")
    what("--resume", type=Path, metavar="DIR", help="resume the run in DIR; with a larger --budget, a finished run continues")
    what("--dry-run", action="store_true", help="print the plan, its cost and an estimate of the time, and exit")
    output("--out", type=Path, metavar="DIR", help="the run's own folder (default: results/NAME/TIME)")
    keep = "keep every member's last checkpoint, so that the budget can be extended"
    output("--keep-population", action="store_true", help=keep)
    track = f"also send curves to a service, one of: {', '.join(TRACKERS)}; does not change results"
    output("--track", metavar="NAME", help=track)
    output("--version", action="version", version=f"rl_pbt {__version__}", help="print the version, and exit")


def _add_settings(groups: Mapping[Group, Any], cls: type, usual: Group, known: set[str], only: Sequence[str] = ()) -> None:
    """Add a flag for each setting of a class that is not `known` yet, in the group that it names or else in the `usual` one."""
    other_words = aliases()
    for name, one in options.fields_of(cls).items():
        about = options.about(one)
        if name in known or (only and name not in only) or not about.flag:
            continue
        known.add(name)
        flags = [_flag(name), *(_flag(alias) for alias, setting in other_words.items() if setting == name)]
        form = _form(types_of(cls)[name], about.metavar)
        told = about.help.replace(TASKS_HERE, ", ".join(NAMED))
        told += _default_in_words(name, told)
        groups[about.group or usual].add_argument(*flags, dest=name, help=told.replace("%", "%%"), **form)


def _default_in_words(name: str, told: str) -> str:
    """The default of a setting, unless it depends on what is trained, is nothing, or is `told` already."""
    value = fixed_default(name)
    if value is None or value is False or "default" in told:
        return ""
    values = value if isinstance(value, tuple) else (value,)
    return f" (default: {' '.join(str(one).lower() if one is True else value_text(one) for one in values)})"


def fixed_default(name: str) -> Any:
    """The default of a setting if it is the same for every method, task and executor that has the setting; otherwise None."""
    declared = [one for cls in _classes() if (one := options.fields_of(cls).get(name)) is not None]
    if any(options.about(one).varies for one in declared):
        return None
    if name in SHARED_DEFAULTS:
        return SHARED_DEFAULTS[name]
    defaults = {repr(one.default): one.default for one in declared if one.default is not MISSING}
    return next(iter(defaults.values())) if len(defaults) == 1 else None


def _classes() -> list[type]:
    """Every class that declares settings."""
    of_tasks = (task_type(task).options for task in TASKS)
    of_methods = (entry.options for entry in METHODS.values())
    return [RunConfig, *of_tasks, *of_methods, *(entry.options for entry in EXECUTORS.values())]


def _form(kind: Any, metavar: str | None) -> dict[str, Any]:
    """Arguments for argparse: how to read a setting of that type, and what the help calls its value."""
    if get_origin(kind) is tuple:
        word = get_args(kind)[0]
        return {"nargs": "+", "type": _words(word), "action": _Flattened, "metavar": metavar or _metavar(word)}
    if (get_origin(kind) or kind) is Mapping:
        return {"nargs": "+", "type": _entries_of, "action": _Flattened, "metavar": metavar or "NAME=VALUE"}
    if kind is bool:
        return {"action": argparse.BooleanOptionalAction}
    return {"type": _reader(kind), "metavar": metavar or _metavar(kind)}


def _metavar(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return "|".join(map(str, get_args(kind)))
    kinds = get_args(kind) or (kind,)
    return "N" if int in kinds else "X" if float in kinds else "NAME"


def _entries_of(text: str) -> list[str]:
    """Splits `lr=7e-4,gamma=0.99` in two, but not at the commas within one value, as in `hidden=64,64`."""
    return re.split(r",(?=[A-Za-z_]\w*=)", text)


class _Flattened(argparse.Action):
    """Stores one flat list of the values of all words; a word may hold several, separated by commas.

    A second list is refused: it may be meant to be added to the first, or to replace it.
    """

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        if getattr(namespace, self.dest) is not None:
            raise argparse.ArgumentError(self, "is given twice: write all of its values after one")
        setattr(namespace, self.dest, [value for word in values for value in word])


def _words(kind: Any) -> Callable[[str], list[Any]]:
    read = _reader(kind, as_in="each, as in 0 1 2 3" if kind is int else "")
    return lambda text: [read(word.strip()) for word in text.split(",") if word.strip()]


def _reader(kind: Any, as_in: str = "") -> Callable[[str], Any]:
    """A function from a word to a value; argparse shows the message of the error that it raises."""

    def read(text: str) -> Any:
        try:
            return _count(text, as_in or LARGE) if kind is int else options.read("it", text, kind)
        except BadSetting:
            raise argparse.ArgumentTypeError(f"{text!r} is not {in_words(kind)}") from None

    return read


def _count(text: str, as_in: str = LARGE) -> int:
    """A whole number, written as `200000`, `200k` or `1.5M`."""
    number, unit = (text[:-1], UNITS[text[-1].lower()]) if text[-1:].lower() in UNITS else (text, 1.0)
    try:
        count = float(number) * unit
        if count != round(count):
            raise ValueError
        return round(count)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number: write {as_in}") from None


def settings_of(args: argparse.Namespace) -> dict[str, Any]:
    """The given settings by name: those of `--config`, overridden by flags."""
    given: dict[str, Any] = {}
    for name, value in vars(args).items():
        if value is None or name in OUTSIDE:
            continue
        given[name] = _entries(name, value) if _is_mapping(name) else value
    if program := getattr(args, "program", None):
        given["program"] = program
    return {**settings_from(args.config, given), **given} if args.config else given


def _is_mapping(name: str) -> bool:
    return any(get_origin(types_of(cls).get(name)) is Mapping for cls in _classes())


def _entries(name: str, words: Iterable[str]) -> dict[str, Any]:
    """The values of words like `lr=7e-4`, by name; numbers become numbers. Raises BadSetting."""
    entries: dict[str, Any] = {}
    for word in words:
        entry, equals, text = word.partition("=")
        if not equals or not text:
            raise BadSetting(name, f"cannot read {word!r}: write NAME=VALUE")
        if entry in entries:
            raise BadSetting(name, f"names {entry} twice: name it once")
        entries[entry] = READERS.get(name, range_or_value)(text)
    return entries


def _as_json(text: str) -> object:
    """The value of `true`, `0.5` or `[1, 2]` as JSON; anything else stays text."""
    try:
        found: object = json.loads(text)
        return found
    except ValueError:
        return text


# Readers for the values of some settings. An agent's options stay text: the agent knows their types.
READERS: Mapping[str, Callable[[str], object]] = {"agent_options": str, "env_options": _as_json}


def split_program(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words before and after `--`; those after it are a program to train."""
    words = list(words)
    place = words.index("--") if "--" in words else len(words)
    return words[:place], words[place + 1 :]
