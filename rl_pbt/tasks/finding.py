"""The class of a user's own training: what it must offer, how it is found by name, and what is checked."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from rl_pbt.errors import BadSetting, UserError, near_names
from rl_pbt.records import Hypers
from rl_pbt.tasks.answers import described

# The methods that a class must have, each with the arguments it is called with.
METHODS = {"set_hypers": ("hypers",), "train": ("budget",), "evaluate": ("seed",), "state": (), "load": ("state",)}
TEST, BASELINE = "test", "baseline"  # methods that it may have; both take the seed


class Trainable(Protocol):
    """What a training of your own must offer to `tune`; `rl_pbt.torch_state` turns torch modules and optimisers into states.

    `hypers` maps the names in `search` to values. A `budget` is in units of your own: updates, epochs, samples. A state is nested
    dicts and lists of NumPy arrays, numbers and strings. Higher scores are better.
    """

    def __init__(self, hypers: Hypers, seed: int) -> None: ...

    def set_hypers(self, hypers: Hypers) -> None:
        """Use these from now on; called after `load`."""
        ...

    def train(self, budget: int) -> Mapping[str, float] | None:
        """Train for `budget` units. Returns metrics for the learning curves, or None."""
        ...

    def evaluate(self, seed: int) -> float | Iterable[float]:
        """One score or several, on data that the seed chooses or on all data."""
        ...

    def state(self) -> object:
        """Everything that was learned."""
        ...

    def load(self, state: Any) -> None:
        """Take over what `state` returned."""
        ...


def name_of(cls: type) -> str:
    """`module:Class`, by which another process finds the class; a script that is run counts as the module of its file's name.

    Raises UserError in a worker process that is running the script again.
    """
    module = cls.__module__
    if module == "__mp_main__":  # a worker process, which imports the script to find the class
        raise UserError('the script starts its run again in every worker process: put the call under if __name__ == "__main__":')
    if module == "__main__":
        main = sys.modules[module]
        spec, file = getattr(main, "__spec__", None), getattr(main, "__file__", None)
        module = spec.name if spec else Path(file).stem if file else module
    return f"{module}:{cls.__qualname__}"


def in_its_module(target: str) -> str:
    """`Class` of `module:Class`; for a class inside others, or inside a function, the dotted name without `<locals>`."""
    return target.partition(":")[2].replace("<locals>.", "")


def found(target: str) -> type[Trainable]:
    """The class of that name, whose module is imported. Raises BadSetting, in one line, if there is none."""
    module_name, _, path = target.partition(":")
    if "<locals>" in path:
        raise BadSetting("task", f"names {target}, which is inside a function: move the class to the top of its module")
    outermost, *inner = path.split(".")
    return reduce(lambda cls, part: _inside(cls, part, target), inner, _inside(_module(module_name), outermost, target))


def _inside(scope: ModuleType | type, part: str, target: str) -> type[Trainable]:
    cls = getattr(scope, part, None)
    if cls is None:
        names = [name for name, value in vars(scope).items() if isinstance(value, type) and not name.startswith("_")]
        hint = near_names(part, names) if names else "there is no class in it"
        raise BadSetting("task", f"names {target}, but {scope.__name__} has no {part!r}: {hint}")
    if not isinstance(cls, type):
        raise BadSetting("task", f"names {target}, but {part!r} is a {type(cls).__name__} and not a class")
    return cls


def _module(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise BadSetting(
                "task", f"names the module {name}, which is not here: run from the folder that has it, or set PYTHONPATH"
            ) from None
        raise BadSetting("task", f"names the module {name}, which imports {error.name}, and that is not installed") from error
    except (Exception, SystemExit) as error:
        raise BadSetting("task", f"names the module {name}, whose import raised {described(error)}") from error


def check_class(cls: type, workers: int) -> None:
    """Raises UserError for a class that is not a training, or that `workers` processes could not find."""
    title = cls.__qualname__
    missing = [name for name in METHODS if not callable(getattr(cls, name, None))]
    if missing:
        wanted = ", ".join(f"{name}({', '.join(arguments)})" for name, arguments in METHODS.items())
        raise BadSetting("task", f"{title} lacks {', '.join(missing)}: a training has __init__(hypers, seed), {wanted}")
    _check_arguments(cls, f"{title}.__init__", ("hypers", "seed"))
    for name, arguments in {**METHODS, TEST: ("seed",)}.items():
        if callable(getattr(cls, name, None)):
            # Taken from the class, a plain method has `self` as an argument too; a class method or static method does not.
            bound = isinstance(inspect.getattr_static(cls, name), classmethod | staticmethod)
            _check_arguments(getattr(cls, name), f"{title}.{name}", arguments if bound else ("self", *arguments))
    if callable(getattr(cls, BASELINE, None)):
        if not isinstance(inspect.getattr_static(cls, BASELINE), classmethod | staticmethod):
            raise BadSetting("task", f"{title}.{BASELINE} must be a staticmethod or a classmethod: there is no member to ask")
        _check_arguments(getattr(cls, BASELINE), f"{title}.{BASELINE}", ("seed",))
    if workers > 1 and not _reachable(cls):
        raise BadSetting(
            "workers", f"must be 1 for {title}: other processes cannot import it; for more, move it to the top of a module"
        )


def _check_arguments(function: Callable[..., object], title: str, arguments: tuple[str, ...]) -> None:
    """Raises UserError unless it takes these arguments, by position. What is not written in Python may have no signature."""
    try:
        signature = inspect.signature(function)
    except ValueError:
        return
    try:
        signature.bind(*arguments)
    except TypeError as error:
        wanted = ", ".join(name for name in arguments if name != "self")
        raise UserError(f"{title} must take ({wanted}), but takes {signature}: {error}") from None


def _reachable(cls: type) -> bool:
    """Whether another process gets this class when it imports its module."""
    module = sys.modules.get(cls.__module__)
    if cls.__module__ == "__main__" and getattr(module, "__file__", None) is None:
        return False  # typed at a prompt
    scope: object = module
    for part in cls.__qualname__.split("."):
        scope = getattr(scope, part, None)
    return scope is cls
