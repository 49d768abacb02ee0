"""Diagnostics of made-up searches whose reliability, movement and founders are known."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rl_pbt
from rl_pbt import report
from rl_pbt.config import RunConfig
from rl_pbt.options import fields_of
from rl_pbt.records import Cost, FinalTest, Proposal, Result, Trial
from rl_pbt.report.diagnostics import Diagnostics, Movement, diagnostics_of, reach_of, reliability_of, typical_reliability
from rl_pbt.report.evidence import read_evidence
from rl_pbt.report.selection import too_short_to_explore
from rl_pbt.report.summarising import summary_of
from rl_pbt.search import METHODS, Plan, Problem
from rl_pbt.space import Space
from rl_pbt.store.events import Chosen, Ended, Event, FinalTested, Finished, Proposed
from rl_pbt.store.history import History
from rl_pbt.store.manifest import Manifest, Session
from rl_pbt.store.run import RunFolder
from rl_pbt.tasks.rl.by_environment import BY_ENVIRONMENT
from rl_pbt.tasks.rl.defaults import DEFAULTS, defaults_of
from rl_pbt.tasks.rl.learners import Defaults

SPACE = Space.parse({"lr": "log:1e-4:1", "units": "int:0:10"})


def returns_of(
    rng: np.random.Generator, *, members: int, episodes: int, skill_sd: float, noise_sd: float, seed_sd: float = 0.0
) -> list[list[float]]:
    """Of members judged on seeds that they share, some of which are easier."""
    skill, easy = rng.normal(0, skill_sd, (members, 1)), rng.normal(0, seed_sd, episodes)
    scores: list[list[float]] = (skill + easy + rng.normal(0, noise_sd, (members, episodes))).tolist()
    return scores


def typical(share: list[float | None]) -> float:
    return float(np.median([value for value in share if value is not None]))


@pytest.mark.parametrize("seed_sd", [0.0, 20.0])
@pytest.mark.parametrize(("episodes", "skill_sd", "noise_sd"), [(8, 1.0, 1.0), (8, 1.0, 4.0), (2, 1.0, 1.0), (4, 3.0, 6.0)])
def test_reliability_is_the_share_of_variance_that_is_skill(
    episodes: int, skill_sd: float, noise_sd: float, seed_sd: float
) -> None:
    rng = np.random.default_rng(0)
    sizes = {"members": 16, "episodes": episodes, "skill_sd": skill_sd, "noise_sd": noise_sd, "seed_sd": seed_sd}
    found = typical([reliability_of(returns_of(rng, **sizes)) for _ in range(400)])
    assert found == pytest.approx(skill_sd**2 / (skill_sd**2 + noise_sd**2 / episodes), abs=0.05)


def test_reliability_of_members_that_were_judged_on_different_numbers_of_episodes() -> None:
    rng = np.random.default_rng(0)
    numbers = [4, 6, 8, 10] * 4
    found = typical([reliability_of([rng.normal(rng.normal(), 2.0, n).tolist() for n in numbers]) for _ in range(400)])
    assert found == pytest.approx(1 / (1 + np.mean([4.0 / n for n in numbers])), abs=0.05)


def test_identical_members_have_next_to_none_as_the_module_says() -> None:
    rng = np.random.default_rng(0)
    sizes = {"members": 8, "episodes": 8, "skill_sd": 0.0, "noise_sd": 1.0}
    found = np.array([reliability_of(returns_of(rng, **sizes)) for _ in range(4000)], float)
    assert found.mean() == pytest.approx(0.14, abs=0.02)
    assert np.median(found.reshape(-1, 5), axis=1).mean() == pytest.approx(0.07, abs=0.015)


def test_where_there_is_no_telling_there_is_no_reliability() -> None:
    assert reliability_of([[1.0, 2.0]] * 3) is None, "three members"
    assert reliability_of([[500.0, 500.0]] * 8) is None, "all alike, without any noise"
    assert reliability_of([[1.0, 3.0], [3.0, 1.0]] * 4) == 0.0, "all alike, but for noise"
    assert reliability_of([[float(m), float(m)] for m in range(4)]) == 1.0


@given(
    st.lists(st.lists(st.integers(-9, 9).map(float), min_size=3, max_size=3), min_size=4, max_size=9),
    st.sampled_from([1e-290, 0.25, 4.0, 1e290]),
)
def test_reliability_has_no_units(returns: list[list[float]], factor: float) -> None:
    """Nor does it break on scores whose squares are no numbers."""
    one, other = reliability_of(returns), reliability_of([[factor * value for value in of_one] for of_one in returns])
    assert one == other if one is None else other == pytest.approx(one, abs=1e-6)


def trial(id: int, member: int, generation: int, parent: int | None, lr: float, *, returns: tuple[float, ...] = ()) -> Trial:
    fitness = sum(returns) / len(returns) if returns else 0.0
    return Trial(
        proposal=Proposal(id=id, member=member, generation=generation, hypers={"lr": lr, "units": 5}, parent=parent, units=10),
        result=Result(proposal=id, fitness=fitness, returns=returns, lineage_units=10 * (generation + 1)),
    )


def test_movement_is_along_the_winners_line_and_founders_are_counted_by_generation() -> None:
    """Member 1 copies member 0 twice; its rate goes from 1e-3 to 1 and back to 1e-2."""
    trials = (
        trial(0, 0, 0, None, 1e-3),
        trial(1, 1, 0, None, 1e-1),
        trial(2, 2, 0, None, 1e-4),
        trial(3, 0, 1, 0, 1e-3),
        trial(4, 1, 1, 0, 1.0),
        trial(5, 2, 1, 2, 1e-4),
        trial(6, 0, 2, 3, 1e-3),
        trial(7, 1, 2, 4, 1e-2),
        trial(8, 2, 2, 3, 1e-4),
    )
    found = diagnostics_of(History(trials=trials, chosen=7, ended=True), SPACE)
    assert found.founders == (3, 2, 1) and (found.founders_at_half, found.founders_at_end) == (3, 1)
    assert found.reliability == (None, None, None), "there are no returns"
    assert found.movement == {
        "lr": Movement(net=pytest.approx(1 / 4), span=pytest.approx(3 / 4)),
        "units": Movement(net=0.0, span=0.0),
    }
    assert diagnostics_of(History(), SPACE) == Diagnostics(reliability=(), founders=(), movement={})
    assert (Diagnostics(reliability=(), founders=(), movement={}).founders_at_half) is None


def test_generations_without_returns_or_without_a_judgement_are_left_out() -> None:
    judged = tuple(trial(m, m, 0, None, 1e-3, returns=(float(m), m + 1.0)) for m in range(4))
    trained = tuple(trial(4 + m, m, 1, m, 1e-3) for m in range(4))
    found = diagnostics_of(History(trials=judged + trained), SPACE)
    assert found.reliability == (1.0, None)
    assert typical_reliability([found], second_half=False) == 1.0 and typical_reliability([found], second_half=True) is None


def config_of(search: dict[str, Any], *methods: str, intervals: int = 5, **options: Any) -> RunConfig:
    return RunConfig(
        methods=methods or ("pbt",),
        seeds=(0,),
        population=8,
        budget=1000 * intervals,
        interval=1000,
        group_size=8,
        search=search,
        hypers={},
        test_episodes=4,
        task="own",
        task_options={"target": "module:Class", "unit": "step", "score": "score", "evaluations": 2, "quantum": 1},
        method_options=options,
    )


def test_reach_is_that_of_all_perturbations_together() -> None:
    search = {"lr": "log:1e-4:1e-2", "discount": "horizon:0.9:0.999", "eps": "choice:1:2:3:4:5:6:7:8:9", "units": "int:1:101"}
    step = math.log(1.2) / math.log(100)
    found = reach_of("pbt", config_of(search))
    assert found is not None and found["eps"] == pytest.approx(4 / 8) and set(found) == set(search)
    assert (found["lr"], found["discount"]) == (pytest.approx(4 * step), pytest.approx(4 * step))
    assert found["units"] == pytest.approx((101 - 48) / 100), "101 84 70 58 48, rounded each time"
    late = reach_of("pbt", config_of({"lr": "log:1e-4:1e-2"}, burn_in=2500))
    assert late == {"lr": pytest.approx(2 * step)}, "only after the burn-in"
    assert reach_of("pbt", config_of({"lr": "log:1e-4:1e-2"}, intervals=500)) == {"lr": pytest.approx(1.0)}
    endless = reach_of("pbt", config_of({"lr": "log:1e-4:1e-2"}, intervals=10**12, factors=[1.0 + 1e-12]))
    assert endless == {"lr": pytest.approx(0.0, abs=1e-8)}, "and it is known soon, whatever a manifest says"
    for method, options in (("pbt", {"resample_probability": 0.25}), ("exploit-only", {}), ("random", {}), ("pb2", {})):
        assert reach_of(method, config_of(search, method, **options)) is None, "moves them in other ways, or not at all"


@pytest.mark.parametrize("seed", range(3))
def test_no_method_moves_a_hyperparameter_beyond_its_reach(seed: int, tmp_path: Path) -> None:
    perturbing = [name for name, entry in METHODS.items() if "factors" in fields_of(entry.options)]
    run = rl_pbt.tune(
        "quadratic", {"h0": "log:1e-6:1", "h1": "log:1e-6:1"}, methods=perturbing, population=16, budget=120, interval=10,
        seeds=[seed], out=tmp_path / "run", workers=1, quiet=True,
    )  # fmt: skip
    summary = summary_of(read_evidence(RunFolder(run.folder)))
    known = {name: summary.methods[name].reach for name in perturbing}
    assert {name for name, reach in known.items() if reach is None} == {"hypers-only", "mf-pbt"}
    for name, reach in known.items():
        for hyper, movement in summary.methods[name].seeds[seed].diagnostics.movement.items():
            assert reach is None or movement.span <= reach[hyper] * (1 + 1e-9), (name, hyper)


def searches() -> list[tuple[str, Defaults, dict[str, str]]]:
    """Every family's and every environment's own defaults, with the ranges of each agent."""
    of_families = [(family, one) for family, one in DEFAULTS.items()]
    of_environments = [(env_id, defaults_of("gymnasium", env_id)) for env_id in BY_ENVIRONMENT]
    return [
        (f"{name} {agent}", one, {**one.search, **learner.search})
        for name, one in of_families + of_environments
        for agent, learner in one.learners.items()
    ]


@pytest.mark.parametrize(("name", "defaults", "search"), searches(), ids=[name for name, _, _ in searches()])
def test_defaults_under_which_exploration_cannot_go_far_are_said_to(
    name: str, defaults: Defaults, search: dict[str, str]
) -> None:
    config = config_of(search, intervals=defaults.frames // defaults.interval)
    [*said] = too_short_to_explore(config)
    moved = (config.budget // config.interval - 1) * math.log(1.2)
    for hyper, text in search.items():
        scale, low, high = text.split(":")
        ends = (1 - float(high), 1 - float(low)) if scale == "horizon" else (float(low), float(high))
        if scale in ("log", "horizon"):
            assert any(f"{hyper} " in sentence for sentence in said) == (moved < 0.25 * math.log(ends[1] / ends[0])), hyper


def test_what_pacman_and_cartpole_say_of_their_defaults() -> None:
    atari, control = DEFAULTS["atari"], DEFAULTS["classic_control"]
    assert [*too_short_to_explore(config_of(dict(control.search), intervals=control.frames // control.interval))] == []
    [said] = too_short_to_explore(config_of(dict(atari.search), "pbt", "random", "pbt-async", intervals=5))
    assert "of pbt and pbt-async together" in said and "learning_rate 19%" in said


def write_run(
    folder: Path, *, noise: float, skill: float, methods: tuple[str, ...] = ("pbt", "random"), population: int = 8
) -> RunFolder:
    """Two seeds of members whose fitness is their learning rate's decade times `skill`, and noise."""
    run = RunFolder(folder)
    config = replace(config_of({"lr": "log:1e-5:1e-2"}, *methods, intervals=10), seeds=(0, 1), population=population)
    run.write_manifest(
        Manifest(command="rl-pbt tune", config=config, status="finished", sessions=(Session(commit="abc"),), baseline=(0.0, 1.0))
    )
    for method in methods:
        for seed in config.seeds:
            run.ledger(method, seed).append(events_of(method, seed, config, noise, skill))
    return run


