"""The judges of one dataset: trained on its train split on first use, kept by content. Knows no dataset by name.

Cached under cache_dir/judges/<key>/ as judges.safetensors and judges.json (classes, scales, each judge's own accuracy
on clips it was not trained on, and why a judge is missing). There are two roles that never mix: evaluation judges give
scores, all made together; training judges are offered to methods for their losses, made when one is asked for (the
radiance portrait asks for tags and identity). Their clips (see sharing), seeds and architectures differ; each role's
clips are what the other is graded on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emobench.cache import writing_folder
from emobench.errors import EmobenchError, InputError, Unavailable
from emobench.hashing import canonical_json, code_hash, hash_text, hash_value, short
from emobench.types import Clip, Context, Extractor

from .sharing import ROLES, Role, share

GROUPS: Mapping[Role, tuple[tuple[str, ...], ...]] = {  # judges that are made and kept together
    "evaluation": (("landmarks", "emotion", "lipsync", "tags"),),
    "training": (("tags", "identity"), ("emotion",), ("landmarks", "lipsync")),
}
SEEDS: Mapping[Role, int] = {role: int(hash_text(role)[:8], 16) for role in ROLES}  # apart from those of methods
WEIGHTS, CARD, SCHEMA = "judges.safetensors", "judges.json", 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Ready judges, or why one is missing, and how good each is by its own held-out part of the train split."""

    emotion: Extractor | str
    landmarks: Extractor | str
    lipsync: Extractor | str
    tags: Extractor | str
    identity: Extractor | str
    report: Mapping[str, float | str]


class JudgeSet:
    """Implements emobench.types.Judges, in one of the two roles."""

    def __init__(
        self, train_clips: Sequence[Clip], context: Context, dataset_key: str, role: Role = "evaluation"
    ) -> None:
        shares = share(train_clips)
        self.role = role
        self.clips = shares[role]  # what these judges are trained on
        self._graded = next(own for other, own in shares.items() if other != role)  # and graded on
        self._context = context
        self._dataset_key = dataset_key
        self._benches: dict[tuple[str, ...], Bench] = {}

    def emotion(self) -> Extractor:
        """probabilities (T, E), classes (E,). Raises Unavailable with why."""
        return _ready(self._judges("emotion").emotion, "emotion")

    def landmarks(self) -> Extractor:
        """landmarks (T, 68, 2) px. Raises Unavailable with why."""
        return _ready(self._judges("landmarks").landmarks, "landmark")

    def lipsync(self) -> Extractor:
        """distances over offsets; see extractors.SyncJudge. Raises Unavailable with why."""
        return _ready(self._judges("lipsync").lipsync, "lip-sync")

    def tags(self) -> Extractor:
        """similarity (T, E) of frames and emotion tags, classes (E,). Raises Unavailable with why."""
        return _ready(self._judges("tags").tags, "tag–image")

    def identity(self) -> Extractor:
        """embeddings (T, 32) that tell people apart; training judges alone have it. Raises Unavailable with why."""
        if self.role == "evaluation":
            raise Unavailable("no identity judge scores: it is made for losses alone; csim has a network of its own")
        return _ready(self._judges("identity").identity, "identity")

    def report(self) -> Mapping[str, float | str]:
        """Each judge's accuracy on clips it was not trained on, see grading; empty where none was trained."""
        found: dict[str, float | str] = {}
        for group in GROUPS[self.role]:
            if group in self._benches or (self._folder_of(group) / CARD).exists():
                found |= self._judges(group[0]).report
        return found

    @property
    def folder(self) -> Path:
        """Where the first group of this set is kept: all judges that score, or those of the portrait's losses."""
        return self._folder_of(GROUPS[self.role][0])

    def _folder_of(self, group: Sequence[str]) -> Path:
        """Where judges are kept: keyed by clips, recipe of training and code."""
        key = hash_value(
            {
                "dataset": self._dataset_key,
                "clips": [[clip.id, clip.sha256, clip.video is not None] for clip in self.clips],
                "graded": [[clip.id, clip.sha256, clip.video is not None] for clip in self._graded],
                "role": self.role,
                "judges": list(group),
                "seed": SEEDS[self.role],
                "code": code_hash(["emobench.judges"]),
            }
        )
        return self._context.cache_dir / "judges" / short(key, 16)

    def _judges(self, name: str) -> Bench:
        """The judge of this name and those made with it."""
        group = next(group for group in GROUPS[self.role] if name in group)
        if group not in self._benches:
            from . import making

            folder = self._folder_of(group)
            bench = load_bench(folder)
            if bench is None:
                progress = self._context.progress
                made = making.make(self.clips, self._graded, self.role, SEEDS[self.role], progress, group)
                save_made(folder, made.tensors, made.card)
                bench = load_bench(folder)
            if bench is None:
                raise InputError(f"Judges in {folder} cannot be read back. Delete the folder and run again.")
            self._benches[group] = bench
        return self._benches[group]


def _ready(judge: Extractor | str, name: str) -> Extractor:
    if isinstance(judge, str):
        raise Unavailable(f"no {name} judge for this dataset: {judge}")
    return judge


def save_made(folder: Path, tensors: Mapping[str, Any], card: Mapping[str, Any]) -> None:
    """Write weights and card atomically."""
    from safetensors.torch import save_file

    with writing_folder(folder) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary / WEIGHTS)
        (temporary / CARD).write_text(canonical_json({"schema": SCHEMA, **card}) + "\n", encoding="utf-8")


def load_bench(folder: Path) -> Bench | None:
    """What save_made wrote, or None where it is absent or damaged (then it is made again)."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from . import making

    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        parts = making.restore(card, load_file(folder / WEIGHTS), folder.name)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError, EmobenchError):
        return None
    return Bench(
        emotion=parts.get("emotion", card["missing"].get("emotion", "not trained")),
        landmarks=parts.get("landmarks", card["missing"].get("landmarks", "not trained")),
        lipsync=parts.get("lipsync", card["missing"].get("lipsync", "not trained")),
        tags=parts.get("tags", card["missing"].get("tags", "not trained")),
        identity=parts.get("identity", card["missing"].get("identity", "not trained")),
        report=card["report"],
    )
