"""What real face networks say about frames of the puppet, beside the truth. Makes no frame and sums up nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from puppet_filmed import FPS, LANDMARK_PX, Take, film

from emobench import weights
from emobench.datasets.puppet.alpha import ALPHA_NAMES, IS_MOUTH, unit_slice
from emobench.datasets.puppet.rig import jaw_degrees
from emobench.datasets.puppet.view import studio_camera
from emobench.face.landmarks import mouth_opening
from emobench.face.mediapipe_tracker import MediapipeTrack, track_frames
from emobench.metrics.emotion import ExpressNetProbabilities
from emobench.metrics.identity import FaceEmbeddings
from emobench.types import HeadPose, Sample, Track

INNER = slice(17, 68)  # iBUG-68 without the jaw line
# Tracked blendshapes (averaged) → true action units (averaged over both sides); None is the jaw's angle.
SHAPES: dict[str, tuple[tuple[str, ...], tuple[int, ...] | None]] = {
    "jaw open": (("jawOpen",), None),
    "smile": (("mouthSmileLeft", "mouthSmileRight"), (12,)),
    "brow raise": (("browInnerUp", "browOuterUpLeft", "browOuterUpRight"), (1, 2, 2)),
    "inner brow up": (("browInnerUp",), (1,)),
    "outer brow up": (("browOuterUpLeft", "browOuterUpRight"), (2,)),
    "brow down": (("browDownLeft", "browDownRight"), (4,)),
    "blink": (("eyeBlinkLeft", "eyeBlinkRight"), (43,)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One clip at one size. Landmark deviations are tracked minus true, in units of the distance of the outer eye
    corners, in a frame whose x axis runs through these; frames without a face hold NaN."""

    subject: str
    emotion: str
    level: int
    sentence: str
    size_px: int
    found: NDArray[np.bool_]  # (k,)
    deviations: NDArray[np.float32]  # (k, 51, 2)
    tracked: NDArray[np.float32]  # (k, len(SHAPES)) blendshapes
    true: NDArray[np.float32]  # (k, len(SHAPES))
    opening: NDArray[np.float32]  # (k,) tracked gap of the inner lips / eye distance
    probabilities: NDArray[np.float64]  # (7,) mean over frames
    embeddings: NDArray[np.float32]  # (ceil(k / 5), D) unit length


class Jury:
    """The networks, loaded once per process."""

    def __init__(self) -> None:
        self._landmarker = weights.locate("mediapipe.face_landmarker")
        self._expression = ExpressNetProbabilities(weights.locate("expressnet"), "cpu")
        self._identity = FaceEmbeddings(weights.locate("mobilefacenet"))

    def judge(self, take: Take, size_px: int, every: int, whole: bool) -> Verdict:
        """Renders every `every`-th speaking frame (whole: also of the silence around) and asks all networks."""
        chosen = np.flatnonzero(take.speaking | whole)[::every]
        frames = film(take, size_px, chosen)
        true68 = take.landmarks[chosen] * (size_px / LANDMARK_PX)
        seen = track_frames(frames, FPS / every, self._landmarker)
        sample = _sample(take, chosen, frames, true68)
        return Verdict(
            subject=take.subject, emotion=take.emotion, level=take.level, sentence=take.sentence, size_px=size_px,
            found=seen.valid, deviations=_deviations(seen, true68), tracked=_tracked(seen),
            true=_true(take.alpha[chosen]), opening=mouth_opening(seen.landmarks68),
            probabilities=self._expression.extract(sample)["probabilities"].astype(np.float64).mean(axis=0),
            embeddings=self._identity.extract(sample)["embeddings"].astype(np.float32),
        )  # fmt: skip


def _deviations(seen: MediapipeTrack, true68: NDArray[np.float64]) -> NDArray[np.float32]:
    """(k, 51, 2) tracked minus true inner points in the head-aligned frame; NaN without a face."""
    axis = true68[:, 45] - true68[:, 36]
    distance = np.linalg.norm(axis, axis=1)
    cosine, sine = (axis / distance[:, None]).T
    turn = np.stack([np.stack([cosine, sine], axis=1), np.stack([-sine, cosine], axis=1)], axis=1)  # image → head
    away = (seen.landmarks68 - true68)[:, INNER]
    aligned = np.einsum("kij,knj->kni", turn, away) / distance[:, None, None]
    aligned[~seen.valid] = np.nan
    return np.asarray(aligned, np.float32)


def _tracked(seen: MediapipeTrack) -> NDArray[np.float32]:
    place = {name: index for index, name in enumerate(seen.blendshape_names)}
    columns = [seen.blendshapes[:, [place[name] for name in names]].mean(axis=1) for names, _ in SHAPES.values()]
    values = np.stack(columns, axis=1)
    values[~seen.valid] = np.nan
    return np.asarray(values, np.float32)


def _true(alpha: NDArray[np.float32]) -> NDArray[np.float32]:
    columns = [
        jaw_degrees(alpha) if units is None else np.mean([alpha[:, unit_slice(u)].mean(axis=1) for u in units], axis=0)
        for _, units in SHAPES.values()
    ]
    return np.asarray(np.stack(columns, axis=1), np.float32)


def _sample(take: Take, chosen: NDArray[np.int64], frames: NDArray[np.uint8], landmarks: NDArray[np.float64]) -> Sample:
    """The frames as metrics take them, with the exact landmarks to cut faces by."""
    track = Track(
        alpha=take.alpha[chosen], alpha_names=ALPHA_NAMES, is_mouth=IS_MOUTH,
        pose=HeadPose(rotation=take.pose.rotation[chosen], translation=take.pose.translation[chosen]),
        camera=studio_camera(frames.shape[1]), landmarks=landmarks.astype(np.float32),
        valid=np.ones(len(chosen), bool), head_box_mm=np.zeros((2, 3), np.float32), source="dataset",
    )  # fmt: skip
    return Sample(
        clip_id=f"{take.subject}_{take.emotion}_{take.level}_{take.sentence}", subject=take.subject,
        emotion=take.emotion, intensity=take.level, fps=FPS, frames=frames, audio=None, track=track, alpha=None,
        timing=None, sha256="",
    )  # fmt: skip
