"""The puppet dataset as a plugin: splits, resuming, killing, the same content for any number of workers."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from pydantic import ValidationError

from emobench.datasets.puppet.config import PuppetConfig, PuppetTinyConfig
from emobench.datasets.puppet.dataset import PuppetDataset
from emobench.datasets.puppet.recipe import plan
from emobench.errors import InputError
from emobench.face.tracks import load_layers, load_track
from emobench.media import read_audio, read_video
from emobench.progress import SilentProgress
from emobench.types import EMOTIONS, SAMPLE_RATE_HZ, Context

SMALL = PuppetConfig(
    name="small", subjects=("ben",), emotions=("happy", "neutral"), levels=(1, 3), train_sentences=("s01", "s06"),
    val_sentences=("s10",), test_sentences=("s11",), pixel_train=1, size_px=32, supersampling=1,
)  # fmt: skip


def dataset(path, config=SMALL, threads=2):
    context = Context(seed=0, device="cpu", threads=threads, cache_dir=path, progress=SilentProgress())
    return PuppetDataset(config, context)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    data = dataset(tmp_path_factory.mktemp("puppet"))
    data.prepare()
    return data


def cards(data):
    return {
        path.parent.name: json.loads(path.read_text(encoding="utf-8"))["content_sha256"]
        for path in data.root.glob("*/card.json")
    }


def test_splits_share_no_sentence_and_cover_every_emotion():
    splits = plan(PuppetConfig())
    sentences = {name: {recipe.sentence for recipe in recipes} for name, recipes in splits.items()}
    assert not sentences["train"] & sentences["test"]
    assert not sentences["train"] & sentences["val"]
    assert not sentences["val"] & sentences["test"]
    for name in ("train", "test"):
        assert {recipe.emotion for recipe in splits[name]} == set(EMOTIONS)
    assert len(splits["test"]) == 16
    assert sum(recipe.has_pixels for recipe in splits["train"]) == 32
    ids = [recipe.id for recipes in splits.values() for recipe in recipes]
    assert len(ids) == len(set(ids))


def test_neutral_train_clips_have_pixels_for_the_reference_frame():
    for config in (PuppetConfig(), PuppetTinyConfig()):
        filmed = {(r.subject, r.emotion) for r in plan(config)["train"] if r.has_pixels}
        assert {(subject, "neutral") for subject in config.subjects} <= filmed


def test_hashes_follow_from_the_recipe_alone(tmp_path):
    one, other = dataset(tmp_path / "a"), dataset(tmp_path / "b")
    assert one.split_hash() == other.split_hash()
    assert one.split_hash() != dataset(tmp_path, SMALL.model_copy(update={"seed": 8})).split_hash()
    assert not list(tmp_path.iterdir())


def test_clips_have_sound_and_track_and_where_promised_pixels(made):
    for name in ("train", "val", "test"):
        for clip in made.split(name):
            track = load_track(clip.extras["track"])
            assert len(track.alpha) == len(track.pose) == clip.n_frames
            samples = read_audio(clip.audio)
            assert len(samples) == clip.n_frames * SAMPLE_RATE_HZ / clip.fps
            assert (clip.video is None) == ("layers" not in clip.extras)
            if clip.video is not None:
                decoded = read_video(clip.video)
                assert decoded.frames.shape == (clip.n_frames, 32, 32, 3)
                layers = load_layers(clip.extras["layers"], decoded.frames)
                assert layers.source == "dataset"
    assert all(clip.video is not None for clip in made.split("test"))


def test_alpha_of_a_clip_is_stronger_at_level_three_than_at_level_one(made):
    tracks = {clip.id: load_track(clip.extras["track"]) for clip in made.split("train")}
    weak, strong = tracks["ben_happy_1_s01"], tracks["ben_happy_3_s01"]
    column = weak.alpha_names.index("AU12_L")
    assert strong.alpha[:, column].mean() > 1.5 * weak.alpha[:, column].mean()


def test_a_second_prepare_makes_nothing_and_a_lost_clip_alone_is_made_again(made):
    before = {path: path.stat().st_mtime_ns for path in made.root.glob("*/card.json")}
    made.prepare()
    assert {path: path.stat().st_mtime_ns for path in made.root.glob("*/card.json")} == before
    content = cards(made)
    lost = made.root / "ben_happy_3_s11"
    for path in lost.iterdir():
        path.unlink()
    lost.rmdir()
    dataset(made.root.parents[1]).prepare()
    after = {path: path.stat().st_mtime_ns for path in made.root.glob("*/card.json")}
    assert {path for path in after if after[path] != before[path]} == {lost / "card.json"}
    assert cards(made) == content


def test_content_does_not_depend_on_the_number_of_workers(made, tmp_path):
    alone = dataset(tmp_path, threads=1)
    alone.prepare()
    assert cards(alone) == cards(made)


def test_killing_the_process_leaves_no_half_clip_and_no_worker(tmp_path):
    program = tmp_path / "prepare.py"
    program.write_text(
        "import sys\nfrom pathlib import Path\n"
        "from emobench.datasets.puppet.config import PuppetConfig\n"
        "from emobench.datasets.puppet.dataset import PuppetDataset\n"
        "from emobench.progress import SilentProgress\nfrom emobench.types import Context\n"
        "if __name__ == '__main__':\n"
        "    context = Context(seed=0, device='cpu', threads=2, cache_dir=Path(sys.argv[1]),"
        " progress=SilentProgress())\n"
        "    PuppetDataset(PuppetConfig(name='killed', size_px=32), context).prepare()\n",
        encoding="utf-8",
    )
    cache = tmp_path / "cache"
    process = subprocess.Popen([sys.executable, str(program), str(cache)], start_new_session=True)
    deadline = time.monotonic() + 60
    while len(list(cache.glob("datasets/*/*/card.json"))) < 5 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert wait_until_group_is_gone(process.pid)
    data = dataset(cache, PuppetConfig(name="killed", size_px=32))
    folders = [path for path in data.root.iterdir() if not path.name.startswith(".")]
    assert len(folders) >= 5
    for folder in folders:
        assert (folder / "card.json").exists()
        assert len(load_track(folder / "track.npz").alpha) * 640 == len(read_audio(folder / "audio.wav"))


def wait_until_group_is_gone(group: int) -> bool:
    """Whether all processes of a session end within ten seconds; ends what is left."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
    return False


