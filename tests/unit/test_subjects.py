"""Claims about the generated head motion of `emobench synth`."""

from __future__ import annotations

import numpy as np

from emobench.head_motion import sway
from emobench.subjects import SubjectCard
from emobench.types import Camera

CARD = SubjectCard(
    subject="ann",
    reference=np.zeros((4, 4, 3), np.uint8),
    camera=Camera(focal_px=4.0, cx_px=2.0, cy_px=2.0, width=4, height=4),
    rotation=np.eye(3, dtype=np.float32),
    translation=np.array([0.0, 0.0, -1000.0], np.float32),
    fps=25.0,
    emotions=("happy",),
)


def test_the_sway_is_a_gentle_smooth_rotation_and_follows_its_seed() -> None:
    one, two, other = (sway(CARD, 200, seed) for seed in (0, 0, 1))
    unit = np.tile(np.eye(3), (200, 1, 1))
    np.testing.assert_allclose(one.rotation @ one.rotation.transpose(0, 2, 1), unit, atol=1e-5)  # float32
    angle = np.degrees(np.arccos(np.clip((np.trace(one.rotation, axis1=1, axis2=2) - 1) / 2, -1, 1)))
    assert 1 < angle.mean() < 10
    assert np.abs(np.diff(one.rotation, axis=0)).max() < 0.05
    np.testing.assert_array_equal(one.rotation, two.rotation)
    assert np.abs(one.rotation - other.rotation).max() > 1e-3
    assert len(one) == 200
