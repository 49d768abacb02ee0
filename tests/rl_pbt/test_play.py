"""Watching a winner: the choice of it, the video, and what cannot be shown in one line."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from rl_pbt import play
from rl_pbt.api import load
from rl_pbt.cli import command
from rl_pbt.store.history import read_history
from rl_pbt.store.run import RunFolder

SMALL = [
    "--env", "CartPole-v1", "--population", "2", "--frames", "800", "--interval", "400", "--agent-options", "envs_per_member=4",
    "--eval-episodes", "2", "--test-episodes", "2", "--workers", "1",
]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    command.train([*SMALL, "--out", str(out), "--seeds", "0", "1"], "bench")
    return out


def test_a_gif_shows_the_episodes_whose_returns_are_said(run: Path, tmp_path: Path) -> None:
    film = tmp_path / "new" / "winner.gif"
    command = [sys.executable, "-W", "ignore", "-m", "rl_pbt.play", run, "--video", film, "--episodes", "2"]
    without = {name: value for name, value in os.environ.items() if name not in ("SDL_VIDEODRIVER", "XDG_RUNTIME_DIR")}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=without)
    assert done.stderr == "", "what draws the pictures looked for a display"
    said = done.stdout
    returns = [float(line.split("return ")[1].split(" in")[0]) for line in said.splitlines() if "return" in line]
    assert len(returns) == 2 and str(film) in said
    with Image.open(film) as image:  # equal pictures become one that lasts
        shown_ms = sum(frame.info["duration"] for frame in ImageSequence.Iterator(image))
    # CartPole pays 1 a step, at 50 a second; the first picture of an episode comes before its first step.
    assert shown_ms == 20 * (sum(returns) + 2)


def test_the_best_tested_winner_is_chosen_or_the_one_that_was_named(run: Path) -> None:
    method, seed, winner = load(run).chosen()
    means = {
        (name, number): float(np.mean(history.test.returns))
        for name in ("pbt", "random")
        for number in (0, 1)
        if (history := read_history(RunFolder(run), name, number)).test is not None
    }
    assert means[method, seed] == max(means.values()) and winner >= 0
    assert load(run).chosen("random", 1)[:2] == ("random", 1)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--method", "pbtt"], "did you mean 'pbt'"),
        (["--seed", "7"], "--seed 7 is not a seed of this run"),
        (["--episodes", "0"], "--episodes must be 1 or more"),
        ([], "write a video to a file, a .gif"),
    ],
)
def test_what_cannot_be_shown_is_one_line(
    run: Path, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(play.matplotlib, "get_backend", lambda: "agg")
    assert play.main([str(run), *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and says in error


def test_a_video_that_needs_an_absent_program_is_one_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(play.shutil, "which", lambda _: None)
    assert play.main([str(run), "--video", str(tmp_path / "winner.mp4")]) == 2
    assert "name a .gif" in capsys.readouterr().err


def test_pictures_are_enlarged_to_even_sides() -> None:
    small = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    large = play.enlarged(small)
    assert large.shape == (320, 480, 3)
    np.testing.assert_array_equal(large[::160, ::160], small)
    assert play.enlarged(np.zeros((501, 333, 3), np.uint8)).shape == (500, 332, 3)
