"""Video, audio and PNG in and out of files: exactness, stated colour, compensated delays, refusals."""

from __future__ import annotations

import os
import zlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from emobench.errors import InputError
from emobench.media import (
    iterate_video,
    probe,
    read_audio,
    read_video,
    write_audio,
    write_lossless,
    write_png,
    write_preview,
)

from .media_files import RATE, clicks, encode_audio, encode_flat, encode_uneven, noise_frames, offset_ms, smooth_frames

DATA = Path(os.environ.get("EMOBENCH_TEST_DATA", "/nonexistent"))


class TestLosslessStore:
    @pytest.mark.parametrize(("height", "width"), [(36, 48), (37, 51), (7, 5), (130, 129)])
    def test_ffv1_gives_every_rgb_value_back(self, tmp_path: Path, height: int, width: int) -> None:
        frames = noise_frames(6, height, width)
        write_lossless(tmp_path / "a.mkv", frames, 25.0)
        video = read_video(tmp_path / "a.mkv")
        np.testing.assert_array_equal(video.frames, frames)
        assert video.colour == "rgb/full"
        assert not video.is_variable_rate

    def test_same_input_gives_same_bytes(self, tmp_path: Path) -> None:
        frames, sound = noise_frames(4, 24, 32), clicks(3)[: 4 * RATE // 25]
        write_lossless(tmp_path / "a.mkv", frames, 25.0, sound)
        write_lossless(tmp_path / "b.mkv", frames, 25.0, sound)
        assert (tmp_path / "a.mkv").read_bytes() == (tmp_path / "b.mkv").read_bytes()

    def test_sound_comes_back_within_one_16_bit_step(self, tmp_path: Path) -> None:
        sound = clicks(3)
        write_lossless(tmp_path / "a.mkv", noise_frames(75, 8, 8), 25.0, sound)
        heard = read_audio(tmp_path / "a.mkv")
        assert heard.shape == sound.shape
        # half a step of rounding, plus 32767 against 32768 as full scale
        np.testing.assert_allclose(heard, sound, atol=2 / 32768)

    @pytest.mark.parametrize("fps", [25.0, 24.0, 30.0, 29.97, 23.976, 59.94, 50.0, 12.5])
    def test_frame_rate_survives(self, tmp_path: Path, fps: float) -> None:
        write_lossless(tmp_path / "a.mkv", noise_frames(40, 8, 8), fps)
        assert read_video(tmp_path / "a.mkv").fps == pytest.approx(fps, rel=1e-4)  # 30000/1001 against 29.97

    def test_a_part_is_exact(self, tmp_path: Path) -> None:
        frames = smooth_frames(40, 64, 64)
        write_preview(tmp_path / "a.mp4", frames, 25.0)
        whole = read_video(tmp_path / "a.mp4")
        part = read_video(tmp_path / "a.mp4", start=13, stop=29)
        np.testing.assert_array_equal(part.frames, whole.frames[13:29])
        np.testing.assert_allclose(part.seconds, whole.seconds[13:29])

    def test_asking_past_the_end_is_an_error(self, tmp_path: Path) -> None:
        write_lossless(tmp_path / "a.mkv", noise_frames(5, 8, 8), 25.0)
        with pytest.raises(InputError, match="has 5 frames"):
            read_video(tmp_path / "a.mkv", stop=6)


class TestPreview:
    def test_colours_survive_within_four_two_zero(self, tmp_path: Path) -> None:
        frames = smooth_frames(10, 64, 96)
        write_preview(tmp_path / "a.mp4", frames, 25.0)
        video = read_video(tmp_path / "a.mp4")
        assert video.colour == "bt709/limited"
        # crf 16 and 8-bit limited range; a wrong matrix alone moves saturated colours by more than 10
        assert np.abs(video.frames.astype(int) - frames).mean() < 2.5

    def test_odd_sizes_grow_by_one_pixel(self, tmp_path: Path) -> None:
        write_preview(tmp_path / "a.mp4", smooth_frames(3, 37, 51), 25.0)
        assert read_video(tmp_path / "a.mp4").frames.shape == (3, 38, 52, 3)

    def test_index_stands_in_front(self, tmp_path: Path) -> None:
        write_preview(tmp_path / "a.mp4", smooth_frames(3, 32, 32), 25.0)
        content = (tmp_path / "a.mp4").read_bytes()
        assert content.index(b"moov") < content.index(b"mdat")

    @pytest.mark.parametrize("fps", [25.0, 29.97])
    def test_aac_in_mp4_starts_on_time(self, tmp_path: Path, fps: float) -> None:
        sound = clicks(3)
        write_preview(tmp_path / "a.mp4", smooth_frames(75, 32, 32), fps, sound)
        heard = read_audio(tmp_path / "a.mp4")
        assert abs(offset_ms(heard, sound)) < 0.05  # measured 0.001 ms; uncompensated AAC is 64 ms late at 16 kHz
        assert len(heard) == len(sound)


class TestAudio:
    @pytest.mark.parametrize(
        ("name", "codec", "rate"),
        [
            ("a.m4a", "aac", 44100),  # measured 0.00 ms
            ("a.m4a", "aac", 16000),
            ("a.webm", "libopus", 48000),
            ("a.mp3", "libmp3lame", 44100),
        ],
    )
    def test_encoder_delay_is_removed(self, tmp_path: Path, name: str, codec: str, rate: int) -> None:
        if codec not in av.codecs_available:
            pytest.skip(f"this PyAV has no {codec} encoder")
        encode_audio(tmp_path / name, codec, clicks(3, rate), rate)
        heard = read_audio(tmp_path / name)
        assert abs(offset_ms(heard, clicks(3))) < 1.0

    def test_resampling_keeps_tones_and_removes_aliases(self, tmp_path: Path) -> None:
        moments = np.arange(44100) / 44100
        tone, alias = 0.4 * np.sin(2 * np.pi * 1000 * moments), 0.4 * np.sin(2 * np.pi * 9500 * moments)
        write_audio(tmp_path / "tone.wav", tone.astype(np.float32), 44100)
        write_audio(tmp_path / "alias.wav", alias.astype(np.float32), 44100)
        expected = 0.4 * np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
        heard = read_audio(tmp_path / "tone.wav")
        assert len(heard) == 16000
        # ends ring; 16-bit rounding is 3e-5
        np.testing.assert_allclose(heard[200:-200], expected[200:-200], atol=2e-4)
        assert np.abs(read_audio(tmp_path / "alias.wav")[200:-200]).max() < 4e-4  # −60 dB of 0.4

    def test_stereo_becomes_the_mean(self, tmp_path: Path) -> None:
        with av.open(str(tmp_path / "a.wav"), "w") as container:
            stream = container.add_stream("pcm_s16le", rate=RATE, layout="stereo")
            both = np.tile(np.array([16384, 8192], np.int16), 800)[None]
            frame = av.AudioFrame.from_ndarray(both, format="s16", layout="stereo")
            frame.sample_rate = RATE
            container.mux(stream.encode(frame))
        np.testing.assert_allclose(read_audio(tmp_path / "a.wav"), 0.375, atol=1e-6)

    @pytest.mark.parametrize("picture_start_ms", [0, 200])
    def test_sound_is_on_the_pictures_clock(self, tmp_path: Path, picture_start_ms: int) -> None:
        sent = clicks(3)
        with av.open(str(tmp_path / "a.mkv"), "w") as container:
            stream = container.add_stream("ffv1", rate=25)
            voice = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
            stream.width, stream.height, stream.pix_fmt = 16, 16, "bgr0"
            stream.codec_context.time_base = Fraction(1, 1000)
            for index, image in enumerate(noise_frames(5, 16, 16)):
                frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="bgr0")
                frame.pts, frame.time_base = picture_start_ms + 40 * index, Fraction(1, 1000)
                container.mux(stream.encode(frame))
            block = av.AudioFrame.from_ndarray((sent * 32767).astype(np.int16)[None], format="s16", layout="mono")
            block.sample_rate, block.pts = RATE, 0
            container.mux(voice.encode(block))
            container.mux(stream.encode(None))
        heard = read_audio(tmp_path / "a.mkv")
        assert offset_ms(heard, sent) == pytest.approx(-picture_start_ms, abs=0.1)

    def test_loud_values_are_clipped_not_wrapped(self, tmp_path: Path) -> None:
        write_audio(tmp_path / "a.wav", np.array([2.0, -2.0, 0.0], np.float32))
        np.testing.assert_allclose(read_audio(tmp_path / "a.wav"), [1, -1, 0], atol=1e-4)

    def test_a_video_without_sound_says_so(self, tmp_path: Path) -> None:
        write_lossless(tmp_path / "a.mkv", noise_frames(3, 8, 8), 25.0)
        with pytest.raises(InputError, match="no audio stream"):
            read_audio(tmp_path / "a.mkv")


