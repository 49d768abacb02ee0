"""What is looked up instead of translated."""

from __future__ import annotations

import numpy as np

from rl_pbt.tasks.translation.catalogues import Pair
from rl_pbt.tasks.translation.cleaning import normalised
from rl_pbt.tasks.translation.lookup import looked_up

KNOWN = [
    Pair("Open the file", "Die Datei öffnen"),
    Pair("Close the file", "Die Datei schließen"),
    Pair("Close all files now!", "Jetzt alle Dateien schließen!"),
    Pair("close the FILE 7", "7 Dateien"),
]


def test_the_translation_of_the_most_similar_sentence_is_found() -> None:
    asked = {
        "Close the file": "Die Datei schließen",  # the first of those with the same words
        "The file?": "Die Datei öffnen",
        "Save all files": "Jetzt alle Dateien schließen!",
        "Nothing of it": "Die Datei öffnen",
        "X 7": "Die Datei öffnen",
    }
    assert looked_up(KNOWN, list(asked)) == list(asked.values())


def test_it_is_what_comparing_each_with_each_finds() -> None:
    rng = np.random.default_rng(0)
    drawn = [" ".join("abcdefghijkl"[n] for n in rng.integers(12, size=rng.integers(1, 6)) ** 2 // 12) for _ in range(300)]
    known, sources = [Pair(text, str(number)) for number, text in enumerate(drawn[:200])], drawn[200:]

    def jaccard(one: str, other: str) -> float:
        sets = [set(normalised(text).split()) for text in (one, other)]
        return len(sets[0] & sets[1]) / len(sets[0] | sets[1])

    assert looked_up(known, sources) == [max(known, key=lambda pair: jaccard(pair.source, text)).target for text in sources]
