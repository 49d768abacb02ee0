"""What a training must offer to be planned, run, evaluated and reported: the whole contract of a task.

A *task* is one training that can be a member of a population: an agent on an environment, a toy problem, a class or a program of
the user's. A `TaskType` says what is known of it before it exists: its options, its defaults, its words. A `Task` does the work,
as a pure function of a job. What a task counts is its *unit* (an environment frame, an update, a sentence). Everything above this
package speaks of units and takes their name from `Words`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, TypeVar

from rl_pbt.arrays import Array, State
from rl_pbt.config import RunConfig
from rl_pbt.options import Group, Settings, about, fields_of
from rl_pbt.records import JSON, Cost, FinalTest, Proposal, Result, Trial
from rl_pbt.tasks.checkpoints import Checkpoints, Sealed
from rl_pbt.tasks.words import Words

PATIENCE_S = 600.0  # for tasks that report progress often, such as at each step of an environment
DIVERGED = "diverged: a loss or a weight is not finite"  # the failure of a member of networks
T_co = TypeVar("T_co", covariant=True)


class Advance(Protocol):
    """How a task reports while it works: that it is alive, how far it has come, and for which proposal."""

    def __call__(self, units: int, proposal: int | None = None, /) -> None:
        """Say that `units` more were trained; 0 only says that the task is alive, as at each step of an evaluation.

        `proposal` is the one whose training or environment is called next, so that it can be named and given up if that call
        hangs or ends the process; None for work of the whole group.
        """
        ...


def unheeded(units: int, proposal: int | None = None, /) -> None:
    """An `Advance` to which nobody listens."""


class Job(Protocol[T_co]):
    """Work for an executor, which knows nothing else about it."""

    @property
    def checkpoints(self) -> Checkpoints | None:
        """Where it loads and saves checkpoints; None if it does neither."""
        ...

    @property
    def loads(self) -> frozenset[int]:
        """The proposals whose checkpoints it loads."""
        ...

    def stored_in(self, checkpoints: Checkpoints) -> Job[T_co]:
        """The same job, which loads from these checkpoints and saves to them."""
        ...

    def run(self, task: Task, advance: Advance = unheeded) -> T_co:
        """Do it here and now."""
        ...

    def whose(self, proposal: int | None) -> str:
        """Whom it works for, in words for a person: the member of one of this job's proposals or, for None, all of them."""
        ...

    def giving_up(self, proposal: int | None, reason: str) -> Job[T_co]:
        """The same job without a proposal that twice hung or ended its worker; for None, without any of its proposals.

        The new job neither trains nor evaluates that proposal, and reports the `reason` as its failure. The task never sees it.
        """
        ...


class Task(Protocol):
    """The work itself: a pure function of its job, apart from the checkpoints it reads and writes. It can be pickled."""

    @property
    def subject(self) -> str:
        """What it runs, in words: "environment CartPole-v1", "class MyTraining"."""
        ...

    @property
    def patience_s(self) -> float | None:
        """Seconds without a sign of life after which it counts as hung; None if one call of the user's may take any time."""
        ...

    @property
    def quantum(self) -> int:
        """The fewest units that a member can train for; it trains for whole multiples."""
        ...

    @property
    def free_evaluation(self) -> bool:
        """Whether another evaluation of a member costs no units of the budget."""
        ...

    def interval(self, job: IntervalJob, advance: Advance = unheeded) -> list[Result]:
        """Results in the order of the proposals; each one's checkpoint is durable when this returns (none for a failure)."""
        ...

    def test(self, job: FinalTestJob, advance: Advance = unheeded) -> FinalTest:
        """Scores of a finished proposal on test seeds or data, on which nothing was selected."""
        ...

    def baseline(self, root_seed: int, episodes: int, advance: Advance = unheeded) -> FinalTest | None:
        """The floor that any training must beat, on the test seeds of `root_seed`; None where a task has none."""
        ...

    def rehearsal(self) -> Task:
        """The same training, evaluated as cheaply as possible: what a dry run times."""
        ...

    def winner(self, proposal: int, checkpoints: Checkpoints) -> Any:
        """What a proposal left, loaded for a person to use."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where a task will run: what may change its speed but never its results.

    `workers` processes run side by side on `cores` cores.
    """

    workers: int = 1
    cores: int = 1


