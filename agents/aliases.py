"""Type aliases of the agents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import gymnasium
import numpy as np
import numpy.typing as npt
from torch import Tensor

Array: TypeAlias = npt.NDArray[Any]  # of any dtype: a checkpoint's, an action's
Bools: TypeAlias = npt.NDArray[np.bool_]
Space: TypeAlias = gymnasium.Space[object]
# The tensors of one part of an agent that go into a checkpoint, each [P, ...]. They are the tensors themselves, not copies:
# writing into them loads a checkpoint. The part owns them and may change or replace them, so callers do not keep them but ask
# again.
Slots: TypeAlias = Mapping[str, Tensor]
