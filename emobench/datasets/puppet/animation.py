"""One performance: an utterance, an emotion at a level and a seed become α and head motion, frame by frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .alpha import ACTION_UNITS, MOUTH_UNITS, N_UNITS, ROW
from .emotions import CATALOGUE, LEVEL_VOICE, Emotion, apex
from .motion import Curve, blinks, saccades, smoothstep, sway
from .speech import Utterance
from .visemes import CHANNELS, SILENCE, Segment, articulate, open_by_loudness, segment

# Mouth channel → action units and their gain while speaking.
VISEME_UNITS: Mapping[str, tuple[tuple[int, float], ...]] = {
    "jaw": ((26, 1.25),), "wide": ((20, 0.45),), "round": ((18, 0.65),), "funnel": ((22, 0.6),),
    "close": ((24, 0.6),), "bite": ((28, 0.45), (17, 0.35)), "raise": ((10, 0.22),), "depress": ((16, 0.4),),
}  # fmt: skip
PART_GAIN = 0.75  # AU25
# Share of an emotional mouth unit that remains while a sound is articulated, and in the silence around it: mouths
# that wait to speak, or have spoken, are nearly shut whatever they feel.
HELD_WHILE_SPEAKING: Mapping[int, float] = {12: 0.95, 15: 1.0, 20: 1.0, 25: 0.5, 26: 0.4, 27: 0.4}
HELD_IN_SILENCE: Mapping[int, float] = {10: 0.8, 16: 0.5, 25: 0.35, 26: 0.3, 27: 0.3}
HELD_OTHERWISE = 0.92  # of other emotional mouth units, while speaking
GIVE_WAY: Mapping[int, float] = {10: 1.0, 16: 1.0, 25: 1.0, 26: 0.9, 27: 1.0}  # share that a closed p, b or m takes
FULL_CLOSURE = 0.75  # of the closing channel: from here on the lips touch
ONSET_FROM, ONSET_SECONDS = 0.45, 0.6  # an emotion starts at this share of its strength and takes so long to unfold
WEIGHT_LIMIT = 1.4
OPENING_LIMIT = 1.3
DEGREE = np.pi / 180
EYES_YAW, EYES_PITCH = 28 * DEGREE, 24 * DEGREE  # of the eyeballs at gaze 1, as in head_model
YAW, PITCH, ROLL = 3.2 * DEGREE, 1.8 * DEGREE, 1.5 * DEGREE  # standard deviations of the sway


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """What the head does in one clip. Angles turn the head about its neck: yaw, pitch (down positive), roll."""

    alpha: NDArray[np.float32]  # (T, 49), see alpha.ALPHA_NAMES
    angles: Curve  # (T, 3) rad
    shift: Curve  # (T, 3) mm
    segments: tuple[Segment, ...]


def articulation_gain(emotion: str, level: int) -> float:
    """How widely a voice of an emotion at a level moves the mouth; 1 is neutral's base."""
    return 1 + (CATALOGUE[emotion].mouth_gain - 1) * LEVEL_VOICE[level]


def perform(
    utterance: Utterance, emotion: str, level: int, rng: np.random.Generator, *, mouth_gain: float | None = None
) -> Performance:
    """Animate an utterance with the face of an emotion at a level; every random choice comes from `rng`.

    `mouth_gain` is the articulation of a voice of another emotion (mismatch); None = the voice is of `emotion` too.
    """
    look, n, fps = CATALOGUE[emotion], utterance.n_frames, utterance.fps
    strength = LEVEL_VOICE[level]
    segments = open_by_loudness(segment(utterance.phonemes), utterance)
    mouth = articulate(segments, fps, n, articulation_gain(emotion, level) if mouth_gain is None else mouth_gain)
    seconds = (np.arange(n) + 0.5) / fps
    speaking = _speaking(segments, seconds)
    stress = _stress(segments, seconds)
    units = _emotional_units(emotion, level, rng, seconds, fps, speaking)
    _add_speech(units, mouth, speaking)
    for unit in (1, 2):
        units[:, ROW[unit]] += (look.brow_flash * stress)[:, None]
    lids = units[:, ROW[43]]
    closing = blinks(rng, seconds, n / fps, look.blink_seconds)[:, None]
    units[:, ROW[43]] = np.minimum(1, lids + closing * (1 - lids))
    for unit in (10, 16, 25, 27):
        units[:, ROW[unit]] = np.minimum(units[:, ROW[unit]], OPENING_LIMIT)
    angles, shift = _head_motion(look, strength, rng, n, fps, stress)
    gaze = saccades(rng, seconds, n / fps) + np.array(look.gaze) * strength
    gaze += np.stack([-angles[:, 0] / EYES_YAW, angles[:, 1] / EYES_PITCH], 1)  # eyes keep looking at the camera
    tongue = mouth[:, CHANNELS.index("tongue")] * speaking
    alpha = np.concatenate(
        [np.clip(units, 0, WEIGHT_LIMIT).reshape(n, 2 * N_UNITS), np.clip(gaze, -1, 1), tongue[:, None]], axis=1
    )
    return Performance(alpha=alpha.astype(np.float32), angles=angles, shift=shift, segments=segments)


