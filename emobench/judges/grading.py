"""Each judge's own accuracy on clips it was not trained on, on a scale from ground truth down. Trains nothing.

Rungs: ground truth; blurred ground truth; static (a neutral frame under every tag, a still mouth under any sound, a
clip's first frame for all its landmarks); wrong_emotion (each clip under another clip's tag; for lip-sync another
clip's sound). The rung true_alpha needs a trained portrait: a run adds it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emobench.types import Floats

from .augment import blur
from .crops import cut
from .extractors import EmotionJudge, IdentityJudge, LandmarkJudge, SyncJudge, TagImageJudge
from .material import Filmed, Spoken, labelled_by_subject, relabelled

BLUR_SHARE = 0.0135  # Gaussian σ as a share of the face square's side: about 1.2 px at 128 px frames
NEAR_FRAMES = 1
NEAR_SHARE = 0.1  # of the inter-ocular distance: landmarks within it count as found
Read = Callable[[NDArray[np.uint8]], Floats]  # (N, 64, 64) crops → (N, E), the largest is the answer


def grade(judges: Mapping[str, Any], filmed: Filmed | None, spoken: Sequence[Spoken]) -> dict[str, float]:
    """Accuracies in % as "<judge>.accuracy.<rung>", errors in px, and how many clips they are of."""
    report: dict[str, float] = {}
    if filmed is not None:
        report["graded_clips"] = float(len(np.unique(filmed.clip)))
        if "landmarks" in judges:
            report |= _landmarks(judges["landmarks"], filmed)
        if "emotion" in judges:
            emotion: EmotionJudge = judges["emotion"]
            report |= _classes("emotion", emotion.probabilities, filmed)
        if "tags" in judges:
            tags: TagImageJudge = judges["tags"]
            report |= _classes("tags", tags.similarity, filmed)
        if "identity" in judges:
            report |= _people(judges["identity"], filmed)
    if "lipsync" in judges and spoken:
        report |= _lipsync(judges["lipsync"], spoken)
    return report


def _blurred(filmed: Filmed) -> NDArray[np.uint8]:
    return blur(filmed.frames, BLUR_SHARE * float(np.median(filmed.squares[:, 2])))


def _landmarks(judge: LandmarkJudge, filmed: Filmed) -> dict[str, float]:
    report = {}
    eyes = filmed.landmarks[:, 42:48].mean(axis=1) - filmed.landmarks[:, 36:42].mean(axis=1)
    near = NEAR_SHARE * np.linalg.norm(eyes, axis=1)[:, None]
    first = np.array([np.argmax(filmed.clip == number) for number in filmed.clip])
    rungs = (("ground_truth", filmed.frames), ("blurred", _blurred(filmed)), ("static", filmed.frames[first]))
    for rung, frames in rungs:
        errors = np.linalg.norm(judge.read(frames, filmed.landmarks) - filmed.landmarks, axis=2)
        report[f"landmarks.face_px.{rung}"] = float(errors.mean())
        report[f"landmarks.mouth_px.{rung}"] = float(errors[:, 48:].mean())
        report[f"landmarks.accuracy.{rung}"] = float(100 * (errors[:, 48:] < near).mean())
    return report


def _classes(name: str, read: Read, filmed: Filmed) -> dict[str, float]:
    """Accuracy by clip, of the mean over its frames."""
    wanted = np.array([filmed.emotion[filmed.clip == number][0] for number in np.unique(filmed.clip)])
    clear = _answers(read, cut(filmed.frames, filmed.squares), filmed)
    report = {
        f"{name}.accuracy.ground_truth": float(100 * (clear == wanted).mean()),
        f"{name}.accuracy.blurred": float(
            100 * (_answers(read, cut(_blurred(filmed), filmed.squares), filmed) == wanted).mean()
        ),
        f"{name}.accuracy.wrong_emotion": float(100 * (clear == (wanted + 1) % len(filmed.classes)).mean()),
    }
    if "neutral" in filmed.classes and (filmed.emotion == filmed.classes.index("neutral")).any():
        still = int(np.argmax(filmed.emotion == filmed.classes.index("neutral")))
        rows = slice(still, still + 1)
        answer = int(read(cut(filmed.frames[rows], filmed.squares[rows])).argmax())
        report[f"{name}.accuracy.static"] = float(100 * (wanted == answer).mean())
    return report


def _people(judge: IdentityJudge, filmed: Filmed) -> dict[str, float]:
    """Accuracy by clip of those that show people whom the judge was trained on; nothing where there are none."""
    shown = relabelled(labelled_by_subject(filmed), judge.classes)
    if not len(shown.frames):
        return {}
    wanted = np.array([shown.emotion[shown.clip == number][0] for number in np.unique(shown.clip)])
    clear = _answers(judge.similarity, cut(shown.frames, shown.squares), shown)
    return {"identity.accuracy.ground_truth": float(100 * (clear == wanted).mean())}


def _answers(read: Read, crops: NDArray[np.uint8], filmed: Filmed) -> NDArray[np.int64]:
    """(clips,) the class of each clip's mean over frames."""
    outputs = read(crops)
    means = [outputs[filmed.clip == number].mean(axis=0) for number in np.unique(filmed.clip)]
    return np.asarray(np.stack(means).argmax(axis=1), np.int64)


def _lipsync(judge: SyncJudge, spoken: Sequence[Spoken]) -> dict[str, float]:
    """Share of clips whose best offset is the true one, by a frame; of tracked mouths, still ones, others' sound."""
    report = {}
    others = [*spoken[1:], spoken[0]]
    for rung in ("ground_truth", "static", "other_sound"):
        margins, near = [], []
        for clip, other in zip(spoken, others, strict=True):
            mouth = clip.mouth * 0 if rung == "static" else clip.mouth
            count = min(len(mouth), len(other.mouth)) if rung == "other_sound" else len(mouth)
            mel = other.mel if rung == "other_sound" else clip.mel
            found = judge.compare(mouth[:count], mel, len(clip.mel) / len(clip.mouth))
            distances, offsets = found["distances"], found["offsets"]
            margins.append(np.median(distances) - distances[len(distances) // 2])
            near.append(abs(int(offsets[distances.argmin()])) <= NEAR_FRAMES)
        report[f"lipsync.accuracy.{rung}"] = float(100 * np.mean(near))
        report[f"lipsync.margin.{rung}"] = float(np.mean(margins))
    return report
