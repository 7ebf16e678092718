"""The built-in metrics as light registry entries: facts and factory names. Imports nothing but the core's types."""

from __future__ import annotations

from emobench.types import MetricSpec

PSNR = MetricSpec(
    name="psnr", version="1", unit="dB", higher_is_better=True,
    summary="Peak signal-to-noise ratio of the full frame, mean of per-frame dB",
    factory="emobench.metrics.image:Psnr", code=("emobench.metrics.image",),
)
PSNR_FACE = MetricSpec(
    name="psnr.face", version="1", unit="dB", higher_is_better=True,
    summary="PSNR inside the face box of the reference's landmarks",
    factory="emobench.metrics.image:PsnrFace", code=("emobench.metrics.image", "emobench.metrics.faces"),
)
PSNR_MOUTH = MetricSpec(
    name="psnr.mouth", version="1", unit="dB", higher_is_better=True,
    summary="PSNR inside the mouth box of the reference's landmarks",
    factory="emobench.metrics.image:PsnrMouth", code=("emobench.metrics.image", "emobench.metrics.faces"),
)
SSIM = MetricSpec(
    name="ssim", version="1", unit="", higher_is_better=True, digits=4, requires=("cv2",),
    summary="Structural similarity of the full frame, Gaussian window 11 / σ 1.5",
    factory="emobench.metrics.image:Ssim", code=("emobench.metrics.image",),
    citation="Wang et al., Image quality assessment: from error visibility to structural similarity, TIP 2004",
)
LMD_MOUTH = MetricSpec(
    name="lmd.mouth", version="1", unit="px", higher_is_better=False, digits=3,
    summary="Mouth landmark distance: points 48–67, mean-centred, pixels of the render size",
    factory="emobench.metrics.landmarks:LmdMouth", code=("emobench.metrics.landmarks", "emobench.metrics.faces"),
    citation="Chen et al., Lip movements generation at a glance, ECCV 2018",
)
LMD_FACE = MetricSpec(
    name="lmd.face", version="1", unit="px", higher_is_better=False, digits=3,
    summary="Face landmark distance: 68 points, mean-centred, pixels of the render size",
    factory="emobench.metrics.landmarks:LmdFace", code=("emobench.metrics.landmarks", "emobench.metrics.faces"),
    citation="Chen et al., Lip movements generation at a glance, ECCV 2018",
)
LPIPS_ALEX = MetricSpec(
    name="lpips.alex", version="1", unit="", higher_is_better=False, digits=4,
    requires=("torch", "torchvision", "lpips"), weights=("lpips.alexnet",), licence="BSD-2-Clause",
    summary="Learned perceptual distance of the full frame, AlexNet features with v0.1 linear layers",
    factory="emobench.metrics.perceptual:LpipsAlex", code=("emobench.metrics.perceptual",),
    citation="Zhang et al., The unreasonable effectiveness of deep features as a perceptual metric, CVPR 2018",
)
FID = MetricSpec(
    name="fid", version="1", unit="", higher_is_better=False,
    requires=("torch", "torchvision", "pytorch_fid"), weights=("fid.inception",),
    summary="Fréchet distance of TF-FID Inception features over all frames of the split",
    factory="emobench.metrics.distribution:Fid", code=("emobench.metrics.distribution",),
    citation="Heusel et al., GANs trained by a two time-scale update rule, NeurIPS 2017",
)
SYNC_LSE_D = MetricSpec(
    name="sync.lse_d", version="1", unit="", higher_is_better=False, digits=3, needs_reference=False,
    requires=("torch", "cv2"), weights=("syncnet",),
    summary="SyncNet lip-sync error, distance at the best offset",
    factory="emobench.metrics.lipsync:LseD",
    code=("emobench.metrics.lipsync", "emobench.metrics.syncnet", "emobench.metrics.mfcc"),
    citation="Chung and Zisserman, Out of time: automated lip sync in the wild, ACCV-W 2016; Prajwal et al., 2020",
)
SYNC_LSE_C = MetricSpec(
    name="sync.lse_c", version="1", unit="", higher_is_better=True, digits=3, needs_reference=False,
    requires=("torch", "cv2"), weights=("syncnet",),
    summary="SyncNet lip-sync confidence: median minus minimum distance over offsets",
    factory="emobench.metrics.lipsync:LseC",
    code=("emobench.metrics.lipsync", "emobench.metrics.syncnet", "emobench.metrics.mfcc"),
    citation="Chung and Zisserman, Out of time: automated lip sync in the wild, ACCV-W 2016; Prajwal et al., 2020",
)
SYNC_JUDGE = MetricSpec(
    name="sync.judge", version="1", unit="", higher_is_better=True, digits=3,
    requires=("torch",),
    summary="Margin of the true audio offset under the dataset's own lip-sync judge",
    factory="emobench.metrics.judged_sync:SyncJudge", code=("emobench.metrics.judged_sync",),
)
SYNC_OPENING = MetricSpec(
    name="sync.opening", version="1", unit="r", higher_is_better=True, digits=3,
    summary="Pearson correlation of the predicted mouth opening with the tracked one",
    factory="emobench.metrics.opening:MouthOpening", code=("emobench.metrics.opening", "emobench.metrics.landmarks"),
)
EMOTION_HSEMOTION = MetricSpec(
    name="emotion.hsemotion", version="1", unit="%", higher_is_better=True, digits=1, needs_reference=False,
    requires=("onnxruntime", "cv2"), weights=("hsemotion.enet_b0_8_best_vgaf",),
    summary="Emotion accuracy, HSEmotion EfficientNet-B0 (8 classes), top-1 of the clip's mean probability",
    factory="emobench.metrics.emotion:HsEmotion", code=("emobench.metrics.emotion", "emobench.metrics.faces"),
    citation="Savchenko, Facial expression recognition with adaptive frame rate, ICML 2023",
)
EMOTION_EXPRESSNET = MetricSpec(
    name="emotion.expressnet", version="1", unit="%", higher_is_better=True, digits=1, needs_reference=False,
    requires=("torch", "cv2"), weights=("expressnet",), licence="MIT",
    summary="Emotion accuracy, face-api.js expression network (7 classes, no contempt)",
    factory="emobench.metrics.emotion:ExpressNetEmotion",
    code=("emobench.metrics.emotion", "emobench.metrics.expressnet", "emobench.metrics.faces"),
    citation="Mühler, face-api.js, 2018",
)
EMOTION_JUDGE = MetricSpec(
    name="emotion.judge", version="1", unit="%", higher_is_better=True, digits=1, needs_reference=False,
    requires=("torch", "cv2"),
    summary="Emotion accuracy under the dataset's own emotion judge",
    factory="emobench.metrics.emotion:JudgedEmotion", code=("emobench.metrics.emotion", "emobench.metrics.faces"),
)
CSIM = MetricSpec(
    name="csim", version="1", unit="", higher_is_better=True, digits=3,
    requires=("onnxruntime", "cv2"), weights=("mobilefacenet",),
    summary="Identity: cosine of MobileFaceNet embeddings of the same frame",
    factory="emobench.metrics.identity:Csim", code=("emobench.metrics.identity", "emobench.metrics.faces"),
    citation="Chen et al., MobileFaceNets, CCBR 2018; Deng et al., ArcFace, CVPR 2019",
)
FPS_RENDER = MetricSpec(
    name="fps.render", version="1", unit="frames/s", higher_is_better=True, needs_reference=False, digits=1,
    summary="Rendering speed: frames per second of radiance field and composition",
    factory="emobench.metrics.speed:RenderSpeed", code=("emobench.metrics.speed",),
)
ALPHA_MOUTH = MetricSpec(
    name="alpha.mouth", version="1", unit="", higher_is_better=False, digits=4,
    summary="Mean absolute error of the expression parameters that articulate the mouth",
    factory="emobench.metrics.parameters:AlphaMouth", code=("emobench.metrics.parameters",),
)
ALPHA_UPPER = MetricSpec(
    name="alpha.upper", version="1", unit="", higher_is_better=False, digits=4,
    summary="Mean absolute error of the other expression parameters (brows, eyes, cheeks)",
    factory="emobench.metrics.parameters:AlphaUpper", code=("emobench.metrics.parameters",),
)
