"""The words of the project: frozen data that crosses module borders, and the protocols plugins satisfy.

Imports the standard library and numpy only; knows no plugin, no file format and no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from emobench.specs import MetricSpec

SAMPLE_RATE_HZ = 16_000
EMOTIONS = ("angry", "contempt", "disgusted", "fear", "happy", "neutral", "sad", "surprised")

Frames = NDArray[np.uint8]  # (T, H, W, 3) RGB
Image = NDArray[np.uint8]  # (H, W, 3) RGB
Floats = NDArray[np.float32]


# ------------------------------------------------------------------ geometry and tracking


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """Pinhole camera at the origin of camera space: x right, y up, z towards the viewer, millimetres.

    A point (x, y, z) with z < 0 lands on pixel u = cx + f·x/(−z), v = cy − f·y/(−z); pixel centres at +0.5.
    """

    focal_px: float
    cx_px: float
    cy_px: float
    width: int
    height: int

    def scaled(self, width: int, height: int) -> Camera:
        """The same view sampled at another size (aspect ratios may differ only by rounding)."""
        sx, sy = width / self.width, height / self.height
        return Camera(
            focal_px=self.focal_px * sx, cx_px=self.cx_px * sx, cy_px=self.cy_px * sy, width=width, height=height
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadPose:
    """Head-to-camera motion per frame: x_camera = rotation @ x_head + translation."""

    rotation: Floats  # (T, 3, 3)
    translation: Floats  # (T, 3) mm

    def __len__(self) -> int:
        return len(self.rotation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """Monocular reconstruction of one clip: expression parameters, head pose, camera, landmarks.

    The same shape whether it is exact (source "dataset"), tracked from video ("mediapipe") or read from
    somebody's file ("file").
    """

    alpha: Floats  # (T, K) expression parameters, in the tracker's own units (AU weights or blendshapes, 0..~1)
    alpha_names: tuple[str, ...]  # K names, for example "AU12_L" or "jawOpen"
    is_mouth: NDArray[np.bool_]  # (K,) True where the coefficient articulates mouth, jaw or tongue
    pose: HeadPose
    camera: Camera  # at the size of the clip's frames
    landmarks: Floats  # (T, 68, 2) pixels (x, y) of the clip's frames, iBUG-68 order; subject's right is image left
    valid: NDArray[np.bool_]  # (T,) False where tracking failed and values were interpolated
    head_box_mm: Floats  # (2, 3) lower and upper corner of the head's box in head space
    source: Literal["dataset", "mediapipe", "file"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """Face parsing of one clip: the head over everything else. frame ≈ a·head + (1 − a)·back."""

    head_alpha: NDArray[np.uint8]  # (T, H, W) coverage, 255 = head only
    head_rgb: Frames  # (T, H, W, 3) colour of the head, meaningful where head_alpha > 0
    back_rgb: Frames  # (T, H, W, 3) colour of torso and background, meaningful where head_alpha < 255
    source: str  # "dataset", "landmark-hull", …: named in provenance


# ------------------------------------------------------------------ clips and what methods see


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One recorded utterance. `video` is None where a dataset has sound and α but no pixels for this clip."""

    id: str  # unique in its dataset; letters, digits, '_' and '-'
    subject: str
    emotion: str
    intensity: int  # MEAD level 1..3
    sentence: str
    transcript: str | None
    video: Path | None  # lossless or original video; decode with emobench.media
    audio: Path | None  # any container that emobench.media reads
    fps: float
    n_frames: int
    sha256: str  # of the recipe (procedural) or of the file's bytes
    extras: Mapping[str, Path] = field(default_factory=dict)  # "track", "layers": see emobench.face.tracks; "scene"
    voice_emotion: str | None = None  # emotion heard where it is not the one shown (mismatch); None = `emotion`
    voice_intensity: int | None = None  # level of that voice; None = `intensity`


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """One distant light."""

    direction: Floats  # (3,) unit vector towards the light, in camera space
    colour: Floats  # (3,) linear RGB, 0..about 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Light and backdrop of one clip, where a dataset knows them."""

    lights: Mapping[str, Light]  # by name, for example "key", "fill", "rim"
    ambient: Floats  # (3,) linear RGB
    backdrop: Image  # (H, W, 3) what the camera sees without the person


