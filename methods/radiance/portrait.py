"""A portrait: one subject's head field over its backdrop, fitted once, rendered for any expression and pose.

Owns fitting (through a content-addressed cache), rendering and its timing. Knows no audio, no emotion and no metric.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from emobench.errors import InputError, Unavailable
from emobench.face.surfaces import FILM, MESH
from emobench.hashing import code_hash, hash_file, identity, short
from emobench.types import Camera, Clip, Context, Floats, HeadPose, Image, Progress

from .backdrop import Backdrop, BackdropView, fit_backdrop, head_layer, torso_of, trained_as, view
from .condition import Condition, fit_condition
from .config import RadianceConfig
from .critics import Critic, open_critic
from .field import Field, new_field
from .footage import Footage, HeadFrames, pack_footage
from .footage_reading import plan_reading, read_footage
from .geometry import Box, head_rays, pixel_directions
from .image_losses import ImageLosses
from .jit import unstored
from .occupancy import new_occupancy, tight_box, visual_hull
from .operations import Operations, choose_backend
from .trainer import HeadTrainer
from .training_state import Setback, TrainingFile
from .workers import Workers

if TYPE_CHECKING:
    from .painter import PaintedShot, Painter

PACKAGE = "emobench.methods.radiance"
PAINTING = ("triton", "tinycudann")  # backends that draw whole frames on the device
READ = ("track", "layers", FILM, MESH)  # files of a clip that a training reads beside its video
HULL_FRAMES = 96  # masks that carve the hull, evenly spread over the train frames


@dataclass(frozen=True, slots=True, kw_only=True)
class PortraitFrame:
    """One rendered frame."""

    frame: Image  # (H, W, 3)
    head_alpha: Floats  # (H, W) opacity of the head, 0..1
    head: Floats | None = None  # (H, W, 4) the head alone, where it is to be pasted back; see Rendered.head


@dataclass(frozen=True, slots=True, kw_only=True)
class PortraitParts:
    """Everything a checkpoint holds."""

    config: RadianceConfig
    backend: str
    alpha_names: tuple[str, ...]
    camera: Camera  # of the train clips
    box: Box
    condition: Condition
    field: Field
    skip: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]  # (G, G, G) z, y, x: 0 = occupied
    backdrop: Backdrop
    losses: Floats  # (steps,)
    setbacks: tuple[Setback, ...] = ()  # divergences after which training began anew with halved rates
    sources: tuple[tuple[str, str], ...] = ()  # parsing, shape, cord, identity → who taught it


class Portrait:
    """A fitted subject. `render` may run several times at once (threads), each call with its own workers, except on
    CUDA backends."""

    def __init__(self, parts: PortraitParts, *, threads: int = 1, device: str = "cpu") -> None:
        self.parts = parts
        self.operations: Operations = _rendering_backend(parts.backend, device, parts.config)
        self.threads = threads
        self.field = parts.field.to(self.operations.device)
        self._warm: set[Camera] = set()  # sizes rendered so far
        self.painters: dict[Camera, Painter] = {}  # prepared frames of the sizes rendered so far
        self._seconds = {"field": 0.0, "composite": 0.0}

    @property
    def backend(self) -> str:
        """The backend that renders it: the one that trained it, where that runs here."""
        return self.operations.name

    @property
    def alpha_names(self) -> tuple[str, ...]:
        """Names of the coefficients that `render` takes, in order."""
        return self.parts.alpha_names

    def render(self, alpha: Floats, pose: HeadPose, camera: Camera) -> Iterator[PortraitFrame]:
        """One frame for each row of alpha (T, K), in Track.alpha's units and order, at `camera`'s size.

        Expressions beyond the train range are held near it (RadianceConfig.condition_margin). Raises InputError where
        alpha has other coefficients or another length than pose.
        """
        if alpha.ndim != 2 or alpha.shape[1] != len(self.alpha_names):
            raise InputError(f"The portrait takes α of shape (frames, {len(self.alpha_names)}), got {alpha.shape}.")
        if len(alpha) != len(pose):
            raise InputError(f"{len(alpha)} expressions for {len(pose)} head poses: they must be as many.")
        if not np.isfinite(alpha).all():
            raise InputError("α holds NaN or infinite values. Check the model that predicted it.")
        shot = self._shot(alpha, pose, camera)
        if camera not in self._warm and len(alpha):
            shot(0)  # kernels are loaded or compiled, and caches filled, before any frame is timed
            self._warm.add(camera)
        spent = np.zeros(2)
        threads = self.threads if self.operations.concurrent else 1
        with Workers(min(threads, len(alpha))) as workers:
            for frame, seconds in workers.stream(shot, range(len(alpha))):
                spent += seconds
                # thread-seconds shared out over the threads: what the stage costs while all of them are busy
                self._seconds = dict(zip(("field", "composite"), (spent / workers.threads).tolist(), strict=True))
                yield frame

    def _shot(self, alpha: Floats, pose: HeadPose, camera: Camera) -> _Shot | PaintedShot:
        if self.operations.name not in PAINTING:
            return _Shot(self.parts, self.field, self.operations, alpha, pose, camera)
        from .painter import PaintedShot, new_painter

        if camera not in self.painters:
            self.painters[camera] = new_painter(self.parts, self.field, self.operations, camera)
        return PaintedShot(self.painters[camera], self.parts, alpha, pose)

    def stage_seconds(self) -> Mapping[str, float]:
        """Seconds of the last render by stage; threads' time divided by their number."""
        return dict(self._seconds)

    def facts(self) -> Mapping[str, str]:
        """What tells its speed from another's: device, backend, precision, and how the torso is composed."""
        return {
            "device": self.operations.device.type, "backend": self.backend, "precision": self.operations.precision,
            "torso": torso_of(self.parts.config), "field": self.parts.config.field,
        }  # fmt: skip

    def save(self, path: Path) -> None:
        """Write a checkpoint folder: tensors in safetensors, the rest in JSON."""
        from .checkpoint import save_parts

        save_parts(path, self.parts)

    @classmethod
    def load(cls, path: Path, *, threads: int = 1, device: str = "cpu") -> Portrait:
        """Restore what `save` wrote. Raises InputError on a missing, damaged or other version's checkpoint."""
        from .checkpoint import load_parts

        return cls(load_parts(path), threads=threads, device=device)


