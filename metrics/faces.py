"""Where the face lies in a clip: landmarks for boxes and alignment. Knows no metric and judges no landmark.

Methods are handed the true head pose, so a prediction's face is looked for where the reference's landmarks are:
the reference's track where it has one, else MediaPipe on the reference, else (without reference) MediaPipe on the
prediction. The source is named in the clip's detail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emobench.errors import InputError, Unavailable, UnscoredError
from emobench.face import landmarks as ibug
from emobench.hashing import hash_arrays, hash_file, hash_text, short
from emobench.types import Camera, Features, Floats, HeadPose, MetricContext, Sample, Stats, Track

from .signatures import told

MEDIAPIPE_WEIGHT = "mediapipe.face_landmarker"
BOX_LABEL = "reference track, else MediaPipe of the reference, else of the prediction"
MEDIAPIPE_BOXES = "mediapipe@"  # how `FaceLocator.source` begins where MediaPipe found the face for this metric


# What a region's boxes are made by: function of landmarks, the points that must lie in the frame, the margin.
REGIONS: Mapping[str, tuple[Callable[[Floats, int, int], NDArray[np.int64]], slice, float]] = {
    "face": (ibug.face_boxes, slice(0, 68), ibug.FACE_MARGIN),
    "mouth": (ibug.mouth_boxes, ibug.MOUTH, ibug.MOUTH_MARGIN),
}


class MediapipeLandmarks:
    """Extractor: 68 landmarks and 52 blendshapes of every frame by MediaPipe's landmarker. A missed frame is an error.

    One pass gives both, so that metrics of lips, lids and expressions share it.
    """

    def __init__(self, model: Path) -> None:
        self._model = model
        self.label = f"{MEDIAPIPE_BOXES}{short(hash_file(model))}"
        self._key = f"mediapipe-68|{short(hash_file(model))}|2"

    def key(self) -> str:
        return self._key

    def extract(self, sample: Sample) -> Mapping[str, NDArray[Any]]:
        """landmarks (T, 68, 2) float32 px, blendshapes (T, 52) float32 0..1, names (52,) str.

        Raises UnscoredError naming the first frame without a face.
        """
        from emobench.face.mediapipe_tracker import track_frames

        try:
            found = track_frames(sample.frames, sample.fps, self._model)
        except InputError as error:
            raise UnscoredError(str(error)) from error
        if not found.valid.all():
            first, misses = int(np.argmin(found.valid)), int((~found.valid).sum())
            total = len(found.valid)
            raise UnscoredError(f"no face found in frame {first} of {total} ({misses} such frames; MediaPipe)")
        return {
            "landmarks": found.landmarks478[:, list(ibug.IBUG68_FROM_MEDIAPIPE), :2].astype(np.float32),
            "blendshapes": found.blendshapes.astype(np.float32),
            "names": np.array(found.blendshape_names),
        }


class FaceLocator:
    """Gives a sample the landmarks that its boxes are cut by, as the track of a copy of the sample."""

    def __init__(self, context: MetricContext) -> None:
        self._locate_weight = context.locate_weight
        self._tracker: MediapipeLandmarks | None = None

    def __call__(self, sample: Sample, reference: Sample | None, features: Features) -> Sample:
        """The sample with a track for boxes; its sha256 covers both. Raises UnscoredError or Unavailable."""
        owner = reference or sample
        if owner.frames.shape[:3] != sample.frames.shape[:3]:
            raise UnscoredError(
                f"prediction has {sample.frames.shape[:3]} frames×height×width, reference {owner.frames.shape[:3]}"
            )
        track = owner.track or _track_from(self._mediapipe_landmarks(owner, features), owner)
        if len(track.landmarks) != len(sample.frames):
            raise UnscoredError(f"track has {len(track.landmarks)} frames, video {len(sample.frames)}")
        place = hash_arrays([track.landmarks])
        return replace(sample, track=track, sha256=hash_text(f"{sample.sha256}|{place}"))

    def source(self, reference: Sample | None) -> str:
        """Where the landmarks of a clip with this reference come from."""
        if reference is not None and reference.track is not None:
            return f"track:{reference.track.source}"
        landmarker = self._tracker.label if self._tracker else MEDIAPIPE_BOXES + "?"
        return f"{landmarker} of {'prediction' if reference is None else 'reference'}"

    def _mediapipe_landmarks(self, sample: Sample, features: Features) -> Floats:
        if self._tracker is None:
            try:
                self._tracker = MediapipeLandmarks(self._locate_weight(MEDIAPIPE_WEIGHT))
            except Unavailable as error:
                raise Unavailable(f"clip has no tracked landmarks to find the face by, and {error}") from error
        return features(self._tracker, sample)["landmarks"]


def _track_from(landmarks: Floats, sample: Sample) -> Track:
    """A track that knows landmarks only: no coefficient, identity pose."""
    count, height, width = sample.frames.shape[:3]
    return Track(
        alpha=np.zeros((count, 0), np.float32), alpha_names=(), is_mouth=np.zeros(0, bool),
        pose=HeadPose(
            rotation=np.tile(np.eye(3, dtype=np.float32), (count, 1, 1)), translation=np.zeros((count, 3), np.float32)
        ),
        camera=Camera(focal_px=float(width), cx_px=width / 2, cy_px=height / 2, width=width, height=height),
        landmarks=landmarks, valid=np.ones(count, bool), head_box_mm=np.zeros((2, 3), np.float32), source="mediapipe",
    )


def landmarks_of(located: Sample) -> Floats:
    """(T, 68, 2) px of a sample that FaceLocator returned."""
    if located.track is None:
        raise UnscoredError("no landmarks")
    return located.track.landmarks


def boxes_told(stats: Sequence[Stats]) -> str:
    """Where the boxes of these clips came from, as signatures name it; the rule where no clip has told."""
    source = told(stats, "box_source")
    return BOX_LABEL if source == "none" else source


def landmarker_used(stats: Sequence[Stats]) -> tuple[str, ...]:
    """The manifest's name of MediaPipe's weight, where a clip says that it found a face or read landmarks."""
    details = [entry.detail for entry in stats]
    found = any(str(detail.get("box_source", "")).startswith(MEDIAPIPE_BOXES) for detail in details)
    read = any(detail.get("detector") == "mediapipe" for detail in details)
    return (MEDIAPIPE_WEIGHT,) if found or read else ()


def region_boxes(region: str, located: Sample) -> NDArray[np.int64]:
    """(T, 4) squares x0 y0 x1 y1 that follow "face" or "mouth", one size a clip. Raises UnscoredError off the frame."""
    boxes, points, _ = REGIONS[region]
    count, height, width = located.frames.shape[:3]
    landmarks = landmarks_of(located)
    centres = landmarks[:, points].mean(axis=1)
    off = ((centres < 0) | (centres >= (width, height))).any(axis=1)
    if off.any():  # the box functions move boxes into the frame, which would score something else
        raise UnscoredError(f"{region} lies outside frame {int(np.argmax(off))} of {count}")
    return boxes(landmarks, width, height)


def region_told(region: str, stats: Sequence[Stats]) -> str:
    """The crop of a region as signatures name it, with where these clips' boxes came from."""
    if not region:
        return "full frame"
    return f"{region} square of the reference, margin {REGIONS[region][2]:.0%}; boxes: {boxes_told(stats)}"
