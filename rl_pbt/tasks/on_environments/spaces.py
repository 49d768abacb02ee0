"""The spaces of an environment, which only the environment itself can tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, final

import gymnasium

from rl_pbt.envs import EnvSpec

Spaces: TypeAlias = tuple[gymnasium.Space[object], gymnasium.Space[object]]  # of observations, of actions


@final
class KnownSpaces:
    """`read`, which makes an environment to read its spaces, called once per environment and process: one of ViZDoom's takes a
    second to make.
    """

    def __init__(self, read: Callable[[EnvSpec], Spaces]) -> None:
        self._read = read
        self._known: dict[str, tuple[object, Spaces]] = {}

    def __call__(self, spec: EnvSpec) -> Spaces:
        """The spaces of observations and of actions. Raises UserError if the environment cannot be made."""
        registered, spaces = self._known.get(repr(spec), (None, None))
        # A notebook may have registered another class under the same name.
        if spaces is None or registered is not gymnasium.registry.get(spec.id):
            spaces = self._read(spec)
            self._known[repr(spec)] = gymnasium.registry.get(spec.id), spaces  # now, since making it may import what registers it
        return spaces