def _speaking(segments: tuple[Segment, ...], seconds: Curve) -> Curve:
    """1 while a sound is articulated, 0 in silence, smoothed over seven frames."""
    active = np.zeros(len(seconds))
    for part in segments:
        if part.viseme != SILENCE:
            active[(seconds > part.start_seconds - 0.08) & (seconds < part.end_seconds + 0.10)] = 1.0
    return np.convolve(np.pad(active, 3, mode="edge"), np.full(7, 1 / 7), "valid")


def _stress(segments: tuple[Segment, ...], seconds: Curve) -> Curve:
    """A bump of 0.1 s on every stressed vowel."""
    bumps = np.zeros(len(seconds))
    for part in segments:
        if part.is_stressed:
            bumps += np.exp(-0.5 * ((seconds - part.centre_seconds) / 0.10) ** 2)
    return bumps


def _emotional_units(
    emotion: str, level: int, rng: np.random.Generator, seconds: Curve, fps: float, speaking: Curve
) -> Curve:
    """(T, 23, 2) weights of the emotion alone: onset, sway, jitter, asymmetry; the mouth holds back for speech."""
    n = len(seconds)
    duration = n / fps
    envelope = ONSET_FROM + (1 - ONSET_FROM) * smoothstep(0, ONSET_SECONDS, seconds)
    envelope *= 1 - 0.25 * smoothstep(duration - 0.35, duration, seconds)
    envelope *= 1 + 0.5 * sway(rng, n, fps, 0.8, 0.12)
    asymmetry = rng.normal(0, 0.05)
    units = np.zeros((n, N_UNITS, 2))
    weights = apex(emotion, level)
    for unit in ACTION_UNITS:
        jitter = 1 + sway(rng, n, fps, 0.4, 0.09)
        if unit not in weights:
            continue
        curve = envelope * jitter
        if unit in MOUTH_UNITS:
            silent, spoken = HELD_IN_SILENCE.get(unit, 1.0), HELD_WHILE_SPEAKING.get(unit, HELD_OTHERWISE)
            curve = curve * (silent + speaking * (spoken - silent))
        left, right = weights[unit]
        units[:, ROW[unit], 0] = left * curve * (1 + asymmetry)
        units[:, ROW[unit], 1] = right * curve * (1 - asymmetry)
    return units


def _add_speech(units: Curve, mouth: Curve, speaking: Curve) -> None:
    """Add the articulation to both sides, in place; whatever holds the lips apart gives way to p, b and m."""
    for channel, targets in VISEME_UNITS.items():
        curve = mouth[:, CHANNELS.index(channel)] * speaking
        for unit, gain in targets:
            units[:, ROW[unit]] += (gain * curve)[:, None]
    units[:, ROW[25]] += (PART_GAIN * mouth[:, CHANNELS.index("part")] * speaking)[:, None]
    closed = np.clip(mouth[:, CHANNELS.index("close")] / FULL_CLOSURE, 0, 1)
    for unit, share in GIVE_WAY.items():
        units[:, ROW[unit]] *= (1 - share * closed)[:, None]


def _head_motion(
    look: Emotion, strength: float, rng: np.random.Generator, n: int, fps: float, stress: Curve
) -> tuple[Curve, Curve]:
    """Angles (T, 3) rad and shift (T, 3) mm: posture of the emotion, sway, and nods on stressed vowels."""
    energy = look.energy
    yaw = look.head[0] * strength + sway(rng, n, fps, 0.7, YAW * energy)
    pitch = look.head[1] * strength + sway(rng, n, fps, 0.6, PITCH * energy) + 1.28 * DEGREE * energy * stress
    roll = look.head[2] * strength + sway(rng, n, fps, 0.9, ROLL * energy)
    shift = np.stack([sway(rng, n, fps, 0.8, 1.5), sway(rng, n, fps, 0.8, 1.2), np.zeros(n)], axis=1)
    return np.stack([yaw, pitch, roll], axis=1), shift
