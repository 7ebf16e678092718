"""Makes all judges of one role from its share of a train split; what it may grade them on is the other share.

The judges are trained side by side, on one thread each: their networks are too small for more, and threads that wait
for each other inside every operator made training ten times slower on a busy machine.
"""

from __future__ import annotations

import contextlib
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

from .extractors import EmotionJudge, LandmarkJudge, SyncJudge, TagImageJudge
from .grading import grade
from .material import MEL_BANDS, Filmed, Spoken, held_out_frames, load_filmed, load_spoken, relabelled, select
from .networks import SyncTowers, TagImageNet, face_network
from .sharing import Role
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

MIN_SPOKEN = 6
WORKERS = 2
Network = TypeVar("Network", bound=torch.nn.Module)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """Tensors by name and the card that says how to read them."""

    tensors: Mapping[str, Tensor]
    card: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What there is to train on and to grade on, and why a judge cannot be trained."""

    filmed: Filmed | None
    graded: Filmed | None
    spoken: Sequence[Spoken]
    graded_spoken: Sequence[Spoken]
    missing: Mapping[str, str]


def make(clips: Sequence[Clip], graded: Sequence[Clip], role: Role, seed: int, progress: Progress) -> Made:
    """Train every judge that the clips allow; what they do not allow is named in the card's "missing".

    They are graded on `graded`; where these have no pixels or sound, on a part of `clips` that is kept from training,
    if it can be spared. No judge is graded on what it was trained on.
    """
    material = _gather(clips, graded, np.random.default_rng([seed, 0]))
    card: dict[str, Any] = {"missing": dict(material.missing), "report": {}, "role": role}
    tensors: dict[str, Tensor] = {}
    if material.filmed is None:
        return Made(tensors=tensors, card=card)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        networks = {
            "landmarks": face_network(role, 68 * 2), "emotion": face_network(role, len(material.filmed.classes)),
            "lipsync": SyncTowers(MEL_BANDS, role), "tags": TagImageNet(role, len(material.filmed.classes)),
        }  # fmt: skip
    scale = _train(networks, material, seed, progress)
    for name, network in networks.items():
        if name not in material.missing:
            tensors |= {f"{name}.{key}": tensor for key, tensor in network.state_dict().items()}
    card["landmarks"] = {"mean": scale.mean.tolist(), "spread": scale.spread}
    if "emotion" not in material.missing:
        card["emotion"] = card["tags"] = {"classes": list(material.filmed.classes)}
    if "lipsync" not in material.missing:
        card["lipsync"] = {"mel_bands": MEL_BANDS}
    card["report"] = grade(restore(card, tensors, "new"), material.graded, material.graded_spoken)
    return Made(tensors=tensors, card=card)


def _gather(clips: Sequence[Clip], graded: Sequence[Clip], rng: np.random.Generator) -> Material:
    missing: dict[str, str] = {}
    filmed = seen = None
    spoken: list[Spoken] = []
    heard: list[Spoken] = []
    try:
        filmed = load_filmed(clips)
        if len(filmed.classes) < 2:
            missing = dict.fromkeys(("emotion", "tags"), f"all train clips show {filmed.classes[0]!r}")
    except InputError as error:
        missing = dict.fromkeys(("emotion", "landmarks", "lipsync", "tags"), str(error))
    if filmed is not None:
        filmed, seen = _with_graded(filmed, graded, rng)
        try:
            spoken = load_spoken(clips, rng)
        except InputError as error:
            missing["lipsync"] = str(error)
        with contextlib.suppress(InputError):  # then a sentence is held out, where there are enough
            heard = load_spoken(graded, rng)
    if spoken and not heard:
        spoken, heard = _with_sentence_held(spoken)
    if "lipsync" not in missing and len(spoken) < MIN_SPOKEN:
        missing["lipsync"] = f"{len(spoken)} train clips with sound, {MIN_SPOKEN} are needed"
    return Material(filmed=filmed, graded=seen, spoken=spoken, graded_spoken=heard, missing=missing)


def _with_graded(
    filmed: Filmed, graded: Sequence[Clip], rng: np.random.Generator
) -> tuple[Filmed, Filmed | None]:
    """(frames to train on, frames to grade on): of the graded clips, else held out; None where nothing is left."""
    with contextlib.suppress(InputError):
        seen = relabelled(load_filmed(graded), filmed.classes)
        if len(seen.frames):
            return filmed, seen
    held: NDArray[np.bool_] = held_out_frames(filmed, rng)
    return select(filmed, ~held), select(filmed, held) if held.any() else None


def _with_sentence_held(spoken: list[Spoken]) -> tuple[list[Spoken], list[Spoken]]:
    """(to train on, to grade on): the last of three sentences or more is held out.

    Of fewer, none is: the judge is trained on all and its report has no line on lip-sync.
    """
    sentences = sorted({clip.sentence for clip in spoken})
    if len(sentences) < 3:
        return spoken, []
    return ([c for c in spoken if c.sentence != sentences[-1]], [c for c in spoken if c.sentence == sentences[-1]])


def _train(networks: Mapping[str, Any], material: Material, seed: int, progress: Progress) -> ShapeScale:
    """Fit what is not missing; the scale of the landmark network. Each judge draws from its own generator."""
    assert material.filmed is not None
    kept, heard = material.filmed, material.spoken
    rngs = [np.random.default_rng([seed, number]) for number in (1, 2, 3, 4)]
    jobs: dict[str, tuple[int, Callable[[Tick], ShapeScale | None]]] = {
        "landmarks": (face_steps(kept), partial(train_landmarks, networks["landmarks"], kept, rngs[0])),
        "emotion": (emotion_steps(kept), partial(train_emotion, networks["emotion"], kept, rngs[1])),
        "lipsync": (sync_steps(heard), partial(train_sync, networks["lipsync"], heard, rngs[2])),
        "tags": (emotion_steps(kept), partial(train_emotion, networks["tags"], kept, rngs[3])),
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


def restore(card: Mapping[str, Any], tensors: Mapping[str, Tensor], key: str) -> dict[str, Extractor]:
    """The judges that `make` could make. Raises KeyError or RuntimeError where card and tensors do not fit."""
    judges: dict[str, Extractor] = {}
    if "landmarks" not in card:
        return judges
    scale = ShapeScale(mean=np.array(card["landmarks"]["mean"], np.float32), spread=float(card["landmarks"]["spread"]))
    role: Role = card["role"]
    landmarks = LandmarkJudge(_filled(face_network(role, 68 * 2), tensors, "landmarks"), scale, key)
    judges["landmarks"] = landmarks
    if "emotion" in card:
        classes = tuple(card["emotion"]["classes"])
        judges["emotion"] = EmotionJudge(_filled(face_network(role, len(classes)), tensors, "emotion"), classes, key)
        judges["tags"] = TagImageJudge(_filled(TagImageNet(role, len(classes)), tensors, "tags"), classes, key)
    if "lipsync" in card:
        towers = _filled(SyncTowers(card["lipsync"]["mel_bands"], role), tensors, "lipsync")
        judges["lipsync"] = SyncJudge(towers, landmarks, key)
    return judges


def _filled(network: Network, tensors: Mapping[str, Tensor], part: str) -> Network:
    """The network with the tensors named `part.…`, ready to judge."""
    prefix = f"{part}."
    network.load_state_dict({n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)})
    network.eval()
    return network
