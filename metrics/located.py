"""What metrics share whose value is a mean over clips, of faces or regions found by boxes. Knows no formula."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from emobench.types import MetricContext, Stats

from .faces import FaceLocator, landmarker_used
from .signatures import mean_over_clips


class LocatedMetric(ABC):
    """A metric whose faces FaceLocator finds, and whose signature depends on where these clips' boxes came from."""

    def __init__(self, context: MetricContext) -> None:
        self._locate = FaceLocator(context)

    def aggregate(self, stats: Sequence[Stats]) -> float | None:
        return mean_over_clips(stats)

    def weights_used(self, stats: Sequence[Stats]) -> Sequence[str]:
        return landmarker_used(stats)

    def signature(self) -> str:
        """With the rule by which boxes are found; `signature_over` has what these clips' boxes came from."""
        return self.signature_over(())

    @abstractmethod
    def signature_over(self, stats: Sequence[Stats]) -> str:
        """The signature of a value over these clips."""
