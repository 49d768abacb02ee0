"""The suite's names for array types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]  # of any dtype: an action, an observation, a part of a checkpoint
Floats: TypeAlias = npt.NDArray[np.float64]
LARGEST_EXHIBIT = 100_000  # bytes of arrays that a proposal may leave for a report, at most
State: TypeAlias = Mapping[str, Array]  # a checkpoint: named arrays
