"""What the measurements of the radiance field share: one puppet subject's frames, regions of a face, scores, strips.

Trains nothing. Frames are chosen evenly over a subject's train clips, so that all emotions have their share.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from emobench import environment
from emobench.data_commands import Asked, open_asked
from emobench.datasets.puppet.truth import Truth, load_truth
from emobench.face.landmarks import face_box, mouth_opening
from emobench.media import read_video
from emobench.methods.radiance.footage import DETAILS, Footage
from emobench.methods.radiance.footage_reading import plan_reading, read_footage
from emobench.methods.radiance.geometry import rotation_vectors
from emobench.metrics.structure import GAUSSIAN, MIDDLE, similarity
from emobench.progress import make_progress
from emobench.types import Dataset, Floats, Frames, HeadPose, Image, Layers, Track

REGIONS = ("crop", "mouth", "eyes")
MEMORY_MB = 100_000  # all frames
REPORTED, UNHEARD = "s10", ("s10", "s11", "s12")  # sentences: the one of reports; settings are chosen on another


@dataclass(frozen=True, slots=True, kw_only=True)
class Shots:
    """Frames of one subject with all that is known of them."""

    footage: tuple[Footage, ...]  # one for each clip
    frames: Frames  # (T, H, W, 3) of all clips, one after another
    emotions: tuple[str, ...]  # (T,)

    @property
    def alpha(self) -> Floats:
        """(T, K)."""
        return np.concatenate([clip.track.alpha for clip in self.footage])

    @property
    def pose(self) -> HeadPose:
        """Of T frames."""
        tracks = [clip.track for clip in self.footage]
        return HeadPose(
            rotation=np.concatenate([track.pose.rotation for track in tracks]),
            translation=np.concatenate([track.pose.translation for track in tracks]),
        )

    @property
    def landmarks(self) -> Floats:
        """(T, 68, 2) px."""
        return np.concatenate([clip.track.landmarks for clip in self.footage])

    @property
    def masks(self) -> NDArray[np.uint8]:
        """(T, H, W) coverage of the head."""
        return np.concatenate([clip.layers.head_alpha for clip in self.footage])


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Training and test material of one puppet subject."""

    name: str
    train: Shots
    test: Shots  # held-out sentence, all emotions


def open_subject(name: str, size_px: int, train_frames: int, test_every: int = 1, sentence: str = REPORTED) -> Subject:
    """Generate (or find) the clips of a subject; `train_frames` of the train frames, every n-th frame of a sentence
    that no training heard."""
    dataset = _prepared(size_px, sentence)
    train = [clip for clip in dataset.split("train") if clip.subject == name and clip.video is not None]
    test = [clip for clip in dataset.split("test") if clip.subject == name]
    lengths = [clip.n_frames for clip in train]
    chosen = np.linspace(0, sum(lengths) - 1, min(train_frames, sum(lengths))).round().astype(int)
    parts = np.split(chosen, np.searchsorted(chosen, np.cumsum(lengths)[:-1]))
    starts = np.cumsum([0, *lengths[:-1]])
    held = read_footage(plan_reading(test, MEMORY_MB))
    return Subject(
        name=name,
        train=_shots(
            read_footage(plan_reading(train, MEMORY_MB)), [p - s for p, s in zip(parts, starts, strict=True)], train
        ),
        test=_shots(held, [np.arange(0, clip.n_frames, test_every) for clip in test], test),
    )


def open_truths(name: str, size_px: int) -> Iterator[tuple[Truth, Frames]]:
    """Ground truth and frames of the test clips of a subject, with depth and views from aside."""
    for clip in _prepared(size_px).split("test"):
        if clip.subject == name and clip.video is not None:
            yield load_truth(clip), read_video(clip.video).frames


def _prepared(size_px: int, sentence: str = REPORTED) -> Dataset:
    others = [other for other in UNHEARD if other != sentence]
    sets = [f"size_px={size_px}", f"test_sentences={json.dumps([sentence])}", f"val_sentences={json.dumps(others)}"]
    asked = Asked(
        name="puppet", sets=sets, config_file=None, data_root=None,
        threads=environment.thread_count(), cache_dir=environment.cache_dir(),
    )  # fmt: skip
    _, dataset = open_asked(asked, make_progress())
    dataset.prepare()
    return dataset


def _shots(footage: Iterator[Footage], chosen: Sequence[NDArray[np.int64]], clips: Sequence[object]) -> Shots:
    picked = [some(clip, keep) for clip, keep in zip(footage, chosen, strict=True)]
    names = [clip.emotion for clip in clips]  # type: ignore[attr-defined]
    return Shots(
        footage=tuple(picked),
        frames=np.concatenate([composed(clip.layers) for clip in picked]),
        emotions=tuple(name for name, keep in zip(names, chosen, strict=True) for _ in keep),
    )


