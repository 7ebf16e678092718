"""What `emobench data` does for any dataset: facts, previews, checks. Names no dataset; asks for optional abilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emobench.errors import EXIT_FAILED, EXIT_INCOMPLETE, EXIT_OK, InputError, UsageError
from emobench.inventory import CanDiscard, CanPreview, CanVerify, HasInventory, Inventory, SplitFacts, Verification
from emobench.planning import find_dataset, open_dataset
from emobench.specs import DatasetSpec
from emobench.types import Clip, Context, Dataset, Frames, Image, Progress

SHEET_CELL_PX = 128
SHEET_COLUMNS = 8  # emotions of one row; a subject with more clips than emotions shows one clip each
FILM_CLIPS = 12
MEGA = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A dataset as named on the command line."""

    name: str
    sets: Sequence[str]
    config_file: Path | None
    data_root: Path | None
    threads: int
    cache_dir: Path


def open_asked(asked: Asked, progress: Progress) -> tuple[DatasetSpec, Dataset]:
    """The dataset object. Raises UsageError on unknown names, keys or a missing data root."""
    spec, config = find_dataset(asked.name, asked.sets, asked.config_file)
    context = Context(
        seed=0, device="cpu", threads=asked.threads, cache_dir=asked.cache_dir, progress=progress,
        data_root=asked.data_root,
    )  # fmt: skip
    return spec, open_dataset(spec, config, context)


# ------------------------------------------------------------------ info


def info(spec: DatasetSpec, dataset: Dataset) -> dict[str, Any]:
    """Facts and counts as JSON values. A dataset without an inventory is prepared first."""
    if isinstance(dataset, HasInventory):
        found = dataset.inventory()
    else:
        dataset.prepare()
        found = _counted(spec, dataset)
    facts = dataset.describe()
    return {
        "name": spec.name, "summary": spec.summary, "facts": dict(facts), "licence": spec.licence,
        "split_sha256": dataset.split_hash(), "root": str(found.root) if found.root else None,
        "schema": found.schema or None, "bytes_on_disk": found.bytes_on_disk, "bytes_to_make": found.bytes_to_make,
        "splits": {split.name: _split_json(split) for split in found.splits},
    }  # fmt: skip


def _split_json(split: SplitFacts) -> dict[str, Any]:
    return {
        "clips": split.clips, "with_pixels": split.with_pixels, "on_disk": split.on_disk, "frames": split.frames,
        "hours": split.seconds / 3600, "subjects": list(split.subjects), "emotions": list(split.emotions),
        "sha256": split.sha256,
    }  # fmt: skip


def _counted(spec: DatasetSpec, dataset: Dataset) -> Inventory:
    clips = {name: list(dataset.split(name)) for name in spec.splits}
    files = {path for found in clips.values() for clip in found for path in _files(clip)}
    return Inventory(
        splits=tuple(split_facts(name, found) for name, found in clips.items()), root=None,
        bytes_on_disk=sum(path.stat().st_size for path in files if path.is_file()), bytes_to_make=0, schema="",
    )  # fmt: skip


def split_facts(name: str, clips: Sequence[Clip]) -> SplitFacts:
    """Counts of clips that are all on disk."""
    return SplitFacts(
        name=name, clips=len(clips), with_pixels=sum(clip.video is not None for clip in clips), on_disk=len(clips),
        frames=sum(clip.n_frames for clip in clips), seconds=sum(clip.n_frames / clip.fps for clip in clips),
        subjects=tuple(sorted({clip.subject for clip in clips})),
        emotions=tuple(sorted({clip.emotion for clip in clips})),
    )  # fmt: skip


def _files(clip: Clip) -> list[Path]:
    return [path for path in (clip.video, clip.audio, *clip.extras.values()) if path is not None]


def info_lines(found: Mapping[str, Any]) -> list[str]:
    """The facts in lines of at most 80 columns."""
    import textwrap

    lines = [*textwrap.wrap(f"{found['name']}: {found['summary']}", 80), ""]
    facts = {name: text for name, text in found["facts"].items() if name != "name"}
    facts["files"] = found["root"] or "in the caches of the dataset"
    facts["on disk"] = _megabytes(found["bytes_on_disk"])
    if found["bytes_to_make"]:
        facts["on disk"] += f"; about {_megabytes(found['bytes_to_make'])} to make on first use"
    if found["schema"]:
        facts["schema"] = found["schema"]
    facts["split"] = f"sha256 {found['split_sha256'][:16]}… (train, val, test)"
    width = max(map(len, facts)) + 2
    for name, text in facts.items():
        body = textwrap.wrap(text, 80 - width, break_on_hyphens=False) or [""]
        lines += [f"{name:<{width}}{body[0]}", *(" " * width + rest for rest in body[1:])]
    lines += ["", f"{'split':<12}{'clips':>7}{'pixels':>8}{'on disk':>9}{'frames':>9}{'hours':>8}  subjects, emotions"]
    for name, row in found["splits"].items():
        kinds = f"{len(row['subjects'])}, {len(row['emotions'])}"
        lines.append(
            f"{name:<12}{row['clips']:>7}{row['with_pixels']:>8}{row['on_disk']:>9}{row['frames']:>9}"
            f"{row['hours']:>8.2f}  {kinds}"
        )
    return [*lines, "", "Frames and hours are of the clips on disk."]


def _megabytes(count: int) -> str:
    return f"{count / MEGA:,.1f} MB"


# ------------------------------------------------------------------ prepare and verify


