"""Claims about where faces were found: signatures name it, and provenance names the weight that did it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from emobench.errors import Unavailable
from emobench.metrics import faces
from emobench.metrics.faces import BOX_LABEL, MEDIAPIPE_WEIGHT
from emobench.metrics.image import PsnrFace, PsnrMouth
from emobench.metrics.landmarks import LmdMouth
from emobench.metrics.structure import Ssim, SsimMouth
from emobench.scoring import BuiltMetric, ClipScores, weights_used
from emobench.specs import MetricSpec
from emobench.types import Stats

BOXED = [PsnrFace, PsnrMouth, SsimMouth]


class Landmarker:
    """Stands for MediaPipe: always answers with the cartoon's landmarks."""

    answer = np.zeros(0)
    label = "mediapipe@0123abcd"

    def __init__(self, model):
        del model

    def key(self):
        return "landmarker"

    def extract(self, sample):
        return {"landmarks": self.answer}


@pytest.fixture
def tracked(monkeypatch, reference, context, tmp_path):
    """A context in which a stand-in for MediaPipe finds faces."""
    monkeypatch.setattr(Landmarker, "answer", reference.track.landmarks)
    monkeypatch.setattr(faces, "MediapipeLandmarks", Landmarker)
    return replace(context, locate_weight=lambda name: tmp_path)


def built(kind, context) -> BuiltMetric:
    spec = MetricSpec(name="m", version="1", summary="", factory="", unit="", higher_is_better=True, weights=())
    return BuiltMetric(spec=spec, metric=kind(context))


def scored(stats: Stats) -> ClipScores:
    return ClipScores(clip="c", subject="s", emotion=None, intensity=None, stats={"m": stats})


@pytest.mark.parametrize("kind", BOXED)
def test_signature_over_clips_names_what_found_the_face(kind, cartoon, reference, tracked, features):
    metric = kind(tracked)
    changed = cartoon.as_prediction(reference, frames=reference.frames ^ 1)
    by_track = metric.measure(changed, reference, features)
    by_landmarker = metric.measure(changed, replace(reference, track=None), features)
    assert BOX_LABEL in metric.signature()
    assert "boxes: track:dataset|" in metric.signature_over([by_track])
    assert "boxes: mediapipe@0123abcd of reference|" in metric.signature_over([by_landmarker])
    assert "boxes: mediapipe@0123abcd of reference+track:dataset|" in metric.signature_over([by_track, by_landmarker])


@pytest.mark.parametrize("kind", BOXED)
def test_a_landmarker_that_was_used_is_among_the_weights_and_one_that_was_not_is_not(
    kind, cartoon, reference, tracked, features
):
    item = built(kind, tracked)
    changed = cartoon.as_prediction(reference, frames=reference.frames ^ 1)
    by_track = item.metric.measure(changed, reference, features)
    by_landmarker = item.metric.measure(changed, replace(reference, track=None), features)
    assert weights_used([item], [scored(by_track)]) == []
    assert weights_used([item], [scored(by_track), scored(by_landmarker)]) == [MEDIAPIPE_WEIGHT]


def test_a_resumed_run_that_measures_nothing_still_names_the_landmarker(reference, tracked):
    stats = Stats(value=1.0, detail={"detector": "mediapipe"})
    lmd = object.__new__(LmdMouth)
    item = replace(built(Ssim, tracked), metric=lmd)
    assert weights_used([item], [scored(stats)]) == [MEDIAPIPE_WEIGHT]
    assert weights_used([item], [scored(replace(stats, detail={"detector": "judge"}))]) == []


def test_weights_of_the_spec_are_used_and_those_of_unavailable_metrics_are_not(context):
    spec = replace(built(Ssim, context).spec, weights=("net",))
    item = replace(built(Ssim, context), spec=spec)
    assert weights_used([item], []) == ["net"]
    assert weights_used([replace(item, metric=None)], []) == []


def test_the_full_frame_needs_no_face_and_names_none(cartoon, reference, context, features):
    metric = Ssim(context)
    stats = metric.measure(cartoon.as_prediction(reference), replace(reference, track=None), features)
    assert "boxes" not in metric.signature_over([stats])
    assert metric.weights_used([stats]) == ()


def test_without_the_landmarker_s_weight_the_reason_names_the_command(cartoon, reference, context, features):
    with pytest.raises(Unavailable, match="emobench weights fetch mediapipe"):
        SsimMouth(context).measure(cartoon.as_prediction(reference), replace(reference, track=None), features)
