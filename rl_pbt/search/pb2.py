"""PB2: Population-Based Bandits (Parker-Holder, Nguyen & Roberts 2020, arXiv 2002.02518).

PBT in which a model chooses the hyperparameters of each member that copies. From every interval of every member, the model learns
how fast the return rose, given the time, the return before, and the hyperparameters. It then picks the hyperparameters with the
highest upper confidence bound for a member in the state of the copied one. Configurations that other members are about to train
with, including those chosen in the same generation, lower the uncertainty beforehand, so that losers do not all try the same.

A choice of a few values is not modelled: it is resampled with probability 1/2, otherwise inherited (PB2-Rand, Parker-Holder 2021,
arXiv 2106.15883). Whole numbers are rounded.

The acquisition is mean + sqrt(beta) * standard deviation, with beta = 0.2 + max(0, ln(0.4 n)) for n rows. The authors' code
differs in both. It uses the variance in place of the standard deviation; the variance has other units than the mean, so that
sqrt(beta) would mean something else for every scale of the targets. And its beta is a product, 0.2 ln(0.4 n), negative for two
rows in Ray and clipped at 0 in their later code (procgen_autorl). The sum is what other ports use (MF-PBT's, for one), and
explores more: at 80 rows sqrt(beta) is 1.91 and not 0.83. Which of the two the paper means was not checked, and the effect of
the difference was not measured. Other deviations:

* A row has the time and the return at the beginning of its interval, since that is what is known of the member to choose for. An
  interval is measured against the checkpoint that it started from, so a copy's jump in return is not counted; the first interval
  gives no row.
* The model sees the newest 100 rows, as in the port by IPBT's authors (Chebykin 2025, arXiv 2511.09190), and is fitted in a
  quarter of the time that 200 would take; the authors' code searches for the best window from 190 rows on. Mean and uncertainty
  share one kernel, fitted once per generation, while the code fits another one to pseudo-targets.
* The losing quarter is the paper's, and replaces a truncation fraction.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, final

import numpy as np

from rl_pbt.arrays import Floats
from rl_pbt.errors import UserError
from rl_pbt.records import Hypers, Proposal, Result
from rl_pbt.search.base import Generational, Start
from rl_pbt.search.evolution_options import QuarterOptions
from rl_pbt.search.problem import Problem
from rl_pbt.space import Choice

if TYPE_CHECKING:
    from rl_pbt.search.gp import Process

WINDOW_ROWS = 100  # rows
LEAST_ROWS = 2  # a single target has no deviation to standardise by
RESAMPLE_PROBABILITY = 0.5  # of the choices
HYPER_DECIMALS = 3  # of a chosen value on its unit scale: last bits, which differ between machines, must not change a run


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One interval of a member: its generation, the return at its start, the hyperparameters, and how fast the return rose.

    `rate` is in return per unit of training; `hypers` are between 0 and 1, on the scale of their dimensions.
    """

    generation: int
    before: float
    hypers: tuple[float, ...]
    rate: float = 0.0

    @property
    def row(self) -> tuple[float, ...]:
        """The model's input for it."""
        return self.generation, self.before, *self.hypers


def exploration(rows: int) -> float:
    """sqrt(beta) for a model of that many rows."""
    return math.sqrt(0.2 + max(0.0, math.log(0.4 * rows)))


@final
class Model:
    """The Gaussian process of one generation. Its choices depend on the intervals that are about to train."""

    def __init__(self, observations: Sequence[Observation]) -> None:
        rows = np.array([observation.row for observation in observations])
        # Hyperparameters are on a unit scale already; time and return are scaled to it here.
        self._low = np.zeros(rows.shape[1])
        self._width = np.ones(rows.shape[1])
        self._low[:2] = rows[:, :2].min(axis=0)
        self._width[:2] = np.ptp(rows[:, :2], axis=0)
        self._width[self._width == 0] = 1.0
        self._kappa = exploration(len(rows))
        rates = np.array([observation.rate for observation in observations])
        self._process: Process = gaussian_processes().Process((rows - self._low) / self._width, rates)

    def choose(self, generation: int, before: float, pending: Sequence[Observation], rng: np.random.Generator) -> Floats:
        """Hyperparameters on the unit scale, for a member whose return is `before` at the beginning of `generation`."""
        free = len(self._low) - 2
        running = np.array([observation.row for observation in pending]).reshape(-1, len(self._low))
        bound = self._process.upper_bound((running - self._low) / self._width, self._kappa)
        context = (np.array([generation, before]) - self._low[:2]) / self._width[:2]
        return np.round(bound.argmax(context, free, rng), HYPER_DECIMALS)


