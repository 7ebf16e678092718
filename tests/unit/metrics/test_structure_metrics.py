"""Claims about SSIM's variants, MS-SSIM and pooled PSNR that hold for any clip."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from emobench.errors import UnscoredError
from emobench.judges.augment import blur
from emobench.metrics.image import Psnr, PsnrPooled
from emobench.metrics.structure import (
    MsSsim,
    MsSsimFace,
    Ssim,
    SsimFace,
    SsimMouth,
    SsimUniform,
    halved,
    ms_ssim_frame,
    ssim_frame,
)

SMALL = [Ssim, SsimUniform, SsimFace, SsimMouth]


@pytest.fixture(scope="module")
def large(cartoon):
    """A clip whose face is large enough for five scales."""
    return cartoon.make_sample(size=384, seconds=0.2)


def score(kind, cartoon, clip, frames, context, features):
    return kind(context).measure(cartoon.as_prediction(clip, frames=frames), clip, features)


@pytest.mark.parametrize("kind", SMALL)
def test_ssim_of_identical_clips_is_one_and_falls_with_blur_and_noise(kind, cartoon, reference, context, features):
    assert score(kind, cartoon, reference, reference.frames, context, features).value == pytest.approx(1.0, abs=1e-6)
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 1, reference.frames.shape)
    noisy = [np.clip(reference.frames + size * noise, 0, 255).astype(np.uint8) for size in (2, 6, 18)]
    for frames in ([blur(reference.frames, sigma) for sigma in (0.5, 1.0, 2.0)], noisy):
        values = [score(kind, cartoon, reference, each, context, features).value for each in frames]
        assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("kind", [MsSsim, MsSsimFace])
def test_ms_ssim_of_identical_clips_is_one_and_falls_with_blur(kind, cartoon, large, context, features):
    values = [score(kind, cartoon, large, large.frames, context, features).value]
    values += [score(kind, cartoon, large, blur(large.frames, s), context, features).value for s in (1.0, 3.0, 9.0)]
    assert values[0] == pytest.approx(1.0, abs=1e-6)
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("kind", [MsSsim, MsSsimFace])
def test_ms_ssim_below_176_px_is_unscored_with_the_size_and_never_uses_fewer_scales(
    kind, cartoon, reference, context, features
):
    with pytest.raises(UnscoredError, match=r"at least 176×176 pixels; the (frame|face) has \d+×\d+"):
        score(kind, cartoon, reference, reference.frames, context, features)


def test_ms_ssim_of_176_px_is_scored():
    frame = np.random.default_rng(0).integers(0, 256, (176, 176, 3), dtype=np.uint8)
    assert ms_ssim_frame(frame, frame) == pytest.approx(1.0, abs=1e-6)
    with pytest.raises(ValueError, match="176"):
        ms_ssim_frame(frame[1:], frame[1:])


def test_ms_ssim_forgives_fine_noise_that_ssim_does_not():
    rng = np.random.default_rng(1)
    smooth = np.clip(128 + 60 * np.sin(np.arange(256) / 20)[None, :, None] + np.zeros((256, 256, 3)), 0, 255)
    noisy = np.clip(smooth + rng.normal(0, 12, smooth.shape), 0, 255).astype(np.uint8)
    assert ms_ssim_frame(noisy, smooth.astype(np.uint8)) > ssim_frame(noisy, smooth.astype(np.uint8)) + 0.2


def test_an_opposite_picture_scores_zero_and_not_a_root_of_a_negative_number():
    frame = np.tile(np.array([[0, 255], [255, 0]], np.uint8)[..., None], (96, 96, 3))
    assert ms_ssim_frame(frame, 255 - frame) == 0.0


def test_halving_averages_four_pixels_and_leaves_an_odd_rim_out():
    image = np.arange(5 * 7 * 3, dtype=np.float32).reshape(5, 7, 3)
    small = halved(image)
    assert small.shape == (2, 3, 3)
    assert small[1, 2, 0] == pytest.approx(image[2:4, 4:6, 0].mean())


@pytest.mark.parametrize(("kind", "other"), [(SsimFace, SsimMouth)])
def test_an_error_beside_the_mouth_changes_the_face_only(kind, other, cartoon, reference, context, features):
    points = reference.track.landmarks
    frames = reference.frames.copy()
    for frame, (x, y) in zip(frames, points[:, 27].astype(int), strict=True):
        frame[y - 4 : y, x - 4 : x + 4] = 0
    assert score(other, cartoon, reference, frames, context, features).value == pytest.approx(1.0, abs=1e-6)
    assert score(kind, cartoon, reference, frames, context, features).value < 0.99


def test_signatures_say_window_covariance_and_region(context):
    assert "Gaussian window 11 σ1.5, population covariance" in Ssim(context).signature()
    assert "uniform window 7, sample covariance" in SsimUniform(context).signature()
    assert "crop:full frame" in Ssim(context).signature()
    assert "crop:mouth square of the reference, margin 25%" in SsimMouth(context).signature()
    assert "MS-SSIM 5 scales" in MsSsimFace(context).signature()
    assert len({kind(context).signature() for kind in (*SMALL, MsSsim, MsSsimFace)}) == 6


# ------------------------------------------------------------------ pooled PSNR


def test_pooled_psnr_of_identical_clips_is_infinite_and_counts_when_pooled(cartoon, reference, context, features):
    metric = PsnrPooled(context)
    same = score(PsnrPooled, cartoon, reference, reference.frames, context, features)
    worse = score(PsnrPooled, cartoon, reference, reference.frames ^ 8, context, features)
    assert (same.value, same.reason) == (None, "infinite")
    assert metric.aggregate([same]) is None
    assert metric.aggregate([same, worse]) == pytest.approx(worse.value + 10 * np.log10(2))


def test_pooled_psnr_is_the_decibel_of_the_mean_error(cartoon, reference, context, features):
    frames = reference.frames.copy()
    frames[0] ^= 255
    frames[1:] ^= 1
    pooled = score(PsnrPooled, cartoon, reference, frames, context, features)
    by_frame = score(Psnr, cartoon, reference, frames, context, features)
    assert pooled.value == pytest.approx(by_frame.detail["pooled_db"])
    assert pooled.value < by_frame.value - 10


def test_pooled_psnr_weighs_every_pixel_of_every_clip_alike(cartoon, reference, context, features):
    metric = PsnrPooled(context)
    base = replace(reference, frames=np.full_like(reference.frames, 100))
    short = replace(base, frames=base.frames[:10])
    bad = score(PsnrPooled, cartoon, short, short.frames + np.uint8(20), context, features)
    good = score(PsnrPooled, cartoon, base, base.frames + np.uint8(2), context, features)
    expected = 10 * np.log10(255**2 / ((10 * 400 + 40 * 4) / 50))
    assert metric.aggregate([bad, good]) == pytest.approx(expected, abs=1e-9)


def test_pooled_psnr_falls_with_blur(cartoon, reference, context, features):
    values = [
        score(PsnrPooled, cartoon, reference, blur(reference.frames, sigma), context, features).value
        for sigma in (0.5, 1.0, 2.0)
    ]
    assert values == sorted(values, reverse=True)