@dataclass(frozen=True, slots=True, kw_only=True)
class Driving:
    """All that a method may see of a test clip; never its frames and never its α.

    Self-reconstruction protocols hand over the true head pose, as the NeRF literature does.
    """

    clip_id: str
    subject: str
    audio: Floats  # (N,) mono, −1..1, SAMPLE_RATE_HZ
    transcript: str | None
    emotion: str
    intensity: int
    pose: HeadPose  # n_frames poses
    camera: Camera
    fps: float
    n_frames: int
    reference: Image  # one neutral train frame of the subject
    scene: Scene | None = None  # light and backdrop of the clip, where the dataset hands them over
    strength: float = 1.0  # from rest (0) to the tag (1) and beyond, where the method takes steps towards it


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """One synthesised frame, and the expression that produced it where the method has one."""

    frame: Image
    alpha: Floats | None = None  # (K,) in the order of Track.alpha_names
    head: Floats | None = None  # (H, W, 4) the head alone, premultiplied RGB and opacity in 0..1: where pasted back


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds spent on one clip, by stage, and where they were measured. Never resumed on another machine."""

    audio_seconds: float  # audio encoding and expression prediction
    field_seconds: float  # radiance field
    composite_seconds: float  # torso, background, composition
    write_seconds: float  # encoding to disk
    n_frames: int
    width: int
    height: int
    device: str
    threads: int
    precision: str  # "float32", …
    backend: str = ""  # of the radiance field; "" where the method has none
    torso: str = ""  # how torso and background are composed: "deformed", "static", "pasted from target"; "" = unknown
    added_rss_bytes: int | None = None  # resident at most while rendering, less what was before; None = not measured
    peak_cuda_bytes: int = 0  # allocated by torch on the CUDA device at most, 0 = none or not measured


# ------------------------------------------------------------------ scoring


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One decoded clip as metrics see it: a prediction or its reference, fully in memory."""

    clip_id: str
    subject: str
    emotion: str | None
    intensity: int | None
    fps: float
    frames: Frames
    audio: Floats | None  # (N,) mono at SAMPLE_RATE_HZ
    track: Track | None  # references of tracked datasets have one; for predictions see `alpha`
    alpha: Floats | None  # (T, K): a prediction's own α; of a reference, track.alpha
    timing: Timing | None
    sha256: str  # of the decoded content: key of the feature cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """What one clip contributes to a metric: its own value where that means something, and arrays to pool.

    `value` is None for metrics that exist only over many clips (FID) and for infinite ones, with `reason`.
    """

    value: float | None
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    reason: str | None = None  # "infinite", "pooled only"
    detail: Mapping[str, float | int | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One metric on one clip. Missing is None plus a reason, never 0, NaN or a dropped row."""

    clip: str
    metric: str
    value: float | None
    reason: str | None = None
    detail: Mapping[str, float | int | str] = field(default_factory=dict)

    @property
    def is_scored(self) -> bool:
        """True where the clip counts as measured: it has a value, or one that JSON cannot hold."""
        return self.value is not None or self.reason in ("infinite", "pooled only")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One metric over a split: the entry of results.json and of every --json output."""

    value: float | None
    ci_low: float | None
    ci_high: float | None
    n_scored: int
    n_total: int
    unit: str
    higher_is_better: bool
    signature: str
    reason: str | None = None


class Extractor(Protocol):
    """Features of one clip, computed once per content and shared by every metric that asks."""

    def key(self) -> str:
        """Everything that changes the output: name, version, weights' sha256, crop, resize."""

    def extract(self, sample: Sample) -> Mapping[str, NDArray[Any]]:
        """Arrays by name. Raises UnscoredError where the clip gives none (no face, too short)."""


class Features(Protocol):
    """The cached door to extractors."""

    def __call__(self, extractor: Extractor, sample: Sample) -> Mapping[str, NDArray[Any]]: ...


class Metric(Protocol):
    """A metric object is built by its spec's factory with one MetricContext argument; it may raise Unavailable.

    Optional: `bootstrap_resamples = 0` (no interval: one aggregate is too slow), `caveat(stats) -> str | None`
    (a warning that stands beside the value), `signature_over(stats) -> str` (a signature that depends on the clips,
    such as the device of a timing) and `weights_used(stats) -> Sequence[str]` (weights beyond its spec's that these
    clips were measured with).
    """

    def measure(self, prediction: Sample, reference: Sample | None, features: Features) -> Stats:
        """Sufficient statistics of one clip. Raises UnscoredError with the reason where there is none."""

    def aggregate(self, stats: Sequence[Stats]) -> float | None:
        """One number from many clips (duplicates allowed: the bootstrap resamples with replacement)."""

    def signature(self) -> str:
        """variant|weights|crop|resize|version: everything that changes the value."""


