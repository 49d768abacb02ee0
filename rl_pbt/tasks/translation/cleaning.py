"""Messages of software as sentences: without markup, with one word for whatever is filled in, and only those that are text.

BLEU counts words, so what stands between them must be written in one way in both languages. And a corpus of names, codes and
single words would only measure whether they are copied.
"""

from __future__ import annotations

import html
import re
import unicodedata

from rl_pbt.tasks.translation.catalogues import Pair

FILLED_IN = "X"  # for all that a program fills in: %s, %(name)d, {count}, ${title}
PLACEHOLDER = re.compile(
    r"%\(\w+\)[-#0+]*[\d.]*[a-zA-Z]|%[-#0+]*[\d.]*l?[diouxXeEfFgGcrs]\b|\$?\{[^{}]*\}|\$[A-Za-z_]\w*|%[A-Z][A-Z_]+%"
)
ENTITY = re.compile(r"&#?\w+;")  # with its semicolon: `E&xit` has none
TAG = re.compile(r"</?[A-Za-z][^<>]*>")
SAME = str.maketrans(
    {
        **dict.fromkeys("\u201c\u201d\u201e\u201f«»", '"'),
        **dict.fromkeys("\u2018\u2019\u201a\u201b", "'"),
        **dict.fromkeys("\u2010\u2011\u2013\u2014", "-"),
        **dict.fromkeys("\u00ad\u200b"),  # places where a word may be broken
    }
)
CODE = re.compile(r"[\\|_=<>#@{}\[\]~^*&$%`]|::|//|--")
WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")
LONGEST = 1000  # characters of a message as written: six times the longest that is kept, and short enough to search fast
LEAST_WORDS = 2  # of a source; compounds of the other language may be one word
MOST_WORDS = 8  # on either side: longer ones take most of the time, and a small translator learns least from them
LONGER = 2.5  # times as long, in characters, as the other side: the most that a side may be


def cleaned(pair: Pair) -> Pair | None:
    """A pair of sentences as they are trained on; None if it is not a sentence, or not translated."""
    if max(map(len, pair)) > LONGEST:
        return None
    source, target = _without_keys(_plain(pair.source), _plain(pair.target))
    if CODE.search(source) or CODE.search(target) or source == target:
        return None
    words = [sum(word != FILLED_IN for word in WORD.findall(text)) for text in (source, target)]
    if not (LEAST_WORDS <= words[0] <= MOST_WORDS and LEAST_WORDS - 1 <= words[1] <= MOST_WORDS):
        return None
    return Pair(source, target) if max(len(source), len(target)) <= LONGER * min(len(source), len(target)) else None


def cleaned_source(text: str) -> str:
    """A sentence to be translated, written like those that were trained on."""
    return _plain(text)


def normalised(text: str) -> str:
    """The words alone, without case, numbers and what is filled in: what near-duplicates have in common."""
    return " ".join(word.casefold() for word in WORD.findall(text) if word != FILLED_IN)


def _plain(text: str) -> str:
    """On one line, with the same quotes and dashes everywhere."""
    text = ENTITY.sub(lambda found: html.unescape(found[0]), text)
    text = PLACEHOLDER.sub(FILLED_IN, TAG.sub(" ", text))
    text = unicodedata.normalize("NFKC", text).translate(SAME)
    return re.sub(r" ([.,;:!?])(?= |$)", r"\1", " ".join(text.split()))


def _without_keys(source: str, target: str) -> tuple[str, str]:
    """Without the marks of keyboard shortcuts, as in `_File` and `E&xit`, where both sides have one."""
    for mark in "_&":
        if source.count(mark) == target.count(mark) == 1 and not any(re.search(rf"{mark}( |$)", one) for one in (source, target)):
            source, target = source.replace(mark, ""), target.replace(mark, "")
    return source, target
