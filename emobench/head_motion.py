"""How a head moves in a synthesised video: generated sway, or the motion of a clip, a track file or another video.

Poses come out in the studio of the subject that is animated. Knows no method.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from emobench import weights
from emobench.errors import InputError, UsageError, suggest
from emobench.face.motion import nearest_rotations
from emobench.face.tracks import load_track
from emobench.given import read_arrays
from emobench.run_clips import stored_pose
from emobench.store import RunRecord
from emobench.subjects import SubjectCard
from emobench.types import Floats, HeadPose, Progress

SWAY, CLIP = "sway", "clip"  # words of --pose-from, beside clip ids and paths
TRACK_SUFFIX = ".npz"
LANDMARKER = "mediapipe.face_landmarker"


def head_motion(
    source: str, record: RunRecord, card: SubjectCard, emotion: str, n_frames: int, *, seed: int, progress: Progress
) -> HeadPose:
    """n_frames poses from what `source` names: SWAY, CLIP, a clip id of the run, a track.npz or a video.

    Motion that is shorter runs forth and back. Raises UsageError on a name that is none of these, InputError on a file
    without motion, Unavailable where a video cannot be tracked here.
    """
    if source == SWAY:
        return sway(card, n_frames, seed)
    clips = [row.clip for row in record.plan if row.subject == card.subject]
    if source == CLIP:
        if not clips:
            raise UsageError(
                f"--pose-from clip: this run has no test clip of {card.subject}. Take sway, a test clip of another "
                "subject by its id, a track.npz or a video."
            )
        same = [row.clip for row in record.plan if row.subject == card.subject and row.emotion == emotion]
        return extended(stored_pose(record, (same or clips)[0]), n_frames)
    if source in {row.clip for row in record.plan}:
        pose = stored_pose(record, source)
        return extended(pose if source in clips else moved_to(pose, card), n_frames)
    path = Path(source)
    if not path.is_file():
        near = suggest("head motion", source, [SWAY, CLIP, *clips]).partition(" See:")[0]
        raise UsageError(f"{near} --pose-from takes sway, clip, a test clip of this run, a track.npz or a video.")
    pose = load_track(path, read_arrays).pose if path.suffix == TRACK_SUFFIX else _filmed(path, card.fps, progress)
    return extended(moved_to(pose, card), n_frames)


def extended(pose: HeadPose, n_frames: int) -> HeadPose:
    """The first n_frames of a motion that runs forth and back without a jump."""
    forth = np.arange(len(pose))
    turn = np.concatenate([forth, forth[-2:0:-1]])
    rows = turn[np.arange(n_frames) % len(turn)]
    return HeadPose(rotation=pose.rotation[rows], translation=pose.translation[rows])


def moved_to(pose: HeadPose, card: SubjectCard) -> HeadPose:
    """Somebody's motion about their own mean pose as the subject's motion about the reference pose.

    Other cameras measure other distances: translations are scaled by the ratio of both.
    """
    mean = nearest_rotations(pose.rotation.mean(axis=0, keepdims=True))[0]
    offset = pose.translation - pose.translation.mean(axis=0)
    scale = abs(float(card.translation[2])) / max(abs(float(pose.translation[:, 2].mean())), 1e-6)
    return HeadPose(
        rotation=(pose.rotation @ mean.T @ card.rotation).astype(np.float32),
        translation=(card.translation + scale * offset).astype(np.float32),
    )


def _filmed(path: Path, fps: float, progress: Progress) -> HeadPose:
    """Head poses of a video, tracked at its own rate and read off at `fps`."""
    from emobench.face.mediapipe_tracker import to_track, track_frames
    from emobench.media import iterate_video, probe

    info, model = probe(path), weights.locate(LANDMARKER)
    try:
        found = track_frames((frame for _, frame in iterate_video(path)), info.fps, model, progress)
        pose = to_track(found).pose
    except InputError as error:
        raise InputError(f"{path} shows no head motion: {error}") from error
    moments = np.arange(int(len(pose) / info.fps * fps)) * info.fps / fps
    rows = np.clip(np.rint(moments).astype(np.int64), 0, len(pose) - 1)
    if not len(rows):
        raise InputError(f"{path} shows no head motion: it is too short.")
    return HeadPose(rotation=pose.rotation[rows], translation=pose.translation[rows])


def sway(card: SubjectCard, n_frames: int, seed: int) -> HeadPose:
    """Gentle head motion around the reference pose: Ornstein–Uhlenbeck angles, yaw 2.5°, pitch 1.5°, roll 1°."""
    rng = np.random.default_rng(seed)
    decay = np.exp(-1.0 / (card.fps * 0.8))
    std = np.radians([2.5, 1.5, 1.0])
    angles = np.zeros((n_frames, 3))
    for t in range(1, n_frames):
        angles[t] = decay * angles[t - 1] + np.sqrt(1 - decay**2) * std * rng.normal(size=3)
    smooth = np.hanning(9)[1:-1] / np.hanning(9).sum()
    padded = np.pad(angles, ((3, 3), (0, 0)), mode="edge")
    angles = np.stack([np.convolve(padded[:, k], smooth, "valid") for k in range(3)], 1)
    rotation = np.stack([_euler(*a) for a in angles]) @ card.rotation
    translation = np.repeat(card.translation[None], n_frames, 0)
    return HeadPose(rotation=rotation.astype(np.float32), translation=translation.astype(np.float32))


def turned(card: SubjectCard, degrees: Sequence[float]) -> HeadPose:
    """The reference pose as a camera sees it that has moved round the head by each yaw, at the same distance."""
    rotation = np.stack([_euler(np.radians(value), 0.0, 0.0) for value in degrees]) @ card.rotation
    translation = np.repeat(card.translation[None], len(degrees), 0)
    return HeadPose(rotation=rotation.astype(np.float32), translation=translation.astype(np.float32))


def _euler(yaw: float, pitch: float, roll: float) -> Floats:
    cy, sy, cp, sp, cr, sr = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    nod = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    tilt = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    rotation: Floats = (turn @ nod @ tilt).astype(np.float32)
    return rotation
