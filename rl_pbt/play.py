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
from typing import Any, TypeAlias

import matplotlib
import numpy as np
import torch
from matplotlib import pyplot
from PIL import Image

from envs import EnvironmentUnavailable, watch
from rl_pbt import seeds
from rl_pbt.actors import environment_errors_in_one_line
from rl_pbt.arguments import did_you_mean
from rl_pbt.bench.command import make_task
from rl_pbt.collecting import Sampler
from rl_pbt.config import RunConfig
from rl_pbt.history import History, read_history
from rl_pbt.records import UserError
from rl_pbt.store import Run

Picture: TypeAlias = "np.ndarray[Any, Any]"  # [H, W, 3] uint8
LARGEST_SIDE = 480  # small pictures are blown up to about this many pixels


def play(
    run: Run, method: str, seed: int, winner: int, episodes: int, say: Callable[[str], None]
) -> Iterator[tuple[Picture, float]]:
    """Every picture, and how many are to be shown a second, of so many whole test episodes of the winner."""
    task = make_task(RunConfig.from_json(run.manifest()["config"]), workers=1)
    policy = task.load(winner, run.checkpoints(method, seed)).policy()
    alone = np.ones((1, 1), bool)
    with environment_errors_in_one_line(task.env, "drawing itself"), closing(watch(task.env)) as watched:
        for episode in range(episodes):
            observations = watched.reset(seeds.environment_seed(seed, split="test") + episode)
            generator = torch.Generator().manual_seed(seeds.seed(seed, purpose=f"play episode {episode}"))
            choose = Sampler(policy, [generator], 1)
            total, steps, ended = 0.0, 0, False
            while not ended:
                yield watched.picture(), watched.pictures_per_s
                observations, rewards, terminated, truncated = watched.step(choose(observations[None], alone)[0])
                total, steps, ended = total + float(rewards[0]), steps + 1, bool(terminated[0] or truncated[0])
            yield watched.picture(), watched.pictures_per_s
            say(f"episode {episode + 1}: return {total:g} in {steps} steps")


def chosen(run: Run, method: str | None, seed: int | None) -> tuple[str, int, int]:
    """Method, seed and winner: those said, or among all winners the one with the best mean test return."""
    config = RunConfig.from_json(run.manifest()["config"])
    if method is not None and method not in config.methods:
        raise did_you_mean("method of this run", method, config.methods)
    if seed is not None and seed not in config.seeds:
        raise UserError(f"this run has no seed {seed}: it has {', '.join(map(str, config.seeds))}")
    candidates: list[tuple[float, str, int, int]] = []
    for name in config.methods if method is None else (method,):
        for number in config.seeds if seed is None else (seed,):
            history = read_history(run, name, number)
            if history.chosen is not None:
                candidates.append((_tested(history), name, number, history.chosen))
    if not candidates:
        raise UserError(f"{run.folder} has no winner yet: go on with python -m rl_pbt.bench --resume {run.folder}")
    return max(candidates, key=lambda candidate: candidate[0])[1:]


def _tested(history: History) -> float:
    return -np.inf if history.test is None else float(np.mean(history.test.returns))


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
        raise UserError("there is no display for a window here: write a video with --video FILE.gif")
    figure = pyplot.figure("rl_pbt", layout="tight")
    axes = figure.add_subplot()
    axes.set_axis_off()
    image: Any = None
    for picture, pictures_per_s in pictures:
        due = time.monotonic() + 1 / pictures_per_s
        if image is None:
            image = axes.imshow(picture, interpolation="nearest")
        image.set_data(picture)
        pyplot.pause(max(0.001, due - time.monotonic()))
        if not pyplot.fignum_exists(figure.number):
            return


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m rl_pbt.play", description="Watch the winner of a run play.")
    add = parser.add_argument
    add("run", type=Path, help="the run's folder, which holds manifest.json")
    add("--method", help="whose winner (default: the best tested of all)")
    add("--seed", type=int, help="of which seed (default: the best tested of all)")
    add("--episodes", type=int, default=1, help="how many (default: 1)")
    add("--video", type=Path, metavar="FILE", help="write an mp4 or gif instead of opening a window")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    said = build_parser().parse_args(argv)
    run = Run(said.run)
    try:
        if said.episodes < 1:
            raise UserError(f"--episodes must be 1 or more, but is {said.episodes}")
        method, seed, winner = chosen(run, said.method, said.seed)
        print(f"winner of {method}, seed {seed}")
        pictures = play(run, method, seed, winner, said.episodes, print)
        if said.video is None:
            show(pictures)
        else:
            os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # or pygame looks for a display, and complains
            write_video(pictures, said.video)
            print(said.video)
    except (UserError, EnvironmentUnavailable) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
