"""EmoHead as a method of the benchmark: trains, predicts α̂ from sound and tag, and hands it to the portrait.

Owns the order of things; the maths live in the modules beside it, the radiance field in methods.radiance.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from emobench.abilities import PlaneFacts
from emobench.errors import InputError, UsageError
from emobench.types import Camera, Clip, Context, Driving, Floats, HeadPose, Image, Rendered

from ..radiance.portrait import Portrait, fit_portrait, sources_of
from ..radiance.views import view_head
from .background import BackgroundFit
from .checkpoint import load_expression, save_expression
from .clips import read_recordings
from .config import EmoHeadConfig
from .fitting import fit_expression
from .hearing import TranscriptSource
from .inspection import plane_facts, push
from .model import Expression, ExpressionModel, Request
from .sharing import SharedTrainings, shared_trainings

VIEW_BACKGROUND = (232, 232, 230)


class EmoHead:
    """Audio-expression module, hyperplane refinement, and one radiance portrait per subject."""

    def __init__(self, config: EmoHeadConfig, context: Context) -> None:
        self.config, self.context = config, context
        self._model: ExpressionModel | None = None
        self._portraits: dict[str, Portrait] = {}
        self._seconds: dict[str, float] = {}
        self._transcript_source: TranscriptSource = "none"  # of the last expression

    @property
    def model(self) -> ExpressionModel:
        """The trained module. Raises UsageError before fit or load."""
        if self._model is None:
            raise UsageError("This EmoHead is not trained: call fit, or load a checkpoint.")
        return self._model

    @property
    def subjects(self) -> tuple[str, ...]:
        """Subjects it can render."""
        return tuple(sorted(self._portraits))

    @property
    def pastes_back(self) -> bool:
        """Whether its heads are to be composited over the target's own torso and background."""
        return self.config.radiance.backdrop == "paste"

    def fit(self, clips: Sequence[Clip]) -> None:
        """Stage 1 and 2 on all clips, then a portrait of every subject that has video. Raises InputError."""
        filmed = sorted({clip.subject for clip in clips if clip.video is not None})
        if not filmed:
            raise InputError("No train clip has video, so there is no face to learn. Check the dataset's train split.")
        context = self.context
        # looks for pretrained networks too: a missing one is told before hours of work
        shared = shared_trainings(clips, self.config, context.seed, context.cache_dir, context.progress)
        self._model = shared.expression(context.threads)
        if self._model is None and context.threads > 1:
            self._fit_side_by_side(clips, filmed, shared)
            return
        if self._model is None:
            recordings = read_recordings(clips, context.progress)
            self._model = fit_expression(
                recordings, self.config, seed=context.seed, threads=1, progress=context.progress, stage1=shared,
                cache_dir=context.cache_dir,
            )  # fmt: skip
            shared.keep_expression(self._model)
        self._fit_portraits(clips, filmed, context)

    def _fit_side_by_side(self, clips: Sequence[Clip], filmed: Sequence[str], shared: SharedTrainings) -> None:
        context = self.context
        with tempfile.TemporaryDirectory(prefix="emohead-") as scratch:
            running = BackgroundFit(clips, self.config, context.seed, Path(scratch) / "expression", context.cache_dir)
            try:
                self._fit_portraits(clips, filmed, replace(context, threads=context.threads - 1))
            except BaseException:
                running.stop()
                raise
            self._model = running.result(context.threads, context.progress)
        shared.keep_expression(self._model)

    def _fit_portraits(self, clips: Sequence[Clip], filmed: Sequence[str], context: Context) -> None:
        self._portraits = {
            subject: fit_portrait(clips, self.config.radiance, context, subject=subject) for subject in filmed
        }
        for portrait in self._portraits.values():
            portrait.threads = self.context.threads

    def express(self, driving: Driving) -> Expression:
        """α̃, τ and α̂ of a test clip. Raises UsageError on a tag that was not trained, InputError on bad sound."""
        start = time.perf_counter()
        expression = self.model.predict(
            Request(
                audio=driving.audio, transcript=driving.transcript, emotion=driving.emotion,
                level=float(driving.intensity), subject=driving.subject, fps=driving.fps, n_frames=driving.n_frames,
                push=driving.strength,
            )
        )
        self._seconds = self._seconds | {"audio": time.perf_counter() - start}
        self._transcript_source = expression.transcript_source
        for remark in expression.remarks:
            self.context.progress.note(f"emohead: {driving.clip_id}: {remark}")
        return expression

    def render(self, driving: Driving) -> Iterator[Rendered]:
        """Exactly driving.n_frames frames. Tag, sound and subject are checked before the first one is asked for."""
        self._portrait(driving.subject)
        return self.render_alpha(driving.subject, self.express(driving).refined, driving.pose, driving.camera)

    def render_alpha(self, subject: str, alpha: Floats, pose: HeadPose, camera: Camera) -> Iterator[Rendered]:
        """Frames of given α (T, K) in the tracker's units; for τ sweeps and knock-outs."""
        portrait = self._portrait(subject)
        for frame, row in zip(portrait.render(alpha, pose, camera), alpha, strict=True):
            self._seconds = self._seconds | dict(portrait.stage_seconds())
            yield Rendered(frame=frame.frame, alpha=row, head=frame.head)

    def hyperplanes(self) -> PlaneFacts | None:
        """What training found; None where it saw fewer than two emotions."""
        return plane_facts(self.model)

    def push(self, subject: str, alpha: Floats, emotion: str, level: float, tau: Floats) -> Floats:
        """α (T, K) of a clip, in the tracker's units, moved by τ (T,) steps towards an emotion. Raises UsageError."""
        return push(self.model, subject, alpha, emotion, level, tau)

    def view(self, subject: str, alpha: Floats, pose: HeadPose, seen: HeadPose, camera: Camera) -> Iterator[Image]:
        """The head alone as the camera of `seen` shows it, over nothing; slow, for pictures of novel views."""
        for shot in view_head(self._portrait(subject), alpha, pose, seen, camera):
            yield shot.over(VIEW_BACKGROUND)

    def save(self, path: Path) -> None:
        """The expression module, and the portraits as folders portrait-<subject>."""
        path.mkdir(parents=True, exist_ok=True)
        for subject, portrait in self._portraits.items():
            portrait.save(path / f"portrait-{subject}")
        save_expression(path, self.model, self.subjects)

    def load(self, path: Path) -> None:
        """Restore what save wrote, its configuration included. Raises InputError on a corrupt or newer checkpoint."""
        model, subjects = load_expression(path, self.context.threads, self.context.cache_dir)
        threads, device = self.context.threads, self.context.device
        portraits = {s: Portrait.load(path / f"portrait-{s}", threads=threads, device=device) for s in subjects}
        self._model, self._portraits, self.config = model, portraits, model.config

    def stage_seconds(self) -> Mapping[str, float]:
        """Seconds of the last render: "audio", and the portrait's "field" and "composite"."""
        return dict(self._seconds)

    def sources(self) -> Mapping[str, str]:
        """What taught the portraits beside pixels and tracking, and who listens for the module, for provenance."""
        heard = self._model.hearing.facts() if self._model else {}
        networks = {f"expression.{role}": f"{f.model}@{f.commit} sha256:{f.sha256}" for role, f in heard.items()}
        return {**sources_of(self._portraits), **networks}

    def render_facts(self) -> Mapping[str, str]:
        """What tells speeds apart: backend and torso of the portraits; and where the last transcript came from."""
        portraits = list(self._portraits.values())
        facts = portraits[0].facts() if portraits else {}
        return {**facts, "transcript": self._transcript_source}

    def _portrait(self, subject: str) -> Portrait:
        if subject not in self._portraits:
            known = ", ".join(self.subjects) or "none"
            raise UsageError(f"EmoHead has no portrait of subject {subject!r}. It knows: {known}.")
        return self._portraits[subject]

