"""Fréchet distance and Inception features against pytorch-fid, on random weights of the right layout."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from emobench.errors import Unavailable
from emobench.metrics.distribution import frechet_distance, kernel_distance
from emobench.metrics.inception import build_inception, load_inception
from emobench.torchvision_schemas import ensure_torchvision


def sets(count_a: int, count_b: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(count_a)
    mix = rng.normal(size=(width, width)) / np.sqrt(width)
    a = rng.normal(size=(count_a, width)) @ mix
    return a.astype(np.float32), (rng.normal(size=(count_b, width)) @ mix * 1.2 + 0.1).astype(np.float32)


@pytest.mark.parametrize(("count_a", "count_b"), [(300, 200), (300, 30), (25, 30)])
def test_frechet_distance_equals_pytorch_fid(count_a, count_b):
    ensure_torchvision()
    from scipy import linalg

    a, b = (x.astype(np.float64) for x in sets(count_a, count_b, 48))
    covariance_a, covariance_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    # pytorch_fid.fid_score.calculate_frechet_distance; written out, for its call of sqrtm fails on newer scipy.
    root = linalg.sqrtm(covariance_a @ covariance_b)
    difference = a.mean(axis=0) - b.mean(axis=0)
    theirs = difference @ difference + np.trace(covariance_a) + np.trace(covariance_b) - 2 * np.trace(root.real)
    assert frechet_distance(a.astype(np.float32), b.astype(np.float32)) == pytest.approx(theirs, rel=1e-5)


def test_frechet_distance_of_a_set_with_itself_is_zero():
    a, _ = sets(40, 2, 64)
    assert frechet_distance(a, a) == pytest.approx(0.0, abs=1e-8)


def test_frechet_distance_between_known_gaussians_is_the_formula():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(200_000, 2)).astype(np.float32)
    b = (rng.normal(size=(200_000, 2)) * 3 + 2).astype(np.float32)
    assert frechet_distance(a, b) == pytest.approx(2 * 2**2 + 2 * (1 - 3) ** 2, rel=0.02)  # sampling error


@pytest.mark.parametrize(("count", "width"), [(40, 16), (60, 2048), (1100, 8)])
def test_kernel_distance_equals_torchmetrics(count, width):
    ensure_torchvision()
    from torchmetrics.image.kid import poly_mmd

    a, b = sets(count, count, width)
    theirs = float(poly_mmd(torch.from_numpy(a).double(), torch.from_numpy(b).double()))  # on one subset: all rows
    assert theirs > 0
    assert kernel_distance(a, b) == pytest.approx(theirs, rel=1e-9, abs=1e-12)  # float64, another order of sums


def test_kernel_distance_takes_sets_of_unequal_size():
    a, b = sets(30, 50, 12)
    both = [x.astype(float) for x in (a, b)]
    kernel = [[(x @ y.T / 12 + 1) ** 3 for y in both] for x in both]
    off = [~np.eye(len(k), dtype=bool) for k in (a, b)]
    expected = kernel[0][0][off[0]].mean() + kernel[1][1][off[1]].mean() - 2 * kernel[0][1].mean()
    assert kernel_distance(a, b) == pytest.approx(expected, rel=1e-9)


def test_kernel_distance_is_unbiased_and_the_frechet_distance_is_not():
    rng = np.random.default_rng(0)
    draws = [rng.normal(size=(2, 30, 64)).astype(np.float32) for _ in range(40)]
    assert abs(np.mean([kernel_distance(*pair) for pair in draws])) < 0.01
    assert np.mean([frechet_distance(*pair) for pair in draws]) > 10


@pytest.mark.slow
def test_features_equal_pytorch_fid_s_network(tmp_path):
    ensure_torchvision()
    from pytorch_fid.inception import InceptionV3

    torch.manual_seed(0)
    network = build_inception().eval()
    torch.save(network.state_dict(), tmp_path / "inception.pth")
    theirs = InceptionV3.__new__(InceptionV3)  # its constructor downloads; the forward pass is what we compare with
    torch.nn.Module.__init__(theirs)
    theirs.resize_input, theirs.normalize_input = True, True
    theirs.output_blocks, theirs.last_needed_block = [3], 3
    pool = torch.nn.MaxPool2d
    n = network
    theirs.blocks = torch.nn.ModuleList(
        torch.nn.Sequential(*block)
        for block in (
            (n.Conv2d_1a_3x3, n.Conv2d_2a_3x3, n.Conv2d_2b_3x3, pool(3, 2)),
            (n.Conv2d_3b_1x1, n.Conv2d_4a_3x3, pool(3, 2)),
            (n.Mixed_5b, n.Mixed_5c, n.Mixed_5d, n.Mixed_6a, n.Mixed_6b, n.Mixed_6c, n.Mixed_6d, n.Mixed_6e),
            (n.Mixed_7a, n.Mixed_7b, n.Mixed_7c, torch.nn.AdaptiveAvgPool2d(1)),
        )
    )
    images = torch.rand(2, 3, 128, 128)
    ours = load_inception(tmp_path / "inception.pth", "cpu", 2)
    with torch.no_grad():
        expected = theirs(images)[0].flatten(1)
        torch.testing.assert_close(ours(images), expected, rtol=1e-4, atol=1e-5)
    assert expected.std() > 0


def test_another_network_s_file_is_refused(tmp_path):
    torch.save({"x": torch.zeros(1)}, tmp_path / "x.pth")
    with pytest.raises(Unavailable, match="no FID Inception file"):
        load_inception(tmp_path / "x.pth", "cpu", 2)
