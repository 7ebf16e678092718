"""A protocol at work: builds metrics that see clips through its views. Knows its file and no formula."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import local

import numpy as np

from emobench import registry
from emobench.errors import Unavailable, UnscoredError
from emobench.specs import MetricSpec, ProtocolSpec
from emobench.types import Features, Metric, MetricContext, Sample, Stats

from ..faces import MEDIAPIPE_WEIGHT, FaceLocator
from ..landmarks import LandmarkDetector
from ..signatures import told
from .files import ProtocolFile, Rule, View, read_protocol
from .views import paced, require_counts, show

SHOWN_AT_ONCE = 4  # views of clips kept: prediction and reference in two of them
FRAMES, VIEW_SOURCE = "frames_in_view", "view_source"


class FileScheme:
    """Implements emobench.types.Scheme from a protocol file."""

    def __init__(self, spec: ProtocolSpec) -> None:
        """Raises InputError where the file cannot be used."""
        self.name, self.version = spec.name, spec.version
        self._file: ProtocolFile = read_protocol(spec.file)
        self._kept = Kept()

    def metrics(self) -> Sequence[str] | None:
        """Names of what it measures; None: every metric."""
        return None if self._file.rules is None else tuple(self._file.rules)

    def build(self, spec: MetricSpec, context: MetricContext) -> Metric:
        """The metric under this protocol. Raises Unavailable where it is not measured, or lacks something."""
        make: Callable[[MetricContext], Metric] = registry.load_object(spec.factory)
        if self._file.rules is None:
            return make(context)
        if spec.name not in self._file.rules:
            raise Unavailable(f"protocol {self.name} does not measure {spec.name}")
        rule = self._file.rules[spec.name]
        metric = make(replace(context, classes=rule.classes))
        shown = Showing(self._file.views[rule.view], context, self._kept)
        return SchemedMetric(metric, rule, shown, f"{self.name}@{self.version}")


class Kept(local):
    """The last clips that were shown, in each thread its own: several clips are scored at once."""

    def __init__(self) -> None:
        self.shown: OrderedDict[str, Sample] = OrderedDict()


class Showing:
    """Clips through one view; the last ones are kept, for each is looked at by several metrics."""

    def __init__(self, view: View, context: MetricContext, kept: Kept) -> None:
        """Raises Unavailable where the view needs a landmark detector and there is none."""
        self.view, self._kept = view, kept
        self._locate = FaceLocator(context)
        self._detect = LandmarkDetector(context) if view.crop == "aligned" else None

    @property
    def text(self) -> str:
        """The view in words, with the detector that aligns."""
        return f"{self.view.text} by {self._detect.label}" if self._detect else self.view.text

    def __call__(self, sample: Sample, reference: Sample | None, features: Features) -> Sample:
        """The sample in the view. Raises UnscoredError where no face is found that the view needs."""
        owner = "" if reference is None else reference.sha256
        # Content is not all: a perfect prediction has its reference's sha256 but not its track, timing or tag.
        own = (sample.clip_id, sample.subject, sample.emotion, sample.intensity, sample.track is None, sample.timing)
        key = f"{self.text}|{sample.sha256}|{own}|{owner}"
        kept = self._kept.shown
        if key not in kept:
            clip = paced(sample, self.view.fps)
            other = None if reference is None else paced(reference, self.view.fps)
            located = self._locate(clip, other, features) if self.view.crop == "face" else clip
            landmarks = self._detect(clip, other, features) if self._detect else None
            kept[key] = show(self.view, clip, located, landmarks)
            while len(kept) > SHOWN_AT_ONCE:
                kept.popitem(last=False)
        return kept[key]

    def source(self, reference: Sample | None) -> str:
        """What the view's crops of a clip with this reference were placed by; "" where nothing is cut."""
        if self._detect:
            return self._detect.name
        return self._locate.source(reference) if self.view.crop == "face" else ""


class SchemedMetric:
    """A metric that is handed clips as the rule shows them, and says so in its signature."""

    def __init__(self, metric: Metric, rule: Rule, shown: Showing, label: str) -> None:
        self._metric, self._rule, self._shown, self._label = metric, rule, shown, label

    @property
    def bootstrap_resamples(self) -> int | None:
        found: int | None = getattr(self._metric, "bootstrap_resamples", None)
        return found

    def measure(self, prediction: Sample, reference: Sample | None, features: Features) -> Stats:
        """Raises UnscoredError with the metric's reason, on clips of unlike counts, or where the view shows too few."""
        if reference is not None:
            require_counts(prediction, reference)
        ours = self._shown(prediction, reference, features)
        theirs = None if reference is None else self._shown(reference, reference, features)
        if len(ours.frames) < self._rule.min_frames:
            raise UnscoredError(
                f"clip of {len(ours.frames)} frames; protocol {self._label} scores {self._rule.min_frames} and more"
            )
        stats = self._metric.measure(ours, theirs, features)
        source = self._shown.source(reference)
        placed = {VIEW_SOURCE: source} if source else {}
        return replace(stats, detail={**stats.detail, **placed, FRAMES: len(ours.frames)})

    def aggregate(self, stats: Sequence[Stats]) -> float | None:
        """As the metric does; where each frame counts once, the mean of clips' values weighed by their frames."""
        if self._rule.pool == "clips":
            return self._metric.aggregate(stats)
        finite = [(entry.value, int(entry.detail[FRAMES])) for entry in stats if entry.value is not None]
        values, weights = [value for value, _ in finite], [frames for _, frames in finite]
        return float(np.average(values, weights=weights)) if finite else None

    def caveat(self, stats: Sequence[Stats]) -> str | None:
        hook: Callable[[Sequence[Stats]], str | None] | None = getattr(self._metric, "caveat", None)
        return hook(stats) if hook else None

    def weights_used(self, stats: Sequence[Stats]) -> Sequence[str]:
        hook: Callable[[Sequence[Stats]], Sequence[str]] | None = getattr(self._metric, "weights_used", None)
        placed = any(str(entry.detail.get(VIEW_SOURCE, "")).startswith("mediapipe") for entry in stats)
        return [*(hook(stats) if hook else ()), *((MEDIAPIPE_WEIGHT,) if placed else ())]

    def signature(self) -> str:
        return self._worded(self._metric.signature(), "")

    def signature_over(self, stats: Sequence[Stats]) -> str:
        hook: Callable[[Sequence[Stats]], str] | None = getattr(self._metric, "signature_over", None)
        boxes = told(stats, VIEW_SOURCE) if self._shown.view.crop == "face" else ""
        return self._worded(hook(stats) if hook else self._metric.signature(), boxes)

    def _worded(self, signature: str, boxes: str) -> str:
        parts = [self._shown.text, f"boxes: {boxes}" if boxes else "", self._rule.text]
        return f"{signature}|protocol:{self._label}: {'; '.join(filter(None, parts)).replace('|', ',')}"
