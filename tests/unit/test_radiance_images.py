"""Losses on the rendered face as an image: exact gradients, their effect, who may judge, and what provenance says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from emobench.errors import Unavailable, UsageError
from emobench.judges.crops import cut
from emobench.judges.extractors import IdentityJudge, TagImageJudge
from emobench.judges.networks import TagImageNet
from emobench.methods.radiance.config import RadianceConfig
from emobench.methods.radiance.critics import JudgeCritic, Verdict, open_critic
from emobench.methods.radiance.field import new_field
from emobench.methods.radiance.footage import pack_footage
from emobench.methods.radiance.geometry import project
from emobench.methods.radiance.image_config import ImageLossConfig
from emobench.methods.radiance.image_losses import ImageLosses, Shot, directions_through, grid_places, sampled
from emobench.methods.radiance.occupancy import skip_distances
from emobench.methods.radiance.operations import DENSITY_UNIT_MM, Operations, choose_backend
from emobench.methods.radiance.portrait import Portrait, fit_footage, sources_of
from emobench.methods.radiance.reference import compositing_weights, decode, encode
from emobench.progress import SilentProgress

from .radiance_scene import CAMERA, TINY, scene

CPU = torch.device("cpu")
SIZE = 16
STEP_MM = 6.0


class Notes(SilentProgress):
    """Keeps what would be printed."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


class Wave:
    """A critic whose loss is a smooth function of every pixel, different in each."""

    names: ClassVar[dict[str, str]] = {"cord": "wave", "identity": "wave"}

    def judge(self, shown: Tensor, real: Tensor, emotion: str | None) -> Verdict:
        weights = torch.linspace(-1, 2, shown.numel()).reshape(shown.shape).to(shown)
        return Verdict(cord=(weights * shown.square()).mean(), identity=(shown - real).square().sum().sqrt())


class Greener:
    """Wants faces as green as can be."""

    names: ClassVar[dict[str, str]] = {"cord": "greener"}

    def judge(self, shown: Tensor, real: Tensor, emotion: str | None) -> Verdict:
        return Verdict(cord=1 - shown[1].mean())


@pytest.fixture(scope="module")
def footage() -> Any:
    return replace(scene(12, 1)[0], emotion="happy")


def losses(footage: Any, operations: Operations, critic: Any, **config: Any) -> ImageLosses:
    frames, backs = pack_footage(iter([footage]))
    return ImageLosses(frames, backs, frames.box, critic, ImageLossConfig(size=SIZE, **config), operations)


def shot_of(images: ImageLosses, config: RadianceConfig) -> tuple[Shot, Any]:
    """A frame under a random dense field."""
    field = new_field(config, 2, 0)
    field.base.copy_(torch.randn(len(field.base), generator=torch.Generator().manual_seed(1)) * 0.5)
    field.decoder.layers()[-1][0] += 2.0
    occupied = np.ones((8, 8, 8), bool)
    shot = Shot(
        frame=3, table=field.base, decoder=field.decoder, skip=skip_distances(occupied), step_mm=STEP_MM,
        max_samples=64, depth_origin=600.0, variance_weight=0.0, factor=0.25,
        gradient=torch.full_like(field.base, 7.0),
    )  # fmt: skip
    return shot, field


@pytest.mark.parametrize("backend", ["torch", "numba"])
def test_the_gradient_is_that_of_the_judge_through_the_whole_rendering(footage: Any, backend: str) -> None:
    images = losses(footage, choose_backend(backend), Wave(), cord_weight=0.7, identity_weight=0.2)
    shot, field = shot_of(images, TINY)
    samples, found = images.share(shot, field)
    table = shot.table.double().requires_grad_()
    network = shot.decoder.weights.double().requires_grad_()
    points = samples.points.double()
    density, colour = decode(encode(points, table.view(-1, 2), field.layout), shot.decoder.layers(network))
    weights, ray = compositing_weights(density, samples.counts, STEP_MM / DENSITY_UNIT_MM)
    sums = torch.zeros(SIZE**2, 4, dtype=torch.float64)
    sums = sums.index_add(0, ray, torch.cat([weights[:, None] * colour, weights[:, None]], 1))
    places = grid_places(images.squares[shot.frame], SIZE)
    back, real = (part.double() for part in images._surroundings(shot.frame, places))
    shown = sums[:, :3] + (1 - sums[:, 3:]) * back
    verdict = Wave().judge(shown.T.reshape(3, SIZE, SIZE), real.T.reshape(3, SIZE, SIZE), "happy")
    loss = 0.7 * verdict.cord + 0.2 * verdict.identity
    of_table, of_network = torch.autograd.grad(loss, [table, network])
    cord, identity = images.judged[-1]
    assert 0.7 * cord + 0.2 * identity == pytest.approx(float(loss.detach()), rel=1e-5)
    assert found.loss == pytest.approx(0.25 * float((shown - real).square().mean().detach()), rel=1e-5)
    for ours, theirs in ((shot.gradient, of_table), (found.network, of_network)):
        # float32 against float64; a wrong sign, scale or pixel shows in the first digit
        assert float((ours - theirs).abs().max() / theirs.abs().max()) < 1e-3


