"""`make evidence` and `make bench` take hours; that their commands are ones the scripts take is known in a moment."""

import shlex
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from rl_pbt.cli.arguments import build_parser
from rl_pbt.search import METHODS

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = [
    shlex.split(line.partition("-m benchmarks.")[2].replace("$(ARGS)", ""))
    for line in (ROOT / "Makefile").read_text(encoding="utf-8").splitlines()
    if "-m benchmarks." in line
]
MEASURING = [
    command for command in COMMANDS if command[0] not in ("comparison", "figure_2", "gan_classifier", "pictures", "study")
]  # the others have tests of their own


def test_every_script_is_in_the_makefile() -> None:
    scripts = {path.stem for path in (ROOT / "benchmarks").glob("*.py") if "def main(" in path.read_text(encoding="utf-8")}
    assert {command[0] for command in COMMANDS} == scripts


@pytest.mark.parametrize("command", MEASURING, ids=" ".join)
def test_a_command_is_one_that_its_script_takes(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What it would measure, without measuring it."""
    name, *words = command
    script = import_module(f"benchmarks.{name}")
    if name == "throughput":
        pytest.importorskip("cv2", reason="Stable-Baselines3's Atari wrappers need the extra bench")
    if name == "jax_population":
        pytest.importorskip("jax", reason="needs the extra jax")
    asked: list[Any] = []
    monkeypatch.setattr(script, "run", lambda todo, *, out, page, **_: asked.extend([out, *todo]))
    script.main(words)
    out, *todo = asked
    assert todo and len({one.place for one in todo}) == len(todo)
    assert out is None or out.parent.parent == Path("results/reference")


@pytest.mark.parametrize("words", [words for name, *words in COMMANDS if name == "comparison"], ids=" ".join)
def test_a_comparison_asks_the_bench_for_what_it_takes(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    comparison = import_module("benchmarks.comparison")
    asked: dict[str, list[str]] = {}
    monkeypatch.setattr(comparison, "run", lambda folder, flags: asked.update({folder.name: flags}))
    monkeypatch.setattr(comparison, "write", lambda out, env: None)
    monkeypatch.setattr(comparison, "trim", lambda out: None)
    comparison.main(words)
    assert {"methods", "replay"} <= set(asked)
    for flags in asked.values():
        args = build_parser("bench").parse_args(flags)
        assert args.env and args.budget and args.seeds == list(range(10))
        assert all(method in METHODS or method.startswith("replay:") for method in args.methods)
