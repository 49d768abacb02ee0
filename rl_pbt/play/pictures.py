"""Pictures as people watch them: large enough, with even sides, and with what they show written on them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias, final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Picture: TypeAlias = npt.NDArray[np.uint8]  # [H, W, 3]
SMALLEST, LARGEST = 480, 750  # pixels of the longer side
DARK = (0, 0, 0, 170)  # behind the words; lets the picture through
MARGIN = 0.4  # around the words, of the size of a letter
LETTERS = 28  # of this size fit below one another along the longer side


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One picture of an episode, what was earned by then, and how many pictures are to be shown a second."""

    picture: Picture
    episode: int  # from 1 on
    earned: float
    per_s: float

    def finished(self) -> Picture:
        """As people see it."""
        return captioned(enlarged(self.picture), f"episode {self.episode} · return {self.earned:g}")


def enlarged(picture: Picture) -> Picture:
    """The longer side from `SMALLEST` to `LARGEST` pixels, and even sides, which mp4 needs.

    Each pixel is a square of pixels where a whole factor will do. Proportions are those of the pixels: an emulator's are not
    stretched to those of a television.
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
    """The words in the upper left corner, light on dark, whatever is below them."""
    size = max(picture.shape[:2]) / LETTERS
    image = Image.fromarray(picture)
    strip = _strip(words, size)
    image.paste(strip, (0, 0), strip)
    return np.asarray(image)


@lru_cache(maxsize=64)
def _strip(words: str, size: float) -> Image.Image:
    """Transparent but for the words and what is behind them."""
    font = ImageFont.load_default(size=size)
    _, _, width, height = font.getbbox(words)
    margin = round(MARGIN * size)
    strip = Image.new("RGBA", (round(width) + 2 * margin, round(height) + 2 * margin), DARK)
    # Drawn apart: paste mixes by opacity, so what is written must be opaque, and what is behind it not.
    ImageDraw.Draw(strip).text((margin, margin), words, font=font, fill=(255, 255, 255, 255))
    return strip
