"""The tree is the architecture: imports only go down, without cycles, and docs/architecture.md lists every module."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from importlib.util import find_spec
from pathlib import Path

import pytest

from rl_pbt.tasks.registry import TASKS

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("rl_pbt", "benchmarks")

# Lowest first. A module (or a package directly under rl_pbt) may import what lies in a lower layer.
LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"__init__", "arrays", "errors", "seeds"}),
    frozenset({"records"}),
    frozenset({"options", "space", "text"}),
    frozenset({"config", "provenance", "ranges", "torch_state"}),
    frozenset({"agents", "envs", "store", "tasks"}),
    frozenset({"executors", "incumbents", "observers", "search"}),
    frozenset({"interleaving", "recorded", "named_code", "restoring"}),
    frozenset({"controller", "report", "schedule"}),
    frozenset({"making", "tabulating"}),
    frozenset({"opening"}),
    frozenset({"running"}),
    frozenset({"api", "suites"}),
    frozenset({"bench", "cli", "play", "__main__"}),
    frozenset({"benchmarks"}),
)
# Within these layers a module may also import its neighbours, without a circle; elsewhere neighbours do not know one another.
NEIGHBOURLY = frozenset({"cli", "play", "bench", "__main__"})
# Who may import a neighbour, and which. Agents and environments meet in tasks, and nowhere below.
ALSO = {
    "tasks": {"agents", "envs", "torch_state"},
    "benchmarks": {"benchmarks"},
    "play": {"envs"},
}
CLOSED = frozenset({"agents", "envs"})  # these know nothing of rl_pbt but themselves
MEETS_ENVIRONMENTS = frozenset({"tasks", "play", "benchmarks"})
FORBIDDEN_THIRD_PARTY = {"agents": {"ale_py"}, "envs": {"torch"}, "search": {"torch", "gymnasium"}}
HEAVY = ("torch", "gymnasium", "matplotlib")


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One imported name; `typing_only` where it stands under `if TYPE_CHECKING`."""

    target: str
    line: int
    typing_only: bool


def modules_of(root: Path) -> dict[str, str]:
    """Dotted module name (a package by its own name) -> source, for every file; links are followed, as imports do."""
    modules = {}
    for package in PACKAGES:
        for folder, _, names in os.walk(root / package, followlinks=True):
            for name in sorted(names):
                path = Path(folder) / name
                if path.suffix == ".py":
                    parts = path.relative_to(root).with_suffix("").parts
                    module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
                    modules[module] = path.read_text(encoding="utf-8")
    return modules


def is_package(module: str, modules: Iterable[str]) -> bool:
    return module in PACKAGES or any(other.startswith(module + ".") for other in modules)


def imports_of(module: str, source: str, modules: Iterable[str]) -> Iterator[Import]:
    """Every import of `source`, functions included, with `from package import module` resolved to the module."""
    known = set(modules) | {module}
    typing_lines = _typing_only_lines(source)
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                targets = [alias.name for alias in names]
            case ast.ImportFrom(names=names):
                origin = _origin(node, module, is_package(module, known))
                targets = [
                    full if (full := f"{origin}.{alias.name}") in known or is_package(full, known) else origin for alias in names
                ]
            case _:
                continue
        for target in targets:
            yield Import(target=target, line=node.lineno, typing_only=node.lineno in typing_lines)


