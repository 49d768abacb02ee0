"""BLEU of a whole set (Papineni 2002) by sacrebleu (Post 2018, arXiv 1804.08771), and the contribution of each part of the set.

BLEU belongs to a set and is not the mean of its sentences' scores, but comparing members needs to know how much of a score is
chance. So the set is cut into parts, always the same, and each part gets the value of the jackknife (Tukey 1958): the BLEU of the
whole, plus the number of other parts times how much lower BLEU is without this part than it is, on average, without one. The mean
of these values is exactly the BLEU of the whole, and their standard error is the jackknife's standard error of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from rl_pbt.tasks.translation.catalogues import needed


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """BLEU of a set, the values of its parts, whose mean it is, and how long translations are over references, in words."""

    bleu: float
    parts: tuple[float, ...]
    length: float


class Bleu:
    """BLEU against the references of one set, cut into so many parts, as sacrebleu computes it by default."""

    def __init__(self, references: Sequence[str], parts: int) -> None:
        self._parts = [list(range(part, len(references), parts)) for part in range(parts)]
        self._metrics = [_metric(references=[[references[index] for index in part]]) for part in self._parts]

    def __call__(self, translations: Sequence[str]) -> Score:
        """The score of translations, given in the order of the references."""
        counts = [
            _counts(metric.corpus_score([translations[index] for index in part], None))
            for metric, part in zip(self._metrics, self._parts, strict=True)
        ]
        whole = [sum(column) for column in zip(*counts, strict=True)]
        without = [_bleu([all_ - own for all_, own in zip(whole, one, strict=True)]) for one in counts]
        bleu, others = _bleu(whole), len(counts) - 1
        mean = sum(without) / len(without)
        return Score(
            bleu=bleu, parts=tuple(bleu + others * (mean - left) for left in without), length=whole[0] / max(1, whole[1])
        )


def signature() -> str:
    """How BLEU is computed, in sacrebleu's words, for whoever wants to compare."""
    metric = _metric()
    metric.corpus_score(["a"], [["a"]])  # otherwise it does not know how many references there are
    return str(metric.get_signature().format(short=False))


def _metric(**more: Any) -> Any:
    return needed("sacrebleu").metrics.BLEU(tokenize="13a", smooth_method="exp", **more)


def _counts(score: Any) -> list[int]:
    """What BLEU is computed from, which adds up over parts: lengths, matches and n-grams of each order."""
    return [score.sys_len, score.ref_len, *score.counts, *score.totals]


def _bleu(counts: Sequence[int]) -> float:
    orders = (len(counts) - 2) // 2
    metric = needed("sacrebleu").metrics.BLEU
    correct, total = list(counts[2 : 2 + orders]), list(counts[2 + orders :])
    score = metric.compute_bleu(correct, total, sys_len=counts[0], ref_len=counts[1], smooth_method="exp")
    return float(score.score)
