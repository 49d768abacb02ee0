"""Where and with what something was made: versions, commit, hardware."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rl_pbt import __version__
from rl_pbt.records import JSON

PACKAGES = ("torch", "numpy", "gymnasium", "ale-py", "safetensors", "stable-baselines3")
ROOT = Path(__file__).resolve().parent.parent


def versions() -> dict[str, str]:
    """Of this suite, of Python, and of the packages that are installed of those that results depend on."""
    found = {"rl_pbt": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, JSON]:
    """The kind of machine."""
    return {"machine": platform.machine(), "system": platform.system(), "cores": os.cpu_count()}


def commit() -> str | None:
    """The commit of the suite's own checkout, with "-dirty" where tracked files differ; results that changed change no code.

    None where it is not run from its checkout: a repository that it happens to be installed inside is not its own.
    """
    if not (ROOT / "pyproject.toml").is_file() or _git("rev-parse", "--show-toplevel") != str(ROOT):
        return None
    head = _git("rev-parse", "--short=12", "HEAD")
    differing = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":(exclude)results")
    return head and head + ("-dirty" if differing else "")


def _git(*words: str) -> str | None:
    """What git prints; None where it is absent or fails."""
    try:
        shown = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return shown.stdout.strip()
