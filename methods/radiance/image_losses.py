"""Losses on the head as an image: the face of one frame rendered whole, judged, and the judgement sent into the field.

Needs no kernels of its own. A judge says how its loss changes with every pixel, g; rays whose target lies at
pixel − g · 3R/2 have just that gradient under the mean squared error that every backend differentiates. Knows no judge.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emobench.judges.crops import face_squares
from emobench.types import Camera, Floats

from .critics import Critic
from .field import Field
from .footage import BackFrames, HeadFrames
from .geometry import Box, head_rays
from .image_config import ImageLossConfig
from .operations import Decoder, FrameLoss, Operations, Samples, Targets

MIDDLE = 0.5  # of a step: where rays are sampled


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One frame to judge, and the field as it stands."""

    frame: int
    table: Tensor  # (P,)
    decoder: Decoder
    skip: NDArray[np.uint8]
    step_mm: float
    max_samples: int
    depth_origin: float
    variance_weight: float  # of the whole loss
    factor: float  # on the loss that is reported
    gradient: Tensor  # (P,) overwritten with the table's


class ImageLosses:
    """What a trainer asks for one frame now and then."""

    def __init__(
        self,
        frames: HeadFrames,
        backs: BackFrames,
        box: Box,
        critic: Critic,
        config: ImageLossConfig,
        operations: Operations,
    ) -> None:
        self.frames, self.backs, self.box = frames, backs, box
        self.critic, self.config, self.operations = critic, config, operations
        self.squares = face_squares(frames.landmarks)
        self.judged: list[tuple[float, float]] = []  # losses so far: L_cord and identity, NaN where there is none

    def due(self, step: int, steps: int) -> bool:
        """Whether a frame of this step is to be judged."""
        return step >= self.config.begin * steps and step % self.config.every == 0

    def share(self, shot: Shot, field: Field) -> tuple[Samples, FrameLoss]:
        """Gradients of one frame's weighted losses, as Operations.frame_loss gives them.

        The loss that comes with them is the squared colour error of the image, times the shot's factor: what a trainer
        tells divergence by. What the judges said is kept in `judged`.
        """
        operations, size = self.operations, self.config.size
        places = grid_places(self.squares[shot.frame], size)
        back, real = self._surroundings(shot.frame, places)
        pose = self.frames.pose
        directions = directions_through(places, self.frames.camera)
        rays = head_rays(directions, pose.rotation[shot.frame], pose.translation[shot.frame], self.box)
        middle = np.full(len(places), MIDDLE, np.float32)
        samples = operations.march(rays, shot.skip, shot.step_mm, middle, shot.max_samples)
        samples = replace(samples, depth_origin=shot.depth_origin)
        shown = self._composed(samples, shot, field, back)
        pull = self._judge(shown, real, self.frames.emotions[shot.frame])
        targets = Targets(
            colour=shown - pull * (1.5 * len(places)), background=back, variance_weight=shot.variance_weight, factor=1.0
        )
        found = operations.frame_loss(
            samples, targets, shot.table, shot.decoder, field.layout, shot.step_mm, shot.gradient
        )
        return samples, replace(found, loss=float((shown - real).square().mean()) * shot.factor)

    def _composed(self, samples: Samples, shot: Shot, field: Field, back: Tensor) -> Tensor:
        """(R, 3) the head over its surroundings."""
        density, colour = self.operations.evaluate(samples.points, shot.table, shot.decoder, field.layout)
        weights = self.operations.weights(density, samples, shot.step_mm)
        counts = torch.from_numpy(samples.counts).to(weights.device).long()
        ray = torch.repeat_interleave(torch.arange(len(counts), device=weights.device), counts)
        sums = torch.zeros(len(counts), 4, device=weights.device)
        sums.index_add_(0, ray, torch.cat([weights[:, None] * colour, weights[:, None]], dim=1))
        return sums[:, :3] + (1 - sums[:, 3:]) * back

    def _judge(self, shown: Tensor, real: Tensor, emotion: str | None) -> Tensor:
        """The gradient (R, 3) of the weighted losses in the pixels."""
        size = self.config.size
        leaf = shown.detach().requires_grad_()
        verdict = self.critic.judge(leaf.T.reshape(3, size, size), real.T.reshape(3, size, size), emotion)
        total = leaf.new_zeros(())
        for found, weight in (
            (verdict.cord, self.config.cord_weight),
            (verdict.identity, self.config.identity_weight),
        ):
            if found is not None:
                total = total + weight * found
        self.judged.append((_number(verdict.cord), _number(verdict.identity)))
        if not total.requires_grad:
            return torch.zeros_like(shown)
        return torch.autograd.grad(total, leaf)[0]

    def _surroundings(self, frame: int, places: Floats) -> tuple[Tensor, Tensor]:
        """Colours (R, 3) behind the head, and of the real frame, at places (R, 2) px.

        Where the head stood nobody knows what is behind it: there, the mean of what is seen beside it.
        """
        frames, camera = self.frames, self.frames.camera
        own = slice(frames.starts[frame], frames.starts[frame + 1])
        pixel = frames.pixel[own]
        back = self.backs.rgb[frame].reshape(-1, 3).astype(np.float32) / 255
        free = self.backs.visibility[frame].reshape(-1) == 255
        back[~free] = back[free].mean(axis=0) if free.any() else 0.5
        cover = frames.coverage[own, None].astype(np.float32) / 255
        real = back.copy()
        real[pixel] = cover * (frames.colour[own].astype(np.float32) / 255) + (1 - cover) * back[pixel]
        shape = (camera.height, camera.width, 3)
        return tuple(self._moved(sampled(image.reshape(shape), places)) for image in (back, real))  # type: ignore[return-value]

    def _moved(self, array: Floats) -> Tensor:
        return torch.from_numpy(array).to(self.operations.device)


def grid_places(square: NDArray[np.float64], size: int) -> Floats:
    """(size², 2) pixels x, y at the centres of size × size cells of a square (centre, side, roll), row by row."""
    cells = (np.arange(size) + 0.5) / size - 0.5
    y, x = (axis.reshape(-1) * square[2] for axis in np.meshgrid(cells, cells, indexing="ij"))
    cosine, sine = np.cos(square[3]), np.sin(square[3])
    return np.stack([square[0] + cosine * x + sine * y, square[1] - sine * x + cosine * y], 1).astype(np.float32)


def directions_through(places: Floats, camera: Camera) -> Floats:
    """Unit directions (R, 3) in camera space through pixels (R, 2), x and y with centres at +0.5."""
    x, y = places.T.astype(np.float64)
    flat = np.stack([(x - camera.cx_px) / camera.focal_px, (camera.cy_px - y) / camera.focal_px, -np.ones_like(x)], 1)
    unit: Floats = (flat / np.linalg.norm(flat, axis=1, keepdims=True)).astype(np.float32)
    return unit


def sampled(image: Floats, places: Floats) -> Floats:
    """(S², 3) bilinear colours of an image (H, W, 3) at pixels (S², 2); edges are repeated outside."""
    import cv2

    size = round(len(places) ** 0.5)  # OpenCV wants few rows
    maps = (places - np.float32(0.5)).reshape(size, size, 2)  # its pixel centres lie at integers
    x, y = (np.ascontiguousarray(maps[..., axis]) for axis in (0, 1))
    found = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found.reshape(-1, 3), np.float32)


def _number(found: Tensor | None) -> float:
    return float("nan") if found is None else float(found.detach())
