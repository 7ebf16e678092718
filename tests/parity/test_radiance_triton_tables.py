"""Triton's blended tables and their Adam step against the plain torch reference and torch's Adam, in float64.

Without a GPU the kernels run in Triton's interpreter. Tolerances are shares of the largest value: float32 rounds to
6e-8 and a sum has few terms; float16 rounds to 5e-4.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from emobench.methods.radiance.operations import AdamRates, Moments, zero_moments
from emobench.methods.radiance.reference import TorchOperations

pytest.importorskip("triton", minversion="3.9", reason="the interpreter of triton 3.9 or newer is needed (Linux)")

from emobench.methods.radiance.triton_operations import TritonOperations

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
OPERATIONS = TritonOperations(DEVICE)


def assert_close(found: Tensor, expected: Tensor, tolerance: float) -> None:
    """Equal within a share of the largest expected value."""
    scale = float(expected.abs().max())
    np.testing.assert_allclose(found.cpu().double() / scale, expected / scale, rtol=0, atol=tolerance)


@pytest.mark.parametrize("frames", [1, 11])
def test_blended_tables_match_the_reference(frames: int) -> None:
    generator = torch.Generator().manual_seed(2)
    base, expression = torch.randn(5000, generator=generator), torch.randn(3, 3000, generator=generator)
    conditions = torch.randn(frames, 3, generator=generator)
    expected = torch.empty(frames, 5000, dtype=torch.float64)
    TorchOperations().blend(base.double(), expression.double(), conditions.double(), (0, 5000), expected)
    given = [tensor.to(DEVICE) for tensor in (base, expression, conditions)]
    found = torch.full((frames, 5000), torch.nan, device=DEVICE)
    for columns in ((0, 2500), (2500, 4000), (4000, 5000)):
        OPERATIONS.blend(*given, columns, found)
    assert_close(found, expected, 1e-6)
    half = torch.empty(frames, 5000, dtype=torch.float16, device=DEVICE)
    OPERATIONS.blend(given[0].half(), given[1].half(), given[2], (0, 5000), half)
    assert_close(half, expected, 1e-3)


def test_table_updates_match_torch_adam() -> None:
    generator = torch.Generator().manual_seed(3)
    start = [torch.randn(2500, generator=generator), torch.randn(3, 1300, generator=generator)]
    conditions = torch.randn(4, 3, generator=generator)
    expected = [tensor.double().requires_grad_() for tensor in start]
    adam = torch.optim.Adam(expected, lr=0.02, betas=(0.9, 0.99), eps=1e-15)
    base, expression = (tensor.to(DEVICE, copy=True) for tensor in start)
    moments = [zero_moments(tensor) for tensor in (base, expression)]
    for index in range(3):
        gradients = torch.randn(4, 2500, generator=generator)
        expected[0].grad = gradients.double().sum(0)
        expected[1].grad = (conditions.T.double() @ gradients.double())[:, :1300]
        adam.step()
        rates = AdamRates(rate=0.02 / (1 - 0.9 ** (index + 1)), correction=1 / (1 - 0.99 ** (index + 1)))
        for columns in ((0, 1000), (1000, 2000), (2000, 2500)):
            OPERATIONS.update_tables(
                base, expression, moments, gradients.to(DEVICE), conditions.to(DEVICE), rates, columns
            )
    # a first step is rate · sign(gradient): sums of four near zero are rounded, relatively, by more than others
    for left, right in zip((base, expression), expected, strict=True):
        assert_close(left, right.detach(), 2e-5)


def test_columns_without_a_gradient_stay_as_they_are() -> None:
    generator = torch.Generator().manual_seed(4)
    start = [torch.randn(700, generator=generator), torch.randn(3, 345, generator=generator)]
    base, expression = (tensor.to(DEVICE, copy=True) for tensor in start)
    conditions, gradients = torch.randn(2, 3, generator=generator), torch.randn(2, 700, generator=generator)
    idle = torch.rand(700, generator=generator) < 0.5
    gradients[:, idle] = 0
    pairs = [Moments(first=torch.full_like(t, 0.1), second=torch.full_like(t, 0.2)) for t in (base, expression)]
    rates = AdamRates(rate=0.1, correction=1.0)
    OPERATIONS.update_tables(base, expression, pairs, gradients.to(DEVICE), conditions.to(DEVICE), rates, (0, 700))
    for value, old, pair in zip((base, expression), start, pairs, strict=True):
        still = idle[: value.shape[-1]]
        assert torch.equal(value.cpu()[..., still], old[..., still])
        assert torch.equal(pair.first.cpu() == 0.1, still.expand(value.shape))
