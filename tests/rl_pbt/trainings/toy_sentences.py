"""A corpus of two languages that do not exist, word by word the same, for tests that need no real one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

WORDS = 60
# Of a translator so small that an update takes milliseconds.
SMALL: dict[str, Any] = {
    "vocabulary": 120, "width": 16, "heads": 2, "feedforward": 32, "batch_tokens": 128, "test_episodes": 8,
}  # fmt: skip


def words(rng: np.random.Generator, endings: str) -> list[str]:
    syllables = [consonant + vowel for consonant in "bdfgklmnprst" for vowel in "aeiou"]
    found: dict[str, None] = {}
    while len(found) < WORDS:
        found["".join(rng.choice(syllables, size=2)) + str(rng.choice(list(endings)))] = None
    return list(found)


def pairs(number: int = 400) -> list[tuple[str, str]]:
    rng = np.random.default_rng(3)
    first, second = words(rng, "lnr"), words(rng, "stk")
    sentences = [rng.integers(WORDS, size=rng.integers(3, 7)) for _ in range(number)]
    return [(" ".join(first[n] for n in sentence), " ".join(second[n] for n in sentence)) for sentence in sentences]


def written(folder: Path, number: int = 400) -> list[str]:
    """Two text files in a folder, for the setting `corpus`."""
    paths = [folder / "toy.first", folder / "toy.second"]
    for side, path in enumerate(paths):
        path.write_text("\n".join(pair[side] for pair in pairs(number)), encoding="utf-8")
    return [str(path) for path in paths]
