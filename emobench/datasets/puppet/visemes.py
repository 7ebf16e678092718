"""From phonemes to mouth targets over time: the viseme table and Cohen–Massaro co-articulation. No emotion here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from emobench.types import SAMPLE_RATE_HZ

from .motion import Curve
from .speech import Phoneme, Utterance

CHANNELS = ("jaw", "wide", "round", "funnel", "close", "bite", "raise", "depress", "tongue", "part")
OVERSAMPLING = 4  # curves are computed at this multiple of the frame rate, then averaged
LEAD_SECONDS = 0.03  # mouths move before they are heard
STRESS_GAIN = 1.15  # jaw opening of a vowel with primary stress
LOUDNESS_DB_PER_DECADE = 48.0  # 6 dB open the jaw by a third
LOUDNESS_LIMITS = (0.55, 1.4)
CONTACT_SHARE = 0.42  # of a sound's length, before and after its centre, in which p, b, m, f and v hold their contact
SILENT_DB, SILENT_POWER = -80.0, 1e-8
BILABIAL, LABIODENTAL, SILENCE = "PBM", "FV", "sil"
VOWELS = frozenset({"AA", "AE", "AH", "EH", "IH", "IY", "AO", "OW", "UW", "ER"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Viseme:
    """Targets of the mouth channels (0..1), and how strongly the viseme dominates its neighbours."""

    dominance: float
    targets: Mapping[str, float] = field(default_factory=dict)

    def vector(self) -> Curve:
        """(10,) targets in the order of CHANNELS."""
        return np.array([self.targets.get(name, 0.0) for name in CHANNELS])


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A viseme with its time span; `gain` scales the jaw (0 silences it)."""

    viseme: str
    start_seconds: float
    end_seconds: float
    gain: float = 1.0
    is_stressed: bool = False  # of a vowel with primary stress

    @property
    def centre_seconds(self) -> float:
        return (self.start_seconds + self.end_seconds) / 2


def _viseme(dominance: float, **targets: float) -> Viseme:
    return Viseme(dominance=dominance, targets=targets)


VISEMES: Mapping[str, Viseme] = {
    "sil": _viseme(0.35, jaw=0.02, part=0.05),
    "PBM": _viseme(1.6, jaw=0.06, close=1.0),
    "FV": _viseme(1.3, jaw=0.12, bite=1.0, part=0.25, **{"raise": 0.15}),
    "TH": _viseme(0.9, jaw=0.18, part=0.7, tongue=0.9),
    "TDN": _viseme(0.55, jaw=0.16, part=0.6, tongue=0.6, wide=0.1),
    "SZ": _viseme(0.85, jaw=0.08, part=0.75, wide=0.30, depress=0.35),
    "SH": _viseme(1.1, jaw=0.12, part=0.6, funnel=0.75, round=0.25),
    "KG": _viseme(0.4, jaw=0.22, part=0.5),
    "R": _viseme(0.8, jaw=0.16, part=0.4, round=0.5, funnel=0.25),
    "L": _viseme(0.6, jaw=0.26, part=0.7, tongue=0.8),
    "W": _viseme(1.2, jaw=0.12, part=0.25, round=1.0),
    "H": _viseme(0.25, jaw=0.25, part=0.5),
    "AA": _viseme(1.0, jaw=0.95, part=0.8),
    "AE": _viseme(1.0, jaw=0.72, part=0.8, wide=0.35, depress=0.2),
    "AH": _viseme(0.8, jaw=0.50, part=0.65),
    "EH": _viseme(0.9, jaw=0.48, part=0.7, wide=0.30),
    "IH": _viseme(0.8, jaw=0.26, part=0.65, wide=0.35),
    "IY": _viseme(0.95, jaw=0.16, part=0.6, wide=0.7),
    "AO": _viseme(1.0, jaw=0.68, part=0.6, round=0.40, funnel=0.35),
    "OW": _viseme(1.0, jaw=0.42, part=0.45, round=0.7, funnel=0.2),
    "UW": _viseme(1.05, jaw=0.20, part=0.3, round=0.95),
    "ER": _viseme(0.9, jaw=0.32, part=0.5, round=0.35, funnel=0.25),
}

# IPA prefix → visemes with their share of the duration; longer prefixes first.
_DIPHTHONGS: Mapping[str, tuple[tuple[str, float], ...]] = {
    "aɪ": (("AA", 0.55), ("IY", 0.45)), "aʊ": (("AA", 0.55), ("UW", 0.45)), "eɪ": (("EH", 0.5), ("IY", 0.5)),
    "oʊ": (("OW", 0.55), ("UW", 0.45)), "əʊ": (("AH", 0.5), ("UW", 0.5)), "ɔɪ": (("AO", 0.55), ("IY", 0.45)),
    "tʃ": (("TDN", 0.35), ("SH", 0.65)), "dʒ": (("TDN", 0.35), ("SH", 0.65)),
}
_SINGLE: Mapping[str, str] = {
    "iː": "IY", "uː": "UW", "ɑː": "AA", "ɔː": "AO", "ɜː": "ER", "oː": "OW", "ɚ": "ER", "ɹ": "R", "r": "R", "ɾ": "TDN",
    "p": "PBM", "b": "PBM", "m": "PBM", "f": "FV", "v": "FV", "θ": "TH", "ð": "TH", "t": "TDN", "d": "TDN", "n": "TDN",
    "s": "SZ", "z": "SZ", "ʃ": "SH", "ʒ": "SH", "k": "KG", "ɡ": "KG", "g": "KG", "ŋ": "KG", "l": "L", "w": "W",
    "h": "H", "j": "IY", "i": "IY", "ɪ": "IH", "ᵻ": "IH", "e": "EH", "ɛ": "EH", "æ": "AE", "a": "AA", "ɐ": "AH",
    "ʌ": "AH", "ə": "AH", "ɑ": "AA", "ɒ": "AO", "ɔ": "AO", "o": "OW", "u": "UW", "ʊ": "UW", "ʔ": "KG",
}  # fmt: skip
IPA_PREFIXES: tuple[tuple[str, tuple[tuple[str, float], ...]], ...] = (
    *_DIPHTHONGS.items(),
    *((ipa, ((viseme, 1.0),)) for ipa, viseme in _SINGLE.items()),
)


