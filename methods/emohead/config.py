"""Every decision EmoHead leaves open, as a documented value. Knows no network; imports nothing heavy.

"Paper" marks what arXiv 2503.19416 fixes, "ours" what it leaves open. Presets live in methods/specs.py.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..radiance.config import RadianceConfig


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AudioConfig(_Section):
    """Sound to frame-aligned states. Ours: encoders that need no download, trained jointly with the rest."""

    n_mels: int = Field(default=40, ge=8, le=80, description="log-mel bands, 60 Hz to 7.6 kHz, at 100 Hz")
    pitch_min_hz: float = Field(default=60.0, gt=50, lt=200, description="lowest pitch searched")
    pitch_max_hz: float = Field(default=420.0, gt=200, le=800, description="highest pitch searched")
    channels: int = Field(default=64, ge=8, description="width of the convolutions, which run at 50 Hz")
    blocks: int = Field(
        default=2, ge=0, le=6, description="residual convolutions, dilation 1, 2, 4, …: two of them see ± 0.14 s"
    )


class TextConfig(_Section):
    """Transcript to frame-aligned states. Ours: characters, spread uniformly over the voiced part of the sound."""

    enabled: bool = Field(default=True, description="False: the learned null text everywhere")
    channels: int = Field(default=32, ge=4, description="width of a character's embedding")
    dropout: float = Field(
        default=0.5, ge=0, le=1, description="share of training clips without transcript: trains the no-text path"
    )


class AlignmentConfig(_Section):
    """The three aligned streams. Paper: emotion stream F(e, v), text stream, audio stream with values only."""

    enabled: bool = Field(default=True, description="False: no attention, each stream passes its own states on")
    width: int = Field(default=96, ge=8, multiple_of=2, description="of every stream")
    heads: int = Field(default=4, ge=1, description="attention heads; must divide the width")
    fused_attention: Literal["convex", "product", "mean"] = Field(
        default="convex",
        description="FusedAttn of C_γ and C_ve. convex: softmax of a learned convex combination of the two logit maps, "
        "per head; product: normalised product of the maps; mean: mean of the maps (ours)",
    )
    window_seconds: float = Field(
        default=0.3, gt=0, description="attention looks no further: keeps articulation precise in time (ours)"
    )
    locality: bool = Field(
        default=True, description="a learned Gaussian bias on the time offset, per stream and head (ours)"
    )
    dropout: float = Field(default=0.2, ge=0, lt=1, description="of attended states and of FFN₁")

    @model_validator(mode="after")
    def _check(self) -> AlignmentConfig:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self


class RefinementConfig(_Section):
    """Hyperplanes and τ. Paper: α̂ = α̃ + τ·w of the requested emotion; how τ is trained is ours."""

    enabled: bool = Field(default=True, description="False: α̂ = α̃")
    constant_tau: float | None = Field(default=None, description="a number that replaces FFN₂")
    cost_grid: tuple[float, ...] = Field(
        default=(0.003, 0.03, 0.3), min_length=1, description="candidates for the SVM's C"
    )
    folds: int = Field(default=3, ge=2, description="of the cross-validation; clips never straddle folds")
    max_frames: int = Field(default=6000, ge=100, description="frames drawn per hyperplane, half of them positive")
    project_articulation: bool = Field(
        default=False, description="project w off the speech subspace, the PCA of the mouth's frame-to-frame motion"
    )
    articulation_rank: int = Field(default=6, ge=1, description="dimensions of the speech subspace")
    steps: int = Field(default=200, ge=1, description="of stage 2: FFN₂ alone, on a frozen α̃")
    learning_rate: float = Field(default=5e-3, gt=0, description="of stage 2, with the schedule of stage 1")
    matched_weight: float = Field(default=4.0, ge=0, description="of L_reg(α̂) on clips that keep their tag")
    mismatch: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="share of stage-2 clips whose tag is replaced: no target there, only a hinge on the clip's mean, "
        "whose bar is the median of the requested emotion and level; no mismatch recording is needed",
    )
    hinge_weight: float = Field(
        default=1.0, ge=0, description="keeps w·α̂ + b on the positive side, and replaced tags beyond their bar"
    )
    sparsity: float = Field(default=0.02, ge=0, description="weight of |τ|: no more refinement than needed")
    smoothness: float = Field(default=0.1, ge=0, description="weight of the frame-to-frame difference of τ")


class TrainingConfig(_Section):
    """How the audio-expression module is trained. Ours; the paper gives L_reg only."""

    steps: int = Field(default=1000, ge=1, description="optimiser steps of stage 1")
    batch_clips: int = Field(default=8, ge=1, description="clips of one step, of similar length")
    learning_rate: float = Field(default=3e-3, gt=0, description="AdamW; short warm-up, then a cosine")
    weight_decay: float = Field(default=0.05, ge=0, description="AdamW")
    velocity_weight: float = Field(default=0.5, ge=0, description="of the L1 of frame-to-frame differences in L_reg")
    mouth_weight: float = Field(default=1.5, gt=0, description="of coefficients that articulate; the others weigh 1")
    scale_floor: float = Field(
        default=0.1, gt=0, description="smallest standard deviation of a coefficient, as a share of the median one"
    )
    tag_dropout: float = Field(
        default=0.1, ge=0, le=1, description="share of clips trained without tag: the voice must do"
    )
    gain_db: float = Field(default=4.0, ge=0, description="augmentation: louder or quieter by up to")
    noise: float = Field(default=0.3, ge=0, description="augmentation: Gaussian, in deviations of a feature, up to")
    band_shift: float = Field(default=0.5, ge=0, description="augmentation: other vocal tracts, in mel bands, up to")
    tempo: float = Field(default=0.12, ge=0, lt=0.5, description="augmentation: tempo of speech and face, up to")


class EmoHeadConfig(_Section):
    """Configuration of the whole method."""

    audio: AudioConfig = Field(default_factory=AudioConfig)
    text: TextConfig = Field(default_factory=TextConfig)
    alignment: AlignmentConfig = Field(default_factory=AlignmentConfig)
    refinement: RefinementConfig = Field(default_factory=RefinementConfig)
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    radiance: RadianceConfig = Field(default_factory=RadianceConfig)
