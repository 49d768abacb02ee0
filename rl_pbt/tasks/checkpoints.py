"""What keeps checkpoints, and the seal on each: a digest that the ledger records when one is saved, compared when it is loaded.

So a bit that flipped on the disk, an older copy or another run's file is never trained on. The digest is of the arrays and not of
a file, which may hold several checkpoints, and may be written otherwise by another version of its library.
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

    It can be pickled, and its other end need not be this machine's disk.
    """

    def load(self, proposal: int) -> State:
        """Raises UserError where it is absent or damaged: never a fresh start in silence."""
        ...

    def save(self, proposal: int, state: State) -> None:
        """Durable when this returns."""
        ...

    def save_together(self, states: Mapping[int, State]) -> None:
        """Durable when this returns; for checkpoints that are small and many."""
        ...

    def exhibit(self, proposal: int, arrays: State) -> None:
        """Keep what a report may show of a proposal, as long as the run: small arrays, which no job loads.

        Durable when this returns. Raises ValueError for more than LARGEST_EXHIBIT bytes.
        """
        ...

    def keep_only(self, proposals: Iterable[int], *, being_written: Iterable[int] = ()) -> None:
        """Forget all others, but for those that jobs are writing meanwhile."""
        ...

    def leave_only(self, proposals: Iterable[int]) -> None:
        """`keep_only` at the end of a search, when nothing else is to be kept beside them."""
        ...


def digest_of(state: State) -> str:
    """A fingerprint of all names, types, shapes and values."""
    found = hashlib.sha256()
    for name in sorted(state):
        array = np.ascontiguousarray(state[name]).astype(state[name].dtype.newbyteorder("<"), copy=False)
        head = f"{len(name)} {name} {array.dtype.str} {state[name].shape} ".encode()
        found.update(head)
        found.update(array.tobytes())
    return found.hexdigest()[:32]


@final
class Sealed:
    """`checkpoints`, whose digests are known for those that are loaded, and found out for those that are saved.

    With `restoring`, the digests of checkpoints that are computed again, those alone are saved, each if it is the same as it was.
    """

    def __init__(
        self, checkpoints: Checkpoints, known: Mapping[int, str | None], restoring: Mapping[int, str | None] | None = None
    ) -> None:
        self._checkpoints = checkpoints
        self._known = known
        self._restoring = restoring
        self.digests: dict[int, str] = {}

    def load(self, proposal: int) -> State:
        """Raises LostCheckpoint where it is not the one that the ledger speaks of."""
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
        else:  # one by one they come before what is damaged and was saved together
            for proposal, state in accepted.items():
                self._checkpoints.save(proposal, state)

    def exhibit(self, proposal: int, arrays: State) -> None:
        """As the checkpoints themselves; what was lost and is computed again leaves nothing to show, which it did before."""
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
        """As the checkpoints themselves."""
        self._checkpoints.keep_only(proposals, being_written=being_written)

    def leave_only(self, proposals: Iterable[int]) -> None:
        """As the checkpoints themselves."""
        self._checkpoints.leave_only(proposals)
