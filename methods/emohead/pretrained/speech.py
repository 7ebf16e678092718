"""Hidden states of a wav2vec 2.0 or HuBERT network at 50 Hz, in overlapping windows. Knows no emotion and no text.

State k is centred at (k + 0.5) / 50 s. Windows lie on a fixed grid, so that memory is bounded and a state depends on no
sound further away than its window's context, however long the recording is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from emobench.errors import InputError
from emobench.hub_snapshots import Snapshot
from emobench.types import SAMPLE_RATE_HZ, Floats

from ..config import PretrainedConfig

STATE_HZ = 50
STATE_SAMPLES = SAMPLE_RATE_HZ // STATE_HZ
FIELD_SAMPLES = 400  # what one state's convolutions see
MARGIN_SAMPLES = (FIELD_SAMPLES - STATE_SAMPLES) // 2  # of silence at both ends: centres the states
SPEECH_TYPES = ("wav2vec2", "hubert", "wavlm")

States = NDArray[np.float16]  # (M, width)


class SpeechNetwork:
    """One frozen network and the layer that is read."""

    def __init__(self, snapshot: Snapshot, layer: int, settings: PretrainedConfig) -> None:
        self.snapshot, self.settings = snapshot, settings
        config, wanted = snapshot.config(), snapshot.wanted
        depth = int(config.num_hidden_layers)
        if not -depth - 1 <= layer <= depth:
            raise InputError(
                f"{wanted.prefix}layer is {layer}; {wanted.model} has layers 0 to {depth}, and -1 is the last."
            )
        stride, field = _stride(config)
        if (stride, field) != (STATE_SAMPLES, FIELD_SAMPLES):
            raise InputError(
                f"{wanted.model} hears every {stride} samples through {field}; "
                f"expected {STATE_SAMPLES} and {FIELD_SAMPLES}, as wav2vec 2.0 does."
            )
        self.layer, self.width = layer, int(config.hidden_size)
        self._loaded: tuple[Any, Any] | None = None

    def key(self) -> str:
        """Everything that changes the states."""
        settings = self.settings
        return f"1|{self.snapshot.sha256}|{self.layer}|{settings.window_seconds}|{settings.context_seconds}"

    def states(self, audio: Floats) -> States:
        """(N,) mono at SAMPLE_RATE_HZ → (ceil(N / 320), width)."""
        count = -(-len(audio) // STATE_SAMPLES)
        core = max(round(self.settings.window_seconds * STATE_HZ), 1)
        context = round(self.settings.context_seconds * STATE_HZ)
        parts = []
        for first in range(0, count, core):
            stop = min(first + core, count)
            low, high = max(first - context, 0), min(stop + context, count)
            heard = self._window(audio[low * STATE_SAMPLES : high * STATE_SAMPLES], high - low)
            parts.append(heard[first - low : stop - low])
        return np.concatenate(parts)

    def _window(self, audio: Floats, count: int) -> States:
        extractor, network = self._load()
        values = extractor(audio, sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt").input_values
        after = count * STATE_SAMPLES - len(audio) + MARGIN_SAMPLES
        with torch.inference_mode():
            padded = torch.nn.functional.pad(values.float(), (MARGIN_SAMPLES, after))
            hidden = network(padded, output_hidden_states=True).hidden_states[self.layer]
        if hidden.shape[1] != count:
            raise InputError(f"{self.snapshot.wanted.model} gave {hidden.shape[1]} states where {count} were expected.")
        return np.asarray(hidden[0].numpy(), np.float16)

    def _load(self) -> tuple[Any, Any]:
        if self._loaded is None:
            extractor = self.snapshot.processor("AutoFeatureExtractor")
            rate = extractor.sampling_rate
            if rate != SAMPLE_RATE_HZ:
                raise InputError(f"{self.snapshot.wanted.model} hears {rate} Hz, not {SAMPLE_RATE_HZ}.")
            self._loaded = extractor, self.snapshot.network("AutoModel")
        return self._loaded


def _stride(config: Any) -> tuple[int, int]:
    """Samples from one state to the next, and seen by one, of the convolutions."""
    stride, field = 1, 1
    for kernel, step in zip(config.conv_kernel, config.conv_stride, strict=True):
        field += (kernel - 1) * stride
        stride *= step
    return stride, field
