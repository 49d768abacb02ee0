"""Sentences as numbers of sub-words, and back: one vocabulary for both languages (Vaswani 2017, sec. 5.1), by SentencePiece.

Byte-pair encoding (Sennrich 2016, arXiv 1508.07909) of the train split. Nothing is random, so every process finds the same.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, final

from rl_pbt.errors import BadSetting
from rl_pbt.tasks.translation.catalogues import Pair, needed

PAD, BEGIN, END, UNKNOWN = 0, 1, 2, 3


def learned_sub_words(pairs: Sequence[Pair], size: int) -> bytes:
    """A SentencePiece model with a vocabulary of that size. Raises BadSetting if these sentences cannot have one."""
    package, model = needed("sentencepiece"), io.BytesIO()
    try:
        package.SentencePieceTrainer.train(
            sentence_iterator=iter([side for pair in pairs for side in pair]),
            model_writer=model,
            model_type="bpe",
            vocab_size=size,
            character_coverage=1.0,
            pad_id=PAD,
            bos_id=BEGIN,
            eos_id=END,
            unk_id=UNKNOWN,
            num_threads=1,
            minloglevel=2,
        )
    except (RuntimeError, OSError) as error:
        raise BadSetting("vocabulary", f"cannot be {size} for {len(pairs):,} pairs: {error}") from None
    return model.getvalue()


@final
class SubWords:
    """A learned vocabulary in use, made from its model."""

    def __init__(self, model: bytes) -> None:
        self._processor: Any = needed("sentencepiece").SentencePieceProcessor(model_proto=model)

    def numbers(self, sentences: Sequence[str]) -> list[list[int]]:
        """The sub-words of each sentence, without begin and end marks."""
        found: list[list[int]] = self._processor.encode(list(sentences), out_type=int)
        return found

    def sentences(self, numbers: Sequence[Sequence[int]]) -> list[str]:
        """The sentences that the numbers stand for; PAD, BEGIN, END and UNKNOWN are left out."""
        return [str(self._processor.decode([n for n in one if n > UNKNOWN])) for one in numbers]
