"""One clip from its recipe: speech, performance, track, frames, card; written as one folder that is whole or absent."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from emobench.cache import writing_folder
from emobench.face.tracks import save_layers, save_track
from emobench.hashing import hash_arrays, hash_text
from emobench.media import write_audio, write_lossless
from emobench.types import EMOTIONS, SAMPLE_RATE_HZ, Layers, Track

from .alpha import ALPHA_NAMES, IS_MOUTH
from .animation import Performance, perform
from .emotions import prosody
from .identity import IDENTITIES
from .landmarks import landmark_rig
from .recipe import GENERATOR_VERSION, Recipe
from .renderer import Renderer
from .rig import Rig, deform
from .speech import SENTENCES, Speaker, Utterance
from .surface import Surface
from .view import head_box, head_pose, project, studio_camera, to_camera

AUDIO, TRACK, VIDEO, LAYERS, CARD = "audio.wav", "track.npz", "video.mkv", "layers.npz", "card.json"


class Studio:
    """What clips share within one process: the voice, and everything built per identity. Close it after use."""

    def __init__(self) -> None:
        self.speaker = Speaker()
        self._faces: dict[str, tuple[Surface, Rig]] = {}
        self._renderers: dict[tuple[str, int, int], Renderer] = {}

    def close(self) -> None:
        self.speaker.close()

    def face(self, subject: str) -> tuple[Surface, Rig]:
        """Surface and landmark rig of a subject."""
        if subject not in self._faces:
            surface = Surface(IDENTITIES[subject])
            self._faces[subject] = (surface, landmark_rig(surface))
        return self._faces[subject]

    def renderer(self, recipe: Recipe) -> Renderer:
        """Renderer of the recipe's subject and size; built on first use."""
        key = (recipe.subject, recipe.size_px, recipe.supersampling)
        if key not in self._renderers:
            self._renderers[key] = Renderer(*key)
        return self._renderers[key]

    def record(self, recipe: Recipe, folder: Path) -> None:
        """Make the clip's folder. It appears complete under its name or not at all."""
        utterance = self.speaker.say(
            SENTENCES[recipe.sentence], IDENTITIES[recipe.subject].voice, prosody(recipe.emotion, recipe.level),
            recipe.fps,
        )
        performance = perform(utterance, recipe.emotion, recipe.level, _generator(recipe))
        track = self._track(recipe, performance)
        with writing_folder(folder) as temporary:
            write_audio(temporary / AUDIO, utterance.samples, SAMPLE_RATE_HZ)
            save_track(temporary / TRACK, track)
            hashes = {"audio": hash_arrays([utterance.samples]), "alpha": hash_arrays([track.alpha])}
            if recipe.has_pixels:
                hashes |= self._film(recipe, track, utterance, temporary)
            text = json.dumps(_card(recipe, utterance, hashes), indent=1, sort_keys=True, ensure_ascii=False)
            (temporary / CARD).write_text(text + "\n", encoding="utf-8")

    def _film(self, recipe: Recipe, track: Track, utterance: Utterance, folder: Path) -> dict[str, str]:
        """Render and write video and layers; returns the hashes of their content."""
        pictures = list(self.renderer(recipe).render(track.alpha, track.pose))
        frames = np.stack([picture.frame for picture in pictures])
        layers = Layers(
            head_alpha=np.stack([picture.head_alpha for picture in pictures]),
            head_rgb=np.stack([picture.head for picture in pictures]),
            back_rgb=np.stack([picture.back for picture in pictures]), source="dataset",
        )  # fmt: skip
        write_lossless(folder / VIDEO, frames, recipe.fps, utterance.samples)
        save_layers(folder / LAYERS, layers)
        edge = (layers.head_alpha > 0) & (layers.head_alpha < 255)
        stored = [layers.head_alpha, layers.head_rgb[edge], layers.back_rgb[edge]]
        return {"frames": hash_arrays([frames]), "layers": hash_arrays(stored)}

    def _track(self, recipe: Recipe, performance: Performance) -> Track:
        surface, rig = self.face(recipe.subject)
        pose = head_pose(performance.angles, performance.shift)
        camera = studio_camera(recipe.size_px)
        points = to_camera(deform(rig, surface, performance.alpha), pose)
        return Track(
            alpha=performance.alpha, alpha_names=ALPHA_NAMES, is_mouth=IS_MOUTH, pose=pose, camera=camera,
            landmarks=project(points, camera).astype(np.float32), valid=np.ones(len(points), np.bool_),
            head_box_mm=head_box(surface.identity), source="dataset",
        )  # fmt: skip


def _generator(recipe: Recipe) -> np.random.Generator:
    """The clip's own randomness: independent of order, workers and frame size."""
    seed = IDENTITIES[recipe.subject].seed
    sentence = int(hash_text(recipe.sentence)[:8], 16)
    return np.random.default_rng([recipe.seed, seed, EMOTIONS.index(recipe.emotion), recipe.level, sentence])


def _card(recipe: Recipe, utterance: Utterance, hashes: dict[str, str]) -> dict[str, object]:
    """Facts about the clip for people and tools; content hashes are of decoded samples, α and frames."""
    return {
        "schema": 1, "id": recipe.id, "generator": GENERATOR_VERSION, "espeak_ng": utterance.engine,
        "recipe": asdict(recipe), "recipe_sha256": recipe.sha256, "transcript": SENTENCES[recipe.sentence],
        "emotion": recipe.emotion, "level": recipe.level, "voice": IDENTITIES[recipe.subject].voice,
        "prosody": asdict(prosody(recipe.emotion, recipe.level)), "n_frames": utterance.n_frames, "fps": recipe.fps,
        "sample_rate_hz": SAMPLE_RATE_HZ, "content_sha256": hashes,
        "phonemes": [
            [p.ipa, round(p.start_seconds, 4), round(p.end_seconds, 4)] for p in utterance.phonemes
        ],
    }  # fmt: skip