def events_of(method: str, seed: int, config: RunConfig, noise: float, skill: float) -> list[Event]:
    plan = Plan(population=config.population, budget_per_member=config.budget, interval=config.interval, free_evaluation=True)
    entry, rng = METHODS[method], np.random.default_rng(seed)
    searcher = entry.make(Problem(space=config.space, plan=plan, root_seed=seed), entry.options())
    events: list[Event] = []
    while proposals := searcher.ask():
        events += [Proposed(proposal=p) for p in proposals]
        for p in proposals:
            returns = rng.normal(skill * math.log10(float(p.hypers["lr"])), noise, 4).tolist()
            result = Result(
                proposal=p.id, fitness=sum(returns) / 4, returns=tuple(returns), cost=Cost(train_units=p.units), digest=None
            )
            searcher.tell(result)
            events.append(Finished(result=result, time=1e9))
    winner = searcher.winner()
    assert winner is not None
    test = FinalTest(proposal=winner, returns=(1.0, 2.0, 3.0, 4.0), cost=Cost())
    return [*events, Chosen(proposal=winner), FinalTested(test=test), Ended()]


def said_of(run: RunFolder) -> list[str]:
    return [caveat for caveat in report.summarise(run).caveats if "noise" in caveat]


def test_selection_among_members_that_are_all_alike_is_said_to_be_noise(tmp_path: Path) -> None:
    [said] = said_of(write_run(tmp_path / "alike", noise=1.0, skill=0.0))
    assert said.startswith("Selection was mostly noise in the second half of the generations (") and "pbt 0." in said
    assert "random" not in said, "it selects once"
    assert "more evaluations would tell" in said and "episode" not in said, "the task's own words"
    assert said_of(write_run(tmp_path / "different", noise=0.01, skill=1.0)) == []
    assert said_of(write_run(tmp_path / "random", noise=1.0, skill=0.0, methods=("random",))) == []


