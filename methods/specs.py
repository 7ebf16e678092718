"""Registry entries of the built-in methods and references: facts only, nothing imported but the project's words."""

from __future__ import annotations

from emobench.specs import MethodSpec

_SHARED_CODE = ("emobench.methods.radiance", "emobench.judges", "emobench.hub_snapshots")
_REFERENCE_CODE = ("emobench.methods.references", *_SHARED_CODE)
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
        "paper-step": {"refinement": {"step": "normal"}},
        "landing-step": {"refinement": {"step": "landing"}},
        "no-crossing": {"training": {"crossed": 0.0}},
        "shuffled-tags-no-hyperplane": {"training": {"crossed": 0.875}, "refinement": {"enabled": False}},
        "no-cord": {"radiance": {"images": {"cord_weight": 0.0}}},
        "no-identity": {"radiance": {"images": {"identity_weight": 0.0}}},
        "no-shape": {"radiance": {"silhouette": False, "depth_weight": 0.0}},
        "paste-back": {"radiance": {"backdrop": "paste"}},
        "fine": {"radiance": {"steps": 5500}},
        "finest": {"radiance": {"steps": 12000, "hidden": 64, "table_log2": 16}},
        "streaming": {"streaming": {"enabled": True}},
        "pretrained": {section: {"source": "pretrained"} for section in ("audio", "emotion", "text")},
    },
    preset_summaries={
        "no-alignment": "no attention: each stream passes its own states on",
        "no-locality": "attention without the learned bias on the time offset",
        "product-fusion": "FusedAttn as the normalised product of both attention maps",
        "mean-fusion": "FusedAttn as the mean of both attention maps",
        "no-text": "no transcript, in training and in use",
        "no-refinement": "what the sound and tag give is rendered as it is: no step along w",
        "no-hinge": "τ learned from matched clips alone",
        "constant-tau": "τ = 1 on every frame instead of FFN₂",
        "projection": "w projected off the mouth's own motion, so that refinement keeps articulation",
        "paper-step": "τ = 1 goes along w by a fixed length, wherever α̃ is",
        "landing-step": "τ = 1 goes along w until the clip lies on the median of the tag",
        "no-crossing": "every train clip with the face of its own voice",
        "shuffled-tags-no-hyperplane": "tag and face drawn at random for a voice, of the same words; no refinement",
        "no-cord": "the portrait without L_cord: nothing asks whether its face looks like the tag",
        "no-identity": "the portrait without identity preservation",
        "no-shape": "the portrait without L_shape: neither silhouette nor depth of the face",
        "paste-back": "the head pasted onto the target's own torso and background",
        "fine": "portraits trained almost three times as long: about a minute each on two cores",
        "finest": "portraits trained some four minutes each on two cores, with a larger field",
        "streaming": "causal: hears no more than 130 ms beyond the middle of a frame, and no text",
        "pretrained": "hears through wav2vec 2.0, a speech-emotion network and BERT of the local cache",
    },
    ablations=(
        *("no-alignment", "no-text", "no-refinement", "no-cord", "no-identity", "no-shape", "constant-tau"),
        *("projection", "shuffled-tags-no-hyperplane"),
    ),
    code=("emobench.methods.emohead", *_SHARED_CODE),
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

NEAREST_AUDIO = MethodSpec(
    name="nearest_audio",
    version="1.0.0",
    summary="The expression of the train frames of the same tag whose sound is nearest, through the same portrait.",
    factory="emobench.methods.nearest_reference:NearestAudio",
    config="emobench.methods.nearest_reference:NearestAudioReferenceConfig",
    requires=("numba", "safetensors"),
    code=(
        *_REFERENCE_CODE,
        *("emobench.methods.nearest_audio", "emobench.methods.nearest_reference"),
        *("emobench.methods.emohead.features", "emobench.methods.emohead.config"),
    ),
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
