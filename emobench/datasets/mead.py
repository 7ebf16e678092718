"""The dataset `mead` (Wang et al., ECCV 2020), front view: its file tree, its labels and the split of its README.

Owns what is particular to MEAD; tracking and cutting belong to `recorded`. Nothing of MEAD is shipped or copied
anywhere but into the user's own cache.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from emobench.errors import InputError
from emobench.hashing import hash_value
from emobench.types import EMOTIONS, Clip, Context

from .facts import describe_recorded
from .recorded import Prepared, prepare_recordings
from .recordings import Plan, PreparationConfig, Recording, Role, Segment, Usable
from .specs import MEAD

_VIEWS = ("front", "down", "top", "left_30", "left_60", "right_30", "right_60")
_SOUGHT = (
    "Looked for M003/video/front/angry/level_1/001.mp4 with M003/audio/angry/level_1/001.m4a, and flattened forms such "
    "as M003/angry_level_1/001.mp4."
)
_SUBJECT = re.compile(r"[MW]\d{3}")
# one file below a subject's folder: …/front/angry/level_1/001.mp4, …/angry_level_1/001.mp4, front_angry_level_1_001.mp4
_FILE = re.compile(
    rf"(?:(?:^|[/_])(?P<view>{'|'.join(_VIEWS)}))?(?:^|[/_])(?P<emotion>{'|'.join(EMOTIONS)})[/_]"
    r"level_(?P<level>[123])[/_](?P<number>\d+)\.(?P<kind>mp4|m4a|wav)$"
)


class MeadConfig(PreparationConfig):
    """Which part of MEAD is used. The defaults of the split are the authors' README."""

    subjects: tuple[str, ...] = Field((), description="For example M003, W009; empty = all that are there.")
    emotions: tuple[Literal[EMOTIONS], ...] = Field(EMOTIONS, min_length=1, description="Emotions to use.")  # type: ignore[valid-type]
    levels: tuple[Literal[1, 2, 3], ...] = Field((1, 2, 3), min_length=1, description="Levels; neutral has only 1.")
    max_clips: int = Field(0, ge=0, description="At most this many per subject, emotion, level and split; 0 = all.")
    test_neutral: int = Field(10, ge=1, description="Last sentences of neutral that are test.")
    test_other: int = Field(6, ge=1, description="Last sentences of every other emotion and level that are test.")
    val: int = Field(2, ge=0, description="Sentences before those, per emotion and level, that are val.")


@dataclass(frozen=True, slots=True, kw_only=True)
class MeadFile:
    """What a path below a subject's folder says."""

    subject: str
    view: str | None
    emotion: str
    level: int
    number: int
    kind: str  # mp4, m4a or wav
    path: Path

    @property
    def utterance(self) -> tuple[str, str, int, int]:
        return self.subject, self.emotion, self.level, self.number


class MeadDataset:
    """Front-view clips of MEAD with the README's split."""

    name = MEAD.name

    def __init__(self, config: MeadConfig, context: Context) -> None:
        self.config, self.context = config, context
        self._prepared: Prepared | None = None
        self._gaps: tuple[str, ...] = ()

    def prepare(self) -> None:
        """Finds, splits, tracks and cuts the clips. Raises InputError without data, Unavailable without a weight."""
        if self._prepared is not None:
            return
        config = self.config
        root = _data_root(self.context)
        found = chosen_files(find_files(root), config, root)
        self._gaps = missing_levels(found, config)
        for line in self._gaps:
            self.context.progress.note(f"mead: {line}")
        roles = readme_split(found, config)
        refuse_untrainable(found, roles, config)
        self._prepared = prepare_recordings(
            self.name,
            recordings(found, set(roles), root),
            config.preparation(),
            lambda usable: _plan(usable, roles),
            self.context,
        )

    def split(self, name: str) -> Sequence[Clip]:
        """Clips of one split, ordered by id. Raises InputError on an unknown one."""
        return self._ready().split(name)

    def split_hash(self) -> str:
        """sha256 over the clips' keys (bytes of the files, crop, size), labels and splits."""
        clips = self._ready().clips
        return hash_value(
            {role: [[c.id, c.sha256, c.emotion, c.intensity] for c in found] for role, found in clips.items()}
        )

    def describe(self) -> Mapping[str, str]:
        """Facts for the report, without absolute paths."""
        config, prepared = self.config, self._ready()
        protocol = (
            f"MEAD README: test = last {config.test_neutral} sentences of neutral, last {config.test_other} of each "
            f"other emotion, per level; {config.val} before them val; view front"
            + (f"; at most {config.max_clips} clips per emotion, level and split" if config.max_clips else "")
        )
        facts = dict(describe_recorded(MEAD, prepared, config.size_px, protocol, MEAD.licence))
        if self._gaps:
            facts["missing"] = "; ".join(self._gaps)
        return facts

    def _ready(self) -> Prepared:
        self.prepare()
        assert self._prepared is not None  # prepare raises otherwise
        return self._prepared


def find_files(root: Path) -> list[MeadFile]:
    """Every MEAD file of a usable view below `root`, or below `root` itself where that is one subject's folder."""
    homes = [root] if _SUBJECT.fullmatch(root.name) else sorted(p for p in root.rglob("*") if _is_subject(p))
    found = []
    for home in homes:
        for path in sorted(home.rglob("*")):
            match = _FILE.search(path.relative_to(home).as_posix())
            if match and not path.is_dir() and match["view"] in (None, "front"):
                found.append(
                    MeadFile(
                        subject=home.name, view=match["view"], emotion=match["emotion"], level=int(match["level"]),
                        number=int(match["number"]), kind=match["kind"], path=path,
                    )
                )  # fmt: skip
    return found