# ------------------------------------------------------------------ what plugins are handed


class Progress(Protocol):
    """Long steps report here; see emobench.progress. Usage: `for x in progress.track(xs, "render"): …`."""

    def track(self, items: Any, label: str, total: int | None = None) -> Iterator[Any]: ...

    def note(self, text: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Where and how a plugin runs. Passed explicitly; nothing here is global."""

    seed: int
    device: str  # "cpu" or "cuda"
    threads: int
    cache_dir: Path  # root of content-addressed caches
    progress: Progress
    data_root: Path | None = None  # --data-root
    backend: str = "auto"  # radiance backend
    judges: Judges | None = None  # for losses, in a run of a dataset; never those that score


class Dataset(Protocol):
    """A dataset object is built by its spec's factory with (config, context)."""

    name: str

    def prepare(self) -> None:
        """Generate, index and track whatever `split` needs; resumable, with progress. Raises InputError."""

    def split(self, name: str) -> Sequence[Clip]:
        """Clips of "train", "val", "test" or a split of the dataset's own, ordered by id.

        Clips that are to be scored have video, audio and extras["track"]. Raises InputError on an unknown name.
        """

    def split_hash(self) -> str:
        """sha256 of the recipe of the split (never of pixel bytes)."""

    def describe(self) -> Mapping[str, str]:
        """Facts for the report: name, version, size, fps, subjects, sentences, licence, tracker, protocol."""


@runtime_checkable
class Method(Protocol):
    """A method object is built by its spec's factory with (config, context)."""

    def fit(self, clips: Sequence[Clip]) -> None:
        """Train on the train split of one or more subjects."""

    def render(self, driving: Driving) -> Iterator[Rendered]:
        """Exactly driving.n_frames frames of driving.camera's size."""

    def save(self, path: Path) -> None:
        """Write a checkpoint folder: safetensors + JSON."""

    def load(self, path: Path) -> None:
        """Restore what save wrote."""

    def stage_seconds(self) -> Mapping[str, float]:
        """Seconds of the last render by stage: "audio", "field", "composite" (those that apply).

        Optional beside it: `sources() -> Mapping[str, str]`, who taught which part (parsing, depth, judges in losses),
        which goes into provenance; `render_facts() -> Mapping[str, str]` with "device" (cpu or cuda, where it really
        renders), "backend", "precision" and "torso", which tell apart speeds that are not comparable; and
        `pastes_back: bool`, true where every frame comes with its head, to be composited over the target's own torso
        and background.
        """


class OracleMethod(Method, Protocol):
    """May see the target: handed the test clip itself. Never ranked."""

    def render_oracle(self, driving: Driving, target: Clip) -> Iterator[Rendered]: ...


class Judges(Protocol):
    """Networks trained on a dataset's own train split, built on first use; each raises Unavailable with why."""

    def emotion(self) -> Extractor: ...
    def lipsync(self) -> Extractor: ...
    def landmarks(self) -> Extractor: ...
    def tags(self) -> Extractor: ...
    def identity(self) -> Extractor: ...  # for losses alone: judges that score have none


class Scheme(Protocol):
    """A measurement protocol at work, built by its spec's factory with the spec. Raises InputError on a bad file."""

    name: str
    version: str

    def metrics(self) -> Sequence[str] | None:
        """Names of the metrics it measures; None: every one, as it is registered."""

    def build(self, spec: MetricSpec, context: MetricContext) -> Metric:
        """The metric as this protocol measures it; its signature says how. Raises Unavailable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricContext:
    """What a metric may use. `judges` is None where no train split is at hand (`emobench score`)."""

    judges: Judges | None
    locate_weight: Callable[[str], Path]  # verified path of a named weight, or raises Unavailable
    device: str = "cpu"
    threads: int = 1
    unpickle_sha256: str = ""  # the one pickled weight that the user allows to be loaded, elsewhere; "" = none
    classes: tuple[str, ...] = ()  # emotions that classifiers choose among where a protocol masks the others; () = all
