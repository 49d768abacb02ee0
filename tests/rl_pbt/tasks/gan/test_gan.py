"""`--task gan` from end to end: the settings, the run, what it leaves for the report, and what a resume finds again."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import rl_pbt
from rl_pbt.making import configure, make_task
from rl_pbt.records import Proposal
from rl_pbt.report import write_report
from rl_pbt.report.sheets import sheet
from rl_pbt.store.checkpoints import FolderCheckpoints
from rl_pbt.store.history import read_history
from rl_pbt.store.run import RunFolder
from rl_pbt.tasks.base import FinalTestJob, IntervalJob
from rl_pbt.tasks.clock import Clock
from rl_pbt.tasks.gan import TYPE
from rl_pbt.tasks.gan.images import MNIST, PARTS, read_images
from rl_pbt.tasks.gan.interval import DISTANCE, DIVERGED, NOT_FINITE, Winner, material
from rl_pbt.tasks.gan.recorded import SHIPPED, shapes_of
from rl_pbt.tasks.gan.scoring import CHUNK, Evaluation, evaluation
from tests.rl_pbt.faults.conftest import stopped_after
from tests.rl_pbt.tasks.gan.small import idx, pictures, write_images, write_small_classifier
from tests.rl_pbt.test_gate import SOME_OR_ALL, killed, ledgers

RUN: dict[str, Any] = {"population": 4, "budget": 12, "interval": 3, "group_size": 2, "test_episodes": 3, "quiet": True}
HYPERS = {"generator_lr": 1e-3, "discriminator_lr": 1e-3}


@pytest.fixture(autouse=True, scope="module")
def small_pictures() -> Iterator[None]:
    """Or drawing would take most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rl_pbt.report.style.DPI", 20)
        yield


@pytest.fixture(scope="module")
def run(small: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> rl_pbt.Run:
    out = tmp_path_factory.mktemp("runs") / "run"
    return rl_pbt.tune("gan", {}, methods=["pbt", "pbt-tournament", "random"], workers=1, out=out, **small, **RUN)


def proposal(id_: int, parent: int | None = None, **fields: Any) -> Proposal:
    return Proposal(**{"id": id_, "member": id_, "generation": 0, "hypers": HYPERS, "parent": parent, "units": 3, **fields})


def job(folder: Path, *proposals: Proposal, **fields: Any) -> IntervalJob:
    ages = (0,) * len(proposals)
    return IntervalJob(
        proposals=proposals, lineage_units=ages, root_seed=0, checkpoints=FolderCheckpoints(folder, folder / "shown"), **fields
    )


def test_the_paper_settings_are_the_defaults_and_can_be_changed(small: dict[str, Any]) -> None:
    config = configure({"task": "gan", **small, "methods": ["pbt", "hand-tuned", "random-annealed"]})
    assert config.method_options["factors"] == [2.0, 0.5]
    assert config.method_options["annealed"] == "generator_lr,discriminator_lr"
    one = {"task": "gan", **small, "methods": ["random-annealed"], "search": {"generator_lr": 1e-3}}
    assert configure(one).method_options["annealed"] == "discriminator_lr", "what is held has no schedule"
    assert configure({**one, "search": {}, "annealed": "generator_lr"}).method_options["annealed"] == "generator_lr"
    before = replace(config, method_options={**config.method_options, "annealed": "generator_lr"})
    assert configure({}, before).method_options["annealed"] == "generator_lr", "a run from when it could name but one"
    assert set(config.search) == set(config.hypers) == set(HYPERS) and set(config.hypers.values()) == {2e-4}
    assert config.budget // config.interval == 20
    assert configure({"task": "gan", **small, "factors": [1.5, 0.5]}).method_options["factors"] == [1.5, 0.5]
    assert configure({"task": "gan", **small, "methods": ["random"]}).method_options == {}, "nobody perturbs"
    assert configure({"budget": 2 * config.budget}, config).method_options == config.method_options, "a resume has those it had"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"search": {"momentum": "linear:0:1"}}, "cannot use momentum: a GAN has generator_lr and discriminator_lr"),
        ({"hypers": {"beta": 0.5}}, "hypers cannot use beta"),
        (
            {"hypers": {"generator_lr": "fast"}},
            "hypers cannot use 'fast' for generator_lr: a learning rate is a number, 0 or more",
        ),
        ({"search": {"generator_lr": "choice:0.1:slow"}}, "search cannot use 'slow' for generator_lr"),
        ({"channels": 0}, "channels must be 1 or more"),
        ({"channels": 1000}, "channels must be 512 or less"),
        ({"samples": 1}, "samples must be 2 or more"),
        ({"classifier": str(SHIPPED[MNIST])}, "classifier was trained on other images than those of /"),
        ({"classifier": None}, "classifier is missing: none comes for these images; make one with `python -m benchmarks"),
    ],
)
def test_what_cannot_be_is_one_line(settings: dict[str, Any], message: str, small: dict[str, Any]) -> None:
    with pytest.raises(rl_pbt.UserError, match=re.escape(message)):
        configure({"task": "gan", **small, **settings})


