"""Our SyncNet path against syncnet-python's network and distance code, and MFCC against python_speech_features."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from emobench.errors import Unavailable
from emobench.metrics.mfcc import mfcc
from emobench.metrics.syncnet import SyncNet, SyncTowers, load_syncnet, offset_distances, score_distances


@pytest.mark.parametrize("length", [399, 400, 16_000, 16_123, 41_237])
def test_mfcc_equals_python_speech_features(length):
    speech_features = pytest.importorskip("python_speech_features")
    rng = np.random.default_rng(length)
    envelope = np.convolve(rng.normal(size=length), np.ones(300) / 300, "same")
    audio = (0.5 * envelope * rng.normal(size=length)).astype(np.float32)
    theirs = speech_features.mfcc(np.round(audio.astype(np.float64) * 32767.0), 16_000)
    np.testing.assert_allclose(mfcc(audio), theirs, rtol=1e-9, atol=1e-9)


def test_mfcc_of_silence_is_finite():
    assert np.isfinite(mfcc(np.zeros(16_000, np.float32))).all()


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """(network of syncnet-python with random weights, its saved state dict)."""
    model = pytest.importorskip("syncnet_python.SyncNetModel")
    torch.manual_seed(0)
    network = model.S(num_layers_in_fc_layers=1024).eval()
    for module in network.modules():  # batch norms at their initial values would hide a wrong order
        if hasattr(module, "running_mean"):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.8, 1.2)
    path = tmp_path_factory.mktemp("syncnet") / "syncnet.model"
    torch.save(network.state_dict(), path)
    return network, path


def test_our_network_is_syncnet_python_s(released):
    theirs, path = released
    network = load_syncnet(path)
    fast = SyncTowers(network, 2, "cpu")
    rng = torch.Generator().manual_seed(1)
    faces = torch.rand(2, 3, 5, 224, 224, generator=rng) * 255
    sounds = torch.randn(2, 1, 13, 20, generator=rng)
    with torch.no_grad():
        expected = theirs.forward_lip(faces), theirs.forward_aud(sounds)
        torch.testing.assert_close(network.embed_video(faces), expected[0], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(network.embed_audio(sounds), expected[1], rtol=1e-5, atol=1e-5)
    # other libraries and, for the lips, other sums: the same numbers to float32's rounding
    np.testing.assert_allclose(fast.embed_video(faces), expected[0].numpy(), rtol=1e-4, atol=2e-5)
    np.testing.assert_allclose(fast.embed_audio(sounds), expected[1].numpy(), rtol=1e-4, atol=2e-5)


def test_files_without_batch_counters_load_and_others_are_refused(released, tmp_path):
    state = torch.load(released[1], weights_only=True)
    old = {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "old.model")
    assert isinstance(load_syncnet(tmp_path / "old.model"), SyncNet)
    torch.save({"something": torch.zeros(1)}, tmp_path / "other.model")
    with pytest.raises(Unavailable, match="no SyncNet weight file"):
        load_syncnet(tmp_path / "other.model")


def test_distances_and_scores_equal_syncnet_python():
    instance = pytest.importorskip("syncnet_python.SyncNetInstance")
    rng = np.random.default_rng(2)
    video = rng.normal(size=(40, 1024)).astype(np.float32)
    audio = np.roll(video, 3, axis=0) + rng.normal(0, 0.4, (40, 1024)).astype(np.float32)
    theirs = torch.stack(instance.calc_pdist(torch.from_numpy(video), torch.from_numpy(audio), vshift=15), 1).mean(1)
    ours = offset_distances(video, audio)
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-5)
    score = score_distances(ours)
    low, index = theirs.min(0)
    assert score.offset_frames == 15 - int(index) == -3
    assert score.lse_d == pytest.approx(float(low), rel=1e-5)
    assert score.lse_c == pytest.approx(float(theirs.median() - low), rel=1e-5)
