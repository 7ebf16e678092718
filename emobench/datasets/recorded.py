"""Turns recordings of people into prepared clips: tracked, cropped per subject, split, cached, resumable.

Shared by `folder` and `mead`, which say what a recording is and how recordings are split. Knows neither's file tree.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emobench import weights
from emobench.errors import InputError
from emobench.face.head_masks import parsing_key
from emobench.face.landmarks import square_around
from emobench.face.track_files import track_file_of
from emobench.filehashes import HashMemory
from emobench.hashing import hash_value, short
from emobench.types import Clip, Context

from .cards import clips_of, planned_clips
from .cutting import write_clips
from .framing import common_size, fitted_extent
from .pool import run_jobs
from .recordings import Plan, Preparation, Recording, Role, Segment, Usable, View
from .tracking import VERSION, TrackJob, facts_path, load_facts, track_recording

LANDMARKER = "mediapipe.face_landmarker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The clips of all splits, and what there is to say about how they came about."""

    clips: Mapping[Role, tuple[Clip, ...]]
    notes: tuple[str, ...]
    unusable: tuple[str, ...]  # "name: reason"
    colours: tuple[str, ...]
    trackers: tuple[str, ...] = ("mediapipe",)

    def split(self, name: str) -> tuple[Clip, ...]:
        """Clips of one split. Raises InputError on an unknown one."""
        for role, clips in self.clips.items():
            if role == name:
                return clips
        raise InputError(f"There is no split {name!r}; there are {', '.join(self.clips)}.")


def prepare_recordings(
    dataset: str, recordings: Sequence[Recording], preparation: Preparation,
    split: Callable[[Sequence[Usable]], Plan], context: Context,
) -> Prepared:  # fmt: skip
    """Tracks, splits, crops and writes what is not in the cache yet.

    Raises InputError when a file cannot be read, when no recording can be used or none is left to train on;
    Unavailable without the face landmarker's weight, where it tracks.
    """
    _refuse_unreadable(recordings)
    parsing_key(preparation.parsing)  # a network that is missing is told before hours of tracking
    is_needed = preparation.tracker == "mediapipe" or weights.is_present(LANDMARKER)
    model = weights.locate(LANDMARKER) if is_needed else None
    root = context.cache_dir / "datasets"
    usable, unusable = _track_all(recordings, preparation, model, root, context)
    for line in unusable:
        context.progress.note(f"{dataset}: cannot use {line}")
    if not usable:
        shown = "; ".join(unusable[:3]) + ("; …" if len(unusable) > 3 else "")
        raise InputError(f"None of the {len(recordings)} recordings can be used: {shown}")
    plan, left_out = without_gaps(split(usable), usable, preparation.max_gap_seconds)
    for line in left_out:
        context.progress.note(f"{dataset}: {line}")
    _refuse_empty(dataset, plan, len(usable))
    views, crop_notes = _views(usable, preparation)
    planned = planned_clips(usable, plan, views, preparation, root / dataset)
    for _ in run_jobs(write_clips, planned.jobs, f"{dataset}: write clips", context):
        pass
    notes = (*_grouped_notes(usable), *crop_notes)
    for line in notes:
        context.progress.note(f"{dataset}: {line}")
    colours = tuple(sorted({item.tracked.colour for item in usable}))
    trackers = tuple(sorted({item.tracked.tracker for item in usable}))
    return Prepared(
        clips=clips_of(planned), notes=(*left_out, *notes), unusable=tuple(unusable), colours=colours,
        trackers=trackers,
    )  # fmt: skip


def without_gaps(plan: Plan, usable: Sequence[Usable], longest_seconds: float) -> tuple[Plan, list[str]]:
    """The plan without segments in which the face is lost for longer than that, and why each was left out.

    Shorter gaps are interpolated and stay marked; a segment without any face goes too.
    """
    kept: dict[str, list[Segment]] = {}
    left_out = []
    for item in usable:
        longest = round(longest_seconds * item.tracked.fps)
        for segment in plan.get(item.recording.id, ()):
            inside = [(max(a, segment.start), min(b, segment.stop)) for a, b in item.tracked.gaps]
            worst = max((b - a for a, b in inside), default=0)
            if worst <= min(longest, segment.stop - segment.start - 1):
                kept.setdefault(item.recording.id, []).append(segment)
            else:
                span = f"frames {segment.start} to {segment.stop - 1}"
                left_out.append(
                    f"{item.recording.name}: {span} left out: no face in {worst} frames in a row; "
                    f"at most {longest} are filled in"
                )
    return kept, left_out


def cut(n_frames: int, fps: float, role: Role, seconds: float, offset: int = 0) -> list[Segment]:
    """Equal segments of about `seconds` that cover n_frames frames from `offset` on."""
    count = max(1, round(n_frames / fps / seconds))
    edges = np.linspace(0, n_frames, count + 1).round().astype(int) + offset
    return [Segment(role=role, start=int(a), stop=int(b)) for a, b in itertools.pairwise(edges)]


