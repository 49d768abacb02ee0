"""Batches with a given number of sub-words, of sentences of similar length.

Every member draws its own sentences, but all members of a generation have batches of the same shapes in the same order. Otherwise
the padding of one would depend on the sentences of another, and so would the last digits of sums.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from rl_pbt import seeds
from rl_pbt.arrays import Array
from rl_pbt.tasks.translation.material import Sentences
from rl_pbt.tasks.translation.sub_words import PAD

STEP = 4  # sub-words between the widths of two shapes: with fewer shapes there is more padding, with more less mixing


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Sentences of similar length. A batch has `size` of them, each padded to `width` sub-words; `rows` are their indices."""

    width: int
    size: int
    rows: Array  # [n]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What all members learn from in one update, each int64 [P, B, width]."""

    sources: Array
    targets: Array


def buckets_of(sentences: Sentences, tokens: int) -> list[Bucket]:
    """Buckets by length, with about `tokens` sub-words in a batch; sentences too few for a batch join the next longer ones."""
    lengths = np.maximum((sentences.sources != PAD).sum(1), (sentences.targets != PAD).sum(1))
    widths = -(-lengths // STEP) * STEP
    buckets, waiting = [], np.array([], dtype=np.int64)
    longest = int(widths.max())
    for width in range(STEP, longest + 1, STEP):
        waiting = np.concatenate([waiting, np.flatnonzero(widths == width)])
        size = max(1, tokens // width)
        if len(waiting) >= size or (width == longest and len(waiting)):
            buckets.append(Bucket(width=width, size=min(size, len(waiting)), rows=waiting))
            waiting = np.array([], dtype=np.int64)
    return buckets


class Order:
    """The batches of an interval. `members` are their numbers in the population."""

    def __init__(self, sentences: Sentences, buckets: Sequence[Bucket], root_seed: int, members: Sequence[int], generation: int):
        self._sentences = sentences
        self._buckets = buckets
        self._shapes = seeds.rng(root_seed, purpose="translation/shapes", generation=generation)
        self._rngs = [
            seeds.rng(root_seed, purpose="translation/sentences", member=member, generation=generation) for member in members
        ]
        self._left: dict[tuple[int, int], Array] = {}  # by member and bucket: what it has yet to see before any comes again

    def batches(self, updates: int) -> Iterator[Batch]:
        """`updates` batches, from buckets drawn in proportion to the number of batches that each holds."""
        batches = np.array([len(bucket.rows) / bucket.size for bucket in self._buckets])
        for place in self._shapes.choice(len(batches), size=updates, p=batches / batches.sum()):
            bucket = self._buckets[place]
            rows = np.stack([self._taken(index, int(place)) for index in range(len(self._rngs))])
            yield Batch(
                sources=_cut(self._sentences.sources[rows], bucket.width).astype(np.int64),
                targets=_cut(self._sentences.targets[rows], bucket.width).astype(np.int64),
            )

    def _taken(self, index: int, place: int) -> Array:
        """The next sentences of a bucket for a member, each once before any comes again."""
        bucket = self._buckets[place]
        left = self._left.get((index, place), bucket.rows[:0])
        if len(left) < bucket.size:
            left = self._rngs[index].permutation(bucket.rows)
        self._left[index, place] = left[bucket.size :]
        taken: Array = left[: bucket.size]
        return taken


def _cut(rows: Array, width: int) -> Array:
    """[..., longest] -> [..., width], with PAD where that is longer."""
    short = width - rows.shape[-1]
    if short > 0:
        return np.pad(rows, [(0, 0)] * (rows.ndim - 1) + [(0, short)], constant_values=PAD)
    return rows[..., :width]
