"""Decodes video to exact RGB frames with their times, and says what a file holds. Never drops or resamples a frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from emobench.errors import InputError
from emobench.media.colour import Colour, ColourConverter, colour_of
from emobench.media.container import decoding_fault, opened
from emobench.types import Frames, Image

_STEP_TOLERANCE = 0.25  # of a frame: a longer or shorter step means variable rate
_GRID_TOLERANCE = 0.5  # of a frame: drift from an even grid
_RATE_AGREEMENT = 1e-3  # stated and measured rates closer than this are the same


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedVideo:
    """All or some frames of one file, in presentation order."""

    frames: Frames  # (T, H, W, 3) RGB
    seconds: NDArray[np.float64]  # (T,) presentation time after the file's first frame
    fps: float  # average rate of the frames read
    is_variable_rate: bool
    colour: str  # matrix/range of the file, e.g. "bt709/limited", and whether it was assumed


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaInfo:
    """What a file holds, counted and not taken from its header."""

    width: int  # as displayed: after the display matrix's rotation
    height: int
    fps: float
    n_frames: int  # packets that are shown; equals what decoding gives
    is_variable_rate: bool
    seconds: NDArray[np.float64]  # (n_frames,) presentation times after the first
    colour: str
    pixel_aspect: float  # width over height of one pixel; 1 = square
    has_audio: bool
    audio_rate: int | None
    audio_seconds: float | None  # as stated by the container; None where it does not say


def read_video(
    path: Path,
    *,
    start: int = 0,
    stop: int | None = None,
    gather: Callable[[Iterator[Image]], Frames] = lambda frames: np.stack(list(frames)),
) -> DecodedVideo:
    """Decodes frames [start, stop) exactly; `gather` says where they are kept.

    Raises InputError on missing, truncated, damaged or frame-less files.
    """
    seconds: list[float] = []

    def pictures() -> Iterator[Image]:
        size: tuple[int, ...] = ()
        for moment, frame in iterate_video(path, start=start, stop=stop):
            size = size or frame.shape
            if frame.shape != size:
                raise InputError(
                    f"{path}: frame {start + len(seconds)} is {frame.shape[1]}×{frame.shape[0]}, those before are "
                    f"{size[1]}×{size[0]}. Export the video at one size."
                )
            seconds.append(moment)
            yield frame

    frames = gather(pictures())
    with opened(path) as container:
        stream = _video_stream(container, path)
        colour = _colour(stream).text
        stated = stream.average_rate
    times = np.array(seconds, np.float64)
    fps, is_variable = _rate(times, stated)
    return DecodedVideo(frames=frames, seconds=times, fps=fps, is_variable_rate=is_variable, colour=colour)


def iterate_video(path: Path, *, start: int = 0, stop: int | None = None) -> Iterator[tuple[float, Image]]:
    """Yields (seconds after the first frame, RGB frame) for frames [start, stop), holding one at a time.

    Decoding always begins at the first frame, so that indices are exact. Raises InputError like `read_video`,
    after the frames before the damage; a `stop` past the end is an error too.
    """
    if start < 0 or (stop is not None and stop <= start):
        raise InputError(f"{path}: no frames in [{start}, {stop}).")
    index, first = -1, 0.0
    with opened(path) as container:
        stream = _video_stream(container, path)
        stream.thread_type = "AUTO"
        converter, colour = ColourConverter(), _colour(stream)
        try:
            for index, decoded in enumerate(container.decode(stream)):
                moment = _moment(decoded, stream, index)
                if index == 0:
                    first = moment
                if index >= start:
                    yield moment - first, converter.to_rgb(decoded, colour)
                if stop is not None and index + 1 == stop:
                    return
        except av.FFmpegError as error:
            raise decoding_fault(path, f"after {index + 1} frames", error) from error
        _refuse_shortage(path, stream, index + 1, start, stop)


def probe(path: Path) -> MediaInfo:
    """Facts about a file from its packets, without decoding pictures. Raises InputError like `read_video`."""
    with opened(path) as container:
        stream = _video_stream(container, path)
        audio = container.streams.audio[0] if container.streams.audio else None
        context, colour, aspect = stream.codec_context, _colour(stream), stream.sample_aspect_ratio
        duration = audio.duration * audio.time_base if audio and audio.duration and audio.time_base else None
        times = _packet_times(path, container, stream)
        fps, is_variable = _rate(times, stream.average_rate)
        is_turned = _is_turned(path)
        width, height = (context.height, context.width) if is_turned else (context.width, context.height)
        return MediaInfo(
            width=width, height=height, fps=fps, n_frames=len(times), is_variable_rate=is_variable, seconds=times,
            colour=colour.text, pixel_aspect=float(aspect) if aspect else 1.0,
            has_audio=audio is not None, audio_rate=audio.codec_context.sample_rate if audio else None,
            audio_seconds=float(duration) if duration is not None else None,
        )  # fmt: skip


def _video_stream(container: InputContainer, path: Path) -> VideoStream:
    pictures = [s for s in container.streams.video if not _is_cover(s)]
    if not pictures:
        kinds = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
        raise InputError(f"{path} has no video stream (it holds: {kinds}).")
    return pictures[0]


def _is_cover(stream: VideoStream) -> bool:
    return bool(int(stream.disposition) & 0x400)  # AV_DISPOSITION_ATTACHED_PIC: album art


def _colour(stream: VideoStream) -> Colour:
    context = stream.codec_context
    pixel_format = context.pix_fmt or "yuv420p"
    return colour_of(pixel_format, int(context.colorspace or 2), int(context.color_range or 0), context.height)


def _moment(frame: av.VideoFrame, stream: VideoStream, index: int) -> float:
    if frame.pts is not None and frame.time_base is not None:
        return float(frame.pts * frame.time_base)
    return index / float(stream.average_rate or 25)


def _packet_times(path: Path, container: InputContainer, stream: VideoStream) -> NDArray[np.float64]:
    base = float(stream.time_base or Fraction(1, 25))
    stamps: list[float] = []
    n_packets = 0
    try:
        for packet in container.demux(stream):
            if packet.size == 0:
                continue
            n_packets += 1
            if packet.is_corrupt:
                raise InputError(f"{path} is truncated: frame {n_packets - 1} is incomplete. Copy it again.")
            if not packet.is_discard:
                stamp = packet.pts if packet.pts is not None else packet.dts
                stamps.append(stamp * base if stamp is not None else np.nan)
    except av.FFmpegError as error:
        raise decoding_fault(path, f"after {n_packets} frames", error) from error
    if not stamps:
        raise InputError(f"{path} holds no frames. Copy or export it again.")
    times = np.sort(np.array(stamps, np.float64))
    if np.isnan(times).any():  # no timestamps (old AVI, raw streams): even steps at the stated rate
        times = np.arange(len(stamps)) / float(stream.average_rate or 25)
    return np.asarray(times - times[0])


def _is_turned(path: Path) -> bool:
    """Whether the display matrix swaps width and height; known only once a frame is decoded."""
    with opened(path) as container:
        stream = _video_stream(container, path)
        try:
            frame = next(iter(container.decode(stream)), None)
        except av.FFmpegError as error:
            raise decoding_fault(path, "at the first frame", error) from error
    return frame is not None and round(int(getattr(frame, "rotation", 0)) / 90) % 2 == 1


def _rate(times: NDArray[np.float64], stated: Fraction | None) -> tuple[float, bool]:
    """Average rate, and whether steps are uneven; the stated rate is preferred where it agrees with the times."""
    nominal = float(stated) if stated else 0.0
    if len(times) < 2 or times[-1] <= times[0]:
        return nominal or 25.0, False
    measured = (len(times) - 1) / (times[-1] - times[0])
    steps = np.diff(times)
    typical = float(np.median(steps))
    # containers such as Matroska round times to 1 ms: allow one such tick on either side
    tick = 0.0011
    is_uneven = bool((np.abs(steps - typical) > _STEP_TOLERANCE * typical + tick).any())
    drift = times - times[0] - np.arange(len(times)) / measured
    is_variable = is_uneven or bool(np.abs(drift).max() > _GRID_TOLERANCE / measured + tick)
    # a clip of n frames ties its rate down to a tick in its length
    slack = max(_RATE_AGREEMENT, 2 * tick / (times[-1] - times[0]))
    agrees = nominal > 0 and abs(measured / nominal - 1) < slack
    return (nominal if agrees and not is_variable else float(measured)), is_variable


def _refuse_shortage(path: Path, stream: VideoStream, n_read: int, start: int, stop: int | None) -> None:
    if n_read == 0:
        raise InputError(f"{path} holds no frames that can be decoded. Copy or export it again.")
    if stop is not None or start >= n_read:
        raise InputError(f"{path} has {n_read} frames; asked for [{start}, {stop if stop is not None else 'end'}).")
    with opened(path) as container:
        expected = len(_packet_times(path, container, _video_stream(container, path)))
    if n_read < expected:
        raise InputError(f"{path} is damaged: {n_read} of its {expected} frames can be decoded. Copy it again.")
