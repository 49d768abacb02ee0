"""Search methods by name. A new method is a new file and a line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rl_pbt.search.base import Method
from rl_pbt.search.bayesian import Bayesian
from rl_pbt.search.budget import Plan
from rl_pbt.search.exploit import BinaryTournament, Exploit, RandomRival, Truncation, TTest
from rl_pbt.search.explore import Perturb
from rl_pbt.search.gpbt_pl import GPBTPL
from rl_pbt.search.halving import ASHA, Hyperband
from rl_pbt.search.mf_pbt import MFPBT
from rl_pbt.search.pb2 import PB2
from rl_pbt.search.pbt import PBT, AsynchronousPBT, Evolution
from rl_pbt.search.random_search import HandTuned, RandomSearch
from rl_pbt.search.replay import Replay
from rl_pbt.search.setup import Setup, Stage

__all__ = ["METHODS", "Entry", "Method", "Plan", "Setup", "Stage"]


JADERBERG = "Jaderberg 2017"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """How to make a method, what `--methods help` says of it, where it is from, and whether it does one thing after another."""

    make: Callable[[Setup], Method]
    description: str
    reference: str
    sequential: bool = False  # one proposal at a time


def _pbt(exploit: Exploit) -> Callable[[Setup], Method]:
    return lambda setup: PBT(setup, Evolution(exploit=exploit, explore=setup.explore))


def _replay(name: str, description: str) -> Entry:
    return Entry(make=lambda setup: Replay(setup, name), description=description, reference=f"{JADERBERG}, sec. 5")


def _truncation(setup: Setup) -> Truncation:
    return Truncation(fraction=setup.fraction)


METHODS: dict[str, Entry] = {
    "pbt": Entry(
        make=lambda setup: PBT(setup, Evolution(exploit=_truncation(setup), explore=setup.explore)),
        description="Population Based Training: truncation selection, then perturb",
        reference=f"{JADERBERG}, sec. 4.1.1",
    ),
    "pbt-ttest": Entry(
        make=_pbt(TTest()),
        description="each member copies a random other whose returns are higher by Welch's t-test",
        reference=f"{JADERBERG}, sec. 4.1.1",
    ),
    "pbt-tournament": Entry(
        make=_pbt(BinaryTournament()),
        description="each member copies a random other that is better",
        reference=f"{JADERBERG}, sec. 4.3.1",
    ),
    "pbt-impala": Entry(
        make=lambda setup: PBT(
            setup,
            Evolution(exploit=RandomRival(), explore=Perturb(factors=setup.factors, probability=1 / 3), everyone=True),
        ),
        description="a random other that is 5 % better is copied; everyone's hypers are perturbed, each one time in three",
        reference="Espeholt 2018, App. F",
    ),
    "pbt-async": Entry(
        make=lambda setup: AsynchronousPBT(setup, Evolution(exploit=_truncation(setup), explore=setup.explore)),
        description="pbt without a barrier: a member decides when it is ready",
        reference=f"{JADERBERG}, Algorithm 1",
    ),
    "weights-only": Entry(
        make=lambda setup: PBT(setup, Evolution(exploit=_truncation(setup), explore=None, hypers=False)),
        description="losers copy weights and keep their own hypers",
        reference=f"{JADERBERG}, sec. 5",
    ),
    "hypers-only": Entry(
        make=lambda setup: PBT(setup, Evolution(exploit=_truncation(setup), explore=setup.explore, weights=False)),
        description="losers copy hypers, perturb them, and keep their own weights",
        reference=f"{JADERBERG}, sec. 5",
    ),
    "explore-only": Entry(
        make=lambda setup: PBT(setup, Evolution(exploit=None, explore=setup.explore, everyone=True)),
        description="everyone's hypers are perturbed, nobody copies",
        reference=f"{JADERBERG}, Fig. 2",
    ),
    "exploit-only": Entry(
        make=lambda setup: PBT(setup, Evolution(exploit=_truncation(setup), explore=None)),
        description="losers copy weights and hypers as they are",
        reference=f"{JADERBERG}, Fig. 2",
    ),
    "pb2": Entry(
        make=PB2,
        description="pbt whose losers get the hypers that a Gaussian process expects most of, needs the extra 'search'",
        reference="Parker-Holder 2020",
    ),
    "mf-pbt": Entry(
        make=MFPBT,
        description="sub-populations that evolve at different frequencies and exchange their best, needs 8 members or more",
        reference="Doulazmi 2025",
    ),
    "gpbt-pl": Entry(
        make=GPBTPL,
        description="losers take a winner's weights, and their own hypers move towards its, with momentum",
        reference="Bai & Cheng 2024",
    ),
    "random": Entry(
        make=RandomSearch,
        description="random search: hypers drawn once, the best member taken",
        reference="Bergstra & Bengio 2012",
    ),
    "hand-tuned": Entry(
        make=HandTuned,
        description="the default hypers, published or tuned, on as many seeds as the population has members",
        reference="rl_pbt/defaults.py names the source of each",
    ),
    "bayes": Entry(
        make=lambda setup: Bayesian(setup, "gp"),
        sequential=True,
        description="whole trainings one after another, each proposed by a Gaussian process",
        reference="Optuna's GPSampler; Akiba 2019, arXiv 1907.10902",
    ),
    "tpe": Entry(
        make=lambda setup: Bayesian(setup, "tpe"),
        sequential=True,
        description="whole trainings one after another, each proposed by tree-structured Parzen estimators",
        reference="Bergstra 2011; Optuna's TPESampler",
    ),
    "asha": Entry(
        make=ASHA,
        description="successive halving without a barrier: the best third of a rung trains three times as long",
        reference="Li 2020, arXiv 1810.05934",
    ),
    "hyperband": Entry(
        make=Hyperband,
        description="brackets of successive halving, from many short trainings to few whole ones",
        reference="Li 2017, arXiv 1603.06560",
    ),
    "replay-schedule": _replay("replay-schedule", "replay:RUN, fresh weights along the schedule that RUN's first method found"),
    "replay-final": _replay("replay-final", "replay:RUN, fresh weights with that winner's last hypers held"),
    "replay-random": _replay("replay-random", "replay:RUN, fresh weights with the hypers of RUN's random search's winner"),
}