def _origin(node: ast.ImportFrom, module: str, package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    base = parts[: len(parts) - node.level + (1 if package else 0)]
    return ".".join([*base, *([node.module] if node.module else [])])


def _typing_only_lines(source: str) -> set[int]:
    lines: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            for statement in node.body:
                lines.update(range(statement.lineno, (statement.end_lineno or statement.lineno) + 1))
    return lines


def complaint(module: str, target: str) -> str | None:
    """Why `module` may not import `target`, or None where it may."""
    unit, top = _unit(module), target.partition(".")[0]
    if top in FORBIDDEN_THIRD_PARTY.get(unit, ()):
        return f"{unit} does not know {top}"
    if top not in PACKAGES:
        return None
    other = _unit(target)
    if unit in CLOSED:
        return None if other == unit else f"{unit} does not know {target}"
    if other in CLOSED and unit not in MEETS_ENVIRONMENTS:
        return f"only {', '.join(sorted(MEETS_ENVIRONMENTS))} may"
    return _upwards(unit, other)


def _unit(module: str) -> str:
    """The file or folder directly under rl_pbt, or `benchmarks`; where a command starts is on top, wherever it lies."""
    if module.endswith(".__main__"):
        return "__main__"
    if not module.startswith("rl_pbt"):
        return module.split(".", maxsplit=1)[0]
    return module.split(".")[1] if "." in module else "__init__"


def _upwards(unit: str, target: str) -> str | None:
    for name in (unit, target):
        if not any(name in layer for layer in LAYERS):
            return f"{name} has no layer: give it one here and in docs/architecture.md"
    rank, target_rank = (next(i for i, layer in enumerate(LAYERS) if name in layer) for name in (unit, target))
    if unit == target or target in ALSO.get(unit, ()):
        return None
    if target_rank > rank:
        return f"{target} lies above {unit}"
    if target_rank == rank and unit not in NEIGHBOURLY:
        return f"{target} and {unit} share a layer and do not know one another"
    return None


def violations(modules: Mapping[str, str]) -> list[str]:
    """Each import that breaks a rule, as `module:line imports target: reason`.

    The package's own __init__ names for type checkers what it loads late.
    """
    return [
        f"{module}:{found.line} imports {found.target}: {reason}"
        for module, source in modules.items()
        for found in imports_of(module, source, modules)
        if not (module == "rl_pbt" and found.typing_only)
        if (reason := complaint(module, found.target))
    ]


def find_cycle(modules: Mapping[str, str]) -> list[str] | None:
    """The modules of one import cycle; imports for type checkers alone do not close one."""
    graph = {
        module: {
            found.target
            for found in imports_of(module, source, modules)
            if found.target in modules and found.target != module and not found.typing_only
        }
        for module, source in modules.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return None


def listed_modules(page: str) -> set[str]:
    """The modules that the table under "Layers" names.

    A first cell names files; where it names a folder, the second cell names that folder's modules, up to its first
    semicolon.
    """
    table = page.split("## Layers", 1)[1].split("\n## ", 1)[0]
    listed: set[str] = set()
    for row in table.splitlines():
        if not row.startswith("|"):
            continue
        cells = [cell.strip() for cell in row.strip().strip("|").split("|")]
        entries = re.findall(r"`([^`]+)`", cells[0])
        folder = ""
        for entry in entries:
            path = entry if "/" in entry else f"{folder}/{entry}"
            path = path if path.startswith(("rl_pbt/", "benchmarks/")) else f"rl_pbt/{path}"  # agents and envs, by their links
            folder = path.rsplit("/", 1)[0]
            if entry.endswith("/"):
                words = re.findall(r"`(\w+)`", cells[1].split(";", 1)[0])
                listed.update(f"{folder.replace('/', '.')}.{word}" for word in words)
            else:
                listed.add(path.removesuffix(".py").replace("/", "."))
    return listed


@pytest.fixture(scope="module")
def modules() -> dict[str, str]:
    return modules_of(ROOT)


def test_imports_only_go_down(modules: dict[str, str]) -> None:
    assert not violations(modules), "\n".join(violations(modules))


def test_imports_have_no_cycle(modules: dict[str, str]) -> None:
    cycle = find_cycle(modules)
    assert cycle is None, " <- ".join(cycle)


def test_the_page_lists_every_module_and_no_other(modules: dict[str, str]) -> None:
    listed = listed_modules((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))
    existing = {name for name in modules if not is_package(name, modules)}
    assert listed - existing == set(), "docs/architecture.md lists modules that do not exist"
    assert existing - listed == set(), "docs/architecture.md does not list these modules"


def test_methods_and_controller_load_no_heavy_package(modules: dict[str, str]) -> None:
    light = [name for name in modules if name.startswith("rl_pbt.search")]
    if find_spec("sklearn") is None:
        light.remove("rl_pbt.search.gp")  # which pb2 imports late
    light += ["rl_pbt.controller", "rl_pbt.space", "rl_pbt.store.run"]
    script = (
        "import importlib, sys\n"
        f"for name in {light!r}: importlib.import_module(name)\n"
        f"print(*[name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


@pytest.mark.parametrize(
    ("module", "source", "reason"),
    [
        ("rl_pbt.agents.a2c", "import rl_pbt.envs", "agents does not know rl_pbt.envs"),
        ("rl_pbt.agents.a2c", "from rl_pbt.records import Result", "agents does not know rl_pbt.records"),
        ("rl_pbt.agents.a2c", "import ale_py.vector_env", "agents does not know ale_py"),
        ("rl_pbt.envs.atari", "from rl_pbt.agents import a2c", "envs does not know rl_pbt.agents.a2c"),
        ("rl_pbt.envs.atari", "import torch", "envs does not know torch"),
        ("rl_pbt.search.pbt", "import torch", "search does not know torch"),
        ("rl_pbt.store", "from rl_pbt import controller", "controller lies above store"),
        ("rl_pbt.store", "from .controller import run", "controller lies above store"),
        ("rl_pbt.search.pbt", "from .. import report", "report lies above search"),
        ("rl_pbt.search.pbt", "from ..executors.inline import Inline", "do not know one another"),
        ("rl_pbt.controller", "def late():\n    import rl_pbt.cli", "cli lies above controller"),
        ("rl_pbt.report", "import rl_pbt.envs.atari", "only benchmarks, play, tasks may"),
        ("rl_pbt.store.run", "from rl_pbt.tasks import base", "do not know one another"),
        ("rl_pbt.tasks.rl", "from rl_pbt.search import METHODS", "search lies above tasks"),
        ("rl_pbt.cli", "import benchmarks.parity", "benchmarks lies above cli"),
        ("rl_pbt.novelty", "import rl_pbt.records", "novelty has no layer"),
        (
            "rl_pbt.records",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from rl_pbt.cli import main",
            "cli lies above records",
        ),
    ],
)
def test_the_checker_sees_a_violation(module: str, source: str, reason: str) -> None:
    known = ("rl_pbt.controller", "rl_pbt.report", "rl_pbt.cli", "rl_pbt.search", "rl_pbt.agents.a2c", "rl_pbt.tasks.base")
    found = violations({**dict.fromkeys(known, ""), module: source})
    assert len(found) == 1
    assert reason in found[0]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("rl_pbt.search", "from .pbt import PBT\nfrom . import pbt"),
        ("rl_pbt.search.pbt", "from rl_pbt.search import operators\nfrom ..records import Proposal"),
        ("rl_pbt.tasks.rl.interval", "import rl_pbt.agents, rl_pbt.envs, torch, gymnasium"),
        ("rl_pbt.cli", "from rl_pbt import controller, report, __version__"),
        ("rl_pbt.agents.a2c", "from rl_pbt.agents import networks\nfrom . import returns\nimport torch"),
        ("benchmarks.parity", "from benchmarks import measuring\nimport rl_pbt.envs, rl_pbt.cli"),
    ],
)
def test_the_checker_lets_good_imports_pass(module: str, source: str) -> None:
    known = dict.fromkeys(("rl_pbt.search.operators", "rl_pbt.search.pbt", "rl_pbt.report", "rl_pbt.controller"), "")
    assert violations({**known, module: source}) == []


def test_the_checker_sees_a_cycle() -> None:
    loop = {"rl_pbt.one": "from rl_pbt import two", "rl_pbt.two": "def late():\n    from .one import name"}
    assert set(find_cycle(loop) or ()) == {"rl_pbt.one", "rl_pbt.two"}
    typing_only = {**loop, "rl_pbt.two": "if TYPE_CHECKING:\n    from .one import name"}
    assert find_cycle(typing_only) is None


def test_the_page_reader_understands_files_and_folders() -> None:
    page = (
        "## Layers (see `tests/this.py`)\n| module | what |\n| --- | --- |\n"
        "| `rl_pbt/space.py`, `records.py` | leaves, like `numpy` |\n"
        "| `rl_pbt/search/` | `pbt`, `operators`; no `torch` |\n| `envs/` | `atari` |\n\n## Next\n| `not.py` | here |\n"
    )
    assert listed_modules(page) == {
        "rl_pbt.space",
        "rl_pbt.records",
        "rl_pbt.search.pbt",
        "rl_pbt.search.operators",
        "rl_pbt.envs.atari",
    }


def strings_of(source: str) -> Iterator[tuple[int, str]]:
    """Every string of a module that is not a docstring, with its line; those of an f-string too."""
    tree = ast.parse(source)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.lineno, node.value


SPEAKS_IN_FLAGS = frozenset({"cli", "bench", "benchmarks"})
FLAGS_OF_OTHERS = frozenset({"--always", "--porcelain", "--show-toplevel", "--short", "--untracked-files", "--abbrev", "--dirty"})


def test_only_the_command_line_speaks_in_flags(modules: dict[str, str]) -> None:
    """Below it a setting is called by its name, which is right for Python, a TOML file and a flag alike."""
    found = [
        f"{module}:{line} {flag}"
        for module, source in modules.items()
        if _unit(module) not in SPEAKS_IN_FLAGS
        for line, text in strings_of(source)
        for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]*", text)
        if flag not in FLAGS_OF_OTHERS
    ]
    assert found == []


