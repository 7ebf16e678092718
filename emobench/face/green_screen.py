"""Tells a person from a green screen: the key colour is measured on the frames' own border. Loads no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emobench.types import Floats, Image

SOURCE = "green-screen"
BORDER = 0.06  # of the frame, on both sides and on top: where the screen must be seen
LEAST_GREEN = 18.0  # grey levels of green above red and blue: a grey wall or a plant out of focus has less
WIDEST = 9.0  # robust deviation of the border's chroma, %: a screen is even
INNER, OUTER = 3.5, 9.0  # deviations from the key colour: all screen below the one, all person above the other
FLOOR = 2.0  # deviation at least: compression makes even screens a little uneven
DARK = 32.0  # grey levels added to the luma: the colour of nearly black pixels is noise


@dataclass(frozen=True, slots=True, kw_only=True)
class GreenScreen:
    """The key colour of one recording."""

    chroma: Floats  # (2,) see chroma_of
    spread: float  # robust standard deviation of the border's chroma about it

    def person(self, image: Image) -> NDArray[np.uint8]:
        """(H, W) coverage of whoever stands before the screen, 255 = person only."""
        away = np.linalg.norm(chroma_of(image) - self.chroma, axis=-1) / self.spread
        share = np.clip((away - INNER) / (OUTER - INNER), 0, 1)
        return np.asarray(255 * share * share * (3 - 2 * share) + 0.5, np.uint8)


def find_screen(images: Sequence[Image]) -> GreenScreen | None:
    """The screen behind all of these frames (H, W, 3), or None where their border is not evenly green."""
    if not images:
        return None
    pixels = np.concatenate([_border(image) for image in images]).astype(np.float32)
    middle = np.median(pixels, axis=0)
    if middle[1] - max(middle[0], middle[2]) < LEAST_GREEN:
        return None
    chroma = chroma_of(pixels)
    key = np.median(chroma, axis=0)
    spread = float(1.4826 * np.median(np.linalg.norm(chroma - key, axis=-1)))  # of a Gaussian, from the median
    if spread > WIDEST:
        return None
    return GreenScreen(chroma=np.asarray(key, np.float32), spread=max(spread, FLOOR))


def chroma_of(colours: NDArray[np.generic]) -> Floats:
    """(…, 2) blue and red differences (ITU-R BT.601) of RGB (…, 3) in % of the luma, so that shade does not count."""
    rgb = colours.astype(np.float32)
    luma = rgb @ np.array([0.299, 0.587, 0.114], np.float32)
    differences = np.stack([0.564 * (rgb[..., 2] - luma), 0.713 * (rgb[..., 0] - luma)], axis=-1)
    return np.asarray(100 * differences / (luma[..., None] + DARK), np.float32)


def _border(image: Image) -> NDArray[np.uint8]:
    """(N, 3): the strip along the top, and along both sides down to the middle, below which shoulders may be."""
    height, width = image.shape[:2]
    thick = max(1, round(BORDER * min(height, width)))
    sides = image[thick : height // 2, [*range(thick), *range(width - thick, width)]]
    return np.concatenate([image[:thick].reshape(-1, 3), sides.reshape(-1, 3)])
