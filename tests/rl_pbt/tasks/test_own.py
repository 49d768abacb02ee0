"""A training of the user's own, driven through the jobs that executors run, with checkpoints on disk."""

import pickle
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any, ClassVar

import numpy as np
import pytest

import rl_pbt
from rl_pbt.config import RunConfig
from rl_pbt.errors import BadSetting, UserError
from rl_pbt.options import built
from rl_pbt.records import FinalTest, Hypers, Proposal, Result
from rl_pbt.store.checkpoints import FolderCheckpoints
from rl_pbt.tasks import own
from rl_pbt.tasks.base import FinalTestJob, IntervalJob, Machine, Task
from rl_pbt.tasks.own import TYPE, OwnOptions, OwnTask


class Regression:
    """Linear regression by momentum descent, whose step size and momentum are searched: a user's class, in 40 lines."""

    truth = np.array([1.0, -2.0, 0.5])

    def __init__(self, hypers: Hypers, seed: int) -> None:
        self.generator = np.random.default_rng(seed)
        self.weights = self.generator.normal(size=3)
        self.speed = np.zeros(3)
        self.updates = 0
        self.set_hypers(hypers)

    def set_hypers(self, hypers: Hypers) -> None:
        self.rate = float(hypers["lr"])
        self.momentum = float(hypers["momentum"])

    def batch(self, generator: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
        inputs = generator.normal(size=(size, 3))
        return inputs, inputs @ self.truth + 0.1 * generator.normal(size=size)

    def train(self, budget: int) -> dict[str, float]:
        for _ in range(budget):
            inputs, targets = self.batch(self.generator, 8)
            gradient = inputs.T @ (inputs @ self.weights - targets) / len(targets)
            self.speed = self.momentum * self.speed - self.rate * gradient
            self.weights += self.speed  # in place: a loaded array must allow it
            self.updates += 1
        return {"distance": float(np.linalg.norm(self.weights - self.truth))}

    def evaluate(self, seed: int) -> float:
        inputs, targets = self.batch(np.random.default_rng(seed), 64)
        return -float(np.mean((inputs @ self.weights - targets) ** 2))

    def state(self) -> dict[str, Any]:
        return {"weights": self.weights, "speed": self.speed, "updates": self.updates}

    def load(self, state: dict[str, Any]) -> None:
        self.weights, self.speed, self.updates = state["weights"], state["speed"], state["updates"]


class Untestable(Regression):
    """Every test fails, though there is a baseline to compare with."""

    def test(self, seed: int) -> float:
        raise OSError("the test data has gone")

    @staticmethod
    def baseline(seed: int) -> float:
        return -9.0


def test_a_run_without_any_test_score_has_a_report_that_says_so(tmp_path: Path) -> None:
    search = {"lr": "log:1e-3:1e-1", "momentum": "linear:0:0.9"}
    small = {"budget": 60, "interval": 20, "population": 4, "workers": 1, "seeds": [0, 1], "quiet": True}
    run = rl_pbt.tune(Untestable, search, methods=["pbt", "random"], out=tmp_path / "run", **small)
    summary = (run.folder / "summary.md").read_text(encoding="utf-8")
    assert run.manifest.status == "finished" and "the test data has gone" in summary
    assert (run.folder / "report.html").exists()


class Diary(Regression):
    """Writes down what it is asked; tested and compared by methods of its own."""

    calls: ClassVar[list[tuple[str, Any]]] = []

    def __init__(self, hypers: Hypers, seed: int) -> None:
        self.calls.append(("__init__", seed))
        super().__init__(hypers, seed)
        self.test_data = self.test

    def set_hypers(self, hypers: Hypers) -> None:
        self.calls.append(("set_hypers", hypers["lr"]))
        super().set_hypers(hypers)

    def train(self, budget: int) -> None:
        self.calls.append(("train", budget))
        super().train(budget)

    def evaluate(self, seed: int) -> list[float]:
        self.calls.append(("evaluate", seed))
        self.weights = self.weights + 100  # what happens in an evaluation stays there
        return [1.0, 2.0]

    def test(self, seed: int) -> np.ndarray:
        self.calls.append(("test", seed))
        return np.array([3.0, 4.0])

    def load(self, state: dict[str, Any]) -> None:
        self.calls.append(("load", state["updates"]))
        super().load(state)
        self.rate = 1e9  # as an optimiser's state brings the old rate back

    @staticmethod
    def baseline(seed: int) -> float:
        return float(seed)


HYPERS: Hypers = {"lr": 0.05, "momentum": 0.5}


@pytest.fixture
def diary() -> Iterator[list[tuple[str, Any]]]:
    Diary.calls.clear()
    yield Diary.calls
    Diary.calls.clear()


def founder(id_: int, member: int = 0, units: int = 10, **hypers: Any) -> Proposal:
    return Proposal(id=id_, member=member, generation=0, hypers={**HYPERS, **hypers}, parent=None, units=units)


def child(id_: int, parent: int, *, member: int = 0, generation: int = 1, units: int = 10, **rest: Any) -> Proposal:
    hypers = {**HYPERS, **rest.pop("hypers", {})}
    return Proposal(id=id_, member=member, generation=generation, hypers=hypers, parent=parent, units=units, **rest)


def run(task: Task, folder: Path, *proposals: Proposal, ages: Sequence[int] | None = None, root_seed: int = 1) -> list[Result]:
    checkpoints = FolderCheckpoints(folder)
    ages = tuple(ages or [0] * len(proposals))
    job = IntervalJob(proposals=proposals, lineage_units=ages, root_seed=root_seed, checkpoints=checkpoints)
    return pickle.loads(pickle.dumps(job)).run(pickle.loads(pickle.dumps(task)))


def final(task: Task, folder: Path, proposal: int, episodes: Sequence[int] = (0, 1), root_seed: int = 1) -> FinalTest:
    checkpoints = FolderCheckpoints(folder)
    return FinalTestJob(proposal=proposal, episodes=episodes, root_seed=root_seed, checkpoints=checkpoints).run(task)


def without_time(results: Sequence[Result]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [result.to_json() for result in results]  # type: ignore[misc]
    for row in rows:
        del row["cost"]["cpu_s"], row["cost"]["wall_s"], row["cost"]["eval_cpu_s"]
    return rows


def config_of(**given: Any) -> RunConfig:
    """As `making.configure` makes one."""
    whole = TYPE.complete({"budget": 100, "search": {"lr": "log:1e-3:1e-1"}, **given}, None)
    own_fields = set(OwnOptions.__dataclass_fields__)
    options = built(OwnOptions, {name: value for name, value in whole.items() if name in own_fields})
    task_options = {name: getattr(options, name) for name in own_fields}
    rest = {name: value for name, value in whole.items() if name not in own_fields}
    return RunConfig(task="own", task_options=task_options, **rest)


def test_who_needs_no_score_is_not_evaluated(diary: list[tuple[str, Any]], tmp_path: Path) -> None:
    asked = Proposal(id=0, member=0, generation=0, hypers=HYPERS, parent=None, units=10, episodes=0)
    (result,) = run(OwnTask(target=Diary), tmp_path, asked)
    assert result.unevaluated and result.returns == () and result.cost.train_units == 10
    assert [name for name, _ in diary] == ["__init__", "set_hypers", "train"]
    (judged,) = run(OwnTask(target=Diary), tmp_path, child(1, 0))
    assert judged.returns == (1.0, 2.0)


def test_it_learns_and_is_accounted_for(tmp_path: Path) -> None:
    task = OwnTask(target=Regression, evaluations=3)
    heard: list[int] = []
    job = IntervalJob(
        proposals=(founder(0, units=200), founder(1, member=1, units=200)),
        lineage_units=(0, 0),
        root_seed=1,
        checkpoints=FolderCheckpoints(tmp_path),
    )
    first, second = job.run(task, lambda units, proposal=None: heard.append(units) if units else None)
    assert heard == [200, 200]
    assert first.fitness is not None
    assert first.fitness > -0.05 > OwnTask(target=Regression).interval(job)[0].returns[0] - 1
    assert len(first.returns) == 3
    assert first.fitness == pytest.approx(np.mean(first.returns))
    assert first.fitness != second.fitness
    assert (first.cost.train_units, first.cost.eval_units, first.cost.updates, first.lineage_units) == (200, 0, 200, 200)
    assert first.cost.wall_s > 0
    assert first.cost.cpu_s > 0
    assert first.metrics == {"train/distance": pytest.approx(0, abs=0.2)}

    (later,) = run(task, tmp_path, child(2, 0, units=50), ages=[200])
    assert later.lineage_units == 250
    trained = task.winner(2, FolderCheckpoints(tmp_path))
    assert isinstance(trained, Regression)
    assert trained.updates == 250
    assert final(task, tmp_path, 2).returns[0] > -0.05


def test_new_hypers_come_after_the_parents_state(tmp_path: Path, diary: list[tuple[str, Any]]) -> None:
    task = OwnTask(target=Diary)
    run(task, tmp_path, founder(0, lr=0.1))
    assert [name for name, _ in diary] == ["__init__", "set_hypers", "train", "evaluate"]
    diary.clear()
    run(task, tmp_path, child(1, 0, hypers={"lr": 0.12}))
    assert [name for name, _ in diary] == ["__init__", "set_hypers", "load", "set_hypers", "train", "evaluate"]
    assert diary[3] == ("set_hypers", 0.12)
    winner = task.winner(1, FolderCheckpoints(tmp_path))
    assert winner.rate == 0.12
    assert np.abs(winner.weights).max() < 50, "an evaluation does not reach the checkpoint"


def test_a_clone_has_its_donors_state_and_a_random_stream_of_its_own(tmp_path: Path) -> None:
    task = OwnTask(target=Regression)
    run(task, tmp_path, founder(0), founder(1, member=1))
    donor = task.winner(0, FolderCheckpoints(tmp_path))
    run(task, tmp_path, child(2, 0), child(3, 0, member=1, hypers_from=0), child(4, 0, generation=2))
    own_way, clone, later = (task.winner(i, FolderCheckpoints(tmp_path)) for i in (2, 3, 4))
    assert own_way.updates == clone.updates == donor.updates + 10
    assert len({member.weights.tobytes() for member in (donor, own_way, clone, later)}) == 4


def test_the_seeds_of_a_generation_are_shared_and_those_of_a_test_are_others(tmp_path: Path, diary: list[Any]) -> None:
    task = OwnTask(target=Diary, evaluations=2)
    run(task, tmp_path, founder(0), founder(1, member=1))
    seeds = [seed for name, seed in diary if name == "evaluate"]
    assert seeds[:2] == seeds[2:] == [seeds[0], seeds[0] + 1]
    diary.clear()

    again = child(2, 0, generation=1, units=0, episodes=3)
    (judged,) = run(task, tmp_path, again, ages=[10])
    assert judged.returns == (1.0, 2.0) * 3
    assert (judged.cost.train_units, judged.cost.updates, judged.lineage_units) == (0, 0, 10)
    assert not FolderCheckpoints(tmp_path).path(2).exists()
    others = [seed for name, seed in diary if name == "evaluate"]
    assert len({*seeds, *others}) == 5
    diary.clear()

    test = final(task, tmp_path, 0, episodes=[1, 2])
    assert test.returns == (3.0, 4.0, 3.0, 4.0)
    assert test.cost.units == 0
    assert [name for name, _ in diary] == ["__init__", "set_hypers", "load", "set_hypers", "test", "test"]
    tests = [seed for name, seed in diary if name == "test"]
    baseline = task.baseline(1, 3)
    assert baseline is not None
    assert list(baseline.returns[1:]) == tests, "the episodes of a test are numbered from 0"
    assert not {*tests, *seeds, *others} & {seed for name, seed in diary if name == "evaluate"}
    assert all(0 <= seed < 2**31 - 1 for _, seed in [("", s) for s in [*seeds, *others, *tests]])


class Careless(Regression):
    """Draws from the global generators."""

    def __init__(self, hypers: Hypers, seed: int) -> None:
        super().__init__(hypers, 0)
        self.weights = np.random.normal(size=3)

    def train(self, budget: int) -> dict[str, float]:
        self.weights += np.random.normal(size=3) * random.random()
        return {"loss": float("nan"), "own/tag": 2}

    def evaluate(self, seed: int) -> float:
        return float(self.weights.sum() + np.random.normal())


class CarelessTorch(Careless):
    """Imports torch when it first needs it."""

    def train(self, budget: int) -> None:  # type: ignore[override]
        import torch

        self.weights += torch.randn(3).numpy()


@pytest.mark.parametrize("cls", [Regression, Careless, CarelessTorch])
def test_the_same_seed_gives_the_same_whatever_was_done_before(cls: type[Any], tmp_path: Path) -> None:
    task = OwnTask(target=cls, evaluations=2)
    proposals = founder(0), founder(1, member=1), founder(2, member=2)
    together = run(task, tmp_path / "one", *proposals)
    np.random.normal(size=7)
    alone = [run(task, tmp_path / "other", proposal)[0] for proposal in reversed(proposals)]
    assert without_time(together) == without_time(alone[::-1])
    for proposal in range(3):
        one, other = (FolderCheckpoints(tmp_path / name).path(proposal).read_bytes() for name in ("one", "other"))
        assert one == other
    assert without_time(run(task, tmp_path / "two", *proposals, root_seed=2)) != without_time(together)
    assert final(task, tmp_path / "one", 1).returns == final(task, tmp_path / "other", 1).returns


def test_torch_imported_late_draws_as_if_it_had_been_there(tmp_path: Path) -> None:
    # Where it was imported before: this process.
    import torch  # noqa: F401

    here = without_time(run(OwnTask(target=CarelessTorch), tmp_path / "here", founder(0), founder(1, member=1)))
    script = f"""
    import json, sys
    from pathlib import Path
    from tests.rl_pbt.tasks.test_own import CarelessTorch, OwnTask, founder, run, without_time
    assert "torch" not in sys.modules
    print(json.dumps(without_time(run(OwnTask(target=CarelessTorch), Path({str(tmp_path)!r}), founder(0), founder(1, member=1)))))
    """
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", dedent(script)], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    import json

    assert json.loads(done.stdout) == json.loads(json.dumps(here))


def test_global_generators_are_left_as_they_were(tmp_path: Path) -> None:
    import torch

    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    expected = random.random(), np.random.random(), torch.rand(1).item()
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    run(OwnTask(target=Careless), tmp_path, founder(0))
    assert (random.random(), np.random.random(), torch.rand(1).item()) == expected


def test_metrics_that_are_not_finite_are_dropped(tmp_path: Path) -> None:
    (result,) = run(OwnTask(target=Careless), tmp_path, founder(0))
    assert result.metrics == {"own/tag": 2.0}


class Faulty(Regression):
    """Fails where the hyperparameter `fault` says, in the way that it says."""

    def set_hypers(self, hypers: Hypers) -> None:
        super().set_hypers(hypers)
        self.fault = str(hypers["fault"])
        if self.fault == "set_hypers":
            raise KeyError("lr")

    def train(self, budget: int) -> Any:
        if self.fault == "train":
            return {"x": 1 / (budget - budget)}
        if self.fault == "exit":
            sys.exit("goodbye")
        if self.fault == "interrupt":
            raise KeyboardInterrupt
        if self.fault == "library":
            np.linalg.inv(np.zeros((2, 2)))
        if self.fault == "lines":
            raise ValueError(f"{object()}\n  and\nmore" + "!" * 1000)
        return {"metrics": [1], "metric": 3, "map": {"a": "b"}, "unnamed": {1: 2}}.get(self.fault)

    def evaluate(self, seed: int) -> Any:
        if self.fault == "late":
            return (1 / value for value in (2, 0))
        given = {"nan": float("nan"), "inf": [1.0, np.inf], "text": "0.5", "none": None, "empty": [], "nested": [[1.0]]}
        return given.get(self.fault, {"array": np.float32(1), "generator": iter([1, 2])}.get(self.fault, 1.0))

    def state(self) -> Any:
        return {"weights": {1, 2}} if self.fault == "state" else super().state()

    def load(self, state: Any) -> None:
        super().load(state)
        if self.fault == "load":
            raise RuntimeError


FAILURES = {
    "set_hypers": "__init__ raised KeyError: 'lr' (test_own.py, line ",
    "train": 'train raised ZeroDivisionError: division by zero (test_own.py, line {line}: return {{"x": 1 / (budget - budget)}})',
    "exit": "train raised SystemExit: goodbye (test_own.py, line ",
    "library": "train raised LinAlgError: Singular matrix (test_own.py, line {line}: np.linalg.inv(np.zeros((2, 2))))",
    "lines": "train raised ValueError: <object object> and more!!!!",
    "metrics": "train gave [1]: it may give numbers by name, the metrics, or None",
    "metric": "train gave 3: it may give",
    "map": "train gave the metric 'a': 'b': a metric is a number with a name",
    "unnamed": "train gave the metric 1: 2: a metric is",
    "late": "evaluate raised ZeroDivisionError: division by zero (test_own.py, line ",
    "nan": "evaluate gave a score that is not finite",
    "inf": "evaluate gave a score that is not finite",
    "text": "evaluate gave '0.5': it must give a number, the score, or several",
    "none": "evaluate gave None: it must give",
    "empty": "evaluate gave []: it must give",
    "nested": "evaluate gave [[1.0]]: it must give",
    "state": "state()['weights'] is a set: return arrays, numbers",
}


@pytest.mark.parametrize("fault", FAILURES)
def test_a_failure_is_the_members_own(fault: str, tmp_path: Path) -> None:
    task = OwnTask(target=Faulty)
    source = Path(__file__).read_text().splitlines()
    line = next(
        (i for i, text in enumerate(source, 1) if {"train": '{"x": 1 /', "library": "np.linalg.inv("}.get(fault, "?") in text), 0
    )
    before, failed, after = run(
        task, tmp_path, founder(0, fault="none of these"), founder(1, fault=fault), founder(2, fault="array")
    )
    assert failed.failure is not None
    assert failed.failure.startswith(FAILURES[fault].format(line=line))
    assert "\n" not in failed.failure
    assert len(failed.failure) < 700
    assert (failed.fitness, failed.returns) == (None, ())
    assert (failed.cost.train_units, failed.lineage_units) == (10, 10), "charged, or a method could retry for ever"
    assert (before.fitness, after.fitness) == (1.0, 1.0)
    assert not FolderCheckpoints(tmp_path).path(1).exists()
    assert FolderCheckpoints(tmp_path).path(2).exists()


def test_a_failure_to_load_is_the_members_own(tmp_path: Path) -> None:
    task = OwnTask(target=Faulty)
    run(task, tmp_path, founder(0, fault="generator"))
    failed, fine = run(
        task, tmp_path, child(1, 0, hypers={"fault": "load"}), child(2, 0, member=1, hypers={"fault": "generator"})
    )
    assert failed.failure is not None
    assert failed.failure.startswith("load raised RuntimeError (test_own.py, line ")
    assert fine.returns == (1.0, 2.0)


def test_an_interrupt_passes(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(OwnTask(target=Faulty), tmp_path, founder(0, fault="interrupt"))


def test_a_missing_or_damaged_parent_stops_the_run(tmp_path: Path) -> None:
    task = OwnTask(target=Regression)
    with pytest.raises(UserError, match="is missing"):
        run(task, tmp_path, child(1, 0))
    FolderCheckpoints(tmp_path).save(0, {"theta": np.zeros(2)})
    for what in (lambda: run(task, tmp_path, child(1, 0)), lambda: task.winner(0, FolderCheckpoints(tmp_path))):
        with pytest.raises(UserError, match="is damaged, or of another task"):
            what()


def test_a_test_or_a_winner_that_fails_says_why(tmp_path: Path) -> None:
    task = OwnTask(target=Faulty)
    run(task, tmp_path, founder(0, fault="array"))

    class Broken(Faulty):
        def load(self, state: Any) -> None:
            raise OSError("no data")

    test = final(OwnTask(target=Broken), tmp_path, 0)
    assert (test.returns, test.excluded) == ((), 2) and (test.failure or "").startswith("load raised OSError: no data (")
    with pytest.raises(UserError, match="proposal 0 cannot be loaded: load raised OSError: no data"):
        OwnTask(target=Broken).winner(0, FolderCheckpoints(tmp_path))


def test_held_hyperparameters_reach_the_class(tmp_path: Path) -> None:
    task = OwnTask(target=Regression, hypers={"momentum": 0.9, "lr": 5.0})
    proposal = Proposal(id=0, member=0, generation=0, hypers={"lr": 0.01}, parent=None, units=5)
    run(task, tmp_path, proposal)
    winner = task.winner(0, FolderCheckpoints(tmp_path))
    assert (winner.rate, winner.momentum) == (0.01, 0.9)


def test_it_trains_for_whole_multiples(tmp_path: Path) -> None:
    (result,) = run(OwnTask(target=Regression, quantum=4), tmp_path, founder(0, units=10))
    assert (result.cost.train_units, result.cost.updates, result.lineage_units) == (8, 8, 8)


def test_settings_are_completed() -> None:
    whole = TYPE.complete(
        {"target": Regression, "budget": 1000, "search": {"lr": "log:1e-3:1e-1", "momentum": 0.9, "mode": "fast"}}, None
    )
    assert whole["target"] == f"{__name__}:Regression"
    assert whole["search"] == {"lr": "log:1e-3:1e-1"}
    assert whole["hypers"] == {"momentum": 0.9, "mode": "fast"}
    assert (whole["methods"], whole["seeds"], whole["population"]) == (("pbt", "random"), (0,), 8)
    assert (whole["interval"], whole["group_size"], whole["test_episodes"]) == (50, 4, 1)
    resumed = TYPE.complete({}, whole)
    assert resumed == whole
    config = config_of(target=Regression, search={"lr": "log:1e-3:1e-1"}, evaluations=2, unit="epoch", score="accuracy")
    words = TYPE.words(config.task_options)
    assert (words.unit, words.score, words.episode) == ("epoch", "accuracy", "evaluation")
    assert (TYPE.title(config.task_options), TYPE.folder(config.task_options)) == ("Regression", "Regression")
    assert TYPE.evaluation(config.task_options).startswith("the mean accuracy of 2 evaluations")
    task = own.make(config, Machine(), target=Regression)
    assert task.evaluations == 2
    assert TYPE.describe(config, task)[0][1].startswith(f"{__name__}:Regression")


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"target": "module"}, "task must name a class of yours, as module:Class, but is 'module'"),
        ({}, "task must name a class of yours"),
        ({"target": "m:C", "search": {"lr": "lgo:1:2"}}, "unknown scale 'lgo' in 'lgo:1:2': did you mean 'log'?"),
        ({"target": "m:C", "search": {"lr": 1.0}}, "search is missing: give at least one hyperparameter a range"),
        ({"target": "m:C", "evaluations": 0}, "evaluations must be 1 or more, but is 0"),
        ({"target": "m:C", "quantum": 0}, "quantum must be 1 or more"),
    ],
)
def test_settings_that_cannot_be_are_refused(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UserError) as raised:
        config_of(**given)
    assert complaint in str(raised.value)
    with pytest.raises(BadSetting, match="budget is missing"):
        TYPE.complete({"target": "m:C", "search": {"lr": "log:1:2"}}, None)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Writes modules of a user's, which can be imported."""
    monkeypatch.syspath_prepend(tmp_path)
    written: list[str] = []

    def write(name: str, source: str) -> None:
        (tmp_path / f"{name}.py").write_text(dedent(source))
        written.append(name)

    yield write
    for name in written:
        sys.modules.pop(name, None)


