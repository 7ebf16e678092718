"""Figures from verdicts and takes: pure functions, one small dictionary each. Loads no network and renders nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from puppet_filmed import FPS, Take
from puppet_judged import SHAPES, Verdict

from emobench.face.landmarks import mouth_opening
from emobench.metrics.expressnet import CLASSES
from emobench.metrics.opening import MAX_LAG_FRAMES, best_lag, frame_energy_db, pearson
from emobench.stats import bootstrap_interval

Figures = dict[str, Any]
CLOSED_SHARE = 0.15  # of the clip's 95th percentile of the gap: below, the lips count as closed
NEARBY_FRAMES = 1
SHIFT_FRAMES = 3
STILL = {"jaw open": 1.0}  # deviation of a truth that does not move: no r for the clip
STILL_WEIGHT = 0.03


def _interval(values: Sequence[float]) -> list[float | None]:
    return list(bootstrap_interval(values, None, seed=0))


# ---- MediaPipe ----


def detection(verdicts: Sequence[Verdict]) -> Figures:
    """Share of speaking frames in which the landmarker finds a face."""
    found = np.concatenate([v.found for v in verdicts])
    return {"share": float(found.mean()), "found": int(found.sum()), "frames": len(found)}


def fit_offset(verdicts: Sequence[Verdict]) -> NDArray[np.float64]:
    """(51, 2) what the landmarker's definition of each point differs by: mean over subjects of their mean deviation."""
    subjects = sorted({v.subject for v in verdicts})
    means = [np.nanmean(np.concatenate([v.deviations for v in verdicts if v.subject == s]), axis=0) for s in subjects]
    return np.asarray(np.mean(means, axis=0), np.float64)


def landmark_error(verdicts: Sequence[Verdict], offset: NDArray[np.float64] | None) -> Figures:
    """Mean over clips of the mean distance over 51 points, / distance of the outer eye corners."""
    shift = 0.0 if offset is None else offset
    clips = [float(np.nanmean(np.linalg.norm(v.deviations - shift, axis=2))) for v in verdicts]
    every = np.concatenate([v.deviations for v in verdicts])
    by_point = np.nanmean(np.linalg.norm(every - shift, axis=2), axis=0)
    regions = {"brows": (0, 10), "nose": (10, 19), "eyes": (19, 31), "mouth": (31, 51)}
    return {
        "mean": float(np.mean(clips)), "interval": _interval(clips), "clips": len(clips),
        "regions": {name: float(by_point[a:b].mean()) for name, (a, b) in regions.items()},
    }  # fmt: skip


def blendshapes(verdicts: Sequence[Verdict]) -> Figures:
    """Pearson r of tracked blendshapes with true action units: over all frames, by subject, median over clips."""
    tracked, true = (np.concatenate([getattr(v, name) for v in verdicts]) for name in ("tracked", "true"))
    valid = np.isfinite(tracked).all(axis=1)
    result: Figures = {}
    for column, name in enumerate(SHAPES):
        singles = []
        for v in verdicts:
            seen = v.found & np.isfinite(v.tracked[:, column])
            if v.true[seen, column].std() > STILL.get(name, STILL_WEIGHT):
                r = pearson(v.tracked[seen, column].astype(float), v.true[seen, column].astype(float))
                singles += [] if r is None else [r]
        result[name] = {
            "pooled": pearson(tracked[valid, column].astype(float), true[valid, column].astype(float)),
            "by_subject": _by_subject(verdicts, column),
            "clip_median": float(np.median(singles)) if singles else None, "clips": len(singles),
            "frames": int(valid.sum()), "tracked_max": float(tracked[valid, column].max()),
        }  # fmt: skip
    return result


def _by_subject(verdicts: Sequence[Verdict], column: int) -> dict[str, float | None]:
    """r over all frames of one subject: trackers read a face's rest, and how far it moves, differently for each."""
    result = {}
    for subject in sorted({v.subject for v in verdicts}):
        own = [v for v in verdicts if v.subject == subject]
        tracked = np.concatenate([v.tracked[v.found, column] for v in own]).astype(float)
        true = np.concatenate([v.true[v.found, column] for v in own]).astype(float)
        result[subject] = pearson(tracked, true)
    return result


# ---- expression ----


def expression(verdicts: Sequence[Verdict], level: int) -> Figures:
    """Clip accuracy over 7 classes at a level; neutral, which has one level, counts in all of them."""
    chosen = [v for v in verdicts if v.emotion in CLASSES and (v.level == level or v.emotion == "neutral")]
    matrix = np.zeros((len(CLASSES), len(CLASSES)), int)
    for v in chosen:
        matrix[CLASSES.index(v.emotion), int(v.probabilities.argmax())] += 1
    hits = [float(CLASSES[int(v.probabilities.argmax())] == v.emotion) for v in chosen]
    own = {
        c: float(np.mean([v.probabilities[CLASSES.index(c)] for v in chosen if v.emotion == c] or [np.nan]))
        for c in CLASSES
    }
    return {
        "accuracy": float(np.mean(hits)), "interval": _interval(hits), "clips": len(hits), "classes": list(CLASSES),
        "confusion": matrix.tolist(), "probability_of_own": own,
    }  # fmt: skip


# ---- identity ----


def embeddings_by_clip(verdicts: Sequence[Verdict]) -> dict[str, list[NDArray[np.float32]]]:
    """Subject → one (k, D) array a clip."""
    table: dict[str, list[NDArray[np.float32]]] = {}
    for v in verdicts:
        table.setdefault(v.subject, []).append(v.embeddings)
    return table


