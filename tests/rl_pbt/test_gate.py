"""The gate of the open house: a training of forty lines, and a program, get all that agents get."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import rl_pbt
from rl_pbt import report
from rl_pbt.cli.main import main
from rl_pbt.options import fields_of
from rl_pbt.records import FinalTest
from rl_pbt.search import METHODS
from rl_pbt.store.history import read_history
from rl_pbt.store.run import RunFolder

TRAININGS = Path(__file__).with_name("trainings")
SEARCH = {"rate": "log:1e-4:1e-1", "momentum": "linear:0:0.95", "batch": "int:1:16"}
HYPERS = {"rate": 0.01, "momentum": 0.5, "batch": 8}  # as if somebody had tuned it by hand
SMALL: dict[str, Any] = {"population": 4, "budget": 60, "interval": 10, "group_size": 2, "test_episodes": 3, "quiet": True}
CLASS_WORDS = [
    "--task", "regression:Regression", "--search", *(f"{name}={text}" for name, text in SEARCH.items()), "--population", "4",
    "--budget", "60", "--interval", "10", "--group-size", "2", "--test-episodes", "3",
]  # fmt: skip
PROGRAM_WORDS = ["--search", "rate=log:1e-3:1e-1", "--population", "2", "--budget", "6", "--interval", "2", "--group-size", "1"]
PROGRAM = ["--", "sh", "regression.sh"]


@pytest.fixture(autouse=True)
def trainings_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TRAININGS))
    monkeypatch.chdir(TRAININGS)


def regression() -> type[Any]:
    from regression import Regression

    found: type[Any] = Regression
    return found


def command(*words: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("undrawn.py")), *words]
    return subprocess.run(line, capture_output=True, text=True, timeout=timeout, check=False, cwd=TRAININGS)


def timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: timeless(inner)
            for key, inner in value.items()
            if key not in ("time", "cpu_s", "wall_s", "method_s", "eval_cpu_s", "crc")
        }
    return [timeless(inner) for inner in value] if isinstance(value, list) else value


def ledgers(folder: Path) -> dict[str, Any]:
    return {
        str(path.relative_to(folder)): [timeless(json.loads(line)) for line in path.read_text().splitlines()]
        for path in sorted(folder.rglob("ledger.jsonl"))
    }


def run_test(run: rl_pbt.Run) -> FinalTest:
    test = read_history(RunFolder(run.folder), "pbt", 0).test
    assert test is not None
    return test


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> rl_pbt.Run:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(TRAININGS))
        out = tmp_path_factory.mktemp("runs") / "run"
        return rl_pbt.tune(regression(), SEARCH, hypers=HYPERS, workers=1, seeds=range(3), out=out, score="minus MSE", **SMALL)


def test_a_class_is_tuned_through_the_api(run: rl_pbt.Run) -> None:
    assert run.manifest.status == "finished" and "minus MSE" in run.verdict
    summary = run.summary.to_json()
    for method in ("pbt", "random"):
        for seed in ("0", "1", "2"):
            cost = summary["methods"][method]["seeds"][seed]["cost"]  # type: ignore[index, call-overload]
            assert cost["train_units"] == 240 and cost["eval_units"] == 0  # type: ignore[index, call-overload]
    page = (run.folder / "summary.md").read_text()
    assert "minus MSE" in page and "update" in page
    assert "The training has no separate test" in page and not run_test(run).held_out
    assert not re.search(r"\bframes?\b|\bepisodes?\b|\breturns?\b|random policy", page), "a word of reinforcement learning"
    assert list((run.folder / "plots").glob("*.png")) and list(run.folder.rglob("events.out.tfevents.*"))


def test_its_winner_is_loaded_in_three_lines(run: rl_pbt.Run) -> None:
    found = rl_pbt.load(run.folder, task=regression())
    winner = found.winner("pbt", 0)
    assert winner.evaluate(1)[0] > -1
    schedule = found.schedule("pbt", 0)
    assert [row["lineage_units"] for row in schedule] == list(range(10, 70, 10))
    assert winner.rate == schedule[-1]["rate"] and winner.batch == schedule[-1]["batch"]
    with pytest.raises(rl_pbt.UserError, match="task=MyTraining"):
        rl_pbt.load(run.folder).winner("pbt", 0)
    with pytest.raises(rl_pbt.UserError, match="did you mean 'pbt'"):
        found.winner("pbtt")


def test_rows_are_one_plain_record_for_each_interval(run: rl_pbt.Run) -> None:
    rows = run.rows()
    assert len(rows) == 2 * 3 * 4 * 6
    assert json.loads(json.dumps(rows)) == rows
    assert {"method", "seed", "member", "generation", "fitness", "rate", "momentum", "batch", "train_units"} <= rows[0].keys()


def test_nothing_of_the_users_is_imported_by_a_report(run: rl_pbt.Run) -> None:
    script = f"import rl_pbt, sys; rl_pbt.load({str(run.folder)!r}).report(); print('regression' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout == "False\n"


def test_importing_the_package_loads_nothing_heavy() -> None:
    script = "import rl_pbt, sys; print(dir(rl_pbt), [name for name in ('torch', 'gymnasium', 'numpy') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "'bench'" in done.stdout and "'tune'" in done.stdout and done.stdout.endswith(" []\n")


@pytest.mark.parametrize(
    "task",
    [["--task", "quadratic"], ["--task", "table", "--table", "toy_table.json"], CLASS_WORDS],
    ids=["quadratic", "table", "class"],
)
def test_the_command_loads_torch_for_nothing_that_does_without(task: list[str]) -> None:
    words = ["tune", *task, "--dry-run"]
    script = f"import sys\nfrom rl_pbt.cli.main import main\ntry: main({words!r})\nfinally: print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=TRAININGS)
    assert done.returncode == 0, done.stderr
    assert "\ntime " in done.stdout and done.stdout.endswith("\nFalse\n")


@pytest.mark.parametrize("method", [name for name, entry in METHODS.items() if not entry.replays])
def test_every_method_tunes_it(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rl_pbt.report.write_report", report.summarise)  # pages take longer than the run
    population = 8 if method == "mf-pbt" else 4
    settings = {
        **SMALL,
        "population": population,
        "methods": [method],
        **({"annealed": "rate"} if "annealed" in fields_of(METHODS[method].options) else {}),
    }
    try:
        run = rl_pbt.tune(regression(), SEARCH, hypers=HYPERS, workers=1, out=tmp_path / "run", **settings)
    except rl_pbt.UserError as error:
        if "not installed" in str(error):
            pytest.skip(str(error))
        raise
    seed = run.summary.to_json()["methods"][method]["seeds"]["0"]  # type: ignore[index, call-overload]
    spent = seed["cost"]["train_units"]  # type: ignore[index, call-overload]
    assert 0.9 * population * 60 <= spent <= population * 60
    assert run.winner(method, 0).evaluate(1)


def test_a_schedule_is_replayed(run: rl_pbt.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rl_pbt.report.write_report", report.summarise)
    settings = {**SMALL, "methods": [f"replay:{run.folder}", "random"]}
    replay = rl_pbt.tune(regression(), SEARCH, hypers=HYPERS, workers=1, out=tmp_path / "run", **settings)
    assert set(replay.config.methods) == {"replay-schedule", "replay-final", "replay-random", "random"}
    final = {(row["rate"], row["momentum"], row["batch"]) for row in replay.rows() if row["method"] == "replay-final"}
    last = run.schedule("pbt", 0)[-1]
    assert final == {(last["rate"], last["momentum"], last["batch"])}


def test_the_command_line_does_the_same_with_one_and_two_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rl_pbt.report.write_report", report.summarise)
    for workers in ("1", "2"):
        done = command("tune", *CLASS_WORDS, "--workers", workers, "--out", str(tmp_path / workers))
        assert done.returncode == 0, done.stderr
        assert "report" in done.stdout
    assert ledgers(tmp_path / "1") == ledgers(tmp_path / "2")
    api = rl_pbt.tune("regression:Regression", SEARCH, workers=1, out=tmp_path / "api", **SMALL)
    assert ledgers(api.folder) == ledgers(tmp_path / "1")


def test_a_dry_run_of_it_says_what_it_is_in_its_own_words(tmp_path: Path) -> None:
    done = command("tune", *CLASS_WORDS, "--unit", "batch", "--dry-run", "--out", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    assert "60 batches per member" in done.stdout
    assert "frame" not in done.stdout and not (tmp_path / "run").exists()


# Every day after some events, at night after each of them.
SOME_OR_ALL = pytest.mark.parametrize("step", [4, pytest.param(1, marks=pytest.mark.nightly)], ids=["some", "all"])


def killed(step: int, folder: Path, *words: str) -> int:
    """How often a run was killed, each time after more of its events."""
    script = Path(__file__).with_name("killing.py")
    line = [sys.executable, "-W", "ignore", str(script), str(folder), *words]
    environment = {**os.environ, "KILL_EVERY": str(step)}
    done = subprocess.run(line, capture_output=True, text=True, timeout=2900, check=False, cwd=TRAININGS, env=environment)
    assert done.returncode == 0, done.stderr
    kills = re.fullmatch(r"(\d+) kills\n", done.stdout)
    assert kills, done.stdout
    return int(kills[1])


@SOME_OR_ALL
def test_killed_after_every_event_a_class_ends_as_if_nothing_had_happened(step: int, tmp_path: Path) -> None:
    words = [*CLASS_WORDS, "--population", "2", "--budget", "30", "--group-size", "1", "--executor", "inline", "--methods", "pbt"]
    assert killed(step, tmp_path, *words) > 10 / step


@SOME_OR_ALL
def test_killed_after_every_event_a_program_does_too(step: int, tmp_path: Path) -> None:
    words = [*PROGRAM_WORDS, "--budget", "4", "--methods", "pbt", "--executor", "inline"]
    assert killed(step, tmp_path, *words, *PROGRAM) > 5 / step


@pytest.fixture
def translation_words(tmp_path: Path) -> list[str]:
    """Of translators of a corpus that is made here."""
    pytest.importorskip("sentencepiece", reason="needs the extra translation: pip install -e '.[translation]'")
    pytest.importorskip("sacrebleu", reason="needs the extra translation: pip install -e '.[translation]'")
    from toy_sentences import SMALL as OF_TRANSLATORS
    from toy_sentences import written

    (tmp_path / "corpus").mkdir()
    words = [word for name, value in OF_TRANSLATORS.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    return ["--task", "translation", "--corpus", *written(tmp_path / "corpus"), *words, "--budget", "20", "--interval", "10"]


@SOME_OR_ALL
def test_killed_after_every_event_translators_do_too(step: int, tmp_path: Path, translation_words: list[str]) -> None:
    words = ["--population", "2", "--group-size", "1", "--methods", "pbt", "--anytime-tests", "1", "--executor", "inline"]
    assert killed(step, tmp_path, *translation_words, *words) > 8 / step


def test_translators_are_tuned_with_one_and_two_workers(tmp_path: Path, translation_words: list[str]) -> None:
    for workers in ("1", "2"):
        words = ["--population", "4", "--group-size", "2", "--workers", workers, "--out", str(tmp_path / workers)]
        done = command("tune", *translation_words, *words)
        assert done.returncode == 0, done.stderr
    assert ledgers(tmp_path / "1") == ledgers(tmp_path / "2")


def test_a_program_is_tuned_with_one_and_two_workers(tmp_path: Path) -> None:
    for workers in ("1", "2"):
        out = str(tmp_path / workers)
        done = command("tune", *PROGRAM_WORDS, "--workers", workers, "--out", out, *PROGRAM)
        assert done.returncode == 0, done.stderr
    assert ledgers(tmp_path / "1") == ledgers(tmp_path / "2")
    winner = rl_pbt.load(tmp_path / "1").winner("pbt", 0)
    assert abs(float(winner.files["x"]) ** 2 - 2) < 1
    done = command("tune", *PROGRAM_WORDS, "--dry-run", *PROGRAM)
    assert done.returncode == 0 and "regression.sh" in done.stdout


def test_the_command_cannot_take_the_place_of_the_function() -> None:
    lines = ["import rl_pbt", "try:", "    import rl_pbt.bench", "except ImportError as error:", "    print(error)"]
    script = "\n".join([*lines, "print(callable(rl_pbt.bench))"])
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "is a function" in done.stdout and done.stdout.endswith("True\n")


def test_progress_ends_at_the_whole_budget_where_it_is_no_multiple_of_the_quantum(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rl_pbt.report.write_report", report.summarise)
    settings = {**SMALL, "budget": 100, "interval": 20, "quantum": 16, "quiet": False, "methods": ["random"]}
    rl_pbt.tune(regression(), SEARCH, workers=1, out=tmp_path / "run", **settings)
    assert "100% of the budget (384 updates)" in capsys.readouterr().out


UNLICENSED = """
from regression import Regression

class Unlicensed(Regression):
    def train(self, budget):
        raise RuntimeError("no licence for this machine")
"""


def test_a_dry_run_in_which_every_member_fails_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It used to say that training takes no time."""
    (tmp_path / "unlicensed.py").write_text(UNLICENSED)
    monkeypatch.syspath_prepend(str(tmp_path))
    words = ["unlicensed:Unlicensed" if word == "regression:Regression" else word for word in CLASS_WORDS]
    with pytest.raises(SystemExit) as left:
        main(["tune", *words, "--dry-run"])
    told = capsys.readouterr()
    assert left.value.code == 2 and "all members that were tried fail" in told.err and "no licence for this machine" in told.err
    assert not told.out and told.err.count("\n") == 1
