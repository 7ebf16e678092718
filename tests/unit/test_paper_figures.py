"""Claims about `emobench figures`: strips show what was asked for, labelled, and nothing overlaps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emobench.cli import main
from emobench.errors import InputError, UsageError
from emobench.media import probe, read_video
from emobench.paper_figures import Shown, choose_emotion, choose_shown, known_emotions, refinement, sweep, views
from emobench.strips import GAP_PX, LEAST_CELL_PX, Labels, strip

from .animated_run import EMOTIONS, FPS, FRAMES, SIZE, PaintingMethod, PlainMethod, finished_run


@pytest.fixture
def shown(tmp_path: Path) -> Shown:
    return choose_shown(finished_run(tmp_path / "run"), PaintingMethod(), "", None, "neutral")


def painted(value: int) -> np.ndarray:
    return np.full((LEAST_CELL_PX, LEAST_CELL_PX, 3), value, np.uint8)


def columns_of(image: np.ndarray, count: int) -> np.ndarray:
    """(count, 3) colour in the middle of each cell of the last row of a strip."""
    step = LEAST_CELL_PX + GAP_PX
    left = image.shape[1] // 2 * 2 - count * step
    centres = [left + index * step + LEAST_CELL_PX // 2 for index in range(count)]
    return image[-LEAST_CELL_PX // 2, centres]


def picture(path: Path) -> np.ndarray:
    frame: np.ndarray = read_video(path).frames[0]
    return frame


def test_cells_stand_whole_beside_each_other_under_their_labels() -> None:
    cells = [[painted(10), painted(90)], [painted(130), painted(200)]]
    image = strip(cells, Labels(title="title", columns=("left", "right"), rows=("above", "below")))
    for value in (10, 90, 130, 200):
        assert (image == value).all(axis=2).sum() >= LEAST_CELL_PX**2
    above = image[: np.flatnonzero((image == 10).all(axis=2).any(axis=1))[0]]
    assert (above < 128).any(), "no title and no labels"
    assert not (above[:, -2:] < 128).any(), "a label runs out of the picture"


@pytest.mark.parametrize("length", [3, 40])
def test_labels_of_neighbouring_columns_do_not_touch(length: int) -> None:
    labels = Labels(title="", columns=("m" * length, "w" * length))
    image = strip([[painted(255), painted(255)]], labels)
    inked = (image < 128).any(axis=(0, 2))
    middle = (image.shape[1] - GAP_PX) // 2
    assert not inked[middle - 1 : middle + 1].any()
    assert inked[:middle].any()
    assert inked[middle:].any()


def test_small_pictures_are_enlarged_by_a_whole_factor() -> None:
    small = np.full((SIZE, SIZE, 3), 60, np.uint8)
    image = strip([[small]], Labels(title="", columns=("",)))
    assert (image == 60).all(axis=2).sum() >= LEAST_CELL_PX**2


def test_pictures_of_two_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="one size"):
        strip([[painted(1), painted(2)[:-1]]], Labels(title="", columns=("a", "b")))


def test_a_sweep_moves_step_by_step_towards_the_emotion(shown: Shown, tmp_path: Path) -> None:
    values = [0.0, 0.5, 1.0]
    sweep(shown, "happy", values, tmp_path / "sweep.png", None)
    red = columns_of(picture(tmp_path / "sweep.png"), 3)[:, 0].astype(int)
    assert red == pytest.approx([100 + 100 * (0.1 + 0.6 * tau) for tau in values], abs=2)


def test_the_film_of_a_sweep_is_as_long_as_its_clip_and_sounds(shown: Shown, tmp_path: Path) -> None:
    sweep(shown, "angry", [0.0, 1.0], tmp_path / "sweep.png", tmp_path / "sweep.mp4")
    media = probe(tmp_path / "sweep.mp4")
    assert (media.n_frames, media.fps, media.has_audio) == (FRAMES, FPS, True)


def test_refinement_is_shown_under_what_goes_without_it(shown: Shown, tmp_path: Path) -> None:
    refinement(shown, ["angry", "happy"], tmp_path / "refinement.png")
    image = picture(tmp_path / "refinement.png")
    below = columns_of(image, 2)
    above = columns_of(image[: -LEAST_CELL_PX - GAP_PX], 2)
    assert abs(int(above[1, 0]) - int(above[1, 1])) <= 1
    assert int(below[1, 0]) - int(above[1, 0]) == pytest.approx(100 * 0.25 * 0.6, abs=2)


def test_views_turn_the_camera_and_not_the_expression(shown: Shown, tmp_path: Path) -> None:
    views(shown, ["happy", "neutral"], [-30.0, 0.0, 30.0], tmp_path / "views.png")
    grey = columns_of(picture(tmp_path / "views.png"), 3)[:, 0].astype(int)
    assert grey == pytest.approx([50, 100, 150], abs=1)  # 100 + 100 · sin(yaw)


def test_the_clip_of_the_wanted_emotion_is_chosen_and_a_moment_in_it(tmp_path: Path) -> None:
    record, method = finished_run(tmp_path / "run"), PaintingMethod()
    assert choose_shown(record, method, "", None, "neutral").driving.clip_id == "ann_neutral"
    assert choose_shown(record, method, "", None, "sad").driving.clip_id == "ann_happy"
    assert choose_shown(record, method, "ann_happy", 0.2).frame == 5
    with pytest.raises(UsageError, match=r"lasts 0\.40 s"):
        choose_shown(record, method, "ann_happy", 0.4)
    with pytest.raises(UsageError, match="ann_happy"):
        choose_shown(record, method, "ann_hapy", None)


def test_emotions_are_checked_and_chosen_among_the_trained_ones(shown: Shown) -> None:
    assert choose_emotion(shown.method, shown.record, "", "happy") == "angry"
    assert known_emotions(shown) == list(EMOTIONS)
    with pytest.raises(UsageError, match="Did you mean 'happy'"):
        choose_emotion(shown.method, shown.record, "hapy", "")


def test_a_method_that_cannot_be_moved_or_turned_is_named(tmp_path: Path) -> None:
    shown = choose_shown(finished_run(tmp_path / "run"), PlainMethod(), "", None)
    with pytest.raises(UsageError, match="painting has no hyperplanes"):
        sweep(shown, "happy", [0.0], tmp_path / "x.png", None)
    with pytest.raises(UsageError, match="another side"):
        views(shown, ["happy"], [0.0], tmp_path / "x.png")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["sweep", "absent", "-o", "x.gif"], "must end in .png"),
        (["sweep", "absent", "--film", "x.gif"], "must end in .mp4"),
        (["views", "absent", "--degrees", "ten"], "give numbers"),
        (["views", "absent", "--degrees", "120"], "between -90 and 90"),
        (["refinement", "absent"], "No run directory at absent"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(
    arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["figures", *arguments]) == 2
    assert word in capsys.readouterr().err
