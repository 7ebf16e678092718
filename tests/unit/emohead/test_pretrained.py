"""Pretrained encoders from end to end, with tiny networks of random weights in a local cache. Nothing is downloaded."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emobench.errors import InputError, Unavailable
from emobench.methods.emohead.checkpoint import CARD, load_expression, save_expression
from emobench.methods.emohead.config import EmoHeadConfig
from emobench.methods.emohead.hearing import Hearing
from emobench.methods.emohead.method import EmoHead
from emobench.methods.emohead.model import ExpressionModel
from emobench.methods.emohead.pretrained import recognition, speech
from emobench.types import SAMPLE_RATE_HZ, Clip, Context, Floats

from . import tiny_networks as tiny
from .conftest import ask, corpus, fit, small_config

pytest.importorskip("transformers", reason="the package transformers is not installed (extra: pretrained)")

QUICK: dict[str, Any] = {"training": {"steps": 25}, "refinement": {"steps": 5, "max_frames": 200}}
PRETRAINED: dict[str, Any] = {
    "audio": {"source": "pretrained", "model": tiny.SPEECH},
    "emotion": {"source": "pretrained", "model": tiny.EMOTION},
    "text": {"source": "pretrained", "model": tiny.BERT},
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Hugging Face cache with every tiny network, in use; features are cached beside it."""
    root = tmp_path_factory.mktemp("models")
    for make in (tiny.speech, tiny.emotion, tiny.bert, tiny.clip, tiny.whisper):
        make(root / "hub")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_CACHE", str(root / "hub"))
        patch.setenv("EMOBENCH_CACHE", str(root / "cache"))
        yield root / "hub"


