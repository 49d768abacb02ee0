"""Writing pictures to a file: a GIF with Pillow, an mp4 with the ffmpeg that comes with the package imageio-ffmpeg."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain, islice
from math import ceil
from pathlib import Path
from typing import final

from PIL import Image

from rl_pbt.errors import UserError, plain_text
from rl_pbt.play.pictures import Picture, Shot

GIF, VIDEOS = ".gif", (".mp4", ".mkv", ".mov")
GIF_PER_S = 25  # pictures per second, at most: browsers hardly show more, and each makes the file larger
GIF_PICTURES = 2500  # at most, since Pillow holds all of them in memory
COLOURS = 256


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """What was written: the number of pictures it was given, and how long they last."""

    pictures: int
    seconds: float


def check_name(path: Path) -> None:
    """Raises UserError for a file name that is neither a GIF's nor a video's, and for a folder."""
    if path.suffix.lower() not in (GIF, *VIDEOS):
        raise UserError(f"cannot write {path}: name a file that ends in .mp4 or .gif")
    if path.is_dir():
        raise UserError(f"cannot write {path}: it is a folder")


def write_film(shots: Iterable[Shot], path: Path) -> Film:
    """Write all shots (at least one) at their natural speed. The file appears only when it is complete. Raises UserError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shots = iter(shots)
    first = next(shots)
    count = _Counted(chain([first], shots))
    with _whole(path) as unfinished:
        if path.suffix.lower() == GIF:
            _write_gif(count, first.per_s, unfinished)
        else:
            _write_video(count, first.per_s, unfinished)
    return Film(pictures=count.number, seconds=count.number / first.per_s)


@final
class _Counted:
    """Yields finished pictures, and counts them."""

    def __init__(self, shots: Iterator[Shot]) -> None:
        self._shots = shots
        self.number = 0

    def __iter__(self) -> Iterator[Picture]:
        for shot in self._shots:
            self.number += 1
            yield shot.finished()


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that replaces it at the end; after an error, nothing is left of it."""
    unfinished = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix.lower()}")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        with suppress(FileNotFoundError):
            unfinished.unlink()


def _write_gif(pictures: Iterable[Picture], per_s: float, path: Path) -> None:
    """Write a GIF, leaving out pictures if there are too many per second. Rounding errors of the times do not add up."""
    step = max(1, ceil(per_s / GIF_PER_S))
    shown: list[Image.Image] = []
    ends: list[int] = []  # hundredths of a second, the resolution of a GIF
    number = 0
    pictures = iter(pictures)
    while few := list(islice(pictures, step)):
        if len(shown) == GIF_PICTURES:
            raise UserError(f"a GIF of more than {GIF_PICTURES} pictures would be too large: name an .mp4")
        number += len(few)
        shown.append(Image.fromarray(few[-1]).quantize(COLOURS, dither=Image.Dither.NONE))
        ends.append(round(100 * number / per_s))
    durations = [10 * (end - begin) for begin, end in zip([0, *ends], ends, strict=False)]
    shown[0].save(path, save_all=True, append_images=shown[1:], duration=durations, loop=0)


def _write_video(pictures: Iterable[Picture], per_s: float, path: Path) -> None:
    pictures = iter(pictures)
    first = next(pictures)
    height, width, _ = first.shape
    command = [_ffmpeg(), "-loglevel", "error", "-y", "-f", "rawvideo", "-pixel_format", "rgb24"]
    command += ["-video_size", f"{width}x{height}", "-framerate", f"{per_s:g}", "-i", "-", "-pix_fmt", "yuv420p", str(path)]
    ffmpeg = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    assert ffmpeg.stdin is not None
    try:
        with suppress(BrokenPipeError):  # ffmpeg has ended; its output says why
            for picture in chain([first], pictures):
                ffmpeg.stdin.write(picture.tobytes())
        _, said = ffmpeg.communicate()
    except BaseException:
        ffmpeg.kill()
        ffmpeg.communicate()
        raise
    if ffmpeg.returncode:
        reason = plain_text(said.decode(errors="replace"), 300)
        raise UserError(f"the video could not be written ({reason}): name another file, or a .gif")


def _ffmpeg() -> str:
    """The path of ffmpeg. Raises UserError if there is none for this machine."""
    try:
        import imageio_ffmpeg  # noqa: PLC0415 - a GIF does not need it

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        raise UserError("there is no ffmpeg for a video here: name a .gif, or pip install imageio-ffmpeg") from None
