"""The tree is the architecture: imports only go down, without cycles, and docs/architecture.md lists every module."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("rl_pbt", "agents", "envs")

# Lowest first. A module (or a package directly under rl_pbt) may import what lies in a lower layer.
LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"__init__", "records", "seeds", "space", "config", "defaults", "text"}),
    frozenset({"statistics", "store"}),
    frozenset({"search", "executors", "history"}),
    frozenset({"controller", "tracking", "actors"}),
    frozenset({"collecting"}),
    frozenset({"training", "quadratic"}),
    frozenset({"report", "progress", "schedule"}),
    frozenset({"bench", "arguments", "estimate", "play", "__main__"}),
)
# Within these layers a module may also import its neighbours; elsewhere neighbours do not know one another.
NEIGHBOURLY = (LAYERS[0], LAYERS[6], LAYERS[7])
MEETS_ENVIRONMENTS = frozenset(
    {"actors", "collecting", "training", "arguments", "bench", "play"}
)  # the interval, and the composition root
FORBIDDEN_THIRD_PARTY = {"agents": {"ale_py"}, "envs": {"torch"}}
HEAVY = ("torch", "gymnasium", "matplotlib")


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One imported name; `typing_only` where it stands under `if TYPE_CHECKING`."""

    target: str
    line: int
    typing_only: bool


def modules_of(root: Path) -> dict[str, str]:
    """Dotted module name (a package by its own name) -> source, for every file of the three packages."""
    modules = {}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            modules[name] = path.read_text(encoding="utf-8")
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
    top, target_top = (name.partition(".")[0] for name in (module, target))
    if target_top in FORBIDDEN_THIRD_PARTY.get(top, ()):
        return f"{top} does not know {target_top}"
    if target_top not in PACKAGES or (target_top == top and top != "rl_pbt"):
        return None
    if top != "rl_pbt":
        return f"{top} does not know {target_top}"
    unit = _unit(module)
    if target_top != "rl_pbt":
        return None if unit in MEETS_ENVIRONMENTS else f"only {', '.join(sorted(MEETS_ENVIRONMENTS))} may"
    return _upwards(unit, _unit(target))


def _unit(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def _upwards(unit: str, target: str) -> str | None:
    for name in (unit, target):
        if not any(name in layer for layer in LAYERS):
            return f"{name} has no layer: give it one here and in docs/architecture.md"
    rank, target_rank = (next(i for i, layer in enumerate(LAYERS) if name in layer) for name in (unit, target))
    if target_rank > rank:
        return f"{target} lies above {unit}"
    if target_rank == rank and unit != target and LAYERS[rank] not in NEIGHBOURLY:
        return f"{target} and {unit} share a layer and do not know one another"
    return None


def violations(modules: Mapping[str, str]) -> list[str]:
    """Each import that breaks a rule, as `module:line imports target: reason`."""
    return [
        f"{module}:{found.line} imports {found.target}: {reason}"
        for module, source in modules.items()
        for found in imports_of(module, source, modules)
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
    existing.discard("rl_pbt.__main__")
    assert listed - existing == set(), "docs/architecture.md lists modules that do not exist"
    assert existing - listed == set(), "docs/architecture.md does not list these modules"


def test_methods_and_controller_load_no_heavy_package(modules: dict[str, str]) -> None:
    light = [name for name in modules if name.startswith("rl_pbt.search")]
    if find_spec("sklearn") is None:
        light.remove("rl_pbt.search.gp")  # which pb2 imports late
    light += ["rl_pbt.controller", "rl_pbt.space", "rl_pbt.store"]
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
        ("agents.a2c", "import envs", "agents does not know envs"),
        ("agents.a2c", "from rl_pbt.records import Result", "agents does not know rl_pbt"),
        ("agents.a2c", "import ale_py.vector_env", "agents does not know ale_py"),
        ("envs.atari", "from agents import a2c", "envs does not know agents"),
        ("envs.atari", "import torch", "envs does not know torch"),
        ("rl_pbt.store", "from rl_pbt import controller", "controller lies above store"),
        ("rl_pbt.store", "from .controller import run", "controller lies above store"),
        ("rl_pbt.search.pbt", "from .. import report", "report lies above search"),
        ("rl_pbt.search.pbt", "from ..executors.inline import Inline", "do not know one another"),
        ("rl_pbt.controller", "def late():\n    import rl_pbt.bench", "bench lies above controller"),
        ("rl_pbt.report", "import envs.atari", "only actors, arguments, bench, collecting, play, training may"),
        ("rl_pbt.novelty", "import rl_pbt.records", "novelty has no layer"),
        (
            "rl_pbt.records",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from rl_pbt.bench import main",
            "bench lies above records",
        ),
    ],
)
def test_the_checker_sees_a_violation(module: str, source: str, reason: str) -> None:
    known = dict.fromkeys(("rl_pbt.controller", "rl_pbt.report", "rl_pbt.bench", "rl_pbt.search", "agents.a2c"), "")
    found = violations({**known, module: source})
    assert len(found) == 1
    assert reason in found[0]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("rl_pbt.search", "from .pbt import PBT\nfrom . import pbt"),
        ("rl_pbt.search.pbt", "from rl_pbt.search import operators\nfrom ..records import Proposal"),
        ("rl_pbt.training", "import agents, envs, torch, gymnasium"),
        ("rl_pbt.bench", "from rl_pbt import controller, report, __version__\nimport envs"),
        ("agents.a2c", "from agents import networks\nfrom . import returns\nimport torch"),
    ],
)
def test_the_checker_lets_good_imports_pass(module: str, source: str) -> None:
    known = dict.fromkeys(("rl_pbt.search.operators", "rl_pbt.search.pbt", "rl_pbt.report", "rl_pbt.controller"), "")
    assert violations({**known, module: source}) == []


def test_the_checker_sees_a_cycle() -> None:
    loop = {"agents.one": "from agents import two", "agents.two": "def late():\n    from .one import name"}
    assert set(find_cycle(loop) or ()) == {"agents.one", "agents.two"}
    typing_only = {**loop, "agents.two": "if TYPE_CHECKING:\n    from .one import name"}
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
        "envs.atari",
    }
