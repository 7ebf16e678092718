"""A portrait's head from any side: colour, opacity and depth, for measuring its geometry. Slow and plain.

Beside Portrait.render because of depth, and because a camera that moves about a head does not turn the head in its
light: what the field is told follows the head's pose in the studio, the rays follow the camera.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from emobench.errors import InputError
from emobench.types import Camera, Floats, HeadPose, Image

from .geometry import head_rays, pixel_directions
from .portrait import Portrait

OPAQUE = 0.5  # less opaque pixels have no depth


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The head alone, over nothing."""

    colour: Floats  # (H, W, 3) 0..1, sums not divided by opacity
    opacity: Floats  # (H, W) 0..1
    depth_mm: Floats  # (H, W) expected depth along the optical axis; NaN below OPAQUE

    def over(self, background: tuple[int, int, int]) -> Image:
        """The head over one colour."""
        back = (1 - self.opacity[..., None]) * np.asarray(background, np.float32)
        image: Image = np.clip(np.rint(self.colour * 255 + back), 0, 255).astype(np.uint8)
        return image


def view_head(portrait: Portrait, alpha: Floats, pose: HeadPose, seen: HeadPose, camera: Camera) -> Iterator[View]:
    """One view for each row of alpha (T, K) and head pose (T); `seen` (T) is head to the camera that looks.

    Raises InputError where these differ in length.
    """
    if not len(alpha) == len(pose) == len(seen):
        raise InputError(
            f"{len(alpha)} expressions, {len(pose)} head poses and {len(seen)} views: they must be as many."
        )
    parts, operations, field = portrait.parts, portrait.operations, portrait.field
    conditions = torch.from_numpy(parts.condition(alpha, pose)).to(operations.device)
    directions = pixel_directions(camera)
    for index in range(len(alpha)):
        condition = conditions[index : index + 1]
        table, decoder = field.tables(condition, operations)[0], field.decoders(condition)[0]
        rays = head_rays(directions, seen.rotation[index], seen.translation[index], parts.box)
        middle = np.full(len(directions), 0.5, np.float32)
        samples = operations.march(rays, parts.skip, parts.config.step_mm, middle, parts.config.max_samples)
        density, colour = operations.evaluate(samples.points, table, decoder, field.layout)
        weights = operations.weights(density, samples, parts.config.step_mm)
        ray = np.repeat(np.arange(len(directions)), samples.counts)
        summed = [
            np.bincount(ray, (weights * values).cpu().numpy(), len(directions))
            for values in (*colour.unbind(1), samples.depths, torch.ones_like(weights))
        ]
        yield _view(np.stack(summed), directions, camera)


def _view(sums: NDArray[np.float64], directions: Floats, camera: Camera) -> View:
    """From sums (5, R) over the samples of each ray: red, green, blue, weighted depth in mm along it, opacity."""
    depth, opacity = sums[3], sums[4]
    shape = (camera.height, camera.width)
    along = depth / np.maximum(opacity, 1e-6) * -directions[:, 2]
    return View(
        colour=sums[:3].T.reshape(*shape, 3).astype(np.float32),
        opacity=opacity.reshape(shape).astype(np.float32),
        depth_mm=np.where(opacity >= OPAQUE, along, np.nan).reshape(shape).astype(np.float32),
    )
