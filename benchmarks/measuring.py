"""What the benchmarks share: a process of its own for each measurement, medians, and where figures come from."""

from __future__ import annotations

import datetime
import importlib.metadata
import multiprocessing
import os
import platform
import statistics
import subprocess
from collections.abc import Callable, Sequence
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


def _git(*words: str) -> str | None:
    """What git answers in the checkout; None where it has nothing to say, or there is none."""
    git = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return git.stdout.strip() or None if git.returncode == 0 else None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
