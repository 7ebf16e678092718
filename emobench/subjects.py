"""What a run remembers of each subject so that it can be animated later: reference frame, camera, mean pose, tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emobench.cache import load_arrays, save_arrays
from emobench.errors import InputError
from emobench.face.tracks import load_track
from emobench.media import read_video
from emobench.types import Camera, Clip, Floats, Image


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectCard:
    """One subject of a run."""

    subject: str
    reference: Image  # one neutral train frame, the one nearest to the mean head rotation
    camera: Camera
    rotation: Floats  # (3, 3) of the reference frame
    translation: Floats  # (3,) mm, mean over its clip
    fps: float
    emotions: tuple[str, ...]  # tags seen in training


def choose_references(train: Sequence[Clip], test: Sequence[Clip]) -> dict[str, SubjectCard]:
    """A card per test subject from its train clips. Raises InputError for a subject without train video."""
    cards = {}
    for subject in sorted({clip.subject for clip in test}):
        own = [clip for clip in train if clip.subject == subject and clip.video is not None]
        if not own:
            raise InputError(f"Subject {subject!r} has test clips but no train clip with video.")
        clip = next((c for c in own if c.emotion == "neutral"), own[0])
        assert clip.video is not None
        track = load_track(clip.extras["track"])
        mean = track.pose.rotation.mean(0)
        best = int(np.argmin(((track.pose.rotation - mean) ** 2).sum((1, 2)) + 10.0 * ~track.valid))
        cards[subject] = SubjectCard(
            subject=subject,
            reference=read_video(clip.video).frames[best],
            camera=track.camera,
            rotation=track.pose.rotation[best],
            translation=track.pose.translation.mean(0),
            fps=clip.fps,
            emotions=tuple(sorted({c.emotion for c in train if c.subject == subject})),
        )
    return cards


def save_subjects(directory: Path, cards: Mapping[str, SubjectCard]) -> None:
    """subjects/<subject>.npz in a run directory."""
    for card in cards.values():
        c = card.camera
        save_arrays(
            directory / "subjects" / f"{card.subject}.npz",
            {
                "reference": card.reference,
                "camera": np.array([c.focal_px, c.cx_px, c.cy_px, c.width, c.height]),
                "rotation": card.rotation,
                "translation": card.translation,
                "fps": np.array(card.fps),
                "emotions": np.array(card.emotions, dtype=np.str_),
            },
            compress=True,
        )


def load_subjects(directory: Path) -> dict[str, SubjectCard]:
    """The cards of a run directory. Raises InputError when there are none."""
    cards = {}
    for path in sorted((directory / "subjects").glob("*.npz")):
        stored = load_arrays(path)
        focal, cx, cy, width, height = stored["camera"].tolist()
        cards[path.stem] = SubjectCard(
            subject=path.stem,
            reference=stored["reference"],
            camera=Camera(focal_px=focal, cx_px=cx, cy_px=cy, width=int(width), height=int(height)),
            rotation=stored["rotation"],
            translation=stored["translation"],
            fps=float(stored["fps"]),
            emotions=tuple(str(e) for e in stored["emotions"]),
        )
    if not cards:
        raise InputError(f"{directory} holds no subjects: the run did not get past preparation. Run it again.")
    return cards
