"""Code that a run folder names, a module or a program: it is run only if the user names it too.

The folder may come from somebody else, so code is never run just because the folder names it.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from importlib.machinery import PathFinder
from pathlib import Path

from rl_pbt.config import RunConfig
from rl_pbt.errors import BadSetting
from rl_pbt.options import Settings
from rl_pbt.store.run import RunFolder
from rl_pbt.tasks.registry import task_type


def check_code(given: Settings, recorded: RunConfig, folder: RunFolder) -> None:
    """Raises UserError if the recorded configuration names code that is not in `given` too, or that lies in the folder."""
    for setting, words in task_type(recorded.task).code(recorded.task_options).items():
        if given.get(setting) is None:
            named = shlex.join(words)
            raise BadSetting(setting, f"is missing: {folder.folder} names code, {named}; name it too if you trust it")
        for word in words:
            if _lies_in(word, folder.folder.resolve()):
                raise BadSetting(setting, f"names {word}, which lies in the run's own folder: code is not to be there")


def code_in_words(config: RunConfig) -> list[str]:
    """The words that name the user's code in a run; a command needs them again, since a folder by itself runs no code."""
    code = task_type(config.task).code(config.task_options)
    program = code.get("program", ())
    flags = [word for setting, named in code.items() if setting != "program" for word in (f"--{setting}", *named)]
    return [*flags, *(("--", *program) if program else ())]


def _lies_in(word: str, folder: Path) -> bool:
    """Whether the module of "module:Name" would be imported from a folder.

    Searched from the outermost package inwards: the usual way to find a submodule imports its parent packages.
    """
    path: Iterable[str] | None = None
    outer = ""
    for part in word.rpartition(":")[0].split("."):
        outer = f"{outer}.{part}" if outer else part
        spec = PathFinder.find_spec(outer, None if path is None else list(path))
        if spec is None:
            return False
        path = spec.submodule_search_locations or ()
        if any(Path(place).resolve().is_relative_to(folder) for place in (spec.origin, *path) if place):
            return True
    return False
