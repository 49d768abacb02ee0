"""A corpus in three splits: one to train on, dev for fitness, and test, on which nothing is selected.

Software says the same thing in many ways: "Could not open the file %s" and "Could not open the file!". If it were split by
sentence, much of a test would be known from training. So sentences that are nearly the same go into one split, and dev and test
keep only one of them. What is then still known, `lookup` finds. The split of a sentence depends on its own words, so a newer
version of a package moves few.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from math import ceil
from typing import final

from rl_pbt.errors import BadSetting
from rl_pbt.tasks.translation.catalogues import Pair
from rl_pbt.tasks.translation.cleaning import cleaned, normalised

SHARE = 0.1  # of the groups that are not too large, for dev, and as many for test: about 5 % of the sentences each
ALIKE = 0.5  # Jaccard index of their pairs of neighbouring words at which two sentences are nearly the same
MOST_TOGETHER = 10  # sentences that are nearly the same; larger groups are trained on


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Pairs of sentences, by split."""

    train: tuple[Pair, ...]
    dev: tuple[Pair, ...]
    test: tuple[Pair, ...]

    @property
    def sizes(self) -> dict[str, int]:
        """Pairs of each split."""
        return {"train": len(self.train), "dev": len(self.dev), "test": len(self.test)}

    def digest(self, sub_words: bytes) -> str:
        """A fingerprint of all pairs in their splits, and of the sub-words."""
        found = hashlib.sha256(sub_words)
        for name, split in (("train", self.train), ("dev", self.dev), ("test", self.test)):
            for pair in split:
                found.update(f"{name}\t{pair.source}\t{pair.target}\n".encode())
        return found.hexdigest()[:32]


def corpus_of(pairs: Iterable[Pair], least: int) -> Corpus:
    """Pairs cleaned, without duplicates, and split. Raises BadSetting if a split has fewer than `least` sentences."""
    unique: dict[str, Pair] = {}
    for pair in sorted({clean for pair in pairs if (clean := cleaned(pair))}):
        unique.setdefault(pair.source, pair)
    sentences = list(unique.values())
    split: dict[str, list[Pair]] = {"train": [], "dev": [], "test": []}
    for together in _nearly_the_same(sentences):
        name = "train" if len(together) > MOST_TOGETHER else _split_of(sentences[together[0]])
        split[name] += [sentences[index] for index in (together if name == "train" else together[:1])]
    corpus = Corpus(**{name: tuple(sorted(pairs)) for name, pairs in split.items()})
    if min(corpus.sizes.values()) < least:
        raise BadSetting(
            "corpus",
            f"has {len(sentences):,} usable pairs, of which {len(corpus.dev)} are in dev and {len(corpus.test)} in test, "
            f"where at least {least} are needed: name more",
        )
    return corpus


def _split_of(first: Pair) -> str:
    place = int.from_bytes(hashlib.sha256(normalised(first.source).encode()).digest()[:8]) / 2**64
    return "dev" if place < SHARE else "test" if place < 2 * SHARE else "train"


def _nearly_the_same(sentences: Sequence[Pair]) -> list[list[int]]:
    """Groups of sentences, by index; in each, any two are linked by steps between sentences that are nearly the same."""
    leader = list(range(len(sentences)))

    def lead(index: int) -> int:
        while leader[index] != index:
            leader[index] = leader[leader[index]]
            index = leader[index]
        return index

    by_language = (_alike([neighbours(text) for text in texts]) for texts in zip(*sentences, strict=True))
    for one, other in chain(*by_language, _a_word_apart(sentences)):
        leader[lead(one)] = lead(other)
    groups: dict[int, list[int]] = defaultdict(list)
    for index in range(len(sentences)):
        groups[lead(index)].append(index)
    return list(groups.values())


def neighbours(text: str) -> frozenset[tuple[str, str]]:
    """Its pairs of neighbouring words; the first and the last word are also paired with nothing."""
    return frozenset(pairwise(["", *normalised(text).split(), ""]))


def _alike(sentences: Sequence[frozenset[tuple[str, str]]]) -> Iterator[tuple[int, int]]:
    """The indices of every two sets that have `ALIKE` of their union in common.

    Two such sets share one of the rarest elements of each, so only these are looked up (Chaudhuri 2006, prefix filtering).
    """
    having = Counter(shingle for one in sentences for shingle in one)
    with_rare: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, one in enumerate(sentences):
        rarest = sorted(one, key=lambda shingle: (having[shingle], shingle))[: len(one) - ceil(ALIKE * len(one)) + 1]
        for other in {place for shingle in rarest for place in with_rare[shingle]}:
            shared = len(one & sentences[other])
            if shared >= ALIKE * (len(one) + len(sentences[other]) - shared):
                yield index, other
        for shingle in rarest:
            with_rare[shingle].append(index)


def _a_word_apart(sentences: Sequence[Pair]) -> Iterator[tuple[int, int]]:
    """Indices of sentences between which in both languages at most one word differs: links enough to reach all such from each.

    In short sentences one other word changes most pairs of neighbours: "Can edit" has one of three in common with "Can add".
    """
    with_gap: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for index, pair in enumerate(sentences):
        for source in _with_a_gap(pair.source):
            with_gap[source].append(index)
    for together in with_gap.values():
        if len(together) > 1:
            first: dict[tuple[str, ...], int] = {}
            for index in together:
                for target in _with_a_gap(sentences[index].target):
                    yield index, first.setdefault(target, index)


def _with_a_gap(text: str) -> set[tuple[str, ...]]:
    """Its words with a gap for one of them or between two: texts in which at most one word differs share one of these."""
    words = tuple(normalised(text).split())
    ends = [(place, place + more) for place in range(len(words) + 1) for more in (0, 1)]
    return {(*words[:start], "", *words[end:]) for start, end in ends}
