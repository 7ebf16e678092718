"""Frames of the puppet: repeatable, whole, layered exactly, and changed by expression where it should be."""

import numpy as np
import pytest

from emobench.datasets.puppet.alpha import N_ALPHA, unit_slice
from emobench.datasets.puppet.identity import IDENTITIES
from emobench.datasets.puppet.preview import apex_alpha, contact_sheet
from emobench.datasets.puppet.renderer import Renderer
from emobench.datasets.puppet.surface import EYE_X, EYE_Y, EYE_Z, HEAD_BOTTOM, LID_HALF_WIDTH, Surface
from emobench.datasets.puppet.texture import reduction
from emobench.datasets.puppet.view import head_box, head_pose
from emobench.types import EMOTIONS

SIZE = 64
POSES = ((0.0, 0.0, 0.0), (0.25, 0.0, 0.0))  # yaw, pitch, roll in radians


@pytest.fixture(scope="module")
def renderer():
    return Renderer("ben", SIZE, 2)


def picture(renderer, alpha, angles=(0.0, 0.0, 0.0)):
    return next(iter(renderer.render(alpha, head_pose(np.array([angles]), np.zeros((1, 3))))))


def test_rendering_repeats_to_the_byte_whatever_was_rendered_before(renderer):
    neutral = np.zeros((1, N_ALPHA), np.float32)
    first = picture(renderer, neutral)
    picture(renderer, apex_alpha("surprised", 3), (0.2, 0.1, 0.0))
    again, fresh = picture(renderer, neutral), picture(Renderer("ben", SIZE, 2), neutral)
    for other in (again, fresh):
        np.testing.assert_array_equal(first.frame, other.frame)
        np.testing.assert_array_equal(first.head_alpha, other.head_alpha)


def test_frame_is_the_head_over_the_rest(renderer):
    shown = picture(renderer, apex_alpha("happy", 3), (0.1, 0.0, 0.05))
    a = shown.head_alpha[..., None] / 255.0
    composed = a * shown.head + (1 - a) * shown.back
    assert np.abs(composed - shown.frame).max() <= 1.5  # three roundings to 8 bits
    assert 0.3 < (shown.head_alpha == 255).mean() < 0.7


def test_head_layer_moves_with_the_head_while_the_wall_stays(renderer):
    neutral = np.zeros((1, N_ALPHA), np.float32)
    still, turned = picture(renderer, neutral), picture(renderer, neutral, (0.25, 0.0, 0.0))
    wall = (still.head_alpha == 0) & (turned.head_alpha == 0)
    wall[SIZE * 3 // 4 :] = False  # shoulders below
    np.testing.assert_array_equal(still.frame[wall], turned.frame[wall])
    assert (still.head_alpha != turned.head_alpha).mean() > 0.02


def test_shoulders_take_a_small_share_of_the_heads_motion(renderer):
    neutral = np.zeros((1, N_ALPHA), np.float32)
    points, _ = renderer.model.pose(neutral)
    still, turned = (renderer.place(points, head_pose(np.array([angles]), np.zeros((1, 3)))) for angles in POSES)
    moved = np.linalg.norm(turned - still, axis=-1)[0]
    height = renderer.model.mesh.height
    face, shoulders = moved[np.abs(height) < 40].mean(), moved[height < -190].mean()
    assert 0 < shoulders < 0.5 * face


def test_opening_the_jaw_changes_the_mouth_and_not_the_forehead(renderer):
    alpha = np.zeros((1, N_ALPHA), np.float32)
    shut = picture(renderer, alpha).frame.astype(int)
    alpha[0, unit_slice(26)] = 1.0
    opened = picture(renderer, alpha).frame.astype(int)
    changed = np.abs(shut - opened).mean(axis=-1)
    assert changed[int(SIZE * 0.60) : int(SIZE * 0.80), SIZE // 3 : 2 * SIZE // 3].mean() > 5
    assert changed[: SIZE // 3].max() == 0


def test_skin_has_no_holes(renderer):
    shown = picture(renderer, np.zeros((1, N_ALPHA), np.float32))
    rows, columns = np.nonzero(shown.head_alpha > 127)
    for row in range(SIZE // 4, int(SIZE * 0.7)):  # above, the sky may show between the tips of hair
        inside = columns[rows == row]
        assert (shown.head_alpha[row, inside.min() + 3 : inside.max() - 2] == 255).all()


@pytest.mark.parametrize("name", ["amy", "cora"])
def test_head_box_holds_the_visible_head(name):
    model = Renderer(name, 32, 1).model
    alpha = np.concatenate([apex_alpha(emotion, 3) for emotion in EMOTIONS])
    points, _ = model.pose(alpha)
    head = points[:, model.mesh.height > HEAD_BOTTOM]
    low, high = head_box(IDENTITIES[name])
    assert (head[..., :2].min(axis=(0, 1)) > low[:2]).all()  # the hidden back (z) may stick out
    assert (head.max(axis=(0, 1)) < high).all()


def test_emotions_look_different_from_each_other(renderer):
    frames = [picture(renderer, apex_alpha(emotion, 3)).frame.astype(float) for emotion in EMOTIONS]
    for i, one in enumerate(frames):
        for other in frames[i + 1 :]:
            assert np.abs(one - other).mean() > 0.5


def test_textures_shrink_with_the_frame():
    assert [reduction(size) for size in (512, 256, 128, 64, 32)] == [1, 2, 4, 8, 8]


def test_contact_sheet_has_a_row_per_subject():
    assert contact_sheet(("ben",), ("happy", "sad"), 32).shape == (32, 64, 3)


@pytest.mark.parametrize("name", IDENTITIES)
def test_proportions_shift_eyes_and_lips_without_bending_them(name):
    surface = Surface(IDENTITIES[name])
    around = np.array([[1, 0, 0], [-1, 0, 0], [0, 0.7, 0], [0, -0.7, 0], [0, 0, 0]]) * LID_HALF_WIDTH
    eye = np.array([EYE_X, EYE_Y, EYE_Z + 13.0])
    shift = surface.place(eye + around) - (eye + around)
    assert np.ptp(shift, axis=0).max() < 0.4  # mm; lids are laid on a ball that only moves
    lips = np.array([[0.0, y, 54.0] for y in (-57.0, -65.0, -75.0)])
    assert np.ptp((surface.place(lips) - lips)[:, 1]) < 0.05


def test_no_two_identities_share_their_proportions():
    centres = {name: Surface(who).place(np.array([[0.0, -65.0, 54.0], [EYE_X, 0.0, 38.0], [0.0, -112.0, 47.0]]))
               for name, who in IDENTITIES.items()}  # fmt: skip
    names = list(centres)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            assert np.abs(centres[one] - centres[other]).max() > 0.5  # mm


@pytest.mark.parametrize("name", IDENTITIES)
def test_everyone_wears_clothes_that_show(name):
    shown = picture(Renderer(name, 32, 1), np.zeros((1, N_ALPHA), np.float32))
    assert (shown.torso_alpha[-3:] > 200).mean() > 0.3
    assert (shown.head_alpha[:, 16] > 200).sum() > 20  # rows of 32: the face stays large
