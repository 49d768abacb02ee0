"""Keyed randomness: every random stream is identified by its purpose, never by the order of calls."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import numpy as np

# Environment seeds have 31 bits, of which the two highest identify the split, so the three sets are disjoint.
SPLITS = {"train": 0, "evaluate": 1, "test": 2}
_SPLIT_SHIFT = 29


def _sequence(root: int, purpose: str, member: int | None, generation: int | None) -> np.random.SeedSequence:
    key = (
        zlib.crc32(purpose.encode()),
        0 if member is None else member + 1,
        0 if generation is None else generation + 1,
    )
    return np.random.SeedSequence(entropy=root, spawn_key=key)


def rng(root: int, *, purpose: str, member: int | None = None, generation: int | None = None) -> np.random.Generator:
    """A generator for one purpose; the same arguments give the same stream in any process."""
    return np.random.default_rng(_sequence(root, purpose, member, generation))


def seed(root: int, *, purpose: str, member: int | None = None, generation: int | None = None) -> int:
    """A 63-bit seed for generators other than NumPy's."""
    return int(_sequence(root, purpose, member, generation).generate_state(1, np.uint64)[0] >> 1)


def environment_seed(root: int, *, split: str, member: int | None = None, generation: int | None = None) -> int:
    """A 31-bit seed of one split ("train", "evaluate" or "test"); 4096 consecutive seeds from this one stay in the split."""
    drawn = seed(root, purpose=f"environment/{split}", member=member, generation=generation)
    return (SPLITS[split] << _SPLIT_SHIFT) + drawn % ((1 << _SPLIT_SHIFT) - 4096)


def test_seeds(root: int, episodes: Iterable[int]) -> tuple[int, ...]:
    """A seed of the split "test" for each of these test episodes, which are numbered from 0."""
    first = environment_seed(root, split="test")
    return tuple(first + episode for episode in episodes)
