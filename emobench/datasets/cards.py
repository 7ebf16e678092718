"""From planned segments to clips on disk: each clip's card, folder and key, and the Clip that stands for it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emobench.face.head_masks import parsing_key
from emobench.face.surfaces import MESH
from emobench.hashing import hash_value, short
from emobench.types import Clip

from .cutting import ClipJob, WriteJob, clip_complete
from .recordings import ROLES, Plan, Preparation, Role, Segment, Usable, View
from .tracking import VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """Every clip with its split, and the jobs for those that are not on disk yet."""

    clips: tuple[tuple[Role, Clip], ...]
    jobs: tuple[WriteJob, ...]


def planned_clips(
    usable: Sequence[Usable], plan: Plan, views: Mapping[str, View], preparation: Preparation, folder: Path
) -> Planned:
    """Clips lie in `folder`/<id>-<key>; the key covers the files' bytes, the frames, the crop and the size."""
    parsing = parsing_key(preparation.parsing)
    clips: list[tuple[Role, Clip]] = []
    jobs = []
    for item in usable:
        recording, view = item.recording, views[item.recording.id]
        segments = plan.get(recording.id, ())
        missing = []
        for number, segment in enumerate(segments):
            part = None if len(segments) == 1 else f"p{number:02d}"
            clip = _clip(part, item, segment, view, preparation, parsing, folder)
            clips.append((segment.role, clip))
            card = _card(clip, item, segment, view)
            home = _home(clip)
            if not clip_complete(home, card):
                missing.append(ClipJob(folder=home, start=segment.start, stop=segment.stop, fps=clip.fps, card=card))
        if missing:
            jobs.append(
                WriteJob(
                    video=recording.video, audio=recording.audio, track=item.track, frame_size=view.frame_size,
                    box=view.box, size_px=preparation.size_px, clips=tuple(missing), parsing=preparation.parsing,
                )
            )  # fmt: skip
    return Planned(clips=tuple(clips), jobs=tuple(jobs))


def clips_of(planned: Planned) -> dict[Role, tuple[Clip, ...]]:
    """Clips by split, ordered by id."""
    ordered = sorted(planned.clips, key=lambda pair: pair[1].id)
    return {role: tuple(clip for found, clip in ordered if found == role) for role in ROLES}


def _clip(
    part: str | None, item: Usable, segment: Segment, view: View, preparation: Preparation, parsing: str, folder: Path
) -> Clip:
    """`part` names one of several segments; a transcript of the whole recording then says nothing about it."""
    recording, tracked = item.recording, item.tracked
    what = [VERSION, item.sha256, item.track.stem, segment.start, segment.stop, view.box, preparation.size_px, parsing]
    key = hash_value([*what, view.frame_size] if view.is_fitted(item) else what)
    clip_id = f"{recording.id}-{part}" if part else recording.id
    home = folder / f"{clip_id}-{short(key)}"
    files = {"track": "track.npz", "layers": "layers.npz", "card": "card.json"}
    if tracked.tracker == "mediapipe":
        files[MESH] = "mesh.npz"
    return Clip(
        id=clip_id, subject=recording.subject, emotion=recording.emotion, intensity=recording.intensity,
        sentence=f"{recording.sentence}-{part}" if part else recording.sentence,
        transcript=None if part else recording.transcript, video=home / "video.mkv", audio=home / "audio.wav",
        fps=tracked.fps, n_frames=segment.stop - segment.start, sha256=key,
        extras={name: home / file for name, file in files.items()},
    )  # fmt: skip


def _home(clip: Clip) -> Path:
    return clip.extras["card"].parent


def _card(clip: Clip, item: Usable, segment: Segment, view: View) -> str:
    """What a reader of the clip's folder wants to know; no absolute path."""
    facts = {
        "id": clip.id, "source": item.recording.name, "source_sha256": item.sha256, "clip_sha256": clip.sha256,
        "frames": [segment.start, segment.stop], "fps": clip.fps, "crop": list(view.box), "colour": item.tracked.colour,
        "notes": list(item.tracked.notes), "tracker": item.tracked.tracker, "version": VERSION,
    }  # fmt: skip
    if view.is_fitted(item):
        facts["frame_size"] = list(view.frame_size)
    return json.dumps(facts, sort_keys=True, ensure_ascii=False, indent=1)
