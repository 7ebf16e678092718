"""What produced a result: code state, packages, hardware, seeds and weights. No path, user, host or credential."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import emobench

PACKAGES = (
    "torch",
    "torchvision",
    "torchmetrics",
    "lpips",
    "pytorch-fid",
    "mediapipe",
    "numba",
    "numpy",
    "scipy",
    "scikit-learn",
    "av",
    "onnxruntime",
    "espeakng-loader",
    "pandas",
    "hsemotion",
    "syncnet-python",
    "transformers",
    "triton",
    "tinycudann",
)


def collect(device: str, threads: int, weights: Mapping[str, str | None]) -> dict[str, Any]:
    """Facts about this process and machine, safe to publish; `weights` maps names to sha256."""
    return {
        "emobench": emobench.__version__,
        "git": git_state(Path(emobench.__file__).parent),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "hardware": {"cpu": cpu_model(), "device": device, "gpu": _gpu(device), "threads": threads},
        "weights": dict(weights),
    }


def without_folders(text: str) -> str:
    """The text with absolute paths cut to their last part: what run directories may hold of an error."""
    return re.sub(r"(?<![\w:/.])/(?:[^\s/'\"]+/)+", "", text)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit and dirty flag of the checkout this code runs from, or None for an installed wheel."""
    try:
        tracked = subprocess.run(
            ["git", "-C", str(folder), "ls-files", "__init__.py"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
        if not tracked.stdout.strip():  # a wheel may well lie below somebody else's checkout
            return None
        head = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False
        )
        if head.returncode != 0:
            return None
        status = subprocess.run(
            ["git", "-C", str(folder), "status", "--porcelain"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return {"commit": head.stdout.strip(), "dirty": bool(status.stdout.strip())}


def device_name(device: str) -> str:
    """What timings are keyed by: the GPU's or the processor's name."""
    return _gpu(device) or cpu_model()


def cpu_model() -> str:
    """The processor's marketing name where the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _gpu(device: str) -> str | None:
    if not device.startswith("cuda") or "torch" not in sys.modules:
        return None
    torch = sys.modules["torch"]
    return f"{torch.cuda.get_device_name(0)}, CUDA {torch.version.cuda}"
