"""`python -m rl_pbt.play RUN`: watch the winner of a run play, in a window or as a video."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib import pyplot
from matplotlib.image import AxesImage
from PIL import Image

from rl_pbt import seeds
from rl_pbt.api import Run, load
from rl_pbt.cli.arguments import in_flags
from rl_pbt.cli.starting import raise_again
from rl_pbt.envs import watch
from rl_pbt.errors import BadSetting, UserError, exit_status
from rl_pbt.tasks.rl.failing import environment_errors_in_one_line
from rl_pbt.tasks.rl.resolving import resolved

Picture: TypeAlias = npt.NDArray[np.uint8]  # [H, W, 3]
LARGEST_SIDE = 480  # small pictures are blown up to about this many pixels


def play(run: Run, method: str, seed: int, episodes: int, say: Callable[[str], None]) -> Iterator[tuple[Picture, float]]:
    """Every picture, and how many are to be shown a second, of `episodes` whole test episodes of a method's winner."""
    options = run.config.task_options
    if "env" not in options:
        raise UserError("this run trained no agent on an environment: there is nothing to watch")
    winner = run.winner(method, seed)  # first: it does not import what only the run's folder names
    spec = resolved(options)
    raise_again()
    with environment_errors_in_one_line(spec, "drawing itself"), closing(watch(spec)) as watched:
        for episode in range(episodes):
            observations = watched.reset(seeds.environment_seed(seed, split="test") + episode)
            winner.reset(seeds.seed(seed, purpose=f"play episode {episode}"))
            total, steps, ended = 0.0, 0, False
            while not ended:
                yield watched.picture(), watched.pictures_per_s
                observations, rewards, terminated, truncated = watched.step(np.asarray([winner.act(observations[0])]))
                total, steps, ended = total + float(rewards[0]), steps + 1, bool(terminated[0] or truncated[0])
            yield watched.picture(), watched.pictures_per_s
            say(f"episode {episode + 1}: return {total:g} in {steps} steps")


def enlarged(picture: Picture) -> Picture:
    """Every pixel as a square of pixels, as far as `LARGEST_SIDE` allows; even sides, which mp4 needs."""
    factor = max(1, LARGEST_SIDE // max(picture.shape[:2]))
    large = picture.repeat(factor, axis=0).repeat(factor, axis=1)
    return large[: large.shape[0] // 2 * 2, : large.shape[1] // 2 * 2]


def write_video(pictures: Iterator[tuple[Picture, float]], path: Path) -> None:
    """A gif by Pillow, anything else (mp4) by ffmpeg. Raises UserError where that is absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gif":
        _write_gif(pictures, path)
        return
    if not shutil.which("ffmpeg"):
        raise UserError("a video other than a .gif needs the program ffmpeg: install it, or name a .gif")
    first, pictures_per_s = next(pictures)
    first = enlarged(first)
    command = ["ffmpeg", "-loglevel", "error", "-y", "-f", "rawvideo", "-pixel_format", "rgb24"]
    command += ["-video_size", f"{first.shape[1]}x{first.shape[0]}", "-framerate", f"{pictures_per_s:g}", "-i", "-"]
    with subprocess.Popen([*command, "-pix_fmt", "yuv420p", str(path)], stdin=subprocess.PIPE) as ffmpeg:
        assert ffmpeg.stdin is not None
        ffmpeg.stdin.write(first.tobytes())
        for picture, _ in pictures:
            ffmpeg.stdin.write(enlarged(picture).tobytes())
    if ffmpeg.returncode:
        raise UserError(f"ffmpeg could not write {path}: name another file, or a .gif")


def _write_gif(pictures: Iterator[tuple[Picture, float]], path: Path) -> None:
    shown, rates = zip(*((Image.fromarray(enlarged(picture)), rate) for picture, rate in pictures), strict=True)
    shown[0].save(path, save_all=True, append_images=shown[1:], duration=1000 / rates[0], loop=0)


def show(pictures: Iterator[tuple[Picture, float]]) -> None:
    """A window that plays in natural time until it is closed. Raises UserError where there is no display."""
    if matplotlib.get_backend().lower() in {"agg", "pdf", "ps", "svg", "cairo", "template"}:
        raise UserError("there is no display for a window here: write a video to a file, a .gif for instance")
    figure = pyplot.figure("rl_pbt", layout="tight")
    axes = figure.add_subplot()
    axes.set_axis_off()
    image: AxesImage | None = None
    for picture, pictures_per_s in pictures:
        due = time.monotonic() + 1 / pictures_per_s
        if image is None:
            image = axes.imshow(picture, interpolation="nearest")
        image.set_data(picture)
        pyplot.pause(max(0.001, due - time.monotonic()))
        if not pyplot.fignum_exists(figure.number):
            return


def build_parser(program: str) -> argparse.ArgumentParser:
    """Its flags."""
    parser = argparse.ArgumentParser(prog=program, description="Watch the winner of a run play.")
    add = parser.add_argument
    add("run", type=Path, help="the run's folder, which holds manifest.json")
    add("--env", help="the environment again, where it is of a module (module:Id): a run imports no code by itself")
    add("--method", help="whose winner (default: the best tested of all)")
    add("--seed", type=int, help="of which seed (default: the best tested of all)")
    add("--episodes", type=int, default=1, help="how many (default: 1)")
    add("--video", type=Path, metavar="FILE", help="write an mp4 or gif instead of opening a window")
    return parser


def _watch(args: argparse.Namespace) -> None:
    if args.episodes < 1:
        raise BadSetting("episodes", f"must be 1 or more, but is {args.episodes}")
    run = load(args.run, env=args.env)
    method, seed, _ = run.chosen(args.method, args.seed)
    print(f"winner of {method}, seed {seed}")
    pictures = play(run, method, seed, args.episodes, print)
    if args.video is None:
        show(pictures)
    else:
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # or pygame looks for a display, and complains
        write_video(pictures, args.video)
        print(args.video)


def main(words: Sequence[str] | None = None, program: str = "python -m rl_pbt.play") -> int:
    """Run the command; its exit status."""
    words = sys.argv[1:] if words is None else words
    parser = build_parser(program)
    args = parser.parse_args(words)
    return exit_status(lambda: _watch(args), lambda error: in_flags(error, parser, words))


if __name__ == "__main__":
    raise SystemExit(main())