def prepare(spec: DatasetSpec, dataset: Dataset, split: str) -> str:
    """Make the splits of a run, or one by name; says how many clips there are. Raises UsageError on an unknown one."""
    if split and split not in spec.splits:
        raise UsageError(f"Dataset {spec.name!r} has no split {split!r}. It has {', '.join(spec.splits)}.")
    dataset.prepare()
    names = [split] if split else ["train", "val", "test"]
    counts = ", ".join(f"{len(dataset.split(name))} {name}" for name in names)
    return f"{spec.name}: {counts} clips on disk"


def verify(dataset: Dataset, progress: Progress) -> Verification:
    """Recomputes checksums of what is on disk. Raises UsageError for a dataset that keeps none."""
    if not isinstance(dataset, CanVerify):
        raise UsageError(f"Dataset {dataset.name!r} keeps no checksums of its own: there is nothing to verify.")
    return dataset.verify(progress)


def repair(dataset: Dataset, found: Verification, progress: Progress) -> Verification:
    """Delete damaged clips, make the dataset again and compare once more."""
    if not isinstance(dataset, CanDiscard):
        raise UsageError(f"Dataset {dataset.name!r} cannot make its clips again.")
    dataset.discard(found.damaged)
    dataset.prepare()
    return verify(dataset, progress)


def exit_code(found: Verification) -> int:
    """0 all is as it was made, 1 something differs, 3 nothing is there to check."""
    if found.faults:
        return EXIT_FAILED
    return EXIT_OK if found.checked else EXIT_INCOMPLETE


# ------------------------------------------------------------------ preview


def preview(spec: DatasetSpec, dataset: Dataset, out: Path, progress: Progress) -> list[Path]:
    """A contact sheet (PNG) and a film with sound (mp4) under `out`; the dataset's own where it draws them."""
    _require_folder(out)
    if isinstance(dataset, CanPreview):
        return list(dataset.preview(out, progress))
    dataset.prepare()
    clips = [clip for name in spec.splits for clip in dataset.split(name) if clip.video is not None]
    if not clips:
        raise InputError(f"Dataset {dataset.name!r} has no clip with frames to show.")
    sheet, film = out / f"{dataset.name}.png", out / f"{dataset.name}.mp4"
    chosen = _one_per_kind(clips)
    _draw_sheet(chosen, sheet, progress)
    _write_film(chosen, film, progress)
    return [sheet, film]


def _require_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"Cannot write to {path}: {error.strerror or error}. Choose another folder.") from error


def _one_per_kind(clips: Sequence[Clip]) -> dict[str, list[Clip]]:
    """By subject, one clip of each emotion at its strongest level."""
    chosen: dict[str, dict[str, Clip]] = {}
    for clip in sorted(clips, key=lambda clip: (clip.subject, clip.emotion, -clip.intensity, clip.id)):
        chosen.setdefault(clip.subject, {}).setdefault(clip.emotion, clip)
    return {subject: list(kinds.values())[:SHEET_COLUMNS] for subject, kinds in chosen.items()}


def _draw_sheet(chosen: Mapping[str, Sequence[Clip]], path: Path, progress: Progress) -> None:
    """A row per subject, a cell per emotion: the frame in the middle of the clip."""
    from emobench.media import read_video, write_png

    columns = max(len(clips) for clips in chosen.values())
    rows = []
    for clips in progress.track(list(chosen.values()), "preview: sheet"):
        cells = [cell(read_video(_video(clip)).frames[clip.n_frames // 2], SHEET_CELL_PX) for clip in clips]
        blank = np.full((SHEET_CELL_PX, SHEET_CELL_PX, 3), 255, np.uint8)
        rows.append(np.hstack(cells + [blank] * (columns - len(cells))))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_png(path, np.vstack(rows))


def _write_film(chosen: Mapping[str, Sequence[Clip]], path: Path, progress: Progress) -> None:
    """Clips of all subjects in turn, one after the other, at the rate of the first."""
    from emobench.media import read_audio, read_video, write_preview
    from emobench.types import SAMPLE_RATE_HZ

    turns = [clips[i] for i in range(SHEET_COLUMNS) for clips in chosen.values() if i < len(clips)]
    turns = [clip for clip in turns if clip.fps == turns[0].fps][:FILM_CLIPS]
    side = max(read_video(_video(turns[0])).frames.shape[1:3])
    frames: list[Frames] = []
    sound = []
    for clip in progress.track(turns, "preview: film"):
        shown = read_video(_video(clip)).frames
        frames += [cell(frame, side) for frame in shown]
        samples = np.zeros(round(len(shown) * SAMPLE_RATE_HZ / clip.fps), np.float32)
        heard = read_audio(clip.audio)[: len(samples)] if clip.audio else samples[:0]
        samples[: len(heard)] = heard
        sound.append(samples)
    write_preview(path, frames, turns[0].fps, np.concatenate(sound))


def _video(clip: Clip) -> Path:
    if clip.video is None:
        raise InputError(f"Clip {clip.id!r} has no frames.")
    return clip.video


def cell(frame: Image, size_px: int) -> Image:
    """A frame fitted into a square of size_px on white."""
    import cv2

    scale = size_px / max(frame.shape[:2])
    height, width = (max(1, round(side * scale)) for side in frame.shape[:2])
    small = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
    square = np.full((size_px, size_px, 3), 255, np.uint8)
    top, left = (size_px - height) // 2, (size_px - width) // 2
    square[top : top + height, left : left + width] = small
    return square