def test_wrong_configurations_are_refused_with_what_is_known():
    with pytest.raises(ValidationError, match="unknown subject 'zoe'; known: amy"):
        PuppetConfig(subjects=("zoe",))
    with pytest.raises(ValidationError, match="two splits"):
        PuppetConfig(val_sentences=("s01",))
    with pytest.raises(ValidationError):
        PuppetConfig(colour="red")


def test_an_unknown_split_is_refused(made):
    with pytest.raises(InputError, match="train, val, test"):
        made.split("dev")


def test_description_holds_text_only(made):
    facts = made.describe()
    assert facts["size"] == "32×32"
    assert all(isinstance(value, str) for value in facts.values())
    assert not any(str(made.root) in value for value in facts.values())


def test_cards_carry_phonemes_transcript_and_hashes_of_what_was_decoded(made):
    from emobench.hashing import hash_arrays

    clip = made.split("test")[0]
    card = json.loads((clip.audio.parent / "card.json").read_text(encoding="utf-8"))
    assert card["transcript"] == clip.transcript
    assert card["recipe_sha256"] == clip.sha256
    starts = [start for _, start, _ in card["phonemes"]]
    assert starts == sorted(starts)
    assert card["content_sha256"]["video.mkv"] == hash_arrays([read_video(clip.video).frames])
    assert np.isfinite(load_track(clip.extras["track"]).landmarks).all()
