"""Everything behind the head: torso, hair outside the mask, background; a 2D field that the head pose deforms.

back(u; p) = canonical(u + Σⱼ φⱼ(p)·shiftⱼ(u)) + Σⱼ φⱼ(p)·residualⱼ(u), with φ = 1, rotation vector and translation
of the head. RAD-NeRF (Tang et al. 2022) deforms a 2D hash field in the same way; here the fields are pixel and coarse
grids, so that a frame costs one warp and one small product. Knows nothing of heads except where they hide it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate

from emobench.pasting import PASTED
from emobench.types import Floats, HeadPose, Image, Progress

from .config import RadianceConfig
from .footage import BackFrames
from .geometry import pose_features
from .ray_kernels import compose

FEATURES = 7  # one, rotation vector (radians), translation off its train mean (100 mm)
CHUNK_FRAMES = 32
SHRINK = 1e-2  # ridge on the residual, in visible frames of unit features
IMAGE_RATE, SHIFT_RATE = 1e-2, 5e-3  # Adam learning rates: colours in 0..1, shifts in half image widths per unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Backdrop:
    """A trained backdrop; see the module for the formula."""

    canonical: Floats  # (H, W, 3) in 0..1
    shift: Floats  # (7, C, C, 2) x, y in half image sizes per unit of a feature, on a coarse grid
    residual: Floats  # (7, H, W, 3) per unit of a feature
    mean_translation: Floats  # (3,) mm
    low: Floats  # (7,) smallest and
    high: Floats  # (7,) largest features seen in training

    def features(self, pose: HeadPose) -> Floats:
        """φ (T, 7), held to the range seen in training: a linear model must not be extrapolated."""
        return np.clip(_features(pose, self.mean_translation), self.low, self.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackdropView:
    """A backdrop prepared for one image size: what does not depend on the frame is done."""

    canonical: Floats  # (H, W, 3) as trained
    shift: Floats  # (h, w, 2, 7) pixels of `canonical` per unit of a feature
    residual: Floats  # (h, w, 3, 7)

    def render(self, features: Floats, head: Floats, opacity: Floats) -> Image:
        """The composed frame (h, w, 3) uint8: head colour sums (h·w, 3) over this backdrop at opacity (h·w,)."""
        frame = np.empty((*self.shift.shape[:2], 3), np.uint8)
        compose(self.canonical, self.shift, self.residual, features, head, opacity, frame)
        return frame


def view(backdrop: Backdrop, height: int, width: int) -> BackdropView:
    """Prepare a backdrop for frames of height × width."""
    trained = backdrop.canonical.shape[:2]
    scale = np.array([trained[1] / 2, trained[0] / 2], np.float32)  # half sizes → pixels, x and y
    shift = _resized(np.moveaxis(backdrop.shift, 0, -1).reshape(*backdrop.shift.shape[1:3], -1), height, width)
    residual = np.moveaxis(backdrop.residual, 0, -1).reshape(*trained, -1)
    return BackdropView(
        canonical=np.ascontiguousarray(backdrop.canonical),
        shift=np.ascontiguousarray(shift.reshape(height, width, 2, FEATURES) * scale[:, None]),
        residual=np.ascontiguousarray(
            (residual if (height, width) == trained else _resized(residual, height, width)).reshape(
                height, width, 3, FEATURES
            )
        ),
    )


def fit_backdrop(frames: BackFrames, config: RadianceConfig, seed: int, progress: Progress) -> Backdrop:
    """Train on frames weighted by visibility: image and deformation by Adam, then the residual in closed form."""
    mean_translation = frames.pose.translation.mean(0)
    features = _features(frames.pose, mean_translation)
    height, width = frames.rgb.shape[1:3]
    cells = config.backdrop_cells
    blank = Backdrop(
        canonical=_mean_image(frames),
        shift=np.zeros((FEATURES, cells, cells, 2), np.float32),
        residual=np.zeros((FEATURES, height, width, 3), np.float32),
        mean_translation=mean_translation,
        low=features.min(0),
        high=features.max(0),
    )
    if config.backdrop == "static":
        return blank
    canonical, shift = _fit_deformation(frames, features, blank, config, seed, progress)
    deformed = replace(blank, canonical=canonical, shift=shift)
    return _with_residual(deformed, frames, features) if config.backdrop_residual else deformed


def trained_as(config: RadianceConfig) -> RadianceConfig:
    """The configuration that the portrait is trained with: paste-back happens after it, over a deformed backdrop."""
    return config.model_copy(update={"backdrop": "deformed"}) if config.backdrop == "paste" else config


def torso_of(config: RadianceConfig) -> str:
    """How torso and background come about, as results name it."""
    return PASTED if config.backdrop == "paste" else config.backdrop


def head_layer(config: RadianceConfig, head: Floats, opacity: Floats) -> Floats | None:
    """(H, W, 4) premultiplied colours and opacity (H, W) of the head alone, where it is to be pasted back."""
    if config.backdrop != "paste":
        return None
    return np.concatenate([head.reshape(*opacity.shape, 3), opacity[..., None]], axis=2)


def _features(pose: HeadPose, mean_translation: Floats) -> Floats:
    moving = pose_features(pose, mean_translation)
    return np.concatenate([np.ones((len(moving), 1), np.float32), moving], axis=1)


def _mean_image(frames: BackFrames) -> Floats:
    """Visible mean colour of every pixel; pixels that the head always hides take the nearest visible one's."""
    total = np.zeros(frames.rgb.shape[1:], np.float32)
    weight = np.zeros(frames.rgb.shape[1:3], np.float32)
    for start in range(0, len(frames.rgb), CHUNK_FRAMES):
        part = slice(start, start + CHUNK_FRAMES)
        visible = frames.visibility[part].astype(np.float32)
        weight += visible.sum(0)
        total += np.einsum("thw,thwc->hwc", visible, frames.rgb[part].astype(np.float32))
    seen = weight >= 255
    if not seen.any():
        return np.full(frames.rgb.shape[1:], 0.5, np.float32)
    mean = total / np.maximum(weight, 1)[..., None] / 255
    nearest = distance_transform_edt(~seen, return_distances=False, return_indices=True)
    filled: Floats = mean[tuple(nearest)]
    return filled


