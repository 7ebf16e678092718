"""The causal option: nothing beyond the stated latency is heard, and a stream says what the whole sound would."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from emobench.errors import InputError, UsageError
from emobench.methods.emohead import model as model_module
from emobench.methods.emohead.config import EmoHeadConfig
from emobench.methods.emohead.fitting import Recording
from emobench.methods.emohead.model import Expression, ExpressionModel
from emobench.methods.emohead.streaming import ExpressionStream
from emobench.types import SAMPLE_RATE_HZ, Floats

from .conftest import FPS, ask, corpus, fit, small_config, speak

TOLERANCE = 1e-4  # float32 sums in another order
LATENCY = 0.04 + 0.05


def causal_config(lookahead: float = 0.04, blocks: int = 2) -> EmoHeadConfig:
    base = small_config(audio={"blocks": blocks}, training={"steps": 120}, refinement={"steps": 40}).model_dump()
    return EmoHeadConfig.model_validate(base | {"streaming": {"enabled": True, "lookahead_seconds": lookahead}})


@pytest.fixture(scope="module")
def causal() -> ExpressionModel:
    return fit(corpus(1, each=2), causal_config())


@pytest.fixture
def clip() -> Recording:
    return speak("happy", 3, "ann", np.random.default_rng(99), 100)


def said(model: ExpressionModel, clip: Recording, portions: Iterator[int]) -> tuple[Expression, list[int]]:
    """The frames of a stream fed in portions of samples, and how many frames were out after each."""
    stream = ExpressionStream(model, ask(clip))
    parts, counts, place = [], [], 0
    while place < len(clip.audio):
        size = next(portions)
        parts.append(stream.feed(clip.audio[place : place + size]))
        place += size
        counts.append(sum(len(p.tau) for p in parts if p is not None))
    parts.append(stream.finish())
    found = [p for p in parts if p is not None]
    joined = {name: np.concatenate([getattr(p, name) for p in found]) for name in ("spoken", "refined", "tau")}
    return Expression(**joined), counts


def same_size(samples: int) -> Iterator[int]:
    while True:
        yield samples


def varied(seed: int) -> Iterator[int]:
    rng = np.random.default_rng(seed)
    while True:
        yield int(rng.integers(1, 6000))


@pytest.mark.parametrize("portions", [same_size(640), same_size(100), same_size(20000), varied(0)])
def test_a_stream_says_what_the_whole_sound_says(
    causal: ExpressionModel, clip: Recording, portions: Iterator[int]
) -> None:
    whole = causal.predict(ask(clip))
    stream, _ = said(causal, clip, portions)
    assert stream.tau.shape == whole.tau.shape
    for name in ("spoken", "refined", "tau"):
        np.testing.assert_allclose(getattr(stream, name), getattr(whole, name), atol=TOLERANCE)


def test_every_frame_is_out_as_soon_as_its_latency_has_passed(causal: ExpressionModel, clip: Recording) -> None:
    _, counts = said(causal, clip, same_size(160))
    heard = (np.arange(len(counts)) + 1) * 160 / SAMPLE_RATE_HZ
    middles = (np.arange(100) + 0.5) / FPS
    assert counts == [int((middles + LATENCY <= seconds + 1e-9).sum()) for seconds in heard]


@pytest.mark.parametrize("seconds", [1.0, 1.9, 3.13])
def test_what_follows_beyond_the_latency_changes_nothing(
    causal: ExpressionModel, clip: Recording, seconds: float
) -> None:
    heard = clip.audio.copy()
    heard[round(seconds * SAMPLE_RATE_HZ) :] = 0.5 * np.random.default_rng(0).normal(
        size=len(heard) - round(seconds * SAMPLE_RATE_HZ)
    )
    one, other = causal.predict(ask(clip)), causal.predict(ask(clip, audio=heard))
    settled = int(((np.arange(100) + 0.5) / FPS + LATENCY <= seconds).sum())
    np.testing.assert_allclose(other.refined[:settled], one.refined[:settled], atol=TOLERANCE)
    np.testing.assert_allclose(other.tau[:settled], one.tau[:settled], atol=TOLERANCE)
    assert np.abs(other.spoken[settled : settled + 3] - one.spoken[settled : settled + 3]).max() > 10 * TOLERANCE
    prefix = causal.predict(ask(clip, audio=clip.audio[: round(seconds * SAMPLE_RATE_HZ)], n_frames=settled))
    np.testing.assert_allclose(prefix.refined, one.refined[:settled], atol=TOLERANCE)


def test_without_the_option_the_future_is_heard(trained: ExpressionModel, clip: Recording) -> None:
    heard = clip.audio.copy()
    heard[2 * SAMPLE_RATE_HZ :] = 0
    one, other = trained.predict(ask(clip)), trained.predict(ask(clip, audio=heard))
    assert np.abs(other.spoken[:46] - one.spoken[:46]).max() > 10 * TOLERANCE  # 46 frames end 0.16 s before


def test_long_causal_speech_in_chunks_equals_speech_in_one_piece(
    causal: ExpressionModel, clip: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = causal.predict(ask(clip))
    monkeypatch.setattr(model_module, "CHUNK_FRAMES", 17)
    np.testing.assert_allclose(causal.predict(ask(clip)).refined, whole.refined, atol=TOLERANCE)


def test_a_stream_holds_no_more_sound_than_the_network_reaches(causal: ExpressionModel, clip: Recording) -> None:
    stream = ExpressionStream(causal, ask(clip))
    held = []
    for _ in range(5):
        for place in range(0, len(clip.audio), 1600):
            stream.feed(clip.audio[place : place + 1600])
            held.append(len(stream._sound) / SAMPLE_RATE_HZ)
    assert max(held) < 2 * causal.context_seconds() + LATENCY + 0.3
    assert max(held[80:]) <= max(held[:80])


def test_every_frame_is_refined_once(causal: ExpressionModel, clip: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    refined: list[int] = []
    plain = causal.expressed
    monkeypatch.setattr(causal, "expressed", lambda alpha, *rest: (refined.append(len(alpha)), plain(alpha, *rest))[1])
    _, counts = said(causal, clip, same_size(640))
    assert len(refined) > 50
    assert sum(refined) == 100 >= counts[-1]


def test_a_causal_model_still_follows_speech_and_tag(causal: ExpressionModel) -> None:
    test = corpus(2, each=1)
    errors = [np.abs(causal.predict(ask(r)).spoken - r.track.alpha)[:, 0].mean() for r in test]
    spread = np.concatenate([np.abs(r.track.alpha - r.track.alpha.mean(0))[:, 0] for r in test]).mean()
    assert np.mean(errors) < 0.7 * spread
    happy, angry = (causal.predict(ask(test[0], emotion=e)).refined.mean(0) for e in ("happy", "angry"))
    assert happy[3] > angry[3] + 0.1


def test_the_words_are_not_used_since_they_are_not_known_in_time(causal: ExpressionModel, clip: Recording) -> None:
    one, other = (causal.predict(ask(clip, transcript=words)) for words in ("da da", None))
    np.testing.assert_array_equal(one.refined, other.refined)
    assert one.transcript_source == "none"


def test_what_cannot_be_streamed_is_refused(trained: ExpressionModel, causal: ExpressionModel, clip: Recording) -> None:
    with pytest.raises(UsageError, match=r"streaming\.enabled=true"):
        ExpressionStream(trained, ask(clip))
    with pytest.raises(UsageError, match="'hapy'"):
        ExpressionStream(causal, ask(clip, emotion="hapy"))
    stream = ExpressionStream(causal, ask(clip))
    for bad in (np.zeros((2, 100), np.float32), np.full(100, np.nan, np.float32)):
        with pytest.raises(InputError, match="mono and finite"):
            stream.feed(bad)
    assert stream.finish() is None


def test_a_few_samples_are_not_enough_for_a_frame(causal: ExpressionModel, clip: Recording) -> None:
    stream = ExpressionStream(causal, replace(ask(clip)))
    quiet: Floats = np.zeros(100, np.float32)
    assert stream.feed(quiet) is None
    assert stream.finish() is None