def chosen_files(found: Sequence[MeadFile], config: MeadConfig, root: Path) -> list[MeadFile]:
    """Files of the configured subjects, emotions and levels. Raises InputError where that leaves no video."""
    videos = [f for f in found if f.kind == "mp4"]
    if not videos:
        raise InputError(f"No MEAD videos lie in {root}. {_SOUGHT} {MEAD.obtain}")
    present = sorted({f.subject for f in videos})
    absent = [s for s in config.subjects if s not in present]
    if absent:
        raise InputError(f"MEAD subject {absent[0]!r} is not in the data root; there are: {', '.join(present)}.")
    subjects = set(config.subjects or present)
    kept = [f for f in found if f.subject in subjects and f.emotion in config.emotions and f.level in config.levels]
    if not any(f.kind == "mp4" for f in kept):
        raise InputError(
            f"MEAD: no videos of {', '.join(config.emotions)} at levels {config.levels} among {len(videos)} files."
        )
    return kept


def missing_levels(found: Iterable[MeadFile], config: MeadConfig) -> tuple[str, ...]:
    """One line per subject whose level folders are incomplete."""
    present = {(f.subject, f.emotion, f.level) for f in found if f.kind == "mp4"}
    lines = []
    for subject in sorted({s for s, _, _ in present}):
        wanted = [(e, n) for e in config.emotions for n in config.levels if e != "neutral" or n == 1]
        gaps = [f"{e} level_{n}" for e, n in wanted if (subject, e, n) not in present]
        if gaps:
            lines.append(f"{subject}: no videos of {', '.join(gaps)}")
    return tuple(lines)


def readme_split(found: Iterable[MeadFile], config: MeadConfig) -> dict[str, Role]:
    """Split by recording id: per subject, emotion and level the last sentences test, those before them val."""
    groups: dict[tuple[str, str, int], list[MeadFile]] = defaultdict(list)
    for file in {f.utterance: f for f in found if f.kind == "mp4"}.values():
        groups[file.subject, file.emotion, file.level].append(file)
    roles: dict[str, Role] = {}
    for (_, emotion, _), files in groups.items():
        names = [recording_id(f) for f in sorted(files, key=lambda f: f.number)]
        n_test = config.test_neutral if emotion == "neutral" else config.test_other
        test, rest = names[-n_test:], names[:-n_test]
        n_train = max(len(rest) - config.val, min(len(rest), 1))  # a small group keeps one to train on
        parts: tuple[tuple[Role, list[str]], ...] = (("train", rest[:n_train]), ("val", rest[n_train:]), ("test", test))
        for role, ids in parts:
            roles |= dict.fromkeys(ids[: config.max_clips or None], role)
    return roles


def refuse_untrainable(found: Iterable[MeadFile], roles: Mapping[str, Role], config: MeadConfig) -> None:
    """Raises InputError, before hours of tracking, where a subject's recordings are too few to train on."""
    own: dict[str, set[str]] = defaultdict(set)
    for file in found:
        if file.kind == "mp4":
            own[file.subject].add(recording_id(file))
    for subject, names in sorted(own.items()):
        if not any(roles.get(name) == "train" for name in names):
            raise InputError(
                f"MEAD: all {len(names)} videos of {subject} are in the test split (the last {config.test_neutral} of "
                f"neutral, {config.test_other} of every other emotion and level): nothing is left to train on. Add "
                "recordings, choose others with --set dataset.subjects=[M003], or lower dataset.test_other."
            )


def recordings(found: Sequence[MeadFile], wanted: set[str], root: Path) -> list[Recording]:
    """Recordings of the wanted ids; the separate sound file is used where there is one, else the video's own sound."""
    sounds = {f.utterance: f.path for f in found if f.kind != "mp4"}
    videos = {f.utterance: f for f in found if f.kind == "mp4"}
    return [
        Recording(
            id=recording_id(file), name=file.path.relative_to(root).as_posix(), video=file.path,
            audio=sounds.get(key), subject=file.subject, emotion=file.emotion, intensity=file.level,
            sentence=f"{file.emotion}-{file.number:03d}", transcript=None,
        )
        for key, file in sorted(videos.items())
        if recording_id(file) in wanted
    ]  # fmt: skip


def recording_id(file: MeadFile) -> str:
    """For example M003-angry-level_1-001."""
    return f"{file.subject}-{file.emotion}-level_{file.level}-{file.number:03d}"


def _plan(usable: Sequence[Usable], roles: Mapping[str, Role]) -> Plan:
    return {
        item.recording.id: [Segment(role=roles[item.recording.id], start=0, stop=item.tracked.n_frames)]
        for item in usable
    }


def _is_subject(path: Path) -> bool:
    return path.is_dir() and _SUBJECT.fullmatch(path.name) is not None


def _data_root(context: Context) -> Path:
    root = context.data_root
    if root is None:
        raise InputError(f"The dataset 'mead' needs --data-root: a folder with M003, W009, …. {MEAD.obtain}")
    if not root.is_dir():
        what = "a file" if root.exists() else "not there"
        raise InputError(f"{root} is {what}, expected a folder. {_SOUGHT} {MEAD.obtain}")
    return root.resolve()
