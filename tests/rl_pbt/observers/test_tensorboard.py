"""What TensorBoard is given: tags, values, and copies, in the task's own words."""

from __future__ import annotations

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from rl_pbt.observers.tensorboard import TensorBoard
from rl_pbt.records import Cost, FinalTest, Proposal, Result
from rl_pbt.space import Space
from rl_pbt.tasks.base import Words

SPACE = Space.parse({"lr": "log:1e-4:1e-1"})
FRAMES = Words(unit="environment frame", short_unit="frame", score="return", episode="episode", baseline="random policy")
SENTENCES = Words(unit="training sentence", short_unit="sentence pair", score="minus BLEU", episode="evaluation")


def watched(folder: Path, words: Words) -> dict[str, EventAccumulator]:
    """A population of two of which the second copies the first, by run."""
    board = TensorBoard(folder, SPACE, words=words, about={"method": "pbt", "seed": 7})
    parents: list[tuple[int | None, int | None]] = [(None, None), (None, None), (0, None), (0, 0)]
    for id_, (parent, hypers_from) in enumerate(parents):
        proposal = Proposal(
            id=id_, member=id_ % 2, generation=id_ // 2, hypers={"lr": 0.01 * (1 + id_), "kind": "a"}, parent=parent, units=50,
            hypers_from=hypers_from,
        )  # fmt: skip
        board.proposed([proposal])
        cost = Cost(train_units=50, eval_units=10, wall_s=2.0)
        result = Result(proposal=id_, fitness=float(id_), cost=cost, metrics={"train/loss": 0.5}, lineage_units=50)
        board.finished(proposal, result, replayed=False)
    board.tested(FinalTest(proposal=3, returns=(1.0, 2.0), cost=Cost()))
    board.close()
    runs = {path.name: EventAccumulator(str(path)) for path in (folder / "tensorboard").iterdir()}
    for run in runs.values():
        run.Reload()
    return runs


@pytest.mark.parametrize(
    ("words", "speed", "test"),
    [(FRAMES, "time/fps", "charts/test_return"), (SENTENCES, "time/sentence_pairs_per_s", "charts/test_minus_BLEU")],
)
def test_tags_are_in_the_tasks_words(tmp_path: Path, words: Words, speed: str, test: str) -> None:
    runs = watched(tmp_path, words)
    assert set(runs) == {"member-00", "member-01", "population", "winner"}
    assert set(runs["member-01"].Tags()["scalars"]) == {"fitness", "hypers/lr", "train/loss", speed}
    assert [(event.step, event.value) for event in runs["member-01"].Scalars(speed)] == [(50, 30.0), (100, 30.0)]
    assert [(event.step, event.value) for event in runs["winner"].Scalars(test)] == [(240, 1.5)], "when all is spent"
    assert [event.value for event in runs["winner"].Scalars("fitness")] == [0.0, 3.0]


def test_copies_and_founders_are_drawn(tmp_path: Path) -> None:
    population = watched(tmp_path, FRAMES)["population"]
    (copied,) = population.Tensors("exploit/text_summary")
    assert copied.tensor_proto.string_val == [b"member 1 copies member 0: kind a -> a, lr 0.01 -> 0.04"]
    assert population.Scalars("diversity/surviving_founders")[-1].value == 1
    best = [(event.step, event.value) for event in population.Scalars("charts/best_fitness")]
    assert best == [(60, 0), (120, 1), (180, 2), (240, 3)], "against what the whole population has spent, evaluation included"
    assert min(population.Tags()["scalars"]).startswith("charts/"), "what comes first on the page"


def test_the_page_of_hyperparameters_tells_runs_apart(tmp_path: Path) -> None:
    told = watched(tmp_path, FRAMES)["winner"].summary_metadata["_hparams_/session_start_info"].plugin_data.content
    hypers = HParamsPluginData.FromString(told).session_start_info.hparams
    assert (hypers["about/method"].string_value, hypers["about/seed"].number_value) == ("pbt", 7)
    assert (hypers["first/lr"].number_value, hypers["last/lr"].number_value) == (0.01, 0.04)
