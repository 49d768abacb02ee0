"""The interval of a population of translators: train, translate dev, compare with what people wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import final

import numpy as np
import torch

from rl_pbt.arrays import Floats
from rl_pbt.errors import UserError
from rl_pbt.records import Cost, FinalTest, Result
from rl_pbt.tasks.base import DIVERGED, PATIENCE_S, Advance, FinalTestJob, IntervalJob, unheeded
from rl_pbt.tasks.checkpoints import Checkpoints
from rl_pbt.tasks.clock import Clock
from rl_pbt.tasks.grouped import load_member, load_parents, values_of, weight_seeds
from rl_pbt.tasks.translation.batches import Bucket, Order, buckets_of
from rl_pbt.tasks.translation.bleu import Bleu, Score
from rl_pbt.tasks.translation.catalogues import Pair
from rl_pbt.tasks.translation.cleaning import cleaned_source
from rl_pbt.tasks.translation.dropping import KINDS, Dropout
from rl_pbt.tasks.translation.lookup import looked_up
from rl_pbt.tasks.translation.material import Material
from rl_pbt.tasks.translation.members import Translators
from rl_pbt.tasks.translation.settings import DEV_PARTS, RATE
from rl_pbt.tasks.translation.sub_words import SubWords
from rl_pbt.tasks.translation.transformer import Shape

WHAT = "translator"
THREADS = 1  # with several, sums would have other last digits


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Translator:
    """One member, for a person to use."""

    members: Translators
    sub_words: SubWords

    def translate(self, sentences: Sequence[str]) -> list[str]:
        """Greedily, each sentence by itself; markup is left out, and what a program fills in becomes X.

        Raises UserError for a text in the place of several: its letters would be translated one by one.
        """
        if isinstance(sentences, str):
            raise UserError(f"cannot translate a text that is not in a list: write [{sentences!r:.100}]")
        numbers = self.sub_words.numbers([cleaned_source(sentence) for sentence in sentences])
        return self.sub_words.sentences(self.members.translate(numbers, [0])[0])


@final
@dataclass(frozen=True, kw_only=True)
class TranslationTask:
    """Train on the train split in batches of about `batch_tokens` sub-words a side, be judged on dev, and tested on test.

    `hypers` are the values of those that are not searched; test is cut into `test_parts`. Without `judged` it is a rehearsal. A
    unit is one update of a member. A member's numbers do not depend on the others, to the last digit.
    """

    material: Material
    shape: Shape
    batch_tokens: int
    label_smoothing: float
    test_parts: int
    hypers: Mapping[str, float] = field(default_factory=dict)
    judged: bool = True

    subject = "the translator"
    patience_s = PATIENCE_S
    quantum = 1
    free_evaluation = True

    def interval(self, job: IntervalJob, advance: Advance = unheeded) -> list[Result]:
        """All members of the group side by side; a member's place in the group changes none of its digits."""
        torch.set_num_threads(THREADS)
        advance(0, None)
        proposals = job.proposals
        members = Translators(self.shape, weight_seeds(job), self.label_smoothing)
        load_parents(members, job, WHAT)
        clock = Clock()
        metrics = self._train(members, job, advance)
        healthy, judging = members.healthy(), Clock()
        scores = self._judge(members, np.flatnonzero(healthy).tolist(), advance)
        spent = clock.cost(eval_cpu_s=judging.cpu_s).share(len(proposals))
        for index, proposal in enumerate(proposals):
            if proposal.trains and healthy[index]:
                job.checkpoints.save(proposal.id, members.state(index))
        results = []
        for index, (proposal, age) in enumerate(zip(proposals, job.lineage_units, strict=True)):
            score = scores.get(index)
            told = {name: float(values[index]) for name, values in metrics.items() if np.isfinite(values[index])}
            results.append(
                Result(
                    proposal=proposal.id,
                    fitness=score.bleu if score else None,
                    failure=None if healthy[index] else DIVERGED,
                    returns=score.parts if score else (),
                    cost=replace(spent, train_units=proposal.units, updates=proposal.units),
                    metrics={**told, **({"eval/length_ratio": score.length} if score else {})},
                    lineage_units=age + proposal.units,
                )
            )
        return results

    def _train(self, members: Translators, job: IntervalJob, advance: Advance) -> dict[str, Floats]:
        """Metrics as means over the updates of an interval, each [P]; empty if nothing is trained."""
        whose, generation = [proposal.member for proposal in job.proposals], job.proposals[0].generation
        rates = torch.tensor(values_of(job, self.hypers, RATE), dtype=torch.float64)
        dropped = {kind: values_of(job, self.hypers, f"{kind}_dropout") for kind in KINDS}
        drop = Dropout(dropped, job.root_seed, whose, generation)
        order = Order(self.material.train, self._buckets, job.root_seed, whose, generation)
        rows = []
        for batch in order.batches(job.proposals[0].units):
            rows.append(torch.stack(members.learn(batch, rates, drop)))
            advance(len(whose), None)
        return dict(zip(("train/loss", "train/grad_norm"), torch.stack(rows).mean(0).numpy(), strict=True)) if rows else {}

    def _judge(self, members: Translators, healthy: Sequence[int], advance: Advance) -> dict[int, Score]:
        """BLEU on dev of each healthy member."""
        if not healthy or not self.judged:
            return {}
        translations = members.translate(self._dev_sources, healthy, partial(advance, 0, None))
        return {index: self._dev_bleu(self._sub_words.sentences(one)) for index, one in zip(healthy, translations, strict=True)}

    def test(self, job: FinalTestJob, advance: Advance = unheeded) -> FinalTest:
        """The values of some parts of test, for which all of it has to be translated."""
        torch.set_num_threads(THREADS)
        advance(0, job.proposal)
        clock = Clock()
        translator = self.winner(job.proposal, job.checkpoints)
        numbers = self._sub_words.numbers([pair.source for pair in self.material.corpus.test])
        found = translator.members.translate(numbers, [0], partial(advance, 0, job.proposal))[0]
        returns = self._test_values(self._sub_words.sentences(found), job.episodes)
        return FinalTest(proposal=job.proposal, returns=returns, cost=clock.test_cost())

    def baseline(self, root_seed: int, episodes: int, advance: Advance = unheeded) -> FinalTest:
        """What a look into the train split finds without learning: a lower score would be worth less than what was trained on."""
        corpus = self.material.corpus
        found = looked_up(corpus.train, [pair.source for pair in corpus.test])
        return FinalTest(proposal=None, returns=self._test_values(found, range(episodes)), cost=Cost())

    def rehearsal(self) -> TranslationTask:
        return replace(self, judged=False)

    def winner(self, proposal: int, checkpoints: Checkpoints) -> Translator:
        """The translator that a proposal left. Raises UserError for a checkpoint of something else."""
        members = Translators(self.shape, [0])
        load_member(members, 0, proposal, checkpoints.load(proposal), WHAT)
        return Translator(members=members, sub_words=self._sub_words)

    def _test_values(self, translations: Sequence[str], episodes: Sequence[int]) -> tuple[float, ...]:
        """The values of the parts with these numbers."""
        score = Bleu(_references(self.material.corpus.test), self.test_parts)(translations)
        return tuple(score.parts[episode % self.test_parts] for episode in episodes)

    @cached_property
    def _sub_words(self) -> SubWords:
        return SubWords(self.material.model)

    @cached_property
    def _buckets(self) -> list[Bucket]:
        return buckets_of(self.material.train, self.batch_tokens)

    @cached_property
    def _dev_sources(self) -> list[list[int]]:
        return self._sub_words.numbers([pair.source for pair in self.material.corpus.dev])

    @cached_property
    def _dev_bleu(self) -> Bleu:
        return Bleu(_references(self.material.corpus.dev), DEV_PARTS)

    def __getstate__(self) -> dict[str, object]:
        """The fields alone: what was derived from them is derived again elsewhere."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def _references(pairs: Sequence[Pair]) -> list[str]:
    return [pair.target for pair in pairs]
