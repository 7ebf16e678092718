"""Makes all judges of one train split and measures each on clips it was not trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from emobench.errors import InputError
from emobench.types import Clip, Extractor, Progress

from .augment import blur
from .crops import cut
from .extractors import EmotionJudge, LandmarkJudge, SyncJudge
from .material import MEL_BANDS, Filmed, Spoken, held_out_frames, load_filmed, load_spoken, select
from .networks import FaceNet, SyncTowers
from .training import ShapeScale, train_faces, train_sync

BLUR_SHARE = 0.0135  # Gaussian σ as a share of the face square's side: about 1.2 px at 128 px frames
MIN_SPOKEN = 8
NEAR_FRAMES = 1
Network = TypeVar("Network", bound=torch.nn.Module)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """Tensors by name and the card that says how to read them."""

    tensors: Mapping[str, Tensor]
    card: Mapping[str, Any]


def make(clips: Sequence[Clip], seed: int, progress: Progress) -> Made:
    """Train every judge that the clips allow; what they do not allow is named in the card's "missing"."""
    card: dict[str, Any] = {"missing": {}, "report": {}}
    tensors: dict[str, Tensor] = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        rng = np.random.default_rng(seed)
        landmarks = _make_faces(clips, rng, progress, card, tensors)
        _make_sync(clips, rng, progress, card, tensors, landmarks)
    return Made(tensors=tensors, card=card)


def _make_faces(
    clips: Sequence[Clip], rng: np.random.Generator, progress: Progress, card: dict[str, Any],
    tensors: dict[str, Tensor],
) -> LandmarkJudge | None:  # fmt: skip
    try:
        filmed = load_filmed(clips)
    except InputError as error:
        card["missing"] |= {"emotion": str(error), "landmarks": str(error)}
        return None
    with_emotion = len(filmed.classes) > 1
    if not with_emotion:
        card["missing"]["emotion"] = f"all train clips show {filmed.classes[0]!r}"
    held = held_out_frames(filmed, rng)
    landmark_net, scale, emotion_net = train_faces(select(filmed, ~held), rng, progress, with_emotion=with_emotion)
    tensors |= {f"landmarks.{name}": tensor for name, tensor in landmark_net.state_dict().items()}
    card["landmarks"] = {"mean": scale.mean.tolist(), "spread": scale.spread}
    landmarks = LandmarkJudge(landmark_net, scale, "new")
    seen = select(filmed, held if held.any() else ~held)
    card["report"]["held_out_clips"] = float(len(np.unique(filmed.clip[held])))
    card["report"] |= _landmark_report(landmarks, seen)
    if emotion_net is not None:
        tensors |= {f"emotion.{name}": tensor for name, tensor in emotion_net.state_dict().items()}
        card["emotion"] = {"classes": list(filmed.classes)}
        card["report"] |= _emotion_report(EmotionJudge(emotion_net, filmed.classes, "new"), seen)
    return landmarks


def _blurred(filmed: Filmed) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return blur(filmed.frames, BLUR_SHARE * float(np.median(filmed.squares[:, 2])))


def _landmark_report(judge: LandmarkJudge, filmed: Filmed) -> dict[str, float]:
    report = {}
    for name, frames in (("ground_truth", filmed.frames), ("blurred", _blurred(filmed))):
        errors = np.linalg.norm(judge.read(frames, filmed.landmarks) - filmed.landmarks, axis=2)
        report[f"landmarks.face_px.{name}"] = float(errors.mean())
        report[f"landmarks.mouth_px.{name}"] = float(errors[:, 48:].mean())
    return report


def _emotion_report(judge: EmotionJudge, filmed: Filmed) -> dict[str, float]:
    report = {}
    for name, frames in (("ground_truth", filmed.frames), ("blurred", _blurred(filmed))):
        probabilities = judge.probabilities(cut(frames, filmed.squares))
        report[f"emotion.frame_accuracy.{name}"] = float(100 * (probabilities.argmax(axis=1) == filmed.emotion).mean())
        numbers = np.unique(filmed.clip)
        of_clip = [filmed.clip == number for number in numbers]
        right = [probabilities[rows].mean(axis=0).argmax() == filmed.emotion[rows][0] for rows in of_clip]
        report[f"emotion.clip_accuracy.{name}"] = float(100 * np.mean(right))
    return report


def _make_sync(
    clips: Sequence[Clip], rng: np.random.Generator, progress: Progress, card: dict[str, Any],
    tensors: dict[str, Tensor], landmarks: LandmarkJudge | None,
) -> None:  # fmt: skip
    try:
        spoken = load_spoken(clips, rng)
    except InputError as error:
        card["missing"]["lipsync"] = str(error)
        return
    if landmarks is None or len(spoken) < MIN_SPOKEN:
        few = f"{len(spoken)} train clips with sound, {MIN_SPOKEN} are needed"
        card["missing"]["lipsync"] = card["missing"]["landmarks"] if landmarks is None else few
        return
    sentences = sorted({clip.sentence for clip in spoken})
    held = sentences[-1] if len(sentences) > 2 else None
    towers = train_sync([clip for clip in spoken if clip.sentence != held], rng, progress)
    tensors |= {f"lipsync.{name}": tensor for name, tensor in towers.state_dict().items()}
    card["lipsync"] = {"mel_bands": MEL_BANDS}
    seen = [clip for clip in spoken if held in (None, clip.sentence)]
    card["report"] |= _sync_report(SyncJudge(towers, landmarks, "new"), seen)


def _sync_report(judge: SyncJudge, spoken: Sequence[Spoken]) -> dict[str, float]:
    margins, near = [], []
    for clip in spoken:
        found = judge.compare(clip.mouth, clip.mel, len(clip.mel) / len(clip.mouth))
        distances, offsets = found["distances"], found["offsets"]
        margins.append(np.median(distances) - distances[len(distances) // 2])
        near.append(abs(int(offsets[distances.argmin()])) <= NEAR_FRAMES)
    accuracy = float(100 * np.mean(near))
    return {"lipsync.margin.tracked": float(np.mean(margins)), "lipsync.offset_accuracy.tracked": accuracy}


def restore(card: Mapping[str, Any], tensors: Mapping[str, Tensor], key: str) -> dict[str, Extractor]:
    """The judges that `make` could make. Raises KeyError or RuntimeError where card and tensors do not fit."""
    judges: dict[str, Extractor] = {}
    if "landmarks" not in card:
        return judges
    scale = ShapeScale(mean=np.array(card["landmarks"]["mean"], np.float32), spread=float(card["landmarks"]["spread"]))
    landmarks = LandmarkJudge(_filled(FaceNet(68 * 2), tensors, "landmarks"), scale, key)
    judges["landmarks"] = landmarks
    if "emotion" in card:
        classes = tuple(card["emotion"]["classes"])
        judges["emotion"] = EmotionJudge(_filled(FaceNet(len(classes)), tensors, "emotion"), classes, key)
    if "lipsync" in card:
        towers = _filled(SyncTowers(card["lipsync"]["mel_bands"]), tensors, "lipsync")
        judges["lipsync"] = SyncJudge(towers, landmarks, key)
    return judges


def _filled(network: Network, tensors: Mapping[str, Tensor], part: str) -> Network:
    """The network with the tensors named `part.…`, ready to judge."""
    prefix = f"{part}."
    network.load_state_dict({n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)})
    network.eval()
    return network