@pytest.fixture
def own_hub(hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy that a test may damage."""
    shutil.copytree(hub, tmp_path / "hub")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.fixture(scope="module")
def trained(hub: Path) -> ExpressionModel:
    return fit(corpus(1, each=1), config(**QUICK))


def config(**sections: dict[str, Any]) -> EmoHeadConfig:
    joined = {name: PRETRAINED.get(name, {}) | sections.get(name, {}) for name in {*PRETRAINED, *sections}}
    base = small_config(**joined).model_dump()
    return EmoHeadConfig.model_validate(base | {k: joined[k] for k in ("emotion", "pretrained") if k in joined})


def noise(seconds: float, seed: int = 0) -> Floats:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.normal(size=round(seconds * SAMPLE_RATE_HZ))).astype(np.float32)


def folder_of(hub: Path, model: str) -> Path:
    return next((hub / f"models--{model.replace('/', '--')}" / "snapshots").iterdir())


# ------------------------------------------------------------------ the whole path


def test_a_model_on_pretrained_encoders_is_fitted_saved_and_loaded_without_a_difference(
    trained: ExpressionModel, tmp_path: Path
) -> None:
    request = ask(corpus(2, each=1)[0])
    before = trained.predict(request)
    assert before.refined.shape == (request.n_frames, 5)
    assert np.isfinite(before.refined).all()
    save_expression(tmp_path, trained, ())
    after = load_expression(tmp_path, 1)[0].predict(request)
    np.testing.assert_array_equal(after.refined, before.refined)
    facts = json.loads((tmp_path / CARD).read_text())["pretrained"]
    assert {role: fact["model"] for role, fact in facts.items()} == {
        "audio": tiny.SPEECH, "emotion": tiny.EMOTION, "text": tiny.BERT,
    }  # fmt: skip
    assert all(fact["commit"] == tiny.COMMIT and len(fact["sha256"]) == 64 for fact in facts.values())


def test_every_pretrained_stream_reaches_the_face(trained: ExpressionModel) -> None:
    request = ask(corpus(2, each=1)[0])
    before = trained.predict(request).spoken
    kept = trained.hearing
    for silenced in ("_audio", "_emotion"):
        trained.hearing = Hearing(trained.config)
        network = getattr(trained.hearing, silenced)
        network.states = lambda audio: np.zeros((-(-len(audio) // 320), 16), np.float16)
        network.key = lambda: "silenced"
        changed = np.abs(trained.predict(replace(request, audio=request.audio.copy())).spoken - before).max()
        trained.hearing = kept
        assert changed > 1e-3, silenced
    other_words = trained.predict(replace(request, transcript="zzz zzz zzz zzz")).spoken
    assert np.abs(other_words - before).max() > 1e-3


def test_long_speech_in_chunks_equals_speech_in_one_piece(
    trained: ExpressionModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = replace(ask(corpus(2, each=1)[0]), audio=noise(4.0), n_frames=100)
    whole = trained.predict(request)
    monkeypatch.setattr("emobench.methods.emohead.model.CHUNK_FRAMES", 17)
    np.testing.assert_allclose(trained.predict(request).refined, whole.refined, atol=1e-4)  # float32, other order


def test_encoders_can_be_mixed(hub: Path) -> None:
    mixed = EmoHeadConfig.model_validate(small_config(**QUICK).model_dump() | {"emotion": PRETRAINED["emotion"]})
    model = fit(corpus(1, each=1), mixed)
    assert set(model.hearing.facts()) == {"emotion"}
    assert model.predict(ask(corpus(2, each=1)[0])).refined.shape[1] == 5


@pytest.mark.parametrize("kind", ["Hubert", "WavLM"])
def test_other_speech_networks_give_the_same_shapes(own_hub: Path, kind: str) -> None:
    tiny.speech(own_hub, "tiny/other", kind)
    other = Hearing(config(audio={"model": "tiny/other"}, emotion={"source": "builtin"}))
    states = other.states(noise(1.01))
    assert states is not None
    assert states.shape == (51, 16)


# ------------------------------------------------------------------ speech


def speech_network(**settings: Any) -> speech.SpeechNetwork:
    listening = Hearing(config(**settings))._audio
    assert listening is not None
    return listening


def test_a_state_lies_where_its_sound_lies(hub: Path) -> None:
    network = speech_network(audio={"layer": 0})
    plain = noise(2.0)
    for moment in (0.31, 1.01, 1.73):
        changed = plain.copy()
        middle = round(moment * SAMPLE_RATE_HZ)
        changed[middle - 160 : middle + 160] *= -1  # as loud as before, so that normalisation stays the same
        change = np.abs(network.states(changed).astype(np.float32) - network.states(plain)).sum(1) ** 4
        centre = (change * (np.arange(len(change)) + 0.5)).sum() / change.sum() / speech.STATE_HZ
        assert abs(centre - moment) < 0.02  # one state; the positional convolution blurs by four


def test_states_do_not_depend_on_what_is_said_far_later(hub: Path) -> None:
    network = speech_network(pretrained={"window_seconds": 1.0, "context_seconds": 0.4})
    long, other = noise(5.0), noise(5.0)
    other[round(2.4 * SAMPLE_RATE_HZ) :] *= -0.5  # the second window ends at 2.0 s and hears 0.4 s more
    first, second = network.states(long), network.states(other)
    np.testing.assert_array_equal(first[:100], second[:100])
    assert (first[100:] != second[100:]).any()
    np.testing.assert_array_equal(network.states(long[: round(2.4 * SAMPLE_RATE_HZ)])[:100], first[:100])


def test_the_network_never_hears_more_than_a_window_at_once(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = speech_network(pretrained={"window_seconds": 1.0, "context_seconds": 0.4})
    heard = []
    once = network._window
    monkeypatch.setattr(network, "_window", lambda audio, count: heard.append(len(audio)) or once(audio, count))
    assert len(network.states(noise(7.3))) == 365
    assert len(heard) == 8
    assert max(heard) <= 1.8 * SAMPLE_RATE_HZ


@pytest.mark.parametrize("samples", [160, 161, 320, 4000])
def test_short_sound_gives_a_state_for_every_begun_twenty_milliseconds(hub: Path, samples: int) -> None:
    assert len(speech_network().states(noise(1.0)[:samples])) == -(-samples // 320)


def test_states_are_computed_once_per_sound(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    audio = noise(1.0, seed=77)
    first = Hearing(config()).states(audio)
    monkeypatch.setattr(speech.SpeechNetwork, "states", lambda *_: pytest.fail("asked again"))
    np.testing.assert_array_equal(Hearing(config()).states(audio), first)


# ------------------------------------------------------------------ words


@pytest.mark.parametrize("model", [tiny.BERT, tiny.CLIP])
def test_tokens_stand_where_their_letters_stand(hub: Path, model: str) -> None:
    words = Hearing(config(text={"model": model})).words("abc  da")
    assert words is not None
    assert words.length == len("abc da") + 2
    assert words.states.shape == (len(words.centres), 16)
    assert words.centres[0] == 0
    assert words.centres[-1] == words.length - 1
    assert (np.diff(words.centres) > 0).all()
    assert words.centres[1:4].tolist() == [1, 2, 3]


def test_a_transcript_longer_than_the_network_reads_is_read_in_pieces_and_kept_whole(hub: Path) -> None:
    hearing = Hearing(config())
    short, long = hearing.words("abc da"), hearing.words(" ".join(["abc da"] * 40))
    assert short is not None
    assert long is not None
    assert len(long.centres) - 2 == 40 * (len(short.centres) - 2)  # 64 positions would hold 15 of them
    assert (np.diff(long.centres) > 0).all()


def test_without_transcript_there_is_no_text(hub: Path, trained: ExpressionModel) -> None:
    clip = corpus(2, each=1)[0]
    assert Hearing(config()).words(None) is None
    assert trained.predict(ask(clip)).transcript_source == "given"
    silent = trained.predict(ask(clip, transcript=None))
    assert silent.transcript_source == "none"
    assert np.isfinite(silent.refined).all()


# ------------------------------------------------------------------ unknown speech


def test_unknown_speech_is_written_down_and_the_source_is_told(hub: Path, trained: ExpressionModel) -> None:
    clip = ask(corpus(2, each=1)[0], transcript=None)
    hearing = Hearing(config(text={"asr": "whisper", "asr_model": tiny.WHISPER}))
    written = hearing.transcript(None, clip.audio)
    assert written.source == "asr"
    assert written.text
    assert hearing.transcript("da da", clip.audio).source == "given"
    assert hearing.facts()["speech recognition"].model == tiny.WHISPER
    kept, trained.hearing = trained.hearing, hearing
    heard = trained.predict(clip)
    trained.hearing = kept
    assert heard.transcript_source == "asr"
    np.testing.assert_array_equal(heard.spoken, trained.predict(replace(clip, transcript=written.text)).spoken)


def test_silence_is_not_written_down(hub: Path) -> None:
    hearing = Hearing(config(text={"asr": "whisper", "asr_model": tiny.WHISPER}))
    assert hearing.transcript(None, np.zeros(16000, np.float32)).source == "none"


def test_long_speech_is_cut_at_its_pauses_for_recognition() -> None:
    audio = noise(60.0)
    pause = slice(round(25.0 * SAMPLE_RATE_HZ), round(25.5 * SAMPLE_RATE_HZ))
    audio[pause] = 0
    parts = recognition.pieces(audio)
    np.testing.assert_array_equal(np.concatenate(parts), audio)
    assert all(len(part) <= recognition.PIECE_SECONDS * SAMPLE_RATE_HZ for part in parts)
    assert pause.start < len(parts[0]) < pause.stop


# ------------------------------------------------------------------ what is missing or wrong


def test_a_network_that_is_not_in_the_cache_says_what_where_and_what_next(hub: Path) -> None:
    absent = Hearing(config(audio={"model": "nobody/nothing", "revision": "v2"}))
    with pytest.raises(Unavailable, match=r"audio network nobody/nothing \(revision v2\) is not in the Hugging Face"):
        absent.facts()
    with pytest.raises(Unavailable, match=r"hf download nobody/nothing --revision v2.*--set audio\.source=builtin"):
        absent.states(noise(0.1))
    without_words = Hearing(config(text={"asr": "whisper", "asr_model": "nobody/ears"}))
    with pytest.raises(Unavailable, match=r"speech recognition network nobody/ears.*--set text\.asr=none"):
        without_words.facts()


def test_a_missing_network_is_told_before_training(hub: Path, context: Context) -> None:
    clip = Clip(
        id="a", subject="s", emotion="happy", intensity=1, sentence="x", transcript=None, video=Path("never-read.mkv"),
        audio=None, fps=25.0, n_frames=10, sha256="0",
    )  # fmt: skip
    with pytest.raises(Unavailable, match="nobody/nothing"):
        EmoHead(config(audio={"model": "nobody/nothing"}), context).fit([clip])


def test_without_the_package_the_message_names_the_extra(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(Unavailable, match=r"pip install 'emobench\[pretrained\]'"):
        Hearing(config()).facts()


def test_builtin_encoders_need_no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    hearing = Hearing(small_config())
    assert hearing.facts() == {}
    assert hearing.states(noise(0.1)) is None


def test_a_bad_model_id_is_refused(hub: Path) -> None:
    with pytest.raises(InputError, match=r"audio\.model 'a/b/c' is no id"):
        Hearing(config(audio={"model": "a/b/c"})).facts()


def test_pickled_weights_are_never_loaded(own_hub: Path) -> None:
    folder = folder_of(own_hub, tiny.SPEECH)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(Unavailable, match=r"no model\.safetensors.*pickled weights are never loaded.*refs/pr"):
        Hearing(config()).facts()


def test_a_network_of_another_kind_is_refused(hub: Path) -> None:
    with pytest.raises(InputError, match=r"is a 'bert' network; audio\.model takes wav2vec2, hubert"):
        Hearing(config(audio={"model": tiny.BERT})).facts()


def test_a_network_with_other_steps_is_refused(own_hub: Path) -> None:
    tiny.speech(own_hub, "tiny/coarse", conv_stride=(5, 2, 2, 2, 2, 2, 4))
    with pytest.raises(InputError, match="hears every 640 samples"):
        Hearing(config(audio={"model": "tiny/coarse"})).facts()


def test_missing_weights_are_refused_instead_of_drawn_at_random(own_hub: Path) -> None:
    from safetensors.numpy import load_file, save_file

    path = folder_of(own_hub, tiny.SPEECH) / "model.safetensors"
    tensors = load_file(path)
    lost = next(name for name in tensors if "k_proj.weight" in name)
    save_file({name: array for name, array in tensors.items() if name != lost}, path, metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"lacks 1 of the weights.*random numbers"):
        Hearing(config()).states(noise(0.2, seed=3))


def test_a_damaged_file_is_refused(own_hub: Path) -> None:
    path = folder_of(own_hub, tiny.SPEECH) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match="cannot be loaded from the cache"):
        Hearing(config()).states(noise(0.2, seed=4))


def test_a_text_network_without_tokenizer_is_refused(own_hub: Path) -> None:
    for path in folder_of(own_hub, tiny.BERT).glob("tokenizer*"):
        path.unlink()
    with pytest.raises(InputError, match=r"text network tiny/bert.*tokenizer.*hf download tiny/bert"):
        Hearing(config()).words("abc")


def test_a_layer_that_does_not_exist_is_refused(hub: Path) -> None:
    with pytest.raises(InputError, match=r"audio\.layer is 7; tiny/speech has layers 0 to 2"):
        Hearing(config(audio={"layer": 7})).facts()


def test_a_checkpoint_refuses_other_weights_of_the_same_name(
    trained: ExpressionModel, own_hub: Path, tmp_path: Path
) -> None:
    save_expression(tmp_path, trained, ())
    tiny.speech(own_hub, seed=1)
    loaded = load_expression(tmp_path, 1)[0]  # what is stored can be looked at all the same
    with pytest.raises(InputError, match=r"trained with the audio network tiny/speech.*hf download tiny/speech"):
        loaded.predict(ask(corpus(2, each=1)[0]))


def test_streaming_refuses_encoders_that_hear_the_whole_sound() -> None:
    with pytest.raises(ValueError, match=r"wav2vec 2\.0 hears the whole sound"):
        EmoHeadConfig.model_validate({"audio": {"source": "pretrained"}, "streaming": {"enabled": True}})
