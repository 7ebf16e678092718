"""The pickled HSEmotion network: a child process, only for a file whose sha256 the user gave, only numbers back."""

from __future__ import annotations

import hashlib
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from emobench.errors import Unavailable
from emobench.metrics.emotion import HSEMOTION_CLASSES, PickledHsEmotion
from emobench.metrics.unpickling import PickledNetwork
from emobench.types import MetricContext

CLASSES = len(HSEMOTION_CLASSES)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def pickled(tmp_path_factory) -> tuple[Path, torch.nn.Module]:
    """A whole timm EfficientNet-B0 as hsemotion's files hold one: classifier a Sequential of one Linear; random."""
    from emobench.torchvision_schemas import ensure_torchvision

    ensure_torchvision()
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    network = timm.create_model("tf_efficientnet_b0.ns_jft_in1k", pretrained=False)
    network.classifier = torch.nn.Sequential(torch.nn.Linear(1280, CLASSES))
    path = tmp_path_factory.mktemp("pickled") / "enet_b0_8_best_vgaf.pt"
    torch.save(network.eval(), path)
    return path, network


def context_of(path: Path, allowed: str) -> MetricContext:
    return MetricContext(judges=None, locate_weight=lambda name: path, unpickle_sha256=allowed)


class Trap:
    """A pickle that leaves a mark where it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str, int]]:
        return os.mkdir, (str(self.mark), 0o755)


class Program:
    """A pickle that runs a line of Python where it is loaded."""

    def __init__(self, line: str) -> None:
        self.line = line

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, (self.line,)


class SlowNetwork:
    """A pickle of a network that never answers."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        forward = "lambda self, x: __import__('time').sleep(600)"
        return eval, (f"type('Slow', (__import__('torch').nn.Flatten,), dict(forward={forward}))()",)


def test_the_metric_reads_the_network_as_torch_does(pickled, cartoon, reference, features):
    path, network = pickled
    allowed = PickledNetwork(path, sha256(path), CLASSES)
    batch = np.random.default_rng(0).normal(size=(2, 3, 224, 224)).astype(np.float32)
    with torch.inference_mode():
        expected = network(torch.from_numpy(batch)).numpy()
    for _ in range(2):
        np.testing.assert_allclose(allowed.run(batch), expected, rtol=1e-5, atol=1e-5)  # one thread or several
    metric = PickledHsEmotion(context_of(path, sha256(path)))
    stats = metric.measure(cartoon.as_prediction(reference), reference, features)
    assert stats.value in (0.0, 100.0)
    assert stats.arrays["probabilities"].sum() == pytest.approx(1.0)
    assert "weights:hsemotion.pickled.enet_b0_8_best_vgaf@" in metric.signature()


def test_without_the_user_s_word_nothing_is_loaded(tmp_path):
    with pytest.raises(Unavailable, match="--allow-unpickle SHA256"):
        PickledHsEmotion(context_of(tmp_path / "absent.pt", ""))


def test_a_file_with_another_hash_is_refused_before_it_is_unpickled(tmp_path):
    path = tmp_path / "trap.pt"
    path.write_bytes(pickle.dumps(Trap(tmp_path / "mark")))
    with pytest.raises(Unavailable, match=f"trap.pt was not loaded: its sha256 is {sha256(path)}, allowed is 0000"):
        PickledNetwork(path, "0" * 64, CLASSES)
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [({"a": torch.zeros(1)}, "it holds a dict, not a network"), (None, "was not loaded: ")],
)
def test_what_is_no_network_is_refused_in_one_line(content, said, tmp_path):
    path = tmp_path / "other.pt"
    torch.save(content, path) if content else path.write_bytes(b"no pickle")
    with pytest.raises(Unavailable, match=said) as caught:
        PickledNetwork(path, sha256(path), CLASSES)
    assert "\n" not in str(caught.value)


def test_a_network_of_another_width_is_an_error_and_no_number(tmp_path):
    path = tmp_path / "narrow.pt"
    torch.save(torch.nn.Flatten(), path)
    network = PickledNetwork(path, sha256(path), CLASSES)
    with pytest.raises(Unavailable, match=r"narrow\.pt gave \(1, 3\) values, \(1, 8\) were expected"):
        network.run(np.zeros((1, 1, 1, 3), np.float32))
    assert network._child.poll() is not None  # three numbers were left unread
    with pytest.raises(Unavailable, match="was ended"):
        network.run(np.zeros((1, 1, 1, 3), np.float32))


def test_a_pickle_that_hangs_is_ended_when_its_time_is_over(tmp_path, monkeypatch):
    monkeypatch.setattr("emobench.metrics.unpickling.LOAD_SECONDS", 2.0)
    path = tmp_path / "endless.pt"
    torch.save(Program("import time; time.sleep(600)"), path)
    with pytest.raises(Unavailable, match=r"endless\.pt was not loaded: it took longer than 2 s and was ended"):
        PickledNetwork(path, sha256(path), CLASSES)


def test_a_network_that_hangs_is_ended_when_its_time_is_over(tmp_path, monkeypatch):
    monkeypatch.setattr("emobench.metrics.unpickling.ANSWER_SECONDS", 0.5)
    path = tmp_path / "slow.pt"
    torch.save(SlowNetwork(), path)
    network = PickledNetwork(path, sha256(path), CLASSES)
    with pytest.raises(Unavailable, match=r"slow\.pt stopped: it took longer than 0\.5 s and was ended"):
        network.run(np.zeros((1, 3, 8, 8), np.float32))
    assert network._child.poll() is not None


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("stream = open({mark!r}, 'wb', 0); stream.write(b'x')", r"OSError: \[Errno 27\]"),
        ("import os; raise ValueError('sees ' + str(os.environ.get('EMOBENCH_SECRET')))", "ValueError: sees None"),
    ],
)
def test_the_child_may_write_no_file_and_sees_no_variables_of_ours(program, said, tmp_path, monkeypatch):
    monkeypatch.setenv("EMOBENCH_SECRET", "x")
    path, mark = tmp_path / "nosy.pt", tmp_path / "mark"
    torch.save(Program(program.format(mark=str(mark))), path)
    with pytest.raises(Unavailable, match=said):
        PickledNetwork(path, sha256(path), CLASSES)
    assert not mark.exists() or not mark.stat().st_size
