"""What EmoHead hears, against tones whose pitch and place are known."""

from __future__ import annotations

import numpy as np
import pytest

from emobench.errors import InputError
from emobench.methods.emohead.config import AudioConfig
from emobench.methods.emohead.features import PROSODY, frame_positions, speech_features, speech_span
from emobench.methods.emohead.text import PADDING, SILENCE, UNKNOWN, encode_text, text_positions
from emobench.types import SAMPLE_RATE_HZ

CONFIG = AudioConfig()


def tone(hz: float, seconds: float = 0.6) -> np.ndarray:
    phase = 2 * np.pi * hz * np.arange(int(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return (0.2 * sum(np.sin(k * phase) / k for k in range(1, 6))).astype(np.float32)


def prosody(audio: np.ndarray, name: str) -> np.ndarray:
    return speech_features(audio, CONFIG)[:, CONFIG.n_mels + PROSODY.index(name)]


@pytest.mark.parametrize("hz", [90.0, 150.0, 240.0, 380.0])
def test_pitch_of_a_harmonic_tone_is_found(hz: float) -> None:
    found = 150 * 2 ** np.median(prosody(tone(hz), "log_f0")[5:-5])
    assert found == pytest.approx(hz, rel=0.03)  # the lag grid is 1 sample: 2.4 % at 380 Hz


def test_noise_and_silence_are_unvoiced_and_a_tone_is_voiced() -> None:
    noise = np.random.default_rng(0).normal(size=8000).astype(np.float32) * 0.1
    assert np.median(prosody(noise, "voicing")) < 0.4
    assert prosody(np.zeros(8000, np.float32), "voicing").max() < 0.01
    assert np.median(prosody(tone(200), "voicing")) > 0.9


def test_a_gain_shifts_energy_and_bands_by_itself() -> None:
    quiet, loud = (speech_features(tone(200) * gain, CONFIG) for gain in (0.5, 1.0))
    energy = CONFIG.n_mels
    assert np.median(loud[:, energy] - quiet[:, energy]) == pytest.approx(20 * np.log10(2), abs=0.01)
    strongest = loud[:, : CONFIG.n_mels].mean(0).argmax()
    assert np.median((loud - quiet)[:, strongest]) == pytest.approx(np.log(4), abs=0.01)


def test_one_step_is_ten_milliseconds_and_frames_are_read_at_their_centre() -> None:
    assert len(speech_features(np.zeros(SAMPLE_RATE_HZ + 1, np.float32), CONFIG)) == 101
    assert frame_positions(3, 25.0).tolist() == [1.5, 5.5, 9.5]


def test_an_event_is_heard_at_the_step_where_it_happens() -> None:
    audio = np.zeros(SAMPLE_RATE_HZ, np.float32)
    audio[8000:8160] = 0.5  # exactly step 50
    assert prosody(audio, "energy_db").argmax() in (49, 50, 51)
    assert speech_features(audio, CONFIG)[:, : CONFIG.n_mels].sum(1).argmax() in (49, 50, 51)


def test_speech_span_skips_silence_at_both_ends() -> None:
    silence = np.zeros(3200, np.float32)
    first, last = speech_span(speech_features(np.concatenate([silence, tone(200), silence]), CONFIG))
    assert 17 <= first <= 21
    assert 78 <= last <= 82


@pytest.mark.parametrize("audio", [np.zeros(0), np.zeros(100), np.zeros((2, 8000)), np.full(8000, np.nan)])
def test_sound_that_cannot_be_used_is_an_input_error(audio: np.ndarray) -> None:
    with pytest.raises(InputError):
        speech_features(audio.astype(np.float32), CONFIG)


def test_text_is_lower_case_without_accents_between_silences() -> None:
    codes = encode_text("  Été  b漢")
    assert codes[0] == codes[-1] == SILENCE
    assert codes.tolist()[1:4] == encode_text("ete").tolist()[1:4]
    assert UNKNOWN in codes
    assert PADDING not in codes


def test_text_is_spread_over_the_voiced_part_only() -> None:
    frames = frame_positions(10, 25.0)
    positions = text_positions(12, frames, (9.0, 30.0))
    assert (positions[frames < 9] == 0).all()
    assert (positions[frames > 30] == 11).all()
    inside = positions[(frames >= 9) & (frames <= 30)]
    assert (np.diff(inside) > 0).all()
    assert inside.min() >= 1
    assert inside.max() <= 10


def test_a_transcript_of_one_letter_or_none_stays_in_range() -> None:
    for text in ("", "a"):
        codes = encode_text(text)
        positions = text_positions(len(codes), frame_positions(5, 25.0), (0.0, 20.0))
        assert positions.min() >= 0
        assert positions.max() <= len(codes) - 1