def identity(own: dict[str, list[NDArray[np.float32]]], others: dict[str, list[NDArray[np.float32]]]) -> Figures:
    """Cosines of frames of different clips of one subject against frames of a subject and of every other one.

    `own`: the subjects asked about; `others`: further subjects, which only serve as somebody else.
    """
    same, different, pairs = [], [], {}
    names = sorted(own)
    for index, name in enumerate(names):
        clips = own[name]
        stacked = np.concatenate(clips)
        owner = np.repeat(np.arange(len(clips)), [len(c) for c in clips])
        upper = np.triu(owner[:, None] != owner[None, :], 1)
        same.append((stacked @ stacked.T)[upper])
        for other in [*names[index + 1 :], *sorted(set(others) - set(names))]:
            foreign = np.concatenate(own[other] if other in own else others[other])
            cosines = (stacked @ foreign.T).ravel()
            different.append(cosines)
            pairs[f"{name}-{other}"] = float(np.median(cosines))
    if not same or not different:
        return {"reason": "fewer than two subjects"}
    s, d = np.concatenate(same).astype(float), np.concatenate(different).astype(float)
    return {
        "auc": _auc(s, d), "same_median": float(np.median(s)), "different_median": float(np.median(d)),
        "gap": float(np.median(s) - np.median(d)), "same_pairs": len(s), "different_pairs": len(d),
        "closest": max(pairs.items(), key=lambda item: item[1]), "pairs": pairs,
        "same_by_subject": {name: float(np.median(values)) for name, values in zip(names, same, strict=True)},
    }  # fmt: skip


def _auc(high: NDArray[np.float64], low: NDArray[np.float64]) -> float:
    """Probability that a value of `high` exceeds one of `low`, ties half."""
    ordered = np.sort(low)
    below, upto = (np.searchsorted(ordered, high, side=side) for side in ("left", "right"))
    return float((below + upto).mean() / 2 / len(low))


# ---- lips ----


def closures(takes: Sequence[Take], shift_frames: int) -> Figures:
    """Share of /p b m/ whose inner-lip gap falls below CLOSED_SHARE of the clip's 95th percentile near the centre.

    `shift_frames` delays the sound against the picture. By exact landmarks, and by the widest gap of the mesh.
    """
    hits: dict[str, list[float]] = {"landmarks": [], "mesh": []}
    clips: dict[str, list[float]] = {"landmarks": [], "mesh": []}
    for take in takes:
        gaps = {"landmarks": np.asarray(mouth_opening(take.landmarks), float), "mesh": take.lip_gap_mm}
        frames = [round(c * FPS - 0.5) + shift_frames for c in bilabial_centres(take)]
        for name, gap in gaps.items():
            limit = CLOSED_SHARE * np.percentile(gap, 95)
            near = [gap[max(f - NEARBY_FRAMES, 0) : f + NEARBY_FRAMES + 1] for f in frames]
            closed = [float(part.min() < limit) for part in near if len(part)]
            hits[name] += closed
            clips[name] += [float(np.mean(closed))] if closed else []
    return {
        name: {"share": float(np.mean(v)), "n": len(v), "interval": _interval(clips[name])} for name, v in hits.items()
    }


def bilabial_centres(take: Take) -> list[float]:
    """Centres of p, b and m in seconds."""
    sounds = ((p.ipa.lstrip("ˈˌ_"), (p.start_seconds + p.end_seconds) / 2) for p in take.phonemes)
    return [centre for ipa, centre in sounds if ipa[:1] in ("p", "b", "m")]


def opening_against_sound(openings: Sequence[NDArray[np.float64]], takes: Sequence[Take]) -> Figures:
    """Correlation over frames of the mouth's opening with the sound's energy; positive lag: the mouth is late.

    Energy: mean square of each frame's own samples (40 ms at 25 fps, whole band to 8 kHz), dB, not below −80 dB of
    full scale: emobench.metrics.opening, the same recipe as for real clips. Pooled r: mean over clips at each lag.
    """
    lags = range(-MAX_LAG_FRAMES, MAX_LAG_FRAMES + 1)
    curves, peaks, best, zero = [], [], [], []
    for opening, take in zip(openings, takes, strict=True):
        energy = frame_energy_db(take.audio, FPS, len(opening))
        curves.append([_lagged(opening, energy, lag) for lag in lags])
        found = best_lag(opening, energy)
        if found is not None:
            peaks.append(found[0])
            best.append(found[1])
            zero.append(curves[-1][MAX_LAG_FRAMES])
    pooled = np.mean(curves, axis=0)
    near = [float(abs(p) <= 1) for p in peaks]
    return {
        "pooled_peak_lag": int(np.argmax(pooled)) - MAX_LAG_FRAMES, "pooled_r": np.round(pooled, 4).tolist(),
        "near_zero_share": float(np.mean(near)), "near_zero_interval": _interval(near), "clips": len(peaks),
        "median_best_r": float(np.median(best)), "median_r_at_zero": float(np.median(zero)),
        "lags": {str(lag): int(np.sum(np.array(peaks) == lag)) for lag in lags},
    }  # fmt: skip


def _lagged(opening: NDArray[np.float64], energy: NDArray[np.float64], lag: int) -> float:
    a = opening[max(lag, 0) : len(opening) + min(lag, 0)]
    b = energy[max(-lag, 0) : len(energy) + min(-lag, 0)]
    return pearson(a, b) or 0.0


def lips(takes: Sequence[Take]) -> Figures:
    """Closures, the same against shifted sound, and opening against energy, from exact landmarks."""
    exact = [np.asarray(mouth_opening(take.landmarks), float) for take in takes]
    return {
        "closures": closures(takes, 0), "sound_late": closures(takes, SHIFT_FRAMES),
        "sound_early": closures(takes, -SHIFT_FRAMES), "energy": opening_against_sound(exact, takes),
        "clips": len(takes),
    }  # fmt: skip