@pytest.mark.parametrize("classes", [0, 2, 10])
def test_a_classifier_of_more_or_fewer_classes_than_the_images_have_is_refused(
    classes: int, small: dict[str, Any], tmp_path: Path
) -> None:
    """It would set another ceiling on the score."""
    weights = {name: np.zeros(shape, np.float32) for name, shape in shapes_of(classes).items()}
    head = {"accuracy": "0.99", "images": read_images(small["data"]).digest}
    save_file(weights, path := tmp_path / "other.safetensors", metadata=head)
    with pytest.raises(rl_pbt.UserError, match=rf"classifier tells {classes} classes apart, and .* has 3"):
        configure({"task": "gan", **small, "classifier": str(path)})


def test_a_run_comes_to_its_end_and_says_what_the_score_hides(run: rl_pbt.Run) -> None:
    assert run.manifest.status == "finished" and run.config.method_options["factors"] == [2.0, 0.5]
    baseline = run.manifest.baseline
    assert baseline is not None and len(baseline) == 3 and all(1 <= score <= 3 for score in baseline)
    page = (run.folder / "summary.md").read_text()
    assert "Inception-type score" in page and f"| method | {DISTANCE} |" in page and "None of it was used for selection" in page
    assert "but not whether images resemble the data" in page and not re.search(r"\bframes?\b|random policy", page)
    for method in run.config.methods:
        history = read_history(RunFolder(run.folder), method, 0)
        assert history.test is not None and len(history.test.returns) == 3 and history.test.metrics[DISTANCE] > 0
        assert all(1 <= score <= 3 for trial in history.trials for score in trial.result.returns)
        assert all("eval/frechet_distance" in trial.result.metrics for trial in history.trials)
        cost = history.trials[0].result.cost
        assert cost.updates == 3 * cost.train_units, "two of the discriminator, one of the generator"


def test_its_sheets_of_samples_and_trees_are_drawn(run: rl_pbt.Run) -> None:
    page, html = (run.folder / "summary.md").read_text(), (run.folder / "report.html").read_text()
    for method in ("pbt", "pbt-tournament", "random"):
        assert (run.folder / f"plots/samples-{method}-seed-0.png").read_bytes().startswith(b"\x89PNG")
        assert f"plots/samples-{method}-seed-0.png" in page
    assert html.count('<img class="sheet" src="data:image/png;base64,') == 3
    assert (run.folder / "plots/score-tree-pbt-seed-0.png").exists() and "(plots/score-tree-pbt-seed-0.png)" in page
    history, kept = read_history(RunFolder(run.folder), "pbt", 0), RunFolder(run.folder).checkpoints("pbt", 0)
    for trial in history.trials:
        exhibit = kept.exhibited(trial.proposal.id)
        assert exhibit is not None, "they stay as long as the run"
        pictures = TYPE.pictures(exhibit)
        assert pictures is not None and pictures.shape == (16, 28, 28) and pictures.dtype == np.uint8