@final
class PB2(Generational):
    """In a generation, members that continue are proposed before those that copy, so the model knows of them when it chooses."""

    def __init__(self, problem: Problem, options: QuarterOptions) -> None:
        gaussian_processes()
        super().__init__(problem)
        self.evolution = options.evolution()
        self.observations: deque[Observation] = deque(maxlen=WINDOW_ROWS)
        self._modelled = [name for name, dimension in self.space.dimensions.items() if not isinstance(dimension, Choice)]
        self._standing: dict[int, float] = {}  # by id: the fitness of the checkpoints that a generation starts from

    def tell(self, result: Result) -> None:
        proposal = self.underway.get(result.proposal)
        super().tell(result)
        if proposal is None or not proposal.trains or result.fitness is None or proposal.parent not in self._standing:
            return
        begun = self._pending(proposal)
        self.observations.append(replace(begun, rate=(result.fitness - begun.before) / proposal.units))

    def generate(self, members: Sequence[int], units: int) -> list[Proposal]:
        self._standing = {
            self.last[member].id: result.fitness for member, result in self.results.items() if result.fitness is not None
        }
        donors = self.evolution.donors(self, members)
        continuing = [member for member in members if member not in donors]
        others = [self.propose(member, self.evolution.start(self, member, None), units=units) for member in continuing]
        with gaussian_processes().one_thread():
            model = self._model() if donors else None
            copies = [self.propose(m, self._copy(m, donors[m], model), units=units) for m in members if m in donors]
        return others + copies

    def _model(self) -> Model | None:
        return Model(self.observations) if self._modelled and len(self.observations) >= LEAST_ROWS else None

    def _copy(self, member: int, donor: Proposal, model: Model | None) -> Start:
        hypers = self._chosen(donor, model, self.rng("explore", member=member, generation=self.next_generation(member)))
        return Start(parent=donor.id, hypers=hypers, hypers_from=donor.id)

    def _chosen(self, donor: Proposal, model: Model | None, rng: np.random.Generator) -> Hypers:
        """Hyperparameters chosen by the model or, if there is none yet, drawn from the prior."""
        hypers = {
            name: dimension.sample(rng) if name in self._modelled or rng.random() < RESAMPLE_PROBABILITY else donor.hypers[name]
            for name, dimension in self.space.dimensions.items()
        }
        if model is not None:
            pending = [self._pending(p) for p in self.underway.values() if p.parent in self._standing]
            chosen = model.choose(donor.generation + 1, self._standing[donor.id], pending, rng)
            for name, u in zip(self._modelled, chosen, strict=True):
                hypers[name] = self.space.dimensions[name].from_unit(float(u))
        return hypers

    def _pending(self, proposal: Proposal) -> Observation:
        """What is known of an interval before it ends."""
        assert proposal.parent is not None
        hypers = tuple(self.space.dimensions[name].unit(proposal.hypers[name]) for name in self._modelled)
        return Observation(generation=proposal.generation, before=self._standing[proposal.parent], hypers=hypers)


def gaussian_processes() -> ModuleType:
    """The module `gp`, imported late: scikit-learn is optional, and takes a second to load. Raises UserError without it."""
    try:
        return import_module("rl_pbt.search.gp")
    except ImportError:
        raise UserError("pb2 needs scikit-learn, which is not installed: pip install -e '.[search]'") from None
