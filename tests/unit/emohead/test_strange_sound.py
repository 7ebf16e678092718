"""Sound that is no ordinary speech still gives a face, and what is odd about it is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from emobench.errors import InputError
from emobench.media.audio import resampled
from emobench.methods.emohead import features as features_module
from emobench.methods.emohead.config import AudioConfig
from emobench.methods.emohead.features import speech_features
from emobench.methods.emohead.model import Expression, ExpressionModel
from emobench.methods.emohead.remarks import sound_remarks
from emobench.types import SAMPLE_RATE_HZ, Floats

from .conftest import FPS, ask, corpus, speak

SECONDS = np.arange(2 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
NOISE = np.random.default_rng(0).normal(size=len(SECONDS)).astype(np.float32)
CHORD = sum(np.sin(2 * np.pi * hz * SECONDS + hz) for hz in (262, 330, 392, 1046, 5000)).astype(np.float32)


def drive(model: ExpressionModel, audio: Floats) -> Expression:
    n_frames = max(1, int(len(audio) / SAMPLE_RATE_HZ * FPS))
    return model.predict(replace(ask(corpus(2, each=1)[0]), audio=audio, n_frames=n_frames, transcript=None))


def spoken_range(model: ExpressionModel) -> tuple[Floats, Floats]:
    """What α stays within: six deviations about the mean of training."""
    mean, scale = model.scaling.alpha_of(0)
    return mean - 6 * scale, mean + 6 * scale


@pytest.mark.parametrize(
    ("audio", "remark"),
    [
        (np.zeros(2 * SAMPLE_RATE_HZ, np.float32), "the sound is silent"),
        (1e-4 * NOISE, "the sound is silent"),
        (0.1 * NOISE, "no voice was found"),
        (0.9 * np.sign(NOISE), "no voice was found"),
        (0.1 * CHORD, None),
    ],
    ids=["silence", "hiss", "noise", "full-scale noise", "music"],
)
def test_what_is_no_speech_gives_a_face_and_a_remark(
    trained: ExpressionModel, audio: Floats, remark: str | None
) -> None:
    expression = drive(trained, audio.astype(np.float32))
    low, high = spoken_range(trained)
    assert (expression.refined > low).all()
    assert (expression.refined < high).all()
    assert len(expression.remarks) == (remark is not None)
    assert remark is None or remark in expression.remarks[0]


def test_ordinary_speech_and_telephone_speech_are_told_apart() -> None:
    clip = speak("happy", 3, "ann", np.random.default_rng(3), 100)
    wide = clip.audio + 0.02 * NOISE[: len(clip.audio)].repeat(2)[: len(clip.audio)]
    assert sound_remarks(speech_features(wide, AudioConfig())) == ()
    narrow = resampled(resampled(wide, SAMPLE_RATE_HZ, 8000), 8000, SAMPLE_RATE_HZ)
    (remark,) = sound_remarks(speech_features(narrow, AudioConfig()))
    assert "nothing sounds above 4 kHz" in remark


@pytest.mark.parametrize("samples", [160, 161, 400, 640, 1600])
def test_a_hundredth_of_a_second_is_enough_for_a_frame(trained: ExpressionModel, samples: int) -> None:
    expression = drive(trained, 0.1 * NOISE[:samples])
    assert expression.refined.shape[1] == 5
    assert np.isfinite(expression.refined).all()


@pytest.mark.parametrize(
    ("audio", "words"),
    [
        (np.zeros(0, np.float32), "at least 10 ms"),
        (np.zeros(159, np.float32), "at least 10 ms"),
        (np.zeros((2, 16000), np.float32), "mono"),
        (np.full(16000, np.nan, np.float32), "NaN"),
        (np.full(16000, np.inf, np.float32), "infinite"),
    ],
    ids=["nothing", "9.9 ms", "two channels", "nan", "infinite"],
)
def test_what_is_no_sound_is_refused(trained: ExpressionModel, audio: Floats, words: str) -> None:
    with pytest.raises(InputError, match=words):
        trained.predict(replace(ask(corpus(2, each=1)[0]), audio=audio))


def test_features_in_blocks_equal_features_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    audio = speak("angry", 3, "bob", np.random.default_rng(1), 60).audio
    whole = speech_features(audio, AudioConfig())
    monkeypatch.setattr(features_module, "BLOCK_STEPS", 37)
    np.testing.assert_allclose(speech_features(audio, AudioConfig()), whole, rtol=0, atol=1e-4)  # BLAS, other shapes


def test_a_picture_that_long_outlasts_its_sound_gets_every_frame(trained: ExpressionModel) -> None:
    request = replace(ask(corpus(2, each=1)[0]), audio=0.1 * NOISE[:8000], n_frames=1700)
    expression = trained.predict(request)
    assert expression.refined.shape == (1700, 5)
    assert np.isfinite(expression.refined).all()