def test_the_table_has_a_row_for_each_method_and_both_pages_show_it(tmp_path: Path) -> None:
    run = write_run(tmp_path, noise=1.0, skill=0.0)
    summary = report.write_report(run)
    pages = [(tmp_path / name).read_text(encoding="utf-8") for name in ("summary.md", "report.html")]
    table = report.tables.diagnostics(summary)
    by_method = {row[0]: dict(zip(table.header, row, strict=True)) for row in table.rows}
    assert list(by_method) == ["pbt", "random"] and by_method["random"]["founders left halfway"] == "8"
    assert by_method["random"]["lr moved"] == "0 %, 0 %" and by_method["pbt"]["lr moved"].endswith(" of 24 %")
    assert float(by_method["pbt"]["second half"]) < 0.5 and by_method["pbt"]["evaluation, share of steps"] == "0 %"
    assert "## Diagnostics" in pages[0] and "<h2>Diagnostics</h2>" in pages[1]
    assert all("reliability of fitness, first half" in page and "lr moved" in page for page in pages)
    seed = summary.methods["pbt"].seeds[0]
    assert seed.diagnostics == diagnostics_of(read_evidence(run).histories["pbt"][0], Space.parse({"lr": "log:1e-5:1e-2"}))
    assert summary.methods["pbt"].reach == {"lr": pytest.approx(9 * math.log(1.2) / math.log(1000))}


def test_one_founder_left_by_half_of_the_generations_is_told(tmp_path: Path) -> None:
    run = write_run(tmp_path, noise=0.01, skill=1.0, population=4)
    [said] = [caveat for caveat in report.summarise(run).caveats if "initial member" in caveat]
    assert said == "By half of the generations all members descended from one initial member: pbt on 2 of 2 seeds."
