"""Every value of the radiance-field core that changes its result, with its meaning and default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from .image_config import ImageLossConfig

FieldKind = Literal["blended", "hash", "triplane", "frequency"]
PrecisionChoice = Literal["auto", "float32", "mixed"]


class RadianceConfig(BaseModel):
    """Settings of one subject's portrait: head field, backdrop, and their training.

    Defaults are the CPU preset: one subject of puppet (about 1,000 frames at 128 px) in about 30 s on two cores.
    Schedules count steps, never seconds, so that a result does not depend on how fast the machine is.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    # condition: what the field knows about a frame
    components: int = Field(
        16, ge=0, le=64, description="PCA components of [α, head rotation] that the field is told; 0 = these whole"
    )
    rotation_weight: float = Field(
        0.0,
        ge=0,
        description="factor on the rotation vector (radians) beside α; a field that is told the rotation imitates "
        "parallax instead of learning depth",
    )
    condition_margin: float = Field(
        1.3, gt=1, description="components beyond the train range saturate smoothly at this multiple of its half-width"
    )

    # field
    field: FieldKind = Field(
        "blended",
        description="blended: 3D hash tables that the condition blends (NeRFBlendShape); hash: one 3D hash grid, "
        "triplane: three 2D hash grids (ER-NeRF), frequency: sines of the position (AD-NeRF), the condition entering "
        "the network",
    )
    levels: int = Field(8, ge=2, le=16, description="levels of the hash grids, two features each")
    blended_levels: int = Field(4, ge=1, le=16, description="leading levels that the condition blends (field blended)")
    frequencies: int = Field(10, ge=1, le=16, description="octaves of sines and cosines (field frequency)")
    base_resolution: int = Field(16, ge=2, description="cells per axis of the coarsest level")
    finest_resolution: int = Field(128, ge=4, description="cells per axis of the finest level")
    table_log2: int = Field(15, ge=4, le=22, description="log2 of the entries of one level at most")
    hidden: int = Field(32, ge=4, description="width of the two hidden layers")
    precision: PrecisionChoice = Field(
        "auto",
        description="mixed: float16 tables and factors of products, float32 sums and master weights (CUDA backends); "
        "auto: mixed where the backend has it",
    )

    # sampling
    grid: int = Field(64, ge=8, le=256, description="cells per axis of the occupancy grid")
    step_mm: float = Field(2.5, gt=0, description="distance of samples along a ray")
    coarse_step_mm: float = Field(5.0, gt=0, description="the same during the first steps of training")
    max_samples: int = Field(96, ge=8, description="samples of one ray at most")
    hull_fraction: float = Field(
        0.05, ge=0, lt=1, description="a cell is head where at least this share of the train masks covers it"
    )

    # training
    memory_mb: int = Field(
        4096, ge=1, description="of packed train frames; where clips have more, evenly chosen frames are used"
    )
    steps: int = Field(2000, ge=1, description="optimiser steps of the head field")
    frames_per_step: int = Field(4, ge=1, description="frames of one step, each an independent task")
    samples_per_step: int = Field(32_768, ge=64, description="target of samples; rays per step adapt to it")
    max_rays: int = Field(16_384, ge=8, description="rays of one step at most")
    table_rate: float = Field(4e-2, gt=0, description="Adam learning rate of the tables")
    network_rate: float = Field(2e-2, gt=0, description="Adam learning rate of the decoder")
    retries: int = Field(
        1, ge=0, le=8, description="times that a diverged training begins anew, each with halved rates"
    )
    final_rate: float = Field(0.03, gt=0, le=1, description="the cosine schedule ends at this share of the rates")
    detail_share: float = Field(0.25, ge=0, lt=1, description="share of the rays in mouth and eye boxes")
    depth_variance: float = Field(
        0.1, ge=0, description="weight of the variance of depth along rays at the last step; it rises from 0"
    )
    silhouette: bool = Field(
        True, description="the head against new random colours in every step, so that it must be as opaque as its mask "
        "(L_shape); False: against black, which dark hair need not cover",
    )  # fmt: skip
    depth_weight: float = Field(
        0.1, ge=0, description="of the squared deviation of the face's depth from the dataset's or the tracked mesh's "
        "(L_shape), in units of 140 mm; without either there is none",
    )  # fmt: skip
    images: ImageLossConfig = Field(default_factory=ImageLossConfig, description="L_cord and identity preservation")
    cull_weight: float = Field(0.01, ge=0, lt=1, description="cells that never weigh more are emptied in training")
    settle_weight: float = Field(0.02, ge=0, lt=1, description="cells that weigh more are occupied in the end")
    settle_rays: int = Field(300_000, ge=0, description="rays of that last pass, over all frames together")

    # rendering
    stop_transmittance: float = Field(0.01, ge=0, lt=1, description="rays end where less light than this is left")

    # torso and background
    backdrop: Literal["deformed", "static", "paste"] = Field(
        "deformed",
        description="static: one image; deformed: it moves and changes with the head pose; paste: the head goes over "
        "the target clip's own torso and background when scored (results are labelled so)",
    )
    backdrop_cells: int = Field(16, ge=2, description="cells per axis of the backdrop's deformation grid")
    backdrop_steps: int = Field(250, ge=0, description="optimiser steps of the deformation")
    backdrop_pixels: int = Field(32_768, ge=64, description="pixels of one of these steps")
    backdrop_residual: bool = Field(True, description="a colour per pixel that is linear in the pose, on top")

    def resolved(self) -> Mapping[str, Any]:
        """Commit and sha256 of the CLIP that judges, where one does. Raises Unavailable where it is not here."""
        if self.images.source != "clip" or not self.images.enabled:
            return {}
        from .clip_critic import find_clip

        snapshot = find_clip(self.images)
        return {"image–text": {"commit": snapshot.commit, "sha256": snapshot.sha256}}
