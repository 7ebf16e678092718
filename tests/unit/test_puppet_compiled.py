"""Kernels on disk are never older than what they were compiled from."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def result(folder: Path) -> float:
    env = os.environ | {"NUMBA_CACHE_DIR": str(folder / "numba")}
    program = f"import sys; sys.path.insert(0, {str(folder)!r}); import kernels; print(kernels.scaled(2.0))"
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    return float(done.stdout)


def write_constants(folder: Path, factor: float, offset: float) -> None:
    (folder / "constants.py").write_text(f"FACTOR = {factor}\n", encoding="utf-8")
    (folder / "steps.py").write_text(
        f"from emobench.datasets.puppet.compiled import jit\nOFFSET = {offset}\n\n\n@jit\ndef moved(x):\n"
        "    return x + OFFSET\n",
        encoding="utf-8",
    )


def test_a_cached_kernel_follows_imported_constants_and_kernels(tmp_path: Path) -> None:
    (tmp_path / "kernels.py").write_text(
        "from emobench.datasets.puppet.compiled import jit\nfrom constants import FACTOR\nfrom steps import moved\n\n\n"
        "@jit\ndef scaled(x):\n    return moved(FACTOR * x)\n",
        encoding="utf-8",
    )
    write_constants(tmp_path, 3.0, 0.5)
    assert result(tmp_path) == 6.5
    assert list((tmp_path / "numba").rglob("kernels.scaled*.nbc")), "nothing was cached: the test would prove nothing"
    write_constants(tmp_path, 4.0, 0.5)
    assert result(tmp_path) == 8.5
    write_constants(tmp_path, 4.0, 0.75)
    assert result(tmp_path) == 8.75
