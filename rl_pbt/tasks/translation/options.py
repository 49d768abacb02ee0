"""What can be set for the translation task; loads nothing of it, since the command line describes the options of every task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from rl_pbt.errors import BadSetting
from rl_pbt.options import at_least_one, option

# Those of the extra `translation`, counted in docs/translation.md: with many messages and few dependencies.
PACKAGES = ("gramps", "mercurial", "plone.app.locales", "jupyterlab-language-pack-de-DE")

SPLITS = ("train", "dev", "test")
MOST_ENTRIES = 100  # of a corpus
MOST = {"vocabulary": 32_000, "width": 1024, "heads": 64, "feedforward": 8192, "layers": 12, "batch_tokens": 65_536}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TranslationOptions:
    """A Transformer and what it translates.

    `pairs` says how many there are in each split, `packages` the versions of the packages that they come from, and `signature` is
    sacrebleu's. `digest` covers all pairs and the sub-words, so that a resumed run has the same ones, wherever its files are now.
    Raises BadSetting for invalid values.
    """

    corpus: tuple[str, ...] = option(
        PACKAGES,
        help="what is translated: installed packages with message catalogues, .po and .mo files, folders of these, "
        "or two text files with a sentence a line",
        trains=False,
        place=True,
    )
    language: str = option("de", help="target language, as message catalogues name it: de, fr, pt_BR")
    vocabulary: int = option(3000, help="number of sub-words, shared by both languages")
    width: int = option(96, help="width of the Transformer")
    heads: int = option(4, help="number of attention heads")
    feedforward: int = option(384, help="width of the feed-forward layers of the Transformer")
    layers: int = option(1, help="number of layers of the encoder, and of the decoder")
    label_smoothing: float = option(0.1, help="share of the probability that is spread over the whole vocabulary")
    batch_tokens: int = option(256, help="sub-words per batch on each side, padding included")
    pairs: Mapping[str, int] = option(help="pairs of sentences in each split", flag=False, trains=False)
    packages: Mapping[str, str] = option(help="versions of the packages that they come from", flag=False, trains=False)
    digest: str = option(help="fingerprint of all pairs and of the sub-words", flag=False, of_scores=True)
    signature: str = option(help="how BLEU is computed, in sacrebleu's words", flag=False, trains=False)

    def __post_init__(self) -> None:
        at_least_one(self, *MOST)
        for name, most in MOST.items():
            if getattr(self, name) > most:
                raise BadSetting(name, f"must be {most} or less, but is {getattr(self, name)}")
        if set(self.pairs) != set(SPLITS):
            raise BadSetting("pairs", f"must say how many there are in {', '.join(SPLITS)}, but are {dict(self.pairs)!r:.100}")
        if not self.corpus:
            raise BadSetting("corpus", "must name a package, a file or a folder")
        if len(self.corpus) > MOST_ENTRIES:
            raise BadSetting("corpus", f"must have {MOST_ENTRIES} entries or less, but has {len(self.corpus):,}: name folders")
        if self.width % (2 * self.heads):
            raise BadSetting("width", f"must be a multiple of twice the number of heads, {self.heads}, but is {self.width}")
        if not 0.0 <= self.label_smoothing < 1.0:
            raise BadSetting("label_smoothing", f"must be 0 or more and below 1, but is {self.label_smoothing:g}")
