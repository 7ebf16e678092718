"""Makes judges of one role from its share of a train split; what it may grade them on is the other share.

The judges are trained side by side, on one thread each: their networks are too small for more, and threads that wait
for each other inside every operator made training ten times slower on a busy machine.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emobench.errors import InputError
from emobench.types import Clip, Extractor, Progress

from .extractors import EmotionJudge, IdentityJudge, LandmarkJudge, SyncJudge, TagImageJudge
from .grading import grade
from .material import (
    MEL_BANDS,
    Filmed,
    Spoken,
    held_out_frames,
    labelled_by_subject,
    load_filmed,
    load_spoken,
    relabelled,
    select,
    thinned,
)
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

ALL = ("landmarks", "emotion", "lipsync", "tags")  # the judges that score, made together
MIN_SPOKEN = 6
GRADED_FRAMES = 256  # of clips that grade a training judge: no score depends on it
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


def make(
    clips: Sequence[Clip],
    graded: Sequence[Clip],
    role: Role,
    seed: int,
    progress: Progress,
    wanted: Sequence[str] = ALL,
) -> Made:
    """Train the wanted judges that the clips allow; what they do not allow is named in the card's "missing".

    They are graded on `graded`; where these have no pixels or sound, on a part of `clips` that is kept from training,
    if it can be spared. No judge is graded on what it was trained on.
    """
    material = _gather(clips, graded, np.random.default_rng([seed, 0]), wanted)
    if role == "training" and material.graded is not None:
        material = replace(material, graded=thinned(material.graded, GRADED_FRAMES))
    card: dict[str, Any] = {"missing": dict(material.missing), "report": {}, "role": role}
    tensors: dict[str, Tensor] = {}
    filmed = material.filmed
    made = [name for name in wanted if name not in material.missing]
    if filmed is None or not made:
        return Made(tensors=tensors, card=card)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        networks = {name: _untrained(name, filmed, role) for name in made}
    scale = _train(networks, material, seed, progress)
    for name, network in networks.items():
        tensors |= {f"{name}.{key}": tensor for key, tensor in network.state_dict().items()}
    if scale is not None:
        card["landmarks"] = {"mean": scale.mean.tolist(), "spread": scale.spread}
    card |= {name: {"classes": list(filmed.classes)} for name in ("emotion", "tags") if name in made}
    if "identity" in made:
        card["identity"] = {"classes": sorted(set(filmed.subjects))}
    if "lipsync" in made:
        card["lipsync"] = {"mel_bands": MEL_BANDS}
    card["report"] = grade(restore(card, tensors, "new"), material.graded, material.graded_spoken)
    return Made(tensors=tensors, card=card)


def _untrained(name: str, filmed: Filmed, role: Role) -> torch.nn.Module:
    if name == "landmarks":
        return face_network(role, 68 * 2)
    if name == "lipsync":
        return SyncTowers(MEL_BANDS, role)
    if name == "emotion":
        return face_network(role, len(filmed.classes))
    return TagImageNet(role, len(set(filmed.subjects)) if name == "identity" else len(filmed.classes))


def _gather(
    clips: Sequence[Clip], graded: Sequence[Clip], rng: np.random.Generator, wanted: Sequence[str] = ALL
) -> Material:
    missing: dict[str, str] = {}
    filmed = seen = None
    spoken: list[Spoken] = []
    heard: list[Spoken] = []
    try:
        filmed = load_filmed(clips)
        if len(filmed.classes) < 2:
            missing = dict.fromkeys(("emotion", "tags"), f"all train clips show {filmed.classes[0]!r}")
        if len(set(filmed.subjects)) < 2:
            missing["identity"] = "the train clips show one subject only, from whom nobody can be told"
    except InputError as error:
        missing = dict.fromkeys((*ALL, "identity"), str(error))
    if filmed is not None:
        filmed, seen = _with_graded(filmed, graded, rng)
    if filmed is not None and "lipsync" in wanted:
        try:
            spoken = load_spoken(clips, rng)
        except InputError as error:
            missing["lipsync"] = str(error)
        with contextlib.suppress(InputError):  # then a sentence is held out, where there are enough
            heard = load_spoken(graded, rng)
    if spoken and not heard:
        spoken, heard = _with_sentence_held(spoken)
    if "lipsync" in wanted and "lipsync" not in missing and len(spoken) < MIN_SPOKEN:
        missing["lipsync"] = f"{len(spoken)} train clips with sound, {MIN_SPOKEN} are needed"
    missing = {name: reason for name, reason in missing.items() if name in wanted}
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


def _train(networks: Mapping[str, Any], material: Material, seed: int, progress: Progress) -> ShapeScale | None:
    """Fit the networks; the scale of the landmark network's. Each judge draws from its own generator."""
    assert material.filmed is not None
    kept, heard = material.filmed, material.spoken
    rngs = {name: np.random.default_rng([seed, number]) for number, name in enumerate((*ALL, "identity"), 1)}

    def job(name: str) -> tuple[int, Callable[[Tick], ShapeScale | None]]:
        network, rng = networks[name], rngs[name]
        if name == "landmarks":
            return face_steps(kept), partial(train_landmarks, network, kept, rng)
        if name == "lipsync":
            return sync_steps(heard), partial(train_sync, network, heard, rng)
        shown = labelled_by_subject(kept) if name == "identity" else kept
        return emotion_steps(kept), partial(train_emotion, network, shown, rng)

    wanted = {name: job(name) for name in networks}
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
    return results.get("landmarks")


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
    role: Role = card["role"]
    if "emotion" in card:
        classes = tuple(card["emotion"]["classes"])
        judges["emotion"] = EmotionJudge(_filled(face_network(role, len(classes)), tensors, "emotion"), classes, key)
    for name, kind in (("tags", TagImageJudge), ("identity", IdentityJudge)):
        if name in card:
            classes = tuple(card[name]["classes"])
            judges[name] = kind(_filled(TagImageNet(role, len(classes)), tensors, name), classes, key)
    if "landmarks" not in card:
        return judges
    scale = ShapeScale(mean=np.array(card["landmarks"]["mean"], np.float32), spread=float(card["landmarks"]["spread"]))
    landmarks = LandmarkJudge(_filled(face_network(role, 68 * 2), tensors, "landmarks"), scale, key)
    judges["landmarks"] = landmarks
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
