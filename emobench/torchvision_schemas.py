"""Lets torchvision be imported beside a CPU torch when its C extension is a CUDA build. Knows no network.

torchvision registers fake kernels for operators that its C extension defines; where that extension cannot load
(CPU torch, CUDA torchvision) the import fails with "operator torchvision::nms does not exist". Declaring the two
schemas first is enough: nothing of emobench calls them.
"""

from __future__ import annotations

from typing import Any

_kept: list[Any] = []  # a torch.library.Library removes its definitions when it is collected

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def ensure_torchvision() -> None:
    """Make `import torchvision` work; call before importing torchvision or a package that does. Idempotent."""
    import torch

    try:
        import torchvision
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        library: Any = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        for schema in SCHEMAS:
            library.define(schema)
        _kept.append(library)
        import torchvision  # noqa: F401
