"""The store of checkpoints, and the seal on each: a digest that the ledger records at saving and that is compared at loading.

So a bit that flipped on the disk, an older copy or another run's file is never trained on. The digest covers the arrays and not a
file: a file may hold several checkpoints, and another version of its library may write it differently.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Protocol, final

import numpy as np

from rl_pbt.arrays import LARGEST_EXHIBIT, State
from rl_pbt.errors import LostCheckpoint, UserError


class Checkpoints(Protocol):
    """Where the checkpoints of one search are kept, by the id of the proposal that left them.

    It can be pickled, and need not store anything on this machine's disk.
    """

    def load(self, proposal: int) -> State:
        """Raises UserError if it is absent or damaged: training never starts afresh in silence."""
        ...

    def save(self, proposal: int, state: State) -> None:
        """Durable when this returns."""
        ...

    def save_together(self, states: Mapping[int, State]) -> None:
        """Durable when this returns; for many small checkpoints."""
        ...

    def exhibit(self, proposal: int, arrays: State) -> None:
        """Keep what a report may show of a proposal, for as long as the run is kept: small arrays, which no job loads.

        Durable when this returns. Raises ValueError for more than LARGEST_EXHIBIT bytes.
        """
        ...

    def keep_only(self, proposals: Iterable[int], *, being_written: Iterable[int] = ()) -> None:
        """Forget all others, except those that jobs are writing meanwhile."""
        ...

    def leave_only(self, proposals: Iterable[int]) -> None:
        """`keep_only` at the end of a search, when nothing else has to be kept."""
        ...


def digest_of(state: State) -> str:
    """A fingerprint of all names, types, shapes and values: 32 hexadecimal digits."""
    found = hashlib.sha256()
    for name in sorted(state):
        array = np.ascontiguousarray(state[name]).astype(state[name].dtype.newbyteorder("<"), copy=False)
        head = f"{len(name)} {name} {array.dtype.str} {state[name].shape} ".encode()
        found.update(head)
        found.update(array.tobytes())
    return found.hexdigest()[:32]


@final
class Sealed:
    """`checkpoints` with seals: loads are compared with the `known` digests, and `digests` collects those of what is saved.

    `restoring` holds the digests of checkpoints that are computed again. Then only these are saved, and saving raises UserError
    if one has another digest than before.
    """

    def __init__(
        self, checkpoints: Checkpoints, known: Mapping[int, str | None], restoring: Mapping[int, str | None] | None = None
    ) -> None:
        self._checkpoints = checkpoints
        self._known = known
        self._restoring = restoring
        self.digests: dict[int, str] = {}

    def load(self, proposal: int) -> State:
        """Raises LostCheckpoint if it is not the one that the ledger recorded."""
        state = self._checkpoints.load(proposal)
        known = self._known.get(proposal)
        if known is not None and digest_of(state) != known:
            raise LostCheckpoint(proposal, f"the checkpoint of proposal {proposal} is not the one of its ledger")
        return state

    def save(self, proposal: int, state: State) -> None:
        """Durable when this returns."""
        if self._accepts(proposal, state):
            self._checkpoints.save(proposal, state)

    def save_together(self, states: Mapping[int, State]) -> None:
        """Durable when this returns."""
        accepted = {proposal: state for proposal, state in states.items() if self._accepts(proposal, state)}
        if self._restoring is None:
            self._checkpoints.save_together(accepted)
        else:  # files of one checkpoint take precedence over the damaged file of several
            for proposal, state in accepted.items():
                self._checkpoints.save(proposal, state)

    def exhibit(self, proposal: int, arrays: State) -> None:
        """As in `Checkpoints`, but a checkpoint that is computed again exhibits nothing, since it has done so before."""
        if (size := sum(array.nbytes for array in arrays.values())) > LARGEST_EXHIBIT:
            raise ValueError(f"an exhibit is small, {LARGEST_EXHIBIT} bytes at most, and this one has {size}")
        if self._restoring is None:
            self._checkpoints.exhibit(proposal, arrays)

    def _accepts(self, proposal: int, state: State) -> bool:
        self.digests[proposal] = digest_of(state)
        if self._restoring is None:
            return True
        if proposal not in self._restoring:
            return False
        if self._restoring[proposal] != self.digests[proposal]:
            raise UserError(
                f"the checkpoint of proposal {proposal} is lost, and this machine computes other digits: restore it from a copy, "
                "or resume where the run was made"
            )
        return True

    def keep_only(self, proposals: Iterable[int], *, being_written: Iterable[int] = ()) -> None:
        """As in `Checkpoints`."""
        self._checkpoints.keep_only(proposals, being_written=being_written)

    def leave_only(self, proposals: Iterable[int]) -> None:
        """As in `Checkpoints`."""
        self._checkpoints.leave_only(proposals)
