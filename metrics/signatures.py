"""The one spelling of metric signatures: everything that changes a value, in a fixed order. Knows no metric."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from emobench.hashing import hash_file, hash_text, short
from emobench.types import Stats

CLIP_MEAN = "mean over clips with a finite value"


def signature(
    variant: str,
    *,
    weights: str = "none",
    crop: str = "full frame",
    resize: str = "none",
    pool: str = CLIP_MEAN,
    version: str,
) -> str:
    """variant|weights:…|crop:…|resize:…|pool:…|v…; a '|' inside a part becomes ','."""
    parts = (variant, f"weights:{weights}", f"crop:{crop}", f"resize:{resize}", f"pool:{pool}", f"v{version}")
    return "|".join(part.replace("|", ",") for part in parts)


def weight_label(name: str, *paths: Path) -> str:
    """A weight as signatures name it: manifest name and the leading digits of its files' sha256."""
    digests = [hash_file(path) for path in paths]
    return f"{name}@{short(digests[0] if len(digests) == 1 else hash_text(' '.join(digests)))}"


def mean_over_clips(stats: Sequence[Stats]) -> float | None:
    """Mean of the clips' own values; None where no clip has one (all infinite, or no clips)."""
    values = [entry.value for entry in stats if entry.value is not None]
    return float(sum(values) / len(values)) if values else None


def told(stats: Sequence[Stats], name: str) -> str:
    """What the clips' details say under `name`: one value, or all of them joined by '+', or 'none'."""
    return "+".join(sorted({str(entry.detail[name]) for entry in stats if name in entry.detail})) or "none"
