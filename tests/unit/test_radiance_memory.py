"""Reading and packing of clips of any length, and rendering of any number of frames, in bounded memory."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emobench.errors import InputError
from emobench.face.tracks import load_layers, load_track, save_layers, save_track
from emobench.media import read_video, write_lossless
from emobench.methods.radiance import footage_reading
from emobench.methods.radiance.footage import pack_footage
from emobench.methods.radiance.footage_reading import plan_reading, read_footage
from emobench.types import Clip, HeadPose, Layers, Track

from .radiance_scene import CAMERA, scene
from .test_radiance_training import Notes, train


class TestMemory:
    """A clip of any length takes as much memory as the setting says, and rendering takes none for its length."""

    SIZE = 48

    def clip(self, folder: Path, count: int) -> Clip:
        """A clip on disk: a disc that moves, with edges."""
        folder.mkdir()
        rng = np.random.default_rng(5)
        y, x = np.mgrid[0 : self.SIZE, 0 : self.SIZE]
        alpha = np.stack(
            [np.clip((16 - np.hypot(x - 24, y - 24 - 3 * np.sin(t))) * 128, 0, 255) for t in range(count)]
        ).astype(np.uint8)
        frames = rng.integers(0, 255, (count, self.SIZE, self.SIZE, 3), dtype=np.uint8)
        write_lossless(folder / "v.mkv", iter(frames), 25.0)
        back = rng.integers(0, 255, frames.shape, dtype=np.uint8)
        save_layers(folder / "layers.npz", Layers(head_alpha=alpha, head_rgb=frames, back_rgb=back, source="dataset"))
        valid = np.arange(count) % 10 != 3
        track = Track(
            alpha=np.arange(count, dtype=np.float32)[:, None], alpha_names=("time",), is_mouth=np.array([True]),
            pose=HeadPose(
                rotation=np.tile(np.eye(3, dtype=np.float32), (count, 1, 1)),
                translation=np.tile(np.array([0, 0, -600], np.float32), (count, 1)),
            ),
            camera=CAMERA.scaled(self.SIZE, self.SIZE), landmarks=np.full((count, 68, 2), 24, np.float32), valid=valid,
            head_box_mm=np.array([[-50, -60, -40], [50, 60, 40]], np.float32), source="dataset",
        )  # fmt: skip
        save_track(folder / "track.npz", track)
        return Clip(
            id=folder.name, subject="ann", emotion="happy", intensity=3, sentence="1", transcript=None,
            video=folder / "v.mkv", audio=None, fps=25.0, n_frames=count, sha256="0",
            extras={"track": folder / "track.npz", "layers": folder / "layers.npz"},
        )  # fmt: skip

    def test_parts_of_a_clip_hold_what_the_whole_clip_holds(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clip = self.clip(tmp_path / "c", 40)
        video = read_video(clip.video).frames
        layers = load_layers(clip.extras["layers"], video)
        monkeypatch.setattr(footage_reading, "PART_BYTES", 10 * self.SIZE**2 * 7)
        parts = list(read_footage(plan_reading([clip], 100)))
        kept = np.flatnonzero(load_track(clip.extras["track"]).valid)
        assert [len(part.track.alpha) for part in parts] == [7, 7, 7, 7, 7, 1]
        for name in ("head_alpha", "head_rgb", "back_rgb"):
            found = np.concatenate([getattr(part.layers, name) for part in parts])
            np.testing.assert_array_equal(found, getattr(layers, name)[kept])
        np.testing.assert_array_equal(np.concatenate([part.track.alpha[:, 0] for part in parts]), kept)

    def test_too_many_frames_are_thinned_evenly_over_all_clips(self, tmp_path: Path) -> None:
        clips = [self.clip(tmp_path / "a", 60), self.clip(tmp_path / "b", 30)]
        assert plan_reading(clips, 100).count == plan_reading(clips, 100).usable == 81
        thinned = plan_reading(clips, 1)  # 1 MB holds 36 frames of 48 px
        assert [len(chosen) for chosen in thinned.chosen] == [24, 12]
        gaps = np.diff(thinned.chosen[0])
        assert gaps.min() >= 2
        assert gaps.max() <= 4
        assert all(reading.valid[chosen].all() for reading, chosen in zip(thinned.tracks, thinned.chosen, strict=True))

    def test_packing_a_clip_eight_times_as_long_takes_no_more_memory(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(footage_reading, "PART_BYTES", 10 * self.SIZE**2 * 8)
        peaks, sizes = [], []
        for count in (60, 480):
            reading = plan_reading([self.clip(tmp_path / str(count), count)], 1)
            tracemalloc.start()
            packed, back = pack_footage(read_footage(reading))
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            arrays = (packed.pixel, packed.colour, packed.coverage, packed.detail, back.rgb, back.visibility)
            sizes.append(sum(array.nbytes for array in arrays))
        assert len(packed) == 36
        assert max(sizes) <= 1_000_000
        assert peaks[1] < 1.2 * peaks[0]

    def test_layers_that_do_not_fit_the_video_are_input_errors(self, tmp_path: Path) -> None:
        short, long = self.clip(tmp_path / "a", 12), self.clip(tmp_path / "b", 14)
        for one, other in ((short, long), (long, short)):
            mixed = replace(one, extras={**one.extras, "layers": other.extras["layers"]})
            with pytest.raises(InputError, match="layers"):
                list(read_footage(plan_reading([mixed], 100)))
        other_track = replace(short, extras={**short.extras, "track": long.extras["track"]})
        with pytest.raises(InputError, match="tracks 14 frames"):
            list(read_footage(plan_reading([other_track], 100)))
        cut = short.extras["layers"]
        cut.write_bytes(cut.read_bytes()[:-400])
        with pytest.raises(InputError, match="Cannot read layers"):
            list(read_footage(plan_reading([short], 100)))

    def test_rendering_ten_times_as_many_frames_takes_no_more_memory(self) -> None:
        whole, track = train(None, Notes()), scene(20, 9)[0].track
        peaks = []
        for times in (1, 10):
            pose = HeadPose(
                rotation=np.tile(track.pose.rotation, (times, 1, 1)),
                translation=np.tile(track.pose.translation, (times, 1)),
            )
            alpha = np.tile(track.alpha, (times, 1))
            tracemalloc.start()
            count = sum(1 for _ in whole.render(alpha, pose, CAMERA))
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            assert count == len(alpha)
        assert peaks[1] < 1.2 * peaks[0]
