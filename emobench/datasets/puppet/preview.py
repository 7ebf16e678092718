"""What people look at: a contact sheet of identities × emotions, and a film in which every identity speaks.

Renders afresh, so that nothing of a dataset has to be made for it: `emobench data preview`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from emobench.media import write_png, write_preview
from emobench.types import Floats, Image, Progress

from .alpha import N_ALPHA, unit_slice
from .config import PuppetConfig
from .emotions import CATALOGUE, LEVEL_VOICE, apex
from .recipe import film_recipe
from .recording import Studio
from .renderer import Renderer
from .speech import SENTENCES
from .view import head_pose

FILM_PX = 256  # the film is at least this wide
BLACK, WHITE = (0, 0, 0), (255, 255, 255)


def apex_alpha(emotion: str, level: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """(1, 49) α of an emotion's apex in silence."""
    alpha = np.zeros((1, N_ALPHA), np.float32)
    for unit, sides in apex(emotion, level).items():
        alpha[0, unit_slice(unit)] = sides
    alpha[0, -3:-1] = np.array(CATALOGUE[emotion].gaze) * LEVEL_VOICE[level]
    return alpha


def contact_sheet(subjects: Sequence[str], emotions: Sequence[str], size_px: int, level: int = 3) -> Image:
    """(rows·size, columns·size, 3): one subject a row, one emotion a column."""
    rows = []
    for subject in subjects:
        renderer = Renderer(subject, size_px, supersampling=2)
        cells = []
        for emotion in emotions:
            angles = np.array([CATALOGUE[emotion].head]) * LEVEL_VOICE[level]
            cells += [p.frame for p in renderer.render(apex_alpha(emotion, level), head_pose(angles, np.zeros((1, 3))))]
        rows.append(np.hstack(cells))
    return np.vstack(rows)


def write_preview_files(config: PuppetConfig, out: Path, progress: Progress) -> list[Path]:
    """<name>.png, subjects × emotions at the filmed level, and <name>.mp4, with sound, under `out`."""
    sheet, film = out / f"{config.name}.png", out / f"{config.name}.mp4"
    out.mkdir(parents=True, exist_ok=True)
    rows = [
        contact_sheet([subject], config.emotions, config.size_px, config.pixel_level)
        for subject in progress.track(config.subjects, "preview: sheet")
    ]
    write_png(sheet, captioned_sheet(np.vstack(rows), config.subjects, config.emotions, config.size_px))
    frames, sound = speaking_turns(config, progress)
    write_preview(film, frames, config.fps, sound)
    return [sheet, film]


def captioned_sheet(sheet: Image, subjects: Sequence[str], emotions: Sequence[str], size_px: int) -> Image:
    """The sheet with the emotions' names above its columns and the subjects' in the corner of its rows."""
    strip = max(14, size_px // 8)
    lettered = np.vstack([np.full((strip, sheet.shape[1], 3), 255, np.uint8), sheet])
    for column, emotion in enumerate(emotions):
        _write(lettered, emotion, column * size_px + size_px // 16, strip - strip // 4, strip, BLACK)
    for row, subject in enumerate(subjects):
        _write(lettered, subject, size_px // 16, strip + (row + 1) * size_px - size_px // 16, strip, WHITE)
    return lettered


def speaking_turns(config: PuppetConfig, progress: Progress) -> tuple[list[Image], Floats]:
    """Frames (with captions) and sound of all subjects speaking in turn, each with the next emotion of the list."""
    turns = max(len(config.subjects), len(config.emotions))
    size = max(config.size_px, FILM_PX)
    stage = Studio()
    frames: list[Image] = []
    sound = []
    try:
        for turn in progress.track(range(turns), "preview: film"):
            subject, emotion, sentence = (
                names[turn % len(names)] for names in (config.subjects, config.emotions, tuple(SENTENCES))
            )
            recipe = film_recipe(config, subject, emotion, sentence, size)
            utterance, track = stage.act(recipe)
            for picture in stage.renderer(recipe).render(track.alpha, track.pose):
                _write(picture.frame, f"{subject}, {emotion}", size // 20, size - size // 20, size // 10, WHITE)
                frames.append(picture.frame)
            sound.append(utterance.samples)
    finally:
        stage.close()
    return frames, np.concatenate(sound)


def _write(image: Image, text: str, x: int, baseline: int, height_px: int, colour: tuple[int, int, int]) -> None:
    """Letters about half of height_px high, with a dark outline where they are bright; in place."""
    import cv2

    scale, thickness = height_px / 40, max(1, round(height_px / 24))
    # A thicker stroke would also space the letters differently: the outline is the same text, moved.
    outline = [(-1, -1), (-1, 1), (1, -1), (1, 1)] if colour == WHITE else []
    for dx, dy, ink in [*((dx, dy, BLACK) for dx, dy in outline), (0, 0, colour)]:
        at = (x + dx * thickness, baseline + dy * thickness)
        cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, ink, thickness, cv2.LINE_AA)
