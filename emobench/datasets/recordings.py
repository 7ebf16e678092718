"""The words of recorded datasets: a recording, its segments, and what its preparation asks for. Does no work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

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


class PreparationConfig(BaseModel):
    """What the configuration of every recorded dataset can say about tracking and cutting."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size_px: int = Field(256, ge=32, le=1024, description="Width and height of the prepared clips.")
    crop_margin: float = Field(0.15, ge=0, le=1, description="Space around the head, in parts of its extent.")
    min_tracked: float = Field(0.9, gt=0, le=1, description="Share of frames that must show a face.")
    max_gap_seconds: float = Field(0.5, ge=0, le=5, description="Longest time without a face that is filled in.")
    tracker: Tracker = Field("mediapipe", description="file: reads NAME.track.npz beside each video.")
    parsing: ParsingChoice = Field(
        "auto",
        description="Head masks. auto: green screen, else a segmentation network that is here, else landmarks.",
    )

    def preparation(self) -> Preparation:
        """The same as the words that `prepare_recordings` takes."""
        return Preparation(
            size_px=self.size_px, crop_margin=self.crop_margin, min_tracked=self.min_tracked,
            max_gap_seconds=self.max_gap_seconds, tracker=self.tracker, parsing=self.parsing,
        )  # fmt: skip


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
