"""One ONNX network with one input and one output of interest, on one thread. Knows nothing of what it computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from emobench.errors import Unavailable
from emobench.types import Floats


class OnnxNetwork:
    """A single-threaded CPU session: metrics run in parallel over clips, not inside a frame."""

    def __init__(self, path: Path) -> None:
        """Raises Unavailable where the file is no network."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
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
