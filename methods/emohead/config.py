"""Every decision EmoHead leaves open, as a documented value. Knows no network; imports nothing heavy.

"Paper" marks what arXiv 2503.19416 fixes, "ours" what it leaves open. Presets live in methods/specs.py.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ..radiance.config import RadianceConfig


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AudioConfig(_Section):
    """Sound to frame-aligned states. Ours: encoders that need no download, trained jointly with the rest."""

    n_mels: int = Field(40, ge=8, le=80)  # log-mel bands, 60 Hz to 7.6 kHz
    pitch_min_hz: float = Field(60.0, gt=50, lt=200)
    pitch_max_hz: float = Field(420.0, gt=200, le=800)
    channels: int = Field(64, ge=8)  # width of the convolutions, which run at 50 Hz
    blocks: int = Field(2, ge=0)  # residual convolutions, dilation 1, 2, …: two see ± 0.14 s


class TextConfig(_Section):
    """Transcript to frame-aligned states (ours: characters, spread uniformly over the voiced part of the sound)."""

    enabled: bool = True  # False: the learned null text everywhere
    channels: int = Field(32, ge=4)  # width of a character's embedding
    dropout: float = Field(0.5, ge=0, le=1)  # share of training clips without transcript: trains the no-text path


class AlignmentConfig(_Section):
    """The three aligned streams. Paper: emotion stream F(e, v), text stream, audio stream with values only."""

    enabled: bool = True  # False: no attention at all, each stream passes its own states on
    width: int = Field(96, ge=8)  # of every stream
    heads: int = Field(4, ge=1)
    fused_attention: Literal["convex", "product", "mean"] = "convex"
    # FusedAttn of C_γ and C_ve. Ours: softmax of a learned convex combination of the two logit maps, per head;
    # "product": normalised product of the maps; "mean": mean of the maps
    window_seconds: float = Field(0.3, gt=0)  # ours: attention looks no further; keeps articulation precise in time
    locality: bool = True  # ours: learned Gaussian bias on the time offset, per stream and head
    dropout: float = Field(0.2, ge=0, lt=1)


class RefinementConfig(_Section):
    """Hyperplanes and τ. Paper: α̂ = α̃ + τ·w of the requested emotion."""

    enabled: bool = True  # False: α̂ = α̃
    constant_tau: float | None = None  # a number replaces FFN₂
    steps: int = Field(200, ge=1)  # of stage 2: FFN₂ alone, on a frozen α̃
    cost_grid: tuple[float, ...] = (0.003, 0.03, 0.3)  # candidates for the SVM's C
    folds: int = Field(3, ge=2)  # of the cross-validation; clips never straddle folds
    max_frames: int = Field(6000, ge=100)  # frames drawn per hyperplane
    project_articulation: bool = False  # project w off the speech subspace
    articulation_rank: int = Field(6, ge=1)  # dimensions of the speech subspace: PCA of frame-to-frame motion
    hinge_weight: float = Field(1.0, ge=0)  # keeps α̂ on the positive side of the requested emotion's hyperplane
    mismatch: float = Field(0.5, ge=0, le=1)
    # share of stage-2 clips whose tag is replaced: no target there, only a hinge on the clip's mean, whose bar is the
    # median of the requested emotion and level; teaches τ how far a voice is from a tag without mismatch recordings
    matched_weight: float = Field(4.0, ge=0)  # of L_reg(α̂) on the clips that keep their tag
    learning_rate: float = Field(5e-3, gt=0)
    sparsity: float = Field(0.02, ge=0)  # weight of |τ|: no more refinement than needed
    smoothness: float = Field(0.1, ge=0)  # weight of the frame-to-frame difference of τ


class TrainingConfig(_Section):
    """How the audio-expression module is trained (ours; the paper gives L_reg only)."""

    steps: int = Field(800, ge=1)
    batch_clips: int = Field(8, ge=1)
    learning_rate: float = Field(3e-3, gt=0)
    weight_decay: float = Field(0.05, ge=0)
    velocity_weight: float = Field(0.5, ge=0)  # L1 of frame-to-frame differences
    mouth_weight: float = Field(1.5, gt=0)  # weight of coefficients that articulate, others 1
    scale_floor: float = Field(0.1, gt=0)  # smallest standard deviation, as a share of the median one
    tag_dropout: float = Field(0.1, ge=0, le=1)  # share of clips trained without tag: the voice must do
    gain_db: float = Field(4.0, ge=0)  # augmentation: ± uniform
    noise: float = Field(0.3, ge=0)  # augmentation: Gaussian, in standard deviations of a feature, up to
    band_shift: float = Field(0.5, ge=0)  # augmentation: mel bands up or down, up to: other vocal tracts
    tempo: float = Field(0.12, ge=0, lt=0.5)  # augmentation: speech and face faster or slower, up to


class EmoHeadConfig(_Section):
    """Configuration of the whole method."""

    audio: AudioConfig = AudioConfig()
    text: TextConfig = TextConfig()
    alignment: AlignmentConfig = AlignmentConfig()
    refinement: RefinementConfig = RefinementConfig()
    training: TrainingConfig = TrainingConfig()
    radiance: RadianceConfig = Field(default_factory=RadianceConfig)
