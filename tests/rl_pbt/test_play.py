"""Watching a winner: the choice of it, what is written on pictures, the video, and what cannot be shown in one line."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from rl_pbt.api import load
from rl_pbt.cli import command, playing
from rl_pbt.errors import UserError
from rl_pbt.play import film
from rl_pbt.play.episodes import staged
from rl_pbt.play.film import write_film
from rl_pbt.play.pictures import Shot, captioned, enlarged
from rl_pbt.store.history import read_history
from rl_pbt.store.run import RunFolder
from tests.rl_pbt.faults.spoiling import fit

PROGRAM = "rl-pbt play"
SMALL = [
    "--env", "CartPole-v1", "--population", "2", "--frames", "800", "--interval", "400", "--eval-episodes", "2",
    "--test-episodes", "2", "--executor", "inline", "--agent-options", "envs_per_member=4",
]  # fmt: skip


@pytest.fixture(scope="module")
def run(without_pages: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    command.train([*SMALL, "--out", str(out), "--seeds", "0", "1"], "bench")
    return out


def shots(number: int, per_s: float, picture: np.ndarray | None = None) -> Iterator[Shot]:
    """Pictures that differ."""
    for place in range(number):
        grey = np.full((60, 80, 3), place % 256, np.uint8) if picture is None else picture
        yield Shot(picture=grey, episode=1, earned=place, per_s=per_s)


def pictures_of(path: Path, height: int, width: int) -> np.ndarray:
    """Of a video, [N, H, W, 3]."""
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run(ffmpeg, capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, height, width, 3)


def returns_in(said: str) -> list[float]:
    return [float(found) for found in re.findall(r"^episode \d+: return (\S+) in", said, re.MULTILINE)]


@pytest.mark.parametrize("words", [[], ["--video", "winner.gif"]], ids=["window", "video"])
def test_where_nothing_plays_neither_a_display_nor_a_file_is_asked_for(
    words: list[str], without_pages: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    out = tmp_path / "run"
    command.train(["--task", "quadratic", "--population", "2", "--executor", "inline", "--out", str(out)], "tune")
    capsys.readouterr()
    assert playing.main([str(out), *words], PROGRAM) == 2
    told = capsys.readouterr().err
    assert "nothing to watch" in told and "its winner is two numbers" in told and told.count("\n") == 1


def test_a_gif_shows_the_episodes_whose_returns_are_said(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "new" / "winner.gif"
    words = [sys.executable, "-W", "ignore", "-m", "rl_pbt.play", run, "--video", path, "--episodes", "2"]
    without = {name: value for name, value in os.environ.items() if name not in ("SDL_VIDEODRIVER", "XDG_RUNTIME_DIR")}
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=without)
    assert done.stderr == "", "what draws the pictures looked for a display"
    returns = returns_in(done.stdout)
    with Image.open(path) as image:  # equal pictures become one that lasts
        durations = [frame.info["duration"] for frame in ImageSequence.Iterator(image)]
    # CartPole pays 1 a step, at 50 a second; the first picture of an episode comes before its first step.
    pictures = sum(returns) + 2
    assert len(returns) == 2 and sum(durations) == 20 * pictures
    assert len(durations) <= pictures / 2 + 1, "more than 25 pictures a second"
    method, seed, _ = load(run).chosen()
    test = read_history(RunFolder(run), method, seed).test
    assert test is not None
    assert (
        f"saved {path} ({pictures:g} frames, {pictures / 50:.0f} s): episodes 1 to 2 of the winner of {method}, seed {seed}, "
        f"returns {returns[0]:g} and {returns[1]:g}; its mean over the 2 test episodes is {np.mean(test.returns):.4g}\n"
    ) in done.stdout
    assert [entry.name for entry in path.parent.iterdir()] == ["winner.gif"]


def test_an_mp4_is_whole_and_of_the_best_episode_which_is_said_not_to_be_typical(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "best.mp4"
    assert playing.main([str(run), "--video", str(path), "--best-of", "4"], PROGRAM) == 0
    said = capsys.readouterr().out
    *played, shown = returns_in(said)
    assert len(played) == 4 and shown == max(played), "it was not repeated"
    assert f"episode {played.index(max(played)) + 1}, the best of 4 and so not typical, of the winner of" in said
    pictures = pictures_of(path, 400, 600)
    assert len(pictures) == max(played) + 1
    assert all(picture[5:25, 5:200].max() > 200 and picture[2, 2].max() < 120 for picture in pictures), "no words on dark"


def test_an_episode_is_the_same_whenever_it_is_played_and_returns_grow(run: Path) -> None:
    with staged(load(run), "random", 1) as stage:
        first = list(stage.shots([2]))
        (unseen,) = stage.unseen([2])
        again = list(stage.shots([2]))
    assert [shot.earned for shot in first] == list(range(len(first)))
    assert [shot.picture.tobytes() for shot in first] == [shot.picture.tobytes() for shot in again]
    assert stage.played == [unseen, unseen] and unseen.steps == len(first) - 1


LIKELIEST = {
    "ours": ["--eval-policy", "greedy", "--agent-options", "envs_per_member=4"],
    "a recurrent one": ["--eval-policy", "greedy", "--agent", "a2c", "--agent-options", "envs_per_member=4", "core=lstm"],
    "ours, cut": ["--eval-policy", "greedy", "--agent-options", "envs_per_member=4", "--max-episode-frames", "50"],
    "Stable-Baselines3's": ["--agent", "sb3:a2c"],
    "Stable-Baselines3's, cut": ["--agent", "sb3:a2c", "--max-episode-frames", "50"],
}


@pytest.mark.parametrize("how", LIKELIEST)
def test_a_winner_that_was_tested_with_its_likeliest_actions_plays_these_episodes_again(
    how: str, without_pages: None, tmp_path: Path
) -> None:
    """On Pendulum: a vector environment of Gymnasium's own, as CartPole has, draws for all of its copies from one stream."""
    words = ["--env", "Pendulum-v1", "--population", "2", "--frames", "2000", "--interval", "1000", "--eval-episodes", "2",
             "--test-episodes", "2", "--executor", "inline", "--out", str(tmp_path / "run")]  # fmt: skip
    command.train([*words, *LIKELIEST[how]], "bench")
    test = read_history(RunFolder(tmp_path / "run"), "random", 0).test
    assert test is not None and len(test.returns) == 2
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    manifest["config"]["task_options"].pop("cut_after_frames")  # as in older runs, whose tests were cut all the same
    (tmp_path / "run" / "manifest.json").write_text(json.dumps(manifest))
    fit(tmp_path / "run")
    with staged(load(tmp_path / "run"), "random", 0) as stage:
        assert [episode.earned for episode in stage.unseen([1, 2])] == pytest.approx(test.returns, rel=1e-4)


