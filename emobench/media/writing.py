"""Writes video: a lossless store for scoring and a small preview for people. Both appear whole or not at all."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream

from emobench.cache import writing
from emobench.errors import InputError
from emobench.media.audio import to_int16
from emobench.media.colour import ColourConverter
from emobench.types import SAMPLE_RATE_HZ, Floats, Image

_NTSC = Fraction(1000, 1001)
_AUDIO_BLOCK_SECONDS = 0.5
_BT709, _LIMITED = 1, 1
_AAC_BIT_RATE = 96_000


def rate_fraction(fps: float) -> Fraction:
    """The exact rate that a float stands for: 29.97 → 30000/1001, 25.0 → 25."""
    if not 0 < fps < 1000:
        raise InputError(f"A frame rate of {fps} per second cannot be written; expected 0 < fps < 1000.")
    ntsc = round(fps / _NTSC) * _NTSC
    if abs(fps - round(fps)) > 1e-3 and abs(float(ntsc) - fps) < 6e-3:
        return ntsc
    return Fraction(fps).limit_denominator(1000)


def write_lossless(
    path: Path, frames: Iterable[Image], fps: float, audio: Floats | None = None, *, audio_rate: int = SAMPLE_RATE_HZ
) -> None:
    """FFV1 in RGB (bit-exact) and PCM s16 in Matroska; `frames` (H, W, 3) uint8 are taken one at a time.

    The same input gives the same bytes. Raises InputError on no frames, unequal sizes or a suffix other than .mkv.
    """
    _refuse_suffix(path, ".mkv")
    first, stream_of_frames = _peek(path, frames)
    height, width = first.shape[:2]
    with writing(path) as temporary, av.open(str(temporary), "w", format="matroska", options=_BITEXACT) as container:
        video = container.add_stream("ffv1", rate=rate_fraction(fps), options=_ffv1_options(width, height))
        assert isinstance(video, VideoStream)  # for the type checker: "ffv1" is a video codec
        video.width, video.height, video.pix_fmt = width, height, "bgr0"
        sound = _add_sound(container, "pcm_s16le", audio, audio_rate)
        pictures = (av.VideoFrame.from_ndarray(i, format="rgb24").reformat(format="bgr0") for i in stream_of_frames)
        _mux(path, container, video, pictures, sound, audio, audio_rate)


def write_preview(
    path: Path, frames: Iterable[Image], fps: float, audio: Floats | None = None, *, audio_rate: int = SAMPLE_RATE_HZ
) -> None:
    """H.264 4:2:0 tagged bt709 limited and AAC in MP4, index in front. For people, never for scoring.

    4:2:0 needs even sizes: an odd width or height grows by one pixel, a copy of the last column or row.
    """
    _refuse_suffix(path, ".mp4")
    first, stream_of_frames = _peek(path, frames)
    height, width = first.shape[:2]
    options = {"movflags": "+faststart", **_BITEXACT}
    with writing(path) as temporary, av.open(str(temporary), "w", format="mp4", options=options) as container:
        video = container.add_stream("libx264", rate=rate_fraction(fps), options={"crf": "16", "preset": "veryfast"})
        assert isinstance(video, VideoStream)  # for the type checker: "libx264" is a video codec
        video.width, video.height, video.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
        context = video.codec_context
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED
        sound = _add_sound(container, "aac", audio, audio_rate)
        converter = ColourConverter()
        pictures = (converter.to_yuv420(_even(image)) for image in stream_of_frames)
        _mux(path, container, video, pictures, sound, audio, audio_rate)


_BITEXACT = {"fflags": "+bitexact"}


def _ffv1_options(width: int, height: int) -> dict[str, str]:
    # version 3 with checksums per slice; every frame a key frame; four slices decode on four threads
    slices = "4" if min(width, height) >= 32 else "1"
    return {"level": "3", "coder": "1", "context": "0", "g": "1", "slices": slices, "slicecrc": "1"}


def _refuse_suffix(path: Path, suffix: str) -> None:
    if path.suffix.lower() != suffix:
        raise InputError(f"Cannot write {path}: the name must end in {suffix}.")


def _peek(path: Path, frames: Iterable[Image]) -> tuple[Image, Iterator[Image]]:
    iterator = iter(frames)
    first = next(iterator, None)
    if first is None:
        raise InputError(f"Cannot write {path}: there are no frames.")
    return first, _checked(path, first.shape, itertools.chain((first,), iterator))


def _checked(path: Path, shape: tuple[int, ...], frames: Iterable[Image]) -> Iterator[Image]:
    for index, frame in enumerate(frames):
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or frame.shape != shape:
            found = f"{frame.dtype} {frame.shape}"
            raise InputError(f"Cannot write {path}: frame {index} is {found}, expected uint8 {shape} (H, W, 3).")
        yield np.ascontiguousarray(frame)


def _even(image: Image) -> Image:
    bottom, right = image.shape[0] % 2, image.shape[1] % 2
    return np.pad(image, ((0, bottom), (0, right), (0, 0)), mode="edge") if bottom or right else image


def _add_sound(container: OutputContainer, codec: str, audio: Floats | None, audio_rate: int) -> AudioStream | None:
    if audio is None:
        return None
    stream = container.add_stream(codec, rate=audio_rate, layout="mono")
    assert isinstance(stream, AudioStream)  # for the type checker: both codecs are audio codecs
    if codec == "aac":
        stream.bit_rate = _AAC_BIT_RATE
    return stream


def _mux(
    path: Path, container: OutputContainer, video: VideoStream, pictures: Iterable[av.VideoFrame],
    sound: AudioStream | None, audio: Floats | None, audio_rate: int,
) -> None:  # fmt: skip
    """Interleaves picture and sound in time, as players and `faststart` expect."""
    rate = video.codec_context.framerate
    step = Fraction(1, 1) / rate
    blocks = _audio_frames(audio, audio_rate) if sound is not None and audio is not None else iter(())
    sound_until = Fraction(0)
    try:
        for index, picture in enumerate(pictures):
            picture.pts, picture.time_base = index, step
            container.mux(video.encode(picture))
            while sound is not None and sound_until <= (index + 1) * step and (block := next(blocks, None)):
                container.mux(sound.encode(block))
                sound_until += Fraction(block.samples, audio_rate)
        container.mux(video.encode(None))
        for block in blocks if sound is not None else ():
            assert sound is not None
            container.mux(sound.encode(block))
        if sound is not None:
            container.mux(sound.encode(None))
    except av.FFmpegError as error:
        raise InputError(f"Cannot write {path}: {error}. Is the disk full, or the size unusual?") from error


def _audio_frames(audio: Floats, audio_rate: int) -> Iterator[av.AudioFrame]:
    values = to_int16(audio)
    block = int(_AUDIO_BLOCK_SECONDS * audio_rate)
    for start in range(0, len(values), block):
        frame = av.AudioFrame.from_ndarray(values[None, start : start + block], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = audio_rate, start, Fraction(1, audio_rate)
        yield frame