USERS = """
class MyTraining:
    def __init__(self, hypers, seed): self.x = 0
    def set_hypers(self, hypers): pass
    def train(self, budget): self.x += budget
    def evaluate(self, seed): return self.x
    def state(self): return {"x": self.x}
    def load(self, state): self.x = state["x"]
    class Inner:
        pass

class Half:
    def __init__(self, hypers): pass
    def set_hypers(self, hypers): pass
    train = 5

class Short(MyTraining):
    def __init__(self, hypers): pass

class Odd(MyTraining):
    def train(self): pass

class OddTest(MyTraining):
    def test(self): pass

class OddBaseline(MyTraining):
    def baseline(self, seed): pass

class Static(MyTraining):
    @staticmethod
    def evaluate(seed): return 1.0
    @classmethod
    def baseline(cls, seed): return [seed, seed]

def function(): pass
"""


def test_a_class_is_found_by_its_name(module: Any, tmp_path: Path) -> None:
    module("users_training", USERS)
    task = TYPE.make(config_of(target="users_training:MyTraining"), Machine(workers=4, cores=4))
    (result,) = run(task, tmp_path, founder(0))
    assert result.fitness == 10.0
    assert task.baseline(0, 2) is None
    static = TYPE.make(config_of(target="users_training:Static"), Machine())
    assert len(static.baseline(0, 2).returns) == 4  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        (
            "no_such_module:X",
            "names the module no_such_module, which is not here: run from the folder that has it, or set PYTHON",
        ),
        ("no_such.module:X", "names the module no_such.module, which is not here: run from"),
        ("users_importing:X", "names the module users_importing, which imports absent_package, and that is not installed"),
        (
            "users_broken:X",
            "names the module users_broken, whose import raised ZeroDivisionError: division by zero (users_broken.py, ",
        ),
        ("users_syntax:X", "names the module users_syntax, whose import raised SyntaxError: "),
        ("users_exit:X", "names the module users_exit, whose import raised SystemExit: 3"),
        ("users_training:MyTrianing", "users_training has no 'MyTrianing': did you mean 'MyTraining'?"),
        ("users_training:MyTraining.Outer", "MyTraining has no 'Outer'"),
        ("users_training:function", "'function' is a function and not a class"),
        ("users_training:f.<locals>.X", "is inside a function: move the class to the top"),
        ("users_training:Half", "Half lacks train, evaluate, state, load: a training has __init__(hypers, seed), set_hypers(hyp"),
        ("users_training:Short", "Short.__init__ must take (hypers, seed), but takes (hypers)"),
        ("users_training:Odd", "Odd.train must take (budget), but takes (self)"),
        ("users_training:OddTest", "OddTest.test must take (seed), but takes (self)"),
        ("users_training:OddBaseline", "OddBaseline.baseline must be a staticmethod or a classmethod"),
    ],
)
def test_a_class_that_cannot_be_used_is_refused_in_one_line(target: str, complaint: str, module: Any) -> None:
    module("users_training", USERS)
    module("users_importing", "import absent_package")
    module("users_broken", "x = 1 / 0")
    module("users_syntax", "def")
    module("users_exit", "raise SystemExit(3)")
    with pytest.raises(UserError) as raised:
        TYPE.make(config_of(target=target), Machine())
    assert complaint in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_class_inside_a_function_is_for_one_worker(tmp_path: Path) -> None:
    class Local(Regression):
        pass

    config = config_of(target=Local)
    assert TYPE.folder(config.task_options) == "Local"
    task = own.make(config, Machine(workers=1), target=Local)
    job = IntervalJob(proposals=(founder(0),), lineage_units=(0,), root_seed=1, checkpoints=FolderCheckpoints(tmp_path))
    assert job.run(task)[0].fitness is not None
    with pytest.raises(BadSetting, match=r"workers must be 1 for .*Local: other processes cannot import it"):
        own.make(config, Machine(workers=2), target=Local)


def test_a_script_names_its_class_by_its_file(tmp_path: Path) -> None:
    script = tmp_path / "my_script.py"
    script.write_text(
        USERS
        + dedent("""
        from rl_pbt.tasks.base import Machine
        from rl_pbt.tasks.finding import check_class, name_of
        check_class(MyTraining, workers=2)
        print(name_of(MyTraining), name_of(MyTraining.Inner))
        """)
    )
    for arguments in ([str(script)], ["-m", "my_script"]):
        environment = {"PYTHONPATH": f"{Path(__file__).parents[3]}:{tmp_path}"}
        done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False)
        assert done.stdout.split() == ["my_script:MyTraining", "my_script:MyTraining.Inner"], done.stderr
