"""Networks on one CPU thread through onnxruntime, from a file or from torch layers. Knows not what they compute."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from emobench.errors import Unavailable
from emobench.types import Floats

from .onnx_graph import to_onnx


def open_session(model: bytes | str) -> Any:
    """A single-threaded session that does not spin: metrics run in parallel over clips, not inside a frame."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class OnnxNetwork:
    """A network of one input and one output of interest, from a file."""

    def __init__(self, path: Path) -> None:
        """Raises Unavailable where the file is no network."""
        try:
            self._session = open_session(str(path))
        except Exception as error:  # onnxruntime raises its own kinds; all mean an unusable file
            raise Unavailable(f"{path.name} cannot be loaded ({type(error).__name__}). Fetch it again.") from error
        self._input = self._session.get_inputs()[0].name
        output = self._session.get_outputs()[0]
        self._output = output.name
        width = output.shape[-1] if output.shape else None
        self.output_width: int | None = width if isinstance(width, int) else None

    def run(self, batch: Floats) -> Floats:
        """The first output for one batch."""
        result: Floats = np.asarray(self._session.run([self._output], {self._input: batch})[0], np.float32)
        return result


Forward = Callable[[Tensor], list[Tensor]]


def forward_of(network: nn.Module, input_shape: Sequence[int | None], device: str) -> Forward:
    """The network as a function of one tensor on the CPU, giving its outputs there: onnxruntime on a CPU, else torch.

    `input_shape` is that of every call (None: any). The network is put into eval mode.
    """
    network = network.eval()
    if device != "cpu":
        return _on_device(network.to(device), device)
    session = open_session(to_onnx(network, input_shape))
    name = session.get_inputs()[0].name

    def run(images: Tensor) -> list[Tensor]:
        return [torch.from_numpy(found) for found in session.run(None, {name: images.numpy()})]

    return run


def _on_device(network: nn.Module, device: str) -> Forward:
    def run(images: Tensor) -> list[Tensor]:
        with torch.inference_mode():
            found = network(images.to(device))
        return [tensor.cpu() for tensor in (found if isinstance(found, tuple | list) else (found,))]

    return run
