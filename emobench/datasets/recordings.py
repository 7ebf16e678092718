"""The words of recorded datasets: a recording, its segments, and what its preparation asks for. Does no work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from emobench.face.head_masks import ParsingChoice

from .cutting import Box
from .framing import Size
from .tracking import Tracked, Tracker

Role = Literal["train", "val", "test"]
ROLES: tuple[Role, ...] = ("train", "val", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One file of one person. `name` is what people see: the path below the data root."""

    id: str  # letters, digits, '_' and '-'
    name: str
    video: Path
    audio: Path | None  # None: the sound inside the video
    subject: str
    emotion: str
    intensity: int
    sentence: str
    transcript: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Frames [start, stop) of a recording and the split they belong to."""

    role: Role
    start: int
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Usable:
    """A recording with sound and a tracked face."""

    recording: Recording
    tracked: Tracked
    track: Path  # of the whole recording, in its own pixels
    sha256: str  # of the bytes of video and audio file


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """How clips are cut out of frames, and how strict tracking is."""

    size_px: int
    crop_margin: float  # of the head's extent, on every side
    min_tracked: float  # share of frames that must show a face
    max_gap_seconds: float = 0.5  # longest run without a face that is filled in; clips with a longer one are left out
    tracker: Tracker = "mediapipe"
    parsing: ParsingChoice = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Which square of a recording's frames its clips show."""

    frame_size: Size  # all recordings of a subject are brought to it
    box: Box  # in pixels of such frames

    def is_fitted(self, item: Usable) -> bool:
        """Whether the recording's own frames have another size."""
        return (item.tracked.width, item.tracked.height) != self.frame_size


Plan = Mapping[str, Sequence[Segment]]  # segments by recording id; a recording that is not in it is left out
