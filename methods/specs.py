"""Registry entries of the built-in methods and references: facts only, nothing imported but the project's words."""

from __future__ import annotations

from emobench.specs import MethodSpec

_REFERENCE_CODE = ("emobench.methods.references", "emobench.methods.radiance")
_EMOHEAD_CITATION = "EmoHead, ICME 2025, arXiv:2503.19416; reimplemented from the paper, no official code or weights."

EMOHEAD = MethodSpec(
    name="emohead",
    version="1.0.0",
    summary="Speech, text and tag to expression, pushed along emotion hyperplanes, rendered by a radiance field.",
    factory="emobench.methods.emohead.method:EmoHead",
    config="emobench.methods.emohead.config:EmoHeadConfig",
    requires=("torch", "sklearn", "safetensors", "numba"),
    citation=_EMOHEAD_CITATION,
    presets={
        "no-alignment": {"alignment": {"enabled": False}},
        "no-locality": {"alignment": {"locality": False}},
        "product-fusion": {"alignment": {"fused_attention": "product"}},
        "mean-fusion": {"alignment": {"fused_attention": "mean"}},
        "no-text": {"text": {"enabled": False}},
        "no-refinement": {"refinement": {"enabled": False}},
        "no-hinge": {"refinement": {"hinge_weight": 0.0}},
        "constant-tau": {"refinement": {"constant_tau": 1.0}},
        "projection": {"refinement": {"project_articulation": True}},
        "paste-back": {"radiance": {"backdrop": "paste"}},
    },
    code=("emobench.methods.emohead", "emobench.methods.radiance"),
)

GROUND_TRUTH = MethodSpec(
    name="ground_truth",
    version="1.0.0",
    summary="The target clip itself: the ceiling of every metric.",
    factory="emobench.methods.references:GroundTruth",
    config="emobench.methods.references:NothingConfig",
    code=("emobench.methods.references",),
    rung="ground_truth",
    role="oracle",
)

STATIC = MethodSpec(
    name="static",
    version="1.0.0",
    summary="One neutral train frame, repeated: the floor.",
    factory="emobench.methods.references:Static",
    config="emobench.methods.references:NothingConfig",
    code=("emobench.methods.references",),
    rung="static",
    role="sanity",
)

MEAN_EXPRESSION = MethodSpec(
    name="mean_expression",
    version="1.0.0",
    summary="The subject's mean expression with the true pose, through the same portrait as the method.",
    factory="emobench.methods.references:MeanExpression",
    config="emobench.methods.references:PortraitConfig",
    requires=("numba", "safetensors"),
    code=_REFERENCE_CODE,
    role="reference",
)

EMOTION_MEAN = MethodSpec(
    name="emotion_mean",
    version="1.0.0",
    summary="The subject's mean expression of tag and level with the true pose, through the same portrait.",
    factory="emobench.methods.references:EmotionMean",
    config="emobench.methods.references:PortraitConfig",
    requires=("numba", "safetensors"),
    code=_REFERENCE_CODE,
    role="reference",
)

TRUE_ALPHA = MethodSpec(
    name="true_alpha",
    version="1.0.0",
    summary="The target's exact expression parameters through the same portrait: the field's ceiling.",
    factory="emobench.methods.references:TrueAlpha",
    config="emobench.methods.references:PortraitConfig",
    requires=("numba", "safetensors"),
    code=_REFERENCE_CODE,
    rung="true_alpha",
    role="oracle",
)