def _refuse_unreadable(recordings: Sequence[Recording]) -> None:
    """Links that lead nowhere, files of others: leaving them out would quietly change the split."""
    for recording in recordings:
        for path in filter(None, (recording.video, recording.audio)):
            if not os.access(path, os.R_OK):
                raise InputError(f"{path} cannot be read: no permission, or a link that leads nowhere.")


def _track_all(
    recordings: Sequence[Recording], preparation: Preparation, model: Path | None, root: Path, context: Context
) -> tuple[list[Usable], list[str]]:
    contents = _contents(recordings, preparation, HashMemory(root / "hashes.json"))
    recipe = [VERSION, weights.sha256_of(LANDMARKER), preparation.min_tracked, preparation.tracker]
    targets = [root / "tracks" / c[:2] / f"{short(hash_value([c, *recipe]), 24)}.npz" for c in contents]
    jobs = [
        TrackJob(
            video=r.video, audio=r.audio, model=model, target=target, min_tracked=preparation.min_tracked,
            tracker=preparation.tracker,
        )
        for r, target in zip(recordings, targets, strict=True)
    ]  # fmt: skip
    outcomes = {index: load_facts(facts_path(job)) for index, job in enumerate(jobs) if facts_path(job).exists()}
    pending = [index for index in range(len(jobs)) if index not in outcomes]
    for number, tracked in run_jobs(track_recording, [jobs[i] for i in pending], "track faces", context):
        outcomes[pending[number]] = tracked
    usable, unusable = [], []
    for index, recording in enumerate(recordings):
        tracked = outcomes[index]
        if tracked.reason is None:
            sha256 = contents[index]
            usable.append(Usable(recording=recording, tracked=tracked, track=targets[index], sha256=sha256))
        else:
            unusable.append(f"{recording.name}: {tracked.reason}")
    return usable, unusable


def _contents(recordings: Sequence[Recording], preparation: Preparation, memory: HashMemory) -> list[str]:
    """A key of each recording: the bytes of its video, of its sound file, and of its track file where that is read."""
    found = []
    for recording in recordings:
        track = track_file_of(recording.video) if preparation.tracker == "file" else None
        found.append([recording.video, recording.audio, track if track is not None and track.is_file() else None])
    files = [path for paths in found for path in paths if path is not None]
    digests = dict(zip(files, memory.hash_all(files), strict=True))
    keys = [[digests[path] if path is not None else None for path in paths] for paths in found]
    return [hash_value(key if preparation.tracker == "file" else key[:2]) for key in keys]


def _refuse_empty(dataset: str, plan: Plan, n_usable: int) -> None:
    roles = {segment.role for segments in plan.values() for segment in segments}
    for role in ("train", "test"):
        if role not in roles:
            raise InputError(
                f"{dataset}: {n_usable} usable recordings leave nothing for the {role} split. "
                "Add recordings, or change the size of the test split in the dataset's config."
            )


def _views(usable: Sequence[Usable], preparation: Preparation) -> tuple[dict[str, View], list[str]]:
    """One static square crop and one frame size per subject, by recording id: one camera for all of its clips."""
    groups: dict[str, list[Usable]] = defaultdict(list)
    for item in usable:
        groups[item.recording.subject].append(item)
    views: dict[str, View] = {}
    notes = []
    for subject, items in sorted(groups.items()):
        sizes = [(item.tracked.width, item.tracked.height) for item in items]
        width, height = size = common_size(sizes)
        found = zip(items, sizes, strict=True)
        extents = np.array([fitted_extent(item.tracked.extent, own, size) for item, own in found])
        low, high = extents[:, :2].min(axis=0), extents[:, 2:].max(axis=0)
        box = square_around(low, high, width, height, preparation.crop_margin)
        views |= {item.recording.id: View(frame_size=size, box=box) for item in items}
        side = box[2] - box[0]
        others = [f"{w}×{h}" for w, h in sizes if (w, h) != size]
        if others:
            kinds = ", ".join(dict.fromkeys(others))
            notes.append(f"{subject}: {len(others)} of {len(items)} recordings ({kinds}) scaled to {width}×{height}")
        if side < (high - low).max():
            notes.append(f"{subject}: the head does not fit the largest square of {width}×{height} frames")
        if side < preparation.size_px:
            notes.append(f"{subject}: its crop of {side} px is enlarged to {preparation.size_px} px")
    return views, notes


def _grouped_notes(usable: Sequence[Usable]) -> list[str]:
    """Each note once, with the recordings it is about: all of them counted, the first two named."""
    names: dict[str, list[str]] = defaultdict(list)
    for item in usable:
        for note in item.tracked.notes:
            names[note].append(item.recording.name)
    order = Counter({note: len(found) for note, found in names.items()})
    return [
        f"{', '.join(names[note][:2])}{f' and {count - 2} more' if count > 2 else ''}: {note}"
        for note, count in order.most_common()
    ]