def test_of_many_populations_the_sheets_that_are_shown_are_drawn(
    small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []
    monkeypatch.setattr("rl_pbt.report.writing.MOST_DRAWN", 1)
    monkeypatch.setattr("rl_pbt.report.writing.sheet", lambda rows, title: (drawn.append(title), sheet(rows, title=title))[1])
    least = {**RUN, "population": 2, "budget": 2, "interval": 1, "test_episodes": 1, "anytime_tests": 0}
    made = rl_pbt.tune("gan", {}, methods=["random"], seeds=[0, 1], workers=1, out=tmp_path / "run", **small, **least)
    assert [title.rpartition(": ")[2] for title in drawn] == ["random, seed 0"]
    assert sorted(path.name for path in made.folder.glob("plots/samples-*")) == ["samples-random-seed-0.png"]
    assert (made.folder / "report.html").read_text().count('<img class="sheet"') == 1


def test_a_report_does_without_exhibits_that_are_gone_or_damaged_or_another_ones(
    run: rl_pbt.Run, small: dict[str, Any], tmp_path: Path
) -> None:
    made = rl_pbt.tune("gan", {}, methods=["pbt"], workers=1, out=tmp_path / "run", **small, **RUN)
    folder = made.folder / "pbt/seed-0/exhibits"
    files = sorted(folder.iterdir())
    assert len(files) == 16
    spoils: list[Any] = [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b"no arrays"),
        lambda path: save_file({"images": np.zeros((16, 28, 28), np.float32)}, path),
        lambda path: save_file({"images": np.zeros((3, 28, 28), np.uint8)}, path),
        lambda path: save_file({"images": np.zeros((16, 80, 80), np.uint8)}, path),
        lambda path: save_file({"others": np.zeros(3)}, path),
        lambda path: path.write_bytes(bytes(10_000_000)),
    ]
    for path, spoil in zip(files, spoils * 3, strict=False):
        spoil(path)
    write_report(RunFolder(made.folder))
    for path in folder.iterdir():
        path.unlink()
    write_report(RunFolder(made.folder))
    assert not (made.folder / "plots/samples-pbt-seed-0.png").exists()
    assert "plots/samples" not in (made.folder / "summary.md").read_text()


def test_a_winner_makes_images(run: rl_pbt.Run) -> None:
    winner = rl_pbt.load(run.folder).winner("pbt", 0)
    assert isinstance(winner, Winner)
    images = winner.images(5, seed=1)
    assert images.shape == (5, 28, 28) and images.dtype == np.uint8 and np.array_equal(images, winner.images(5, seed=1))
    for count in (0, -1):
        with pytest.raises(rl_pbt.UserError, match=f"cannot make {count} images"):
            winner.images(count)
    with pytest.raises(rl_pbt.UserError, match="a GAN has no policy"):
        run.export(run.folder / "x.onnx")


