"""Arrays by the names that the suite has for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]  # of any numbers: an action, an observation, a part of a checkpoint
Floats: TypeAlias = npt.NDArray[np.float64]
State: TypeAlias = Mapping[str, Array]  # a checkpoint: named arrays
