"""A portrait for tests: paints the first coefficients into the first pixels, so that frames show what drove them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from emobench.errors import InputError
from emobench.types import Camera, Clip, Context, Floats, HeadPose


class PaintedPortrait:
    """Same interface as methods.radiance.portrait.Portrait."""

    def __init__(self, subject: str) -> None:
        self.subject = subject

    def render(self, alpha: Floats, pose: HeadPose, camera: Camera) -> Iterator[SimpleNamespace]:
        assert len(alpha) == len(pose)
        for row in alpha:
            frame = np.zeros((camera.height, camera.width, 3), np.uint8)
            frame[0, : len(row), 0] = np.clip(row * 100 + 50, 0, 255)
            yield SimpleNamespace(frame=frame, head=None)

    def stage_seconds(self) -> dict[str, float]:
        return {"field": 0.25, "composite": 0.5}

    def save(self, path: Path) -> None:
        path.mkdir()
        (path / "subject").write_text(self.subject)

    @classmethod
    def load(cls, path: Path, *, threads: int = 1, device: str = "cpu") -> PaintedPortrait:
        if not path.is_dir():
            raise InputError(f"{path} is missing.")
        return cls((path / "subject").read_text())


def paint_portrait(clips: Sequence[Clip], config: object, context: Context, *, subject: str) -> PaintedPortrait:
    assert any(clip.subject == subject and clip.video is not None for clip in clips)
    return PaintedPortrait(subject)
