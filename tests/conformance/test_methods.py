"""Every registered method keeps its promises on tiny data; methods that look at their targets are found out."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pydantic import BaseModel

from emobench import cli, registry
from emobench.config import field_paths
from emobench.conformance import SWAPPED, TRUE, check_method, check_spec, make_world
from emobench.errors import UsageError
from emobench.media import read_video
from emobench.progress import SilentProgress
from emobench.rendering import make_driving
from emobench.specs import MethodSpec
from emobench.types import Rendered

pytestmark = pytest.mark.slow
QUICK = ["radiance.steps=20", "training.steps=20", "refinement.steps=10"]
TINY = ["emotions=[happy,neutral]", "train_sentences=[s01,s03]", "size_px=32", "supersampling=1"]
METHODS = sorted(name for name, entry in registry.entries("method").items() if entry.broken is None)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("conformance"), "puppet-tiny", SilentProgress(), TINY)


def by_check(findings):
    return {finding.check: finding for finding in findings}


@pytest.mark.parametrize("name", METHODS)
def test_every_registered_method_conforms(name, world):
    known = field_paths(registry.load_object(registry.find("method", name).config))
    quick = [assignment for assignment in QUICK if assignment.partition("=")[0] in known]
    findings = check_method(name, world, SilentProgress(), quick)
    assert [finding for finding in findings if not finding.passed] == []
    leak = by_check(findings)["leak"]
    assert ("oracle" in leak.detail) == (registry.find("method", name).role == "oracle")


# ------------------------------------------------------------------ methods that must fail


class NothingConfig(BaseModel):
    """Nothing to choose."""


class Honest:
    """Shows the reference frame."""

    def __init__(self, config, context):
        self.context, self.folder, self.known = context, None, {}

    def fit(self, clips):
        self.folder = clips[0].video.parent.parent if clips[0].video else None

    def render(self, driving):
        for index in range(driving.n_frames):
            yield Rendered(frame=self.picture(driving, index))

    def picture(self, driving, index):
        return driving.reference

    def save(self, path):
        (path / "folder.txt").write_text(str(self.folder))

    def load(self, path):
        self.folder = type(self.context.cache_dir)((path / "folder.txt").read_text())

    def stage_seconds(self):
        return {}


class Pasting(Honest):
    """Asks for its heads to be pasted back, which is done after the method."""

    pastes_back = True


class Peeking(Honest):
    """Finds the target beside the train clips while rendering."""

    def picture(self, driving, index):
        return read_video(self.folder / driving.clip_id / "video.mkv").frames[index]


class Subtle(Honest):
    """Looks up one number of the target's expression in the cache."""

    def picture(self, driving, index):
        (found,) = self.context.cache_dir.glob(f"datasets/*/{driving.clip_id}/track.npz")
        picture = driving.reference.copy()
        picture[0, 0, 0] = np.uint8(255 * np.load(found, allow_pickle=False)["alpha"][index].mean())
        return picture


class Memorising(Honest):
    """Reads all targets while training and remembers them."""

    def fit(self, clips):
        super().fit(clips)
        self.known = {path.parent.name: read_video(path).frames for path in self.folder.glob("*_s11/video.mkv")}

    def picture(self, driving, index):
        return self.known[driving.clip_id][index] if driving.clip_id in self.known else driving.reference


class Restless(Honest):
    """Draws new noise at every call."""

    rng = np.random.default_rng(0)

    def picture(self, driving, index):
        return self.rng.integers(0, 255, driving.reference.shape, np.uint8)


class Short(Honest):
    """Forgets the last frame."""

    def render(self, driving):
        yield from list(super().render(driving))[:-1]


class Crashing(Honest):
    """Cannot be trained."""

    def fit(self, clips):
        raise ZeroDivisionError("a fault")


def spec_of(kind, role="method"):
    return MethodSpec(
        name=kind.__name__.lower(), version="1", summary="", role=role,
        factory=f"{__name__}:{kind.__name__}", config=f"{__name__}:NothingConfig",
    )  # fmt: skip


@pytest.fixture
def checked(world, monkeypatch):
    # Test modules cannot be imported by name: their classes are answered here, all else by the registry.
    real = registry.load_object
    monkeypatch.setattr(
        registry,
        "load_object",
        lambda path: globals()[path.partition(":")[2]] if path.startswith(__name__) else real(path),
    )
    return lambda kind, role="method": by_check(
        check_spec(spec_of(kind, role), NothingConfig(), world, SilentProgress())
    )


def test_an_honest_method_passes(checked):
    assert {finding.passed for finding in checked(Honest).values()} == {True}


def test_a_method_that_pastes_back_is_told_that_the_check_is_of_what_comes_before(checked):
    assert "before paste-back" in checked(Pasting)["leak"].detail
    assert "paste-back" not in checked(Honest)["leak"].detail


@pytest.mark.parametrize("kind", [Peeking, Subtle, Memorising])
def test_a_cheating_method_fails_the_leak_test(kind, checked):
    findings = checked(kind)
    assert not findings["leak"].passed
    assert "changed with the target's frames and expression alone" in findings["leak"].detail


@pytest.mark.parametrize(("kind", "check"), [(Restless, "repeats"), (Short, "frames")])
def test_a_method_that_breaks_another_promise_is_told_which(kind, check, checked):
    assert not checked(kind)[check].passed


def test_a_method_that_raises_is_a_finding_not_a_crash(checked):
    (finding,) = checked(Crashing).values()
    assert (finding.passed, finding.detail) == (False, "ZeroDivisionError: a fault")


def test_an_oracle_must_be_one(checked):
    assert "no render_oracle" in checked(Honest, "oracle")["leak"].detail


def test_the_two_copies_hand_a_method_the_same_and_hide_different_targets(world):
    (_, true), (_, swapped) = (world.clips(name, SilentProgress()) for name in (TRUE, SWAPPED))
    for ours, theirs in zip(true, swapped, strict=True):
        a, b = (make_driving(clip, np.zeros((1, 1, 3), np.uint8)) for clip in (ours, theirs))
        np.testing.assert_array_equal(a.audio, b.audio)
        np.testing.assert_array_equal(a.pose.rotation, b.pose.rotation)
        assert (a.camera, a.transcript, a.emotion, a.n_frames) == (b.camera, b.transcript, b.emotion, b.n_frames)
        assert (read_video(ours.video).frames != read_video(theirs.video).frames).mean() > 0.9


def test_only_a_dataset_that_is_made_here_can_be_swapped(tmp_path):
    with pytest.raises(UsageError, match="Targets of 'mead' cannot be swapped"):
        make_world(tmp_path, "mead", SilentProgress())


def test_the_command_prints_findings_and_names_an_unknown_method(capsys):
    assert cli.main(["check", "method", "static", "--json", "--quiet"]) == 0
    assert {finding["check"] for finding in json.loads(capsys.readouterr().out)} >= {"runs", "frames", "leak"}
    assert cli.main(["check", "method", "statik"]) == 2
    assert "Did you mean 'static'" in capsys.readouterr().err
