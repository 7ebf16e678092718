"""EmoHead and the references as methods: clips in, frames out, with a painted portrait instead of a radiance field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emobench.errors import InputError, UsageError
from emobench.face.tracks import load_track, save_track
from emobench.media import read_audio, write_audio, write_lossless
from emobench.methods import references
from emobench.methods.emohead import method as method_module
from emobench.methods.emohead.method import EmoHead
from emobench.methods.nearest_reference import NearestAudio, NearestAudioReferenceConfig
from emobench.types import SAMPLE_RATE_HZ, Clip, Context, Driving, Method

from .conftest import CAMERA, FPS, corpus, poses, small_config, speak
from .portraits import PaintedPortrait, paint_portrait

QUICK = small_config(training={"steps": 30}, refinement={"steps": 5})


@pytest.fixture(autouse=True)
def painted(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (method_module, references):
        monkeypatch.setattr(module, "fit_portrait", paint_portrait)
        monkeypatch.setattr(module, "Portrait", PaintedPortrait)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    """A corpus on disk; the first clip of every subject has video."""
    root = tmp_path_factory.mktemp("clips")
    filmed: set[str] = set()
    made = []
    for number, recording in enumerate(corpus(1, each=1)):
        audio, track, video = (root / f"{number}.{kind}" for kind in ("wav", "npz", "mkv"))
        write_audio(audio, recording.audio)
        save_track(track, recording.track)
        count = len(recording.track.alpha)
        is_filmed = recording.subject not in filmed
        if is_filmed:
            frames = np.random.default_rng(number).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
            write_lossless(video, frames, FPS)
            filmed.add(recording.subject)
        made.append(
            Clip(
                id=f"clip-{number}",
                subject=recording.subject,
                emotion=recording.emotion,
                intensity=recording.level,
                sentence="s",
                transcript=recording.transcript,
                video=video if is_filmed else None,
                audio=audio,
                fps=FPS,
                n_frames=count,
                sha256=str(number),
                extras={"track": track},
            )
        )
    return made


def drive(clip: Clip, **changes: object) -> Driving:
    recording = speak(clip.emotion, clip.intensity, clip.subject, np.random.default_rng(3), clip.n_frames)
    values = {
        "clip_id": clip.id,
        "subject": clip.subject,
        "audio": recording.audio,
        "transcript": clip.transcript,
        "emotion": clip.emotion,
        "intensity": clip.intensity,
        "pose": poses(clip.n_frames),
        "camera": CAMERA,
        "fps": FPS,
        "n_frames": clip.n_frames,
        "reference": np.full((8, 8, 3), 7, np.uint8),
    }
    return Driving(**(values | changes))  # type: ignore[arg-type]


def fitted(clips: Sequence[Clip], context: Context) -> EmoHead:
    method = EmoHead(QUICK, context)
    method.fit(clips)
    return method


@pytest.fixture(scope="module")
def emohead(clips: list[Clip], tmp_path_factory: pytest.TempPathFactory) -> EmoHead:
    from emobench.progress import SilentProgress

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(method_module, "fit_portrait", paint_portrait)
        cache = tmp_path_factory.mktemp("cache")
        return fitted(clips, Context(seed=0, device="cpu", threads=1, cache_dir=cache, progress=SilentProgress()))


def test_emohead_is_a_method(emohead: EmoHead) -> None:
    assert isinstance(emohead, Method)


def test_render_gives_every_frame_with_its_expression_and_times_its_stages(emohead: EmoHead, clips: list[Clip]) -> None:
    rendered = list(emohead.render(drive(clips[0])))
    assert len(rendered) == clips[0].n_frames
    expected = emohead.express(drive(clips[0])).refined
    np.testing.assert_array_equal(np.stack([r.alpha for r in rendered]), expected)
    assert rendered[3].frame[0, 0, 0] == int(np.clip(expected[3, 0] * 100 + 50, 0, 255))
    assert set(emohead.stage_seconds()) == {"audio", "field", "composite"}


def test_a_loaded_emohead_renders_the_same_frames(
    emohead: EmoHead, clips: list[Clip], context: Context, tmp_path: Path
) -> None:
    emohead.save(tmp_path / "checkpoint")
    other = EmoHead(small_config(text={"channels": 4}), context)  # the checkpoint's configuration wins
    other.load(tmp_path / "checkpoint")
    assert other.config == emohead.config
    for one, two in zip(emohead.render(drive(clips[1])), other.render(drive(clips[1])), strict=True):
        np.testing.assert_array_equal(one.frame, two.frame)


def test_a_failed_load_leaves_the_method_as_it_was(
    emohead: EmoHead, clips: list[Clip], context: Context, tmp_path: Path
) -> None:
    import shutil

    emohead.save(tmp_path / "checkpoint")
    method = EmoHead(QUICK, context)
    method.load(tmp_path / "checkpoint")
    shutil.rmtree(tmp_path / "checkpoint" / "portrait-ann")
    with pytest.raises(InputError):
        method.load(tmp_path / "checkpoint")
    assert len(list(method.render(drive(clips[0])))) == clips[0].n_frames


def test_wrong_requests_are_refused_before_the_first_frame(emohead: EmoHead, clips: list[Clip]) -> None:
    for change, pattern in (({"subject": "zoe"}, "ann, bob"), ({"emotion": "joy"}, "angry, happy, neutral")):
        with pytest.raises(UsageError, match=pattern):
            emohead.render(drive(clips[0], **change))
    with pytest.raises(InputError):
        emohead.render(drive(clips[0], audio=np.zeros(0, np.float32)))


def test_rendering_before_training_says_so(clips: list[Clip], context: Context) -> None:
    with pytest.raises(UsageError, match="not trained"):
        EmoHead(QUICK, context).express(drive(clips[0]))


def test_training_clips_that_cannot_be_used_are_named(clips: list[Clip], context: Context) -> None:
    with pytest.raises(InputError, match="no face to learn"):
        EmoHead(QUICK, context).fit([replace(clip, video=None) for clip in clips])
    with pytest.raises(InputError, match=r"clip-1 has no sound"):
        EmoHead(QUICK, context).fit([clips[0], replace(clips[1], audio=None)])
    with pytest.raises(InputError, match=r"clip-1 has no track"):
        EmoHead(QUICK, context).fit([clips[0], replace(clips[1], extras={})])
    with pytest.raises(InputError, match=r"clip-1: the track has"):
        EmoHead(QUICK, context).fit([clips[0], replace(clips[1], n_frames=3)])


# ------------------------------------------------------------------ references


def reference(name: str, clips: Sequence[Clip], context: Context) -> references._Reference:
    made: references._Reference
    if name == "NearestAudio":
        made = NearestAudio(NearestAudioReferenceConfig(), context)
    else:
        kind = getattr(references, name)
        through = issubclass(kind, references.PortraitReference)
        made = kind(references.PortraitConfig() if through else references.NothingConfig(), context)
    made.fit(clips)
    return made


def mean_of(clips: Sequence[Clip]) -> np.ndarray:
    return np.concatenate([load_track(clip.extras["track"]).alpha for clip in clips]).mean(0)


def test_static_repeats_the_reference_frame(clips: list[Clip], context: Context) -> None:
    frames = [r.frame for r in reference("Static", clips, context).render(drive(clips[0]))]
    assert len(frames) == clips[0].n_frames
    assert (np.stack(frames) == 7).all()


def test_ground_truth_gives_the_targets_own_frames_and_expression(clips: list[Clip], context: Context) -> None:
    from emobench.media import read_video

    assert clips[0].video is not None
    rendered = list(reference("GroundTruth", clips, context).render_oracle(drive(clips[0]), clips[0]))
    np.testing.assert_array_equal(np.stack([r.frame for r in rendered]), read_video(clips[0].video).frames)
    np.testing.assert_array_equal(np.stack([r.alpha for r in rendered]), load_track(clips[0].extras["track"]).alpha)


def test_true_alpha_goes_through_the_portrait(clips: list[Clip], context: Context) -> None:
    rendered = list(reference("TrueAlpha", clips, context).render_oracle(drive(clips[0]), clips[0]))
    alpha = load_track(clips[0].extras["track"]).alpha
    np.testing.assert_array_equal(np.stack([r.alpha for r in rendered]), alpha)
    assert rendered[5].frame[0, 0, 0] == int(np.clip(alpha[5, 0] * 100 + 50, 0, 255))


@pytest.mark.parametrize("name", ["GroundTruth", "TrueAlpha"])
def test_an_oracle_does_not_render_without_its_target(name: str, clips: list[Clip], context: Context) -> None:
    with pytest.raises(UsageError, match="oracle"):
        reference(name, clips, context).render(drive(clips[0]))


def test_mean_expression_is_the_mean_over_the_subjects_own_frames(clips: list[Clip], context: Context) -> None:
    rendered = list(reference("MeanExpression", clips, context).render(drive(clips[0])))
    own = mean_of([clip for clip in clips if clip.subject == clips[0].subject])
    np.testing.assert_allclose(rendered[0].alpha, own, atol=1e-6)
    np.testing.assert_array_equal(rendered[0].alpha, rendered[-1].alpha)


def test_emotion_mean_takes_tag_and_level_of_the_subject(clips: list[Clip], context: Context) -> None:
    rendered = list(reference("EmotionMean", clips, context).render(drive(clips[0])))
    same = [c for c in clips if (c.subject, c.emotion, c.intensity) == ("ann", clips[0].emotion, clips[0].intensity)]
    np.testing.assert_allclose(rendered[0].alpha, mean_of(same), atol=1e-6)
    assert not context.progress.notes  # type: ignore[attr-defined]


def test_emotion_mean_falls_back_to_level_then_subject_and_says_so(clips: list[Clip], context: Context) -> None:
    method = reference("EmotionMean", clips, context)
    own = [clip for clip in clips if clip.subject == "ann"]
    angry = [clip for clip in own if clip.emotion == "angry"]
    for changes, expected, said in (
        ({"emotion": "angry", "intensity": 2}, mean_of([c for c in angry if c.intensity == 1]), "uses angry/1"),
        ({"emotion": "sad", "intensity": 3}, mean_of(own), "uses all"),
    ):
        rendered = next(iter(method.render(drive(own[0], **changes))))
        np.testing.assert_allclose(rendered.alpha, expected, atol=1e-6)
        assert context.progress.notes[-1].endswith(said)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["Static", "MeanExpression", "EmotionMean", "NearestAudio"])
def test_a_reference_survives_the_round_trip(name: str, clips: list[Clip], context: Context, tmp_path: Path) -> None:
    method = reference(name, clips, context)
    method.save(tmp_path / "checkpoint")
    other = type(method)(method.config, context)
    other.load(tmp_path / "checkpoint")
    for one, two in zip(method.render(drive(clips[2])), other.render(drive(clips[2])), strict=True):
        np.testing.assert_array_equal(one.frame, two.frame)
    (tmp_path / "checkpoint" / references.CARD).write_text("{")
    with pytest.raises(InputError, match="no reference checkpoint"):
        other.load(tmp_path / "checkpoint")


def test_nearest_audio_answers_a_train_clips_own_sound_with_its_expression(clips: list[Clip], context: Context) -> None:
    assert clips[0].audio is not None
    driving = drive(clips[0], audio=read_audio(clips[0].audio))
    method = reference("NearestAudio", clips, context)
    alpha = np.stack([r.alpha for r in method.render(driving)])
    truth = load_track(clips[0].extras["track"]).alpha
    assert np.abs(alpha - truth)[:, :2].mean() < 0.5 * np.abs(truth - truth.mean(0))[:, :2].mean()
    assert set(method.stage_seconds()) == {"audio", "field", "composite"}


def test_nearest_audio_refuses_what_it_cannot_hear_or_read(clips: list[Clip], context: Context, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="clip-1 has no sound"):
        reference("NearestAudio", [clips[0], replace(clips[1], audio=None, subject="ann")], context)
    method = reference("NearestAudio", clips, context)
    with pytest.raises(UsageError, match="Trained: ann, bob"):
        method.render(drive(clips[0], subject="zoe"))
    method.save(tmp_path / "checkpoint")
    bank = tmp_path / "checkpoint" / "bank-ann.safetensors"
    bank.write_bytes(bank.read_bytes()[:-3])
    with pytest.raises(InputError, match=r"bank-ann.*is corrupt"):
        method.load(tmp_path / "checkpoint")


def test_a_subject_without_a_portrait_is_refused(clips: list[Clip], context: Context) -> None:
    with pytest.raises(UsageError, match="Trained: ann, bob"):
        next(iter(reference("MeanExpression", clips, context).render(drive(clips[0], subject="zoe"))))


def test_the_toy_sound_is_as_long_as_its_frames(clips: list[Clip]) -> None:
    assert len(drive(clips[0]).audio) == int(clips[0].n_frames / FPS * SAMPLE_RATE_HZ)
