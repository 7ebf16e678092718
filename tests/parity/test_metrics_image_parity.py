"""PSNR, SSIM, MS-SSIM and LPIPS against scikit-image, torchmetrics and the lpips package."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from emobench.errors import Unavailable, UnscoredError
from emobench.metrics.image import psnr_stats, squared_error
from emobench.metrics.perceptual import LpipsAlex, LpipsSqueeze, LpipsVgg
from emobench.metrics.structure import UNIFORM, ms_ssim_frame, ssim_frame
from emobench.torchvision_schemas import ensure_torchvision
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


@pytest.mark.parametrize("seed", [0, 1])
def test_uniform_ssim_equals_scikit_image_s_default(seed):
    from skimage.metrics import structural_similarity

    clean, noisy = pair(seed)
    theirs = structural_similarity(clean[0], noisy[0], data_range=255, channel_axis=2)
    assert ssim_frame(noisy[0], clean[0], UNIFORM) == pytest.approx(theirs, abs=2e-6)  # ours is float32
    assert abs(ssim_frame(noisy[0], clean[0]) - theirs) > 1e-3  # the two windows are two metrics


@pytest.mark.parametrize(("seed", "size"), [(0, 192), (1, 233)])
def test_ms_ssim_equals_torchmetrics_but_for_its_mirrored_rim(seed, size):
    """torchmetrics counts windows over a mirrored rim in the coarsest scale's SSIM, and only there."""
    ensure_torchvision()
    from torchmetrics.functional.image import (
        multiscale_structural_similarity_index_measure,
        structural_similarity_index_measure,
    )

    clean, noisy = pair(seed, size)
    a, b = (torch.from_numpy(x[:1]).permute(0, 3, 1, 2).double() for x in (noisy, clean))
    whole = float(multiscale_structural_similarity_index_measure(a, b, sigma=1.5, data_range=255.0, normalize="relu"))
    for _ in range(4):
        a, b = (torch.nn.functional.avg_pool2d(x, 2) for x in (a, b))
    mean, full = structural_similarity_index_measure(a, b, sigma=1.5, data_range=255.0, return_full_image=True)
    expected = whole * float(full[..., 5:-5, 5:-5].mean() / mean) ** 0.1333
    assert ms_ssim_frame(noisy[0], clean[0]) == pytest.approx(expected, abs=3e-6)  # ours is float32
    assert expected < 0.99


BACKBONES = {LpipsAlex: "alex", LpipsVgg: "vgg", LpipsSqueeze: "squeeze"}


def random_backbone(name: str) -> torch.nn.Module:
    """The feature layers of torchvision's network, without the classifier that LPIPS never loads."""
    ensure_torchvision()
    import torchvision

    if name == "alex":
        return torchvision.models.alexnet(weights=None).features
    if name == "squeeze":
        return torchvision.models.squeezenet1_1(weights=None).features
    return torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["D"])


@pytest.fixture(params=BACKBONES, ids=BACKBONES.values())
def backbone(request, tmp_path):
    """(metric class, its name, random feature layers, a file of torchvision's layout): the real ones are a download."""
    torch.manual_seed(0)
    name = BACKBONES[request.param]
    layers = random_backbone(name)
    path = tmp_path / f"{name}.pth"
    torch.save({f"features.{key}": value for key, value in layers.state_dict().items()}, path)
    return request.param, name, layers, path


def sample(frames: np.ndarray) -> Sample:
    return Sample(
        clip_id="c", subject="s", emotion=None, intensity=None, fps=25.0, frames=frames, audio=None, track=None,
        alpha=None, timing=None, sha256=str(frames.sum()),
    )  # fmt: skip


def test_lpips_equals_the_lpips_package_on_the_same_backbone(backbone):
    import lpips

    kind, name, layers, path = backbone
    clean, noisy = pair(4)
    metric = kind(MetricContext(judges=None, locate_weight=lambda name: path))
    ours = metric.measure(sample(noisy), sample(clean), lambda *_: {}).value

    theirs = lpips.LPIPS(net=name, pnet_rand=True, verbose=False).eval()
    children = iter(layers.children())
    for slice_name, part in theirs.net.named_children():
        assert slice_name.startswith("slice")
        for number in list(part._modules):
            part._modules[number] = next(children)
    with torch.no_grad():
        signed = [torch.from_numpy(x).permute(0, 3, 1, 2).float() / 127.5 - 1 for x in (noisy, clean)]
        expected = float(theirs(*signed).mean())
    assert expected > 0
    assert ours == pytest.approx(expected, rel=1e-5)
    assert f"LPIPS {name} 0.1" in metric.signature()


def test_lpips_of_identical_clips_is_zero_and_grows_with_noise(backbone):
    kind, _, _, path = backbone
    clean, noisy = pair(5)
    metric = kind(MetricContext(judges=None, locate_weight=lambda name: path))
    half = ((clean.astype(int) + noisy) // 2).astype(np.uint8)
    scores = [metric.measure(sample(x), replace(sample(clean)), lambda *_: {}).value for x in (clean, half, noisy)]
    assert scores[0] == 0.0
    assert scores[0] < scores[1] < scores[2]


def test_lpips_below_the_backbone_s_least_size_is_unscored_and_at_it_scored(backbone):
    kind, _, _, path = backbone
    metric = kind(MetricContext(judges=None, locate_weight=lambda name: path))
    clean, noisy = pair(6)
    least = metric.least_px
    fits = metric.measure(sample(noisy[:, :least, :least]), sample(clean[:, :least, :least]), lambda *_: {})
    assert np.isfinite(fits.value)
    with pytest.raises(UnscoredError, match=f"smaller than {least} px"):
        metric.measure(sample(noisy[:, : least - 1]), sample(clean[:, : least - 1]), lambda *_: {})


def test_another_backbone_s_file_is_refused(backbone, tmp_path):
    kind, name, _, _ = backbone
    path = tmp_path / "other.pth"
    torch.save(random_backbone("squeeze" if name == "alex" else "alex").state_dict(), path)
    with pytest.raises(Unavailable, match=f"no weight file of LPIPS's {name} backbone"):
        kind(MetricContext(judges=None, locate_weight=lambda name: path))
