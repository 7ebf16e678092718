"""A clip scored against itself is perfect, for every metric that compares; the others are named with the reason."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from emobench import registry
from emobench.metrics import distribution, specs, video_distance
from emobench.metrics.faces import MediapipeLandmarks
from emobench.scoring import BuiltMetric, ClipScores, aggregate, measure
from emobench.specs import MetricSpec
from emobench.torchvision_schemas import ensure_torchvision
from emobench.types import MetricContext

BUILT_IN = {spec.name: spec for spec in vars(specs).values() if isinstance(spec, MetricSpec)}
INFINITE = ("psnr", "psnr.face", "psnr.mouth", "psnr.pooled")
ONE = ("ssim", "ssim.uniform", "ssim.face", "ssim.mouth", "ms_ssim", "ms_ssim.face", "csim", "sync.opening")
ZERO = (
    "lpips.alex", "lpips.vgg", "lpips.squeeze", "fid", "kid", "fvd", "frechet.judge", "flicker", "lmd.face",
    "lmd.face.norm", "lmd.mouth", "lmd.mouth.norm", "lvd", "jitter.landmarks", "aue", "aue.upper", "aue.lower",
    "blink_rate", "head_motion", "emotion.valence", "emotion.arousal", "alpha.mouth", "alpha.upper",
)  # fmt: skip
NO_PERFECT_SCORE = {
    "cpbd": "reads the prediction alone",
    "sync.lse_d": "reads the prediction alone; ground truth itself is far from ideal",
    "sync.lse_c": "reads the prediction alone; ground truth itself is far from ideal",
    "sync.lse_d.s3fd": "reads the prediction alone; ground truth itself is far from ideal",
    "sync.lse_c.s3fd": "reads the prediction alone; ground truth itself is far from ideal",
    "sync.judge": "a judge's margin has no upper end",
    "emotion.hsemotion": "a classifier's opinion of one clip",
    "emotion.hsemotion.pickled": "a classifier's opinion of one clip",
    "emotion.tags": "a classifier's opinion of one clip",
    "emotion.expressnet": "a classifier's opinion of one clip",
    "emotion.judge": "a classifier's opinion of one clip",
    "emotion.level": "a judge's opinion of clips of several levels",
    "fps.render": "a speed", "latency.audio": "a speed", "memory.peak": "a size",
}  # fmt: skip


def test_every_metric_has_a_perfect_score_or_a_reason():
    named = [*INFINITE, *ONE, *ZERO, *NO_PERFECT_SCORE]
    assert sorted(named) == sorted(BUILT_IN)


class Judge:
    """Stands for an emotion judge whose features are mean colours."""

    def key(self):
        return "judge"

    def extract(self, sample):
        return {"features": sample.frames.mean(axis=(1, 2)).astype(np.float32)}

    def emotion(self):
        return self


@pytest.fixture(scope="module")
def weights(cartoon, tmp_path_factory):
    """Files of every weight's layout with random numbers."""
    ensure_torchvision()
    import torchvision

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights")
    vgg = torchvision.models.vgg
    backbones = {
        "lpips.alexnet": torchvision.models.alexnet(weights=None).features,
        "lpips.squeezenet": torchvision.models.squeezenet1_1(weights=None).features,
        "lpips.vgg16": vgg.make_layers(vgg.cfgs["D"]),
    }
    for name, layers in backbones.items():
        torch.save({f"features.{key}": value for key, value in layers.state_dict().items()}, folder / name)
    rng = np.random.default_rng(0)
    (folder / "hsemotion.enet_b0_8_va_mtl").write_bytes(cartoon.mean_colour_network(rng.normal(size=(3, 10))))
    (folder / "mobilefacenet").write_bytes(cartoon.mean_colour_network(rng.normal(size=(3, 4)), size=112))
    for name in ("fid.inception", "fvd.i3d", "mediapipe.face_landmarker"):
        (folder / name).write_bytes(b"x")
    return folder


@pytest.fixture(scope="module")
def clip(cartoon):
    """Long enough for blinks and for two clips of FVD."""
    return cartoon.make_sample(size=96, seconds=2.4)


@pytest.fixture(scope="module")
def large(cartoon):
    """Large enough for MS-SSIM of the face."""
    return cartoon.make_sample(size=480, seconds=0.12)


@pytest.fixture
def context(weights, clip, monkeypatch):
    """Stand-ins for the large networks; the landmarker knows the cartoon's landmarks."""
    colours = np.random.default_rng(1).normal(size=(3, 6)).astype(np.float32)
    monkeypatch.setattr(distribution, "load_inception", lambda *_: lambda x: x.mean(dim=(2, 3)) @ torch.tensor(colours))
    monkeypatch.setattr(video_distance, "load_i3d", lambda *_: lambda x: x.mean(dim=(3, 4)).flatten(1))
    shapes = np.random.default_rng(2).random((len(clip.frames), 52), np.float32)
    names = np.array(["_neutral", *(f"{part}{k}" for k in range(17) for part in ("brow", "jaw", "mouth"))])
    found = {"landmarks": clip.track.landmarks, "blendshapes": shapes, "names": names}
    monkeypatch.setattr(MediapipeLandmarks, "extract", lambda self, sample: found)
    return MetricContext(judges=Judge(), locate_weight=lambda name: weights / name)


SLOW = ("lpips.vgg",)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in (*INFINITE, *ONE, *ZERO)]
)
def test_identical_clips_score_perfectly(name, cartoon, clip, large, context, features):
    clip = large if name.startswith("ms_ssim") else clip
    metric = BuiltMetric(spec=BUILT_IN[name], metric=registry.load_object(BUILT_IN[name].factory)(context))
    stats = measure(metric, cartoon.as_prediction(clip), clip, features)
    row = ClipScores(clip="c", subject="s", emotion="happy", intensity=3, stats={name: stats})
    result = aggregate(metric, [row])
    assert result.n_scored == 1, stats.reason
    if name in INFINITE:
        assert (result.value, stats.reason) == (None, "infinite")
    else:
        # float32 sums of the same numbers; KID leaves equal pairs out and may be a little below 0
        assert result.value == pytest.approx(1.0 if name in ONE else 0.0, abs=0.05 if name == "kid" else 1e-5)


@pytest.mark.parametrize("name", [*INFINITE[:1], "ssim", "lpips.alex", "fid", "lmd.mouth", "csim"])
def test_another_clip_does_not(name, cartoon, clip, context, features, monkeypatch):
    moved = {"landmarks": clip.track.landmarks * 1.1, "blendshapes": np.zeros((1, 1)), "names": np.zeros(1)}
    same = MediapipeLandmarks.extract
    monkeypatch.setattr(MediapipeLandmarks, "extract", lambda self, s: moved if s.clip_id == "other" else same(self, s))
    metric = BuiltMetric(spec=BUILT_IN[name], metric=registry.load_object(BUILT_IN[name].factory)(context))
    channels = np.ascontiguousarray(clip.frames[..., ::-1]) // 2
    other = replace(cartoon.as_prediction(clip, frames=channels), clip_id="other")
    row = ClipScores(
        clip="c", subject="s", emotion="happy", intensity=3, stats={name: measure(metric, other, clip, features)}
    )
    value = aggregate(metric, [row]).value
    assert value is not None
    assert abs(value - (1.0 if name in ONE else 0.0)) > 1e-3
