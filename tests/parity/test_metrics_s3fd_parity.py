"""Our S3FD against syncnet-python's network and boxes, on random weights of the released layout."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from emobench import weights
from emobench.errors import Inapplicable, Unavailable, UnscoredError
from emobench.metrics.s3fd import MOST_MISSED, S3fd, S3fdDetector, overlap


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """(syncnet-python's detector with random weights that find some faces, its saved state dict)."""
    theirs = pytest.importorskip("syncnet_python.detectors.s3fd")
    torch.manual_seed(3)
    network = theirs.S3FDNet(device="cpu")
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d):  # as large as trained ones: else every box has confidence 0.5
                torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    path = tmp_path_factory.mktemp("s3fd") / "sfd_face.pth"
    torch.save(network.state_dict(), path)
    return theirs.S3FD(network, device="cpu"), path


@pytest.mark.parametrize(("height", "width"), [(256, 256), (270, 482)])
def test_our_boxes_are_syncnet_python_s(released, height, width):
    theirs, path = released
    frame = np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    expected = theirs.detect_faces(frame, conf_th=0.9, scales=[0.25])
    found = S3fdDetector(path, "cpu").faces(frame)
    assert len(expected) > 3  # random weights see faces here: else nothing would be compared
    assert found.shape == (len(expected), 4)
    ours, wanted = (boxes[np.argsort(boxes[:, 0])] for boxes in (found, expected[:, :4]))  # equal scores in any order
    np.testing.assert_allclose(ours, wanted, rtol=1e-4, atol=1e-3)  # float32 in another order of sums


def test_the_layout_is_the_released_file_s(released):
    state = torch.load(released[1], weights_only=True)
    assert {k: v.shape for k, v in S3fd().state_dict().items()} == {k: v.shape for k, v in state.items()}
    # sfd_face.pth has 89,844,381 bytes: its tensors, and names and headers for the rest
    assert 0 < weights.manifest()["s3fd"].size - sum(v.numel() * 4 for v in state.values()) < 100_000


def test_another_file_is_refused(tmp_path):
    torch.save({"vgg.0.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(Unavailable, match="no S3FD weight file"):
        S3fdDetector(tmp_path / "other.pth", "cpu")


# ------------------------------------------------------------------ one face through a clip


class Shown(S3fdDetector):
    """A detector that sees what a table says of each frame."""

    def __init__(self, table: list[list[tuple[float, ...]]]) -> None:
        self._rest = iter(table)

    def faces(self, frame):
        return np.array(next(self._rest), np.float64).reshape(-1, 4)


def follow(table):
    return Shown(table).follow(np.zeros((len(table), 128, 128, 3), np.uint8))


HERE, THERE = (10.0, 10.0, 30.0, 30.0), (60.0, 10.0, 80.0, 30.0)


def test_a_face_is_followed_where_a_surer_one_appears_and_gaps_are_bridged():
    moved = tuple(value + 2 for value in HERE)
    boxes = follow([[HERE], [THERE, HERE], [], [THERE, moved]])
    np.testing.assert_allclose(boxes, [HERE, HERE, np.mean([HERE, moved], axis=0), moved])


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ([[], [HERE]], "no face found in frame 0"),
        ([[HERE], [HERE], []], "no face found in the last frame, 2"),
        ([[HERE], *[[THERE]] * (MOST_MISSED + 1), [HERE]], "the face of frame 0 is lost for more than 25 frames"),
    ],
)
def test_a_face_that_is_not_there_leaves_the_clip_unscored(table, said):
    with pytest.raises(UnscoredError, match=said):
        follow(table)


def test_frames_too_small_for_the_network_are_said_to_be():
    with pytest.raises(Inapplicable, match="96×64 are too small for S3FD; 128 px are needed"):
        Shown([]).follow(np.zeros((3, 64, 96, 3), np.uint8))


def test_overlap_is_intersection_over_union():
    half = (10.0, 10.0, 30.0, 20.0)
    np.testing.assert_allclose(overlap(np.array(HERE), np.array([HERE, half, THERE])), [1.0, 0.5, 0.0])
