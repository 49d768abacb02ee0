"""What the benchmarks share: a process of its own for each measurement, medians, where figures come from, and files of results.

A file of results holds an entry for each environment, or for each agent on it, with its own `provenance`: what was made by
different commits, or on different days, stays side by side. Beside FILE.json lies the page that is made of it, FILE.md.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import multiprocessing
import os
import platform
import statistics
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("rl-pbt", "torch", "numpy", "gymnasium", "ale-py", "stable-baselines3", "opencv-python-headless")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Median, least and greatest of the repeats."""

    median: float
    min: float
    max: float


def spread(values: Sequence[float]) -> Spread:
    return Spread(median=statistics.median(values), min=min(values), max=max(values))


def alone(measure: Callable[[Any], Any], question: Any) -> Any:
    """The measurement in a fresh process, so that none inherits another's threads or caches."""
    with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, question).result()


def provenance() -> dict[str, Any]:
    """Where, when and with what the figures were made; results that have changed make no checkout dirty."""
    commit = _git("rev-parse", "HEAD")
    dirty = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":(exclude)results")
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": commit and commit + ("-dirty" if dirty else ""),
        "cpu_count": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
    }


def read(path: Path | None) -> dict[str, Any]:
    """The results that a file holds, none where there is no file."""
    if path is None or not path.exists():
        return {}
    results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["results"]
    return results


def write(path: Path | None, results: Mapping[str, Any], page: str) -> None:
    """The results as JSON and their page beside them as Markdown; nothing where there is no path."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"results": results}, indent=2) + "\n", encoding="utf-8")
        path.with_suffix(".md").write_text(page + "\n", encoding="utf-8")


def is_made(entry: Mapping[str, Any] | None, asked: Mapping[str, Any]) -> bool:
    """Whether an entry is what would be made again; where the commit does not say what the code was, nothing is."""
    commit = provenance()["commit"]
    known = commit is not None and not commit.endswith("-dirty")
    return entry is not None and known and all(entry.get(name) == value for name, value in {"commit": commit, **asked}.items())


def _git(*words: str) -> str | None:
    """What git answers in the checkout; None where it has nothing to say, or there is none."""
    git = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return git.stdout.strip() or None if git.returncode == 0 else None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
