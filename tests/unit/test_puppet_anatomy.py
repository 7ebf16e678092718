"""Hair, ears, mouth and lashes of the puppet: closed where they must be, and no two heads with the same cut."""

import cv2
import numpy as np
import pytest
from scipy import ndimage

from emobench.datasets.puppet.alpha import N_ALPHA, TONGUE, unit_slice
from emobench.datasets.puppet.hair import detail
from emobench.datasets.puppet.hair_groom import GROOMS
from emobench.datasets.puppet.hair_scalp import sample_scalp
from emobench.datasets.puppet.identity import IDENTITIES
from emobench.datasets.puppet.lashes import grow_lashes
from emobench.datasets.puppet.parts import Material
from emobench.datasets.puppet.renderer import Renderer
from emobench.datasets.puppet.view import CAMERA_POSITION, head_pose, project

SIZE = 128


@pytest.fixture(scope="module", params=["amy", "ben"])
def renderer(request):
    return Renderer(request.param, SIZE, 2)


def alpha_of(**weights):
    alpha = np.zeros((1, N_ALPHA), np.float32)
    for unit, weight in weights.items():
        alpha[0, unit_slice(int(unit.removeprefix("AU")))] = weight
    return alpha


def pose_of(yaw_degrees):
    return head_pose(np.radians([[yaw_degrees, 0.0, 0.0]]), np.zeros((1, 3)))


WIDE_OPEN = {"AU25": 0.8, "AU26": 1.0, "AU27": 0.6}


def seen_materials(renderer, alpha, yaw_degrees):
    """Materials (n,) of the visibility samples between the lips' inner contours, −1 where the wall shows."""
    pose = pose_of(yaw_degrees)
    list(renderer.render(alpha, pose))
    points, _ = renderer.model.pose(alpha)
    lips = renderer.model.template.lips
    loop = np.concatenate([lips[1], lips[-1][-2:0:-1]])
    placed = renderer.place(points, pose)[0][loop] - CAMERA_POSITION
    outline = project(placed, renderer.camera) * 2
    mask = np.zeros(renderer._seen.shape, np.uint8)
    cv2.fillPoly(mask, [np.rint(outline).astype(np.int32)], 1)
    seen = renderer._seen[mask > 0]
    return np.where(seen >= 0, renderer.model.mesh.material[seen], -1)


@pytest.mark.parametrize("yaw_degrees", [-30, 0, 30])
def test_nothing_behind_the_head_shows_through_an_open_mouth(renderer, yaw_degrees):
    materials = seen_materials(renderer, alpha_of(**WIDE_OPEN), yaw_degrees)
    assert len(materials) > 300
    assert (materials >= 0).all()


def test_teeth_tongue_and_darkness_show_in_an_open_mouth(renderer):
    materials = seen_materials(renderer, alpha_of(**WIDE_OPEN), 0)
    for material in (Material.TEETH, Material.TONGUE, Material.CAVITY):
        assert (materials == material).mean() > 0.04


def test_mouth_at_rest_shows_neither_teeth_nor_tongue(renderer):
    list(renderer.render(alpha_of(), pose_of(0)))
    seen = renderer._seen[renderer._seen >= 0]
    inside = np.isin(renderer.model.mesh.material[seen], (Material.TEETH, Material.TONGUE, Material.CAVITY))
    assert inside.sum() <= 8  # of 65,536 samples: slivers at the corners


def test_raised_tongue_comes_into_sight_between_the_teeth(renderer):
    alpha = alpha_of(AU25=0.5, AU26=0.3)
    low = (seen_materials(renderer, alpha, 0) == Material.TONGUE).sum()
    alpha[0, TONGUE] = 1.0
    high = (seen_materials(renderer, alpha, 0) == Material.TONGUE).sum()
    assert high > low + 10


@pytest.mark.parametrize("yaw_degrees", [-20, 0, 10])
def test_silhouette_of_head_and_hair_has_no_loose_dots(renderer, yaw_degrees):
    shown = next(iter(renderer.render(alpha_of(), pose_of(yaw_degrees))))
    labels, _ = ndimage.label(shown.head_alpha > 0, structure=np.ones((3, 3)))
    sizes = np.sort(np.bincount(labels.ravel())[1:])
    assert sizes[-1] > 0.2 * SIZE**2
    assert sizes[:-1].sum() <= 4  # pixels in all: the tip of a lock may stand apart


def test_locks_never_sink_into_the_head(renderer):
    lock, slots = renderer.model.parts["hair_0"]
    groom = GROOMS[renderer.model.identity.hair_style]
    scalp = sample_scalp(renderer.model.surface, over_ears=False)
    middles = lock.vertices.reshape(-1, groom.rows, 2, 3).mean(axis=2)
    depth = scalp.contact(middles[:, groom.rows // 2 :].reshape(-1, 3)).height
    assert slots.stop - slots.start == len(lock.vertices)
    assert (depth < -1.0).mean() < 0.01


def test_parted_hair_leaves_the_forehead_free():
    locks = Renderer("amy", 64, 1).model.parts["hair_0"][0].vertices
    over_brows = (np.abs(locks[:, 0]) < 40) & (locks[:, 1] < 50) & (locks[:, 2] > 30)
    assert not over_brows.any()


def test_ear_joins_the_head_and_stands_off_it(renderer):
    ear = renderer.model.parts["ear_left"][0].vertices
    height = sample_scalp(renderer.model.surface, over_ears=False).contact(ear).height
    assert height.min() < -1.0
    assert 8.0 < height.max() < 30.0


def test_every_identity_has_a_haircut_of_its_own():
    styles = [identity.hair_style for identity in IDENTITIES.values()]
    assert len(set(styles)) == len(styles)
    assert set(styles) == set(GROOMS)


def test_small_frames_get_fewer_locks_and_lashes(renderer):
    assert detail(128) < detail(256) < detail(512)
    model = renderer.model
    small, large = (grow_lashes(model.surface, model.template, size)[0] for size in (64, 512))
    assert len(small.place) < len(large.place)
    assert small.width > large.width
