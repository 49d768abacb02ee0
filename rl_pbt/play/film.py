"""Pictures to a file: a GIF by Pillow, an mp4 by the ffmpeg that the package imageio-ffmpeg brings."""

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
GIF_PER_S = 25  # pictures, at most: browsers show hardly more, and each makes the file larger
GIF_PICTURES = 2500  # at most, since Pillow holds them all
COLOURS = 256


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """What was written: the pictures that were shown to it, and how long they last."""

    pictures: int
    seconds: float


def check_name(path: Path) -> None:
    """Raises UserError for a file that would be neither a GIF nor a video."""
    if path.suffix.lower() not in (GIF, *VIDEOS):
        raise UserError(f"cannot write {path}: name a file that ends in .mp4 or .gif")
    if path.is_dir():
        raise UserError(f"cannot write {path}: it is a folder")


def write_film(shots: Iterable[Shot], path: Path) -> Film:
    """All shots, of which there is one at least, in their natural time. The file is there when it is whole. Raises UserError."""
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
    """Finished pictures, and how many there were."""

    def __init__(self, shots: Iterator[Shot]) -> None:
        self._shots = shots
        self.number = 0

    def __iter__(self) -> Iterator[Picture]:
        for shot in self._shots:
            self.number += 1
            yield shot.finished()


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A name beside `path`, that takes its place at the end; nothing is left there where it does not come to that."""
    unfinished = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix.lower()}")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        with suppress(FileNotFoundError):
            unfinished.unlink()


def _write_gif(pictures: Iterable[Picture], per_s: float, path: Path) -> None:
    """With fewer pictures where they are many a second. Times are rounded so that they never run away from the natural ones."""
    step = max(1, ceil(per_s / GIF_PER_S))
    shown: list[Image.Image] = []
    ends: list[int] = []  # hundredths of a second, which is what a GIF can say
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
        with suppress(BrokenPipeError):  # it has ended, and said why
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
    """Its path. Raises UserError where there is none for this machine."""
    try:
        import imageio_ffmpeg  # noqa: PLC0415 - a GIF does without

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        raise UserError("there is no ffmpeg for a video here: name a .gif, or pip install imageio-ffmpeg") from None
