"""Clips of the puppet made in memory: speech, performance, exact landmarks, frames. Judges nothing, writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from emobench.datasets.puppet.action_units import Points
from emobench.datasets.puppet.animation import perform
from emobench.datasets.puppet.emotions import levels_of, prosody
from emobench.datasets.puppet.identity import IDENTITIES
from emobench.datasets.puppet.landmarks import landmark_rig
from emobench.datasets.puppet.renderer import Renderer
from emobench.datasets.puppet.rig import Rig, deform, make_rig
from emobench.datasets.puppet.speech import SENTENCES, Phoneme, Speaker
from emobench.datasets.puppet.surface import Surface
from emobench.datasets.puppet.template import build_template
from emobench.datasets.puppet.view import head_pose, project, studio_camera, to_camera
from emobench.hashing import hash_text
from emobench.types import EMOTIONS, HeadPose

FPS, SEED, SUPERSAMPLING = 25.0, 7, 2
LANDMARK_PX = 256  # exact landmarks are computed for a frame of this size and scaled


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """One clip before rendering; `landmarks` in pixels of a LANDMARK_PX frame."""

    subject: str
    emotion: str
    level: int
    sentence: str
    audio: NDArray[np.float32]  # (N,) 16 kHz
    phonemes: tuple[Phoneme, ...]
    alpha: NDArray[np.float32]  # (T, 49)
    pose: HeadPose
    landmarks: NDArray[np.float64]  # (T, 68, 2)
    lip_gap_mm: NDArray[np.float64]  # (T,) widest vertical gap between the lips of the mesh

    @property
    def speaking(self) -> NDArray[np.bool_]:
        """(T,) frames from the first sound to the end of the last."""
        sounds = [p for p in self.phonemes if p.ipa.strip("ˈˌ_:")]
        seconds = (np.arange(len(self.alpha)) + 0.5) / FPS
        return (seconds >= sounds[0].start_seconds) & (seconds <= sounds[-1].end_seconds)


def cast(
    subjects: Sequence[str], emotions: Sequence[str], levels: Sequence[int], sentences: Sequence[str]
) -> list[tuple[str, str, int, str]]:
    """(subject, emotion, level, sentence) of every clip, in a fixed order."""
    return [
        (subject, emotion, level, sentence)
        for subject in subjects
        for emotion in EMOTIONS
        if emotion in emotions
        for level in levels_of(emotion, tuple(levels))
        for sentence in sentences
    ]


@lru_cache(maxsize=16)
def _face(subject: str) -> tuple[Surface, Rig, Rig]:
    """Surface, landmark rig, and the rig of the mesh's lip pairs alone (upper points, then lower)."""
    surface = Surface(IDENTITIES[subject])
    template = build_template(surface)
    n = len(template.lip_pairs)
    index = template.lip_pairs.T.ravel()
    points: Points = replace(
        template.points,
        phi=template.points.phi[index],
        v=template.points.v[index],
        lip=template.points.lip[index],
        lid=template.points.lid[index],
    )
    lips = make_rig(surface, points, np.stack([np.arange(n), np.arange(n) + n], axis=1))
    return surface, landmark_rig(surface), lips


def shoot(speaker: Speaker, subject: str, emotion: str, level: int, sentence: str) -> Take:
    """Perform one clip; the seed is made as in the dataset, at its default of 7."""
    seeds = [SEED, IDENTITIES[subject].seed, EMOTIONS.index(emotion), level, int(hash_text(sentence)[:8], 16)]
    said = speaker.say(SENTENCES[sentence], IDENTITIES[subject].voice, prosody(emotion, level), FPS)
    performance = perform(said, emotion, level, np.random.default_rng(seeds))
    surface, rig, lips = _face(subject)
    pose = head_pose(performance.angles, performance.shift)
    points = to_camera(deform(rig, surface, performance.alpha), pose)
    lip = deform(lips, surface, performance.alpha)
    n = lip.shape[1] // 2
    return Take(
        subject=subject, emotion=emotion, level=level, sentence=sentence, audio=said.samples, phonemes=said.phonemes,
        alpha=performance.alpha, pose=pose, landmarks=project(points, studio_camera(LANDMARK_PX)),
        lip_gap_mm=(lip[:, :n, 1] - lip[:, n:, 1]).max(axis=1),
    )  # fmt: skip


@lru_cache(maxsize=2)
def _renderer(subject: str, size_px: int) -> Renderer:
    return Renderer(subject, size_px, SUPERSAMPLING)


def film(take: Take, size_px: int, chosen: NDArray[np.int64]) -> NDArray[np.uint8]:
    """(k, size, size, 3) frames of the chosen indices."""
    pose = HeadPose(rotation=take.pose.rotation[chosen], translation=take.pose.translation[chosen])
    pictures = _renderer(take.subject, size_px).render(take.alpha[chosen], pose)
    return np.stack([picture.frame for picture in pictures])
