"""Decodes sound to mono float32 on the picture's clock, and writes WAV. Knows nothing of speech."""

from __future__ import annotations

import wave
from math import gcd
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from numpy.typing import NDArray

from emobench.cache import writing
from emobench.errors import InputError
from emobench.media.container import decoding_fault, opened
from emobench.types import SAMPLE_RATE_HZ, Floats

_GAP_SECONDS = 0.02  # a hole in the timestamps longer than this is filled with silence
_KAISER_BETA = 9.0  # about 90 dB of stop-band
_FILTER_ZEROS = 32  # zero crossings on each side of the interpolation filter


def read_audio(path: Path, sample_rate: int = SAMPLE_RATE_HZ) -> Floats:
    """(N,) mono in −1..1, the mean of the channels; sample 0 sounds with the first video frame where there is one.

    Encoder delay (AAC, MP3, Opus) is removed as the container states it: edit list, skip-samples or codec delay.
    A later start is padded with silence, an earlier one cut. Raises InputError when there is no audio stream.
    """
    with opened(path) as container:
        if not container.streams.audio:
            raise InputError(f"{path} has no audio stream.")
        stream = container.streams.audio[0]
        origin = _picture_start(container)
        samples, rate, start = _decode(path, container, stream)
    if origin is not None:
        samples = _moved(samples, round((start - origin) * rate))
    return resampled(samples, rate, sample_rate)


def resampled(samples: Floats, rate: int, target: int) -> Floats:
    """Zero-phase polyphase resampling with a Kaiser low-pass; ceil(N · target / rate) samples."""
    if rate == target or len(samples) == 0:
        return samples.astype(np.float32, copy=False)
    from scipy.signal import firwin, resample_poly

    common = gcd(rate, target)
    up, down = target // common, rate // common
    widest = max(up, down)
    taps = firwin(2 * _FILTER_ZEROS * widest + 1, 0.96 / widest, window=("kaiser", _KAISER_BETA))
    return np.asarray(resample_poly(samples, up, down, window=taps), np.float32)


def write_audio(path: Path, samples: Floats, rate: int = SAMPLE_RATE_HZ) -> None:
    """Atomic 16-bit mono WAV of (N,) samples in −1..1; values beyond are clipped."""
    with writing(path) as temporary, wave.open(str(temporary), "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(rate)
        target.writeframes(to_int16(samples).tobytes())


def to_int16(samples: Floats) -> NDArray[np.int16]:
    """Nearest 16-bit values; −1..1 maps to −32767..32767, as `read_audio` undoes up to one step."""
    if samples.ndim != 1:
        raise InputError(f"Expected mono samples (N,), got shape {samples.shape}.")
    return np.asarray(np.clip(np.rint(samples * 32767.0), -32768, 32767), "<i2")


def _picture_start(container: InputContainer) -> float | None:
    if not container.streams.video:
        return None
    stream = container.streams.video[0]
    if stream.start_time is None or stream.time_base is None:
        return None
    return float(stream.start_time * stream.time_base)


def _decode(path: Path, container: InputContainer, stream: AudioStream) -> tuple[Floats, int, float]:
    """Mono samples at the stream's rate, that rate, and the time in seconds at which they start."""
    blocks: list[Floats] = []
    rate, start, n_samples = stream.codec_context.sample_rate, 0.0, 0
    try:
        for frame in container.decode(stream):
            if frame.samples == 0:
                continue
            moment = float(frame.pts * frame.time_base) if frame.pts is not None and frame.time_base else None
            if not blocks:
                rate, start = frame.sample_rate, moment or 0.0
            if frame.sample_rate != rate:
                raise InputError(f"{path}: the sample rate changes from {rate} to {frame.sample_rate} Hz inside.")
            hole = round((moment - start) * rate) - n_samples if moment is not None else 0
            if hole > _GAP_SECONDS * rate:
                blocks.append(np.zeros(hole, np.float32))
                n_samples += hole
            blocks.append(_mono(frame))
            n_samples += len(blocks[-1])
    except av.FFmpegError as error:
        raise decoding_fault(path, f"after {n_samples / max(rate, 1):.2f} s of sound", error) from error
    if not blocks:
        raise InputError(f"{path} has an audio stream without samples.")
    samples = np.concatenate(blocks)
    return samples[: _stated_length(stream, rate, len(samples))], rate, start


def _stated_length(stream: AudioStream, rate: int, decoded: int) -> int:
    """Cuts the encoder's padding at the end: what exceeds the stated duration by less than two codec frames."""
    if stream.duration is None or stream.time_base is None:
        return decoded
    stated = round(float(stream.duration * stream.time_base) * rate)
    frame_size = stream.codec_context.frame_size or 0
    return stated if 0 < decoded - stated < 2 * frame_size else decoded


def _mono(frame: AudioFrame) -> Floats:
    values = frame.to_ndarray()
    if values.dtype.kind in "iu":
        half_scale = float(2 ** (8 * values.dtype.itemsize - 1))
        offset = half_scale if values.dtype.kind == "u" else 0.0
        values = (values.astype(np.float32) - offset) / np.float32(half_scale)
    n_channels = len(frame.layout.channels)
    channels = values if frame.format.is_planar else values.reshape(-1, n_channels).T
    return np.asarray(channels.mean(axis=0), np.float32)


def _moved(samples: Floats, offset: int) -> Floats:
    """Starts `offset` samples later (silence before) or earlier (cut)."""
    if offset > 0:
        return np.concatenate([np.zeros(offset, np.float32), samples])
    return samples[-offset:]