def some(clip: Footage, keep: NDArray[np.int64]) -> Footage:
    """The clip's frames at these indices."""
    track, layers = clip.track, clip.layers
    pose = HeadPose(rotation=track.pose.rotation[keep], translation=track.pose.translation[keep])
    fewer: Track = replace(
        track, alpha=track.alpha[keep], pose=pose, landmarks=track.landmarks[keep], valid=track.valid[keep]
    )
    shown = Layers(
        head_alpha=layers.head_alpha[keep], head_rgb=layers.head_rgb[keep], back_rgb=layers.back_rgb[keep],
        source=layers.source,
    )  # fmt: skip
    depth = None if clip.depth is None else clip.depth[keep]
    return Footage(name=clip.name, track=fewer, layers=shown, emotion=clip.emotion, depth=depth)


def composed(layers: Layers) -> Frames:
    """(T, H, W, 3) the frames that the layers were taken from, to within a grey level at edges."""
    share = layers.head_alpha[..., None].astype(np.float32) / 255
    frames: Frames = (share * layers.head_rgb + (1 - share) * layers.back_rgb + 0.5).astype(np.uint8)
    return frames


# ------------------------------------------------------------------ scores


def regions(landmarks: Floats, size: tuple[int, int]) -> Mapping[str, NDArray[np.bool_]]:
    """Masks (H, W) of face crop, mouth box and both eye boxes of one frame's landmarks (68, 2)."""
    apart = float(np.linalg.norm(landmarks[42:48].mean(0) - landmarks[36:42].mean(0)))
    boxes = []
    for part, margin in DETAILS:
        low, high = landmarks[part].min(0) - margin * apart, landmarks[part].max(0) + margin * apart
        box = np.zeros(size, bool)
        box[max(0, int(low[1])) : int(np.ceil(high[1])), max(0, int(low[0])) : int(np.ceil(high[0]))] = True
        boxes.append(box)
    crop = np.zeros(size, bool)
    crop[crop_of(landmarks, size)] = True
    return {"crop": crop, "mouth": boxes[0], "eyes": boxes[1] | boxes[2]}


def crop_of(landmarks: Floats, size: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of the face crop: the benchmark's square about brows, ears and chin."""
    x0, y0, x1, y1 = face_box(landmarks, size[1], size[0])
    return slice(y0, y1), slice(x0, x1)


def psnr_db(error: Floats) -> float:
    """Of differences of grey levels."""
    return float(10 * np.log10(255**2 / max(float((error.astype(np.float64) ** 2).mean()), 1e-6)))


def score(shown: Frames, truth: Frames, landmarks: Floats) -> dict[str, float]:
    """Means over frames of PSNR in each region (dB) and of SSIM of the crop."""
    found: dict[str, list[float]] = {name: [] for name in (*REGIONS, "ssim")}
    for image, true, points in zip(shown, truth, landmarks, strict=True):
        error = image.astype(np.float32) - true
        for name, mask in regions(points, image.shape[:2]).items():
            found[name].append(psnr_db(error[mask]))
        window = crop_of(points, image.shape[:2])
        pair = [np.ascontiguousarray(x[window], np.float32) - np.float32(MIDDLE) for x in (image, true)]
        found["ssim"].append(similarity(pair[0], pair[1], GAUSSIAN)[0])
    return {name: float(np.mean(values)) for name, values in found.items()}


# ------------------------------------------------------------------ references


def emotion_means(train: Shots, emotions: Sequence[str]) -> Floats:
    """(T, K): each frame has the mean train α of its emotion."""
    labels, alpha = np.array(train.emotions), train.alpha
    means = {name: alpha[labels == name].mean(0) for name in set(emotions)}
    return np.stack([means[name] for name in emotions]).astype(np.float32)


def nearest_frames(train: Shots, test: Shots) -> Frames:
    """The train frame nearest to each test frame in [α, 5 · rotation vector, translation / 20 mm]."""

    def described(shots: Shots) -> Floats:
        pose = shots.pose
        return np.concatenate([shots.alpha, 5 * rotation_vectors(pose.rotation), pose.translation / 20], axis=1)

    there = described(train)
    nearest = [int(((there - row) ** 2).sum(1).argmin()) for row in described(test)]
    return train.frames[nearest]


def widest(landmarks: Floats, emotions: Sequence[str], count: int) -> list[int]:
    """Frames with the widest open mouths, the widest of each emotion first."""
    opening = mouth_opening(landmarks)
    labels = np.array(emotions)
    best = [int(np.flatnonzero(labels == name)[opening[labels == name].argmax()]) for name in sorted(set(emotions))]
    return sorted(best, key=lambda frame: -opening[frame])[:count]


def strip(rows: Sequence[Sequence[Image]], path: Path, scale: int = 2) -> None:
    """A PNG of rows of images of one size."""
    sheet = np.concatenate([np.concatenate(row, axis=1) for row in rows], axis=0)
    big = cv2.resize(sheet, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), np.ascontiguousarray(big[..., ::-1])):
        raise OSError(f"cannot write {path}")
