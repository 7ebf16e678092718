"""One clip from its recipe: speech, performance, geometry, frames, card; written as one folder, whole or absent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emobench.cache import save_arrays, writing_folder
from emobench.face.tracks import save_track
from emobench.hashing import hash_text
from emobench.media import write_audio
from emobench.types import EMOTIONS, SAMPLE_RATE_HZ, Track

from .alpha import ALPHA_NAMES, IS_MOUTH
from .animation import Performance, articulation_gain, perform
from .dense import DenseRig, behind_lids, dense_rig, gaze_radians, place_dense, visible_points
from .emotions import prosody
from .filming import Film, film_clip
from .identity import HELD_OUT, IDENTITIES
from .landmarks import landmark_rig
from .recipe import GENERATOR_VERSION, Recipe
from .renderer import Renderer
from .rig import Rig, deform
from .speech import SENTENCES, Speaker, Utterance
from .stage import Stage, studio_stage, varied_stage
from .storage import AUDIO, CARD, GEOMETRY, SCHEMA, TRACK, content_hash
from .surface import Array, Surface
from .truth import DENSE_STEP_MM
from .view import head_box, head_pose, project, studio_camera, to_camera


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """One identity's surface and the rigs of its landmarks."""

    surface: Surface
    landmarks: Rig
    dense: DenseRig


class Studio:
    """What clips share within one process: the voice, and everything built per identity. Close it after use."""

    def __init__(self) -> None:
        self.speaker = Speaker()
        self._faces: dict[str, Face] = {}
        self._renderers: dict[tuple[str, int, int], Renderer] = {}

    def close(self) -> None:
        self.speaker.close()

    def face(self, subject: str) -> Face:
        """Surface and landmark rigs of a subject; built on first use."""
        if subject not in self._faces:
            surface = Surface(IDENTITIES[subject])
            self._faces[subject] = Face(surface=surface, landmarks=landmark_rig(surface), dense=dense_rig(surface))
        return self._faces[subject]

    def renderer(self, recipe: Recipe) -> Renderer:
        """Renderer of the recipe's subject and size; built on first use."""
        key = (recipe.subject, recipe.size_px, recipe.supersampling)
        if key not in self._renderers:
            self._renderers[key] = Renderer(*key)
        return self._renderers[key]

    def act(self, recipe: Recipe) -> tuple[Utterance, Track]:
        """What is heard, and what the head does, frame by frame."""
        utterance = self.speaker.say(
            SENTENCES[recipe.sentence], IDENTITIES[recipe.subject].voice, prosody(*recipe.voice), recipe.fps
        )
        # The sound decides when and how widely the mouth moves; in a mismatch it is of another emotion than the face.
        performance = perform(
            utterance, recipe.emotion, recipe.level, _generator(recipe), mouth_gain=articulation_gain(*recipe.voice)
        )
        return utterance, self._track(recipe, performance)

    def record(self, recipe: Recipe, folder: Path) -> None:
        """Make the clip's folder. It appears complete under its name or not at all."""
        utterance, track = self.act(recipe)
        points = place_dense(self.face(recipe.subject).dense, track.alpha)
        with writing_folder(folder) as temporary:
            write_audio(temporary / AUDIO, utterance.samples, SAMPLE_RATE_HZ)
            save_track(temporary / TRACK, track)
            film = Film(depth=None, hashes={})
            if recipe.has_pixels:
                film = film_clip(recipe, self.renderer(recipe), _stage(recipe), track, utterance, temporary)
            _write_geometry(temporary / GEOMETRY, track, points, film.depth)
            card = _card(recipe, utterance, temporary, film.hashes)
            text = json.dumps(card, indent=1, sort_keys=True, ensure_ascii=False)
            (temporary / CARD).write_text(text + "\n", encoding="utf-8")

    def _track(self, recipe: Recipe, performance: Performance) -> Track:
        face = self.face(recipe.subject)
        pose = head_pose(performance.angles, performance.shift)
        camera = studio_camera(recipe.size_px)
        points = to_camera(deform(face.landmarks, face.surface, performance.alpha), pose)
        return Track(
            alpha=performance.alpha, alpha_names=ALPHA_NAMES, is_mouth=IS_MOUTH, pose=pose, camera=camera,
            landmarks=project(points, camera).astype(np.float32), valid=np.ones(len(points), np.bool_),
            head_box_mm=head_box(face.surface.identity), source="dataset",
        )  # fmt: skip


def _write_geometry(path: Path, track: Track, points: Array, depth: NDArray[np.uint16] | None) -> None:
    """geometry.npz: gaze, dense points as rounded differences between frames, and which of them are visible."""
    rounded = np.rint(points / DENSE_STEP_MM).astype(np.int32)
    arrays = {
        "gaze": gaze_radians(track.alpha), "dense_steps": np.diff(rounded, axis=0, prepend=0).astype(np.int16)
    }  # fmt: skip
    if depth is not None:
        placed = to_camera(points, track.pose)
        pixels = project(placed, track.camera)
        visible = visible_points(placed, pixels, depth, track.camera) & ~behind_lids(pixels)
        arrays["visible_bits"] = np.packbits(visible, axis=1)
    save_arrays(path, arrays, compress=True)


def _stage(recipe: Recipe) -> Stage:
    """The studio of the subject, or the clip's own light and wall from a generator of their own."""
    if recipe.varied_scene:
        return varied_stage(recipe.size_px, np.random.default_rng([*_entropy(recipe), 1]))
    return studio_stage(IDENTITIES[recipe.subject], recipe.size_px)


def _generator(recipe: Recipe) -> np.random.Generator:
    """The clip's own randomness: independent of order, workers, frame size and scene."""
    return np.random.default_rng(_entropy(recipe))


def _entropy(recipe: Recipe) -> list[int]:
    seed, sentence = IDENTITIES[recipe.subject].seed, int(hash_text(recipe.sentence)[:8], 16)
    entropy = [recipe.seed, seed, EMOTIONS.index(recipe.emotion), recipe.level, sentence]
    return [*entropy, 100 + EMOTIONS.index(recipe.voice_emotion)] if recipe.voice_emotion else entropy


def _card(recipe: Recipe, utterance: Utterance, folder: Path, hashes: Mapping[str, str]) -> dict[str, object]:
    """Facts about the clip for people and tools, and the hash of what every file of the folder holds."""
    heard = prosody(*recipe.voice)
    contents = {path.name: hashes.get(path.name) or content_hash(path) for path in sorted(folder.iterdir())}
    return {
        "schema": SCHEMA, "id": recipe.id, "generator": GENERATOR_VERSION, "espeak_ng": utterance.engine,
        "recipe": asdict(recipe), "recipe_sha256": recipe.sha256, "transcript": SENTENCES[recipe.sentence],
        "emotion": recipe.emotion, "level": recipe.level, "voice": IDENTITIES[recipe.subject].voice,
        "voice_emotion": recipe.voice[0], "voice_level": recipe.voice[1], "held_out": recipe.subject in HELD_OUT,
        "prosody": asdict(heard), "n_frames": utterance.n_frames, "fps": recipe.fps,
        "sample_rate_hz": SAMPLE_RATE_HZ, "content_sha256": contents,
        "phonemes": [
            [p.ipa, round(p.start_seconds, 4), round(p.end_seconds, 4)] for p in utterance.phonemes
        ],
    }  # fmt: skip
