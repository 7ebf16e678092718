"""Every decision EmoHead leaves open, as a documented value. Knows no network; imports nothing heavy.

"Paper" marks what arXiv 2503.19416 fixes, "ours" what it leaves open. Presets live in methods/specs.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from math import ceil
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..radiance.config import RadianceConfig

LEAST_STEPS = 1000  # of stage 1 where none are asked for: about a minute of one core


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Source = Literal["builtin", "pretrained"]


class AudioConfig(_Section):
    """Sound to frame-aligned states. Ours: encoders that need no download, trained jointly with the rest."""

    source: Source = Field(
        default="builtin",
        description="builtin: log-mel and prosody, convolutions trained here; pretrained: the frozen states of a "
        "wav2vec 2.0 or HuBERT network from the local Hugging Face cache, nothing is downloaded",
    )
    model: str = Field(
        default="facebook/wav2vec2-base-960h",
        description="pretrained: model id of a wav2vec 2.0, HuBERT or WavLM network (Apache-2.0; 95 M parameters)",
    )
    revision: str = Field(default="main", description="pretrained: branch, tag or commit; the commit found is stored")
    layer: int = Field(default=-1, description="pretrained: hidden layer that is read; 0 is the first, −1 the last")
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
    source: Source = Field(
        default="builtin",
        description="builtin: characters; pretrained: token states of a CLIP or BERT text network",
    )
    model: str = Field(
        default="google-bert/bert-base-uncased",
        description="pretrained: model id of a BERT, DistilBERT, RoBERTa or CLIP text network (Apache-2.0)",
    )
    revision: str = Field(default="main", description="pretrained: branch, tag or commit; the commit found is stored")
    asr: Literal["none", "whisper"] = Field(
        default="none", description="what writes down speech without transcript; none: it takes the no-text path"
    )
    asr_model: str = Field(default="openai/whisper-base", description="model id of a Whisper (Apache-2.0)")
    asr_revision: str = Field(default="main", description="branch, tag or commit of it; the commit found is stored")
    asr_language: str = Field(default="en", description="of the speech; ignored by English-only models")
    channels: int = Field(default=32, ge=4, description="width of a character's embedding")
    dropout: float = Field(
        default=0.5, ge=0, le=1, description="share of training clips without transcript: trains the no-text path"
    )


class EmotionConfig(_Section):
    """Voice and tag to frame-aligned states. The tag's embedding is trained here, whatever the source."""

    source: Source = Field(
        default="builtin",
        description="what hears emotion in the voice. builtin: prosody; pretrained: states of a speech-emotion network",
    )
    model: str = Field(
        default="superb/wav2vec2-base-superb-er",
        description="pretrained: model id of a wav2vec 2.0 or HuBERT tuned on emotion (Apache-2.0; on IEMOCAP)",
    )
    revision: str = Field(default="main", description="pretrained: branch, tag or commit; the commit found is stored")
    layer: int = Field(default=-1, description="pretrained: hidden layer that is read; 0 is the first, −1 the last")


class PretrainedConfig(_Section):
    """How pretrained speech networks listen: in windows on a fixed grid, so that length changes nothing."""

    window_seconds: float = Field(default=8.0, ge=1, le=30, description="sound whose states one window gives")
    context_seconds: float = Field(
        default=2.0, ge=0.2, le=10, description="sound heard beside it, on both sides: the reach of a state"
    )


# half a pitch window, one step of the voicing's difference, and two steps of interpolation between 50 Hz states
WINDOW_LATENCY_SECONDS = 0.05


class StreamingConfig(_Section):
    """Causal operation: sound is heard as it comes. Ours; needs the builtin encoders and does without text."""

    enabled: bool = Field(
        default=False, description="True: convolutions and attention look back only, beyond a stated lookahead"
    )
    lookahead_seconds: float = Field(
        default=0.08, ge=0, le=0.5,
        description="sound after a frame's middle that its states have heard: lips move before they are heard. The "
        "latency is this plus 50 ms of the features' own windows",
    )

    @property
    def latency_seconds(self) -> float:
        """Sound that must be there after the middle of a frame before the frame can be said."""
        return self.lookahead_seconds + WINDOW_LATENCY_SECONDS


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


Step = Literal["normal", "landing", "joint"]


