"""Search methods by name. A new method is a new file and an entry here; its options are a dataclass in its own file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, final

from rl_pbt.search import pbt
from rl_pbt.search.annealed import Annealed, AnnealedOptions
from rl_pbt.search.asha import ASHA
from rl_pbt.search.asynchronous import AsynchronousOptions, AsynchronousPBT
from rl_pbt.search.base import Method
from rl_pbt.search.bayesian import Bayesian
from rl_pbt.search.budget import Plan
from rl_pbt.search.evolution_options import CopyingOptions, ExploringOptions, QuarterOptions, TruncationOptions
from rl_pbt.search.gpbt_pl import GPBTPL
from rl_pbt.search.grid import Grid, GridOptions
from rl_pbt.search.hyperband import Hyperband
from rl_pbt.search.mf_pbt import MFPBT
from rl_pbt.search.pb2 import PB2
from rl_pbt.search.problem import NoOptions, Problem
from rl_pbt.search.random_search import HandTuned, RandomSearch, published_of
from rl_pbt.search.replay import Replay, ReplayOptions
from rl_pbt.search.warm_up import WarmedUp, WarmUpOptions

__all__ = ["METHODS", "Entry", "Method", "NoOptions", "Plan", "Problem"]

JADERBERG = "Jaderberg 2017"
PBT, ABLATION, RELATIVE = "population based training", "pbt without one of its parts", "rivals of pbt that copy too"
WITHOUT = "search without copying"
Options = TypeVar("Options")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Generic[Options]):
    """How to make a method, the dataclass of its options, its line in lists of methods, and its source.

    `kind` is the heading above that line. An option name means the same in every method that has it.

    * `sequential`: the method has only one proposal underway at a time.
    * `replays`: it needs a finished run, and is chosen by `replay:RUN`.
    * `compared`: it takes part in benchmarks of methods.
    * `extends`: it can continue with a larger budget after its end; the others have made choices for the whole budget.
    * `jumps`: a member can take another's hyperparameters and keep its own weights, so along a line of descent hyperparameters
      change by more than perturbations.
    * `made_by_hand`: its hyperparameter schedule was designed, not found; figures draw it for comparison with found ones.
    """

    make: Callable[[Problem, Options], Method]
    options: type[Options]
    description: str
    reference: str
    kind: str = "other methods"
    sequential: bool = False
    replays: bool = False
    compared: bool = True
    extends: bool = False
    jumps: bool = False
    made_by_hand: bool = False


def _replay(name: str, description: str) -> Entry[ReplayOptions]:
    return Entry(
        make=lambda problem, options: Replay(problem, name, options),
        options=ReplayOptions,
        replays=True,
        description=description,
        reference=f"{JADERBERG}, sec. 5",
        kind="replays of a finished run",
        compared=False,
    )


METHODS: dict[str, Entry[Any]] = {
    "pbt": Entry(
        make=pbt.truncation,
        options=TruncationOptions,
        description="Population Based Training: truncation selection, then perturb",
        reference=f"{JADERBERG}, sec. 4.1.1",
        kind=PBT,
        extends=True,
    ),
    "pbt-ttest": Entry(
        make=pbt.t_test,
        options=ExploringOptions,
        description="each member copies a random other if its returns are higher by Welch's t-test",
        reference=f"{JADERBERG}, sec. 4.1.1",
        kind=PBT,
        extends=True,
    ),
    "pbt-tournament": Entry(
        make=pbt.tournament,
        options=ExploringOptions,
        description="each member copies a random other if it is better",
        reference=f"{JADERBERG}, sec. 4.3.1",
        kind=PBT,
        extends=True,
    ),
    "pbt-impala": Entry(
        make=pbt.impala,
        options=pbt.ImpalaOptions,
        description="each member copies a random other if it is better by 5 % of the population's range of fitness; all perturb "
        "each hyperparameter one time in three",
        reference="Espeholt 2018, App. F",
        kind=PBT,
        extends=True,
    ),
    "pbt-async": Entry(
        make=AsynchronousPBT,
        options=AsynchronousOptions,
        description="pbt without a barrier: a member decides when it is ready",
        reference=f"{JADERBERG}, Algorithm 1",
        kind=PBT,
        extends=True,
    ),
    "weights-only": Entry(
        make=pbt.weights_only,
        options=CopyingOptions,
        description="losers copy weights and keep their own hyperparameters",
        reference=f"{JADERBERG}, sec. 5",
        kind=ABLATION,
        extends=True,
    ),
    "hypers-only": Entry(
        make=pbt.hypers_only,
        options=TruncationOptions,
        description="losers copy hyperparameters, perturb them, and keep their own weights",
        reference=f"{JADERBERG}, sec. 5",
        kind=ABLATION,
        extends=True,
        jumps=True,
    ),
    "explore-only": Entry(
        make=pbt.explore_only,
        options=ExploringOptions,
        description="every member perturbs its hyperparameters, and none copies",
        reference=f"{JADERBERG}, Fig. 2",
        kind=ABLATION,
        extends=True,
    ),
    "exploit-only": Entry(
        make=pbt.exploit_only,
        options=CopyingOptions,
        description="losers copy weights and hyperparameters unchanged",
        reference=f"{JADERBERG}, Fig. 2",
        kind=ABLATION,
        extends=True,
    ),
    "pb2": Entry(
        make=PB2,
        options=QuarterOptions,
        description="pbt in which a Gaussian process chooses the losers' new hyperparameters; needs the extra 'search'",
        reference="Parker-Holder 2020",
        kind=RELATIVE,
        extends=True,
    ),
    "mf-pbt": Entry(
        make=MFPBT,
        options=ExploringOptions,
        description="sub-populations that evolve at different frequencies and exchange their best; needs 8 members or more",
        reference="Doulazmi 2025",
        kind=RELATIVE,
        jumps=True,
    ),
    "gpbt-pl": Entry(
        make=GPBTPL,
        options=QuarterOptions,
        description="losers take a winner's weights, and their own hyperparameters move towards its, with momentum",
        reference="Bai & Cheng 2024",
        kind=RELATIVE,
        extends=True,
    ),
    "random": Entry(
        make=lambda problem, _: RandomSearch(problem),
        options=NoOptions,
        description="random search: hyperparameters drawn once, the best member taken",
        reference="Bergstra & Bengio 2012",
        kind=WITHOUT,
        extends=True,
    ),
    "grid": Entry(
        make=Grid,
        options=GridOptions,
        description="grid search: every combination of a few points of each range, one per member; 'rl-pbt table' reads it",
        reference="what Bergstra & Bengio 2012 compare random search with",
        kind=WITHOUT,
        compared=False,  # with a population this small, nobody would search three ranges on a grid
        extends=True,
    ),
    "hand-tuned": Entry(
        make=lambda problem, _: HandTuned(problem),
        options=NoOptions,
        description="the default hyperparameters, published or tuned, on as many seeds as the population has members",
        reference="each task names the sources of its defaults",
        kind=WITHOUT,
        extends=True,
    ),
    "random-annealed": Entry(
        make=Annealed,
        options=AnnealedOptions,
        description="random search whose learning rate falls to 0: what a decay alone is worth",
        reference="Espeholt 2018, Table G.1",
        kind=WITHOUT,
        made_by_hand=True,
    ),
    "default-annealed": Entry(
        make=lambda problem, options: Annealed(problem, options, published_of(problem, "default-annealed")),
        options=AnnealedOptions,
        description="the default hyperparameters with a learning rate that falls to 0",
        reference="Espeholt 2018, Table G.1",
        kind=WITHOUT,
        made_by_hand=True,
    ),
    "default-warmup": Entry(
        make=lambda problem, options: WarmedUp(problem, options, published_of(problem, "default-warmup")),
        options=WarmUpOptions,
        description="the default hyperparameters with the Transformer's learning rate schedule, which rises and then falls",
        reference="Vaswani 2017, sec. 5.3",
        kind=WITHOUT,
        compared=False,  # a schedule used in one field only: Transformers
        made_by_hand=True,
    ),
    "bayes": Entry(
        make=lambda problem, _: Bayesian(problem, "gp"),
        options=NoOptions,
        sequential=True,
        description="full training runs one after another, each proposed by a Gaussian process",
        reference="Optuna's GPSampler; Akiba 2019, arXiv 1907.10902",
        kind=WITHOUT,
    ),
    "tpe": Entry(
        make=lambda problem, _: Bayesian(problem, "tpe"),
        options=NoOptions,
        sequential=True,
        description="full training runs one after another, each proposed by tree-structured Parzen estimators",
        reference="Bergstra 2011; Optuna's TPESampler",
        kind=WITHOUT,
    ),
    "asha": Entry(
        make=lambda problem, _: ASHA(problem),
        options=NoOptions,
        description="successive halving without a barrier: the best third of a rung trains three times as long",
        reference="Li 2020, arXiv 1810.05934",
        kind=WITHOUT,
    ),
    "hyperband": Entry(
        make=lambda problem, _: Hyperband(problem),
        options=NoOptions,
        description="brackets of successive halving, from many short trainings to few full ones",
        reference="Li 2017, arXiv 1603.06560",
        kind=WITHOUT,
    ),
    "replay-schedule": _replay("replay-schedule", "replay:RUN, fresh weights along the schedule that RUN's first method found"),
    "replay-final": _replay("replay-final", "replay:RUN, fresh weights with that winner's last hyperparameters, held constant"),
    "replay-random": _replay("replay-random", "replay:RUN, fresh weights with the hyperparameters that won RUN's random search"),
}
