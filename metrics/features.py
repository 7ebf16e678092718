"""Features of clips, computed once per extractor and content and kept on disk. Knows no extractor and no metric."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emobench.cache import ArrayCache
from emobench.types import Extractor, Sample

KEPT_IN_MEMORY = 32  # a clip's features are asked for by several metrics in a row


class CachedFeatures:
    """The Features of types.py over an ArrayCache. Failures (UnscoredError) are never cached."""

    def __init__(self, cache: ArrayCache) -> None:
        self._cache = cache
        self._recent: OrderedDict[str, Mapping[str, NDArray[Any]]] = OrderedDict()

    def __call__(self, extractor: Extractor, sample: Sample) -> Mapping[str, NDArray[Any]]:
        """Arrays by name. Raises UnscoredError where the clip gives none."""
        key = f"{extractor.key()}|{sample.sha256}"
        if key not in self._recent:
            self._recent[key] = self._cache.get("features", key, lambda: extractor.extract(sample))
            if len(self._recent) > KEPT_IN_MEMORY:
                self._recent.popitem(last=False)
        self._recent.move_to_end(key)
        return self._recent[key]


class UncachedFeatures:
    """Computes every time; for one-off scores and tests."""

    def __call__(self, extractor: Extractor, sample: Sample) -> Mapping[str, NDArray[Any]]:
        """Arrays by name. Raises UnscoredError where the clip gives none."""
        return {name: np.asarray(array) for name, array in extractor.extract(sample).items()}
