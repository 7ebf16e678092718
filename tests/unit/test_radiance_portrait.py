"""Portraits fitted to a tiny analytic scene: a shaded ellipsoid with a mouth that opens, over a backdrop that sways."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emobench.errors import EmobenchError, InputError
from emobench.methods.radiance import portrait as portrait_module
from emobench.methods.radiance.config import RadianceConfig
from emobench.methods.radiance.footage import Footage
from emobench.methods.radiance.footage_reading import Reading
from emobench.methods.radiance.operations import choose_backend
from emobench.methods.radiance.portrait import Portrait, fit_footage, fit_portrait
from emobench.progress import SilentProgress
from emobench.types import Camera, Clip, Context, Floats, HeadPose

from .radiance_scene import CAMERA, TINY, scene


def fit(config: RadianceConfig = TINY, *, threads: int = 1, seed: int = 0, backend: str = "numba") -> Portrait:
    clips = [scene(30, 1)[0], scene(30, 2)[0]]
    return fit_footage(
        iter(clips), config, choose_backend(backend), seed=seed, threads=threads, progress=SilentProgress(), label="x"
    )


def frames_of(portrait: Portrait, alpha: Floats, pose: HeadPose, camera: Camera = CAMERA) -> np.ndarray:
    return np.stack([shot.frame for shot in portrait.render(alpha, pose, camera)])


def psnr_db(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10((((a.astype(float) - b) / 255) ** 2).mean()))


@pytest.fixture(scope="module")
def fitted() -> Portrait:
    return fit()


@pytest.fixture(scope="module")
def test_clip() -> tuple[Footage, np.ndarray]:
    return scene(6, 99)


def test_unseen_expressions_and_poses_are_reconstructed(fitted: Portrait, test_clip: tuple) -> None:
    clip, truth = test_clip
    frames = frames_of(fitted, clip.track.alpha, clip.track.pose)
    assert frames.shape == truth.shape
    assert psnr_db(frames, truth) > 23  # the mean train frame scores 20.3
    opacity = np.stack([s.head_alpha for s in fitted.render(clip.track.alpha, clip.track.pose, CAMERA)])
    covered = clip.layers.head_alpha == 255
    assert opacity[covered].mean() > 0.9
    assert opacity[~covered].mean() < 0.1


def test_expression_head_and_torso_each_change_the_frames(fitted: Portrait, test_clip: tuple) -> None:
    clip, truth = test_clip
    true = psnr_db(frames_of(fitted, clip.track.alpha, clip.track.pose), truth)
    neutral = psnr_db(frames_of(fitted, np.zeros_like(clip.track.alpha), clip.track.pose), truth)
    assert neutral < true - 2
    parts = fitted.parts
    blank = replace(
        parts.backdrop, canonical=np.zeros_like(parts.backdrop.canonical), residual=0 * parts.backdrop.residual
    )
    no_torso = frames_of(Portrait(replace(parts, backdrop=blank)), clip.track.alpha, clip.track.pose)
    assert psnr_db(no_torso, truth) < true - 3
    empty = np.full_like(parts.skip, 255)
    no_head = frames_of(Portrait(replace(parts, skip=empty)), clip.track.alpha, clip.track.pose)
    assert psnr_db(no_head, truth) < true - 3


def test_backdrop_that_follows_the_head_beats_a_static_one(fitted: Portrait, test_clip: tuple) -> None:
    clip, truth = test_clip
    hidden = clip.layers.head_alpha == 255
    still = fit(TINY.model_copy(update={"steps": 1, "settle_rays": 0, "backdrop": "static"}))
    outside = [
        psnr_db(frames_of(p, clip.track.alpha, clip.track.pose)[~hidden], truth[~hidden])
        for p in (fitted, Portrait(replace(fitted.parts, backdrop=still.parts.backdrop)))
    ]
    assert outside[0] > outside[1] + 1


@pytest.mark.parametrize("threads", [1, 3])
def test_same_seed_gives_the_same_portrait_on_any_number_of_threads(fitted: Portrait, threads: int) -> None:
    again = fit(threads=threads)
    np.testing.assert_array_equal(again.parts.field.base, fitted.parts.field.base)
    np.testing.assert_array_equal(again.parts.field.expression, fitted.parts.field.expression)
    np.testing.assert_array_equal(again.parts.skip, fitted.parts.skip)
    np.testing.assert_array_equal(again.parts.backdrop.residual, fitted.parts.backdrop.residual)


def test_another_seed_gives_another_portrait(fitted: Portrait) -> None:
    assert not np.array_equal(fit(seed=1).parts.field.base, fitted.parts.field.base)


def test_both_backends_train_to_about_the_same_loss() -> None:
    config = TINY.model_copy(update={"steps": 25, "settle_rays": 0})
    numba, torch = (fit(config, backend=name) for name in ("numba", "torch"))
    assert torch.backend == "torch"
    # the same random numbers and rays: only rounding differs, which training amplifies
    np.testing.assert_allclose(numba.parts.losses, torch.parts.losses, rtol=0.05)


def test_rendering_in_several_threads_at_once_gives_the_same_frames(fitted: Portrait, test_clip: tuple) -> None:
    clip, _ = test_clip
    alone = frames_of(fitted, clip.track.alpha, clip.track.pose)
    crowd = Portrait(fitted.parts, threads=2)
    with ThreadPoolExecutor(3) as pool:
        for frames in pool.map(lambda _: frames_of(crowd, clip.track.alpha, clip.track.pose), range(6)):
            np.testing.assert_array_equal(frames, alone)


def test_stage_seconds_cover_field_and_composition(fitted: Portrait, test_clip: tuple) -> None:
    clip, _ = test_clip
    frames_of(fitted, clip.track.alpha, clip.track.pose)
    seconds = fitted.stage_seconds()
    assert set(seconds) == {"field", "composite"}
    assert all(0 < value < 60 for value in seconds.values())


def test_other_sizes_show_the_same_picture(fitted: Portrait, test_clip: tuple) -> None:
    clip, _ = test_clip
    small = frames_of(fitted, clip.track.alpha, clip.track.pose)
    large = frames_of(fitted, clip.track.alpha, clip.track.pose, CAMERA.scaled(64, 64))
    assert large.shape[1:] == (64, 64, 3)
    shrunk = large.reshape(-1, 32, 2, 32, 2, 3).mean((2, 4))
    assert psnr_db(shrunk, small) > 25


def test_saved_portrait_renders_the_same_frames(fitted: Portrait, test_clip: tuple, tmp_path: Path) -> None:
    clip, _ = test_clip
    fitted.save(tmp_path / "portrait")
    loaded = Portrait.load(tmp_path / "portrait")
    assert loaded.alpha_names == ("opening", "brow")
    np.testing.assert_array_equal(
        frames_of(loaded, clip.track.alpha, clip.track.pose), frames_of(fitted, clip.track.alpha, clip.track.pose)
    )


def test_damaged_or_foreign_checkpoints_are_input_errors(fitted: Portrait, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Cannot read the portrait"):
        Portrait.load(tmp_path / "nowhere")
    fitted.save(tmp_path / "cut")
    tensors = tmp_path / "cut" / "portrait.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:5000])
    with pytest.raises(InputError, match="Cannot read the portrait"):
        Portrait.load(tmp_path / "cut")
    fitted.save(tmp_path / "newer")
    facts = json.loads((tmp_path / "newer" / "portrait.json").read_text())
    (tmp_path / "newer" / "portrait.json").write_text(json.dumps(facts | {"schema": 99}))
    with pytest.raises(InputError, match="schema 99"):
        Portrait.load(tmp_path / "newer")


def test_wrong_alpha_is_refused(fitted: Portrait, test_clip: tuple) -> None:
    pose = test_clip[0].track.pose
    for alpha in (np.zeros((6, 3), np.float32), np.zeros((5, 2), np.float32), np.full((6, 2), np.nan, np.float32)):
        with pytest.raises(InputError):
            list(fitted.render(alpha, pose, CAMERA))


def test_divergence_is_reported_with_its_step() -> None:
    with pytest.raises(EmobenchError, match=r"diverged at step \d+ of 200"):
        fit(TINY.model_copy(update={"network_rate": 1e30, "table_rate": 1e30}))


def test_masks_and_box_that_never_meet_are_reported() -> None:
    clip, _ = scene(4, 1)
    away = replace(clip.track, head_box_mm=clip.track.head_box_mm + np.float32(5000))
    with pytest.raises(InputError, match="do not meet"):
        fit_footage(
            iter([replace(clip, track=away)]), TINY, choose_backend("numba"), seed=0, threads=1,
            progress=SilentProgress(), label="x",
        )  # fmt: skip


class TestCache:
    """fit_portrait with the reading of clips replaced: what is cached under which key."""

    @pytest.fixture
    def trained(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        calls: list[str] = []

        def plan(clips: list[Clip], memory_mb: int) -> Reading:
            calls.append(",".join(clip.id for clip in clips))
            return Reading(clips=(), tracks=(), chosen=())

        monkeypatch.setattr(portrait_module, "plan_reading", plan)
        monkeypatch.setattr(portrait_module, "read_footage", lambda reading: iter([scene(8, 1)[0]]))
        return calls

    def clip(self, folder: Path, *, sha256: str = "0", video: bool = True) -> Clip:
        for name in ("track", "layers"):
            (folder / name).write_bytes(b"x")
        return Clip(
            id="c1", subject="ann", emotion="happy", intensity=3, sentence="1", transcript=None,
            video=folder / "c1.mkv" if video else None, audio=None, fps=25.0, n_frames=8, sha256=sha256,
            extras={"track": folder / "track", "layers": folder / "layers"},
        )  # fmt: skip

    def context(self, folder: Path, seed: int = 0) -> Context:
        return Context(seed=seed, device="cpu", threads=1, cache_dir=folder / "cache", progress=SilentProgress())

    def test_is_shared_until_clip_config_or_seed_changes(self, trained: list[str], tmp_path: Path) -> None:
        quick = TINY.model_copy(update={"steps": 3, "settle_rays": 0, "backdrop_steps": 0})
        first = fit_portrait([self.clip(tmp_path)], quick, self.context(tmp_path), subject="ann")
        again = fit_portrait([self.clip(tmp_path)], quick, self.context(tmp_path), subject="ann")
        assert len(trained) == 1
        np.testing.assert_array_equal(first.parts.field.base, again.parts.field.base)
        fit_portrait([self.clip(tmp_path, sha256="1")], quick, self.context(tmp_path), subject="ann")
        fit_portrait([self.clip(tmp_path)], quick, self.context(tmp_path, seed=1), subject="ann")
        other = quick.model_copy(update={"steps": 4})
        fit_portrait([self.clip(tmp_path)], other, self.context(tmp_path), subject="ann")
        assert len(trained) == 4
        assert not list((tmp_path / "cache").rglob("*.training"))

    def test_an_interrupted_training_goes_on_and_leaves_no_state_behind(
        self, trained: list[str], tmp_path: Path
    ) -> None:
        class Interrupted(SilentProgress):
            def __init__(self, stop_at: int | None) -> None:
                self.stop_at, self.told = stop_at, ""

            def note(self, text: str) -> None:
                self.told += text

            def track(self, items: Any, label: str, total: int | None = None) -> Iterator[Any]:
                for item in items:
                    if item == self.stop_at:
                        raise KeyboardInterrupt
                    yield item

        config = TINY.model_copy(update={"steps": 40, "settle_rays": 0, "backdrop_steps": 0})
        context = self.context(tmp_path)
        with pytest.raises(KeyboardInterrupt):
            fit_portrait([self.clip(tmp_path)], config, replace(context, progress=Interrupted(30)), subject="ann")
        assert list((tmp_path / "cache").rglob("*.training"))
        again = Interrupted(None)
        fit_portrait([self.clip(tmp_path)], config, replace(context, progress=again), subject="ann")
        assert "radiance field ann: goes on from step " in again.told
        assert not list((tmp_path / "cache").rglob("*.training"))

    def test_says_how_many_frames_fit_into_memory(
        self, trained: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Notes(SilentProgress):
            told = ""

            def note(self, text: str) -> None:
                Notes.told += text

        track = replace(scene(8, 1)[0].track)
        reading = Reading(clips=(), tracks=(track,), chosen=(np.arange(5),))
        monkeypatch.setattr(portrait_module, "plan_reading", lambda clips, memory_mb: reading)
        quick = TINY.model_copy(update={"steps": 3, "settle_rays": 0, "backdrop_steps": 0, "memory_mb": 7})
        fit_portrait([self.clip(tmp_path)], quick, replace(self.context(tmp_path), progress=Notes()), subject="ann")
        assert "Of 8 frames, 5, evenly chosen, are used: that many fit into 7 MB" in Notes.told

    def test_a_portrait_to_be_pasted_back_shares_the_training_of_any_other(
        self, trained: list[str], tmp_path: Path
    ) -> None:
        quick = TINY.model_copy(update={"steps": 3, "settle_rays": 0, "backdrop_steps": 0})
        fit_portrait([self.clip(tmp_path)], quick, self.context(tmp_path), subject="ann")
        pasting = quick.model_copy(update={"backdrop": "paste"})
        portrait = fit_portrait([self.clip(tmp_path)], pasting, self.context(tmp_path), subject="ann")
        assert len(trained) == 1
        assert portrait.parts.config == pasting
        assert portrait.facts()["torso"] == "pasted from target"

    def test_leaves_nothing_behind_when_training_fails(self, trained: list[str], tmp_path: Path) -> None:
        wild = TINY.model_copy(update={"network_rate": 1e30, "table_rate": 1e30})
        with pytest.raises(EmobenchError, match="diverged"):
            fit_portrait([self.clip(tmp_path)], wild, self.context(tmp_path), subject="ann")
        assert not list((tmp_path / "cache").rglob("*"))

    def test_needs_a_clip_with_video(self, trained: list[str], tmp_path: Path) -> None:
        with pytest.raises(InputError, match="has video"):
            fit_portrait([self.clip(tmp_path, video=False)], TINY, self.context(tmp_path), subject="ann")
