"""What members are trained and judged with, made once from a corpus and sent to every worker: the same numbers everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import final

import numpy as np

from rl_pbt.arrays import Array
from rl_pbt.tasks.translation.catalogues import Files, Pair, files_of, pairs_of, versions_of
from rl_pbt.tasks.translation.corpus import Corpus, corpus_of
from rl_pbt.tasks.translation.sub_words import END, PAD, SubWords, learned_sub_words

LONGEST = 48  # sub-words of a training sentence with END: four times the median; beyond are lists and misread tables


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sentences:
    """Pairs as sub-words, each int32 [N, longest]: those of the sentence, then END, then PAD."""

    sources: Array
    targets: Array

    def __len__(self) -> int:
        return len(self.sources)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """A split corpus, its sub-words (`model` is SentencePiece's), and a fingerprint of both."""

    corpus: Corpus
    model: bytes
    digest: str
    train: Sentences


def material_of(corpus: Sequence[str], language: str, vocabulary: int, least: int) -> Material:
    """Read, clean, split, learn the sub-words. Raises UserError for what cannot be read, and for too small a corpus.

    It is called when settings are completed, and again when the task is made: the second time takes a moment, unless a file has
    changed.
    """
    return _material(files_of(corpus, language), tuple(versions_of(corpus).items()), vocabulary, least)


@lru_cache(maxsize=4)  # a suite may have a few
def _material(files: Files, versions: tuple[tuple[str, str], ...], vocabulary: int, least: int) -> Material:
    """`versions` are those of the packages of the files: with other versions, the files may have changed in any way."""
    split = corpus_of(pairs_of(files), least)
    model = learned_sub_words(split.train, vocabulary)
    train = as_sub_words(split.train, SubWords(model), LONGEST)
    return Material(corpus=split, model=model, digest=split.digest(model), train=train)


def as_sub_words(pairs: Sequence[Pair], sub_words: SubWords, longest: int) -> Sentences:
    """The pairs of which neither side, with END, has more than `longest` sub-words."""
    sides = [sub_words.numbers([pair[side] for pair in pairs]) for side in (0, 1)]
    short = [both for both in zip(*sides, strict=True) if max(map(len, both)) < longest]
    sources, targets = (padded([both[side] for both in short]).astype(np.int32) for side in (0, 1))
    return Sentences(sources=sources, targets=targets)


def padded(numbers: Sequence[Sequence[int]]) -> Array:
    """int64 [N, longest]: each with END after it, then PAD."""
    rows = np.full((len(numbers), 1 + max(map(len, numbers), default=0)), PAD, dtype=np.int64)
    for row, one in zip(rows, numbers, strict=True):
        row[: len(one)] = one
        row[len(one)] = END
    return rows
