"""The chain of face parsing: green screen, segmentation networks where weights exist, landmarks; who is chosen."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from emobench import weights
from emobench.errors import InputError, Unavailable
from emobench.face import segmentation
from emobench.face.green_screen import chroma_of, find_screen
from emobench.face.head_masks import HullParser, ScreenParser, SegmentedParser, open_parser, parsing_key
from emobench.face.parsing import SOURCE
from emobench.metrics.onnx_graph import to_onnx

SIZE = 96
GREEN, SKIN, SHIRT = (40, 170, 70), (205, 150, 125), (40, 45, 90)


def landmarks() -> np.ndarray:
    """(68, 2) a schematic face, eyes at y = 42, chin at y = 66."""
    points = np.zeros((68, 2), np.float32)
    angles = np.linspace(np.pi, 0, 17)
    points[:17] = np.stack([48 + 16 * np.cos(angles), 42 + 24 * np.sin(angles)], 1)
    points[17:27] = np.stack([np.linspace(36, 60, 10), np.full(10, 37)], 1)
    points[27:36] = (48, 50)
    points[36:42], points[42:48], points[48:] = (42, 42), (54, 42), (48, 58)
    return points


def picture(wall: tuple[int, int, int] = GREEN, noise: float = 3.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A head with hair far to one side and a shirt before an even wall; where the head is."""
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    head = ((x - 48) / 19) ** 2 + ((y - 40) / 27) ** 2 < 1
    hair = (abs(x - 24) < 6) & (abs(y - 36) < 12)  # a bunch, outside of the landmarks' hull
    shirt = (y > 74) & (abs(x - 48) < 42)
    image = np.empty((SIZE, SIZE, 3), np.float32)
    image[:] = wall
    image[shirt], image[head | hair] = SHIRT, SKIN
    image += np.random.default_rng(seed).normal(0, noise, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8), head | hair


