"""Compiled kernels are stored with a stamp of all that they are made of; where they cannot be stored, that is said."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from emobench.methods.radiance import jit, ray_kernels
from emobench.methods.radiance.accelerated import NumbaOperations
from emobench.methods.radiance.operations import AdamRates, Moments, Operations
from emobench.methods.radiance.reference import TorchOperations

HOMELESS = """
from numba.core import caching
for kind in vars(caching).values():
    if hasattr(kind, "_locator_classes"):
        kind._locator_classes = []
import numpy as np
from emobench.methods.emohead import pairing
from emobench.methods.radiance import jit, ray_kernels
weights = np.zeros(1, np.float32)
ray_kernels.sample_weights(np.ones(1, np.float32), np.ones(1, np.int32), np.ones(1, np.float32), weights)
pairing._dynamic_time_warping(np.ones((2, 2)), 0.5)
print(weights[0], jit.unstored())
"""


def test_without_a_folder_to_write_to_kernels_are_compiled_in_memory_and_that_is_said() -> None:
    done = subprocess.run([sys.executable, "-c", HOMELESS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    weight, told = done.stdout.split(" ", 1)
    assert float(weight) == pytest.approx(1 - np.exp(-1))
    assert "Set NUMBA_CACHE_DIR to a writable folder" in told


def test_a_stored_kernel_is_stamped_with_all_files_that_kernels_are_made_of() -> None:
    if not jit.STORED:
        pytest.skip("numba finds no folder to store kernels in")
    assert jit.unstored() is None
    stamp = ray_kernels.sample_weights._cache._cache_file._source_stamp
    assert jit.STAMP in stamp
    names = {path.name for path in jit.SOURCES}
    assert {"jit.py", "lanes.py", "field_kernels.py", "step_kernels.py", "table_kernels.py"} <= names


@pytest.mark.parametrize("operations", [NumbaOperations(), TorchOperations()], ids=lambda operations: operations.name)
def test_columns_without_a_gradient_stay_as_they_are(operations: Operations) -> None:
    generator = torch.Generator().manual_seed(1)
    base, expression = torch.randn(700, generator=generator), torch.randn(3, 345, generator=generator)
    conditions, gradients = torch.randn(2, 3, generator=generator), torch.randn(2, 700, generator=generator)
    idle = torch.rand(700, generator=generator) < 0.5
    idle[64:200] = True  # whole groups of lanes
    gradients[:, idle] = 0
    gradients[1, ~idle] = 0  # one frame is enough to move a column
    moments = [Moments(first=torch.full_like(t, 0.1), second=torch.full_like(t, 0.2)) for t in (base, expression)]
    before = [base.clone(), expression.clone()]
    operations.update_tables(
        base, expression, moments, gradients, conditions, AdamRates(rate=0.1, correction=1.0), (0, 700)
    )
    for value, old, pair in zip((base, expression), before, moments, strict=True):
        still = idle[: value.shape[-1]]
        assert torch.equal(value[..., still], old[..., still])
        assert bool((pair.first[..., still] == 0.1).all() and (pair.second[..., still] == 0.2).all())
        assert bool((value != old)[..., ~still].all() and (pair.first != 0.1)[..., ~still].all())
