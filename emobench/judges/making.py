"""Makes all judges of one train split and measures each on clips it was not trained on.

The judges are trained side by side, on one thread each: their networks are too small for more, and threads that wait
for each other inside every operator made training ten times slower on a busy machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emobench.errors import InputError
from emobench.types import Clip, Extractor, Progress

from .augment import blur
from .crops import cut
from .extractors import EmotionJudge, LandmarkJudge, SyncJudge
from .material import MEL_BANDS, Filmed, Spoken, held_out_frames, load_filmed, load_spoken, select
from .networks import FaceNet, SyncTowers
from .training import (
    ShapeScale,
    Tick,
    emotion_steps,
    face_steps,
    sync_steps,
    train_emotion,
    train_landmarks,
    train_sync,
)

BLUR_SHARE = 0.0135  # Gaussian σ as a share of the face square's side: about 1.2 px at 128 px frames
MIN_SPOKEN = 8
NEAR_FRAMES = 1
WORKERS = 2
Network = TypeVar("Network", bound=torch.nn.Module)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """Tensors by name and the card that says how to read them."""

    tensors: Mapping[str, Tensor]
    card: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What there is to train on, split into trained and held out, and why a judge cannot be trained."""

    filmed: Filmed | None
    held: NDArray[np.bool_]  # (N,) frames of `filmed` kept from training
    spoken: Sequence[Spoken]
    held_sentence: str | None
    missing: Mapping[str, str]


def make(clips: Sequence[Clip], seed: int, progress: Progress) -> Made:
    """Train every judge that the clips allow; what they do not allow is named in the card's "missing"."""
    material = _gather(clips, np.random.default_rng([seed, 0]))
    card: dict[str, Any] = {"missing": dict(material.missing), "report": {}}
    tensors: dict[str, Tensor] = {}
    if material.filmed is None:
        return Made(tensors=tensors, card=card)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        networks = {
            "landmarks": FaceNet(68 * 2), "emotion": FaceNet(len(material.filmed.classes)),
            "lipsync": SyncTowers(MEL_BANDS),
        }  # fmt: skip
    scale = _train(networks, material, seed, progress)
    for name, network in networks.items():
        if name not in material.missing:
            tensors |= {f"{name}.{key}": tensor for key, tensor in network.state_dict().items()}
    card["landmarks"] = {"mean": scale.mean.tolist(), "spread": scale.spread}
    if "emotion" not in material.missing:
        card["emotion"] = {"classes": list(material.filmed.classes)}
    if "lipsync" not in material.missing:
        card["lipsync"] = {"mel_bands": MEL_BANDS}
    card["report"] = _report(restore(card, tensors, "new"), material.filmed, material)
    return Made(tensors=tensors, card=card)


def _gather(clips: Sequence[Clip], rng: np.random.Generator) -> Material:
    missing: dict[str, str] = {}
    filmed, held, spoken = None, np.zeros(0, bool), []
    try:
        filmed = load_filmed(clips)
        held = held_out_frames(filmed, rng)
        if len(filmed.classes) < 2:
            missing["emotion"] = f"all train clips show {filmed.classes[0]!r}"
    except InputError as error:
        missing = dict.fromkeys(("emotion", "landmarks", "lipsync"), str(error))
    if filmed is not None:
        try:
            spoken = load_spoken(clips, rng)
            if len(spoken) < MIN_SPOKEN:
                missing["lipsync"] = f"{len(spoken)} train clips with sound, {MIN_SPOKEN} are needed"
        except InputError as error:
            missing["lipsync"] = str(error)
    sentences = sorted({clip.sentence for clip in spoken})
    return Material(
        filmed=filmed, held=held, spoken=spoken, held_sentence=sentences[-1] if len(sentences) > 2 else None,
        missing=missing,
    )  # fmt: skip


def _train(networks: Mapping[str, Any], material: Material, seed: int, progress: Progress) -> ShapeScale:
    """Fit what is not missing; the scale of the landmark network. Each judge draws from its own generator."""
    assert material.filmed is not None
    kept = select(material.filmed, ~material.held)
    heard = [clip for clip in material.spoken if clip.sentence != material.held_sentence]
    rngs = [np.random.default_rng([seed, number]) for number in (1, 2, 3)]
    jobs: dict[str, tuple[int, Callable[[Tick], ShapeScale | None]]] = {
        "landmarks": (face_steps(kept), partial(train_landmarks, networks["landmarks"], kept, rngs[0])),
        "emotion": (emotion_steps(kept), partial(train_emotion, networks["emotion"], kept, rngs[1])),
        "lipsync": (sync_steps(heard), partial(train_sync, networks["lipsync"], heard, rngs[2])),
    }
    wanted = {name: job for name, job in jobs.items() if name not in material.missing}
    ticks: SimpleQueue[bool] = SimpleQueue()

    def run(job: Callable[[Tick], ShapeScale | None]) -> ShapeScale | None:
        try:
            return job(lambda: ticks.put(True))
        finally:
            ticks.put(False)

    with ThreadPoolExecutor(WORKERS, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        futures = {name: pool.submit(run, job) for name, (_, job) in wanted.items()}
        total = sum(steps for steps, _ in wanted.values())
        for _ in progress.track(_until_all_end(ticks, len(futures)), "judges", total=total):
            pass
        results = {name: future.result() for name, future in futures.items()}
    scale = results["landmarks"]
    assert scale is not None
    return scale


def _until_all_end(ticks: SimpleQueue[bool], running: int) -> Iterator[None]:
    """One item per batch of any judge until `running` judges have ended."""
    while running:
        if ticks.get():
            yield None
        else:
            running -= 1


def _report(judges: Mapping[str, Any], filmed: Filmed, material: Material) -> dict[str, float]:
    """Each judge's own accuracy on held-out clips, as they are and blurred."""
    held = material.held
    seen = select(filmed, held if held.any() else ~held)
    report = {"held_out_clips": float(len(np.unique(filmed.clip[held])))}
    report |= _landmark_report(judges["landmarks"], seen)
    if "emotion" in judges:
        report |= _emotion_report(judges["emotion"], seen)
    if "lipsync" in judges:
        spoken = [clip for clip in material.spoken if material.held_sentence in (None, clip.sentence)]
        report |= _sync_report(judges["lipsync"], spoken)
    return report


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