class _Shot:
    """The frames of one render call; calling it with an index renders that frame."""

    def __init__(
        self,
        parts: PortraitParts,
        field: Field,
        operations: Operations,
        alpha: Floats,
        pose: HeadPose,
        camera: Camera,
    ) -> None:
        self.parts, self.field, self.operations, self.pose, self.camera = parts, field, operations, pose, camera
        self.conditions = torch.from_numpy(parts.condition(alpha, pose)).to(operations.device)
        self.back_features = parts.backdrop.features(pose)
        self.directions = _directions(camera)
        self.back: BackdropView = view(parts.backdrop, camera.height, camera.width)

    def __call__(self, index: int) -> tuple[PortraitFrame, np.ndarray[tuple[int], np.dtype[np.float64]]]:
        start = time.perf_counter()
        head, opacity = self._head(index)
        middle = time.perf_counter()
        frame = self.back.render(self.back_features[index], head, opacity)
        alpha = opacity.reshape(self.camera.height, self.camera.width)
        layer = head_layer(self.parts.config, head, alpha)
        seconds = np.array([middle - start, time.perf_counter() - middle])
        return PortraitFrame(frame=frame, head_alpha=alpha, head=layer), seconds

    def _head(self, index: int) -> tuple[Floats, Floats]:
        parts, operations, field = self.parts, self.operations, self.field
        condition = self.conditions[index : index + 1]
        table, decoder = field.tables(condition, operations)[0], field.decoders(condition)[0]
        rays = head_rays(self.directions, self.pose.rotation[index], self.pose.translation[index], parts.box)
        rays = replace(rays, width=self.camera.width)
        config = parts.config
        return operations.render(
            rays, parts.skip, table, decoder, field.layout, config.step_mm, config.max_samples,
            config.stop_transmittance,
        )  # fmt: skip


@lru_cache(maxsize=8)
def _directions(camera: Camera) -> Floats:
    return pixel_directions(camera)


def fit_portrait(clips: Sequence[Clip], config: RadianceConfig, context: Context, *, subject: str) -> Portrait:
    """The portrait of `subject`, trained on its clips with video, track and layers, or taken from the cache.

    Methods that ask for the same clips, configuration, seed and backend share one training. Raises InputError where no
    clip is usable, EmobenchError where training diverges. A training that was interrupted goes on where it was.
    """
    if (trained := trained_as(config)) != config:
        portrait = fit_portrait(clips, trained, context, subject=subject)
        return Portrait(replace(portrait.parts, config=config), threads=context.threads, device=context.device)
    usable = [clip for clip in clips if clip.subject == subject and clip.video is not None]
    if not usable:
        raise InputError(f"No train clip of subject {subject!r} has video: a radiance field cannot be trained on it.")
    operations = choose_backend(context.backend, context.device, config.field, config.precision)
    emotions = sorted({clip.emotion for clip in usable})
    critic = open_critic(config.images, context.judges, emotions, operations.device, context.progress)
    key = portrait_key(usable, config, context.seed, operations.name, critic.names if critic else {})
    folder = context.cache_dir / "portraits" / short(key, 32)
    if folder.exists():
        portrait = Portrait.load(folder, threads=context.threads, device=context.device)
        where = f"from the cache ({short(key)}), backend {portrait.backend}"
        context.progress.note(f"Radiance field of {subject}: {where}.")
        for setback in portrait.parts.setbacks:
            context.progress.note(f"Its training diverged at step {setback.diverged} and began anew with halved rates.")
        return portrait
    where = f"backend {operations.name} on {operations.device}"
    context.progress.note(f"Radiance field of {subject}: {where}, {len(usable)} clips.")
    if operations.name == "numba" and (told := unstored()):
        context.progress.note(told)
    reading = plan_reading(usable, config.memory_mb)
    if reading.count < reading.usable:
        context.progress.note(
            f"Of {reading.usable} frames, {reading.count}, evenly chosen, are used: that many fit into "
            f"{config.memory_mb} MB (radiance.memory_mb)."
        )
    file = TrainingFile(folder.with_name(f"{folder.name}.training"), key, context.progress)
    portrait = fit_footage(
        read_footage(reading), config, operations, seed=context.seed, threads=context.threads,
        progress=context.progress, label=subject, file=file, critic=critic,
    )  # fmt: skip
    portrait.save(folder)
    file.remove()
    return portrait


