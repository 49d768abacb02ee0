"""All that a report is made from: the manifest and the ledgers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, final

from rl_pbt.config import RunConfig
from rl_pbt.errors import UserError, plain_text
from rl_pbt.recorded import history_of, manifest_of
from rl_pbt.records import Cost
from rl_pbt.report.tree_layout import Layouts
from rl_pbt.store.history import History
from rl_pbt.store.manifest import Manifest
from rl_pbt.store.run import RunFolder, RunStatus
from rl_pbt.tasks.registry import task_type, words_of
from rl_pbt.tasks.words import LONGEST_WORD, Words

Histories: TypeAlias = Mapping[int, History]  # of one method, by seed
BUDGET_TOLERANCE = 0.005  # share by which the units that two methods spent may differ


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A run according to its files: its manifest, and the content of every ledger, by method and seed.

    `status` is that of `RunFolder.status`, so it can be "killed", which a manifest cannot say. `of_a_suite` says whether the run
    is a cell of one. `layouts` gives the positions of the nodes in a history's family tree.
    """

    status: RunStatus
    manifest: Manifest
    histories: Mapping[str, Histories]
    of_a_suite: bool = False
    layouts: Layouts = field(default_factory=Layouts, compare=False, repr=False)

    @property
    def config(self) -> RunConfig:
        """The configuration of the run."""
        return self.manifest.config

    @property
    def baseline(self) -> Sequence[float]:
        """Scores of the task's baseline; empty if it was not measured, or the task has none."""
        return self.manifest.baseline or ()

    @property
    def words(self) -> Words:
        """The task's nouns."""
        return words_of(self.config)

    @property
    def title(self) -> str:
        """What was trained."""
        return plain_text(task_type(self.config.task).title(self.config.task_options), LONGEST_WORD)

    @property
    def evaluation(self) -> str:
        """How fitness was measured, as a phrase that follows "Fitness is"."""
        return plain_text(task_type(self.config.task).evaluation(self.config.task_options))

    @property
    def cautions(self) -> Sequence[str]:
        """Sentences on what a reader must know about how members were trained and evaluated."""
        histories = [history for by_seed in self.histories.values() for history in by_seed.values()]
        trials = [trial for history in histories for trial in (*history.trials, *history.reevaluations)]
        tests = [history.test for history in histories if history.test is not None]
        found = task_type(self.config.task).cautions(self.config.task_options, trials, tests)
        return [plain_text(sentence) for sentence in found]


def read_evidence(run: RunFolder) -> Evidence:
    """Read a run's files.

    Raises UserError where there is no run, it is damaged, or it has finished and not all of its ledgers were kept.
    """
    manifest = manifest_of(run)
    config = manifest.config
    histories = {method: {seed: history_of(run, config, method, seed) for seed in config.seeds} for method in config.methods}
    if manifest.status == "finished":
        _check_whole(run, histories)
    return Evidence(status=run.status, manifest=manifest, histories=histories, of_a_suite=run.is_cell)


def _check_whole(run: RunFolder, histories: Mapping[str, Histories]) -> None:
    """Raises UserError unless each ledger is there up to its end: less would be reported as a run that never got further."""
    for method, by_seed in histories.items():
        for seed, history in by_seed.items():
            if not history.ended:
                ledger = run.ledger(method, seed)
                lost = "does not reach its end" if ledger.exists else "was not kept"
                raise UserError(
                    f"{run.folder} has finished, but {ledger.path.relative_to(run.folder)} {lost}: without it the results "
                    "cannot be made again. If summary.json is there, it still has them"
                )


def total_cost(by_seed: Histories) -> Cost:
    """The cost of all seeds together."""
    return sum((history.cost for history in by_seed.values()), Cost())


def returns_of(by_seed: Histories) -> list[tuple[float, ...]]:
    """Test scores of each seed's winner, for the seeds that were tested."""
    return [history.test.returns for history in by_seed.values() if history.test is not None and history.test.returns]


def budgets_differ(one: float, other: float) -> bool:
    """Whether two budgets differ by more than cannot be avoided."""
    return differ(one, other, BUDGET_TOLERANCE)


def differ(one: float, other: float, tolerance: float) -> bool:
    """Whether two numbers above 0 differ by more than a `tolerance`, a share of the larger one."""
    return abs(one - other) > tolerance * max(one, other)
