"""A training of the user's own: a class, whose objects are the members.

    class MyTraining:
        def __init__(self, hypers, seed): ...   # hypers by name; random numbers from the seed
        def set_hypers(self, hypers): ...       # from now on; called after load, so that a new learning rate is never lost
        def train(self, budget): ...            # for so many units; None, or metrics for the learning curves
        def evaluate(self, seed): ...           # a score or several, the higher the better
        def state(self): ...                    # everything that was learned: nested arrays, numbers and strings
        def load(self, state): ...              # take over what `state` returned

Two more methods are optional: `test(seed)` judges the chosen member on data that `evaluate` never sees, and a classmethod or
staticmethod `baseline(seed)` returns the scores that any training must beat.

Every interval begins with a new object and a new seed, which depends on member and generation. What is not in `state` does not
survive. A random generator should not be in it, or clones would share their donor's. The global generators of `random`, NumPy and
torch are seeded too and restored afterwards, so a class that draws from them is as reproducible as one that does not. `state` is
called before `evaluate`, which may therefore change the object as it likes.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar, final

import numpy as np

from rl_pbt import seeds
from rl_pbt.config import RunConfig
from rl_pbt.errors import BadSetting, UserError
from rl_pbt.options import Settings, at_least_one, built, option
from rl_pbt.records import FinalTest, Hyper, Hypers, Result
from rl_pbt.tasks.answers import Failed, blamed, metrics_of, scores_of
from rl_pbt.tasks.base import Advance, FinalTestJob, IntervalJob, Machine, Task, TaskType, unheeded
from rl_pbt.tasks.checkpoints import Checkpoints
from rl_pbt.tasks.clock import Clock
from rl_pbt.tasks.finding import BASELINE, TEST, Trainable, check_class, found, in_its_module, name_of
from rl_pbt.tasks.looping import (
    Done,
    Kept,
    Turn,
    checkpoint_of,
    completed_with_search,
    evaluation_of,
    kept,
    one_by_one,
    scored,
    tested,
    words_for,
)
from rl_pbt.tasks.words import Words

T = TypeVar("T")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class OwnOptions:
    """The class, how its members are evaluated, and the words of its field. Raises BadSetting for invalid values."""

    target: str = option(help="the class of the training, as module:Class", flag=False)
    evaluations: int = option(
        1, help="evaluations of a member after an interval, on seeds shared by its generation", trains=False
    )
    unit: str = option(
        "update",
        help="what the budget counts, in the singular: update, epoch, sentence",
        metavar="WORD",
        trains=False,
        of_scores=True,
    )
    score: str = option(
        "score", help="what an evaluation returns, higher is better: accuracy, BLEU", metavar="WORD", trains=False, of_scores=True
    )
    quantum: int = option(1, help="fewest units that a member can train for; it trains for multiples of this")

    def __post_init__(self) -> None:
        at_least_one(self, "evaluations", "quantum")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTask:
    """Trains and evaluates objects of a class, one after another. It is pickled by the name of the class.

    `hypers` are the values of hyperparameters that are not searched. If a method of the class raises an error or gives a score
    that is not finite, that member alone fails. Evaluation is free: the budget counts training.
    """

    target: type[Trainable]
    hypers: Mapping[str, Hyper] = field(default_factory=dict)
    evaluations: int = 1
    quantum: int = 1

    free_evaluation = True

    @property
    def subject(self) -> str:
        """The class."""
        return f"class {self.target.__name__}"

    @property
    def patience_s(self) -> None:
        """None: one call of `train` may take as long as it likes."""
        return None

    def interval(self, job: IntervalJob, advance: Advance = unheeded) -> list[Result]:
        """One member after another; a member that fails has a reason, and no checkpoint."""
        return one_by_one(job, self._work, held=self.hypers, evaluations=self.evaluations, quantum=self.quantum, advance=advance)

    def test(self, job: FinalTestJob, advance: Advance = unheeded) -> FinalTest:
        """Scores of `test`, or of `evaluate` if the class has no `test`; excluded if that fails."""
        return replace(tested(job, self._work, advance), held_out=callable(getattr(self.target, TEST, None)))

    def baseline(self, root_seed: int, episodes: int, advance: Advance = unheeded) -> FinalTest | None:
        """The scores of the class's own `baseline`, if it has one; excluded if that fails."""
        give = getattr(self.target, BASELINE, None)
        if not callable(give):
            return None

        def all_scores() -> tuple[float, ...]:
            returns: list[float] = []
            for seed in seeds.test_seeds(root_seed, range(episodes)):
                advance(0, None)
                returns += _keyed(seed, partial(_scores, give, BASELINE, seed))
            return tuple(returns)

        return scored(None, episodes, all_scores)

    def rehearsal(self) -> OwnTask:
        """The same with one evaluation of each member."""
        return replace(self, evaluations=1)

    def winner(self, proposal: int, checkpoints: Checkpoints) -> Trainable:
        """An object of the class as that proposal left it. Raises UserError if it cannot be made or loaded."""
        left = kept(checkpoints, proposal)
        try:
            return self._member(left.hypers, left.seed, left)
        except Failed as failed:
            raise UserError(f"proposal {proposal} cannot be loaded: {failed}") from failed

    def _work(self, turn: Turn) -> Done:
        return _keyed(turn.seed, partial(self._turn, turn))

    def _turn(self, turn: Turn) -> Done:
        member = self._member(turn.hypers, turn.seed, turn.parent)
        metrics, checkpoint = {}, None
        if turn.units:
            with blamed("train"):
                metrics = metrics_of(member.train(turn.units), "train")
            with blamed("state"):
                checkpoint = checkpoint_of(turn, member.state())
        # Asked of the class: an object may well keep its test data as `self.test`.
        method = TEST if turn.purpose == "test" and callable(getattr(self.target, TEST, None)) else "evaluate"
        clock, scores = Clock(), list[float]()
        for seed in turn.evaluation_seeds:
            _seed_generators(seed)
            scores += _scores(getattr(member, method), method, seed)
        return Done(scores=tuple(scores), updates=turn.units, checkpoint=checkpoint, metrics=metrics, eval_cpu_s=clock.cpu_s)

    def _member(self, hypers: Hypers, seed: int, parent: Kept | None) -> Trainable:
        """A new object, or what the parent left, with these hyperparameters. Raises Failed."""
        with blamed("__init__"):
            member = self.target(dict(hypers), seed)
        if parent is not None:
            with blamed("load"):
                member.load(parent.state)
            with blamed("set_hypers"):
                member.set_hypers(dict(hypers))
        return member


