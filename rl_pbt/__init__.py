"""Population Based Training, compared with its baselines on the same budget, for any training.

`rl_pbt.tune` searches the hyperparameters of a training of your own, `rl_pbt.bench` those of agents on an environment, and
`rl_pbt.load` opens an existing run. They are loaded on first use: importing the package is free.
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

# Without this, MKL chooses its multiplication kernel by the memory alignment of a matrix, which on some processors changes the
# last digits: a member's results would depend on its place in the population. No slower. MKL reads it at the first product.
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")

_HOMES = {"Trainable": "rl_pbt.tasks.finding", "UserError": "rl_pbt.errors"}  # all others are in rl_pbt.api


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES.get(name, "rl_pbt.api")), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
