"""Means, ratios and intervals over clips from errors by row, seed and clip. Knows no method and no file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emobench.stats import bootstrap_interval, paired_bootstrap

RESAMPLES = 2000
GROUPS = ("mouth", "upper")

Errors = NDArray[np.float64]  # (clips, 2), or (seeds, clips, 2)


def mean_with_interval(values: Errors) -> dict[str, Any]:
    """Of each group: mean over clips and seeds, 95 % interval over clips, deviation of the seeds' means."""
    by_clip = values if values.ndim == 2 else values.mean(axis=0)
    found: dict[str, Any] = {}
    for column, group in enumerate(GROUPS):
        low, high = bootstrap_interval(by_clip[:, column].tolist(), None, seed=0)
        found[group] = {"mean": float(by_clip[:, column].mean()), "low": low, "high": high}
        if values.ndim == 3 and len(values) > 1:
            found[group]["seed_deviation"] = float(values[..., column].mean(axis=1).std(ddof=1))
    return found


def ratio(a: Errors, b: Errors) -> dict[str, Any]:
    """Of each group: mean of a / mean of b over the same clips, with its percentile interval over clips.

    Raises ValueError where both have seeds and not as many: means of unlike seeds are no ratio.
    """
    if a.ndim == b.ndim == 3 and len(a) != len(b):
        raise ValueError(f"{len(a)} seeds over {len(b)}: give the seeds that both rows have")
    first, second = (x if x.ndim == 2 else x.mean(axis=0) for x in (a, b))
    drawn = np.random.default_rng(0).integers(len(first), size=(RESAMPLES, len(first)))
    ratios = first[drawn].mean(axis=1) / second[drawn].mean(axis=1)
    low, high = np.percentile(ratios, (2.5, 97.5), axis=0)
    whole = first.mean(axis=0) / second.mean(axis=0)
    return {g: {"ratio": float(whole[c]), "low": float(low[c]), "high": float(high[c])} for c, g in enumerate(GROUPS)}


def difference(a: Errors, b: Errors) -> dict[str, Any]:
    """Of each group: mean of b − a over the same clips, its interval and the p of the sign-flip test."""
    first, second = (x if x.ndim == 2 else x.mean(axis=0) for x in (a, b))
    found = {}
    for column, group in enumerate(GROUPS):
        paired = paired_bootstrap(first[:, column].tolist(), second[:, column].tolist(), None, seed=0)
        found[group] = {"delta": paired.delta, "low": paired.ci_low, "high": paired.ci_high, "p": paired.p}
    return found


def by_emotion(rows: Mapping[str, Errors], row: str, others: Sequence[str], emotions: Sequence[str]) -> dict[str, Any]:
    """Ratios of a row to others, emotion by emotion."""
    labels = np.array(emotions)
    return {
        emotion: {
            other: ratio(rows[row][..., labels == emotion, :], rows[other][..., labels == emotion, :])
            for other in others
        }
        for emotion in sorted(set(emotions))
    }  # fmt: skip


def by_pair(values: Errors, voices: Sequence[str], tags: Sequence[str]) -> dict[str, dict[str, list[float]]]:
    """voice → tag → [mouth, upper], mean over subjects and seeds."""
    by_clip = values if values.ndim == 2 else values.mean(axis=0)
    heard, shown = np.array(voices), np.array(tags)
    return {
        voice: {
            tag: by_clip[(heard == voice) & (shown == tag)].mean(axis=0).tolist()
            for tag in sorted(set(tags)) if tag != voice
        }
        for voice in sorted(set(voices))
    }  # fmt: skip
