"""What the puppet's face does: action units, articulation, emotion levels, landmarks."""

import itertools

import numpy as np
import pytest

from emobench.datasets.puppet.alpha import ALPHA_NAMES, GAZE_X, IS_MOUTH, N_ALPHA, unit_slice
from emobench.datasets.puppet.animation import perform
from emobench.datasets.puppet.emotions import apex, prosody
from emobench.datasets.puppet.identity import IDENTITIES
from emobench.datasets.puppet.landmarks import INNER_PAIRS, landmark_rig
from emobench.datasets.puppet.motion import blinks
from emobench.datasets.puppet.rig import deform, make_rig
from emobench.datasets.puppet.speech import SENTENCES, open_speaker
from emobench.datasets.puppet.surface import Surface
from emobench.datasets.puppet.template import build_template
from emobench.datasets.puppet.view import head_box, head_pose, project, studio_camera, to_camera
from emobench.datasets.puppet.visemes import LEAD_SECONDS, SILENCE, segment
from emobench.types import EMOTIONS, SAMPLE_RATE_HZ

MOUTH_RIGHT, MOUTH_LEFT, CHIN = 48, 54, 8


@pytest.fixture(scope="module")
def ben():
    surface = Surface(IDENTITIES["ben"])
    return surface, landmark_rig(surface)


def pose_of(ben, weights: dict[int, float | tuple[float, float]]):
    """(68, 3) landmarks of action-unit weights."""
    alpha = np.zeros((1, N_ALPHA), np.float32)
    for unit, value in weights.items():
        alpha[0, unit_slice(unit)] = value
    surface, rig = ben
    return deform(rig, surface, alpha)[0]


@pytest.fixture(scope="module")
def utterance():
    with open_speaker() as speaker:
        return speaker.say(SENTENCES["s03"], IDENTITIES["ben"].voice, prosody("neutral", 1), 25.0)


def test_au12_raises_and_widens_the_mouth_corners(ben):
    rest, smile = pose_of(ben, {}), pose_of(ben, {12: 1.0})
    assert smile[MOUTH_LEFT, 1] > rest[MOUTH_LEFT, 1] + 5
    assert smile[MOUTH_LEFT, 0] > rest[MOUTH_LEFT, 0] + 4
    assert smile[MOUTH_RIGHT, 0] < rest[MOUTH_RIGHT, 0] - 4


def test_one_sided_au12_moves_the_subjects_left_which_is_image_right(ben):
    rest, left = pose_of(ben, {}), pose_of(ben, {12: (1.0, 0.0)})
    moved = left - rest
    assert moved[MOUTH_LEFT, 1] > 5
    assert abs(moved[MOUTH_RIGHT, 1]) < 0.5
    assert rest[MOUTH_LEFT, 0] > 0  # x > 0 is the subject's left


@pytest.mark.parametrize(("unit", "index", "axis", "sign"), [
    (1, 21, 1, 1), (2, 18, 1, 1), (4, 22, 1, -1), (5, 37, 1, 1), (7, 40, 1, 1), (10, 51, 1, 1), (15, 48, 1, -1),
    (16, 57, 1, -1), (17, 8, 1, 1), (18, 54, 0, -1), (20, 54, 0, 1), (26, 8, 1, -1), (27, 8, 1, -1), (43, 37, 1, -1),
])  # fmt: skip
def test_each_action_unit_moves_its_feature_the_right_way(ben, unit, index, axis, sign):
    moved = (pose_of(ben, {unit: 1.0}) - pose_of(ben, {}))[index, axis]
    assert sign * moved > 1.0


def test_a_blink_closes_the_eyes(ben):
    rest, shut = pose_of(ben, {}), pose_of(ben, {43: 1.0})
    gap = rest[37, 1] - rest[41, 1]
    assert shut[37, 1] - shut[41, 1] < 0.15 * gap


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_lips_never_cross(ben, emotion):
    points = pose_of(ben, apex(emotion, 3) | {24: (1.0, 1.0)})
    for upper, lower in INNER_PAIRS:
        assert points[upper, 1] >= points[lower, 1] - 1e-6


