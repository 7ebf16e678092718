"""A contact sheet of identities × emotions for people: `python -m emobench.datasets.puppet.preview sheet.png`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from emobench.media import write_png
from emobench.types import EMOTIONS, Image

from .alpha import N_ALPHA, unit_slice
from .emotions import CATALOGUE, LEVEL_VOICE, apex
from .identity import IDENTITIES
from .renderer import Renderer
from .view import head_pose


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


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line of the contact sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path, help="PNG to write")
    parser.add_argument("--subjects", default=",".join(IDENTITIES), help="comma separated")
    parser.add_argument("--emotions", default=",".join(EMOTIONS), help="comma separated")
    parser.add_argument("--size", type=int, default=128, help="pixels per face")
    parser.add_argument("--level", type=int, default=3, choices=(1, 2, 3))
    chosen = parser.parse_args(arguments)
    sheet = contact_sheet(chosen.subjects.split(","), chosen.emotions.split(","), chosen.size, chosen.level)
    write_png(chosen.path, sheet)


if __name__ == "__main__":
    main()
