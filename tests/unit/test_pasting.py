"""Paste-back: the head over the target's own torso and background, and how results say so."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emobench import pasting
from emobench.errors import InputError
from emobench.face.tracks import save_layers
from emobench.media import read_video, write_lossless
from emobench.pasting import pasted, pastes_back, require_surroundings
from emobench.types import Clip, Layers, Rendered

FRAMES, HEIGHT, WIDTH = 3, 8, 12


def target(folder: Path, head_grey: int = 200) -> Clip:
    """Torso and background of random colours, a grey head in the middle with a soft edge of one column each side."""
    around = np.random.default_rng(0).integers(0, 256, (FRAMES, HEIGHT, WIDTH, 3), dtype=np.uint8)
    alpha = np.zeros((FRAMES, HEIGHT, WIDTH), np.uint8)
    alpha[:, :, 4:8], alpha[:, :, 3], alpha[:, :, 8] = 255, 128, 128
    head = np.full_like(around, head_grey)
    share = alpha[..., None] / 255
    frames = (share * head + (1 - share) * around).astype(np.uint8)
    folder.mkdir(exist_ok=True)
    write_lossless(folder / "clip.mkv", frames, 25.0, None)
    save_layers(folder / "layers.npz", Layers(head_alpha=alpha, head_rgb=head, back_rgb=around, source="dataset"))
    return Clip(
        id="c1", subject="ann", emotion="happy", intensity=3, sentence="1", transcript=None,
        video=folder / "clip.mkv", audio=None, fps=25.0, n_frames=FRAMES, sha256="0",
        extras={"layers": folder / "layers.npz"},
    )  # fmt: skip


def around_of(clip: Clip) -> np.ndarray:
    return np.concatenate([layers.back_rgb for layers in pasting.surroundings(clip)])


def heads(opacity: float = 0.25) -> Iterator[Rendered]:
    """Half-transparent red heads in columns 2 to 9, over a backdrop of the method's own that is 77 everywhere."""
    head = np.zeros((HEIGHT, WIDTH, 4), np.float32)
    head[:, 2:10] = (opacity, 0, 0, opacity)
    for index in range(FRAMES):
        yield Rendered(frame=np.full((HEIGHT, WIDTH, 3), 77, np.uint8), alpha=np.array([index], np.float32), head=head)


def test_the_head_lies_over_the_target_where_that_has_no_head_and_over_the_methods_own_backdrop_elsewhere(
    tmp_path: Path,
) -> None:
    clip = target(tmp_path)
    around, found = around_of(clip), list(pasted(heads(), clip))
    assert [float(item.alpha[0]) for item in found] == [0, 1, 2]
    for index, item in enumerate(found):
        np.testing.assert_array_equal(item.frame[:, :2], around[index, :, :2])
        np.testing.assert_array_equal(item.frame[:, 10:], around[index, :, 10:])
        np.testing.assert_array_equal(item.frame[:, 3:9], 77)  # under the target's head, soft edge included
        expected = 0.75 * around[index, :, 2].astype(float) + [0.25 * 255, 0, 0]
        np.testing.assert_allclose(item.frame[:, 2], expected, atol=0.5)


def test_no_pixel_of_the_targets_head_reaches_the_prediction(tmp_path: Path) -> None:
    light, dark = target(tmp_path / "a", head_grey=255), target(tmp_path / "b", head_grey=0)
    for left, right in zip(pasted(heads(), light), pasted(heads(), dark), strict=True):
        np.testing.assert_array_equal(left.frame, right.frame)


def test_a_target_without_frames_or_head_mask_is_refused_by_name(tmp_path: Path) -> None:
    clip = target(tmp_path)
    with pytest.raises(InputError, match=r"c1 has no head mask \(layers\)"):
        require_surroundings([clip, replace(clip, extras={})])
    with pytest.raises(InputError, match="c1 has no frames"):
        list(pasted(heads(), replace(clip, video=None)))


def test_frames_without_a_head_or_of_another_size_are_refused(tmp_path: Path) -> None:
    clip = target(tmp_path)
    with pytest.raises(InputError, match="frame 0 comes without a head"):
        list(pasted((replace(item, head=None) for item in heads()), clip))
    with pytest.raises(InputError, match="target's own size"):
        list(pasted((replace(item, frame=item.frame[:4], head=item.head[:4]) for item in heads()), clip))
    with pytest.raises(InputError, match="more than the target's 3 frames"):
        list(pasted(itertools.chain(heads(), heads()), clip))


def test_the_target_is_read_a_frame_ahead_of_the_first_one_and_then_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never held whole, and its decoder is there before the rendering is measured."""
    clip, read = target(tmp_path), []
    real = pasting.iterate_video
    monkeypatch.setattr(pasting, "iterate_video", lambda path: (read.append(path) or item for item in real(path)))
    stream = pasted(heads(), clip)
    counts = [len(read)]
    for _ in stream:
        counts.append(len(read))
    assert counts == [1, 1, 2, 3]


def test_methods_paste_only_when_they_say_so() -> None:
    assert not pastes_back(object())  # type: ignore[arg-type]


def run(folder: Path, method: str, *options: str) -> tuple[str, Path]:
    """What a run on puppet-tiny says on stdout, and its directory."""
    command = [
        sys.executable, "-m", "emobench", "run", "-m", method, "-d", "puppet-tiny", "--metrics", "psnr",
        "--no-references", "--threads", "1", *options,
    ]  # fmt: skip
    env = os.environ | {"EMOBENCH_CACHE": str(folder / "cache")}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    (directory,) = (folder / "runs" / "puppet-tiny" / method).iterdir()
    return done.stdout, directory


@pytest.mark.slow
def test_a_pasted_run_says_so_everywhere_and_shows_the_targets_own_surroundings(tmp_path: Path) -> None:
    _, truth = run(tmp_path, "ground_truth")
    said, pasted_run = run(tmp_path, "true_alpha", "--set", "radiance.steps=30", "--set", "radiance.backdrop=paste")
    assert "true_alpha (pasted)" in said
    assert "true_alpha (pasted)" in (tmp_path / "runs/puppet-tiny/report/report.html").read_text()
    assert json.loads((pasted_run / "run.json").read_text())["pasted"]
    assert not json.loads((truth / "run.json").read_text())["pasted"]
    for card in (pasted_run / "predictions").glob("*.json"):
        assert json.loads(card.read_text())["timing"]["torso"] == "pasted from target"
        shown, true = (read_video(place / "predictions" / f"{card.stem}.mkv").frames for place in (pasted_run, truth))
        untouched = (shown == true).all(axis=-1).mean(axis=(1, 2))
        assert (untouched > 0.3).all()  # torso and background; a trained backdrop meets few pixels exactly
        assert (untouched < 0.95).all()  # the head is the method's
