"""Where and with what a run was made: versions, commit, hardware."""

from __future__ import annotations

import hashlib
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rl_pbt import __version__
from rl_pbt.records import JSON

# Environment variables that select other numerical kernels, which may change the last digits.
CHOOSES_KERNELS = ("ATEN_CPU_CAPABILITY", "MKL_CBWR", "OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES", "CUBLAS_WORKSPACE_CONFIG")
# Packages that train, evaluate or choose: another version may compute something else.
PACKAGES = (
    *("torch", "numpy", "scipy", "gymnasium", "ale-py", "safetensors", "stable-baselines3"),
    *("box2d", "dmlab-gym", "envpool", "jax", "jaxlib", "jaxmarl", "minatar", "minigrid", "mujoco", "pysc2-evolved", "vizdoom"),
    *("optuna", "scikit-learn", "sacrebleu", "sentencepiece"),
)
OF_TORCH = ("torch kernels", "devices")  # of the hardware: known where torch is loaded
ROOT = Path(__file__).resolve().parent.parent


def versions() -> dict[str, str]:
    """Versions of this suite, of Python, and of those installed packages that results depend on."""
    found = {"rl_pbt": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, JSON]:
    """The kind of machine, and everything that may select other numerical kernels and so change the last digits."""
    found: dict[str, JSON] = {
        "host": socket.gethostname(),
        "machine": platform.machine(),
        "system": platform.system(),
        "processor": _processor(),
        "cores": os.cpu_count(),
    }
    if torch := sys.modules.get("torch"):  # if it is not loaded, nothing computed depends on it
        devices = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        found |= zip(OF_TORCH, (torch.backends.cpu.get_cpu_capability(), devices), strict=True)
    return found | {name: os.environ[name] for name in CHOOSES_KERNELS if name in os.environ}


def _processor() -> str:
    """The processor's model, as far as the system reports it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())


def sources(words: Iterable[str]) -> dict[str, str]:
    """A digest of each of the user's own files that these words name, by word: a loaded module ("module:Name"), or a path."""
    found = {}
    for word in words:
        module = sys.modules.get(word.rpartition(":")[0])
        path = getattr(module, "__file__", None) or word
        if Path(path).is_file():
            found[word] = hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]
    return found


def commit() -> str | None:
    """The commit of the suite's own checkout, with "-dirty" if tracked files outside `results` differ.

    None if the suite does not run from its own checkout; a repository that it happens to be installed inside does not count.
    """
    if not (ROOT / "pyproject.toml").is_file() or _git("rev-parse", "--show-toplevel") != str(ROOT):
        return None
    head = _git("rev-parse", "--short=12", "HEAD")
    differing = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":(exclude)results")
    return head and head + ("-dirty" if differing else "")


def _git(*words: str) -> str | None:
    """What git prints; None if it is absent or fails."""
    try:
        shown = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return shown.stdout.strip()
