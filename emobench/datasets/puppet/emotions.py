"""What each emotion looks and sounds like: action-unit apexes, prosody, posture. Tables only; nothing moves here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from emobench.types import EMOTIONS

Apex = Mapping[int, float | tuple[float, float]]  # action unit → weight, or (left, right)

# Weight of the apex by level, as MEAD's weak, medium, strong.
LEVEL_GAIN: Mapping[int, float] = {1: 0.45, 2: 0.75, 3: 1.0}
# How far the voice and the posture move from neutral by level.
LEVEL_VOICE: Mapping[int, float] = {1: 0.5, 2: 0.8, 3: 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prosody:
    """How a voice speaks: espeak-ng's own scales and a gain in dB."""

    rate_wpm: float
    pitch: float  # 0..99
    pitch_range: float  # 0..99
    gain_db: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Emotion:
    """Face, voice and posture of one emotion at full strength."""

    apex: Apex
    prosody: Prosody
    mouth_gain: float = 1.0  # how widely the mouth articulates; blended by LEVEL_VOICE, so neutral gets half of it
    head: tuple[float, float, float] = (0.0, 0.0, 0.0)  # yaw, pitch, roll in rad; pitch down is positive
    gaze: tuple[float, float] = (0.0, 0.0)
    energy: float = 1.0  # of head motion
    blink_seconds: float = 3.0  # mean interval
    brow_flash: float = 0.18  # AU1+2 on stressed vowels (Ekman 1979 calls them batons)


CATALOGUE: Mapping[str, Emotion] = {
    "angry": Emotion(
        apex={4: 1.25, 5: 0.5, 7: 0.9, 9: 0.12, 10: 0.35, 15: 0.15, 16: 0.5, 17: 0.25, 23: 0.7, 25: 0.6},
        prosody=Prosody(rate_wpm=184, pitch=55, pitch_range=70, gain_db=5),
        mouth_gain=1.15, head=(0.0, 0.06, 0.0), energy=1.25, blink_seconds=4.5,
    ),
    "contempt": Emotion(
        apex={2: (0.35, 0.0), 7: (0.15, 0.3), 10: (0.0, 0.12), 12: (0.1, 0.6), 14: (0.15, 0.9), 24: 0.25},
        prosody=Prosody(rate_wpm=142, pitch=43, pitch_range=60, gain_db=-2),
        mouth_gain=0.85, head=(0.06, -0.06, 0.05),
    ),
    "disgusted": Emotion(
        apex={1: 0.3, 4: 0.2, 6: 0.5, 7: 0.45, 9: 1.3, 10: 1.3, 15: 0.45, 16: 0.25, 17: 0.65, 25: 0.4, 43: 0.22},
        prosody=Prosody(rate_wpm=140, pitch=40, pitch_range=52, gain_db=0),
        mouth_gain=0.9, head=(0.04, -0.04, 0.02), gaze=(0.0, -0.1), brow_flash=0.12,
    ),
    "fear": Emotion(
        apex={1: 1.0, 2: 0.2, 4: 0.85, 5: 0.95, 7: 0.15, 15: 0.45, 16: 0.35, 20: 0.95, 25: 0.65, 26: 0.2},
        prosody=Prosody(rate_wpm=192, pitch=72, pitch_range=45, gain_db=-1),
        mouth_gain=0.9, head=(0.0, -0.03, 0.0), energy=1.2, blink_seconds=1.6,
    ),
    "happy": Emotion(
        apex={6: 0.75, 7: 0.1, 10: 0.2, 12: 1.0, 25: 0.9, 26: 0.15},
        prosody=Prosody(rate_wpm=178, pitch=64, pitch_range=78, gain_db=2),
        mouth_gain=1.1, head=(0.0, -0.02, 0.0), energy=1.25, brow_flash=0.25,
    ),
    "neutral": Emotion(
        # Relaxed lids and brows: without them the resting face, mouth moving, reads as surprise.
        apex={4: 0.3, 7: 0.1, 12: 0.08, 43: 0.32},
        prosody=Prosody(rate_wpm=160, pitch=50, pitch_range=40, gain_db=0),
        mouth_gain=0.5, brow_flash=0.05,
    ),
    "sad": Emotion(
        apex={1: 1.0, 4: 0.5, 6: 0.25, 7: 0.15, 15: 0.92, 17: 0.5, 43: 0.32},
        prosody=Prosody(rate_wpm=126, pitch=38, pitch_range=18, gain_db=-5),
        mouth_gain=0.85, head=(0.0, 0.12, 0.03), gaze=(0.0, -0.5), energy=0.7, blink_seconds=2.2,
    ),
    "surprised": Emotion(
        apex={1: 1.0, 2: 1.0, 5: 0.8, 18: 0.1, 25: 0.4, 26: 1.0, 27: 0.12},
        prosody=Prosody(rate_wpm=172, pitch=74, pitch_range=92, gain_db=3),
        mouth_gain=1.15, head=(0.0, -0.05, 0.0), energy=1.1, blink_seconds=4.5, brow_flash=0.28,
    ),
}


def apex(emotion: str, level: int) -> dict[int, tuple[float, float]]:
    """Action unit → (left, right) weights of an emotion at a level: on the way from the neutral face to the apex."""
    gain = 1.0 if emotion == "neutral" else LEVEL_GAIN[level]
    rest, full = CATALOGUE["neutral"].apex, CATALOGUE[emotion].apex
    sides = {unit: (_sides(rest.get(unit, 0.0)), _sides(full.get(unit, 0.0))) for unit in sorted({*rest, *full})}
    return {
        unit: (low[0] + (high[0] - low[0]) * gain, low[1] + (high[1] - low[1]) * gain)
        for unit, (low, high) in sides.items()
    }


def _sides(weight: float | tuple[float, float]) -> tuple[float, float]:
    return weight if isinstance(weight, tuple) else (weight, weight)


def prosody(emotion: str, level: int) -> Prosody:
    """The voice of an emotion at a level: blended from neutral."""
    strength, base, full = LEVEL_VOICE[level], CATALOGUE["neutral"].prosody, CATALOGUE[emotion].prosody

    def blend(low: float, high: float) -> float:
        return low + (high - low) * strength

    return Prosody(
        rate_wpm=blend(base.rate_wpm, full.rate_wpm),
        pitch=blend(base.pitch, full.pitch),
        pitch_range=blend(base.pitch_range, full.pitch_range),
        gain_db=blend(base.gain_db, full.gain_db),
    )


def levels_of(emotion: str, levels: tuple[int, ...]) -> tuple[int, ...]:
    """The levels an emotion is played at: neutral has only one."""
    return (1,) if emotion == "neutral" else levels


if set(CATALOGUE) != set(EMOTIONS):
    raise ImportError("the puppet's emotions and emobench.types.EMOTIONS differ")
