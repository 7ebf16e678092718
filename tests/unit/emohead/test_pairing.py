"""Claims about partners: whose face a clip may borrow, and how time is warped."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from emobench.methods.emohead.augment import _read
from emobench.methods.emohead.examples import Example, make_example, measure_scaling, with_target
from emobench.methods.emohead.features import speech_features
from emobench.methods.emohead.fitting import Recording
from emobench.methods.emohead.pairing import Partners, warp

from .conftest import small_config, speak

TAGS = {"angry": 1, "happy": 2, "neutral": 3}


def examples(recordings: list[Recording]) -> list[Example]:
    heard = [speech_features(r.audio, small_config().audio) for r in recordings]
    scaling = measure_scaling(heard, [r.track.alpha for r in recordings], [1] * len(recordings), 0.1)
    return [
        with_target(
            make_example(f, scaling, len(r.track.alpha), r.fps, r.transcript, TAGS[r.emotion], r.level, 1),
            r.track.alpha, r.track.valid, scaling,
        )
        for r, f in zip(recordings, heard, strict=True)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def same_words() -> list[Example]:
    """The same syllables at the same times, in three emotions."""
    return examples([speak(emotion, 3, "ann", np.random.default_rng(4), 60) for emotion in ("angry", "happy", "happy")])


def slower(example: Example, factor: float) -> Example:
    """The sound alone, stretched; as many steps longer."""
    steps = round(len(example.features) * factor)
    sources = (np.arange(steps) + 0.5) / factor - 0.5
    frames = round(len(example) * factor)
    positions = (np.arange(frames) + 0.5) * 4 - 0.5
    return replace(
        example, features=_read(example.features, sources), positions=positions,
        seconds=(np.arange(frames) + 0.5) / 25, text_positions=np.zeros(frames),
    )  # fmt: skip


def test_a_clip_warped_onto_itself_keeps_its_time(same_words: list[Example]) -> None:
    np.testing.assert_allclose(warp(same_words[0], same_words[0]), np.arange(60), atol=0.5)


def test_warping_undoes_another_tempo(same_words: list[Example]) -> None:
    found = warp(slower(same_words[0], 1.25), same_words[0])
    wanted = (np.arange(len(found)) + 0.5) / 1.25 - 0.5
    assert np.abs(found - wanted)[5:-5].mean() < 1.0  # frames of 40 ms
    assert (np.diff(found) >= 0).all()


def test_a_partner_lends_tag_level_and_face_but_not_sound(same_words: list[Example]) -> None:
    crossed = Partners(same_words, ["a", "a", None]).crossed(0, np.random.default_rng(0))
    assert crossed is not None
    assert (crossed.tag, crossed.level) == (TAGS["happy"], 3)
    assert crossed.features is same_words[0].features
    assert crossed.alpha is not None
    assert same_words[1].alpha is not None
    assert np.abs(crossed.alpha - same_words[1].alpha).mean() < 0.4  # standardised; the syllables fall together
    assert np.abs(crossed.alpha - same_words[0].alpha).mean() > 0.8


def test_clips_of_other_words_or_the_same_tag_are_no_partners(same_words: list[Example]) -> None:
    rng = np.random.default_rng(0)
    assert Partners(same_words, ["a", "b", "b"]).crossed(0, rng) is None
    assert Partners(same_words, ["a", "b", "b"]).crossed(1, rng) is None
    assert not Partners(same_words, ["a", "b", "b"])
    assert Partners(same_words, ["a", "a", None])
    assert Partners(same_words, [None, None, None]).crossed(0, rng) is None


def test_a_frame_between_untracked_frames_does_not_supervise(same_words: list[Example]) -> None:
    lost = np.ones(60, bool)
    lost[20:30] = False
    partners = Partners([same_words[0], replace(same_words[1], valid=lost)], ["a", "a"])
    crossed = partners.cross(0, 1)
    assert crossed.valid is not None
    assert not crossed.valid[23:27].any()
    assert crossed.valid[:15].all()
