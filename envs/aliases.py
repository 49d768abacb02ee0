"""Type aliases of the environments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector import VectorEnv

Array: TypeAlias = npt.NDArray[Any]  # of any dtype that an environment shows or takes
Pixels: TypeAlias = npt.NDArray[np.uint8]
Space: TypeAlias = gymnasium.Space[object]
Env: TypeAlias = gymnasium.Env[Array, object]
UnknownEnv: TypeAlias = gymnasium.Env[Any, Any]  # before its family's wrapper turns it into an Env
Vector: TypeAlias = VectorEnv[Array, Array, Array]
Info: TypeAlias = dict[str, object]
Step: TypeAlias = tuple[Array, float, bool, bool, Info]  # as Env.step returns it
VectorStep: TypeAlias = tuple[Array, Array, Array, Array, Info]  # as VectorEnv.step returns it
Options: TypeAlias = Mapping[str, Any]  # of an EnvSpec, in plain JSON types
