"""A step in two halves: many vector environments begin, then each is waited for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from ale_py.vector_env import AtariVectorEnv
from gymnasium.vector import VectorEnv

from rl_pbt.envs.envpool import Pool

Array: TypeAlias = "np.ndarray[Any, Any]"
Step: TypeAlias = tuple[Any, Any, Any, Any, dict[str, Any]]  # as VectorEnv.step returns it


def begin_step(env: VectorEnv[Any, Any, Any], actions: Array) -> Callable[[], Step]:
    """Begin what `env.step(actions)` does; calling what is returned waits for the end of it, once, and returns the same.

    What steps in C++ threads of its own (ale_py, EnvPool) goes on meanwhile; anything else steps when it is waited for.
    """
    if isinstance(env, AtariVectorEnv | Pool):
        env.send(actions)
        return env.recv
    return partial(env.step, actions)