def test_one_and_two_workers_write_the_same_ledger_and_exhibits(
    run: rl_pbt.Run, small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rl_pbt.api.write_report", lambda run: None)  # which takes longer than the run
    two = rl_pbt.tune("gan", {}, methods=["pbt", "pbt-tournament", "random"], workers=2, out=tmp_path / "two", **small, **RUN)
    assert ledgers(two.folder) == ledgers(run.folder)
    shown = [{path.name: path.read_bytes() for path in one.folder.rglob("exhibits/*")} for one in (run, two)]
    assert shown[0] == shown[1] and shown[0]


@SOME_OR_ALL
def test_killed_after_every_event_it_ends_as_if_nothing_had_happened(step: int, small: dict[str, Any], tmp_path: Path) -> None:
    flags = [word for name, value in small.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    words = ["--task", "gan", *flags, "--population", "2", "--budget", "4", "--interval", "2", "--group-size", "1"]
    words += ["--test-episodes", "1", "--anytime-tests", "0", "--methods", "pbt", "--executor", "inline"]
    assert killed(step, tmp_path, *words) > 10 / step


def test_a_resume_with_other_images_or_another_classifier_is_refused(small: dict[str, Any], tmp_path: Path) -> None:
    config = configure({"task": "gan", **small})
    for name, message in (("digest", "not the images that this run began with"), ("classifier_digest", "not the classifier")):
        changed = replace(config, task_options={**config.task_options, name: "0" * 32})
        with pytest.raises(rl_pbt.UserError, match=message):
            make_task(changed, workers=1)


def test_a_killed_run_whose_files_were_moved_is_resumed_from_where_they_are(small: dict[str, Any], tmp_path: Path) -> None:
    settings = {**small, **RUN, "methods": ["pbt"], "workers": 1}
    images, classifier = shutil.copytree(small["data"], tmp_path / "old"), shutil.copy(small["classifier"], tmp_path / "old.file")
    settings |= {"data": str(images), "classifier": str(classifier)}
    with stopped_after(2):
        rl_pbt.tune("gan", {}, out=tmp_path / "run", **settings)
    left = [tmp_path / f"run/pbt/seed-0/{name}/.000000.safetensors.1.tmp" for name in ("checkpoints", "exhibits")]
    for path in left:
        path.touch()  # as what was killed would leave it
    moved, renamed = images.rename(tmp_path / "new"), Path(classifier).rename(tmp_path / "new.file")
    with pytest.raises(rl_pbt.UserError, match=r"a folder of IDX files, but .*old has no train-images"):
        rl_pbt.tune("gan", {}, resume=tmp_path / "run", workers=1, quiet=True)
    with pytest.raises(rl_pbt.UserError, match="these are not the images that this run began with"):
        other = write_images(tmp_path / "other", counts=(8, 4))
        rl_pbt.tune("gan", {}, resume=tmp_path / "run", data=str(other), classifier=str(renamed), workers=1, quiet=True)
    here = {"data": str(moved), "classifier": str(renamed)}
    run = rl_pbt.tune("gan", {}, resume=tmp_path / "run", workers=1, quiet=True, **here)
    assert run.manifest.status == "finished" and run.config.task_options["data"] == str(images)
    assert not any(path.exists() for path in left)
    with pytest.raises(rl_pbt.UserError, match=r"a folder of IDX files, but .*old has no train-images"):
        run.winner()
    with pytest.raises(rl_pbt.UserError, match="these are not the images that this run began with"):
        rl_pbt.load(run.folder, data=str(other), classifier=str(renamed)).winner()
    with pytest.raises(rl_pbt.UserError, match="population does not say where a file lies now: only data, classifier can be"):
        rl_pbt.load(run.folder, population=8)
    assert len(rl_pbt.load(run.folder, **here).winner().images(3)) == 3


def test_both_rates_of_a_gan_are_annealed(small: dict[str, Any], tmp_path: Path) -> None:
    methods = ["random-annealed", "default-annealed"]
    made = rl_pbt.tune("gan", {}, methods=methods, workers=1, out=tmp_path / "run", **small, **RUN)
    for method in methods:
        first = [
            one.proposal.hypers for one in read_history(RunFolder(made.folder), method, 0).trials if one.proposal.member == 0
        ]
        for name in HYPERS:
            assert [float(one[name]) / float(first[0][name]) for one in first] == pytest.approx([1.0, 5 / 7, 3 / 7, 1 / 7])


def test_a_second_run_of_a_process_is_on_what_its_files_hold_now(small: dict[str, Any], tmp_path: Path) -> None:
    images = shutil.copytree(small["data"], tmp_path / "images")
    first = configure({"task": "gan", **small, "data": str(images)})
    array = pictures(60, 0)[0]
    array[0, 0, 0] ^= 1
    (images / PARTS["train"][0]).write_bytes(idx(array))
    with pytest.raises(rl_pbt.UserError, match="classifier was trained on other images"):
        configure({"task": "gan", **small, "data": str(images)})
    write_small_classifier(images, again := tmp_path / "again.safetensors")
    second = configure({"task": "gan", **small, "data": str(images), "classifier": str(again)})
    assert second.task_options["digest"] != first.task_options["digest"]
    task = make_task(second, workers=1)
    assert material(task.source).training[0, 0, 0] == array[0, 0, 0]


def test_a_member_alone_scores_what_it_scores_in_a_group_wherever_it_stands(small: dict[str, Any], tmp_path: Path) -> None:
    task = make_task(configure({"task": "gan", **small}), workers=1)
    both = task.interval(job(tmp_path / "a", proposal(0), proposal(1)))
    (alone,) = task.interval(job(tmp_path / "b", proposal(1)))
    turned = task.interval(job(tmp_path / "c", proposal(1), proposal(0)))
    lost = job(tmp_path / "d", proposal(0), proposal(1), given_up={0: "crashed twice"}).run(task)
    found = [replace(one, cost=both[1].cost, digest=None) for one in (both[1], alone, turned[0], lost[1])]
    assert len(set(map(repr, found))) == 1
    assert (lost[0].failure, lost[0].fitness) == ("crashed twice", None) and not (tmp_path / "d/000000.safetensors").exists()
    states = [load_file(tmp_path / name / "000001.safetensors") for name in "abcd"]
    assert all(np.array_equal(states[0][name], state[name]) for state in states for name in states[0])
    shown = {(tmp_path / name / "shown/000001.safetensors").read_bytes() for name in "abcd"}
    assert len(shown) == 1


def test_a_member_that_diverges_fails_and_leaves_the_others_alone(small: dict[str, Any], tmp_path: Path) -> None:
    task = make_task(configure({"task": "gan", **small}), workers=1)
    wild = proposal(0, hypers={"generator_lr": 1e38, "discriminator_lr": 1e38})
    failed, well = task.interval(job(tmp_path / "a", wild, proposal(1)))
    (alone,) = task.interval(job(tmp_path / "b", proposal(1)))
    assert failed.failure == DIVERGED and failed.cost.train_units == 3
    assert (failed.fitness, failed.returns) == (None, ()) and well.returns == alone.returns
    assert sorted(path.name for path in (tmp_path / "a").rglob("*.safetensors")) == ["000001.safetensors"] * 2


@pytest.mark.parametrize("rate", [1e8, 1e18, 1e38])
def test_a_member_whose_weights_are_finite_and_whose_images_are_not_fails_alone(
    rate: float, small: dict[str, Any], tmp_path: Path
) -> None:
    """After one update of the generator nothing has yet met what it makes of the new weights."""
    task = make_task(configure({"task": "gan", **small}), workers=1)
    wild = proposal(0, hypers={"generator_lr": rate, "discriminator_lr": 1e-3}, units=1)
    failed, well = task.interval(job(tmp_path / "a", wild, proposal(1, units=1)))
    (alone,) = task.interval(job(tmp_path / "b", proposal(1, units=1)))
    assert (failed.failure, failed.fitness, failed.returns) == (DIVERGED, None, ())
    assert well.failure is None and well.returns == alone.returns


def test_an_evaluation_without_finite_images_is_excluded_from_a_test(
    small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make_task(configure({"task": "gan", **small}), workers=1)
    task.interval(job(tmp_path, proposal(0)))
    tested = FinalTestJob(proposal=0, episodes=range(3), root_seed=0, checkpoints=FolderCheckpoints(tmp_path))
    whole, judgements = task.test(tested), itertools.count()

    def spoiled(*given: Any, **named: Any) -> Evaluation:
        found = evaluation(*given, **named)
        return replace(found, distance=float("nan")) if next(judgements) in gone else found

    monkeypatch.setattr("rl_pbt.tasks.gan.interval.evaluation", spoiled)
    gone = {1}
    found = task.test(tested)
    assert found.returns == (whole.returns[0], whole.returns[2]) and (found.excluded, found.failure) == (1, NOT_FINITE)
    gone = {3, 4, 5}
    found = task.test(tested)
    assert (found.returns, found.excluded, found.metrics) == ((), 3, {})


def noted(name: str, real: Callable[..., Any], events: list[str]) -> Callable[..., Any]:
    """The same, which adds its name to the events."""

    def call(*given: Any, **named: Any) -> Any:
        events.append(name)
        return real(*given, **named)

    return call


def test_saving_is_in_no_cost(small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = make_task(configure({"task": "gan", **small}), workers=1)
    events: list[str] = []
    for of, name in (
        (Clock, "__init__"),
        (Clock, "cost"),
        (Clock, "test_cost"),
        (FolderCheckpoints, "save"),
        (FolderCheckpoints, "exhibit"),
    ):
        monkeypatch.setattr(of, name, noted(name, getattr(of, name), events))
    task.interval(job(tmp_path, proposal(0), proposal(1)))
    assert events == ["__init__", "cost", *2 * ["__init__", "test_cost", "save", "exhibit"]]


def test_a_long_evaluation_says_that_it_is_alive(small: dict[str, Any], tmp_path: Path) -> None:
    task = make_task(configure({"task": "gan", **small, "evaluations": 3, "samples": 2 * CHUNK + 1}), workers=1)
    told: list[tuple[int, int | None]] = []
    task.interval(job(tmp_path, proposal(4, units=1)), lambda units, proposal=None: told.append((units, proposal)))
    assert told.count((0, 4)) == 1 + 3 * 3


def test_members_of_a_generation_meet_the_same_latent_vectors_and_the_test_meets_others(
    small: dict[str, Any], tmp_path: Path
) -> None:
    """Two members with the same weights have the same scores, in one generation."""
    task = make_task(configure({"task": "gan", **small}), workers=1)
    task.interval(job(tmp_path, proposal(0)))
    again = {"parent": 0, "units": 0, "episodes": 3}
    one, other = task.interval(job(tmp_path, proposal(5, **again, generation=2), proposal(6, **again, generation=2)))
    (later,) = task.interval(job(tmp_path, proposal(7, **again, generation=3)))
    assert one.returns == other.returns != later.returns and len(one.returns) == 3
    tested = task.test(FinalTestJob(proposal=0, episodes=range(3), root_seed=0, checkpoints=FolderCheckpoints(tmp_path)))
    assert not set(tested.returns) & {*one.returns, *later.returns}


def test_a_checkpoint_of_another_gan_is_one_line(small: dict[str, Any], tmp_path: Path) -> None:
    wider = make_task(configure({"task": "gan", **small, "channels": 3}), workers=1)
    wider.interval(job(tmp_path, proposal(0)))
    task = make_task(configure({"task": "gan", **small}), workers=1)
    with pytest.raises(rl_pbt.UserError, match="the checkpoint of proposal 0 is not of this GAN"):
        task.winner(0, FolderCheckpoints(tmp_path))


def test_what_is_wrong_with_its_files_is_said_before_torch_is_loaded(tmp_path: Path) -> None:
    words = ["tune", "--task", "gan", "--data", str(tmp_path)]
    script = f"import sys\nfrom rl_pbt.cli.main import main\ntry: main({words!r})\nfinally: print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "False\n"), done.stderr
    assert re.fullmatch(r"error: --data must be 'mnist' or a folder of IDX files, but .* has no .*\n", done.stderr)


@pytest.mark.nightly  # minutes of CPU time
@pytest.mark.skipif(find_spec("mlxtend") is None, reason="needs the extra gan: pip install -e '.[gan]'")
def test_the_published_rates_reach_more_than_half_of_the_highest_score(tmp_path: Path) -> None:
    settings = {"population": 2, "methods": ["hand-tuned"], "anytime_tests": 0, "workers": 1, "quiet": True}
    made = rl_pbt.tune("gan", {}, out=tmp_path / "run", **settings)
    test = read_history(RunFolder(made.folder), "hand-tuned", 0).test
    assert test is not None and np.mean(test.returns) > 5


@pytest.mark.skipif(find_spec("mlxtend") is None, reason="needs the extra gan: pip install -e '.[gan]'")
def test_a_dry_run_says_what_is_trained_and_by_whom_it_is_judged(capsys: pytest.CaptureFixture[str]) -> None:
    task = make_task(config := configure({"task": "gan"}), workers=1)
    told = dict(TYPE.describe(config, task))
    assert told["task"] == "DCGAN on mnist: 2,500 images, 2,500 held out" and "classifier accuracy" in told["evaluated on"]
    assert json.loads(json.dumps(config.to_json())) == config.to_json()
