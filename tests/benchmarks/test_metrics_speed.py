"""How long a clip of 66 frames at 128 px takes to score, by metric; run with --benchmark-only."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from emobench.judges.crops import CROP_PX
from emobench.judges.extractors import EmotionJudge
from emobench.judges.networks import FaceNet
from emobench.metrics.distribution import frechet_distance
from emobench.metrics.image import squared_error
from emobench.metrics.inception import Trunk, build_inception, embedding
from emobench.metrics.mfcc import mfcc
from emobench.metrics.structure import ssim_frame
from emobench.metrics.syncnet import SyncNet, SyncTowers


@pytest.fixture(scope="module")
def pair():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (2, 66, 128, 128, 3), dtype=np.uint8)


def test_psnr_of_a_clip(benchmark, pair):
    errors = benchmark(lambda: [squared_error(a, b) for a, b in zip(*pair, strict=True)])
    assert len(errors) == 66


def test_ssim_of_a_clip(benchmark, pair):
    values = benchmark(lambda: [ssim_frame(a, b) for a, b in zip(*pair, strict=True)])
    assert len(values) == 66


def test_face_judge_on_a_clip(benchmark):
    judge = EmotionJudge(FaceNet(8).eval(), tuple("abcdefgh"), "benchmark")
    crops = np.random.default_rng(0).integers(0, 256, (66, CROP_PX, CROP_PX), dtype=np.uint8)
    assert benchmark(judge.probabilities, crops).shape == (66, 8)


def test_mfcc_of_a_clip(benchmark):
    assert benchmark(mfcc, np.random.default_rng(0).normal(0, 0.1, 42_240).astype(np.float32)).shape[1] == 13


def test_frechet_distance_of_a_split(benchmark):
    sets = np.random.default_rng(0).normal(size=(2, 400, 2048)).astype(np.float32)
    assert benchmark.pedantic(frechet_distance, tuple(sets), rounds=2) > 0


def test_inception_on_a_batch(benchmark):
    embed = embedding(Trunk(build_inception()), 8, "cpu")
    assert benchmark.pedantic(embed, (torch.rand(8, 3, 256, 256),), rounds=3, warmup_rounds=1).shape == (8, 2048)


def test_syncnet_lips_on_a_batch(benchmark):
    towers = SyncTowers(SyncNet().eval(), 8, "cpu")
    windows = torch.rand(8, 3, 5, 224, 224) * 255
    assert benchmark.pedantic(towers.embed_video, (windows,), rounds=3, warmup_rounds=1).shape == (8, 1024)