def test_an_emotion_that_no_judge_knows_leaves_the_field_alone(footage: Any) -> None:
    judge = TagImageJudge(TagImageNet("training", 2).eval(), ("angry", "sad"), "k")
    images = losses(footage, choose_backend("numba"), JudgeCritic(judge, None, CPU), identity_weight=0)
    shot, field = shot_of(images, TINY)
    images.share(shot, field)
    assert np.isnan(images.judged[-1]).all()
    assert float(shot.gradient.abs().max()) < 1e-8


def fitted(critic: Any, **config: Any) -> Portrait:
    clips = [replace(scene(20, seed)[0], emotion="happy") for seed in (1, 2)]
    settings = TINY.model_copy(update={"steps": 120, "images": ImageLossConfig(size=SIZE, every=4, **config)})
    return fit_footage(
        iter(clips), settings, choose_backend("numba"), seed=0, threads=1, progress=SilentProgress(), label="x",
        critic=critic,
    )  # fmt: skip


def test_training_follows_the_critic_and_tells_who_it_was(tmp_path: Path) -> None:
    clip = scene(4, 9)[0].track
    shown = {}
    for name, critic in (("alone", None), ("judged", Greener())):
        portrait = fitted(critic, cord_weight=3.0, identity_weight=0.0)
        shown[name] = np.stack([f.frame for f in portrait.render(clip.alpha, clip.pose, clip.camera)])
        assert dict(portrait.parts.sources)["cord"] == ("greener" if critic else "none")
        assert dict(portrait.parts.sources)["parsing"] == "dataset"
        portrait.save(tmp_path / name)
        loaded = {"ann": Portrait.load(tmp_path / name)}
        assert sources_of(loaded) == {f"ann.{what}": who for what, who in portrait.parts.sources}
    face = (slice(None), slice(12, 20), slice(12, 20), 1)
    assert shown["judged"][face].mean() > shown["alone"][face].mean() + 10


def test_images_are_judged_now_and_then_after_the_beginning(footage: Any) -> None:
    images = losses(footage, choose_backend("numba"), Wave(), every=10, begin=0.5)
    assert [step for step in range(100) if images.due(step, 100)] == [50, 60, 70, 80, 90]


def test_rays_of_the_image_go_through_its_places() -> None:
    track = scene(2, 3)[0].track
    places = grid_places(np.array([15.0, 14.0, 12.0, 0.3]), SIZE)
    directions = directions_through(places, CAMERA).astype(np.float64)
    turn, move = track.pose.rotation[0], track.pose.translation[0]
    np.testing.assert_allclose(project((directions * 600 - move) @ turn, turn, move, CAMERA), places, atol=1e-3)


def test_the_image_shows_what_the_judges_crop_shows(footage: Any) -> None:
    """The same square of a frame, sampled here and cut by emobench.judges."""
    y, x = np.mgrid[0:32, 0:32] / 32
    frame = (255 * np.stack([0.2 + 0.6 * x, 0.2 + 0.6 * y, 0.5 * (x + y)], -1)).astype(np.uint8)
    square = np.array([[16.0, 15.0, 20.0, 0.2]])
    ours = sampled(frame.astype(np.float32), grid_places(square[0], 64)) @ [0.299, 0.587, 0.114]
    theirs = cut(frame[None], square)[0].reshape(-1)
    assert np.abs(ours - theirs).max() < 2.5  # of 255: fixed-point weights on their side


