"""Which YUV matrix and range a stream uses, and the one conversion to RGB and back. Knows no files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from emobench.types import Image

# SWS flags: bilinear chroma, full chroma interpolation, accurate rounding, bit-exact across processors
_SCALER = 0x2 | 0x2000 | 0x40000 | 0x80000
_LIMITED, _FULL = 1, 2  # AVCOL_RANGE_MPEG, AVCOL_RANGE_JPEG
_SWS_BT709, _SWS_BT601 = 1, 5
# AVColorSpace number (ISO/IEC 23091-2 MatrixCoefficients) → name and swscale's number
_MATRICES = {
    1: ("bt709", _SWS_BT709),
    4: ("fcc", 4),
    5: ("bt601", _SWS_BT601),
    6: ("bt601", _SWS_BT601),
    7: ("smpte240m", 7),
    9: ("bt2020", 9),
    10: ("bt2020", 9),
}
_HD_LINES = 720  # from here on an untagged stream is taken as bt709, below as bt601: what players do


@dataclass(frozen=True, slots=True, kw_only=True)
class Colour:
    """How stored samples become RGB. `text` is for people and provenance, e.g. 'bt709/limited'."""

    text: str
    sws_matrix: int
    range: int


def colour_of(pixel_format: str, matrix: int, colour_range: int, height: int) -> Colour:
    """The stream's own tags, or the stated assumption where it has none."""
    if pixel_format.startswith(("rgb", "bgr", "gbr", "argb", "abgr", "0rgb", "0bgr", "pal8")):
        return Colour(text="rgb/full", sws_matrix=_SWS_BT601, range=_FULL)
    is_full_by_format = pixel_format.startswith(("yuvj", "gray"))
    is_full = colour_range == _FULL or (colour_range == 0 and is_full_by_format)
    assumed = [] if colour_range or is_full_by_format else ["range"]
    if matrix in _MATRICES:
        name, sws_matrix = _MATRICES[matrix]
    else:
        name, sws_matrix = ("bt709", _SWS_BT709) if height >= _HD_LINES else ("bt601", _SWS_BT601)
        assumed.insert(0, "matrix")
    note = f" (untagged, assumed: {', '.join(assumed)})" if assumed else ""
    text = f"{name}/{'full' if is_full else 'limited'}{note}"
    return Colour(text=text, sws_matrix=sws_matrix, range=_FULL if is_full else _LIMITED)


class ColourConverter:
    """Converts frames of one stream; holds the scaler so that it is set up once."""

    def __init__(self) -> None:
        self._scaler = VideoReformatter()

    def to_rgb(self, frame: VideoFrame, colour: Colour) -> Image:
        """(H, W, 3) uint8 RGB, full range, upright as the stream's display matrix says (multiples of 90°)."""
        converted = self._scaler.reformat(
            frame, format="rgb24", src_colorspace=colour.sws_matrix, dst_colorspace=colour.sws_matrix,
            src_color_range=colour.range, dst_color_range=_FULL, interpolation=_SCALER, threads=1,
        )  # fmt: skip
        image: Image = np.asarray(converted.to_ndarray(), np.uint8)
        turns = round(int(getattr(frame, "rotation", 0)) / 90) % 4
        return np.ascontiguousarray(np.rot90(image, turns)) if turns else image

    def to_yuv420(self, image: Image) -> VideoFrame:
        """bt709 limited 4:2:0 with its tags; width and height must be even."""
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        converted = self._scaler.reformat(
            frame, format="yuv420p", src_colorspace=_SWS_BT709, dst_colorspace=_SWS_BT709,
            src_color_range=_FULL, dst_color_range=_LIMITED, interpolation=_SCALER, threads=1,
        )  # fmt: skip
        converted.colorspace, converted.color_range = 1, _LIMITED
        return converted
