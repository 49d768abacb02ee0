"""Fig. 2 of Jaderberg 2017 from its ledgers. What each arm reaches over many seeds is in tests/rl_pbt/tasks/test_quadratic.py."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import figure_2
from rl_pbt.records import Proposal, Result
from rl_pbt.store.history import History
from rl_pbt.store.run import RunFolder
from rl_pbt.tasks.base import Advance, IntervalJob, Task
from rl_pbt.tasks.quadratic import START


def test_a_worker_alone_goes_straight_and_ends_far_from_the_maximum(tmp_path: Path) -> None:
    history = figure_2.run_arm(RunFolder(tmp_path), "grid", 0)
    for worker in (0, 1):
        path = figure_2.path_of(history, worker)
        assert [point.steps for point in path] == list(range(0, 201, 10)) and path[0].theta == START
        assert all(point.theta[1 - worker] == 0.9 for point in path)
        assert [point.theta[worker] for point in path] == pytest.approx([0.9 * 0.98**point.steps for point in path])
    assert figure_2.final(history) == pytest.approx(1.2 - 0.9**2, abs=1e-3)


class Killed(Exception):
    """Stands for the end of the process."""


def timeless(history: History) -> list[tuple[Proposal, Result]]:
    """All that was asked for and came of it, without the time that the method took to ask."""
    return [(t.proposal, replace(t.result, cost=replace(t.result.cost, method_s=0.0))) for t in history.trials]


@pytest.mark.parametrize("intervals", [0, 1, 57, 199])
def test_an_arm_that_was_killed_goes_on_to_the_same_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, intervals: int) -> None:
    whole = figure_2.run_arm(RunFolder(tmp_path / "whole"), "pbt", 1)
    left = iter(range(intervals))
    really = IntervalJob.run

    def run(job: IntervalJob, task: Task, advance: Advance) -> list[Result]:
        if next(left, None) is None:
            raise Killed
        return really(job, task, advance)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(IntervalJob, "run", run)
        figure_2.run_arm(RunFolder(tmp_path / "killed"), "pbt", 1)
    killed = RunFolder(tmp_path / "killed").ledger("pbt", 1)
    assert len(killed.read()) == 4 * intervals + 2  # two workers were asked to do this and the next
    assert timeless(figure_2.run_arm(RunFolder(tmp_path / "killed"), "pbt", 1)) == timeless(whole)


def test_figure_and_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        figure_2.main(["--out", str(tmp_path / "run"), "--seeds", "0", "1"])
    assert not ended.value.code
    assert (tmp_path / "run" / "figure_2.png").stat().st_size > 20_000
    lines = capsys.readouterr().out.splitlines()
    means = {line.split()[0]: float(line.split()[3]) for line in lines[1:-1]}
    assert list(means) == list(figure_2.ARMS) and all(line.endswith("(mean over 2 seeds)") for line in lines[1:-1])
    assert means["grid"] == 0.39 < means["explore-only"] < means["pbt"] and means["exploit-only"] == 1.167


def test_the_figure_has_a_plane_for_each_arm(tmp_path: Path) -> None:
    histories = {name: figure_2.run_arm(RunFolder(tmp_path), name, 0) for name in ("pbt", "grid")}
    curves, *planes = figure_2.figure(histories).axes
    labels = [str(line.get_label()) for line in curves.lines]
    assert len(labels) == 5 and [label for label in labels if not label.startswith("_")] == ["pbt", "grid"]
    assert [plane.get_title() for plane in planes] == [f"{name}: Q = {figure_2.final(h):.3f}" for name, h in histories.items()]
    assert all(len(plane.lines) == 2 for plane in planes)


def test_a_ledger_that_is_damaged_is_said_so_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = RunFolder(tmp_path).ledger("pbt", 0).path
    ledger.parent.mkdir(parents=True)
    ledger.write_text("nothing\n")
    with pytest.raises(SystemExit) as ended:
        figure_2.main(["--out", str(tmp_path)])
    assert ended.value.code == 2
    assert "line 1 is damaged" in capsys.readouterr().err