class TaskType(Protocol):
    """What is known of a task before it exists. Each one is the `TYPE` of a module that has a line in `registry.TASKS`.

    A class that inherits from it defines only what its task has: the rest says that there is none.
    """

    help_group: Group = Group.OWN  # of its options, except those that name another
    started_by: Literal["bench", "tune"] = "tune"  # the command, and the function of the Python API, that begins such runs
    workers_import: str | None = None  # a module that takes workers long to load, so that they begin with it early

    @property
    def options(self) -> type:
        """A frozen dataclass of the task's own options; its fields are made with `options.option`."""
        ...

    @property
    def aliases(self) -> Mapping[str, str]:
        """Other names of settings that are usual in this task's field, each with the setting's name: `frames` for `budget`."""
        return {}

    @property
    def hyper_aliases(self) -> Mapping[str, str]:
        """Other names of hyperparameters."""
        return {}

    def foreseen(self, given: Settings) -> Settings | None:
        """What `complete` returns for a new run if that is known without torch, or else None. Raises UserError as early."""
        return None

    def complete(self, given: Settings, recorded: Settings | None) -> Settings:
        """All settings of a run, flat: every field of `RunConfig` and of `options` that this task has a value for. For a new run
        also options of methods, by name, where this task wants other defaults than the methods' own.

        What the user has `given`, by field name, overrides the `recorded` settings of a run that is resumed or, for a new run,
        the defaults. In the result names are exact, and `search` and `hypers` are complete. Raises UserError for settings that
        are not valid.
        """
        ...

    def words(self, options: Settings) -> Words:
        """Its nouns. Reads only the plain options of a run: no code of the user's is loaded for a report."""
        ...

    def code(self, options: Settings) -> Mapping[str, tuple[str, ...]]:
        """The settings that name code of the user's, each with the words that name it: modules as "module:Name", or a program.

        A run folder may come from somebody else, so such code runs only if the same command names it too. Loads none of it.
        """
        return {}

    def title(self, options: Settings) -> str:
        """What is trained, for headings: "a2c on CartPole-v1"."""
        ...

    def scored_on(self, options: Settings) -> str:
        """What members are scored on, whoever they are: only scores on the same can be compared."""
        return self.title(options)

    def scoring(self, options: Settings) -> Mapping[str, JSON]:
        """What decides what a score means, by name: scores can be compared if all of it that two runs have is the same."""
        return {name: options[name] for name, one in fields_of(self.options).items() if about(one).of_scores}

    def folder(self, options: Settings) -> str:
        """The folder for its runs if none is named: "CartPole-v1"."""
        ...

    def evaluation(self, options: Settings) -> str:
        """How fitness is computed, worded to follow "Fitness is": "the mean return of 8 evaluation episodes, ..."."""
        ...

    def cautions(self, options: Settings, trials: Sequence[Trial], tests: Sequence[FinalTest]) -> Sequence[str]:
        """What readers of a report must know about how members were trained and evaluated, one sentence each.

        `trials` are those of all methods and seeds so far, and `tests` those of their winners.
        """
        return ()

    def planned_for_all(self, options: Settings) -> str | None:
        """What in the training depends on the whole budget, so that it cannot be extended; None if nothing does."""
        return None

    def anneals(self, options: Settings) -> Sequence[str]:
        """The hyperparameters that a training itself lowers over the budget, from the value that the search gives it."""
        return ()

    def not_exported(self, options: Settings) -> str | None:
        """Why no winner can be exported as a file, and what to do instead; None if it can, by `winner.exported(ending, told)`."""
        ...

    def pictures(self, exhibit: State) -> Array | None:
        """The pictures that a report shows of what a proposal exhibited (`Checkpoints.exhibit`), uint8 [N, H, W].

        None if there is nothing to show, or if the arrays are not this task's: the folder may be anybody's.
        """
        return None

    def make(self, config: RunConfig, machine: Machine) -> Task:
        """The task of a configuration. Raises UserError."""
        ...

    def describe(self, config: RunConfig, task: Task) -> list[tuple[str, str]]:
        """(label, text) lines of the dry run: what is trained, and how it is evaluated."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalJob:
    """A group of proposals trained together. `lineage_units` is the age of each proposal's parent, 0 without a parent.

    `digests` holds those of the parents' checkpoints, by proposal, as far as they are known. `restoring` is given where a job is
    done again because checkpoints were lost, and holds their digests, by proposal: only these checkpoints are saved, and each
    only if it has the same digest again. `given_up` names proposals that must not be touched, each with the reason for its
    failure; the task gets a job without them.
    """

    proposals: tuple[Proposal, ...]
    lineage_units: tuple[int, ...]
    root_seed: int
    checkpoints: Checkpoints
    given_up: Mapping[int, str] = field(default_factory=dict)
    digests: Mapping[int, str | None] = field(default_factory=dict)
    restoring: Mapping[int, str | None] | None = None

    @property
    def loads(self) -> frozenset[int]:
        return frozenset(proposal.parent for proposal in self.proposals if proposal.parent is not None)

    def stored_in(self, checkpoints: Checkpoints) -> IntervalJob:
        return replace(self, checkpoints=checkpoints)

    def run(self, task: Task, advance: Advance = unheeded) -> list[Result]:
        sealed = Sealed(self.checkpoints, self.digests, self.restoring)
        asked = self.only(proposal.id for proposal in self.proposals if proposal.id not in self.given_up)
        results = task.interval(replace(asked, checkpoints=sealed, given_up={}), advance) if asked.proposals else []
        found = {result.proposal: replace(result, digest=sealed.digests.get(result.proposal)) for result in results}
        found |= {
            proposal.id: Result(proposal=proposal.id, fitness=None, failure=self.given_up[proposal.id], lineage_units=age)
            for proposal, age in zip(self.proposals, self.lineage_units, strict=True)
            if proposal.id in self.given_up
        }
        return [found[proposal.id] for proposal in self.proposals]

    def only(self, proposals: Iterable[int]) -> IntervalJob:
        """The same job with only these of its proposals, in the order they have here."""
        wanted = {*proposals}
        kept = [place for place, proposal in enumerate(self.proposals) if proposal.id in wanted]
        return replace(
            self,
            proposals=tuple(self.proposals[place] for place in kept),
            lineage_units=tuple(self.lineage_units[place] for place in kept),
        )

    def whose(self, proposal: int | None) -> str:
        members = ", ".join(str(one.member) for one in self.proposals if proposal in (one.id, None))
        several = proposal is None and len(self.proposals) > 1
        return f"{'members' if several else 'member'} {members} in generation {self.proposals[0].generation + 1}"

    def giving_up(self, proposal: int | None, reason: str) -> IntervalJob:
        lost = [one.id for one in self.proposals] if proposal is None else [proposal]
        return replace(self, given_up={**dict.fromkeys(lost, reason), **self.given_up})


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalTestJob:
    """Test the checkpoint of a finished proposal on some of the test episodes, which are numbered from 0."""

    proposal: int
    episodes: Sequence[int]
    root_seed: int
    checkpoints: Checkpoints
    given_up: str | None = None  # the reason, where these episodes must not be touched
    digest: str | None = None  # of the checkpoint, where it is known

    @property
    def loads(self) -> frozenset[int]:
        return frozenset((self.proposal,))

    def stored_in(self, checkpoints: Checkpoints) -> FinalTestJob:
        return replace(self, checkpoints=checkpoints)

    def run(self, task: Task, advance: Advance = unheeded) -> FinalTest:
        if self.given_up is not None:
            return FinalTest(proposal=self.proposal, returns=(), cost=Cost(), excluded=len(self.episodes), failure=self.given_up)
        return task.test(replace(self, checkpoints=Sealed(self.checkpoints, {self.proposal: self.digest})), advance)

    def whose(self, proposal: int | None) -> str:
        return f"the test of the winner (proposal {self.proposal})"

    def giving_up(self, proposal: int | None, reason: str) -> FinalTestJob:
        return replace(self, given_up=reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineJob:
    """Measure the baseline on the first `episodes` test episodes of a root seed."""

    root_seed: int
    episodes: int
    given_up: str | None = None

    @property
    def checkpoints(self) -> None:
        return None

    @property
    def loads(self) -> frozenset[int]:
        return frozenset()

    def stored_in(self, checkpoints: Checkpoints) -> BaselineJob:
        return self

    def run(self, task: Task, advance: Advance = unheeded) -> FinalTest | None:
        if self.given_up is not None:
            return FinalTest(proposal=None, returns=(), cost=Cost(), excluded=self.episodes, failure=self.given_up)
        return task.baseline(self.root_seed, self.episodes, advance)

    def whose(self, proposal: int | None) -> str:
        return "the baseline"

    def giving_up(self, proposal: int | None, reason: str) -> BaselineJob:
        return replace(self, given_up=reason)