def _fit_deformation(
    frames: BackFrames, features: Floats, start: Backdrop, config: RadianceConfig, seed: int, progress: Progress
) -> tuple[Floats, Floats]:
    """Canonical image and shifts by stochastic gradient descent on random visible pixels."""
    image = torch.from_numpy(start.canonical).permute(2, 0, 1)[None].clone().requires_grad_()
    shift = torch.from_numpy(start.shift).clone().requires_grad_()
    optimiser = torch.optim.Adam(
        [{"params": [image], "lr": IMAGE_RATE}, {"params": [shift], "lr": SHIFT_RATE}], betas=(0.9, 0.99)
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, config.backdrop_steps))
    for index in progress.track(range(config.backdrop_steps), "backdrop"):
        rng = np.random.default_rng([seed, index, 3_000_000])
        colour, visible, places, known = _random_pixels(frames, features, config, rng)
        moved = places + _shift_at(shift, places, known)
        found = grid_sample(image, moved[None, None], padding_mode="border", align_corners=False)[0, :, 0].T
        loss = ((found - colour).square() * visible[:, None]).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    canonical = image.detach()[0].permute(1, 2, 0).contiguous().numpy()
    return canonical, shift.detach().numpy()


def _random_pixels(
    frames: BackFrames, features: Floats, config: RadianceConfig, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Colours (M, 3), visibilities (M,), places (M, 2) in −1..1 and features (M, 7) of random pixels of all frames."""
    count, height, width = frames.visibility.shape
    chosen = rng.integers(count, size=16)
    frame = np.repeat(chosen, config.backdrop_pixels // 16)
    y, x = rng.integers(height, size=len(frame)), rng.integers(width, size=len(frame))
    places = np.stack([(x + 0.5) / width * 2 - 1, (y + 0.5) / height * 2 - 1], axis=1).astype(np.float32)
    return (
        torch.from_numpy(frames.rgb[frame, y, x].astype(np.float32) / 255),
        torch.from_numpy(frames.visibility[frame, y, x].astype(np.float32) / 255),
        torch.from_numpy(places),
        torch.from_numpy(features[frame]),
    )


def _shift_at(shift: Tensor, places: Tensor, features: Tensor) -> Tensor:
    """Σⱼ φⱼ·shiftⱼ at places (M, 2) → (M, 2)."""
    planes = shift.permute(0, 3, 1, 2).reshape(1, -1, *shift.shape[1:3])  # (1, 7·2, C, C)
    at = grid_sample(planes, places[None, None], padding_mode="border", align_corners=False)[0, :, 0]
    return torch.einsum("jcm,mj->mc", at.view(FEATURES, 2, -1), features)


@torch.no_grad()
def _warped(backdrop: Backdrop, features: Floats) -> Floats:
    """The deformed canonical image (T, H, W, 3) without residual."""
    height, width = backdrop.canonical.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) + 0.5
    places = torch.from_numpy(np.stack([x / width * 2 - 1, y / height * 2 - 1], axis=-1))
    planes = interpolate(
        torch.from_numpy(backdrop.shift).permute(0, 3, 1, 2), (height, width), mode="bilinear", align_corners=False
    )
    moved = places + torch.einsum("jchw,tj->thwc", planes, torch.from_numpy(features))
    image = torch.from_numpy(backdrop.canonical).permute(2, 0, 1)[None].expand(len(features), -1, -1, -1)
    return grid_sample(image, moved, padding_mode="border", align_corners=False).permute(0, 2, 3, 1).numpy()


def _with_residual(backdrop: Backdrop, frames: BackFrames, features: Floats) -> Backdrop:
    """Weighted ridge regression per pixel of what the deformation leaves over."""
    height, width = backdrop.canonical.shape[:2]
    scale = np.concatenate([[1], np.maximum(features[:, 1:].std(0), 1e-6)]).astype(np.float32)
    middle = np.concatenate([[0], features[:, 1:].mean(0)]).astype(np.float32)
    design = (features - middle) / scale
    pairs = (design[:, :, None] * design[:, None, :]).reshape(len(features), -1)
    normal = np.zeros((FEATURES**2, height * width), np.float32)
    right = np.zeros((FEATURES, height * width * 3), np.float32)
    for start in range(0, len(features), CHUNK_FRAMES):
        part = slice(start, start + CHUNK_FRAMES)
        visible = frames.visibility[part].astype(np.float32) / 255
        left_over = frames.rgb[part].astype(np.float32) / 255 - _warped(backdrop, features[part])
        normal += pairs[part].T @ visible.reshape(len(visible), -1)
        right += design[part].T @ (left_over * visible[..., None]).reshape(len(visible), -1)
    # pixels seen in few frames stay near the deformation alone
    ridge = np.eye(FEATURES, dtype=np.float32) * (SHRINK * len(features) + 1)
    matrices = normal.T.reshape(-1, FEATURES, FEATURES) + ridge
    solved = np.linalg.solve(matrices, right.reshape(FEATURES, height * width, 3).transpose(1, 0, 2)) / scale[:, None]
    solved[:, 0] -= np.einsum("pjc,j->pc", solved, middle)
    return replace(
        backdrop,
        residual=np.ascontiguousarray(solved.transpose(1, 0, 2).reshape(FEATURES, height, width, 3), np.float32),
    )


def _resized(image: Floats, height: int, width: int) -> Floats:
    """Bilinear resize of (h, w, C), pixel centres aligned as in grid_sample."""
    planes = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]
    sized = interpolate(planes, (height, width), mode="bilinear", align_corners=False)
    return sized[0].permute(1, 2, 0).contiguous().numpy()
