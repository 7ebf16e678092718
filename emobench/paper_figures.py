"""The paper's figures from a finished run: τ sweep, with and without refinement, novel views with other emotions.

Works from the run directory alone; knows methods only by what they offer (see abilities) and draws through strips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from emobench.abilities import Expresses, Refines, Turns
from emobench.errors import InputError, UsageError, suggest
from emobench.head_motion import turned
from emobench.media import write_png, write_preview
from emobench.run_clips import plan_row, stored_driving
from emobench.store import PlanRow, RunRecord
from emobench.strips import Labels, films, strip
from emobench.subjects import SubjectCard, load_subjects
from emobench.types import Driving, Floats, Frames, HeadPose, Image, Method

FILM_VALUES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a figure is made of: a run's method, ready to render, and one of its test clips."""

    record: RunRecord
    method: Method
    driving: Driving
    card: SubjectCard
    frame: int  # of the clip, for stills

    def still(self, alpha: Floats) -> Image:
        """One frame of α (K,), the head at rest."""
        frame: Image = self.moving(alpha[None])[0]
        return frame

    def moving(self, alpha: Floats) -> Frames:
        """(T, H, W, 3) of α (T, K), the head at rest."""
        method = _expressing(self.record, self.method)
        pose = self.pose(len(alpha))
        return np.stack([item.frame for item in method.render_alpha(self.card.subject, alpha, pose, self.card.camera)])

    def pose(self, count: int) -> HeadPose:
        """The clip's own head pose, where it is at rest throughout."""
        driven = self.driving.pose
        return HeadPose(
            rotation=np.repeat(driven.rotation[:1], count, 0), translation=np.repeat(driven.translation[:1], count, 0)
        )


def choose_shown(record: RunRecord, method: Method, clip: str, second: float | None, spoken: str = "") -> Shown:
    """The clip named, else the first of emotion `spoken`, else the first; at `second`, else in its middle.

    Raises UsageError on an unknown clip or a time beyond its end.
    """
    cards = load_subjects(record.dir)
    row = plan_row(record, clip) if clip else _first(record, spoken)
    driving = stored_driving(record, row, cards)
    frame = driving.n_frames // 2 if second is None else int(second * driving.fps)
    if not 0 <= frame < driving.n_frames:
        raise UsageError(f"--at {second}: {row.clip} lasts {driving.n_frames / driving.fps:.2f} s.")
    return Shown(record=record, method=method, driving=driving, card=cards[row.subject], frame=frame)


def _first(record: RunRecord, emotion: str) -> PlanRow:
    if not record.plan:
        raise InputError(f"{record.dir} has no test clips: the run did not get past preparation. Run it again.")
    return next((row for row in record.plan if row.emotion == emotion), record.plan[0])


def _expressing(record: RunRecord, method: Method) -> Expresses:
    if not isinstance(method, Expresses):
        raise UsageError(f"{record.run.label} predicts no expression that could be changed: choose a run of emohead.")
    return method


def _refining(record: RunRecord, method: Method) -> Refines:
    if not isinstance(method, Refines) or method.hyperplanes() is None:
        raise UsageError(f"{record.run.label} has no hyperplanes to move an expression along.")
    return method


def choose_emotion(method: Method, record: RunRecord, wanted: str, not_this: str) -> str:
    """`wanted`, checked; for "" surprised, happy or the first one that is not `not_this`. Raises UsageError."""
    facts = _refining(record, method).hyperplanes()
    known = facts.emotions if facts is not None else ()
    if not wanted:
        preferred = [e for e in ("surprised", "happy", *known) if e in known and e != not_this]
        return preferred[0]
    if wanted not in known:
        hint = suggest("emotion", wanted, known).partition(" See:")[0]
        raise UsageError(f"{hint} {record.run.label} was trained on: {', '.join(known)}.")
    return wanted


def known_emotions(shown: Shown) -> list[str]:
    """Every emotion with a hyperplane."""
    facts = _refining(shown.record, shown.method).hyperplanes()
    return list(facts.emotions) if facts is not None else []


# ------------------------------------------------------------------ τ sweep


def sweep(shown: Shown, emotion: str, values: Sequence[float], out: Path, film: Path | None) -> None:
    """One clip, spoken as it was, moved towards `emotion` by τ: a strip over all values, and a film of five."""
    method = _refining(shown.record, shown.method)
    spoken = method.express(shown.driving).spoken
    subject, level = shown.card.subject, float(shown.driving.intensity)

    def pushed(tau: float) -> Floats:
        return method.push(subject, spoken, emotion, level, np.full(len(spoken), tau, np.float32))

    title = f"{shown.driving.emotion} → {emotion}, {shown.driving.clip_id}"
    pictures = [shown.still(pushed(tau)[shown.frame]) for tau in values]
    write_png(out, strip([pictures], Labels(title=title, columns=tuple(f"τ = {_plain(tau)}" for tau in values))))
    if film is not None:
        chosen = [values[i] for i in np.unique(np.linspace(0, len(values) - 1, FILM_VALUES).round().astype(int))]
        labels = Labels(title=title, columns=tuple(f"τ = {_plain(tau)}" for tau in chosen))
        write_preview(
            film, films([[shown.moving(pushed(tau)) for tau in chosen]], labels), shown.driving.fps,
            shown.driving.audio,
        )  # fmt: skip


def _plain(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


# ------------------------------------------------------------------ with and without refinement


def refinement(shown: Shown, emotions: Sequence[str], out: Path) -> None:
    """The same speech asked for in each emotion: α̃ as the network says it above, α̂ with its own τ below."""
    method = _refining(shown.record, shown.method)
    without, refined, names = [], [], []
    for emotion in emotions:
        said = method.express(replace(shown.driving, emotion=emotion))
        without.append(shown.still(said.spoken[shown.frame]))
        refined.append(shown.still(said.refined[shown.frame]))
        names.append(f"{emotion}, τ {said.tau[shown.frame]:.2f}")
    title = f"{shown.driving.emotion} voice, {shown.driving.clip_id}"
    labels = Labels(title=title, columns=tuple(names), rows=("without\nrefinement", "with\nrefinement"))
    write_png(out, strip([without, refined], labels))


# ------------------------------------------------------------------ novel views


def views(shown: Shown, emotions: Sequence[str], degrees: Sequence[float], out: Path) -> None:
    """The head alone from several sides (columns) in several emotions of the same speech (rows)."""
    if not isinstance(shown.method, Turns):
        raise UsageError(f"{shown.record.run.label} cannot show its head from another side.")
    method = _expressing(shown.record, shown.method)
    pose, seen = shown.pose(len(degrees)), turned(shown.card, degrees)
    rows = []
    for emotion in emotions:
        alpha = method.express(replace(shown.driving, emotion=emotion)).refined[shown.frame]
        alphas = np.repeat(alpha[None], len(degrees), 0)
        rows.append(list(shown.method.view(shown.card.subject, alphas, pose, seen, shown.card.camera)))
    labels = Labels(
        title=f"the camera moves, {shown.driving.clip_id}",
        columns=tuple(f"{value:+.0f}°".replace("-", "−") if value else "0°" for value in degrees),
        rows=tuple(emotions),
    )
    write_png(out, strip(rows, labels))
