"""Frames of another size are brought to the subject's without moving the optical axis."""

from __future__ import annotations

import numpy as np
import pytest

from emobench.datasets.framing import common_size, fitted_extent, fitted_image


def test_the_most_usual_size_wins_and_of_equals_the_largest() -> None:
    assert common_size([(64, 48), (1920, 1080), (64, 48)]) == (64, 48)
    assert common_size([(64, 48), (1920, 1080)]) == (1920, 1080)


@pytest.mark.parametrize("source", [(64, 48), (128, 96), (192, 96), (60, 96), (65, 48), (63, 47)])
def test_the_middle_stays_the_middle(source: tuple[int, int]) -> None:
    width, height = source
    image = np.zeros((height, width, 3), np.uint8)
    reach = height // 8
    x, y = width // 2, height // 2
    image[y - reach : y + reach, x - reach : x + reach] = 255
    fitted = fitted_image(image, (64, 48))
    assert fitted.shape == (48, 64, 3)
    rows, columns = np.nonzero(fitted[..., 0] > 127)
    assert columns.mean() + 0.5 == pytest.approx(32, abs=1)
    assert rows.mean() + 0.5 == pytest.approx(24, abs=1)
    x0, y0, x1, y1 = fitted_extent((x - reach, y - reach, x + reach, y + reach), source, (64, 48))
    assert (columns.min(), columns.max() + 1) == (pytest.approx(x0, abs=1.01), pytest.approx(x1, abs=1.01))
    assert (rows.min(), rows.max() + 1) == (pytest.approx(y0, abs=1.01), pytest.approx(y1, abs=1.01))


def test_a_frame_of_the_right_size_is_untouched() -> None:
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    assert fitted_image(image, (64, 48)) is image
