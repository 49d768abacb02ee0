"""Translation as a task: its settings, its runs, its corpus that must stay the same."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rl_pbt
from rl_pbt import controller
from rl_pbt.cli.main import main
from rl_pbt.errors import BadSetting, UserError
from rl_pbt.making import configure, make_task
from rl_pbt.opening import open_run
from rl_pbt.records import Proposal
from rl_pbt.running import execute, prepare
from rl_pbt.store.checkpoints import FolderCheckpoints
from rl_pbt.store.history import read_history
from rl_pbt.store.ledger import Ledger
from rl_pbt.store.run import RunFolder
from rl_pbt.tasks.base import IntervalJob
from rl_pbt.tasks.clock import Clock
from rl_pbt.tasks.translation import TYPE, catalogues
from rl_pbt.tasks.translation.interval import TranslationTask
from rl_pbt.tasks.translation.material import material_of
from rl_pbt.tasks.translation.options import PACKAGES
from rl_pbt.tasks.translation.settings import TEST_PARTS

TRAININGS = Path(__file__).parents[2] / "trainings"
pytestmark = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("sentencepiece", "sacrebleu")),
    reason="needs the extra translation: pip install -e '.[translation]'",
)


@pytest.fixture(autouse=True)
def trainings_on_the_path() -> Iterator[None]:
    sys.path.insert(0, str(TRAININGS))
    yield
    sys.path.remove(str(TRAININGS))


@pytest.fixture
def corpus(tmp_path: Path) -> list[str]:
    from toy_sentences import written

    return written(tmp_path)


def small(corpus: list[str], **others: Any) -> dict[str, Any]:
    from toy_sentences import SMALL

    return {"task": "translation", "corpus": corpus, **SMALL, **others}


def tuned(corpus: list[str], out: Path, **others: Any) -> rl_pbt.Run:
    settings = {"population": 4, "budget": 60, "interval": 20, "anytime_tests": 0, "methods": ["pbt", "random"], **others}
    settings = {**{n: v for n, v in small(corpus).items() if n != "task"}, **settings}
    return rl_pbt.tune("translation", {}, out=out, quiet=True, **settings)


def interval(task: TranslationTask, folder: Path, *hypers: dict[str, float], units: int = 30) -> list[Any]:
    proposals = tuple(
        Proposal(id=n, member=n, generation=0, hypers={**one}, parent=None, units=units) for n, one in enumerate(hypers)
    )
    checkpoints = FolderCheckpoints(folder / "checkpoints")
    return task.interval(IntervalJob(proposals=proposals, lineage_units=(0,) * len(hypers), root_seed=0, checkpoints=checkpoints))


def test_its_defaults_are_whole(corpus: list[str]) -> None:
    config = configure({"task": "translation", "corpus": corpus, "vocabulary": 120})
    assert (config.population, config.test_episodes) == (8, 8)
    assert set(config.search) == set(config.hypers) == {
        "learning_rate", "attention_dropout", "residual_dropout", "relu_dropout", "embedding_dropout",
    }  # fmt: skip
    assert sum(config.task_options["pairs"].values()) <= 400 and len(config.task_options["digest"]) == 32
    assert "tok:13a" in config.task_options["signature"] or "tokenizer:13a" in config.task_options["signature"]
    assert config.task_options["signature"] in TYPE.evaluation(config.task_options)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"search": {"dropout": 0.1}}, "names an unknown hyperparameter 'dropout'"),
        (
            {"search": {"relu_dropout": "linear:0:1"}},
            "search cannot use relu_dropout: it must be 0 or more and at most 0.9, but is 1",
        ),
        ({"hypers": {"learning_rate": -1.0}}, "hypers cannot use learning_rate: it must be 0 or more, but is -1"),
        ({"hypers": {"learning_rate": "fast"}}, "cannot set learning_rate to 'fast'"),
        ({"width": 18}, "width must be a multiple of twice the number of heads, 2, but is 18"),
        ({"label_smoothing": 1.0}, "label_smoothing must be 0 or more and below 1, but is 1"),
        ({"vocabulary": 30_000}, "vocabulary cannot be 30000 for"),
        ({"layers": 10_000}, "layers must be 12 or less, but is 10000"),
        ({"test_episodes": 9}, "test_episodes must be 8 or less, but is 9"),
        ({"corpus": []}, "corpus must name a package, a file or a folder"),
        ({"corpus": ["numpy"] * 101}, "corpus must have 100 entries or less, but has 101"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(corpus: list[str], wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(BadSetting) as error:
        configure({**small(corpus), **wrong})
    assert said in str(error.value) and "\n" not in str(error.value)


def test_without_its_packages_one_line_says_what_installs_them(
    corpus: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(catalogues, "import_module", absent)
    with pytest.raises(SystemExit) as ended:
        main(["tune", "--task", "translation", "--corpus", *corpus, "--vocabulary", "120", "--dry-run"])
    said = capsys.readouterr().err
    assert ended.value.code == 2 and said.count("\n") == 1
    assert "which is not installed: pip install -e '.[translation]'" in said


def test_it_learns_the_language(tmp_path: Path) -> None:
    """Word by word the same: a translator that has learned it scores far above a lookup, and above one that has not."""
    from toy_sentences import written

    corpus = written(tmp_path, 800)
    task = make_task(configure(small(corpus, vocabulary=180, width=32, feedforward=64, batch_tokens=256)), 1)
    assert isinstance(task, TranslationTask)
    dropouts = {f"{kind}_dropout": 0.0 for kind in ("attention", "residual", "relu", "embedding")}
    early, late = (interval(task, tmp_path, {"learning_rate": 5e-3, **dropouts}, units=n)[0] for n in (5, 400))
    baseline = float(np.mean(task.baseline(0, 8).returns))
    assert 1 < baseline < 10 and late.fitness > 20 > 5 > early.fitness
    sources = [pair.source for pair in task.material.corpus.train[:40]]
    translations = task.winner(0, FolderCheckpoints(tmp_path / "checkpoints")).translate(sources)
    right = sum(a == pair.target for a, pair in zip(translations, task.material.corpus.train, strict=False))
    assert right >= 20, f"{right} of 40 sentences that it was trained on"


def test_a_test_is_translated_once(corpus: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many parts it has: a job of the controller has as many, and a leader is tested on as many as the winner."""
    assert TEST_PARTS == controller.TEST_EPISODES_PER_JOB
    tested: list[Any] = []
    test = TranslationTask.test

    def noting(self: TranslationTask, job: Any, advance: Any) -> Any:
        tested.append((job.proposal, *job.episodes))
        return test(self, job, advance)

    monkeypatch.setattr(TranslationTask, "test", noting)
    tuned(corpus, tmp_path / "run", methods=["pbt"], executor="inline", workers=1, anytime_tests=4)
    assert len(tested) == len(set(tested)) > 1 and {one[1:] for one in tested} == {tuple(range(8))}