def segment(phonemes: Sequence[Phoneme]) -> tuple[Segment, ...]:
    """Viseme segments of an utterance, from time 0 to the end of its last phoneme."""
    segments: list[Segment] = []
    if phonemes and phonemes[0].start_seconds > 0:
        segments.append(
            Segment(viseme=SILENCE, start_seconds=0.0, end_seconds=phonemes[0].start_seconds, gain=0.0)
        )
    for phoneme in phonemes:
        segments += _segments_of(phoneme)
    return tuple(segments)


def _segments_of(phoneme: Phoneme) -> list[Segment]:
    gain = STRESS_GAIN if "ˈ" in phoneme.ipa else 1.0
    ipa = phoneme.ipa.replace("ˈ", "").replace("ˌ", "").strip("_:")
    span = phoneme.end_seconds - phoneme.start_seconds
    shares = next((shares for prefix, shares in IPA_PREFIXES if ipa.startswith(prefix)), (("AH", 1.0),))
    if not ipa:
        shares, gain = ((SILENCE, 1.0),), 1.0
    segments, start = [], phoneme.start_seconds
    for name, share in shares:
        end = start + span * share
        stressed = gain > 1 and name in VOWELS
        segments.append(Segment(viseme=name, start_seconds=start, end_seconds=end, gain=gain, is_stressed=stressed))
        start = end
    return segments


def open_by_loudness(segments: Sequence[Segment], utterance: Utterance) -> tuple[Segment, ...]:
    """Louder vowels open the jaw further: 6 dB above the utterance's mean vowel by a third, within LOUDNESS_LIMITS.

    Loudness and jaw opening rise together in real speech (Schulman 1989, JASA 85:295); espeak-ng's phonemes alone
    do not say which vowels are loud.
    """
    levels = [_level_db(utterance, part) for part in segments if part.viseme in VOWELS]
    if not levels:
        return tuple(segments)
    reference = float(np.mean(levels))

    def gain(part: Segment) -> float:
        if part.viseme not in VOWELS:
            return part.gain
        factor = 10 ** ((_level_db(utterance, part) - reference) / LOUDNESS_DB_PER_DECADE)
        return part.gain * float(np.clip(factor, *LOUDNESS_LIMITS))

    return tuple(replace(part, gain=gain(part)) for part in segments)


def _level_db(utterance: Utterance, part: Segment) -> float:
    first, last = (round(t * SAMPLE_RATE_HZ) for t in (part.start_seconds, part.end_seconds))
    piece = utterance.samples[first : max(last, first + 1)].astype(np.float64)
    return float(10 * np.log10(max((piece * piece).mean(), SILENT_POWER))) if len(piece) else SILENT_DB


def articulate(segments: Sequence[Segment], fps: float, n_frames: int, mouth_gain: float) -> Curve:
    """Mouth channels per frame, (n_frames, 10) in the order of CHANNELS, 0..~1.3.

    Each segment pulls towards its targets with weight dominance·exp(−(|t − centre|/θ)^1.6), θ wider for longer
    segments and a little wider after than before (Cohen and Massaro 1993). Bilabials and labiodentals then close fully.
    """
    count = n_frames * OVERSAMPLING
    seconds = (np.arange(count) + 0.5) / (fps * OVERSAMPLING) + LEAD_SECONDS
    total: Curve = np.zeros((count, len(CHANNELS)))
    weight_sum = np.full((count, 1), 1e-6)
    for part in segments:
        viseme = VISEMES[part.viseme]
        length = max(part.end_seconds - part.start_seconds, 0.03)
        offset = seconds - part.centre_seconds
        width = np.where(offset < 0, 0.045, 0.055) + 0.27 * length
        weight = viseme.dominance * np.exp(-((np.abs(offset) / width) ** 1.6))[:, None]
        target = viseme.vector()
        target[0] *= part.gain
        total += weight * target
        weight_sum += weight
    curves = total / weight_sum
    _close_lips(curves, seconds, segments)
    frames: Curve = curves.reshape(n_frames, OVERSAMPLING, -1).mean(axis=1)
    frames[:, CHANNELS.index("jaw")] *= mouth_gain
    frames[:, CHANNELS.index("part")] *= min(STRESS_GAIN, mouth_gain)
    return frames


def _close_lips(curves: Curve, seconds: Curve, segments: Sequence[Segment]) -> None:
    """Averaging neighbours leaves p, b, m, f and v half open; force the contact around their centres, in place."""
    for part in segments:
        if part.viseme not in (BILABIAL, LABIODENTAL):
            continue
        length = max(part.end_seconds - part.start_seconds, 0.05)
        contact = np.exp(-(np.abs((seconds - part.centre_seconds) / (CONTACT_SHARE * length)) ** 4))
        bilabial = part.viseme == BILABIAL
        closing = CHANNELS.index("close" if bilabial else "bite")
        curves[:, closing] = np.maximum(curves[:, closing], contact)
        opening = {"part": 0.85, "jaw": 0.55, "depress": 0.85} if bilabial else {"part": 0.85}
        for name, share in opening.items():
            curves[:, CHANNELS.index(name)] *= 1 - contact * share
