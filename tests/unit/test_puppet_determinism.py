"""The puppet's pixels on other processors and with other numbers of threads.

Older processors are imitated in helper processes: numpy, OpenBLAS, OpenCV, the C library and numba are told to leave
out what they would use here. On a processor that has nothing newer to leave out the comparison is trivially true.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy._core._multiarray_umath import __cpu_dispatch__ as dispatched

pytestmark = pytest.mark.slow

PROGRAM = """
import sys
import numpy as np
from emobench.datasets.puppet.config import PuppetConfig
from emobench.datasets.puppet.recipe import film_recipe
from emobench.datasets.puppet.recording import Studio
studio = Studio()
recipe = film_recipe(PuppetConfig(), "ben", "happy", "s10", 96)
utterance, track = studio.act(recipe)
chosen = np.arange(5, len(track.alpha), 9)
pose = type(track.pose)(rotation=track.pose.rotation[chosen], translation=track.pose.translation[chosen])
pictures = list(studio.renderer(recipe).render(track.alpha[chosen], pose))
studio.close()
np.savez(
    sys.argv[1], audio=utterance.samples, alpha=track.alpha, frames=np.stack([p.frame for p in pictures]),
    depth=np.stack([p.depth for p in pictures]), head=np.stack([p.head_alpha for p in pictures]),
)
"""
OLDER = {
    "NPY_DISABLE_CPU_FEATURES": " ".join(dispatched), "OPENBLAS_CORETYPE": "Prescott",
    "OPENCV_CPU_DISABLE": "SSE4.2,AVX,FP16,AVX2,AVX512-SKX,AVX512-ICL",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F,-AVX512VL",
    "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "",
}  # fmt: skip


def rendered(target: Path, **environment: str) -> dict[str, np.ndarray]:
    program = target.with_suffix(".py")
    program.write_text(PROGRAM, encoding="utf-8")
    threads = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(program), str(target)], env=os.environ | threads | environment, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(target, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    return rendered(tmp_path_factory.mktemp("here") / "here.npz")


def test_bytes_do_not_depend_on_the_number_of_threads(here: dict[str, np.ndarray], tmp_path: Path) -> None:
    two = {"OMP_NUM_THREADS": "2", "NUMBA_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    other = rendered(tmp_path / "two.npz", **two)
    for name, array in here.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


def test_an_older_processor_differs_by_one_grey_level_on_a_thousandth_of_the_pixels_at_most(
    here: dict[str, np.ndarray], tmp_path: Path
) -> None:
    other = rendered(tmp_path / "older.npz", **OLDER)
    for name in ("audio", "alpha"):
        np.testing.assert_allclose(here[name], other[name], atol=1e-6, err_msg=name)
    for name in ("frames", "head"):
        difference = np.abs(here[name].astype(int) - other[name])
        changed = difference.reshape(*here["depth"].shape, -1).max(axis=-1)
        assert changed.max() <= 1, name
        assert (changed > 0).mean() <= 1e-3, name
    depth = np.abs(here["depth"].astype(int) - other["depth"])
    assert (depth > 1).mean() <= 1e-3
