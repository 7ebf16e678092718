"""The dataset `folder`: a user's own videos below --data-root, with labels where the user gives them.

Owns how files are found, labelled and split; tracking and cutting belong to `recorded`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from emobench.errors import InputError
from emobench.hashing import hash_value
from emobench.types import EMOTIONS, Clip, Context

from .facts import describe_recorded
from .labels import CLIPS_CSV, Label, read_clips_csv, safe_name, transcript_beside
from .recorded import Prepared, cut, prepare_recordings
from .recordings import Plan, PreparationConfig, Recording, Role, Segment, Usable
from .specs import FOLDER

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg")
AUDIO_SUFFIXES = (".wav", ".m4a", ".flac", ".mp3", ".aac", ".ogg")
_NERF_TRAIN_SHARE = 10 / 11  # of one long video: the convention of AD-NeRF and its successors


class FolderConfig(PreparationConfig):
    """How recordings become clips. Defaults suit a talking head filmed from the front."""

    segment_seconds: float = Field(10.0, ge=1, le=60, description="Long recordings are cut to about this length.")
    test_fraction: float = Field(0.1, gt=0, lt=1, description="Last recordings of each subject, at least one.")
    val_fraction: float = Field(0.05, ge=0, lt=1, description="Recordings before those; at least one of three or more.")
    emotion: Literal[EMOTIONS] = Field("neutral", description="Of recordings that clips.csv does not label.")  # type: ignore[valid-type]
    intensity: int = Field(1, ge=1, le=3, description="Of recordings that clips.csv does not label.")


class FolderDataset:
    """Videos of one or more people; every one with a face and sound becomes one or more clips."""

    name = FOLDER.name

    def __init__(self, config: FolderConfig, context: Context) -> None:
        self.config, self.context = config, context
        self._prepared: Prepared | None = None
        self._recordings: tuple[Recording, ...] = ()

    def prepare(self) -> None:
        """Finds, tracks and cuts the videos. Raises InputError where there are none, Unavailable without a weight."""
        if self._prepared is not None:
            return
        config = self.config
        self._recordings = find_recordings(_data_root(self.context), config, self.context)
        self._prepared = prepare_recordings(
            self.name,
            self._recordings,
            config.preparation(),
            self._split,
            self.context,
        )

    def split(self, name: str) -> Sequence[Clip]:
        """Clips of one split, ordered by id. Raises InputError on an unknown one."""
        return self._ready().split(name)

    def split_hash(self) -> str:
        """sha256 over the clips' keys (bytes of the files, frames, crop, size), labels and splits."""
        clips = self._ready().clips
        return hash_value(
            {
                role: [[c.id, c.sha256, c.subject, c.emotion, c.intensity, c.sentence, c.transcript] for c in found]
                for role, found in clips.items()
            }
        )

    def describe(self) -> Mapping[str, str]:
        """Facts for the report, without absolute paths."""
        config = self.config
        protocol = (
            f"per subject: of several recordings the last {config.test_fraction:.0%} test, those before val; "
            f"of a single one the first 10/11 train, the rest test; cut to about {config.segment_seconds:g} s"
        )
        return describe_recorded(FOLDER, self._ready(), config.size_px, protocol, "the user's own data")

    def _ready(self) -> Prepared:
        self.prepare()
        assert self._prepared is not None  # prepare raises otherwise
        return self._prepared

    def _split(self, usable: Sequence[Usable]) -> Plan:
        by_subject: dict[str, list[Usable]] = defaultdict(list)
        for item in usable:
            by_subject[item.recording.subject].append(item)
        plan: dict[str, list[Segment]] = {}
        for items in by_subject.values():
            plan |= _split_single(items[0], self.config) if len(items) == 1 else _split_many(items, self.config)
        return plan


