"""Paste-back: a method's head over the target clip's own torso and background. Knows no method, trains nothing.

The one place where a target's pixels meet a prediction, after the method is done: methods hand out their head as a
layer and never see the target. NeRF talking heads are often scored so (RAD-NeRF, ER-NeRF): full-frame scores then
measure the head alone, so that such runs carry a name of their own (RunInfo.label).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from emobench.errors import InputError
from emobench.face.layer_frames import iterate_layers
from emobench.media import iterate_video
from emobench.types import Clip, Floats, Image, Layers, Method, Rendered

PASTED = "pasted from target"  # what composes torso and background, as timings and labels name it


def pastes_back(method: Method) -> bool:
    """Whether a method asks for paste-back: an attribute `pastes_back`, false where it has none."""
    return bool(getattr(method, "pastes_back", False))


def require_surroundings(clips: Sequence[Clip]) -> None:
    """Raises InputError naming the first clip that has no frames or no head mask to tell what is not the head."""
    for clip in clips:
        _filmed(clip)


def pasted(stream: Iterator[Rendered], clip: Clip) -> Iterator[Rendered]:
    """The stream with every head over the frame of `clip` at its place. Raises InputError where they do not fit.

    Only pixels without any share of the target's head are taken from it; under its head, edge included, stays what
    the method painted behind its own. So no pixel of the target's head can reach a prediction; its outline can.
    The target's first frame is read here and now, so that the decoder is not counted as memory of the rendering.
    """
    layers = surroundings(clip)
    first = next(layers)
    return _over(stream, itertools.chain([first], layers), clip)


def _over(stream: Iterator[Rendered], layers: Iterator[Layers], clip: Clip) -> Iterator[Rendered]:
    for index, item in enumerate(stream):
        if item.head is None:
            raise InputError(f"{clip.id}: the method asked for paste-back, but frame {index} comes without a head.")
        target = next(layers, None)
        if target is None:
            raise InputError(
                f"{clip.id}: the method gave more than the target's {index} frames. Paste-back needs its own length."
            )
        around, mask = target.back_rgb[0], target.head_alpha[0]
        if item.frame.shape != around.shape or item.head.shape[:2] != mask.shape:
            raise InputError(
                f"{clip.id}: frame {index} is {item.frame.shape} with a head of {item.head.shape}, the target's "
                f"{around.shape}. Paste-back needs the target's own size."
            )
        yield Rendered(frame=paste(item.frame, item.head, around, mask == 0), alpha=item.alpha)


def surroundings(clip: Clip) -> Iterator[Layers]:
    """Torso and background (1, H, W, 3) and the head's coverage (1, H, W) of a clip, read frame by frame."""
    video = _filmed(clip)
    return iterate_layers(clip.extras["layers"], (frame for _, frame in iterate_video(video)))


def _filmed(clip: Clip) -> Path:
    """The clip's video. Raises InputError where it or a head mask is missing."""
    lacking = "frames" if clip.video is None else "head mask (layers)"
    if clip.video is None or "layers" not in clip.extras:
        raise InputError(
            f"Clip {clip.id} has no {lacking}: its torso and background cannot be told from its head, so no head can "
            "be pasted into it. Prepare the dataset with head masks, or run without paste-back."
        )
    return clip.video


def paste(frame: Image, head: Floats, around: Image, outside: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Image:
    """(H, W, 3): head + (1 − opacity) · around where `outside`, the method's own frame elsewhere; head (H, W, 4)."""
    over = 255 * head[..., :3] + (1 - head[..., 3:]) * around
    out: Image = np.where(outside[..., None], (over + 0.5).clip(0, 255).astype(np.uint8), frame)
    return out
