"""Speech of the puppet: deterministic, exactly as long as its frames, clear errors."""

import itertools

import numpy as np
import pytest

from emobench.datasets.puppet.config import PuppetConfig
from emobench.datasets.puppet.emotions import prosody
from emobench.datasets.puppet.identity import IDENTITIES
from emobench.datasets.puppet.speech import SENTENCES, SpeechError, open_speaker
from emobench.datasets.puppet.visemes import VISEMES, VOWELS, open_by_loudness, segment
from emobench.types import SAMPLE_RATE_HZ


def test_utterances_do_not_depend_on_what_was_said_before():
    text, voice = SENTENCES["s01"], IDENTITIES["amy"].voice
    with open_speaker() as speaker:
        first = speaker.say(text, voice, prosody("happy", 3), 25.0)
        speaker.say(SENTENCES["s06"], IDENTITIES["ben"].voice, prosody("sad", 2), 25.0)
        again = speaker.say(text, voice, prosody("happy", 3), 25.0)
    with open_speaker() as speaker:
        fresh = speaker.say(text, voice, prosody("happy", 3), 25.0)
    for other in (again, fresh):
        np.testing.assert_array_equal(first.samples, other.samples)
        assert first.phonemes == other.phonemes


@pytest.mark.parametrize("fps", [24.0, 25.0, 30.0])
def test_sound_is_exactly_as_long_as_the_frames(fps):
    with open_speaker() as speaker:
        said = speaker.say(SENTENCES["s03"], IDENTITIES["ben"].voice, prosody("neutral", 1), fps)
    assert len(said.samples) == round(said.n_frames * SAMPLE_RATE_HZ / fps)
    assert said.phonemes[-1].end_seconds == pytest.approx(said.n_frames / fps)


def test_every_identity_has_a_voice_that_espeak_knows():
    with open_speaker() as speaker:
        for identity in IDENTITIES.values():
            said = speaker.say("Hello.", identity.voice, prosody("neutral", 1), 25.0)
            assert np.abs(said.samples).max() > 0.1


def test_angry_speech_is_louder_and_faster_than_sad_speech():
    with open_speaker() as speaker:
        angry, sad = (
            speaker.say(SENTENCES["s02"], IDENTITIES["ben"].voice, prosody(emotion, 3), 25.0)
            for emotion in ("angry", "sad")
        )
    assert np.abs(angry.samples).max() > 1.5 * np.abs(sad.samples).max()
    assert angry.n_frames < sad.n_frames


def test_an_unknown_voice_is_an_error_that_names_the_text():
    with open_speaker() as speaker, pytest.raises(SpeechError, match="Hello"):
        speaker.say("Hello.", "no-such-voice", prosody("neutral", 1), 25.0)


def test_a_voiceless_stop_begins_with_its_silent_hold():
    with open_speaker() as speaker:
        said = speaker.say(SENTENCES["s06"], IDENTITIES["ben"].voice, prosody("neutral", 1), 25.0)
    stops = [p for p in said.phonemes if p.ipa.lstrip("ˈˌ_").startswith(("p", "t", "k"))]
    assert len(stops) >= 4
    sound = np.abs(said.samples).mean()
    for stop in stops:
        first = round(stop.start_seconds * SAMPLE_RATE_HZ)
        hold = said.samples[first + 160 : first + 480]  # 10 to 30 ms
        assert np.abs(hold).mean() < 0.35 * sound


def test_phonemes_follow_each_other_without_gap_or_overlap():
    with open_speaker() as speaker:
        said = speaker.say(SENTENCES["s02"], IDENTITIES["amy"].voice, prosody("fear", 3), 25.0)
    for before, after in itertools.pairwise(said.phonemes):
        assert before.end_seconds == pytest.approx(after.start_seconds)
        assert before.end_seconds > before.start_seconds


def test_train_and_test_sentences_each_contain_every_viseme():
    config = PuppetConfig()
    with open_speaker() as speaker:
        said = {name: speaker.say(text, "en-us+m3", prosody("neutral", 1), 25.0) for name, text in SENTENCES.items()}
    heard = {name: {part.viseme for part in segment(utterance.phonemes)} for name, utterance in said.items()}
    for sentences in (config.train_sentences, config.test_sentences):
        assert set.union(*(heard[sentence] for sentence in sentences)) == set(VISEMES)


def test_louder_vowels_open_the_jaw_further():
    with open_speaker() as speaker:
        said = speaker.say(SENTENCES["s08"], IDENTITIES["ben"].voice, prosody("neutral", 1), 25.0)
    plain = segment(said.phonemes)
    opened = open_by_loudness(plain, said)
    changes, levels = [], []
    for before, after in zip(plain, opened, strict=True):
        assert (before.viseme, before.start_seconds) == (after.viseme, after.start_seconds)
        if before.viseme not in VOWELS:
            assert after.gain == before.gain
            continue
        piece = said.samples[round(before.start_seconds * SAMPLE_RATE_HZ) : round(before.end_seconds * SAMPLE_RATE_HZ)]
        changes.append(after.gain / before.gain)
        levels.append(float(np.square(piece).mean()))
    assert np.argmax(changes) == np.argmax(levels)
    assert min(changes) < 1 < max(changes)
