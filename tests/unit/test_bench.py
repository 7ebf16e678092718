"""Claims about `emobench bench fps`: what it times, how it sums up, and what it prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from emobench import bench
from emobench.bench import SpeedReport, _row, lines, measure_fps
from emobench.errors import UsageError
from emobench.progress import SilentProgress
from emobench.types import Driving, Method

from .animated_run import PaintingMethod, finished_run


def times(field: float, write: float = 0.1) -> dict[str, float]:
    return {"audio": 0.5, "field": field, "composite": 0.25, "write": write, "wall": field + 0.75}


def test_speed_is_the_median_over_repeats_and_leaves_audio_and_writing_out() -> None:
    row = _row(128, [times(0.75), times(0.25), times(99.75)], frames=10)
    assert row.fps == 10.0  # 10 frames in 0.75 + 0.25 s
    assert row.fps_low < 10.0 < row.fps_high == 15.0
    assert row.milliseconds == {"audio": 50.0, "field": 75.0, "composite": 25.0, "write": 10.0}
    assert row.wall_fps == 10 / 1.5


def test_the_table_fits_80_columns_and_names_what_speeds_depend_on() -> None:
    rows = [_row(size, [times(0.5)], frames=200) for size in (96, 2048)]
    report = SpeedReport(
        method="emohead", dataset="puppet", run="0123456789ab", subject="amy", device="Processor X", threads=2,
        precision="float32", backend="numba", torso="deformed", batch=1, frames=200, repeats=1, rows=rows,
    )  # fmt: skip
    text = lines(report)
    assert max(map(len, text)) <= 80
    for fact in ("Processor X", "2 threads", "float32", "numba", "deformed", "batch 1", "1 × 200 frames"):
        assert fact in " ".join(text)


def test_a_method_without_frames_of_its_own_is_refused_after_one_render(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renders = []

    def time_once(method: Method, driving: Driving, device: str) -> dict[str, float]:
        renders.append(driving.clip_id)
        return times(0.0) | {"composite": 0.0}

    finished_run(tmp_path / "run")
    monkeypatch.setattr(bench, "load_method", lambda *_: PaintingMethod())
    monkeypatch.setattr(bench, "_time_once", time_once)
    with pytest.raises(UsageError, match="renders no frame of its own"):
        measure_fps(
            tmp_path / "run", sizes=[96, 128], subject="", frames=2, repeats=5, device="cpu", threads=1,
            progress=SilentProgress(), cache_dir=tmp_path,
        )  # fmt: skip
    assert renders == ["bench-96"]