def sources_of(portraits: Mapping[str, Portrait]) -> dict[str, str]:
    """"<subject>.<what>" → who taught it, of portraits by subject."""
    return {f"{who}.{what}": by for who, portrait in portraits.items() for what, by in portrait.parts.sources}


def _sources(frames: HeadFrames, config: RadianceConfig, critic: Critic | None) -> tuple[tuple[str, str], ...]:
    """What taught the portrait beside pixels and tracking, for provenance."""
    shape = ["silhouette"] if config.silhouette else []
    shape += [frames.depth_source] if frames.depth_source and config.depth_weight else []
    judged = critic.names if critic else {}
    images = [(name, judged.get(name, "none")) for name in ("cord", "identity")]
    return ("parsing", frames.parsing), ("shape", ", ".join(shape) or "none"), *images


def portrait_key(
    clips: Sequence[Clip], config: RadianceConfig, seed: int, backend: str, critics: Mapping[str, str] | None = None
) -> str:
    """Identity of a training: settings, seed, backend, this package's code, the clips with their tracking, and who
    judges images."""
    return identity(
        {
            "config": config.model_dump(mode="json"),
            "seed": seed,
            "backend": backend,
            "code": code_hash([PACKAGE]),
            "critics": dict(critics or {}),
            "clips": [
                [clip.id, clip.sha256, clip.emotion, *(hash_file(clip.extras[n]) for n in READ if n in clip.extras)]
                for clip in sorted(clips, key=lambda clip: clip.id)
            ],
        }
    )


def fit_footage(
    footage: Iterator[Footage],
    config: RadianceConfig,
    operations: Operations,
    *,
    seed: int,
    threads: int,
    progress: Progress,
    label: str,
    file: TrainingFile | None = None,
    critic: Critic | None = None,
) -> Portrait:
    """Train on decoded clips of one subject; with a file, so that an interrupted training goes on next time; with a
    critic, so that faces are judged as images too."""
    frames, backs = pack_footage(footage)
    condition = fit_condition(frames.alpha, frames.pose, config)
    conditions = condition(frames.alpha, frames.pose)
    box, hull = _carve(frames, config)
    occupancy = new_occupancy(hull)
    field = new_field(config, conditions.shape[1], seed).to(operations.device)
    with Workers(threads if operations.concurrent else 1) as workers:
        images = ImageLosses(frames, backs, box, critic, config.images, operations) if critic else None
        trainer = HeadTrainer(frames, conditions, field, occupancy, box, operations, workers, config, seed, images)
        trainer.train(progress, f"radiance field {label}", file)
        backdrop = fit_backdrop(backs, config, seed, progress)
    parts = PortraitParts(
        config=config,
        backend=operations.name,
        alpha_names=frames.alpha_names,
        camera=frames.camera,
        box=box,
        condition=condition,
        field=field.to(torch.device("cpu")),
        skip=occupancy.skip,
        backdrop=backdrop,
        losses=np.array(trainer.losses, np.float32),
        setbacks=trainer.setbacks,
        sources=_sources(frames, config, critic),
    )
    return Portrait(parts, threads=threads, device=operations.device.type)


def _rendering_backend(trained: str, device: str, config: RadianceConfig) -> Operations:
    """The backend a portrait was trained with, or what "auto" takes where that one cannot run."""
    try:
        return choose_backend(trained, device, config.field, config.precision)
    except Unavailable:
        return choose_backend("auto", device, config.field)


def _carve(frames: HeadFrames, config: RadianceConfig) -> tuple[Box, np.ndarray[tuple[int, ...], np.dtype[np.bool_]]]:
    """The head's box, shrunk to the hull of the masks, and the hull in it."""
    chosen = np.unique(np.linspace(0, len(frames) - 1, HULL_FRAMES).round().astype(int))
    masks = np.stack([frames.mask(int(frame)) for frame in chosen])
    pose = HeadPose(rotation=frames.pose.rotation[chosen], translation=frames.pose.translation[chosen])
    box = frames.box
    for _ in range(2):
        hull = visual_hull(masks, pose, frames.camera, box, config.grid, config.hull_fraction)
        if not hull.any():
            raise InputError(
                "The head masks and the tracked head box do not meet anywhere. Check head pose, camera and masks."
            )
        box, previous = tight_box(hull, box), box
        if np.allclose(box.size, previous.size):
            break
    return previous, hull
