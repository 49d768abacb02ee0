"""Types by the names that the agents have for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import gymnasium
import numpy as np
import numpy.typing as npt
from torch import Tensor

Array: TypeAlias = npt.NDArray[Any]  # of whatever numbers: a checkpoint's, an action's
Bools: TypeAlias = npt.NDArray[np.bool_]
Space: TypeAlias = gymnasium.Space[object]
# What a checkpoint holds of one part of an agent, each [P, ...]: the tensors themselves, so that writing into them loads it. The
# part owns them and may change or replace them, so whoever asked for them does not keep them but asks again.
Slots: TypeAlias = Mapping[str, Tensor]
