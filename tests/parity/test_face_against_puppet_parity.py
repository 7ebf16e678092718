"""MediaPipe's landmarks, mapped to iBUG-68, against the exact landmarks of a generated head: an independent truth."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from emobench import registry
from emobench.face import landmarks as ibug
from emobench.face.mediapipe_tracker import track_frames
from emobench.face.tracks import load_track
from emobench.media import read_video
from emobench.progress import SilentProgress
from emobench.types import Context

MODEL = Path(os.environ.get("EMOBENCH_WEIGHTS", "/nonexistent")) / "face_landmarker.task"


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.skipif(not MODEL.is_file(), reason="EMOBENCH_WEIGHTS has no face_landmarker.task")
def test_mapped_landmarks_agree_with_exact_ones(tmp_path: Path) -> None:
    spec = registry.find("dataset", "puppet-tiny")
    config = registry.load_object(spec.config)(
        size_px=128, emotions=("happy",), train_sentences=("s01",), pixel_train=1
    )
    context = Context(seed=0, device="cpu", threads=1, cache_dir=tmp_path, progress=SilentProgress())
    dataset = registry.load_object(spec.factory)(config, context)
    dataset.prepare()
    clip = dataset.split("test")[0]
    exact = load_track(clip.extras["track"]).landmarks
    found = track_frames(read_video(clip.video).frames, clip.fps, MODEL)
    assert found.valid.all()
    between_eyes = np.linalg.norm(exact[:, 36] - exact[:, 45], axis=-1).mean()
    error = np.linalg.norm(found.landmarks68 - exact, axis=-1) / between_eyes
    # measured at 128 px: eyes .028, lips .027, nose .028, brows .074, jaw .149 (a contour: points slide along it)
    limits = ((ibug.EYES, 0.06), (ibug.MOUTH, 0.06), (ibug.NOSE, 0.06), (ibug.BROWS, 0.15), (ibug.JAW, 0.3))
    for region, limit in limits:
        assert error[:, region].mean() < limit
    opening = np.corrcoef(ibug.mouth_opening(found.landmarks68), ibug.mouth_opening(exact))[0, 1]
    assert opening > 0.9  # measured 0.98