class TestGreenScreen:
    def test_a_person_before_it_is_cut_out_hair_included_and_shirt_not(self) -> None:
        image, head = picture()
        parser = open_parser("auto", [image])
        assert isinstance(parser, ScreenParser)
        assert parser.source == "green-screen"
        mask = parser.mask(image, landmarks())
        assert (mask[head] > 127).mean() > 0.97
        assert (mask[~head] > 127).mean() < 0.02
        assert mask[90, 10:86].max() == 0
        hull = HullParser().mask(image, landmarks())
        assert (hull[30:44, 20:28] > 127).mean() < 0.5 < (mask[30:44, 20:28] > 127).mean()  # the bunch of hair

    def test_uneven_light_and_compression_do_not_matter(self) -> None:
        image, head = picture(noise=0)
        shade = np.linspace(0.8, 1.1, SIZE)[None, :, None]
        coarse = (np.clip(image * shade, 0, 255) // 8 * 8).astype(np.uint8)
        mask = open_parser("green-screen", [coarse]).mask(coarse, landmarks())
        assert (mask[head] > 127).mean() > 0.95
        assert (mask[~head] > 127).mean() < 0.03

    @pytest.mark.parametrize("wall", [(128, 128, 128), (200, 190, 170), (30, 40, 90)])
    def test_walls_of_another_colour_are_none(self, wall: tuple[int, int, int]) -> None:
        assert find_screen([picture(wall)[0]]) is None

    def test_a_green_garden_is_none(self) -> None:
        image = np.random.default_rng(1).integers(0, 256, (SIZE, SIZE, 3)).astype(np.float32) * [0.4, 1.0, 0.4]
        assert find_screen([image.astype(np.uint8)]) is None

    def test_no_frames_are_none(self) -> None:
        assert find_screen([]) is None

    def test_grey_has_no_chroma(self) -> None:
        np.testing.assert_allclose(chroma_of(np.full((2, 3), 90, np.uint8)), 0, atol=1e-4)

    def test_asking_for_one_that_is_not_there_is_an_input_error(self) -> None:
        with pytest.raises(InputError, match="no even green border"):
            open_parser("green-screen", [picture((128, 128, 128))[0]])


class TestNetworks:
    @pytest.fixture
    def bisenet(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A network of BiSeNet's shape that calls dark pixels hair, bright ones skin, and blue ones clothes."""
        network = nn.Sequential(nn.Conv2d(3, 19, 1))
        with torch.no_grad():
            layer = network[0]
            layer.weight.zero_()
            layer.bias.fill_(-40.0)
            layer.bias[[0, 1, 16]] = 0.0
            layer.weight[0, 1], layer.weight[0, 0] = 10.0, -10.0  # green: background
            layer.weight[1, 0], layer.weight[1, 2] = 10.0, -10.0  # red: skin
            layer.weight[16, 2], layer.weight[16, 0] = 10.0, -10.0  # blue: clothes
        (tmp_path / "resnet18.onnx").write_bytes(to_onnx(network, (1, 3, None, None)))
        known = weights.locate

        def locate(name: str) -> Path:
            return tmp_path / "resnet18.onnx" if name == segmentation.BISENET else known(name)

        monkeypatch.setattr(weights, "locate", locate)
        monkeypatch.setattr(weights, "is_present", lambda name: name == segmentation.BISENET)

    def test_a_network_whose_weights_are_here_is_used_and_named(self, bisenet: None) -> None:
        image, head = picture(wall=(60, 140, 60))
        grey, _ = picture(wall=(100, 110, 100))  # no screen: not green enough
        parser = open_parser("auto", [grey])
        assert isinstance(parser, SegmentedParser)
        assert parser.source == "bisenet.resnet18 0d9bd318"
        mask = parser.mask(image, landmarks())
        assert (mask[head] > 127).mean() > 0.95
        assert (mask[~head] > 127).mean() < 0.03

    def test_a_green_screen_comes_before_a_network(self, bisenet: None) -> None:
        assert open_parser("auto", [picture()[0]]).source == "green-screen"

    def test_heads_are_summed_over_their_classes_and_scaled_to_the_image(self) -> None:
        shares = np.zeros((6, 4, 4), np.float32)
        shares[1, :2], shares[3, 2:] = 0.25, 0.5
        total = segmentation.summed(shares, segmentation.MULTICLASS_HEAD, np.zeros((8, 8, 3), np.uint8))
        assert total.shape == (8, 8)
        assert (total[0, 0], total[7, 7]) == (0.25, 0.5)

    @pytest.mark.parametrize(
        ("choice", "weight"), [("mediapipe", segmentation.MULTICLASS), ("bisenet", segmentation.BISENET)]
    )
    def test_asking_for_one_that_is_not_here_says_how_to_get_it(
        self, choice: str, weight: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("EMOBENCH_WEIGHTS", str(tmp_path))
        monkeypatch.setenv("EMOBENCH_CACHE", str(tmp_path))
        for ask in (lambda: open_parser(choice, []), lambda: parsing_key(choice)):
            with pytest.raises(Unavailable, match=f"emobench weights fetch {weight}"):
                ask()


def test_without_screen_and_weights_the_hull_is_used_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("EMOBENCH_CACHE", str(tmp_path))
    image, _ = picture((128, 128, 128))
    parser = open_parser("auto", [image])
    assert parser.source == SOURCE == "landmark-hull"
    assert parser.mask(image, landmarks())[45, 48] == 255
    assert parsing_key("auto") == "auto"


def test_the_network_is_closed_with_its_parser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vision = pytest.importorskip("mediapipe.tasks.python.vision")
    closed: list[bool] = []
    network = SimpleNamespace(close=lambda: closed.append(True))
    monkeypatch.setattr(vision.ImageSegmenter, "create_from_options", lambda options: network)
    monkeypatch.setattr(weights, "locate", lambda name: tmp_path / "model.tflite")
    parser = open_parser("mediapipe", [])
    assert not closed
    del parser
    assert closed == [True]


def test_new_weights_change_the_identity_of_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "is_present", lambda name: True)
    monkeypatch.setattr(weights, "locate", lambda name: tmp_path)
    monkeypatch.setattr(weights, "sha256_of", lambda name: "ab" * 32)
    assert parsing_key("auto") == f"auto|{segmentation.MULTICLASS}|{'ab' * 32}"
    assert parsing_key("landmark-hull") == "landmark-hull"
