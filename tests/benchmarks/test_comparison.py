"""The comparison of all methods, on a handful of frames."""

import json
import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import comparison, measuring
from rl_pbt.cli.command import main as command_main
from rl_pbt.errors import UserError
from rl_pbt.report.evidence import Evidence
from rl_pbt.search import METHODS
from rl_pbt.store.run import RunFolder

REFERENCE = Path(__file__).resolve().parents[2] / "results" / "reference" / "comparison"

FLAGS = [
    "--env", "CartPole-v1", "--frames", "800", "--interval", "200", "--agent-options", "envs_per_member=4",
    "--eval-episodes", "2", "--test-episodes", "2", "--executor", "inline", "--seeds", "2",
]  # fmt: skip


def drawn_quickly(run: RunFolder, evidence: Evidence, sheets: object) -> list[str]:
    """One plot, to be trimmed."""
    (run.folder / "plots").mkdir(exist_ok=True)
    (run.folder / "plots" / "test_scores.png").write_bytes(b"drawn")
    return ["plots/test_scores.png"]


def in_this_process(command: list[str], *, check: bool) -> SimpleNamespace:
    """What a process of its own would do, without the time that it takes to start."""
    assert command[1:3] == ["-m", "rl_pbt.bench"] and not check
    return SimpleNamespace(returncode=command_main(command[3:], "python -m rl_pbt.bench"))


def test_every_method_is_compared() -> None:
    assert {*comparison.METHODS_AT_ONCE, "grid", "default-warmup", "replay-schedule", "replay-final", "replay-random"} == set(
        METHODS
    )


def test_the_runs_that_have_both_methods_declare_the_primary_contrast() -> None:
    def declaring(primary: str) -> set[str]:
        return {name for name, flags in comparison.runs(Path("out"), [], primary).items() if "--primary" in flags}

    assert declaring("pbt:random") == {"methods", "population-4", "population-16", "population-32"}
    assert declaring("pbt:asha") == {"methods"} and declaring("replay-schedule:replay-final") == {"replay"}


def test_runs_are_gathered_drawn_and_trimmed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "subprocess", SimpleNamespace(run=in_this_process))
    monkeypatch.setattr("rl_pbt.report.writing._draw", drawn_quickly)
    monkeypatch.setattr(comparison, "METHODS_AT_ONCE", ["pbt", "random", "asha"])
    monkeypatch.setattr(comparison, "POPULATIONS", (2, 3))
    monkeypatch.setattr(comparison, "MAIN_POPULATION", 2)
    primary = ["--primary", "pbt:random"]
    comparison.main([*FLAGS, *primary, "--out", str(tmp_path), "--trim", "--only", "methods"])
    assert list(tmp_path.rglob("ledger.jsonl")), "the schedule is yet to be replayed"
    comparison.main([*FLAGS, *primary, "--out", str(tmp_path), "--trim"])
    found = json.loads((tmp_path / "comparison.json").read_text())
    assert list(found) == ["methods", "population-3", "replay"]
    assert set(found["methods"]["methods"]) == {"pbt", "random", "asha"} and found["methods"]["seeds"] == 2
    assert set(found["replay"]["methods"]) == {"replay-schedule", "replay-final", "replay-random"}
    assert all(one["frames"] > 2000 for one in found["methods"]["methods"].values())
    page = (tmp_path / "comparison.md").read_text()
    assert page.count("\n| pbt |") == 2 and "replay-schedule" in page
    declared = [[one["family"] for one in run["comparisons"]] for run in found.values()]
    assert declared == [["primary", "further"], ["primary"], ["all", "all"]]
    assert page.count("Primary contrast, declared before the run: pbt minus random, ") == 2
    comparison.main([*FLAGS, *primary, "--out", str(tmp_path)])
    assert json.loads((tmp_path / "comparison.json").read_text()) == found, "what was trimmed is kept as it is"
    for other in (["--frames", "900", *primary], []):
        with pytest.raises(SystemExit):
            comparison.main([*FLAGS, *other, "--out", str(tmp_path)])
    left = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {*measuring.KEPT, "comparison.json", "comparison.md", "methods.png", "populations.png"}


@pytest.mark.parametrize("folder", sorted(REFERENCE.iterdir()), ids=lambda folder: folder.name)
def test_a_committed_comparison_can_be_read_and_is_not_run_again(folder: Path) -> None:
    """Its runs were trimmed, and are of version 1."""
    committed = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    found = comparison.gather(folder)
    assert found == committed and set(found) >= {"methods", "replay"}
    page = comparison.page(folder.name, found)
    assert all(f"\n| {name} | " in page for name in found["methods"]["methods"])
    flags = shlex.split(found["methods"]["command"])[3:]
    comparison.run(folder / "methods", flags)
    with pytest.raises(UserError, match="use those flags"):
        comparison.run(folder / "methods", [*flags, "--device", "cpu"])


def test_what_the_bench_refuses_ends_the_comparison(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        comparison.main([*FLAGS, "--frames", "-1", "--out", str(tmp_path)])
    told = capfd.readouterr().err
    assert ended.value.code == 2
    assert "must be above 0, but is -1" in told and "Traceback" not in told
    assert not list(tmp_path.rglob("*"))
