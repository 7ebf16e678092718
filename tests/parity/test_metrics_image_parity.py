"""PSNR, SSIM and LPIPS against scikit-image, torchmetrics and the lpips package."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from emobench.metrics.image import psnr_stats, squared_error, ssim_frame
from emobench.metrics.perceptual import LpipsAlex
from emobench.metrics.torchvision_schemas import ensure_torchvision
from emobench.types import MetricContext, Sample


def pair(seed: int, size: int = 72) -> tuple[np.ndarray, np.ndarray]:
    """Two related (3, H, W, 3) uint8 clips with structure: smooth gradients, then noise on one of them."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:size, 0:size] / size
    waves = [np.sin(2 * np.pi * (f * x + p)) * np.cos(2 * np.pi * f * y) for f, p in rng.uniform(0.5, 4, (9, 2))]
    clean = np.stack(waves, axis=-1).reshape(size, size, 3, 3).transpose(2, 0, 1, 3) * 90 + 128
    return clean.astype(np.uint8), np.clip(clean + rng.normal(0, 15, clean.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("seed", [0, 1])
def test_psnr_equals_scikit_image(seed):
    from skimage.metrics import peak_signal_noise_ratio

    clean, noisy = pair(seed)
    ours = psnr_stats(np.array([squared_error(a, b) for a, b in zip(noisy, clean, strict=True)]), {}).value
    theirs = np.mean([peak_signal_noise_ratio(b, a, data_range=255) for a, b in zip(noisy, clean, strict=True)])
    assert ours == pytest.approx(theirs, rel=1e-12)  # both float64


@pytest.mark.parametrize("seed", [0, 1])
def test_ssim_equals_scikit_image_with_gaussian_weights(seed):
    from skimage.metrics import structural_similarity

    clean, noisy = pair(seed)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    theirs = structural_similarity(clean[0], noisy[0], data_range=255, channel_axis=2, **options)
    assert ssim_frame(noisy[0], clean[0]) == pytest.approx(theirs, abs=2e-6)  # ours is float32


def test_ssim_and_psnr_equal_torchmetrics():
    ensure_torchvision()
    from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

    clean, noisy = pair(3)
    a, b = (torch.from_numpy(x[:1]).permute(0, 3, 1, 2).double() for x in (noisy, clean))
    _, full = structural_similarity_index_measure(a, b, sigma=1.5, data_range=255.0, return_full_image=True)
    inside = float(full[..., 5:-5, 5:-5].mean())  # torchmetrics also counts windows over a mirrored rim
    assert ssim_frame(noisy[0], clean[0]) == pytest.approx(inside, abs=2e-6)  # ours is float32
    psnr = peak_signal_noise_ratio(a, b, data_range=255.0)
    assert 10 * np.log10(255**2 / squared_error(noisy[0], clean[0])) == pytest.approx(float(psnr), rel=1e-6)


@pytest.fixture
def alexnet(tmp_path):
    """A file of torchvision's AlexNet layout with random weights: the real ones are a download."""
    ensure_torchvision()
    import torchvision

    torch.manual_seed(0)
    path = tmp_path / "alexnet.pth"
    torch.save(torchvision.models.alexnet(weights=None).state_dict(), path)
    return path


def sample(frames: np.ndarray) -> Sample:
    return Sample(
        clip_id="c", subject="s", emotion=None, intensity=None, fps=25.0, frames=frames, audio=None, track=None,
        alpha=None, timing=None, sha256=str(frames.sum()),
    )  # fmt: skip


def test_lpips_equals_the_lpips_package_on_the_same_backbone(alexnet):
    import lpips
    import torchvision

    clean, noisy = pair(4)
    metric = LpipsAlex(MetricContext(judges=None, locate_weight=lambda name: alexnet))
    ours = metric.measure(sample(noisy), sample(clean), lambda *_: {}).value

    theirs = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False).eval()
    backbone = torchvision.models.alexnet(weights=None)
    backbone.load_state_dict(torch.load(alexnet, weights_only=True))
    features = iter(backbone.features.children())
    for part in (theirs.net.slice1, theirs.net.slice2, theirs.net.slice3, theirs.net.slice4, theirs.net.slice5):
        for name in list(part._modules):
            part._modules[name] = next(features)
    with torch.no_grad():
        signed = [torch.from_numpy(x).permute(0, 3, 1, 2).float() / 127.5 - 1 for x in (noisy, clean)]
        expected = float(theirs(*signed).mean())
    assert expected > 0
    assert ours == pytest.approx(expected, rel=1e-5)


def test_lpips_of_identical_clips_is_zero(alexnet):
    clean, _ = pair(5)
    metric = LpipsAlex(MetricContext(judges=None, locate_weight=lambda name: alexnet))
    assert metric.measure(sample(clean), replace(sample(clean)), lambda *_: {}).value == 0.0
