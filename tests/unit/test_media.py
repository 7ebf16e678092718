"""Video, audio and PNG in and out of files: exactness, stated colour, compensated delays, refusals."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
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

RATE = 16_000
DATA = Path(os.environ.get("EMOBENCH_TEST_DATA", "/nonexistent"))


def noise_frames(n: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (n, height, width, 3), dtype=np.uint8)


def smooth_frames(n: int, height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    frames = [np.stack([x * 200 / width, y * 200 / height, 90 + 0 * x + t], -1) for t in range(n)]
    return np.stack(frames).astype(np.uint8)


def clicks(seconds: float, rate: int = RATE) -> np.ndarray:
    """Band-limited pulses at uneven distances, so that only the true offset correlates."""
    track = np.zeros(int(seconds * rate), np.float32)
    half = rate // 400
    pulse = np.hanning(2 * half) * np.cos(np.arange(-half, half) * 2 * np.pi * 1200 / rate)
    for moment in (0.31, 0.94, 1.73, 2.41):
        centre = int(moment * rate)
        track[centre - half : centre + half] += 0.8 * pulse.astype(np.float32)
    return track


def offset_ms(heard: np.ndarray, sent: np.ndarray, rate: int = RATE) -> float:
    """Delay of `heard` after `sent`, by the peak of the cross-correlation refined with a parabola."""
    n = len(heard) + len(sent)
    product = np.fft.irfft(np.fft.rfft(heard, n) * np.conj(np.fft.rfft(sent, n)), n)
    peak = int(product.argmax())
    left, middle, right = product[peak - 1], product[peak], product[(peak + 1) % n]
    fine = 0.5 * (left - right) / (left - 2 * middle + right)
    lag = peak - n if peak > n // 2 else peak
    return float((lag + fine) / rate * 1000)


def encode_audio(path: Path, codec: str, samples: np.ndarray, rate: int, options: dict[str, str] | None = None) -> None:
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=rate, frame_size=stream.frame_size)
        values = (np.clip(samples, -1, 1) * 32767).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(values, format="s16", layout="mono")
        frame.sample_rate, frame.pts = rate, 0
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))


def encode_flat(path: Path, yuv: tuple[int, int, int], matrix: int, size: tuple[int, int] = (64, 48)) -> None:
    """A lossless 4:2:0 clip of one colour with a matrix tag (2 = untagged)."""
    width, height = size
    planes = np.concatenate(
        [np.full(width * height, yuv[0]), np.full(width * height // 4, yuv[1]), np.full(width * height // 4, yuv[2])]
    ).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.colorspace = matrix
        stream.codec_context.color_range = 1
        for index in range(3):
            frame = av.VideoFrame.from_ndarray(planes.reshape(height * 3 // 2, width), format="yuv420p")
            frame.pts, frame.colorspace, frame.color_range = index, matrix, 1
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def encode_uneven(path: Path, stamps_ms: list[int]) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for stamp in stamps_ms:
            frame = av.VideoFrame.from_ndarray(noise_frames(1, 32, 32)[0], format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = stamp, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def truncated(path: Path, fraction: float) -> Path:
    target = path.with_name(f"cut-{path.name}")
    content = path.read_bytes()
    target.write_bytes(content[: int(len(content) * fraction)])
    return target


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
