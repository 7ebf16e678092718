"""FVD: the network's layout and padding against what the weight file and TensorFlow say, the distance against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from emobench import weights
from emobench.cache import ArrayCache
from emobench.errors import Unavailable, UnscoredError
from emobench.metrics import video_distance
from emobench.metrics.i3d import I3d, load_i3d, padded
from emobench.metrics.video_distance import Fvd
from emobench.scoring import CachedFeatures
from emobench.types import MetricContext, Sample


def sample(frames: np.ndarray) -> Sample:
    return Sample(
        clip_id="c", subject="s", emotion=None, intensity=None, fps=25.0, frames=frames, audio=None, track=None,
        alpha=None, timing=None, sha256=str(hash(frames.tobytes())),
    )  # fmt: skip


def clip(seed: int, count: int = 40) -> np.ndarray:
    rng = np.random.default_rng(seed)
    start, step = rng.integers(0, 200, (1, 20, 24, 3)), rng.integers(-3, 4, (1, 20, 24, 3))
    return np.clip(start + step * np.arange(count)[:, None, None, None], 0, 255).astype(np.uint8)


class Small(nn.Module):
    """Stands for I3D: (B, 3, 16, 224, 224) → (B, 5), with random weights."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.convolution = nn.Conv3d(3, 5, (4, 16, 16), stride=(4, 16, 16))

    def forward(self, volumes: torch.Tensor) -> torch.Tensor:
        return self.convolution(volumes).abs().mean(dim=(2, 3, 4)) * 50


@pytest.fixture
def fvd(monkeypatch, tmp_path) -> Fvd:
    """The metric with a small network: pooling and arithmetic are tested here, the real layout below."""
    (tmp_path / "w").write_bytes(b"w")
    network = Small().eval()
    monkeypatch.setattr(video_distance, "load_i3d", lambda path, device: network)
    return Fvd(MetricContext(judges=None, locate_weight=lambda name: tmp_path / "w"))


@pytest.fixture
def features(tmp_path) -> CachedFeatures:
    return CachedFeatures(ArrayCache(tmp_path / "cache"))


def test_fvd_equals_the_formula_on_features_of_sixteen_frames(fvd, features):
    from scipy import linalg

    pairs = [(clip(seed), clip(seed + 50)) for seed in range(6)]
    stats = [fvd.measure(sample(a), sample(b), features) for a, b in pairs]
    network, sets = Small().eval(), []
    for side in range(2):
        volumes = [pair[side][start : start + 16] for pair in pairs for start in (0, 16)]
        images = torch.from_numpy(np.stack(volumes)).permute(0, 4, 1, 2, 3).float() / 127.5 - 1
        flat = images.transpose(1, 2).flatten(0, 1)
        small = nn.functional.interpolate(flat, size=(224, 224), mode="bilinear", antialias=True)
        with torch.no_grad():
            sets.append(network(small.unflatten(0, (12, 16)).transpose(1, 2)).double().numpy())
    means, covariances = [x.mean(axis=0) for x in sets], [np.cov(x, rowvar=False) for x in sets]
    root = linalg.sqrtm(covariances[0] @ covariances[1]).real
    expected = np.sum((means[0] - means[1]) ** 2) + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert expected > 0.1
    assert fvd.aggregate(stats) == pytest.approx(expected, rel=1e-4)  # float32 features
    assert stats[0].detail == {"frames": 40, "clips_of_16": 2, "frames_left_out": 8}


def test_fvd_of_identical_clips_is_zero_and_grows_with_the_difference(fvd, features):
    reference = [sample(clip(seed)) for seed in range(4)]
    values = []
    for darker in (1, 2, 4):
        mixed = [sample(clip(seed) // darker) for seed in range(4)]
        values.append(fvd.aggregate([fvd.measure(a, b, features) for a, b in zip(mixed, reference, strict=True)]))
    assert values[0] == pytest.approx(0.0, abs=1e-8)
    assert values[0] < values[1] < values[2]


def test_fvd_prints_n_and_warns_below_256_clips(fvd, features):
    stats = fvd.measure(sample(clip(0)), sample(clip(1)), features)
    assert fvd.caveat([stats] * 3) == "N = 6 clips of 16 frames < 256: biased upward"
    assert fvd.caveat([stats] * 128) == "N = 256 clips of 16 frames"
    assert fvd.bootstrap_resamples == 0
    assert stats.value is None


def test_a_clip_of_fifteen_frames_is_unscored(fvd, features):
    with pytest.raises(UnscoredError, match="15 frames is shorter than 16"):
        fvd.measure(sample(clip(0, 15)), sample(clip(1, 15)), features)


def test_fvd_without_its_weights_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("EMOBENCH_CACHE", str(tmp_path))
    monkeypatch.delenv("EMOBENCH_WEIGHTS", raising=False)
    with pytest.raises(Unavailable, match=r"emobench weights fetch fvd\.i3d"):
        Fvd(MetricContext(judges=None, locate_weight=weights.locate))


def test_padding_is_tensorflow_s_same():
    for size in (16, 15, 7, 8):
        for kernel, stride in ((7, 2), (3, 2), (3, 1), (2, 2), (1, 1)):
            grown = padded(torch.ones(1, 1, size, size, size), (kernel,) * 3, (stride,) * 3)
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)  # tf.nn.convolution, padding="SAME"
            assert grown.shape[2:] == (size + total,) * 3
            before = int((grown[0, 0, :, size // 2, size // 2] == 0).long().cumprod(0).sum())
            assert before == total // 2


@pytest.mark.slow
def test_the_network_is_the_weight_file_s(tmp_path):
    torch.manual_seed(0)
    network = I3d().eval()
    state = {k: v for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    # rgb_imagenet.pt has 50,883,138 bytes: its tensors, and names and headers for the rest
    size = sum(tensor.numel() * 4 for tensor in state.values())
    assert 0 < weights.manifest()["fvd.i3d"].size - size < 100_000
    assert {"Conv3d_1a_7x7.conv3d.weight", "Mixed_4f.b2b.bn.running_var", "logits.conv3d.bias"} <= set(state)
    torch.save(state, tmp_path / "rgb_imagenet.pt", _use_new_zipfile_serialization=False)  # as in 2018
    loaded, volumes = load_i3d(tmp_path / "rgb_imagenet.pt", "cpu"), torch.rand(1, 3, 16, 224, 224) * 2 - 1
    with torch.no_grad():
        found = loaded(volumes)
        torch.testing.assert_close(found, network(volumes))
    assert found.shape == (1, 400)
    torch.save({"x": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(Unavailable, match="no I3D weight file"):
        load_i3d(tmp_path / "other.pt", "cpu")
