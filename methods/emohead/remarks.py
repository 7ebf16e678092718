"""What is odd about a sound that is to drive a face: silent, unvoiced, narrow-band. Refuses nothing."""

from __future__ import annotations

import numpy as np

from emobench.types import Floats

from .features import LOG_FLOOR, PROSODY, SPEECH_RANGE_DB, mel_edges_hz

SILENT_DB = -60.0  # of the loudest 40 ms, below full scale
VOICED = 0.5  # normalised autocorrelation
LEAST_VOICED = 0.02  # of the steps that are not silent; speech has 30 to 70 %
NARROW_HZ = 4000.0
NARROW_QUANTILE = 0.9  # of the steps: clicks, such as a cut at both ends, hold every frequency
NARROW_LEAK = 10.0  # times the floor of band power: what a resampling filter lets through
NARROW_GAP = 1e3  # times less power above than below; sound that is merely quiet has less of a gap
_ENERGY, _, _VOICING, _ = range(-len(PROSODY), 0)


def sound_remarks(features: Floats) -> tuple[str, ...]:
    """One sentence for each oddity of raw features (N, n_mels + 4); none for ordinary speech."""
    energy = features[:, _ENERGY]
    if energy.max() < SILENT_DB:
        return (f"the sound is silent (below {SILENT_DB:.0f} dB): the face shows its tag, but says nothing",)
    remarks = []
    loud = energy > energy.max() - SPEECH_RANGE_DB
    voiced = float((features[loud, _VOICING] > VOICED).mean())
    if voiced < LEAST_VOICED:
        remarks.append(f"no voice was found in the sound ({voiced:.0%} of it is voiced): the mouth follows noise")
    bands = features[:, : -len(PROSODY)]
    is_high = mel_edges_hz(bands.shape[1])[:-2] > NARROW_HZ
    low, high = (np.quantile(bands[:, side].max(axis=1), NARROW_QUANTILE) for side in (~is_high, is_high))
    if high < np.log(NARROW_LEAK * LOG_FLOOR) and low - high > np.log(NARROW_GAP):
        remarks.append("nothing sounds above 4 kHz (recorded at 8 kHz?): consonants are heard less well")
    return tuple(remarks)
