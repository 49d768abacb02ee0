"""What any translator must beat: the translation of the most similar sentence that it was trained on, found without learning."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from rl_pbt.tasks.translation.catalogues import Pair
from rl_pbt.tasks.translation.cleaning import normalised


def looked_up(known: Sequence[Pair], sources: Sequence[str]) -> list[str]:
    """For each source, the target of the known pair whose source has the most similar set of words; of several, the first.

    How similar they are is their Jaccard index: of the words that are in either, the share that is in both.
    """
    words = [_words(pair.source) for pair in known]
    having: dict[str, list[int]] = defaultdict(list)
    for index, one in enumerate(words):
        for word in one:
            having[word].append(index)
    return [known[_nearest(_words(source), words, having)].target for source in sources]


def _words(text: str) -> frozenset[str]:
    return frozenset(normalised(text).split())


def _nearest(sought: frozenset[str], words: Sequence[frozenset[str]], having: Mapping[str, Sequence[int]]) -> int:
    """The index of the most similar set of words, the first if none is similar."""
    best = (0.0, 0)  # its similarity, negative, and its index: the least is the first of the most similar
    for place, word in enumerate(sorted(sought, key=lambda one: len(having.get(one, ())))):
        if (len(sought) - place) / len(sought) < -best[0]:
            break  # without the rarer words, none of the rest can be as similar; common words are in thousands of sentences
        for index in having.get(word, ()):
            best = min(best, (-len(sought & words[index]) / len(sought | words[index]), index))
    return best[1]
