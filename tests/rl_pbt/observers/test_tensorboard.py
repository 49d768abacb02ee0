"""What TensorBoard is given: runs, tags, values, copies, pages, in the task's own words."""

from __future__ import annotations

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from rl_pbt.observers.curves import OF_POPULATION, Curves
from rl_pbt.observers.tensorboard import TensorBoard, add_pictures
from rl_pbt.records import TRAINING_SCORE, Cost, FinalTest, Proposal, Result
from rl_pbt.space import Space
from rl_pbt.store.run import RunFolder
from rl_pbt.tasks.words import Words

SPACE = Space.parse({"lr": "log:1e-4:1e-1", "kind": "choice:a:b"})
FRAMES = Words(unit="environment frame", short_unit="frame", score="return", episode="episode", baseline="random policy")
SENTENCES = Words(unit="training sentence", short_unit="sentence pair", score="minus BLEU", episode="evaluation")
ABOUT = {"method": "pbt", "seed": 7, "population": 2, "task": "a2c on CartPole-v1"}


def watched(folder: Path, words: Words = FRAMES) -> dict[str, EventAccumulator]:
    """A population of two of which the second copies the first, by run."""
    board = TensorBoard(RunFolder(folder), "pbt", 7, SPACE, words=words, about=ABOUT)
    curves = Curves(SPACE, words=words, sinks=[board])
    parents: list[tuple[int | None, int | None]] = [(None, None), (None, None), (0, None), (0, 0)]
    for id_, (parent, hypers_from) in enumerate(parents):
        proposal = Proposal(
            id=id_, member=id_ % 2, generation=id_ // 2, hypers={"lr": 0.01 * (1 + id_), "kind": "a"}, parent=parent, units=50,
            hypers_from=hypers_from,
        )  # fmt: skip
        curves.proposed([proposal])
        cost = Cost(train_units=50, eval_units=10, wall_s=2.0)
        result = Result(proposal=id_, fitness=float(id_), cost=cost, metrics={"train/loss": 0.5}, lineage_units=50)
        curves.finished(proposal, result, replayed=False)
    curves.incumbent_tested(FinalTest(proposal=1, returns=(0.5,), cost=Cost()), 120)
    curves.tested(FinalTest(proposal=3, returns=(1.0, 2.0), cost=Cost()))
    curves.close()
    return read(folder)


def read(folder: Path) -> dict[str, EventAccumulator]:
    """By the name that a run has under the folder of the whole one."""
    found = {path.parent for path in folder.rglob("events.out.tfevents.*")}
    runs = {path.relative_to(folder).as_posix(): EventAccumulator(str(path)) for path in found}
    for run in runs.values():
        run.Reload()
    return runs


def test_what_stands_for_fitness_where_nobody_is_judged_is_said(tmp_path: Path) -> None:
    board = TensorBoard(RunFolder(tmp_path), "random", 7, SPACE, words=FRAMES, about=ABOUT)
    curves = Curves(SPACE, words=FRAMES, sinks=[board])
    for id_ in range(4):
        hypers = {"lr": 0.01, "kind": "a"}
        proposal = Proposal(
            id=id_, member=0, generation=id_, hypers=hypers, parent=id_ - 1 if id_ else None, units=50, episodes=0
        )
        curves.proposed([proposal])
        result = Result(proposal=id_, fitness=None, cost=Cost(train_units=50), metrics={TRAINING_SCORE: float(id_)})
        curves.finished(proposal, result, replayed=False)
    curves.close()
    run = read(tmp_path)["tensorboard/random-s7"]
    assert [event.value for event in run.Scalars("charts/best_fitness")] == [0.0, 1.0, 2.0, 3.0]
    (note,) = run.Tensors("fitness/text_summary")
    assert note.tensor_proto.string_val == [b"of training episodes: members are evaluated only at the end"]


@pytest.mark.parametrize(
    ("words", "speed", "test"),
    [(FRAMES, "time/fps", "charts/test_return"), (SENTENCES, "time/sentence_pairs_per_s", "charts/test_minus_BLEU")],
)
def test_tags_are_in_the_tasks_words(tmp_path: Path, words: Words, speed: str, test: str) -> None:
    runs = watched(tmp_path, words)
    population, member = runs["tensorboard/pbt-s7"], runs["tensorboard_members/pbt-s7/01"]
    assert set(member.Tags()["scalars"]) == {"fitness", "hypers/lr", "train/loss", speed}
    assert [(event.step, event.value) for event in member.Scalars(speed)] == [(50, 30.0), (100, 30.0)]
    assert [(event.step, event.value) for event in population.Scalars(test)] == [(120, 0.5), (240, 1.5)], (
        "the last, when all is spent"
    )
    assert [event.value for event in population.Scalars("winner/fitness")] == [0.0, 3.0]


def test_members_lie_apart_under_short_names(tmp_path: Path) -> None:
    members = {"tensorboard_members/pbt-s7/00", "tensorboard_members/pbt-s7/01"}
    assert set(watched(tmp_path)) == {"tensorboard/pbt-s7", *members}


