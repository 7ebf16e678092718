"""Pictures, sounds and files of chosen codecs for the tests of media. Tests nothing."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE = 16_000


def noise_frames(n: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (n, height, width, 3), dtype=np.uint8)


def smooth_frames(n: int, height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    frames = [np.stack([x * 200 / width, y * 200 / height, 90 + 0 * x + t], -1) for t in range(n)]
    return np.stack(frames).astype(np.uint8)


def clicks(seconds: float, rate: int = RATE) -> np.ndarray:
    """Band-limited pulses at uneven distances, so that only the true offset correlates."""
    track = np.zeros(int(seconds * rate), np.float32)
    half = rate // 400
    pulse = np.hanning(2 * half) * np.cos(np.arange(-half, half) * 2 * np.pi * 1200 / rate)
    for moment in (0.31, 0.94, 1.73, 2.41):
        centre = int(moment * rate)
        track[centre - half : centre + half] += 0.8 * pulse.astype(np.float32)
    return track


def offset_ms(heard: np.ndarray, sent: np.ndarray, rate: int = RATE) -> float:
    """Delay of `heard` after `sent`, by the peak of the cross-correlation refined with a parabola."""
    n = len(heard) + len(sent)
    product = np.fft.irfft(np.fft.rfft(heard, n) * np.conj(np.fft.rfft(sent, n)), n)
    peak = int(product.argmax())
    left, middle, right = product[peak - 1], product[peak], product[(peak + 1) % n]
    fine = 0.5 * (left - right) / (left - 2 * middle + right)
    lag = peak - n if peak > n // 2 else peak
    return float((lag + fine) / rate * 1000)


def encode_audio(path: Path, codec: str, samples: np.ndarray, rate: int, options: dict[str, str] | None = None) -> None:
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=rate, frame_size=stream.frame_size)
        values = (np.clip(samples, -1, 1) * 32767).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(values, format="s16", layout="mono")
        frame.sample_rate, frame.pts = rate, 0
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))


def encode_flat(path: Path, yuv: tuple[int, int, int], matrix: int, size: tuple[int, int] = (64, 48)) -> None:
    """A lossless 4:2:0 clip of one colour with a matrix tag (2 = untagged)."""
    width, height = size
    planes = np.concatenate(
        [np.full(width * height, yuv[0]), np.full(width * height // 4, yuv[1]), np.full(width * height // 4, yuv[2])]
    ).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.colorspace = matrix
        stream.codec_context.color_range = 1
        for index in range(3):
            frame = av.VideoFrame.from_ndarray(planes.reshape(height * 3 // 2, width), format="yuv420p")
            frame.pts, frame.colorspace, frame.color_range = index, matrix, 1
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def encode_uneven(path: Path, stamps_ms: list[int]) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for stamp in stamps_ms:
            frame = av.VideoFrame.from_ndarray(noise_frames(1, 32, 32)[0], format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = stamp, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def truncated(path: Path, fraction: float) -> Path:
    target = path.with_name(f"cut-{path.name}")
    content = path.read_bytes()
    target.write_bytes(content[: int(len(content) * fraction)])
    return target