def bilabial_closures(utterance, gap, shift_frames: int) -> float:
    """Share of /p b m/ with a gap below 15 % of the clip's 95th percentile within ±1 frame of the centre."""
    sounds = [p for p in utterance.phonemes if p.ipa.lstrip("ˈˌ_")[:1] in ("p", "b", "m")]
    frames = [round((p.start_seconds + p.end_seconds) / 2 * utterance.fps - 0.5) + shift_frames for p in sounds]
    limit = 0.15 * np.percentile(gap, 95)
    return float(np.mean([gap[max(f - 1, 0) : f + 2].min() < limit for f in frames]))


def inner_gap(ben, alpha):
    """(T,) mm between the inner lips."""
    surface, rig = ben
    points = deform(rig, surface, alpha)
    return np.mean([points[:, a, 1] - points[:, b, 1] for a, b in INNER_PAIRS], axis=0)


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_lips_close_at_the_centres_of_bilabials_and_not_three_frames_later(ben, utterance, emotion):
    performance = perform(utterance, emotion, 1 if emotion == "neutral" else 3, np.random.default_rng(0))
    gap = inner_gap(ben, performance.alpha)
    assert bilabial_closures(utterance, gap, 0) >= 0.95
    assert bilabial_closures(utterance, gap, 3) < 0.6
    assert bilabial_closures(utterance, gap, -3) < 0.95


def test_open_vowels_open_the_mouth_that_bilabials_close(ben, utterance):
    performance = perform(utterance, "angry", 3, np.random.default_rng(0))
    gap = inner_gap(ben, performance.alpha)
    closed, opened = [], []
    for part in segment(utterance.phonemes):
        frame = int((part.centre_seconds - LEAD_SECONDS) * utterance.fps)
        if part.viseme == "PBM":
            closed.append(gap[frame])
        elif part.viseme in ("AA", "AE", "EH"):
            opened.append(gap[frame])
    assert max(closed) < 2.0  # mm: as good as touching
    assert np.mean(opened) > 4.0


def test_mouth_opening_follows_the_sound_without_lag(ben):
    lags = range(-5, 6)
    curves = []
    with open_speaker() as speaker:
        for sentence in ("s03", "s04", "s06", "s08"):
            said = speaker.say(SENTENCES[sentence], IDENTITIES["ben"].voice, prosody("neutral", 1), 25.0)
            gap = inner_gap(ben, perform(said, "neutral", 1, np.random.default_rng(0)).alpha)
            step = SAMPLE_RATE_HZ // 25
            power = (said.samples.astype(np.float64) ** 2).reshape(-1, step).mean(axis=1)
            energy = 10 * np.log10(np.maximum(power, 1e-8))
            curves.append([np.corrcoef(gap[5 + lag : len(gap) - 5 + lag], energy[5:-5])[0, 1] for lag in lags])
    pooled = np.mean(curves, axis=0)
    assert abs(lags[int(np.argmax(pooled))]) <= 1
    assert pooled.max() > 0.25  # without the silent ends, which would help


@pytest.mark.parametrize("emotion", [name for name in EMOTIONS if name != "neutral"])
def test_action_units_move_away_from_neutral_level_by_level(emotion):
    rest = apex("neutral", 1)
    faces = [rest, *(apex(emotion, level) for level in (1, 2, 3))]
    units = sorted({unit for face in faces for unit in face})
    weights = np.array([[face.get(unit, (0.0, 0.0)) for unit in units] for face in faces])
    steps = np.diff(weights, axis=0)
    away = np.sign(weights[-1] - weights[0])
    assert (steps * away >= 0).all()
    assert (np.abs(steps).sum(axis=(1, 2)) > 0.1).all()


def test_every_blink_closes_the_eyes_within_a_frame(ben):
    seconds = (np.arange(500) + 0.5) / 25.0
    closing = blinks(np.random.default_rng(3), seconds, 20.0, 2.0)
    starts = np.flatnonzero((closing[1:] > 0.05) & (closing[:-1] <= 0.05))
    assert len(starts) >= 4
    for start in starts:
        assert closing[start : start + 5].max() == pytest.approx(1.0)