class RefinementConfig(_Section):
    """Hyperplanes and τ. Paper: α̂ = α̃ + τ·w of the requested emotion; how τ is trained is ours."""

    enabled: bool = Field(default=True, description="False: α̂ = α̃")
    step: Step = Field(
        default="joint",
        description="what τ = 1 does. normal: along w_z by the distance between the medians of the others and of z "
        "(paper); landing: along w_z until the clip's mean lies on the median of z and level; joint: until its "
        "distances to all planes are those of z and level, along the patterns that go with the normals (ours)",
    )
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
    matched_weight: float = Field(default=4.0, ge=0, description="of L_reg(α̂), wherever a face is known")
    mismatch: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="share of stage-2 clips pushed to another tag: the target is the face of a clip of the same words "
        "in that emotion, time-warped; without such a clip the hinge alone. No mismatch recording is needed",
    )
    hinge_weight: float = Field(
        default=1.0, ge=0, description="keeps w·α̂ + b on the positive side, and replaced tags beyond their bar"
    )
    sparsity: float = Field(default=0.02, ge=0, description="weight of |τ|: no more refinement than needed")
    smoothness: float = Field(default=0.1, ge=0, description="weight of the frame-to-frame difference of τ")


class TrainingConfig(_Section):
    """How the audio-expression module is trained. Ours; the paper gives L_reg only."""

    steps: int | None = Field(
        default=None, ge=1, description=f"optimiser steps of stage 1; none: what `passes` take, at least {LEAST_STEPS}"
    )
    passes: float = Field(default=10.0, ge=0, description="passes over the train clips: large splits take more steps")
    batch_clips: int = Field(default=8, ge=1, description="clips of one step, of similar length")
    learning_rate: float = Field(default=3e-3, gt=0, description="AdamW; short warm-up, then a cosine")
    weight_decay: float = Field(default=0.05, ge=0, description="AdamW")
    velocity_weight: float = Field(default=0.5, ge=0, description="of the L1 of frame-to-frame differences in L_reg")
    mouth_weight: float = Field(default=1.0, gt=0, description="of coefficients that articulate; the others weigh 1")
    scale_floor: float = Field(
        default=0.1, gt=0, description="smallest standard deviation of a coefficient, as a share of the median one"
    )
    tag_dropout: float = Field(
        default=0.1, ge=0, le=1, description="share of clips trained without tag: the voice must do"
    )
    crossed: float = Field(
        default=0.25,
        ge=0,
        le=1,
        description="share of clips that keep their sound but take tag, level and face of a clip of the same words by "
        "the same person in another emotion, time-warped: decouples tag and voice; without such a clip they stay",
    )
    gain_db: float = Field(default=4.0, ge=0, description="augmentation: louder or quieter by up to")
    noise: float = Field(default=0.3, ge=0, description="augmentation: Gaussian, in deviations of a feature, up to")
    band_shift: float = Field(default=0.5, ge=0, description="augmentation: other vocal tracts, in mel bands, up to")
    tempo: float = Field(default=0.12, ge=0, lt=0.5, description="augmentation: tempo of speech and face, up to")

    def steps_for(self, clips: int) -> int:
        """Optimiser steps of stage 1 on so many train clips."""
        return self.steps or max(LEAST_STEPS, ceil(self.passes * clips / self.batch_clips))


class EmoHeadConfig(_Section):
    """Configuration of the whole method."""

    audio: AudioConfig = Field(default_factory=AudioConfig)
    text: TextConfig = Field(default_factory=TextConfig)
    emotion: EmotionConfig = Field(default_factory=EmotionConfig)
    pretrained: PretrainedConfig = Field(default_factory=PretrainedConfig)
    streaming: StreamingConfig = Field(default_factory=StreamingConfig)
    alignment: AlignmentConfig = Field(default_factory=AlignmentConfig)
    refinement: RefinementConfig = Field(default_factory=RefinementConfig)
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    radiance: RadianceConfig = Field(default_factory=RadianceConfig)

    @model_validator(mode="after")
    def _check(self) -> EmoHeadConfig:
        if self.streaming.enabled and "pretrained" in (self.audio.source, self.emotion.source):
            raise ValueError(
                "streaming.enabled needs audio.source and emotion.source builtin: wav2vec 2.0 hears the whole sound"
            )
        return self

    def resolved(self) -> Mapping[str, Any]:
        """What the model names and revisions stand for on this machine. Raises Unavailable, InputError."""
        from .hearing import Hearing

        heard = {role: asdict(facts) for role, facts in Hearing(self).facts().items()}
        return {**heard, **self.radiance.resolved()}