class TestColour:
    @pytest.mark.parametrize(
        ("tag", "size", "kr", "kb", "text"),
        [
            (1, (64, 48), 0.2126, 0.0722, "bt709/limited"),
            (6, (64, 48), 0.299, 0.114, "bt601/limited"),
            (2, (64, 48), 0.299, 0.114, "bt601/limited (untagged, assumed: matrix, range)"),
            (2, (64, 720), 0.2126, 0.0722, "bt709/limited (untagged, assumed: matrix, range)"),
        ],
    )
    def test_matrix_follows_the_tag_and_is_stated(
        self, tmp_path: Path, tag: int, size: tuple[int, int], kr: float, kb: float, text: str
    ) -> None:
        luma, blue, red = 120, 90, 170
        encode_flat(tmp_path / "a.mp4", (luma, blue, red), tag, size)
        video = read_video(tmp_path / "a.mp4")
        assert video.colour == text
        # ITU-R BT.601 / BT.709, equation for 8-bit limited range
        y, pb, pr = (luma - 16) / 219, (blue - 128) / 224, (red - 128) / 224
        r, b = y + 2 * (1 - kr) * pr, y + 2 * (1 - kb) * pb
        g = (y - kr * r - kb * b) / (1 - kr - kb)
        expected = np.clip(np.array([r, g, b]) * 255, 0, 255)
        np.testing.assert_allclose(video.frames[1, 20, 30], expected, atol=1.01)  # 8-bit rounding

    def test_a_turned_phone_video_is_shown_upright(self, tmp_path: Path) -> None:
        frames = smooth_frames(3, 32, 64)
        frames[:, :, :8] = 255  # a bright left edge
        with av.open(str(tmp_path / "a.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=25, options={"qp": "0"})
            stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
            if not hasattr(stream, "set_display_rotation"):
                pytest.skip("this PyAV cannot write a display matrix")
            stream.set_display_rotation(90)
            for image in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode(None))
        video, info = read_video(tmp_path / "a.mp4"), probe(tmp_path / "a.mp4")
        assert video.frames.shape == (3, 64, 32, 3)
        assert (info.width, info.height) == (32, 64)
        assert video.frames[1, -6:].mean() > 240  # turned by 90° counter-clockwise, left becomes bottom


class TestRate:
    def test_variable_rate_is_reported(self, tmp_path: Path) -> None:
        encode_uneven(tmp_path / "a.mkv", [0, 40, 80, 200, 240, 280, 320, 420, 460])
        video = read_video(tmp_path / "a.mkv")
        assert video.is_variable_rate
        assert video.fps == pytest.approx(8 / 0.46)
        assert probe(tmp_path / "a.mkv").is_variable_rate

    def test_millisecond_rounding_is_not_variable_rate(self, tmp_path: Path) -> None:
        encode_uneven(tmp_path / "a.mkv", [round(i * 1001 / 30) for i in range(60)])
        assert not read_video(tmp_path / "a.mkv").is_variable_rate


def test_probe_counts_what_decoding_gives(tmp_path: Path) -> None:
    write_preview(tmp_path / "a.mp4", smooth_frames(31, 48, 64), 29.97, clicks(3))
    info = probe(tmp_path / "a.mp4")
    assert info.n_frames == len(list(iterate_video(tmp_path / "a.mp4"))) == 31
    assert (info.width, info.height, info.audio_rate) == (64, 48, RATE)
    assert info.audio_seconds == pytest.approx(3.0, abs=1e-3)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (4, 3, 4)])
