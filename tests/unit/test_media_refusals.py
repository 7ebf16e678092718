"""Files that media refuses, each in one line, and failures that leave nothing behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emobench.errors import InputError
from emobench.media import (
    probe,
    read_audio,
    read_video,
    write_audio,
    write_lossless,
    write_preview,
)

from .media_files import clicks, encode_flat, noise_frames, truncated

DATA = Path(os.environ.get("EMOBENCH_TEST_DATA", "/nonexistent"))


class TestRefusals:
    @pytest.mark.parametrize("kind", ["mp4", "mkv"])
    @pytest.mark.parametrize("fraction", [0.3, 0.7, 0.99])
    def test_a_truncated_file_is_called_truncated(self, tmp_path: Path, kind: str, fraction: float) -> None:
        whole = tmp_path / f"a.{kind}"
        (write_preview if kind == "mp4" else write_lossless)(whole, noise_frames(30, 48, 48), 25.0, clicks(3)[:19200])
        cut = truncated(whole, fraction)
        for reader in (read_video, probe, read_audio):
            with pytest.raises(InputError, match="truncated"):
                reader(cut)

    def test_a_file_whose_frames_change_size_is_refused_by_the_first_that_does(self, tmp_path: Path) -> None:
        sizes = [(64, 48)] * 3 + [(32, 48)] * 2
        pictures = [Image.fromarray(np.full((height, width, 3), 90, np.uint8)) for width, height in sizes]
        path = tmp_path / "a.mjpeg"
        with path.open("wb") as target:
            for picture in pictures:
                picture.save(target, format="JPEG")
        with pytest.raises(InputError, match=r"a\.mjpeg: frame 3 is 32×48, those before are 64×48"):
            read_video(path)
        assert read_video(path, stop=3).frames.shape == (3, 48, 64, 3)

    def test_an_mp4_without_its_index_is_called_truncated(self, tmp_path: Path) -> None:
        encode_flat(tmp_path / "a.mp4", (100, 128, 128), 1)  # plain mp4: the index comes last
        content = (tmp_path / "a.mp4").read_bytes()
        (tmp_path / "b.mp4").write_bytes(content[: content.index(b"moov") - 4])
        with pytest.raises(InputError, match="truncated"):
            read_video(tmp_path / "b.mp4")

    @pytest.mark.data
    @pytest.mark.skipif(not DATA.is_dir(), reason="EMOBENCH_TEST_DATA is not set: no real clips here")
    @pytest.mark.parametrize("fraction", [0.35, 0.8, 0.995])
    def test_a_truncated_mpeg_program_stream_is_called_truncated(self, tmp_path: Path, fraction: float) -> None:
        (tmp_path / "a.mpg").write_bytes((DATA / "grid_s1/bbaf2n.mpg").read_bytes())
        with pytest.raises(InputError, match="truncated"):
            read_video(truncated(tmp_path / "a.mpg", fraction))

    def test_damage_that_stops_the_decoder_is_said_in_one_line(self, tmp_path: Path) -> None:
        write_preview(tmp_path / "a.mp4", noise_frames(30, 48, 48), 25.0, clicks(3)[:19200])
        content = bytearray((tmp_path / "a.mp4").read_bytes())
        start = content.index(b"mdat") + 4
        content[start:-2000] = bytes(len(content) - 2000 - start)
        (tmp_path / "a.mp4").write_bytes(content)
        with pytest.raises(InputError, match="damaged") as caught:
            read_video(tmp_path / "a.mp4")
        assert "Errno" not in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_sound_only_is_no_video(self, tmp_path: Path) -> None:
        write_audio(tmp_path / "a.wav", clicks(3))
        with pytest.raises(InputError, match="no video stream"):
            read_video(tmp_path / "a.wav")

    @pytest.mark.parametrize("content", [b"", b"this is no video at all" * 50])
    def test_garbage_is_refused_in_one_line(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "a.mp4").write_bytes(content)
        with pytest.raises(InputError) as caught:
            read_video(tmp_path / "a.mp4")
        assert "\n" not in str(caught.value)

    def test_missing_file_and_folder_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="does not exist"):
            probe(tmp_path / "none.mp4")
        with pytest.raises(InputError, match="is a folder"):
            probe(tmp_path)


class TestAtomicity:
    @pytest.mark.parametrize("writer", [write_lossless, write_preview])
    def test_a_failure_leaves_nothing_behind(self, tmp_path: Path, writer) -> None:  # type: ignore[no-untyped-def]
        def breaking() -> Iterator[np.ndarray]:
            yield from noise_frames(3, 16, 16)
            raise RuntimeError("power cut")

        path = tmp_path / ("a.mkv" if writer is write_lossless else "a.mp4")
        path.write_bytes(b"old")
        with pytest.raises(RuntimeError, match="power cut"):
            writer(path, breaking(), 25.0)
        assert [p.name for p in tmp_path.iterdir()] == [path.name]
        assert path.read_bytes() == b"old"

    def test_unequal_frames_are_refused(self, tmp_path: Path) -> None:
        frames = [noise_frames(1, 16, 16)[0], noise_frames(1, 16, 18)[0]]
        with pytest.raises(InputError, match="frame 1"):
            write_lossless(tmp_path / "a.mkv", frames, 25.0)
        assert list(tmp_path.iterdir()) == []

    def test_no_frames_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="no frames"):
            write_preview(tmp_path / "a.mp4", [], 25.0)
