"""Claims about CPBD, with a slow second implementation as its reference, and about flicker."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from emobench.errors import UnscoredError
from emobench.judges.augment import blur
from emobench.metrics.flicker import Flicker, luma, static_pixels
from emobench.metrics.sharpness import Cpbd, cpbd_frame, edge_widths, vertical_edges


def texture(seed: int, height: int = 150, width: int = 140) -> np.ndarray:
    """(H, W) float32 grey, whole levels: overlapping rectangles, each with a border of its own softness."""
    rng = np.random.default_rng(seed)
    image = np.full((height, width), 90.0)
    y, x = np.mgrid[0:height, 0:width]
    for _ in range(40):
        left, top, wide, tall, softness = rng.uniform((-10, -10, 8, 8, 0.1), (width, height, 40, 40, 1.2))
        inside = np.minimum(np.minimum(x - left, left + wide - x), np.minimum(y - top, top + tall - y))
        share = np.clip(inside / softness + 0.5, 0, 1)
        image = share * rng.uniform(10, 245) + (1 - share) * image
    return np.round(image + rng.normal(0, 1, image.shape)).astype(np.float32)


def blurred(grey: np.ndarray, sigma: float) -> np.ndarray:
    return np.round(blur(grey[None], sigma)[0]).astype(np.float32) if sigma else grey


def slow_cpbd(grey: np.ndarray) -> float:
    """The definition, pixel by pixel: probabilities in whole per cent, their cumulative share up to 63."""
    height, width = grey.shape
    padded = np.pad(grey.astype(float), 1, mode="edge")
    gx, gy = np.zeros_like(grey, float), np.zeros_like(grey, float)
    for r in range(height):
        for c in range(width):
            w = padded[r : r + 3, c : c + 3]
            gx[r, c] = w[0, 2] + 2 * w[1, 2] + w[2, 2] - w[0, 0] - 2 * w[1, 0] - w[2, 0]
            gy[r, c] = w[2, 0] + 2 * w[2, 1] + w[2, 2] - w[0, 0] - 2 * w[0, 1] - w[0, 2]
    cut = 4 * (gx**2 + gy**2).mean()
    percents = []
    for top in range(0, height - 63, 64):
        for left in range(0, width - 63, 64):
            block = grey[top : top + 64, left : left + 64]
            found = []
            for r in range(top, top + 64):
                for c in range(max(left, 1), min(left + 64, width - 1)):
                    size = abs(gx[r, c])
                    if size**2 > cut and size > abs(gx[r, c - 1]) and size >= abs(gx[r, c + 1]):
                        sign = 1 if grey[r, c + 1] > grey[r, c - 1] else -1
                        start = end = c
                        while start > 0 and sign * (grey[r, start] - grey[r, start - 1]) > 0:
                            start -= 1
                        while end < width - 1 and sign * (grey[r, end + 1] - grey[r, end]) > 0:
                            end += 1
                        found.append(end - start)
            if len(found) > 0.002 * 64 * 64:
                noticeable = 5 if block.max() - block.min() <= 50 else 3
                percents += [round(100 * (1 - np.exp(-((w / noticeable) ** 3.6)))) for w in found]
    return sum(p <= 63 for p in percents) / len(percents)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("sigma", [0.0, 0.5])
def test_cpbd_equals_its_definition_computed_pixel_by_pixel(seed, sigma):
    grey = blurred(texture(seed), sigma)
    value = cpbd_frame(grey)
    assert 0.0 < value < 1.0
    assert value == pytest.approx(slow_cpbd(grey), abs=1e-12)  # whole levels: the same edges, a ratio of counts


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_cpbd_falls_with_blur_as_in_the_paper(seed):
    values = [cpbd_frame(blurred(texture(seed), sigma)) for sigma in (0.0, 0.5, 0.8, 1.2)]
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.3 * values[0]


def test_noise_raises_cpbd_which_the_docstring_warns_of():
    grey = blurred(texture(0), 2.5)
    noisy = np.clip(np.round(grey + np.random.default_rng(0).normal(0, 15, grey.shape)), 0, 255).astype(np.float32)
    assert cpbd_frame(noisy) > cpbd_frame(grey) + 0.3


def test_the_width_of_an_edge_is_its_run_of_equal_sign():
    row = np.array([9, 9, 10, 14, 20, 60, 100, 104, 104, 90, 90], np.float32)
    grey = np.tile(row, (3, 1))
    edges = np.zeros(grey.shape, bool)
    edges[1, 5] = True
    assert edge_widths(grey, edges).tolist() == [6]
    assert edge_widths(204 - grey, edges).tolist() == [6]


def test_edges_are_one_pixel_wide():
    grey = np.zeros((80, 80), np.float32)
    grey[:, 40:] = 200
    assert vertical_edges(grey).sum(axis=1).tolist() == [1] * 80


def test_cpbd_needs_no_reference_and_falls_with_blur_on_a_clip(cartoon, context, features):
    clip = cartoon.make_sample(size=192, seconds=0.2)
    values = [
        Cpbd(context).measure(cartoon.as_prediction(clip, frames=frames), None, features).value
        for frames in (clip.frames, blur(clip.frames, 1.5), blur(clip.frames, 4.0))
    ]
    assert values == sorted(values, reverse=True)
    assert values[0] > values[-1] + 0.2


@pytest.mark.parametrize(
    ("frames", "reason"),
    [(np.zeros((2, 63, 90, 3), np.uint8), "at least 64×64"), (np.zeros((2, 70, 70, 3), np.uint8), "have no edge")],
)
def test_cpbd_of_frames_without_blocks_or_edges_is_unscored(frames, reason, cartoon, reference, context, features):
    with pytest.raises(UnscoredError, match=reason):
        Cpbd(context).measure(cartoon.as_prediction(reference, frames=frames), None, features)


# ------------------------------------------------------------------ flicker


def alternating(frames: np.ndarray, size: int) -> np.ndarray:
    signs = np.where(np.arange(len(frames)) % 2, size, -size)[:, None, None, None]
    return np.clip(frames.astype(int) + signs, 0, 255).astype(np.uint8)


def test_flicker_of_identical_clips_and_of_a_constant_error_is_zero(cartoon, reference, context, features):
    metric = Flicker(context)
    base = replace(reference, frames=np.clip(reference.frames, 20, 235))
    assert metric.measure(cartoon.as_prediction(base), base, features).value == 0.0
    shifted = cartoon.as_prediction(base, frames=base.frames + np.uint8(9))
    assert metric.measure(shifted, base, features).value == pytest.approx(0.0, abs=1e-4)  # float32 luma


def test_an_offset_that_alternates_scores_four_times_its_size(cartoon, reference, context, features):
    base = replace(reference, frames=np.clip(reference.frames, 20, 235))
    for size in (1, 3, 9):
        prediction = cartoon.as_prediction(base, frames=alternating(base.frames, size))
        assert Flicker(context).measure(prediction, base, features).value == pytest.approx(4 * size, rel=1e-5)


def test_noise_scores_about_twice_its_deviation(cartoon, reference, context, features):
    base = replace(reference, frames=np.clip(reference.frames, 60, 195))
    grey = np.random.default_rng(0).normal(0, 6, (*base.frames.shape[:3], 1))
    prediction = cartoon.as_prediction(base, frames=np.round(base.frames + grey).astype(np.uint8))
    assert Flicker(context).measure(prediction, base, features).value == pytest.approx(1.95 * 6, rel=0.03)


def test_flicker_looks_only_where_the_reference_stands_still(cartoon, reference, context, features):
    still = static_pixels(reference.frames)
    assert 0.3 < still.mean() < 1.0
    frames = np.where(still[None, :, :, None], reference.frames, alternating(reference.frames, 40))
    prediction = cartoon.as_prediction(reference, frames=frames)
    assert Flicker(context).measure(prediction, reference, features).value == 0.0


def test_a_clip_in_which_everything_moves_is_unscored(cartoon, reference, context, features):
    frames = np.random.default_rng(0).integers(0, 256, reference.frames.shape, dtype=np.uint8)
    moving = replace(reference, frames=frames)
    with pytest.raises(UnscoredError, match=r"% of the reference's pixels stand still"):
        Flicker(context).measure(cartoon.as_prediction(moving), moving, features)


def test_two_frames_cannot_flicker(cartoon, reference, context, features):
    short = replace(reference, frames=reference.frames[:2])
    with pytest.raises(UnscoredError, match="2 frames have no second difference"):
        Flicker(context).measure(cartoon.as_prediction(short), short, features)


def test_luma_weighs_the_channels_by_bt601():
    frame = np.array([[[100, 50, 200]]], np.uint8)
    assert luma(frame)[0, 0] == pytest.approx(0.299 * 100 + 0.587 * 50 + 0.114 * 200, abs=1e-4)