def test_nothing_above_the_tasks_asks_which_task_it_is(modules: dict[str, str]) -> None:
    """What differs from task to task is a member of `tasks.base.TaskType`."""
    names = {*map(repr, TASKS), "AGENTS_ON_ENVIRONMENTS"}
    asked = [
        f"{module}:{node.lineno}"
        for module, source in modules.items()
        if _unit(module) not in ("tasks", "benchmarks")
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Compare)
        if names & set(map(ast.unparse, (node.left, *node.comparators)))
    ]
    assert asked == []


def test_nothing_imports_the_module_that_is_run(modules: dict[str, str]) -> None:
    """`rl_pbt.bench` is a function of the Python API; a module of that name would take its place once it is imported."""
    found = [
        f"{module}:{one.line}"
        for module, source in modules.items()
        for one in imports_of(module, source, modules)
        if one.target == "rl_pbt.bench"
    ]
    assert found == []


def _own_modules(tree: ast.Module) -> set[str]:
    """Names under which a module knows modules of this project."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in PACKAGES:
            found |= {alias.asname or alias.name for alias in node.names}
    return found


def test_shipped_code_neither_mocks_nor_reaches_into_others(modules: dict[str, str]) -> None:
    found = []
    for module, source in modules.items():
        tree = ast.parse(source)
        names = _own_modules(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom) and "mock" in ast.unparse(node):
                found.append(f"{module}:{node.lineno} mocks")
            if isinstance(node, ast.ImportFrom) and any(re.match(r"_[a-z]", alias.name) for alias in node.names):
                found.append(f"{module}:{node.lineno} imports a private name")
            foreign = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in names
            if foreign and re.match(r"_[a-z]", node.attr):
                found.append(f"{module}:{node.lineno} {ast.unparse(node)}")
    assert found == []


def public_things(source: str) -> Iterator[tuple[str, bool]]:
    """(name, whether it has a docstring) of a module, its public classes and functions, and their public methods.

    What a Protocol or a base class has described already need not be described again by those that implement it.
    """
    tree = ast.parse(source)
    yield "module", ast.get_docstring(tree) is not None
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            yield node.name, ast.get_docstring(node) is not None
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and not method.name.startswith("_"):
                    yield f"{node.name}.{method.name}", ast.get_docstring(method) is not None


def described_by_protocols(modules: Mapping[str, str]) -> set[str]:
    """Names of the methods that a Protocol or an abstract class describes."""
    return {
        method.name
        for source in modules.values()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base).split("[")[0] in ("Protocol", "ABC") for base in node.bases)
        for method in node.body
        if isinstance(method, ast.FunctionDef) and ast.get_docstring(method)
    }


def test_public_things_are_documented(modules: dict[str, str]) -> None:
    inherited = described_by_protocols(modules)
    things = [
        (f"{module}.{name}", documented or name.rpartition(".")[2] in inherited)
        for module, source in modules.items()
        for name, documented in public_things(source)
    ]
    missing = [name for name, documented in things if not documented]
    assert len(missing) <= 0.1 * len(things), f"{len(missing)} of {len(things)}: {missing}"
