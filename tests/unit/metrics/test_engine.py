"""What must not change a score: how many workers, which clip first, what the cache holds, how large batches are."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from emobench.cache import ArrayCache
from emobench.metrics import flicker, image, lipsync, perceptual, sharpness, structure
from emobench.metrics.batches import batches
from emobench.metrics.inception import Trunk, build_inception, embedding
from emobench.metrics.lipsync import LseC, face_windows
from emobench.metrics.perceptual import LpipsAlex
from emobench.metrics.syncnet import SyncNet, SyncTowers
from emobench.scoring import BuiltMetric, CachedFeatures, ClipScores, aggregate, measure
from emobench.specs import MetricSpec
from emobench.torchvision_schemas import ensure_torchvision
from emobench.types import MetricContext
from emobench.workers import in_order, single_threaded


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Random weights of the right layout, by the manifest's names."""
    ensure_torchvision()
    import torchvision

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights")
    torch.save(SyncNet().state_dict(), folder / "syncnet")
    layers = torchvision.models.alexnet(weights=None).features.state_dict()
    torch.save({f"features.{name}": tensor for name, tensor in layers.items()}, folder / "lpips.alexnet")
    return MetricContext(judges=None, locate_weight=lambda name: folder / name)


@pytest.fixture(scope="module")
def pairs(cartoon):
    """(prediction, reference) of four clips of unequal length."""
    found = []
    for seed, seconds in enumerate((0.4, 0.48, 0.6, 0.4)):
        whole = cartoon.make_sample(seed=seed, seconds=seconds)
        noise = np.random.default_rng(seed).integers(0, 9, whole.frames.shape, dtype=np.uint8)
        found.append((cartoon.as_prediction(whole, frames=whole.frames // 2 + noise), whole))
    return found


def built(context):
    kinds = (
        image.Psnr, image.PsnrMouth, image.PsnrPooled, structure.Ssim, structure.SsimFace, sharpness.Cpbd,
        flicker.Flicker, LseC, LpipsAlex,
    )  # fmt: skip
    spec = partial(MetricSpec, version="1", summary="", factory="", unit="", higher_is_better=True)
    return [BuiltMetric(spec=spec(name=kind.__name__), metric=kind(context)) for kind in kinds]


def scored(metrics, pairs, features, workers):
    """Everything that clips contribute, by clip, and the aggregates over clips in the order of their names."""

    def one(pair):
        return pair[1].clip_id, {m.spec.name: measure(m, *pair, features) for m in metrics}

    found = dict(in_order(one, pairs, workers))
    clips = [
        ClipScores(clip=clip, subject="", emotion=None, intensity=None, stats=found[clip]) for clip in sorted(found)
    ]
    values = {m.spec.name: aggregate(m, clips).value for m in metrics}
    numbers = {
        (clip, name): (stats.value, {k: v.tobytes() for k, v in stats.arrays.items()}, dict(stats.detail))
        for clip, by_name in found.items()
        for name, stats in by_name.items()
    }
    assert all(value is not None for value in values.values())
    return values, numbers


def test_workers_order_and_cache_change_no_bit(pairs, weights, tmp_path):
    metrics = built(weights)
    warm = CachedFeatures(ArrayCache(tmp_path / "warm"))
    one = scored(metrics, pairs, warm, 1)
    assert scored(metrics, pairs, warm, 1) == one  # from the cache
    for workers, order in ((2, 1), (3, -1)):
        fresh = CachedFeatures(ArrayCache(tmp_path / f"{workers}"))
        assert scored(metrics, pairs[::order], fresh, workers) == one


def test_results_come_in_the_order_of_the_items_and_an_error_at_its_turn():
    assert list(in_order(lambda n: n * n, range(20), 3)) == [n * n for n in range(20)]

    def fails(number):
        if number == 2:
            raise ValueError("two")
        return number

    results = in_order(fails, range(9), 2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        next(results)


def test_threads_are_as_they_were_after_scoring():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    with single_threaded():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


def test_a_feature_that_two_workers_ask_for_is_computed_once(reference, features):
    calls = []

    class Slow:
        def key(self):
            return "slow"

        def extract(self, sample):
            calls.append(sample.clip_id)
            return {"x": np.zeros(1)}

    slow = Slow()
    list(in_order(lambda _: features(slow, reference), range(8), 4))
    assert len(calls) == 1


def test_the_last_batch_is_filled_up_and_its_filling_counted_out():
    items = [np.full(3, n) for n in range(10)]
    found = list(batches(items, 4))
    assert [(batch.shape, count) for batch, count in found] == [((4, 3), 4), ((4, 3), 4), ((4, 3), 2)]
    np.testing.assert_array_equal(found[-1][0][:, 0], [8, 9, 9, 9])
    assert list(batches([], 4)) == []


def test_the_batch_size_changes_syncnet_s_embeddings_by_at_most_1e_5():
    torch.manual_seed(0)
    network, windows = SyncNet().eval(), torch.rand(6, 3, 5, 224, 224) * 255
    one, six = SyncTowers(network, 1, "cpu"), SyncTowers(network, 6, "cpu")
    single = np.concatenate([one.embed_video(window[None]) for window in windows])
    assert np.linalg.norm(six.embed_video(windows) - single) < 1e-5 * np.linalg.norm(single)
    assert np.linalg.norm(single[0] - single[1]) > 1e-3 * np.linalg.norm(single)


def test_the_batch_size_changes_lpips_by_at_most_1e_5(pairs, weights, features, monkeypatch):
    prediction, reference = pairs[0]
    values = []
    for size in (8, 3):
        monkeypatch.setattr(perceptual, "BATCH", size)
        monkeypatch.setattr(perceptual, "batches", partial(batches, size=size))
        values.append(LpipsAlex(weights).measure(prediction, reference, features).value)
    assert values[0] == pytest.approx(values[1], rel=1e-5)
    assert values[0] > 0


@pytest.mark.slow
def test_the_batch_size_changes_inception_s_features_by_at_most_1e_5():
    torch.manual_seed(0)
    trunk, images = Trunk(build_inception()), torch.rand(3, 3, 96, 96)
    one, three = embedding(trunk, 1, "cpu"), embedding(trunk, 3, "cpu")
    single = torch.cat([one(picture[None]) for picture in images])
    assert float((three(images) - single).norm()) < 1e-5 * float(single.norm())


METRICS = (image.Psnr, image.PsnrPooled, structure.Ssim, structure.SsimFace, flicker.Flicker, sharpness.Cpbd)


class Endless:
    """Frames of a clip that are made when they are read: whoever keeps them shows in the memory count."""

    def __init__(self, frames, count):
        self._frames, self.shape = frames, (count, *frames.shape[1:])
        self.size = int(np.prod(self.shape))

    def __len__(self):
        return self.shape[0]

    def __iter__(self):
        return (self._frames[index % len(self._frames)].copy() for index in range(len(self)))

    def __getitem__(self, index):
        return self._frames[index % len(self._frames)].copy()


def peak_bytes(work):
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("kind", METRICS)
def test_memory_of_a_metric_does_not_grow_with_the_clip(kind, reference, context, features):
    def run(count):
        track = replace(reference.track, landmarks=np.resize(reference.track.landmarks, (count, 68, 2)))
        clip = replace(reference, frames=Endless(reference.frames, count), track=track)
        kind(context).measure(replace(clip, track=None), clip, features)

    run(20)
    frame = reference.frames[0].nbytes
    growth = peak_bytes(lambda: run(240)) - peak_bytes(lambda: run(40))
    assert growth < 30 * frame  # of 200 frames more; landmarks and values are what grows


def test_memory_of_syncnet_s_crops_does_not_grow_with_the_clip(reference):
    squares = lipsync.detection_squares(reference.track.landmarks)

    def run(count):
        for _ in face_windows(Endless(reference.frames, count), np.resize(squares, (count, 3))):
            pass

    assert peak_bytes(lambda: run(60)) < 1.2 * peak_bytes(lambda: run(20))
