"""The facts a report prints about a dataset of recordings. Computes nothing but counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from emobench.face.layer_frames import parsing_source
from emobench.face.mediapipe_tracker import VERTICAL_FOV_DEGREES
from emobench.specs import DatasetSpec
from emobench.types import Clip

from .recorded import Prepared
from .recordings import ROLES

_SHOWN = 12  # lines of notes and of unusable files; the rest is counted
MEDIAPIPE = f"MediaPipe face landmarker, camera with {VERTICAL_FOV_DEGREES:g}° vertical field of view assumed"


def describe_recorded(
    spec: DatasetSpec, prepared: Prepared, size_px: int, protocol: str, licence: str
) -> Mapping[str, str]:
    """Facts by name, as `Dataset.describe` promises; no absolute path."""
    clips = [clip for role in ROLES for clip in prepared.clips[role]]
    counts = ", ".join(f"{len(prepared.clips[role])} {role}" for role in ROLES)
    seconds = sum(clip.n_frames / clip.fps for clip in clips)
    rates = ", ".join(f"{rate:g}" for rate in sorted({round(clip.fps, 3) for clip in clips}))
    facts = {
        "name": spec.name,
        "version": spec.version,
        "subjects": ", ".join(sorted({clip.subject for clip in clips})),
        "emotions": ", ".join(sorted({clip.emotion for clip in clips})),
        "clips": f"{counts}; {seconds:.0f} s, {sum(clip.n_frames for clip in clips)} frames",
        "size": f"{size_px}×{size_px} px, one static square crop per subject around the head",
        "fps": rates,
        "sentences": str(len({(clip.subject, clip.sentence) for clip in clips})),
        "colour": "; ".join(prepared.colours),
        "licence": licence,
        "tracker": "; ".join(MEDIAPIPE if name == "mediapipe" else name for name in prepared.trackers),
        "parsing": _parsers(clips),
        "protocol": protocol,
    }
    if prepared.notes:
        facts["notes"] = _listed(prepared.notes)
    if prepared.unusable:
        facts["unusable"] = f"{len(prepared.unusable)} files: {_listed(prepared.unusable)}"
    return facts


def _parsers(clips: Sequence[Clip]) -> str:
    """Who parsed head and background, with the number of clips where there were several."""
    counts = Counter(parsing_source(clip.extras["layers"]) for clip in clips)
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{source} ({count} clips)" for source, count in counts.most_common())


def _listed(lines: tuple[str, ...]) -> str:
    more = f"; and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
    return "; ".join(lines[:_SHOWN]) + more
