"""The five recipes of CONTRIBUTING.md: each is one file and one line, shown by a dummy of its kind."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import cast

import pytest

import rl_pbt
from rl_pbt.agents import AGENTS, AgentEntry
from rl_pbt.agents.hypers import HYPERS
from rl_pbt.agents.settings import ActorCriticConfig
from rl_pbt.envs import FAMILIES
from rl_pbt.envs.families import Family
from rl_pbt.executors import EXECUTORS
from rl_pbt.executors import Entry as ExecutorEntry
from rl_pbt.making import configure
from rl_pbt.search import METHODS, Entry
from rl_pbt.tasks.registry import TASKS

ROOT = Path(__file__).resolve().parent.parent

METHOD = '''
"""Everyone copies the best, every time; or, with `shy`, nobody does."""
from dataclasses import dataclass
from typing import final
from rl_pbt.options import option
from rl_pbt.search.base import Generational, Start

@final
@dataclass(frozen=True, slots=True, kw_only=True)
class GreedyOptions:
    shyness: float = option(0.0, help="chance of not copying")

@final
class Greedy(Generational):
    def __init__(self, problem, options):
        super().__init__(problem)
        self.options = options

    def generate(self, members, units):
        best = max(self.fitness, key=self.fitness.get)
        shy = {m: self.rng("shy", member=m, generation=self.generation).random() < self.options.shyness for m in members}
        donors = {member: self.last[member if shy[member] else best] for member in members}
        starts = {m: Start(parent=d.id, hypers=d.hypers) for m, d in donors.items()}
        return [self.propose(member, start, units=units) for member, start in starts.items()]
'''
AGENT = '''
"""A2C whose critic learns nothing but one-step targets."""
from typing import final
from rl_pbt.agents.actor_critic import Targets, Transitions
from rl_pbt.agents.policy_gradient import PolicyGradient

@final
class OneStep(PolicyGradient):
    @staticmethod
    def targets(transitions: Transitions) -> Targets:
        values = transitions.rewards + transitions.discounts * transitions.values[1:]
        return Targets(values=values, advantages=(values - transitions.values[:-1]) * transitions.valid)
'''
ENVIRONMENTS = '''
"""A package that registers an environment when it is imported."""
import gymnasium
import numpy as np

class Corridor(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0, 1, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.cell = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.cell = max(0, self.cell + (1 if action else -1))
        return np.array([min(1, self.cell / 10)], np.float32), -0.1, self.cell >= 10, False, {}

gymnasium.register("Dummy/Corridor-v0", "dummy_environments:Corridor", max_episode_steps=50)
'''
TASK = '''
"""Counting: a member's score is how far it has counted."""
from dataclasses import dataclass
from typing import final
import numpy as np
from rl_pbt.options import option
from rl_pbt.records import Cost, FinalTest, Result
from rl_pbt.tasks.base import TaskType, unheeded
from rl_pbt.tasks.words import Words
from rl_pbt.tasks.completing import completed

@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CountingOptions:
    start: int = option(0, help="where to begin")

@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Counting:
    start: int
    subject = "the count"
    patience_s = 600.0
    quantum = 1
    free_evaluation = True

    def interval(self, job, advance=unheeded):
        results = []
        for proposal, age in zip(job.proposals, job.lineage_units, strict=True):
            parent = proposal.parent
            count = self.start if parent is None else float(job.checkpoints.load(parent)["count"])
            count += proposal.units * proposal.hypers["step"]
            job.checkpoints.save(proposal.id, {"count": np.array(count)})
            cost = Cost(train_units=proposal.units)
            result = Result(proposal=proposal.id, fitness=count, returns=(count,), cost=cost, lineage_units=age + proposal.units)
            results.append(result)
        return results

    def test(self, job, advance=unheeded):
        return FinalTest(proposal=job.proposal, returns=(float(job.checkpoints.load(job.proposal)["count"]),), cost=Cost())

    def baseline(self, root_seed, episodes, advance=unheeded):
        return None

    def rehearsal(self):
        return self

    def winner(self, proposal, checkpoints):
        return float(checkpoints.load(proposal)["count"])

class CountingType(TaskType):
    options = CountingOptions
    def complete(self, given, recorded):
        return completed(given, recorded, {"search": {"step": "log:0.1:10"}, "budget": 20})
    def words(self, options):
        return Words(unit="number", short_unit="number", score="count", episode="look")
    def title(self, options):
        return "counting"
    def folder(self, options):
        return "counting"
    def evaluation(self, options):
        return "the count"
    def not_exported(self, options):
        return "a count is no policy"
    def cautions(self, options, trials, tests):
        return ["Numbers were counted in order."]
    def make(self, config, machine):
        return Counting(start=config.task_options["start"])
    def describe(self, config, task):
        return [("task", "counting")]

