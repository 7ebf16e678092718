"""Claims about the look-up of α by sound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from emobench.errors import InputError
from emobench.methods.nearest_audio import AudioBank, Heard, NearestAudioConfig, make_bank

from .conftest import FPS, corpus

EXACT = NearestAudioConfig(neighbours=1, smoothing_frames=1, told_tag=False)


def heard_clips() -> list[Heard]:
    return [
        Heard(
            audio=r.audio, fps=r.fps, alpha=r.track.alpha, valid=r.track.valid, emotion=r.emotion, level=r.level
        )
        for r in corpus(3, each=2)
        if r.subject == "ann"
    ]  # fmt: skip


@pytest.fixture(scope="module")
def clips() -> list[Heard]:
    return heard_clips()


@pytest.fixture(scope="module")
def bank(clips: list[Heard]) -> AudioBank:
    return make_bank(clips)


def ask(bank: AudioBank, clip: Heard, config: NearestAudioConfig, **changes: object) -> np.ndarray:
    wanted = replace(clip, **changes)  # type: ignore[arg-type]
    return bank.ask(wanted.audio, FPS, len(clip.alpha), wanted.emotion, wanted.level, config)


def test_sound_of_a_train_clip_brings_back_its_own_alpha(bank: AudioBank, clips: list[Heard]) -> None:
    np.testing.assert_allclose(ask(bank, clips[4], EXACT), clips[4].alpha, atol=1e-6)


def test_a_told_tag_lets_only_its_own_frames_answer(bank: AudioBank, clips: list[Heard]) -> None:
    told = EXACT.model_copy(update={"told_tag": True})
    spoken = next(clip for clip in clips if clip.emotion == "neutral")
    assert ask(bank, spoken, told, emotion="happy", level=3)[:, 3].mean() > 0.7
    assert ask(bank, spoken, told, emotion="happy", level=1)[:, 3].mean() < 0.4


def test_a_level_never_trained_is_answered_by_the_nearest_one(bank: AudioBank, clips: list[Heard]) -> None:
    told = EXACT.model_copy(update={"told_tag": True})
    for level in (2, 3):
        np.testing.assert_array_equal(
            ask(bank, clips[0], told, emotion="neutral", level=level),
            ask(bank, clips[0], told, emotion="neutral", level=1),
        )


def test_an_emotion_without_train_frames_is_answered_by_sound_alone(bank: AudioBank, clips: list[Heard]) -> None:
    told = EXACT.model_copy(update={"told_tag": True})
    np.testing.assert_array_equal(ask(bank, clips[1], told, emotion="sad"), ask(bank, clips[1], EXACT))


def test_frames_without_a_track_never_answer(clips: list[Heard]) -> None:
    silent = [replace(clips[0], valid=np.zeros(len(clips[0].alpha), bool)), *clips[1:]]
    assert not np.allclose(ask(make_bank(silent), clips[0], EXACT), clips[0].alpha, atol=1e-3)


def test_windows_do_not_reach_into_the_next_clip(clips: list[Heard]) -> None:
    first = ask(make_bank(clips[:1]), clips[0], EXACT)
    np.testing.assert_allclose(first, clips[0].alpha, atol=1e-6)


def test_smoothing_keeps_a_constant_face_constant(clips: list[Heard]) -> None:
    still = [replace(clip, alpha=np.full_like(clip.alpha, 0.3)) for clip in clips]
    answer = ask(make_bank(still), clips[0], NearestAudioConfig(smoothing_frames=5))
    np.testing.assert_allclose(answer, 0.3, atol=1e-6)


def test_a_subject_without_tracked_frames_is_refused(clips: list[Heard]) -> None:
    lost = [replace(clip, valid=np.zeros(len(clip.alpha), bool)) for clip in clips]
    with pytest.raises(InputError, match="No train frame"):
        make_bank(lost)