def test_eyes_stay_on_the_camera_while_the_head_turns(utterance):
    performance = perform(utterance, "happy", 3, np.random.default_rng(6))
    towards = performance.angles[:, 0] + 28 * np.pi / 180 * performance.alpha[:, GAZE_X]
    assert np.abs(towards).max() < 0.12  # rad: saccades only; the head alone turns further
    assert np.abs(performance.angles[:, 0]).max() > 0.05


def test_level_three_is_a_stronger_face_than_level_one(utterance):
    weak, strong = (perform(utterance, "happy", level, np.random.default_rng(1)).alpha for level in (1, 3))
    smile = unit_slice(12)
    assert strong[:, smile].mean() > 1.8 * weak[:, smile].mean()
    for emotion in ("angry", "disgusted", "fear", "sad", "surprised"):
        faces = [perform(utterance, emotion, level, np.random.default_rng(1)).alpha for level in (1, 3)]
        low, high = (np.abs(alpha[:, ~IS_MOUTH]).sum() for alpha in faces)
        assert high > low


def test_performances_repeat_with_the_same_generator_and_differ_with_another(utterance):
    a, b, c = (perform(utterance, "fear", 2, np.random.default_rng(seed)) for seed in (4, 4, 5))
    np.testing.assert_array_equal(a.alpha, b.alpha)
    np.testing.assert_array_equal(a.angles, b.angles)
    assert np.abs(a.angles - c.angles).max() > 1e-3


def test_alpha_stays_in_its_range_and_names_fit(utterance):
    alpha = perform(utterance, "surprised", 3, np.random.default_rng(2)).alpha
    assert alpha.shape == (utterance.n_frames, N_ALPHA) == (utterance.n_frames, len(ALPHA_NAMES))
    assert alpha[:, :GAZE_X].min() >= 0
    assert alpha.max() <= 1.4
    assert IS_MOUTH[ALPHA_NAMES.index("AU12_L")]
    assert not IS_MOUTH[ALPHA_NAMES.index("AU4_R")]


def test_segments_cover_the_utterance_without_gaps(utterance):
    parts = segment(utterance.phonemes)
    assert parts[0].start_seconds == 0
    assert parts[0].viseme == SILENCE
    for before, after in itertools.pairwise(parts):
        assert after.start_seconds == pytest.approx(before.end_seconds)


@pytest.mark.parametrize("name", IDENTITIES)
def test_landmarks_lie_on_the_face(name):
    from scipy.spatial import cKDTree

    surface = Surface(IDENTITIES[name])
    template = build_template(surface)
    skin = make_rig(surface, template.points, template.lip_pairs).rest
    points = landmark_rig(surface).rest
    distance, _ = cKDTree(skin).query(points)
    assert distance.max() < 4.5  # mm: the spacing of the jaw's triangles
    low, high = head_box(surface.identity)
    assert (points > low).all()
    assert (points < high).all()


def test_projected_landmarks_fall_inside_the_picture_with_left_to_the_right(ben, utterance):
    surface, rig = ben
    performance = perform(utterance, "happy", 3, np.random.default_rng(3))
    pose, camera = head_pose(performance.angles, performance.shift), studio_camera(128)
    pixels = project(to_camera(deform(rig, surface, performance.alpha), pose), camera)
    assert pixels.min() > 0
    assert pixels.max() < 128
    assert (pixels[:, MOUTH_LEFT, 0] > pixels[:, MOUTH_RIGHT, 0]).all()
    assert (pixels[:, CHIN, 1] > pixels[:, 27, 1]).all()


def test_head_pose_is_a_rigid_motion(utterance):
    performance = perform(utterance, "angry", 3, np.random.default_rng(3))
    rotation = head_pose(performance.angles, performance.shift).rotation
    identity = np.broadcast_to(np.eye(3), rotation.shape)
    np.testing.assert_allclose(rotation @ rotation.transpose(0, 2, 1), identity, atol=1e-6)
    np.testing.assert_allclose(np.linalg.det(rotation), 1, atol=1e-6)
