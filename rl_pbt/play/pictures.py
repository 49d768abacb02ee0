"""Pictures made watchable: large enough, with even sides, and captioned."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias, final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Picture: TypeAlias = npt.NDArray[np.uint8]  # [H, W, 3]
SMALLEST, LARGEST = 480, 750  # pixels of the longer side
DARK = (0, 0, 0, 170)  # RGBA behind the words; translucent
MARGIN = 0.4  # around the words, as a share of the font size
LETTERS = 28  # lines of text that fit along the longer side; sets the font size


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One picture of an episode, the return up to then, and how many pictures to show per second."""

    picture: Picture
    episode: int  # from 1 on
    earned: float
    per_s: float

    def finished(self) -> Picture:
        """The picture [H', W', 3], enlarged and captioned."""
        return captioned(enlarged(self.picture), f"episode {self.episode} · return {self.earned:g}")


def enlarged(picture: Picture) -> Picture:
    """Scale a picture to a longer side of `SMALLEST` to `LARGEST` pixels, with even sides, which mp4 needs.

    If a whole factor will do, each pixel becomes a square of pixels. The aspect ratio is that of the pixels: an emulator's
    picture is not stretched to that of a television.
    """
    side = max(picture.shape[:2])
    factor = LARGEST // side
    if factor * side >= SMALLEST:
        large = picture.repeat(factor, axis=0).repeat(factor, axis=1)
    else:
        height, width = (max(1, round(LARGEST / side * length)) for length in picture.shape[:2])
        large = np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS))
    return np.pad(large, [*((0, length % 2) for length in large.shape[:2]), (0, 0)], mode="edge")


def captioned(picture: Picture, words: str) -> Picture:
    """The picture with the words in its upper left corner, light on dark, readable on any picture."""
    size = max(picture.shape[:2]) / LETTERS
    image = Image.fromarray(picture)
    strip = _strip(words, size)
    image.paste(strip, (0, 0), strip)
    return np.asarray(image)


@lru_cache(maxsize=64)
def _strip(words: str, size: float) -> Image.Image:
    """An RGBA strip with the words on their translucent background."""
    font = ImageFont.load_default(size=size)
    _, _, width, height = font.getbbox(words)
    margin = round(MARGIN * size)
    strip = Image.new("RGBA", (round(width) + 2 * margin, round(height) + 2 * margin), DARK)
    # Drawn separately: paste blends by opacity, so the words must be opaque, and their background translucent.
    ImageDraw.Draw(strip).text((margin, margin), words, font=font, fill=(255, 255, 255, 255))
    return strip
