"""Population Based Training, compared with its baselines under equal compute, for any training.

`rl_pbt.tune` searches the hyperparameters of a training of your own, `rl_pbt.bench` those of agents on an environment, and
`rl_pbt.load` opens a run that was made. They are loaded when they are first used: importing the package is free.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rl_pbt.api import Run, bench, load, tune
    from rl_pbt.errors import UserError
    from rl_pbt.tasks.finding import Trainable

__all__ = ["Run", "Trainable", "UserError", "__version__", "bench", "load", "tune"]
__version__ = "0.2.0"

# Without it MKL chooses its way to multiply by where a matrix begins in memory, on some processors with other last digits: a
# member's results would depend on its place in the population. As fast; read at the first product of a process, whoever makes it.
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")

_HOMES = {"Trainable": "rl_pbt.tasks.finding", "UserError": "rl_pbt.errors"}  # the others are in rl_pbt.api


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES.get(name, "rl_pbt.api")), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