class TestJudgeCritic:
    @pytest.fixture
    def judges(self) -> dict[str, Any]:
        torch.manual_seed(0)
        return {
            "tags": TagImageJudge(TagImageNet("training", 2).eval(), ("angry", "happy"), "k1"),
            "identity": IdentityJudge(TagImageNet("training", 3).eval(), ("a", "b", "c"), "k1"),
        }

    def test_the_real_face_is_its_own_identity_and_another_is_not(self, judges: dict[str, Any]) -> None:
        critic = JudgeCritic(judges["tags"], judges["identity"], CPU)
        image, other = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
        same, different = critic.judge(image, image, "happy"), critic.judge(image, other, "happy")
        assert float(same.identity) == pytest.approx(0, abs=1e-5)
        assert float(different.identity) > float(same.identity)
        assert critic.names == {"cord": "judge.tags:k1", "identity": "judge.identity:k1"}

    def test_the_tag_s_loss_is_one_minus_the_judge_s_own_cosine(self, judges: dict[str, Any]) -> None:
        critic = JudgeCritic(judges["tags"], None, CPU)
        image = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(2))
        grey = (image * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(0) * 255
        with torch.no_grad():
            cosine = judges["tags"].network.similarity(grey[None])[0, 1]
            found = critic.judge(image, image, "happy").cord
        assert float(found) == pytest.approx(1 - float(cosine), abs=1e-5)

    def test_training_cannot_change_the_judge(self, judges: dict[str, Any]) -> None:
        critic = JudgeCritic(judges["tags"], judges["identity"], CPU)
        image = torch.rand(3, 32, 32).requires_grad_()
        critic.judge(image, image.detach(), "happy").cord.backward()
        assert float(image.grad.abs().max()) > 0
        assert all(parameter.grad is None for parameter in judges["tags"].network.parameters())


class TestOpening:
    def open(self, judges: Any, notes: Notes, **config: Any) -> Any:
        return open_critic(ImageLossConfig(**config), judges, ["happy"], CPU, notes)

    def test_judges_that_score_are_refused(self) -> None:
        judges = SimpleNamespace(role="evaluation")
        with pytest.raises(UsageError, match="evaluation judges for its losses"):
            self.open(judges, Notes())

    def test_without_judges_the_losses_are_left_out_and_that_is_said(self) -> None:
        notes = Notes()
        assert self.open(None, notes) is None
        assert sum("left out: no training judges are at hand" in line for line in notes.lines) == 2

    def test_a_judge_that_cannot_be_made_leaves_out_its_loss_alone(self) -> None:
        def missing() -> Any:
            raise Unavailable("no identity judge for this dataset: one subject only")

        tags = TagImageJudge(TagImageNet("training", 2).eval(), ("angry", "happy"), "k")
        notes = Notes()
        critic = self.open(SimpleNamespace(role="training", tags=lambda: tags, identity=missing), notes)
        assert critic.names == {"cord": "judge.tags:k"}
        (line,) = notes.lines
        assert line.startswith("The loss identity preservation is left out: no identity judge for this dataset: one")

    def test_weights_of_zero_ask_no_judge(self) -> None:
        notes = Notes()
        assert self.open(SimpleNamespace(role="evaluation"), notes, cord_weight=0, identity_weight=0) is None
        assert not notes.lines


class TestClip:
    @pytest.fixture
    def hub(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        pytest.importorskip("transformers", reason="the package transformers is not installed (extra: pretrained)")
        from .emohead import tiny_networks as tiny

        tiny.clip(tmp_path / "hub")
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setenv("EMOBENCH_CACHE", str(tmp_path / "cache"))
        return tmp_path / "hub"

    def test_a_cached_clip_judges_tag_and_identity_with_gradients(self, hub: Path) -> None:
        config = ImageLossConfig(source="clip", clip_model="tiny/clip")
        critic = open_critic(config, None, ["happy", "sad"], CPU, Notes())
        image, other = torch.rand(2, 3, 20, 20, generator=torch.Generator().manual_seed(3))
        leaf = image.clone().requires_grad_()
        happy, sad = critic.judge(leaf, image, "happy"), critic.judge(leaf, other, "sad")
        assert float(happy.identity.detach()) == pytest.approx(0, abs=1e-4)
        assert float(sad.identity.detach()) > 1e-4
        assert float(happy.cord.detach()) != float(sad.cord.detach())
        assert all(0 <= float(v.cord.detach()) <= 2 for v in (happy, sad))
        (pull,) = torch.autograd.grad(happy.cord, leaf)
        assert float(pull.abs().max()) > 0
        assert critic.judge(image, image, "unheard of").cord is None
        assert critic.names["cord"].startswith("clip:tiny/clip@")

    def test_a_clip_that_is_not_cached_says_what_to_fetch(self, hub: Path) -> None:
        config = ImageLossConfig(source="clip", clip_model="tiny/absent")
        with pytest.raises(Unavailable, match=r"hf download tiny/absent.*radiance\.images\.source=judge"):
            open_critic(config, None, ["happy"], CPU, Notes())