def test_a_winner_that_was_tested_with_drawn_actions_draws_them(run: Path) -> None:
    winner = load(run).winner("random", 0)
    observation = np.zeros(4, np.float32)
    assert {winner.act(observation) for _ in range(50)} == {0, 1}
    assert len({winner.act(observation, deterministic=True) for _ in range(50)}) == 1


def test_a_winner_plays_in_one_thread_and_the_callers_number_is_restored(run: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with staged(load(run), "random", 1):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


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
        (["--video", "x.gif", "--method", "pbtt"], "did you mean 'pbt'"),
        (["--video", "x.gif", "--seed", "7"], "--seed 7 is not a seed of this run"),
        (["--episodes", "0"], "--episodes must be 1 or more"),
        (["--best-of", "0"], "--best-of must be 1 or more"),
        (["--best-of", "2", "--episodes", "2"], "--best-of shows one episode"),
        (["--epsiodes", "2"], "did you mean '--episodes'"),
        (["--video", "winner.txt"], "ends in .mp4 or .gif"),
        ([], "write a video to a file"),
    ],
)
def test_what_cannot_be_shown_is_one_line(
    run: Path, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("matplotlib.get_backend", lambda: "agg")
    assert playing.main([str(run), *arguments], PROGRAM) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and says in error


def test_a_machine_without_ffmpeg_and_one_that_fails_are_one_line_and_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent() -> str:
        raise RuntimeError("no ffmpeg exe could be found")

    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", absent)
    with pytest.raises(UserError, match=r"name a \.gif"):
        write_film(shots(3, 10), tmp_path / "winner.mp4")
    script = tmp_path / "ffmpeg"
    script.write_text("#!/bin/sh\necho the disk is odd >&2\nexit 1\n")
    script.chmod(0o755)
    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", lambda: str(script))
    with pytest.raises(UserError, match=r"the disk is odd.*name another file"):
        write_film(shots(300, 10), tmp_path / "winner.mp4")
    assert list(tmp_path.iterdir()) == [script]


@pytest.mark.parametrize(("per_s", "number"), [(15, 100), (50, 101), (60, 250), (7, 30)])
def test_a_gif_lasts_as_long_as_the_original(per_s: float, number: int, tmp_path: Path) -> None:
    made = write_film(shots(number, per_s), tmp_path / "x.gif")
    assert made.pictures == number and made.seconds == pytest.approx(number / per_s)
    with Image.open(tmp_path / "x.gif") as image:
        shown_s = sum(frame.info["duration"] for frame in ImageSequence.Iterator(image)) / 1000
        assert image.n_frames <= 25 * made.seconds + 1
    assert shown_s == pytest.approx(made.seconds, abs=0.006)


def test_a_gif_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(film, "GIF_PICTURES", 10)
    with pytest.raises(UserError, match=r"name an \.mp4"):
        write_film(shots(11, 10), tmp_path / "x.gif")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((250, 160), (750, 480)),  # Pacman
        ((210, 160), (630, 480)),  # other Atari games
        ((400, 600), (400, 600)),  # CartPole
        ((10, 10), (750, 750)),  # MinAtar
        ((400, 300), (750, 562)),  # no whole factor will do
        ((1080, 1920), (422, 750)),
        ((501, 333), (502, 334)),
        ((480, 480), (480, 480)),
    ],
)
def test_pictures_have_480_to_750_pixels_and_even_sides(before: tuple[int, int], after: tuple[int, int]) -> None:
    assert enlarged(np.zeros((*before, 3), np.uint8)).shape == (*after, 3)


def test_every_size_becomes_one_that_can_be_watched() -> None:
    for side in (*range(1, 1000), 2000, 3001):
        height, width, _ = enlarged(np.zeros((side, max(1, side // 2), 3), np.uint8)).shape
        assert 480 <= height <= 750 and height % 2 == width % 2 == 0 and width > 0, side


def test_a_small_picture_keeps_its_pixels() -> None:
    small = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    np.testing.assert_array_equal(enlarged(small)[::250, ::250], small)


@pytest.mark.parametrize("background", [0, 128, 255])
def test_words_are_light_on_dark_whatever_is_below(background: int) -> None:
    below = np.full((400, 600, 3), background, np.uint8)
    written = captioned(below, "episode 1 · return 12")
    changed = np.argwhere((written != below).any(2)) if background else np.argwhere(written.max(2) > 0)
    assert changed.max(0)[0] < 60 and changed.max(0)[1] < 300, "only the corner is written on"
    corner = written[2:40, 2:200]
    assert corner.max() > 200 and np.median(corner) < 100, "light on dark"
    assert not np.array_equal(written, captioned(below, "episode 1 · return 13"))
