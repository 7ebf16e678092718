"""The network: masks, attention, knock-outs; with random weights, since none of it depends on training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from emobench.methods.emohead.alignment import Alignment, AttentionMap
from emobench.methods.emohead.config import AlignmentConfig, EmoHeadConfig
from emobench.methods.emohead.examples import Example, Scaling, collate, make_example
from emobench.methods.emohead.features import PROSODY
from emobench.methods.emohead.network import ExpressionNetwork

from .conftest import small_config

TOLERANCE = 2e-5  # float32 sums in another order


def scaling(config: EmoHeadConfig) -> Scaling:
    count = config.audio.n_mels + len(PROSODY)
    ones = np.ones((2, 5), np.float32)
    return Scaling(
        feature_mean=np.zeros(count, np.float32),
        feature_scale=np.ones(count, np.float32),
        alpha_mean=0 * ones,
        alpha_scale=ones,
    )


def example(n_frames: int, seed: int = 0, **changes: object) -> Example:
    config = small_config()
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n_frames * 4, config.audio.n_mels + len(PROSODY))).astype(np.float32)
    made = make_example(features, scaling(config), n_frames, 25.0, "hello there", 1, 2.0, 1)
    return replace(made, **changes)  # type: ignore[arg-type]


def make(seed: int = 0, **sections: dict[str, object]) -> ExpressionNetwork:
    torch.manual_seed(seed)
    return ExpressionNetwork(small_config(**sections), 3, 2, 5).eval()


def predict(network: ExpressionNetwork, *examples: Example) -> torch.Tensor:
    with torch.no_grad():
        return network(collate(examples))[0]


@pytest.mark.parametrize("enabled", [True, False])
def test_a_clip_in_a_padded_batch_equals_the_clip_alone(enabled: bool) -> None:
    network = make(alignment={"enabled": enabled})
    short, long = example(17, 1), example(43, 2)
    together = predict(network, short, long)
    torch.testing.assert_close(together[:1, :17], predict(network, short), atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(together[1:], predict(network, long), atol=TOLERANCE, rtol=0)


def test_what_comes_much_later_does_not_change_a_frame() -> None:
    network = make()
    whole = example(60)
    part = replace(
        whole,
        features=whole.features[:160],
        positions=whole.positions[:40],
        seconds=whole.seconds[:40],
        text_positions=whole.text_positions[:40],
    )
    torch.testing.assert_close(predict(network, whole)[:, :20], predict(network, part)[:, :20], atol=TOLERANCE, rtol=0)


def test_attention_looks_no_further_than_its_window() -> None:
    network = make(alignment={"window_seconds": 0.2}, audio={"blocks": 0})
    quiet = example(50)
    loud = replace(quiet, features=quiet.features.copy())
    loud.features[100:104] += 3  # frame 25
    changed = (predict(network, quiet) - predict(network, loud)).abs().amax(-1)[0]
    assert changed[25] > 1e-3
    assert changed[:16].max() < TOLERANCE  # 0.2 s of attention are 5 frames, the prosody's convolution 4 at most
    assert changed[35:].max() < TOLERANCE


@pytest.mark.parametrize("stream", ["audio", "emotion.prosody", "text"])
def test_knocking_out_a_stream_changes_the_expression(stream: str) -> None:
    network = make()
    clip = example(30)
    before = predict(network, clip)
    exit_layer = network.get_submodule(f"{stream}.exit")
    with torch.no_grad():
        for parameter in exit_layer.parameters():
            parameter.zero_()
    assert (predict(network, clip) - before).abs().max() > 1e-3


@pytest.mark.parametrize("name", ["emotion", "text", "audio"])
def test_knocking_out_the_values_of_a_stream_changes_the_expression(name: str) -> None:
    network = make()
    clip = example(30)
    before = predict(network, clip)
    with torch.no_grad():
        network.alignment.values[name].weight.zero_()
    assert (predict(network, clip) - before).abs().max() > 1e-3


def test_tag_level_subject_and_text_each_matter() -> None:
    network = make()
    clip = example(30)
    for change in ({"tag": 2}, {"level": 3.0}, {"subject": 2}, {"has_text": False}):
        assert (predict(network, clip) - predict(network, replace(clip, **change))).abs().max() > 1e-4, change


def test_without_the_text_module_a_transcript_changes_nothing() -> None:
    network = make(text={"enabled": False})
    clip = example(30)
    torch.testing.assert_close(predict(network, clip), predict(network, replace(clip, has_text=False)))


def test_an_unknown_subject_is_the_mean_of_the_known_ones() -> None:
    network = make()
    with torch.no_grad():
        network.subjects.weight.copy_(network.subjects.weight.mean(0, keepdim=True).expand(2, -1))
    torch.testing.assert_close(
        predict(network, example(20, subject=0)), predict(network, example(20, subject=2)), atol=1e-6, rtol=0
    )


def test_a_fractional_level_lies_between_its_neighbours() -> None:
    encoder = make().emotion
    clip = collate([example(10)])
    with torch.no_grad():
        low, middle, high = (
            encoder(clip.tag, torch.tensor([level]), clip.features[..., -len(PROSODY) :], clip.steps, clip.positions)
            for level in (2.0, 2.5, 3.0)
        )
    torch.testing.assert_close(middle, (low + high) / 2, atol=1e-6, rtol=0)


def test_fused_attention_is_what_its_name_says() -> None:
    torch.manual_seed(0)
    logits = {name: torch.randn(1, 2, 6, 6) for name in ("text", "emotion")}
    maps = {name: x.softmax(-1) for name, x in logits.items()}
    fused = {
        kind: Alignment(AlignmentConfig(width=8, heads=2, fused_attention=kind))._fuse(logits, maps)
        for kind in ("convex", "product", "mean")
    }
    product = maps["text"] * maps["emotion"]
    torch.testing.assert_close(fused["product"], product / product.sum(-1, keepdim=True))
    torch.testing.assert_close(fused["mean"], (maps["text"] + maps["emotion"]) / 2)
    geometric = product.sqrt()  # the learned share starts at one half
    torch.testing.assert_close(fused["convex"], geometric / geometric.sum(-1, keepdim=True))
    for weights in fused.values():
        torch.testing.assert_close(weights.sum(-1), torch.ones(1, 2, 6))


def test_the_locality_bias_favours_near_frames() -> None:
    seconds = torch.arange(9)[None] / 25
    offsets = seconds[:, None, :] - seconds[:, :, None]
    near = AttentionMap(AlignmentConfig(width=8, heads=2))
    with torch.no_grad():
        weights = near(torch.zeros(1, 9, 8), offsets).softmax(-1)
    assert (weights[0, 0, 4].diff()[:4] > 0).all()
    assert (weights[0, 0, 4].diff()[4:] < 0).all()
    free = AttentionMap(AlignmentConfig(width=8, heads=2, locality=False))
    torch.testing.assert_close(free(torch.zeros(1, 9, 8), offsets).softmax(-1), torch.full((1, 2, 9, 9), 1 / 9))