TYPE = CountingType()
'''
EXECUTOR = '''
"""Runs each job as soon as it is submitted."""
from rl_pbt.tasks.base import unheeded

class Done:
    done = True
    def __init__(self, returned):
        self.returned = returned
    def result(self):
        return self.returned

class Eager:
    units_underway = made = 0
    def __init__(self, task, workers, options):
        self.task = task
        Eager.made += 1
    def submit(self, job):
        return Done(job.run(self.task, unheeded))
    def listen(self):
        pass
    def close(self):
        self.task = None
'''


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """A new file, imported: what a contributor's would be."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def added(name: str, source: str) -> ModuleType:
        (tmp_path / f"{name}.py").write_text(source)
        sys.modules.pop(name, None)
        return importlib.import_module(name)

    return added


def test_a_method_is_one_file_and_one_line(add, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    module = add("dummy_method", METHOD)
    entry = Entry(make=module.Greedy, options=module.GreedyOptions, description="greedy", reference="nobody 2026")
    monkeypatch.setitem(METHODS, "greedy", entry)
    run = rl_pbt.tune(
        "quadratic", {}, methods=["greedy", "random"], shyness=0.5, workers=1, out=tmp_path / "run", quiet=True, population=4
    )
    assert run.config.method_options == {"shyness": 0.5}
    assert {row["method"] for row in run.rows()} == {"greedy", "random"} and "greedy" in run.verdict
    with pytest.raises(rl_pbt.UserError, match="shyness is an option of greedy"):
        configure({"task": "quadratic", "shyness": 0.5})


def test_an_agent_is_one_file_and_one_line(add, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    add("dummy_agent", AGENT)
    monkeypatch.setitem(AGENTS, "one-step", AgentEntry(place="dummy_agent:OneStep", config=ActorCriticConfig, hypers=HYPERS))
    small = {"population": 2, "frames": 800, "interval": 400, "agent_options": {"envs_per_member": 4}, "test_episodes": 2}
    run = rl_pbt.bench("CartPole-v1", agent="one-step", eval_episodes=2, workers=1, out=tmp_path / "run", quiet=True, **small)
    assert run.winner().act([0.0, 0.0, 0.0, 0.0]) in (0, 1)


def test_a_family_of_environments_is_one_file_and_one_line(add, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    add("dummy_environments", ENVIRONMENTS)
    dummy = Family(entry="dummy_environments", typed=("dummy",), imports="dummy_environments")
    small = {"population": 2, "frames": 800, "interval": 400, "agent_options": {"envs_per_member": 4}, "test_episodes": 2}
    families = cast("dict[str, Family]", FAMILIES)
    before = dict(families)
    try:  # it comes first, since the last of them takes any environment; their order counts afterwards, too
        families.clear()
        families.update({"dummy": dummy, **before})
        run = rl_pbt.bench("Dummy/Corridor-v0", eval_episodes=2, workers=1, out=tmp_path / "run", quiet=True, **small)
    finally:
        families.clear()
        families.update(before)
    assert run.config.task_options["env"] == "Dummy/Corridor-v0"


def test_a_task_is_one_file_and_one_line(add, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    add("dummy_task", TASK)
    monkeypatch.setitem(TASKS, "counting", "dummy_task")
    run = rl_pbt.tune("counting", {}, start=7, workers=1, out=tmp_path / "run", quiet=True, population=4)
    assert run.winner("pbt", 0) > 7
    page = (run.folder / "summary.md").read_text()
    assert "counting" in page and "number" in page and "frame" not in page and "counted in order." in page


def test_an_executor_is_one_file_and_one_line(  # type: ignore[no-untyped-def]
    add, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = add("dummy_executor", EXECUTOR)
    monkeypatch.setitem(EXECUTORS, "eager", ExecutorEntry(module.Eager))
    inline, eager = (
        rl_pbt.tune("quadratic", {}, executor=executor, workers=1, out=tmp_path / executor, quiet=True, population=4)
        for executor in ("inline", "eager")
    )
    ours, theirs = ([{**row, "method_s": 0.0} for row in run.rows()] for run in (inline, eager))
    assert module.Eager.made == 1 and ours == theirs
    with pytest.raises(rl_pbt.UserError, match="did you mean 'eager'"):
        rl_pbt.tune("quadratic", {}, executor="eagre", out=tmp_path / "none")


def test_the_page_has_the_five_recipes() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert re.findall(r"^## Add an? (.*)$", page, flags=re.MULTILINE) == [
        "search method", "agent", "environment", "task", "executor",
    ]  # fmt: skip
    paths = re.findall(r"`((?:rl_pbt|agents|envs|tests|docs)/[\w/]+\.(?:py|md))`", page)
    assert [path for path in paths if not (ROOT / path).exists()] == []
