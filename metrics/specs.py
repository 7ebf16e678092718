"""The built-in metrics as light registry entries: facts and factory names. Imports nothing but the core's types."""

from __future__ import annotations

from emobench.specs import MetricSpec

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
PSNR_POOLED = MetricSpec(
    name="psnr.pooled", version="1", unit="dB", higher_is_better=True, is_default=False,
    summary="PSNR of the squared error pooled over all frames of all clips",
    factory="emobench.metrics.image:PsnrPooled", code=("emobench.metrics.image",),
)
SSIM = MetricSpec(
    name="ssim", version="1", unit="", higher_is_better=True, digits=4, requires=("cv2",),
    summary="Structural similarity of the full frame, Gaussian window 11 / σ 1.5",
    factory="emobench.metrics.structure:Ssim", code=("emobench.metrics.structure",),
    citation="Wang et al., Image quality assessment: from error visibility to structural similarity, TIP 2004",
)
SSIM_UNIFORM = MetricSpec(
    name="ssim.uniform", version="1", unit="", higher_is_better=True, digits=4, is_default=False,
    requires=("cv2",),
    summary="SSIM with a uniform 7×7 window and sample covariance, as scikit-image's default",
    factory="emobench.metrics.structure:SsimUniform", code=("emobench.metrics.structure",),
    citation="Wang et al., Image quality assessment: from error visibility to structural similarity, TIP 2004",
)
SSIM_FACE = MetricSpec(
    name="ssim.face", version="1", unit="", higher_is_better=True, digits=4, is_default=False,
    requires=("cv2",),
    summary="SSIM inside the face box of the reference's landmarks, Gaussian window",
    factory="emobench.metrics.structure:SsimFace", code=("emobench.metrics.structure", "emobench.metrics.faces"),
    citation="Wang et al., Image quality assessment: from error visibility to structural similarity, TIP 2004",
)
SSIM_MOUTH = MetricSpec(
    name="ssim.mouth", version="1", unit="", higher_is_better=True, digits=4, is_default=False,
    requires=("cv2",),
    summary="SSIM inside the mouth box of the reference's landmarks, Gaussian window",
    factory="emobench.metrics.structure:SsimMouth", code=("emobench.metrics.structure", "emobench.metrics.faces"),
    citation="Wang et al., Image quality assessment: from error visibility to structural similarity, TIP 2004",
)
MS_SSIM = MetricSpec(
    name="ms_ssim", version="1", unit="", higher_is_better=True, digits=4, is_default=False,
    requires=("cv2",),
    summary="Multi-scale SSIM of the full frame, five scales; frames of 176 px and more",
    factory="emobench.metrics.structure:MsSsim", code=("emobench.metrics.structure",),
    citation="Wang, Simoncelli and Bovik, Multiscale structural similarity for image quality assessment, Asilomar 2003",
)
MS_SSIM_FACE = MetricSpec(
    name="ms_ssim.face", version="1", unit="", higher_is_better=True, digits=4, is_default=False,
    requires=("cv2",),
    summary="Multi-scale SSIM inside the face box, five scales; boxes of 176 px and more",
    factory="emobench.metrics.structure:MsSsimFace", code=("emobench.metrics.structure", "emobench.metrics.faces"),
    citation="Wang, Simoncelli and Bovik, Multiscale structural similarity for image quality assessment, Asilomar 2003",
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
LMD_MOUTH_NORM = MetricSpec(
    name="lmd.mouth.norm", version="1", unit="%", higher_is_better=False, is_default=False,
    summary="Mouth landmark distance in % of the distance of the eyes' centres",
    factory="emobench.metrics.landmarks:LmdMouthNorm", code=("emobench.metrics.landmarks", "emobench.metrics.faces"),
    citation="Chen et al., Lip movements generation at a glance, ECCV 2018",
)
LMD_FACE_NORM = MetricSpec(
    name="lmd.face.norm", version="1", unit="%", higher_is_better=False, is_default=False,
    summary="Face landmark distance in % of the distance of the eyes' centres",
    factory="emobench.metrics.landmarks:LmdFaceNorm", code=("emobench.metrics.landmarks", "emobench.metrics.faces"),
    citation="Chen et al., Lip movements generation at a glance, ECCV 2018",
)
LVD = MetricSpec(
    name="lvd", version="1", unit="px", higher_is_better=False, digits=3, is_default=False,
    summary="Mouth landmark velocity difference, pixels of the render size per frame",
    factory="emobench.metrics.motion:LvdMouth",
    code=("emobench.metrics.motion", "emobench.metrics.landmarks", "emobench.metrics.faces"),
    citation="Zhou et al., MakeItTalk: speaker-aware talking-head animation, SIGGRAPH Asia 2020",
)
JITTER_LANDMARKS = MetricSpec(
    name="jitter.landmarks", version="1", unit="%", higher_is_better=False, digits=3, is_default=False,
    summary="Difference of the landmarks' mean second differences, % of the distance of the eyes' centres",
    factory="emobench.metrics.motion:LandmarkJitter",
    code=("emobench.metrics.motion", "emobench.metrics.landmarks", "emobench.metrics.faces"),
)
BLINK_RATE = MetricSpec(
    name="blink_rate", version="2", unit="1/min", higher_is_better=False, digits=1, is_default=False,
    summary="Difference of blinks per minute of each subject, read from the eye aspect ratio",
    factory="emobench.metrics.behaviour:BlinkRate",
    code=("emobench.metrics.behaviour", "emobench.metrics.landmarks", "emobench.metrics.faces"),
    citation="Soukupová and Čech, Real-time eye blink detection using facial landmarks, CVWW 2016",
)
HEAD_MOTION = MetricSpec(
    name="head_motion", version="1", unit="°", higher_is_better=False, digits=2, is_default=False,
    summary="Difference of the standard deviations of yaw, pitch and roll, mean of the three",
    factory="emobench.metrics.behaviour:HeadMotion",
    code=("emobench.metrics.behaviour", "emobench.metrics.landmarks", "emobench.metrics.faces"),
)
AUE = MetricSpec(
    name="aue", version="1", unit="", higher_is_better=False, digits=3, is_default=False,
    requires=("mediapipe",), weights=("mediapipe.face_landmarker",),
    summary="Action-unit error: sum over MediaPipe's blendshapes of the mean squared difference",
    factory="emobench.metrics.action_units:ActionUnitError",
    code=("emobench.metrics.action_units", "emobench.metrics.faces"),
)
AUE_UPPER = MetricSpec(
    name="aue.upper", version="1", unit="", higher_is_better=False, digits=3, is_default=False,
    requires=("mediapipe",), weights=("mediapipe.face_landmarker",),
    summary="Action-unit error of brows, lids, cheeks and nose",
    factory="emobench.metrics.action_units:ActionUnitErrorUpper",
    code=("emobench.metrics.action_units", "emobench.metrics.faces"),
)
AUE_LOWER = MetricSpec(
    name="aue.lower", version="1", unit="", higher_is_better=False, digits=3, is_default=False,
    requires=("mediapipe",), weights=("mediapipe.face_landmarker",),
    summary="Action-unit error of jaw and mouth",
    factory="emobench.metrics.action_units:ActionUnitErrorLower",
    code=("emobench.metrics.action_units", "emobench.metrics.faces"),
)
LPIPS_ALEX = MetricSpec(
    name="lpips.alex", version="1", unit="", higher_is_better=False, digits=4,
    requires=("torch", "torchvision", "lpips"), weights=("lpips.alexnet",), licence="BSD-2-Clause",
    summary="Learned perceptual distance of the full frame, AlexNet features with v0.1 linear layers",
    factory="emobench.metrics.perceptual:LpipsAlex", code=("emobench.metrics.perceptual",),
    citation="Zhang et al., The unreasonable effectiveness of deep features as a perceptual metric, CVPR 2018",
)
LPIPS_VGG = MetricSpec(
    name="lpips.vgg", version="1", unit="", higher_is_better=False, digits=4, is_default=False,
    requires=("torch", "torchvision", "lpips"), weights=("lpips.vgg16",), licence="BSD-2-Clause",
    summary="Learned perceptual distance of the full frame, VGG-16 features with v0.1 linear layers",
    factory="emobench.metrics.perceptual:LpipsVgg", code=("emobench.metrics.perceptual",),
    citation="Zhang et al., The unreasonable effectiveness of deep features as a perceptual metric, CVPR 2018",
)
LPIPS_SQUEEZE = MetricSpec(
    name="lpips.squeeze", version="1", unit="", higher_is_better=False, digits=4, is_default=False,
    requires=("torch", "torchvision", "lpips"), weights=("lpips.squeezenet",), licence="BSD-2-Clause",
    summary="Learned perceptual distance of the full frame, SqueezeNet features with v0.1 linear layers",
    factory="emobench.metrics.perceptual:LpipsSqueeze", code=("emobench.metrics.perceptual",),
    citation="Zhang et al., The unreasonable effectiveness of deep features as a perceptual metric, CVPR 2018",
)
FID = MetricSpec(
    name="fid", version="1", unit="", higher_is_better=False,
    requires=("torch", "torchvision", "pytorch_fid"), weights=("fid.inception",),
    summary="Fréchet distance of TF-FID Inception features over all frames of the split",
    factory="emobench.metrics.distribution:Fid", code=("emobench.metrics.distribution",),
    citation="Heusel et al., GANs trained by a two time-scale update rule, NeurIPS 2017",
)
KID = MetricSpec(
    name="kid", version="1", unit="", higher_is_better=False, digits=5,
    requires=("torch", "torchvision", "pytorch_fid"), weights=("fid.inception",),
    summary="Kernel distance (unbiased MMD²) of the features that FID uses, all frames of the split",
    factory="emobench.metrics.distribution:Kid", code=("emobench.metrics.distribution",),
    citation="Bińkowski et al., Demystifying MMD GANs, ICLR 2018",
)
FVD = MetricSpec(
    name="fvd", version="1", unit="", higher_is_better=False, digits=1, is_default=False,
    requires=("torch",), weights=("fvd.i3d",),
    summary="Fréchet distance of I3D features of clips of 16 frames, full frame",
    factory="emobench.metrics.video_distance:Fvd",
    code=("emobench.metrics.video_distance", "emobench.metrics.i3d", "emobench.metrics.distribution"),
    citation="Unterthiner et al., Towards accurate generative models of video: a new metric and challenges, 2018",
)
FRECHET_JUDGE = MetricSpec(
    name="frechet.judge", version="1", unit="", higher_is_better=False, digits=2, is_default=False,
    requires=("torch",),
    summary="Fréchet distance of the features of the dataset's own emotion judge; no FID",
    factory="emobench.metrics.distribution:FrechetJudge",
    code=("emobench.metrics.distribution", "emobench.metrics.faces"),
)
FLICKER = MetricSpec(
    name="flicker", version="1", unit="", higher_is_better=False, digits=3, is_default=False,
    summary="Second difference in time of the luma error where the reference stands still, grey levels",
    factory="emobench.metrics.flicker:Flicker", code=("emobench.metrics.flicker",),
)
CPBD = MetricSpec(
    name="cpbd", version="1", unit="", higher_is_better=True, digits=3, needs_reference=False, is_default=False,
    requires=("cv2",),
    summary="Sharpness without reference: share of edges too narrow to look blurred",
    factory="emobench.metrics.sharpness:Cpbd", code=("emobench.metrics.sharpness", "emobench.metrics.flicker"),
    citation="Narvekar and Karam, A no-reference image blur metric (CPBD), TIP 2011",
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
SYNC_LSE_D_S3FD = MetricSpec(
    name="sync.lse_d.s3fd", version="1", unit="", higher_is_better=False, digits=3, needs_reference=False,
    is_default=False, requires=("torch", "cv2"), weights=("syncnet", "s3fd"),
    summary="SyncNet distance at the best offset, faces found by S3FD as in the released pipeline",
    factory="emobench.metrics.lipsync:LseDByS3fd",
    code=("emobench.metrics.lipsync", "emobench.metrics.s3fd", "emobench.metrics.syncnet", "emobench.metrics.mfcc"),
    citation="Chung and Zisserman, 2016; Zhang et al., S3FD: Single Shot Scale-invariant Face Detector, ICCV 2017",
)
SYNC_LSE_C_S3FD = MetricSpec(
    name="sync.lse_c.s3fd", version="1", unit="", higher_is_better=True, digits=3, needs_reference=False,
    is_default=False, requires=("torch", "cv2"), weights=("syncnet", "s3fd"),
    summary="SyncNet confidence, faces found by S3FD as in the released pipeline",
    factory="emobench.metrics.lipsync:LseCByS3fd",
    code=("emobench.metrics.lipsync", "emobench.metrics.s3fd", "emobench.metrics.syncnet", "emobench.metrics.mfcc"),
    citation="Chung and Zisserman, 2016; Zhang et al., S3FD: Single Shot Scale-invariant Face Detector, ICCV 2017",
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
EMOTION_HSEMOTION_PICKLED = MetricSpec(
    name="emotion.hsemotion.pickled", version="1", unit="%", higher_is_better=True, digits=1, needs_reference=False,
    is_default=False, requires=("torch", "cv2", "timm"), weights=("hsemotion.pickled.enet_b0_8_best_vgaf",),
    summary="As emotion.hsemotion, from the package's pickled file; only with --allow-unpickle SHA256",
    factory="emobench.metrics.emotion:PickledHsEmotion",
    code=("emobench.metrics.emotion", "emobench.metrics.unpickling", "emobench.metrics.faces"),
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
EMOTION_TAGS = MetricSpec(
    name="emotion.tags", version="1", unit="%", higher_is_better=True, digits=1, needs_reference=False,
    is_default=False, requires=("torch", "cv2"),
    summary="Emotion accuracy under the dataset's own tag–image judge",
    factory="emobench.metrics.emotion:TaggedEmotion", code=("emobench.metrics.emotion", "emobench.metrics.faces"),
)
EMOTION_VALENCE = MetricSpec(
    name="emotion.valence", version="1", unit="", higher_is_better=False, digits=3, is_default=False,
    requires=("onnxruntime", "cv2"), weights=("hsemotion.enet_b0_8_va_mtl",),
    summary="Error of valence, −1..1, read by the multi-task HSEmotion network",
    factory="emobench.metrics.affect:valence_error",
    code=("emobench.metrics.affect", "emobench.metrics.emotion", "emobench.metrics.faces"),
    citation="Savchenko, Facial expression and attributes recognition based on multi-task learning, SISY 2021",
)
EMOTION_AROUSAL = MetricSpec(
    name="emotion.arousal", version="1", unit="", higher_is_better=False, digits=3, is_default=False,
    requires=("onnxruntime", "cv2"), weights=("hsemotion.enet_b0_8_va_mtl",),
    summary="Error of arousal, −1..1, read by the multi-task HSEmotion network",
    factory="emobench.metrics.affect:arousal_error",
    code=("emobench.metrics.affect", "emobench.metrics.emotion", "emobench.metrics.faces"),
    citation="Savchenko, Facial expression and attributes recognition based on multi-task learning, SISY 2021",
)
EMOTION_LEVEL = MetricSpec(
    name="emotion.level", version="1", unit="ρ", higher_is_better=True, digits=2, needs_reference=False,
    is_default=False, requires=("torch", "cv2"),
    summary="Rank correlation of the judge's probability of the tag with the intensity level",
    factory="emobench.metrics.affect:EmotionLevel",
    code=("emobench.metrics.affect", "emobench.metrics.emotion", "emobench.metrics.faces"),
)
CSIM = MetricSpec(
    name="csim", version="1", unit="", higher_is_better=True, digits=3,
    requires=("onnxruntime", "cv2"), weights=("mobilefacenet",),
    summary="Identity: cosine of MobileFaceNet embeddings of the same frame",
    factory="emobench.metrics.identity:Csim", code=("emobench.metrics.identity", "emobench.metrics.faces"),
    citation="Chen et al., MobileFaceNets, CCBR 2018; Deng et al., ArcFace, CVPR 2019",
)
FPS_RENDER = MetricSpec(
    name="fps.render", version="1", unit="frames/s", higher_is_better=True, needs_reference=False, digits=1, noise=0.25,
    summary="Rendering speed: frames per second of radiance field and composition",
    factory="emobench.metrics.speed:RenderSpeed", code=("emobench.metrics.speed",),
)
LATENCY_AUDIO = MetricSpec(
    name="latency.audio", version="1", unit="ms/s", higher_is_better=False, digits=1, noise=0.25, needs_reference=False,
    is_default=False,
    summary="Milliseconds of the audio stage for a second of speech",
    factory="emobench.metrics.speed:AudioLatency", code=("emobench.metrics.speed",),
)
MEMORY_PEAK = MetricSpec(
    name="memory.peak", version="2", unit="MiB", higher_is_better=False, digits=0, needs_reference=False,
    is_default=False,
    summary="Memory while rendering, at most: allocated on a CUDA device, else resident in addition to before",
    factory="emobench.metrics.speed:PeakMemory", code=("emobench.metrics.speed",),
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
