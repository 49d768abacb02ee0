"""A class of this package is abstract or final, so whoever reads a final one has read all that it does."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rl_pbt import search
from rl_pbt.search.asynchronous import AsynchronousPBT
from rl_pbt.search.base import Generational
from rl_pbt.search.pbt import PBT


def names() -> list[str]:
    return [search.__name__, *(f"{search.__name__}.{module.name}" for module in pkgutil.iter_modules(search.__path__))]


def classes(name: str) -> Iterator[type]:
    try:
        module = importlib.import_module(name)
    except ImportError:
        pytest.skip(f"{name} needs an extra that is not installed")
    yield from (cls for _, cls in inspect.getmembers(module, inspect.isclass) if cls.__module__ == name)


@pytest.mark.parametrize("name", names())
def test_every_class_is_abstract_or_final(name: str) -> None:
    for cls in classes(name):
        final = vars(cls).get("__final__", False)
        assert final != inspect.isabstract(cls), f"{cls.__name__}: one of both"


@pytest.mark.parametrize("name", names())
def test_what_is_public_has_a_docstring_its_own_or_of_what_it_implements_and_no_text_names_a_flag(name: str) -> None:
    for cls in classes(name):
        assert cls.__doc__ and not cls.__doc__.startswith(f"{cls.__name__}("), cls
        for attribute, value in vars(cls).items():
            function = value.fget if isinstance(value, property) else value
            if inspect.isfunction(function) and not attribute.startswith("_"):
                meanings = [vars(base)[attribute].__doc__ for base in cls.__mro__ if attribute in vars(base)]
                assert any(meanings), f"{cls.__name__}.{attribute}"
    module = importlib.import_module(name)
    for attribute, function in inspect.getmembers(module, inspect.isfunction):
        if function.__module__ == name and not attribute.startswith("_"):
            assert function.__doc__, attribute
    assert module.__file__ and "--" not in Path(module.__file__).read_text()


def test_an_asynchronous_population_is_no_generational_one() -> None:
    assert not issubclass(AsynchronousPBT, Generational | PBT)
