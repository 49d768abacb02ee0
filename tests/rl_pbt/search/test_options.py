"""The options of the methods: one list of names, each with one meaning, checked where they are made."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, is_dataclass
from typing import Any, final

import pytest

from rl_pbt.errors import BadSetting, UserError
from rl_pbt.options import about, built, fields_of, option, plain, types_of
from rl_pbt.records import Cost, Proposal, Result
from rl_pbt.search import METHODS, Entry, Plan, Problem
from rl_pbt.search.evolution import Evolution
from rl_pbt.search.explore import Perturb
from rl_pbt.search.pbt import PBT
from rl_pbt.space import Space

SPACE = Space.parse({"lr": "log:1e-5:1e-2", "learning_rate": "log:1e-5:1e-2"})
PLAN = Plan(population=8, budget_per_member=1000, interval=100)
HEEDED = {
    "pbt": {"fraction", "copy_margin", "factors", "resample_probability", "burn_in"},
    "pbt-ttest": {"factors", "resample_probability", "burn_in"},
    "pbt-tournament": {"factors", "resample_probability", "burn_in"},
    "pbt-impala": {"factors", "burn_in"},
    "pbt-async": {"fraction", "copy_margin", "factors", "resample_probability", "burn_in", "any_age"},
    "weights-only": {"fraction", "copy_margin", "burn_in"},
    "hypers-only": {"fraction", "copy_margin", "factors", "resample_probability", "burn_in"},
    "explore-only": {"factors", "resample_probability", "burn_in"},
    "exploit-only": {"fraction", "copy_margin", "burn_in"},
    "pb2": {"burn_in"},
    "mf-pbt": {"factors", "resample_probability", "burn_in"},
    "gpbt-pl": {"burn_in"},
    "grid": {"grid_points"},
    "random-annealed": {"annealed"},
    "default-annealed": {"annealed"},
    "default-warmup": {"annealed", "warmup"},
    **{name: {"replay"} for name, entry in METHODS.items() if entry.replays},
}
OTHER_VALUES = {
    "fraction": 0.5,
    "copy_margin": 2.5,
    "factors": (3.0,),
    "resample_probability": 1.0,
    "burn_in": 450,
    "any_age": True,
    "annealed": "lr",
    "warmup": 0.5,
}
IMPOSSIBLE: dict[str, list[Any]] = {
    "fraction": [0.0, 0.6],
    "copy_margin": [-0.1],
    "factors": [(), (1.2, -1.0)],
    "resample_probability": [-0.1, 2.0],
    "burn_in": [-1],
    "warmup": [0.0, 1.1],
    "grid_points": [{"lr": 0}],
}
OF_METHODS = [(name, one) for name, names in HEEDED.items() for one in sorted(names)]


def test_each_method_lists_what_it_heeds() -> None:
    listed = {name: set(fields_of(entry.options)) for name, entry in METHODS.items()}
    assert {name: names for name, names in listed.items() if names} == HEEDED


def test_a_name_means_the_same_in_every_method() -> None:
    """The same type, default, help and reach: the command line and a manifest have one of each name."""
    meanings: dict[str, list[tuple[object, ...]]] = {}
    for entry in METHODS.values():
        assert is_dataclass(entry.options) and getattr(entry.options, "__slots__", None) is not None
        for name, one in fields_of(entry.options).items():
            default = one.default if one.default_factory is MISSING else one.default_factory
            meanings.setdefault(name, []).append((types_of(entry.options)[name], default, about(one), one.kw_only))
            assert about(one).help
    for name, said in meanings.items():
        assert all(one == said[0] for one in said), name


@pytest.mark.parametrize("name", METHODS)
def test_options_are_frozen_and_go_to_json_and_back(name: str) -> None:
    options = METHODS[name].options()
    assert built(METHODS[name].options, plain(options)) == options
    for field in fields_of(METHODS[name].options):
        with pytest.raises(AttributeError):
            setattr(options, field, 0)


@pytest.mark.parametrize(("method", "name"), [(method, name) for method, name in OF_METHODS if name in IMPOSSIBLE])
def test_a_value_that_cannot_be_is_refused_by_its_name(method: str, name: str) -> None:
    for value in IMPOSSIBLE[name]:
        with pytest.raises(BadSetting, match=f"^{name} must be ") as error:
            METHODS[method].options(**{name: value})
        assert error.value.field == name and "\n" not in str(error.value)


def proposals(entry: Entry[Any], values: Mapping[str, Any]) -> list[Proposal]:
    """Of a whole search whose members are the better the higher their number; some are told sooner than others."""
    try:
        published = dict.fromkeys(SPACE.dimensions, 1e-3)
        method = entry.make(Problem(space=SPACE, plan=PLAN, root_seed=0, published=published), entry.options(**values))
    except UserError as error:
        if "which is not installed" in str(error):
            pytest.skip(str(error))
        raise
    seen: list[Proposal] = []
    underway: list[Proposal] = []
    while asked := method.ask() or underway:
        seen += [p for p in asked if p.id >= len(seen)]
        underway += [p for p in asked if p not in underway]
        for p in underway[::3]:
            fitness, age = float(p.member + p.generation), (p.generation + 1) * PLAN.interval
            returns, cost = (fitness - 0.1, fitness + 0.1), Cost(train_units=p.units)
            method.tell(Result(proposal=p.id, fitness=fitness, returns=returns, cost=cost, lineage_units=age))
        del underway[::3]
    return seen


@pytest.mark.parametrize(("method", "name"), [(method, name) for method, name in OF_METHODS if name in OTHER_VALUES])
def test_every_option_that_is_listed_is_heeded(method: str, name: str) -> None:
    assert proposals(METHODS[method], {name: OTHER_VALUES[name]}) != proposals(METHODS[method], {})


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LeapOptions:
    """Of a method that somebody adds: all that there is to say of its option stands here."""

    leap: float = option(2.0, help="factor by which everyone's hyperparameters grow")

    def __post_init__(self) -> None:
        if self.leap <= 0:
            raise BadSetting("leap", f"must be above 0, but is {self.leap}")


def leaping(problem: Problem, options: LeapOptions) -> PBT:
    return PBT(problem, Evolution(explore=Perturb(factors=(options.leap,)), everyone=True))


def test_an_option_of_one_method_is_said_in_one_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its dataclass is enough for the entry, for a manifest, and for the setting that everyone may give."""
    entry = Entry(make=leaping, options=LeapOptions, description="everyone's hyperparameters grow", reference="this test")
    monkeypatch.setitem(METHODS, "leap", entry)
    first, second = proposals(entry, {"leap": 1.5})[:16:8]
    assert second.hypers["lr"] == pytest.approx(1.5 * float(first.hypers["lr"]))
    assert built(entry.options, {"leap": 3}) == LeapOptions(leap=3.0)
    with pytest.raises(BadSetting, match=r"^leap must be above 0, but is 0"):
        built(entry.options, {"leap": 0})