def _scores(method: Callable[[int], object], name: str, seed: int) -> tuple[float, ...]:
    with blamed(name):
        return scores_of(method(seed), name)


def _keyed(seed: int, work: Callable[[], T]) -> T:
    """What `work` returns with the global generators seeded; they are restored afterwards.

    If `work` was the first to import torch, torch's generator was not seeded at that time. Then all of it is done once more,
    since the outcome must not depend on what this process did before.
    """
    torch_was_here = "torch" in sys.modules
    with _generators_restored():
        _seed_generators(seed)
        outcome = work()
        if "torch" in sys.modules and not torch_was_here:
            _seed_generators(seed)
            outcome = work()
    return outcome


def _seed_generators(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(seed)


@contextmanager
def _generators_restored() -> Iterator[None]:
    of_python, of_numpy, torch = random.getstate(), np.random.get_state(), sys.modules.get("torch")
    of_torch = torch.get_rng_state() if torch else None
    try:
        yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)
        if torch:
            torch.set_rng_state(of_torch)


@final
class OwnType(TaskType):
    """`tasks.base.TaskType` of a training of the user's own."""

    options = OwnOptions

    def complete(self, given: Settings, recorded: Settings | None) -> Settings:
        """`target` may be given as the class itself."""
        target = given.get("target", (recorded or {}).get("target"))
        if isinstance(target, type):
            target = name_of(target)
        if not isinstance(target, str) or not all(target.partition(":")):
            raise BadSetting("task", f"must name a class of yours, as module:Class, but is {target!r}")
        return completed_with_search({**given, "target": target}, recorded)

    def words(self, options: Settings) -> Words:
        """The nouns that the user chose."""
        return words_for(options, baseline="baseline")

    def code(self, options: Settings) -> Mapping[str, tuple[str, ...]]:
        """The class."""
        return {"task": (options["target"],)}

    def title(self, options: Settings) -> str:
        """The class."""
        return str(options["target"]).rpartition(":")[2]

    def folder(self, options: Settings) -> str:
        """The class."""
        return in_its_module(options["target"]).rpartition(".")[2]

    def evaluation(self, options: Settings) -> str:
        """How many evaluations, and what they cost."""
        return evaluation_of(options)

    def not_exported(self, options: Settings) -> str:
        """There is no policy."""
        return "a training of your own is saved by its own code: rl_pbt.load(RUN, task=...).winner() is the object"

    def make(self, config: RunConfig, machine: Machine) -> OwnTask:
        """Imports the user's module. Raises UserError."""
        return make(config, machine)

    def describe(self, config: RunConfig, task: Task) -> list[tuple[str, str]]:
        """What is trained, and how it is evaluated."""
        options = config.task_options
        return [("task", f"{options['target']}, a training of your own"), ("evaluated on", evaluation_of(options))]


def make(config: RunConfig, machine: Machine, target: type[Trainable] | None = None) -> OwnTask:
    """The task of a configuration; with `target`, the class itself, nothing is imported.

    Raises UserError for a class that cannot be found, lacks a method, or cannot be imported by several workers.
    """
    options = built(OwnOptions, config.task_options)
    cls = found(options.target) if target is None else target
    check_class(cls, machine.workers)
    return OwnTask(target=cls, hypers=dict(config.hypers), evaluations=options.evaluations, quantum=options.quantum)


TYPE = OwnType()
