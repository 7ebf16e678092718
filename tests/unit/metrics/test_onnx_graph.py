"""Torch layers written as ONNX and run by onnxruntime: the same numbers as torch, or an error that names the layer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from emobench.errors import Unavailable
from emobench.metrics.onnx import OnnxNetwork, forward_of
from emobench.metrics.onnx_graph import to_onnx


class Every(nn.Module):
    """Every layer and call that has an ONNX form."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 6, (3, 5), (1, 2), (1, 0), bias=False), nn.BatchNorm2d(6), nn.ReLU())
        self.grouped = nn.Conv2d(6, 6, 3, padding=2, dilation=2, groups=3)
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.last = nn.Sequential(nn.Flatten(), nn.Linear(24, 7), nn.BatchNorm1d(7), nn.Dropout())
        for module in self.modules():
            if hasattr(module, "running_mean"):
                module.running_mean.uniform_(-0.5, 0.5)
                module.running_var.uniform_(0.5, 2.0)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x = self.first(images)
        y = functional.avg_pool2d(x, kernel_size=3, stride=1, padding=1, count_include_pad=False)
        z = functional.max_pool2d(functional.relu(self.grouped(x)), 3, 1, 1)
        pooled = self.pool(torch.cat([x, y, torch.relu(z), x + y], dim=1))
        means = pooled.mean(dim=(2, 3))
        return pooled, means, self.last(means), torch.flatten(pooled, 1)


@pytest.fixture
def network() -> Every:
    torch.manual_seed(0)
    return Every().eval()


@pytest.mark.parametrize("shape", [(2, 3, 12, 15), (2, 3, None, None)])
def test_every_layer_gives_torch_s_numbers(network, shape):
    images = torch.randn(2, 3, 12, 15)
    with torch.no_grad():
        expected = network(images)
    found = forward_of(network, shape, "cpu")(images)
    assert len(found) == 4
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)  # float32 in another order


def test_a_device_other_than_the_cpu_runs_torch(network):
    images = torch.randn(2, 3, 12, 15)
    with torch.no_grad():
        expected = network(images)
    for ours, theirs in zip(forward_of(network, (2, 3, 12, 15), "cpu:0")(images), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("layer", "name"), [(nn.Sequential(nn.SiLU()), "0"), (nn.Sequential(nn.Conv2d(1, 1, 1), nn.Softmax(1)), "1")]
)
def test_an_unknown_layer_is_named(layer, name):
    with pytest.raises(Unavailable, match=f"the layer {name} .* has no ONNX form"):
        to_onnx(layer, (1, 1, 4, 4))


class Called(nn.Module):
    """One function of the input."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.function(images)


@pytest.mark.parametrize(
    ("network", "what"),
    [
        (nn.MaxPool2d(2, dilation=2), "dilation=2"),
        (nn.MaxPool2d(2, dilation=(1, 2)), r"dilation=\(1, 2\)"),
        (nn.MaxPool2d(2, return_indices=True), "return_indices=True"),
        (nn.Conv2d(1, 1, 3, padding="same"), "padding='same'"),
        (nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"), "padding_mode='reflect'"),
        (nn.Linear(4, 2, bias=False), "no bias"),
        (nn.BatchNorm2d(1, affine=False), "no scale"),
        (nn.Flatten(2), "start_dim=2"),
        (Called(lambda x: functional.max_pool2d(x, 2, 1, 0, 2)), "dilation=2"),
        (Called(lambda x: functional.max_pool2d(x, 2, dilation=2)), "dilation=2"),
        (Called(lambda x: functional.avg_pool2d(x, 2, divisor_override=3)), "divisor_override=3"),
        (Called(lambda x: functional.avg_pool2d(x, 3, 2, 0, True)), "ceil_mode=True"),
        (Called(torch.flatten), "start_dim=0"),
        (Called(lambda x: x.flatten(2)), "start_dim=2"),
        (Called(lambda x: x.mean(dim=(2, 3), keepdim=True)), "keepdim=True"),
        (Called(lambda x: x.mean(dim=1)), "dim=1"),
        (Called(lambda x: x + 1), "no tensor"),
    ],
)
def test_an_option_without_a_form_is_an_error_not_another_number(network, what):
    wrapped = nn.Sequential(network)
    with pytest.raises(Unavailable, match=f"the layer .* with .*{what}.* has no ONNX form"):
        to_onnx(wrapped, (1, 1, 8, 4))


def test_pooling_options_that_are_known_may_stand_at_any_place():
    images = torch.randn(1, 2, 9, 9)
    for call in (
        lambda x: functional.max_pool2d(x, 3, 2, 1, 1, True),
        lambda x: functional.max_pool2d(x, kernel_size=(3, 2), dilation=(1, 1)),
        lambda x: functional.avg_pool2d(x, 3, 1, 1, False, False),
        lambda x: x.mean((2, 3)),
        lambda x: torch.flatten(x, start_dim=1),
        lambda x: torch.cat((x, x), -3),
    ):
        (found,) = forward_of(Called(call), (1, 2, 9, 9), "cpu")(images)
        torch.testing.assert_close(found, call(images), rtol=1e-5, atol=1e-5)


def test_the_graph_is_a_file_that_onnxruntime_opens(network, tmp_path):
    path = tmp_path / "network.onnx"
    path.write_bytes(to_onnx(network, (2, 3, 12, 15)))
    opened = OnnxNetwork(path)
    images = np.random.default_rng(0).normal(size=(2, 3, 12, 15)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(images))[0].numpy()
    np.testing.assert_allclose(opened.run(images), expected, rtol=1e-5, atol=1e-5)
