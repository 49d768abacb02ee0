"""Machine translation: a population of small Transformers on a corpus that comes with installed packages.

One of the fields of Jaderberg 2017, at the size of a desk: English messages of software and their translations. Modules:
`options` (what can be set), `settings` (its completion), `making` (the task of a configuration), `catalogues` (where pairs come
from), `cleaning` and `corpus` (which are kept, and their splits), `sub_words`, `material` (all of it as numbers), `batches`,
`transformer`, `dropping` and `smoothing` (the network and how it learns), `members` (a population of them), `decoding`, `bleu`
(how they are judged), `lookup` (what they must beat), `interval` (the task). Those that load torch are imported when a task is
made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, final

from rl_pbt.config import RunConfig
from rl_pbt.options import Group, Settings
from rl_pbt.records import FinalTest, Trial
from rl_pbt.tasks.base import Machine, Task, TaskType
from rl_pbt.tasks.translation.options import TranslationOptions
from rl_pbt.tasks.words import Words

if TYPE_CHECKING:
    from rl_pbt.tasks.translation.interval import TranslationTask

UPDATES = Words(
    unit="update",
    short_unit="update",
    score="BLEU",
    episode="part",
    baseline="lookup of the most similar sentence",
    held_out="sentences",
)


@final
class TranslationType(TaskType):
    """`tasks.base.TaskType` of machine translation."""

    options: type = TranslationOptions
    help_group = Group.TRANSLATION

    def complete(self, given: Settings, recorded: Settings | None) -> Settings:
        """Reads the corpus of a new run. Raises UserError."""
        from rl_pbt.tasks.translation.settings import complete

        return complete(given, recorded)

    def words(self, options: Settings) -> Words:
        return UPDATES

    def title(self, options: Settings) -> str:
        return f"Transformer on {options['pairs']['train']:,} pairs of sentences"

    def folder(self, options: Settings) -> str:
        return "translation"

    def evaluation(self, options: Settings) -> str:
        """Which sentences are scored, and how."""
        return (
            f"BLEU on the {options['pairs']['dev']:,} sentences of dev, translated greedily ({options['signature']}), and "
            "costs no updates; the parts' values are jackknife values, whose mean is the BLEU of all sentences"
        )

    def cautions(self, options: Settings, trials: Sequence[Trial], tests: Sequence[FinalTest]) -> tuple[str, ...]:
        """What dev and test are, and what an interval over seeds does not cover."""
        return (
            "Fitness is measured on the same sentences each time: evaluating a member again adds nothing, and selection may have "
            f"overfitted to them. The test uses {options['pairs']['test']:,} others, without near-duplicates of them.",
            "All seeds and all methods are tested on the same sentences: an interval over seeds says what another seed might "
            "score on these sentences, not on others.",
        )

    def not_exported(self, options: Settings) -> str:
        """There is no policy."""
        return "a translator is no policy: rl_pbt.load(RUN).winner().translate([...]) uses it"

    def make(self, config: RunConfig, machine: Machine) -> TranslationTask:
        """Raises UserError if the corpus is not the one that the run began with."""
        from rl_pbt.tasks.translation.making import make

        return make(config)

    def describe(self, config: RunConfig, task: Task) -> list[tuple[str, str]]:
        from rl_pbt.tasks.translation.making import described

        return described(config)


TYPE = TranslationType()
