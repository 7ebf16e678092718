"""The built-in protocols as light registry entries; what each says stands in the YAML file of its name."""

from __future__ import annotations

from emobench.specs import ProtocolSpec

FACTORY = "emobench.metrics.protocols.scheme:FileScheme"

STRICT = ProtocolSpec(
    name="strict", version="1",
    summary="Native frames, exact frame alignment, nothing truncated, resampled or resized.",
    factory=FACTORY, file="emobench.metrics.protocols:strict.yaml",
)
EAT_MEAD = ProtocolSpec(
    name="eat-mead", version="1",
    summary="After EAT's scripts for MEAD: 25 fps, faces aligned to a 128 px template, five frames a clip for FID.",
    factory=FACTORY, file="emobench.metrics.protocols:eat-mead.yaml",
    citation="Gan et al., Efficient emotional adaptation for audio-driven talking-head generation, ICCV 2023",
)
NERF_SELFRECON = ProtocolSpec(
    name="nerf-selfrecon", version="1",
    summary="After the NeRF talking heads' self-reconstruction: full frames, every frame counts once, min_track 100.",
    factory=FACTORY, file="emobench.metrics.protocols:nerf-selfrecon.yaml",
    citation="Li et al., Efficient region-aware neural radiance fields for talking portraits, ICCV 2023",
)
CREMA_D_6 = ProtocolSpec(
    name="crema-d-6", version="1",
    summary="For CREMA-D: 25 fps, face crop of 224 px, emotion among its six classes, min_track 50.",
    factory=FACTORY, file="emobench.metrics.protocols:crema-d-6.yaml",
    citation="Cao et al., CREMA-D: crowd-sourced emotional multimodal actors dataset, IEEE TAC 2014",
)
