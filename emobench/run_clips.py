"""The test clips of a finished run as they drove its method, from the run directory alone: sound, tag and head pose."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from emobench.cache import load_arrays
from emobench.errors import InputError, UsageError, suggest
from emobench.media import read_audio
from emobench.store import PlanRow, RunRecord, RunStore
from emobench.subjects import SubjectCard
from emobench.types import Driving, HeadPose

POSE = ("rotation", "translation")


def plan_row(record: RunRecord, clip: str) -> PlanRow:
    """The plan's row of a clip id. Raises UsageError with the nearest one."""
    rows = {row.clip: row for row in record.plan}
    if clip not in rows:
        hint = suggest("clip", clip, rows).partition(" See:")[0]
        raise UsageError(f"{hint} This run has {len(rows)} clips; they stand in {record.dir / 'plan.json'}.")
    return rows[clip]


def stored_driving(
    record: RunRecord, row: PlanRow, cards: Mapping[str, SubjectCard], pose: HeadPose | None = None
) -> Driving:
    """What drove the method on one clip; the head rests in its reference pose unless `pose` (n_frames) says otherwise.

    Raises InputError where the clip was not rendered or carries no tag.
    """
    path = RunStore(record.dir).prediction(row.clip, ".mkv")
    if not path.is_file():
        raise InputError(f"{record.dir} holds no rendered clip {row.clip}. Run it again: only what is missing is done.")
    if row.emotion is None or row.intensity is None:
        raise InputError(f"Clip {row.clip} of {record.dir} carries no emotion tag.")
    card = cards[row.subject]
    return Driving(
        clip_id=row.clip, subject=row.subject, audio=read_audio(path), transcript=row.transcript, emotion=row.emotion,
        intensity=row.intensity, pose=pose or resting(card, row.n_frames), camera=card.camera, fps=card.fps,
        n_frames=row.n_frames, reference=card.reference,
    )  # fmt: skip


def resting(card: SubjectCard, n_frames: int) -> HeadPose:
    """The reference pose, held."""
    return HeadPose(
        rotation=np.repeat(card.rotation[None], n_frames, 0).astype(np.float32),
        translation=np.repeat(card.translation[None], n_frames, 0).astype(np.float32),
    )


def stored_pose(record: RunRecord, clip: str) -> HeadPose:
    """The head pose that drove a rendered clip. Raises InputError where the run, made before, did not keep it."""
    path = RunStore(record.dir).prediction(plan_row(record, clip).clip, ".npz")
    stored = load_arrays(path) if path.is_file() else {}
    if not all(name in stored for name in POSE):
        raise InputError(
            f"{record.dir} does not hold the head pose of {clip}. Delete its predictions folder and run it again, "
            "or name the clip's track.npz."
        )
    rotation, translation = (stored[name] for name in POSE)
    return HeadPose(rotation=rotation, translation=translation)
