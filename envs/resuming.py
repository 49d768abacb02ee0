"""Environments that can be left in the middle of an episode, to continue it elsewhere."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from rl_pbt.envs.aliases import Array


class Resumes(ABC):
    """Base class of vector environments whose episodes can be left and continued.

    Random streams are not part of the state, except for what an episode drew for itself when it began.
    """

    @abstractmethod
    def state(self) -> dict[str, Array]:
        """Where the episode of each copy stands, in arrays [B, ...]: `shown`, the last observations; `ended`, whether the next
        step begins an episode; and whatever else the environment needs."""

    @abstractmethod
    def resume(self, state: Mapping[str, Array]) -> None:
        """Continue from a `state`. Call it after a reset, whose seeds decide all randomness from then on.

        Raises ValueError for what cannot be a state of these environments.
        """


def check_like(state: Mapping[str, Array], own: Mapping[str, Array], free: Sequence[str] = ()) -> None:
    """Raises ValueError where names, shapes or types differ from `own`'s; of arrays in `free`, only the first axis must agree."""
    if state.keys() != own.keys():
        raise ValueError(f"it has {sorted(state)} and not {sorted(own)}")
    for name, array in own.items():
        shapes = [one.shape[:1] if name in free else one.shape for one in (state[name], array)]
        if shapes[0] != shapes[1] or state[name].dtype != array.dtype:
            raise ValueError(f"{name} is {state[name].dtype} {state[name].shape}, not {array.dtype} {array.shape}")
