"""Claims about PSNR and SSIM that hold for any clip."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from emobench.errors import Unavailable, UnscoredError
from emobench.judges.augment import blur
from emobench.metrics.image import Psnr, PsnrFace, PsnrMouth
from emobench.metrics.structure import Ssim


def noisy(sample, sigma):
    noise = np.random.default_rng(1).normal(0, sigma, sample.frames.shape)
    return np.clip(sample.frames + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("kind", [Psnr, PsnrFace, PsnrMouth])
def test_psnr_of_identical_clips_is_infinite_and_scored(kind, cartoon, reference, context, features):
    stats = kind(context).measure(cartoon.as_prediction(reference), reference, features)
    assert stats.value is None
    assert stats.reason == "infinite"
    assert kind(context).aggregate([stats]) is None


def test_ssim_of_identical_clips_is_one(cartoon, reference, context, features):
    stats = Ssim(context).measure(cartoon.as_prediction(reference), reference, features)
    assert stats.value == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("kind", [Psnr, PsnrFace, PsnrMouth, Ssim])
def test_fidelity_falls_with_noise_and_with_blur(kind, cartoon, reference, context, features):
    metric = kind(context)

    def score(frames):
        return metric.measure(cartoon.as_prediction(reference, frames=frames), reference, features).value

    by_noise = [score(noisy(reference, sigma)) for sigma in (2, 6, 18)]
    by_blur = [score(blur(reference.frames, sigma)) for sigma in (0.5, 1.0, 2.0)]
    assert by_noise == sorted(by_noise, reverse=True)
    assert by_blur == sorted(by_blur, reverse=True)


def test_psnr_of_a_uniform_error_is_the_formula(cartoon, reference, context, features):
    base = replace(reference, frames=np.full_like(reference.frames, 100))
    shifted = cartoon.as_prediction(base, frames=np.full_like(reference.frames, 110))
    assert Psnr(context).measure(shifted, base, features).value == pytest.approx(20 * np.log10(255 / 10), abs=1e-12)


def test_psnr_is_a_mean_of_decibels_not_of_errors(cartoon, reference, context, features):
    frames = reference.frames.copy()
    frames[0] ^= 255
    frames[1:] ^= 1
    stats = Psnr(context).measure(cartoon.as_prediction(reference, frames=frames), reference, features)
    assert stats.value > stats.detail["pooled_db"] + 10


def test_an_error_outside_the_face_changes_only_the_full_frame(cartoon, reference, context, features):
    frames = reference.frames.copy()
    frames[:, :4, :4] = 255
    prediction = cartoon.as_prediction(reference, frames=frames)
    assert PsnrFace(context).measure(prediction, reference, features).reason == "infinite"
    assert Psnr(context).measure(prediction, reference, features).value is not None


@pytest.mark.parametrize("kind", [Psnr, PsnrFace, Ssim])
def test_a_missing_frame_is_unscored_with_the_counts(kind, cartoon, reference, context, features):
    short = cartoon.as_prediction(reference, frames=reference.frames[:-1])
    with pytest.raises(UnscoredError, match=r"prediction has 39 frames, reference 40; nothing is truncated"):
        kind(context).measure(short, reference, features)


@pytest.mark.parametrize("kind", [Psnr, PsnrMouth, Ssim])
def test_another_frame_size_is_unscored_with_the_sizes(kind, cartoon, reference, context, features):
    small = cartoon.as_prediction(reference, frames=reference.frames[:, :-2])
    with pytest.raises(UnscoredError, match=r"96×94 pixels, reference 96×96; nothing is resized"):
        kind(context).measure(small, reference, features)


def test_a_face_off_the_frame_is_unscored(cartoon, reference, context, features):
    track = replace(reference.track, landmarks=reference.track.landmarks + np.float32(500))
    with pytest.raises(UnscoredError, match="face lies outside frame 0 of 40"):
        PsnrFace(context).measure(cartoon.as_prediction(reference), replace(reference, track=track), features)


def test_a_face_box_without_track_and_tracker_names_the_command(cartoon, reference, context, features):
    untracked = replace(reference, track=None)
    with pytest.raises(Unavailable, match="emobench weights fetch mediapipe"):
        PsnrFace(context).measure(cartoon.as_prediction(reference), untracked, features)


def test_frames_below_the_ssim_window_are_unscored(cartoon, reference, context, features):
    tiny = replace(reference, frames=reference.frames[:, :10, :10])
    with pytest.raises(UnscoredError, match="11×11"):
        Ssim(context).measure(cartoon.as_prediction(tiny), tiny, features)
