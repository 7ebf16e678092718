"""Who parses a recording into head and the rest: the chain from dataset masks to the landmarks' hull. Writes no files.

In this order: masks that the dataset itself brings (never asked here), a green screen, a segmentation network whose
weights are here, the hull of the landmarks. The one that was used is named in layers.npz and in provenance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from emobench import weights
from emobench.errors import InputError
from emobench.types import Floats, Image

from . import green_screen, parsing
from .green_screen import GreenScreen, find_screen
from .segmentation import BISENET, MULTICLASS, Segmenter, open_segmenter, present_segmenter

ParsingChoice = Literal["auto", "green-screen", "mediapipe", "bisenet", "landmark-hull"]
NETWORKS = {"mediapipe": MULTICLASS, "bisenet": BISENET}
FRAMES_DECIDE = ("auto", "green-screen")  # choices that look for a green screen
WIDER = 1.5  # than the hull: how far hair may reach that a green screen shows
NECK = 0.72  # of the way from the eyes to the chin: below it only the hull is head, above it all of a person is


def parsing_key(choice: ParsingChoice) -> str:
    """What a choice comes to on this machine, as far as frames do not decide: part of a clip's identity.

    Raises Unavailable where a network was asked for whose weights are not here: before hours of tracking.
    """
    name = present_segmenter() if choice == "auto" else NETWORKS.get(choice)
    if name is None:
        return choice
    weights.locate(name)
    return f"{choice}|{name}|{weights.sha256_of(name)}"


class HeadParser(Protocol):
    """Parses frames of one recording."""

    source: str  # for provenance

    def mask(self, image: Image, landmarks: Floats) -> NDArray[np.uint8]:
        """Coverage (H, W) of the head, 255 inside; landmarks (478, ≥2) or (68, 2) px of the image (H, W, 3)."""


def open_parser(choice: ParsingChoice, samples: Sequence[Image]) -> HeadParser:
    """The parser of a choice; "auto" takes the first of the chain that can be had.

    `samples` are some frames of the recording, in which a green screen is looked for. Raises Unavailable where a
    network was asked for whose weights are not here, InputError where a green screen was and there is none.
    """
    if choice in NETWORKS:
        return SegmentedParser(open_segmenter(NETWORKS[choice]))
    screen = find_screen(samples) if choice in FRAMES_DECIDE else None
    if screen is not None:
        return ScreenParser(screen)
    if choice == "green-screen":
        raise InputError("There is no even green border in the frames. Use parsing=auto, or another parser.")
    name = present_segmenter() if choice == "auto" else None
    return SegmentedParser(open_segmenter(name)) if name else HullParser()


class HullParser:
    """The landmarks alone, see emobench.face.parsing."""

    source = parsing.SOURCE

    def mask(self, image: Image, landmarks: Floats) -> NDArray[np.uint8]:
        return _hull(landmarks, image)


class ScreenParser:
    """Whoever stands before a green screen, as far as it is head: hair as it falls, down to the chin."""

    source = green_screen.SOURCE

    def __init__(self, screen: GreenScreen) -> None:
        self._screen = screen

    def mask(self, image: Image, landmarks: Floats) -> NDArray[np.uint8]:
        region = np.maximum(_hull(landmarks, image), _above_the_neck(landmarks, image))
        return np.minimum(self._screen.person(image), region)


class SegmentedParser:
    """A network's head, and of its neck what lies inside the landmarks' hull."""

    def __init__(self, network: Segmenter) -> None:
        self.source, self._network = network.source, network

    def mask(self, image: Image, landmarks: Floats) -> NDArray[np.uint8]:
        head, neck = self._network.parts(image)
        hull = _hull(landmarks, image).astype(np.float32) / 255
        near = np.maximum(hull, _above_the_neck(landmarks, image).astype(np.float32) / 255)
        # another person's hair beside this head is not this head's
        return np.asarray(255 * np.clip(head * near + neck * hull, 0, 1) + 0.5, np.uint8)


def _hull(landmarks: Floats, image: Image) -> NDArray[np.uint8]:
    mask: NDArray[np.uint8] = parsing.hull_mask(landmarks[None], image.shape[0], image.shape[1])[0]
    return mask


def _above_the_neck(landmarks: Floats, image: Image) -> NDArray[np.uint8]:
    """(H, W) 255 in the hull enlarged by WIDER about its own middle, as far as it lies above the neck."""
    import cv2

    size = image.shape[:2]
    outline = parsing.hull_outline(landmarks[None])[0]
    middle = outline.mean(axis=0)
    wide = cv2.convexHull(np.asarray(middle + WIDER * (outline - middle), np.float32))
    mask = np.zeros(size, np.uint8)
    cv2.fillConvexPoly(mask, np.rint(wide - 0.5).astype(np.int32), 255)
    eyes, chin = parsing.eyes_and_chin(landmarks[None])
    down = chin[0] - eyes[0]
    y, x = np.mgrid[0 : size[0], 0 : size[1]] + 0.5
    along = ((x - eyes[0, 0]) * down[0] + (y - eyes[0, 1]) * down[1]) / max(float(down @ down), 1e-6)
    mask[along > NECK] = 0
    return mask
