"""The pixels of one clip into its folder: frames, layers, masks, depth, scene, and views from aside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emobench.cache import save_arrays
from emobench.face.tracks import save_layers, save_scene
from emobench.hashing import hash_arrays
from emobench.media import write_lossless
from emobench.types import HeadPose, Layers, Track

from .recipe import Recipe
from .renderer import Picture, Renderer
from .speech import Utterance
from .stage import Stage, scene_of
from .storage import DEPTH, LAYERS, NOVEL, NOVEL_DEPTH, NOVEL_VIDEO, SCENE, TORSO, VIDEO, write_depth
from .view import seen_from


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """What later steps need of the pixels that were written."""

    depth: NDArray[np.uint16] | None  # (T, H, W) 0.1 mm; None where the clip has no pixels
    hashes: Mapping[str, str]  # of the contents of the video files, by name: known without decoding them


def film_clip(
    recipe: Recipe, renderer: Renderer, stage: Stage, track: Track, utterance: Utterance, folder: Path
) -> Film:
    """Render the performance of `track` and write everything that has pixels."""
    pictures = list(renderer.render(track.alpha, track.pose, stage=stage))
    layers = Layers(
        head_alpha=np.stack([picture.head_alpha for picture in pictures]),
        head_rgb=np.stack([picture.head for picture in pictures]),
        back_rgb=np.stack([picture.back for picture in pictures]), source="dataset",
    )  # fmt: skip
    frames, depth = _stacked(pictures)
    write_lossless(folder / VIDEO, frames, recipe.fps, utterance.samples)
    write_depth(folder / DEPTH, depth)
    save_layers(folder / LAYERS, layers)
    save_arrays(folder / TORSO, {"torso_alpha": np.stack([p.torso_alpha for p in pictures])}, compress=True)
    save_scene(folder / SCENE, scene_of(stage))
    hashes = {VIDEO: hash_arrays([frames]), DEPTH: hash_arrays([depth])}
    if recipe.novel_every:
        hashes |= _film_aside(recipe, renderer, stage, track, folder)
    return Film(depth=depth, hashes=hashes)


def _film_aside(recipe: Recipe, renderer: Renderer, stage: Stage, track: Track, folder: Path) -> dict[str, str]:
    """Every novel_every-th frame as cameras at both sides see it; returns the hashes of the videos."""
    index = np.arange(recipe.novel_every // 2, len(track.alpha), recipe.novel_every)
    yaws = [float(np.radians(sign * recipe.novel_yaw_degrees)) for sign in (-1, 1)]
    pose = HeadPose(rotation=track.pose.rotation[index], translation=track.pose.translation[index])
    pictures = list(renderer.render(track.alpha[index], pose, stage=stage, yaws=yaws))
    poses = [seen_from(pose, yaw) for yaw in yaws]
    arrays: dict[str, NDArray[Any]] = {
        "frame_index": index, "yaw": np.array(yaws, np.float32),
        "rotation": np.stack([one.rotation for one in poses], axis=1).reshape(-1, 3, 3),
        "translation": np.stack([one.translation for one in poses], axis=1).reshape(-1, 3),
        "head_alpha": np.stack([picture.head_alpha for picture in pictures]),
        "torso_alpha": np.stack([picture.torso_alpha for picture in pictures]),
    }  # fmt: skip
    frames, depth = _stacked(pictures)
    save_arrays(folder / NOVEL, arrays, compress=True)
    write_lossless(folder / NOVEL_VIDEO, frames, recipe.fps)
    write_depth(folder / NOVEL_DEPTH, depth)
    return {NOVEL_VIDEO: hash_arrays([frames]), NOVEL_DEPTH: hash_arrays([depth])}


def _stacked(pictures: Sequence[Picture]) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    return np.stack([picture.frame for picture in pictures]), np.stack([picture.depth for picture in pictures])