def test_what_an_interval_costs_ends_before_it_is_saved(
    corpus: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make_task(configure(small(corpus)), 1)
    asked: list[str] = []
    cost, save = Clock.cost, FolderCheckpoints.save
    monkeypatch.setattr(Clock, "cost", lambda self, **spent: (asked.append("cost"), cost(self, **spent))[1])
    monkeypatch.setattr(FolderCheckpoints, "save", lambda self, *saved: (asked.append("save"), save(self, *saved))[1])
    interval(task, tmp_path, {"learning_rate": 1e-3}, {"learning_rate": 2e-3}, units=2)
    assert asked == ["cost", "save", "save"]


def test_a_member_that_diverges_fails_alone(corpus: list[str], tmp_path: Path) -> None:
    task = make_task(configure(small(corpus)), 1)
    one, ill, other = interval(task, tmp_path, {"learning_rate": 1e-3}, {"learning_rate": 1e30}, {"learning_rate": 2e-3})
    assert ill.failure is not None and "diverged" in ill.failure and ill.cost.train_units == 30
    (alone,) = interval(task, tmp_path, {"learning_rate": 1e-3})
    assert (one.fitness, one.returns) == (alone.fitness, alone.returns) and other.failure is None


def test_whole_numbers_of_a_run_and_its_report(corpus: list[str], tmp_path: Path) -> None:
    run = tuned(corpus, tmp_path / "run", methods=["pbt-tournament", "random", "default-warmup"], factors=[1.2, 0.8])
    page = (run.folder / "summary.md").read_text(encoding="utf-8")
    for said in ("BLEU", "lookup of the most similar sentence", "tok", "without near-duplicates of them",
                 "8 parts on sentences that were not used for selection", "on these sentences, not on others"):  # fmt: skip
        assert said in page, said
    assert " on seeds that" not in page and "held-out seeds" not in (run.folder / "report.html").read_text(encoding="utf-8")
    rates = [row["learning_rate"] for row in run.rows() if row["method"] == "default-warmup" and row["member"] == 0]
    peak = run.config.hypers["learning_rate"]
    assert rates[:3] == pytest.approx([peak * (0.1 / m) ** 0.5 for m in (1 / 6, 0.5, 5 / 6)])
    assert run.winner("random", 0).translate(["one two"])[0] is not None
    with pytest.raises(UserError, match=r"cannot translate a text that is not in a list: write \['one two'\]"):
        run.winner("random", 0).translate("one two")
    with pytest.raises(UserError, match="is no policy"):
        run.export(tmp_path / "x.onnx")


def test_a_run_is_resumed_with_the_same_corpus_wherever_it_lies_or_not_at_all(
    corpus: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trained(settings: dict[str, Any], **where: Path) -> list[Any]:
        execute(prepare(open_run(settings, **where), workers=1), command="test")
        trials = read_history(RunFolder(next(iter(where.values()))), "pbt", 0).trials
        return [(trial.proposal, trial.result.returns, trial.result.digest) for trial in trials]

    settings = small(corpus, methods=["pbt"], population=4, budget=60, interval=20, anytime_tests=0)
    expected = trained(settings, out=tmp_path / "whole")
    with monkeypatch.context() as patch:
        append, left = Ledger.append, iter(range(3))

        def stopping(self: Ledger, events: Any) -> None:
            if next(left, None) is None:
                raise KeyboardInterrupt
            append(self, events)

        patch.setattr(Ledger, "append", stopping)
        with pytest.raises(KeyboardInterrupt):
            trained(settings, out=tmp_path / "run")
    moved = [str(Path(path).rename(tmp_path / f"moved.{side}")) for side, path in enumerate(corpus)]
    with pytest.raises(BadSetting, match=r"names .*toy\.first, which is neither .*: say where it lies now"):
        trained({}, resume=tmp_path / "run")
    others = [str(tmp_path / name) for name in ("other.first", "other.second")]
    for path, other in zip(moved, others, strict=True):
        Path(other).write_text(Path(path).read_text(encoding="utf-8").replace("a", "o", 1), encoding="utf-8")
    with pytest.raises(UserError, match=r"not the one that this run began with: restore other\.first, other\.second"):
        trained({"corpus": others}, resume=tmp_path / "run")
    assert trained({"corpus": moved}, resume=tmp_path / "run") == expected
    assert RunFolder(tmp_path / "run").manifest().config.task_options["corpus"] == corpus


def test_what_has_changed_is_read_again_in_the_same_process(corpus: list[str]) -> None:
    before = configure(small(corpus)).task_options["digest"]
    assert configure(small(corpus)).task_options["digest"] == before
    path = Path(corpus[1])
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("a", "o", 1), encoding="utf-8")  # as long as before
    config = configure(small(corpus))
    assert config.task_options["digest"] != before
    make_task(config, 1)


def test_another_way_to_compute_bleu_is_refused(corpus: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from rl_pbt.tasks.translation import making

    config = configure(small(corpus))
    monkeypatch.setattr(making, "signature", lambda: "nrefs:1|tok:other")
    with pytest.raises(UserError, match="BLEU is computed in another way"):
        make_task(config, 1)


def test_sub_words_are_the_same_in_every_process(corpus: list[str]) -> None:
    import subprocess

    script = (
        f"from rl_pbt.tasks.translation.material import material_of;print(material_of({tuple(corpus)!r}, 'de', 120, 8).digest)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == material_of(tuple(corpus), "de", 120, 8).digest


def test_a_dry_run_says_what_is_translated_and_how_it_is_judged(
    corpus: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rl_pbt.cli.dry_run.measure", lambda config, task: (_pace(), 1))
    words = ["tune", "--task", "translation", "--corpus", *corpus, "--vocabulary", "120", "--width", "16", "--heads", "2"]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--dry-run", "--out", str(tmp_path / "none")])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "toy.first, toy.second: pairs train" in said and "Transformer of 1 + 1 layer" in said and "tok" in said


def _pace() -> Any:
    from rl_pbt.cli.dry_run import Pace

    return Pace(start_s=1.0, units_per_s=10.0)


def test_of_the_default_packages_those_that_have_the_language_are_read() -> None:
    try:
        config = configure({"task": "translation", "language": "fr"})
    except UserError as error:
        if "install" not in str(error):
            raise
        pytest.skip(str(error))
    assert set(config.task_options["corpus"]) < {*PACKAGES} and "gramps" in config.task_options["corpus"]
    assert set(config.task_options["packages"]) == set(config.task_options["corpus"])
    with pytest.raises(BadSetting, match="language cannot be 'xx', in which none of gramps, "):
        configure({"task": "translation", "language": "xx"})


@pytest.mark.nightly  # minutes of CPU time
def test_at_the_defaults_the_hand_made_schedule_beats_the_lookup(tmp_path: Path) -> None:
    settings = {"population": 2, "methods": ["default-warmup"], "anytime_tests": 0, "workers": 1, "quiet": True}
    try:
        run = rl_pbt.tune("translation", {}, out=tmp_path / "run", **settings)
    except UserError as error:
        pytest.skip(str(error))
    test, baseline = read_history(RunFolder(run.folder), "default-warmup", 0).test, run.manifest.baseline
    assert test is not None and baseline is not None and np.mean(test.returns) > np.mean(baseline)


def test_the_real_corpus_is_read_and_its_versions_are_recorded() -> None:
    try:
        config = configure({"task": "translation"})
    except UserError as error:
        pytest.skip(str(error))
    assert set(config.task_options["packages"]) == set(config.task_options["corpus"])
    assert json.loads(json.dumps(config.to_json())) == config.to_json()
    task = make_task(config, 1)
    assert isinstance(task, TranslationTask)
    looked_up = float(np.mean(task.baseline(0, 8).returns))
    assert 2 < looked_up < 10, looked_up