def test_png_holds_the_pixels(tmp_path: Path, shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    write_png(tmp_path / "a.png", image)
    content = (tmp_path / "a.png").read_bytes()
    start = content.index(b"IDAT") + 4
    length = int.from_bytes(content[start - 8 : start - 4], "big")
    rows = np.frombuffer(zlib.decompress(content[start : start + length]), np.uint8).reshape(shape[0], -1)
    assert (rows[:, 0] == 2).all()  # filter "Up": each row is stored as the difference to the one above
    np.testing.assert_array_equal(np.cumsum(rows[:, 1:], axis=0, dtype=np.uint8).reshape(shape), image)
    with av.open(str(tmp_path / "a.png")) as container:  # an independent decoder agrees
        format_name = {2: "gray", 3: "rgb24", 4: "rgba"}[len(shape) if len(shape) == 2 else shape[2]]
        decoded = next(container.decode(video=0)).to_ndarray(format=format_name)
    np.testing.assert_array_equal(decoded, image)


@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason="EMOBENCH_TEST_DATA is not set: no real clips here")
@pytest.mark.parametrize(
    ("pattern", "n_frames", "colour"),
    [("grid_s1/bbaf2n.mpg", 75, "bt601/limited"), ("portrait/obama.mp4", 500, "bt601/limited")],
)
def test_real_clips_decode_completely(pattern: str, n_frames: int, colour: str) -> None:
    path = DATA / pattern
    info = probe(path)
    assert info.n_frames == n_frames
    assert len(list(iterate_video(path))) == n_frames
    assert info.colour.startswith(colour)
    assert len(read_audio(path)) / RATE == pytest.approx(n_frames / info.fps, abs=0.06)  # MPEG-1 sound ends early