def test_what_methods_are_compared_by_comes_first_on_equal_axes(tmp_path: Path) -> None:
    population = watched(tmp_path)["tensorboard/pbt-s7"]
    groups = list(dict.fromkeys(tag.split("/")[0] for tag in sorted(population.Tags()["scalars"])))
    assert groups == [*OF_POPULATION, "winner"] and groups[0] == "charts"
    best = [(event.step, event.value) for event in population.Scalars("charts/best_fitness")]
    assert best == [(60, 0), (120, 1), (180, 2), (240, 3)], "against what the whole population has spent, evaluation included"


def test_copies_founders_and_ranges_are_drawn(tmp_path: Path) -> None:
    population = watched(tmp_path)["tensorboard/pbt-s7"]
    (copied,) = population.Tensors("exploit/text_summary")
    assert copied.tensor_proto.string_val == [b"member 1 copies member 0: kind a -> a, lr 0.01 -> 0.04"]
    assert population.Scalars("diversity/surviving_founders")[-1].value == 1
    ends = [population.Scalars(f"population/lr_{which}")[-1].value for which in ("min", "median", "max")]
    assert ends == pytest.approx([0.03, 0.035, 0.04])
    assert not any("kind_" in tag for tag in population.Tags()["scalars"]), "names have no smallest"


def test_the_page_of_hyperparameters_tells_runs_apart(tmp_path: Path) -> None:
    told = watched(tmp_path)["tensorboard/pbt-s7"].summary_metadata
    row = HParamsPluginData.FromString(told["_hparams_/session_start_info"].plugin_data.content).session_start_info.hparams
    assert (row["about/method"].string_value, row["about/seed"].number_value) == ("pbt", 7)
    assert (row["run/population"].number_value, row["run/task"].string_value) == (2, "a2c on CartPole-v1")
    assert (row["hypers/lr/first"].number_value, row["hypers/lr/last"].number_value) == (0.01, 0.04)
    assert sorted(row)[:2] == ["about/method", "about/seed"], "columns are sorted"
    page = HParamsPluginData.FromString(told["_hparams_/experiment"].plugin_data.content).experiment
    assert {metric.name.tag for metric in page.metric_infos} == {"charts/test_return", "winner/fitness"}


def test_the_page_of_custom_scalars_names_curves_that_are_there(tmp_path: Path) -> None:
    population = watched(tmp_path)["tensorboard/pbt-s7"]
    (written,) = population.Tensors("custom_scalars__config__")
    layout = Layout.FromString(written.tensor_proto.string_val[0])
    compared, ranges = layout.category
    tags = set(population.Tags()["scalars"])
    assert [chart.multiline.tag[0].strip("^$") in tags for chart in compared.chart] == [True] * 3
    (lr,) = ranges.chart
    (margin,) = lr.margin.series
    assert {margin.value, margin.lower, margin.upper} <= tags and lr.title == "lr"


def test_a_resumed_run_writes_all_of_them_again(tmp_path: Path) -> None:
    old = tmp_path / "pbt" / "seed-7" / "tensorboard" / "member-00"
    watched(tmp_path)
    old.mkdir(parents=True)
    (old / "events.out.tfevents.1").touch()
    again = watched(tmp_path)
    assert not old.parent.exists(), "where they were before"
    assert len(again["tensorboard/pbt-s7"].Scalars("charts/best_fitness")) == 4
    assert all(len(list((tmp_path / name).iterdir())) == 1 for name in again)


def test_pictures_are_those_of_the_report(finished: Path) -> None:
    runs = read(finished)
    drawn = {path.name for path in (finished / "plots").glob("*-pbt-seed-0.png")}
    assert drawn == {f"{name}-pbt-seed-0.png" for name in ("family-tree", "score-tree", "schedules")}
    for name in ("family-tree", "score-tree", "schedules"):
        (picture,) = runs["tensorboard/pbt-s0"].Images(f"plots/{name}")
        png = (finished / "plots" / f"{name}-pbt-seed-0.png").read_bytes()
        assert picture.encoded_image_string == png and min(picture.width, picture.height) > 100
    assert "plots/family-tree" not in runs["tensorboard/random-s0"].Tags()["images"], "nothing was copied"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the quadratic with its report."""
    import rl_pbt

    small = {"population": 4, "budget": 60, "interval": 20, "workers": 1, "quiet": True}
    return rl_pbt.tune("quadratic", {}, methods=["pbt", "random"], out=tmp_path_factory.mktemp("runs") / "run", **small).folder


@pytest.mark.parametrize(
    "content", [b"", b"\x89PNG\r\n\x1a\n", b"not a picture, whatever its name says, and long enough to be one"]
)
def test_what_is_no_picture_is_left_out(content: bytes, tmp_path: Path) -> None:
    add_pictures(RunFolder(tmp_path), "pbt", 0, {"schedules": content})
    assert not read(tmp_path)