def find_recordings(root: Path, config: FolderConfig, context: Context) -> tuple[Recording, ...]:
    """Videos below `root` in the order of their paths; with clips.csv only those it lists."""
    videos = sorted(p for p in root.rglob("*") if p.suffix.lower() in VIDEO_SUFFIXES and _is_visible(p, root))
    csv_path = root / CLIPS_CSV
    labels = read_clips_csv(csv_path, root) if csv_path.is_file() else {}
    if labels:
        left_out = len(set(videos) - set(labels))
        if left_out:
            context.progress.note(f"folder: {left_out} videos are not in {CLIPS_CSV} and left out")
        videos = sorted(labels)
    if not videos:
        kinds = ", ".join(VIDEO_SUFFIXES)
        raise InputError(f"No videos ({kinds}) lie in {root}. {FOLDER.obtain}")
    ids = _ids(videos, root)
    return tuple(_recording(v, root, ids[v], labels.get(v), config) for v in videos)


def _data_root(context: Context) -> Path:
    root = context.data_root
    if root is None:
        raise InputError(f"The dataset 'folder' needs --data-root. {FOLDER.obtain}")
    if not root.is_dir():
        raise InputError(f"{root} is {'a file' if root.exists() else 'not there'}, expected a folder. {FOLDER.obtain}")
    return root.resolve()


def _is_visible(path: Path, root: Path) -> bool:
    return not path.is_dir() and not any(part.startswith(".") for part in path.relative_to(root).parts)


def _ids(videos: Sequence[Path], root: Path) -> dict[Path, str]:
    """Ids from the paths below the root; where two would be the same, the suffix is added."""
    plain = {v: safe_name("-".join(v.relative_to(root).with_suffix("").parts)) for v in videos}
    taken = Counter(plain.values())
    ids = {v: name if taken[name] == 1 else f"{name}-{v.suffix[1:].lower()}" for v, name in plain.items()}
    for name, count in Counter(ids.values()).items():
        if count > 1:
            files = [v.relative_to(root).as_posix() for v in videos if ids[v] == name]
            raise InputError(f"{' and '.join(files)} would both be called {name!r}. Rename one of them.")
    return ids


def _recording(video: Path, root: Path, name: str, label: Label | None, config: FolderConfig) -> Recording:
    audio = next((p for s in AUDIO_SUFFIXES if (p := video.with_suffix(s)).is_file()), None)
    return Recording(
        id=name,
        name=video.relative_to(root).as_posix(),
        video=video,
        audio=audio,
        subject=safe_name((label and label.subject) or video.parent.name),
        emotion=(label and label.emotion) or config.emotion,
        intensity=(label and label.intensity) or config.intensity,
        sentence=(label and label.sentence) or video.stem,
        transcript=(label and label.transcript) or transcript_beside(video),
    )


def _split_many(items: Sequence[Usable], config: FolderConfig) -> dict[str, list[Segment]]:
    n_test = max(1, round(len(items) * config.test_fraction))
    n_val = max(1, round(len(items) * config.val_fraction)) if config.val_fraction and len(items) >= 3 else 0
    n_train = len(items) - n_test - n_val
    counts: tuple[tuple[Role, int], ...] = (("train", n_train), ("val", n_val), ("test", n_test))
    roles = [role for role, count in counts for _ in range(count)]
    return {
        item.recording.id: cut(item.tracked.n_frames, item.tracked.fps, role, config.segment_seconds)
        for item, role in zip(items, roles, strict=True)
    }


def _split_single(item: Usable, config: FolderConfig) -> dict[str, list[Segment]]:
    """First 10/11 train, rest test; the last of three or more train segments is val."""
    n, fps, seconds = item.tracked.n_frames, item.tracked.fps, config.segment_seconds
    n_train = int(n * _NERF_TRAIN_SHARE)
    train = cut(n_train, fps, "train", seconds)
    if len(train) >= 3 and config.val_fraction:
        train[-1] = Segment(role="val", start=train[-1].start, stop=train[-1].stop)
    return {item.recording.id: [*train, *cut(n - n_train, fps, "test", seconds, offset=n_train)]}
