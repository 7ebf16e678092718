"""Claims about `emobench synth`: head motion of every kind, intensity, sound in step, and clear refusals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emobench import synth
from emobench.errors import InputError, UsageError
from emobench.face.tracks import save_track
from emobench.head_motion import extended, head_motion, moved_to
from emobench.media import probe, read_audio, read_video, write_audio
from emobench.progress import SilentProgress
from emobench.store import RunRecord
from emobench.synth import Synthesis, SynthRequest, synthesise
from emobench.types import SAMPLE_RATE_HZ, Driving, HeadPose, Rendered, Track

from .animated_run import CAMERA, CARD, FPS, FRAMES, NAMES, PaintingMethod, PlainMethod, finished_run


@pytest.fixture
def record(tmp_path: Path) -> RunRecord:
    return finished_run(tmp_path / "run")


@pytest.fixture
def method(monkeypatch: pytest.MonkeyPatch) -> PaintingMethod:
    made = PaintingMethod()
    monkeypatch.setattr(synth, "open_method", lambda *_, **__: made)
    return made


def asked(record: RunRecord, **changes: object) -> SynthRequest:
    audio = record.dir / "speech.wav"
    time = np.arange(int(1.0 * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    write_audio(audio, (0.5 * np.sin(2 * np.pi * 200 * time) * (time > 0.5)).astype(np.float32))
    request = SynthRequest(
        checkpoint=record.dir, audio=audio, output=record.dir / "out.mp4", emotion="happy", transcript=None
    )
    return replace(request, **changes)  # type: ignore[arg-type]


def make(request: SynthRequest) -> Synthesis:
    return synthesise(request, device="cpu", threads=1, progress=SilentProgress(), cache_dir=request.checkpoint)


def motion(source: str, record: RunRecord, n_frames: int = 25, emotion: str = "neutral") -> HeadPose:
    return head_motion(source, record, CARD, emotion, n_frames, seed=0, progress=SilentProgress())


def test_the_video_is_as_long_as_the_speech_and_its_sound_stays_in_step(
    record: RunRecord, method: PaintingMethod
) -> None:
    done = make(asked(record))
    media = probe(record.dir / "out.mp4")
    assert media.n_frames == done.n_frames == FPS
    sound = read_audio(record.dir / "out.mp4")
    assert np.abs(sound[: int(0.45 * SAMPLE_RATE_HZ)]).max() < 0.05
    assert np.abs(sound[int(0.55 * SAMPLE_RATE_HZ) : int(0.9 * SAMPLE_RATE_HZ)]).max() > 0.3
    assert done.real_time_factor == pytest.approx(done.work_seconds / done.clip_seconds)


def test_frames_are_written_one_by_one(
    record: RunRecord, method: PaintingMethod, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: list[int] = []

    def render(driving: Driving) -> Iterator[Rendered]:
        for index in range(driving.n_frames):
            alive.append(index)
            yield Rendered(frame=np.full((8, 8, 3), index, np.uint8))

    taken: list[int] = []

    def write(path: Path, frames: Iterator[np.ndarray], *_: object) -> None:
        for index, _frame in enumerate(frames):
            taken.append(len(alive) - index)

    monkeypatch.setattr(method, "render", render)
    monkeypatch.setattr(synth, "write_preview", write)
    make(asked(record))
    assert set(taken) == {1}


def test_a_method_that_stops_early_leaves_no_video(
    record: RunRecord, method: PaintingMethod, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(method, "render", lambda driving: iter([Rendered(frame=np.zeros((8, 8, 3), np.uint8))]))
    with pytest.raises(InputError, match="gave 1 frames, asked for 25"):
        make(asked(record))
    assert not (record.dir / "out.mp4").exists()


def test_intensity_and_level_reach_the_method(
    record: RunRecord, method: PaintingMethod, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Driving] = []
    plain = method.express
    monkeypatch.setattr(method, "express", lambda driving: (seen.append(driving), plain(driving))[1])
    make(asked(record, intensity=0.8, level=2, emotion="angry"))
    assert len(seen) == 1  # the expression is predicted once
    assert (seen[0].strength, seen[0].intensity, seen[0].emotion) == (0.8, 2, "angry")


def test_an_intensity_with_nothing_to_multiply_is_refused(
    record: RunRecord, method: PaintingMethod, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="nothing to multiply"):
        make(asked(record, intensity=0.5, emotion="neutral"))  # its τ is 0
    monkeypatch.setattr(synth, "open_method", lambda *_, **__: PlainMethod())
    with pytest.raises(UsageError, match="Use --level"):
        make(asked(record, intensity=0.5))


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"emotion": "hapy"}, UsageError, r"Did you mean 'happy'.*angry, happy, neutral"),
        ({"subject": "zoe"}, UsageError, "This run knows: ann"),
        ({"output": Path("x.avi")}, UsageError, "synth writes .mp4"),
        ({"audio": Path("absent.wav")}, InputError, "absent.wav"),
        ({"pose_from": "swey"}, UsageError, r"Did you mean 'sway'.*track\.npz"),
    ],
)
def test_wrong_requests_are_refused_before_anything_is_loaded(
    record: RunRecord, changes: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        make(asked(record, **changes))


def test_ten_milliseconds_of_sound_are_refused_with_their_length(record: RunRecord) -> None:
    short = record.dir / "short.wav"
    write_audio(short, np.zeros(160, np.float32))
    with pytest.raises(InputError, match="10 ms of sound"):
        make(asked(record, audio=short))


# ------------------------------------------------------------------ head motion


def test_a_clips_motion_runs_forth_and_back_without_a_jump(record: RunRecord) -> None:
    for source in ("clip", "ann_neutral"):
        x = motion(source, record).translation[:, 0]
        np.testing.assert_array_equal(x[:FRAMES], np.arange(FRAMES))
        assert np.abs(np.diff(x)).max() == 1
        assert len(x) == 25


def test_a_clips_motion_for_a_subject_without_a_test_clip_is_refused_with_what_to_take(record: RunRecord) -> None:
    bob = replace(CARD, subject="bob")
    with pytest.raises(UsageError, match=r"no test clip of bob\. Take sway"):
        head_motion("clip", record, bob, "happy", 9, seed=0, progress=SilentProgress())


def test_a_single_pose_is_held() -> None:
    pose = HeadPose(rotation=np.eye(3, dtype=np.float32)[None], translation=np.zeros((1, 3), np.float32))
    assert len(extended(pose, 5)) == 5


def test_somebody_elses_motion_happens_about_the_subjects_own_pose(record: RunRecord, tmp_path: Path) -> None:
    angles = np.radians([-10.0, 0.0, 10.0])
    turns = np.stack([[[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]] for a in angles])
    tilt = np.array([[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]])
    far = np.array([[300.0, 0, -2000], [300, 0, -2000], [300, 20, -2000]])
    pose = HeadPose(rotation=(turns @ tilt).astype(np.float32), translation=far.astype(np.float32))
    moved = moved_to(pose, CARD)
    np.testing.assert_allclose(moved.rotation, turns, atol=1e-5)  # the mean tilt is gone
    np.testing.assert_allclose(moved.translation.mean(0), CARD.translation, atol=1e-3)
    assert np.ptp(moved.translation[:, 1]) == pytest.approx(10)  # twice as far away, in the other camera
    track = Track(
        alpha=np.zeros((3, len(NAMES)), np.float32), alpha_names=NAMES, is_mouth=np.zeros(len(NAMES), bool), pose=pose,
        camera=CAMERA, landmarks=np.zeros((3, 68, 2), np.float32), valid=np.ones(3, bool),
        head_box_mm=np.zeros((2, 3), np.float32), source="file",
    )  # fmt: skip
    save_track(tmp_path / "track.npz", track)
    found = motion(str(tmp_path / "track.npz"), record, 3)
    np.testing.assert_allclose(found.rotation, moved.rotation, atol=1e-6)


def test_a_file_without_motion_is_named(record: RunRecord, tmp_path: Path) -> None:
    (tmp_path / "track.npz").write_bytes(b"no")
    with pytest.raises(InputError, match=r"track\.npz is no npz file"):
        motion(str(tmp_path / "track.npz"), record)


def test_the_first_frame_of_the_video_is_the_first_the_method_gave(record: RunRecord, method: PaintingMethod) -> None:
    make(asked(record))
    first = read_video(record.dir / "out.mp4").frames[0]
    expected = next(iter(method.render(_driving()))).frame
    assert np.abs(first.astype(int) - expected).max() <= 8  # 4:2:0 and quantisation


def _driving() -> Driving:
    return Driving(
        clip_id="x", subject="ann", audio=np.zeros(16000, np.float32), transcript=None, emotion="happy", intensity=3,
        pose=HeadPose(rotation=np.tile(np.eye(3, dtype=np.float32), (25, 1, 1)),
                      translation=np.zeros((25, 3), np.float32)),
        camera=CAMERA, fps=FPS, n_frames=25, reference=CARD.reference,
    )  # fmt: skip
