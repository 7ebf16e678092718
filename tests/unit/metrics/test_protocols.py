"""Claims about measurement protocols: what their files say is what is computed, and two are never mixed."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import resources

import numpy as np
import pytest
import yaml

from emobench import cli, registry
from emobench.compare import compare_runs
from emobench.errors import InputError, Unavailable, UnscoredError, UsageError
from emobench.media import write_lossless
from emobench.metrics.emotion import JudgedEmotion
from emobench.metrics.protocols.files import ProtocolFile, Rule, View, read_protocol
from emobench.metrics.protocols.views import TEMPLATE_POINTS, nearest_frames, paced, show, spread_frames
from emobench.planning import choose_metrics, find_metric, find_scheme
from emobench.scoring import build_metrics
from emobench.store import load_run

NAMES = ("strict", "eat-mead", "nerf-selfrecon", "crema-d-6")
OTHERS = NAMES[1:]


class Located:
    """Stands for the judges: landmarks are where the track says, and every face is happy for certain, then sad."""

    classes = ("happy", "sad", "contempt")

    def key(self):
        return "located"

    def landmarks(self):
        return self

    def emotion(self):
        return self

    def extract(self, sample):
        rows = np.tile(np.float32([0.3, 0.1, 0.6]), (len(sample.frames), 1))
        return {"landmarks": sample.track.landmarks, "probabilities": rows, "classes": np.array(self.classes)}


@pytest.fixture
def located(context):
    return replace(context, judges=Located())


def built(name, metric, context):
    (item,) = build_metrics([find_metric(metric)], context, find_scheme(name))
    return item


def noisy(cartoon, reference, seed=5):
    noise = np.random.default_rng(seed).normal(0, 9, reference.frames.shape)
    return cartoon.as_prediction(reference, frames=np.clip(reference.frames + noise, 0, 255).astype(np.uint8))


# ------------------------------------------------------------------ the files


@pytest.mark.parametrize("name", NAMES)
def test_every_file_says_what_its_registry_entry_says_and_where_it_differs_from_whom(name):
    spec = registry.find("protocol", name)
    file = read_protocol(spec.file)
    assert (file.name, file.version) == (spec.name, spec.version)
    assert len(file.differs) >= 3
    assert all(each.source and each.what and each.why for each in file.differs)


@pytest.mark.parametrize("name", OTHERS)
def test_every_other_protocol_states_crop_frames_classes_and_windows_and_measures_known_metrics(name):
    file = read_protocol(registry.find("protocol", name).file)
    assert {"crop", "frames", "classes", "windows"} <= set(file.notes)
    assert set(file.rules) <= set(registry.entries("metric"))


def test_crema_d_has_six_classes_and_mead_eight():
    rules = {name: read_protocol(registry.find("protocol", name).file).rules for name in OTHERS}
    assert len(rules["crema-d-6"]["emotion.judge"].classes) == 6
    assert len(rules["eat-mead"]["emotion.judge"].classes) == 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"views": {"v": {"crop": "mouth"}}}, "crop"),
        ({"views": {"v": {"crop": "face"}}}, "needs size_px"),
        ({"rules": {"psnr": {"view": "w"}}}, "names the view 'w'"),
        ({"rules": {"psnr": {"view": "v", "classes": ["hapy"]}}}, "unknown emotion 'hapy'"),
        ({"speed": "fast"}, "speed"),
    ],
)
def test_a_protocol_file_that_says_something_unknown_is_refused(change, message):
    text = resources.files("emobench.metrics.protocols").joinpath("crema-d-6.yaml").read_text(encoding="utf-8")
    document = yaml.safe_load(text) | {"views": {"v": {}}, "rules": {"psnr": {"view": "v"}}} | change
    with pytest.raises(ValueError, match=message):
        ProtocolFile.model_validate(document)
    with pytest.raises(InputError, match=r"nothing\.yaml"):
        read_protocol("emobench.metrics.protocols:nothing.yaml")


# ------------------------------------------------------------------ views


def test_frames_are_picked_at_the_nearest_moment_and_evenly():
    assert nearest_frames(4, 50.0, 25.0).tolist() == [1, 3]
    assert nearest_frames(3, 25.0, 50.0).tolist() == [0, 0, 1, 1, 2, 2]
    assert nearest_frames(90, 29.97, 25.0).tolist()[-1] <= 89
    assert spread_frames(100, 5).tolist() == [10, 30, 50, 70, 90]
    assert spread_frames(3, 5).tolist() == [0, 1, 2]  # no frame twice


def test_aligned_faces_lie_on_the_template_whatever_their_place_and_size(cartoon):
    found = []
    for size, seed in ((96, 3), (160, 3)):
        sample = cartoon.make_sample(seed=seed, size=size)
        shown = show(View(crop="aligned", size_px=128), sample, sample, sample.track.landmarks)
        assert shown.frames.shape == (40, 128, 128, 3)
        found.append(shown.track.landmarks)
    eyes = np.array(TEMPLATE_POINTS)[[9, 12]].mean(axis=0)  # of the image-left eye, corner to corner
    assert np.abs(found[0][:, [36, 39]].mean(axis=1) - eyes).max() < 4  # a cartoon is no mean face
    np.testing.assert_allclose(found[0], found[1], atol=0.2)


def test_landmarks_move_with_the_pixels_of_a_view(cartoon):
    sample = cartoon.make_sample(size=64)
    frames = np.zeros_like(sample.frames)
    frames[:, 30:34, 36:40] = 255  # its centre is (38, 32), pixel centres at +0.5
    track = replace(sample.track, landmarks=sample.track.landmarks.copy())
    track.landmarks[:, 8] = (38, 32)
    shown = show(View(crop="full frame", size_px=96), replace(sample, frames=frames, track=track), sample, None)
    weight = shown.frames[0].astype(float).mean(axis=2)
    centre = [(weight.sum(axis=axis) @ (np.arange(96) + 0.5)) / weight.sum() for axis in (0, 1)]
    np.testing.assert_allclose(centre, shown.track.landmarks[0, 8], atol=0.05)
    assert shown.sha256 != sample.sha256


# ------------------------------------------------------------------ what is computed


def test_the_strict_protocol_changes_neither_value_nor_signature(cartoon, reference, context, features):
    (plain,) = build_metrics([find_metric("psnr")], context)
    strict = built("strict", "psnr", context)
    assert strict.signature == plain.signature
    prediction = noisy(cartoon, reference)
    values = [item.metric.measure(prediction, reference, features).value for item in (plain, strict)]
    assert values[0] == values[1]


@pytest.mark.parametrize("name", OTHERS)
def test_every_other_protocol_stands_in_the_signature(name, located):
    signatures = {each: built(each, "psnr", located).signature for each in NAMES}
    assert f"|protocol:{name}@1: " in signatures[name]
    assert len(set(signatures.values())) == len(NAMES)


@pytest.mark.parametrize("name", ["eat-mead", "crema-d-6"])
def test_crop_and_resize_change_the_value_and_identical_clips_stay_perfect(name, cartoon, reference, located, features):
    metric = built(name, "psnr", located).metric
    strict = built("strict", "psnr", located).metric
    prediction = noisy(cartoon, reference)
    stats = metric.measure(prediction, reference, features)
    assert abs(stats.value - strict.measure(prediction, reference, features).value) > 0.1
    assert stats.detail["frames_in_view"] == 40
    assert metric.measure(cartoon.as_prediction(reference), reference, features).reason == "infinite"


def test_clips_of_another_rate_are_brought_to_25_frames_a_second(cartoon, reference, located, features):
    fast = replace(
        reference, fps=50.0, frames=np.repeat(reference.frames, 2, axis=0), track=None, alpha=None, sha256="twice"
    )
    metric = built("crema-d-6", "psnr", located)
    assert metric.metric.measure(fast, reference, features).reason == "infinite"
    assert "25 fps by nearest frame" in metric.signature
    slow = paced(reference, 12.5)
    assert (len(slow.frames), len(slow.track.alpha), slow.fps) == (20, 20, 12.5)
    with pytest.raises(UnscoredError, match="prediction has 80 frames, reference 40"):
        built("strict", "psnr", located).metric.measure(fast, reference, features)


@pytest.mark.parametrize("metric", ["psnr", "emotion.judge"])
def test_a_frame_too_many_is_seen_before_both_clips_are_brought_to_one_rate(metric, cartoon, located, features):
    reference = replace(cartoon.make_sample(seconds=2.48), fps=30.0)
    extra = np.concatenate([reference.frames, reference.frames[-1:]])
    prediction = replace(cartoon.as_prediction(reference, frames=extra), sha256="longer")
    assert (len(extra), len(reference.frames)) == (63, 62)
    assert len(nearest_frames(63, 30.0, 25.0)) == len(nearest_frames(62, 30.0, 25.0)) == 52
    with pytest.raises(UnscoredError, match="prediction has 63 frames, reference 62"):
        built("crema-d-6", metric, located).metric.measure(prediction, reference, features)


def test_what_is_shown_is_kept_under_the_version_of_picking_and_warping(reference, monkeypatch):
    from emobench.metrics.protocols import views

    def keys():
        cut = show(View(crop="full frame", size_px=32), reference, reference, None)
        return cut.sha256, paced(reference, 12.5).sha256

    before = keys()
    assert keys() == before
    monkeypatch.setattr(views, "VERSION", "another")
    assert not set(keys()) & set(before)


def test_emotions_are_chosen_among_the_protocol_s_classes(cartoon, reference, located, features):
    prediction = cartoon.as_prediction(reference)
    everything = JudgedEmotion(located).measure(prediction, reference, features)
    assert (everything.value, everything.detail["predicted"]) == (0.0, "contempt")
    masked = built("crema-d-6", "emotion.judge", located).metric
    stats = masked.measure(prediction, reference, features)
    assert (stats.value, stats.detail["predicted"]) == (100.0, "happy")
    assert stats.detail["probability"] == pytest.approx(0.75)
    contempt = replace(reference, emotion="contempt")
    with pytest.raises(UnscoredError, match="not among the protocol's: angry"):
        masked.measure(cartoon.as_prediction(contempt), contempt, features)


def test_short_clips_are_unscored_where_the_protocol_says_so(cartoon, reference, located, features):
    from emobench.metrics.image import Psnr
    from emobench.metrics.protocols.scheme import Kept, SchemedMetric, Showing

    rule = Rule(view="v", min_frames=41)
    metric = SchemedMetric(Psnr(located), rule, Showing(View(), located, Kept()), "p@1")
    with pytest.raises(UnscoredError, match="clip of 40 frames; protocol p@1 scores 41 and more"):
        metric.measure(cartoon.as_prediction(reference), reference, features)
    assert "clips of 41 frames and more" in metric.signature()


def test_every_frame_counts_once_in_self_reconstruction(cartoon, located, features):
    metric = built("nerf-selfrecon", "psnr", located).metric
    stats = []
    for seconds, seed in ((1.6, 1), (4.8, 2)):
        clip = cartoon.make_sample(seed=seed, seconds=seconds)
        stats.append(metric.measure(noisy(cartoon, clip, seed), clip, features))
    values = [entry.value for entry in stats]
    assert metric.aggregate(stats) == pytest.approx((values[0] + 3 * values[1]) / 4)
    assert built("strict", "psnr", located).metric.aggregate(stats) == pytest.approx(np.mean(values))


def test_a_view_is_made_once_for_all_metrics_that_see_it(cartoon, reference, located, features, monkeypatch):
    from emobench.metrics.protocols import scheme

    made = []
    monkeypatch.setattr(scheme, "show", lambda *a: made.append(a[0]) or show(*a))
    items = build_metrics([find_metric(n) for n in ("psnr", "ssim", "lmd.face")], located, find_scheme("crema-d-6"))
    prediction = noisy(cartoon, reference)
    for item in items:
        item.metric.measure(prediction, reference, features)
    assert len(made) == 2  # prediction and reference


# ------------------------------------------------------------------ commands


def test_a_protocol_chooses_its_metrics_and_refuses_others():
    scheme = find_scheme("nerf-selfrecon")
    assert {spec.name for spec in choose_metrics((), scheme)} == set(scheme.metrics())
    assert {spec.name for spec in choose_metrics(("all",), scheme)} == set(scheme.metrics())
    assert [spec.name for spec in choose_metrics(("psnr",), scheme)] == ["psnr"]
    with pytest.raises(UsageError, match=r"Protocol 'nerf-selfrecon' does not measure 'csim'\. It measures: psnr"):
        choose_metrics(("csim",), scheme)
    with pytest.raises(UsageError, match=r"Unknown protocol 'eat-maed'\. Did you mean 'eat-mead'"):
        find_scheme("eat-maed")


def test_a_metric_that_a_protocol_does_not_know_is_unavailable_with_the_protocol_s_name(located):
    assert built("eat-mead", "csim", located).reason == "protocol eat-mead does not measure csim"
    with pytest.raises(Unavailable):
        find_scheme("eat-mead").build(find_metric("csim"), located)


def test_score_measures_by_the_protocol_and_compare_refuses_two(cartoon, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("EMOBENCH_CACHE", str(tmp_path / "cache"))
    for seconds, seed in ((1.0, 1), (3.0, 2)):
        clip = cartoon.make_sample(seed=seed, seconds=seconds, size=48)
        for folder, sample in (("ref", clip), ("pred", noisy(cartoon, clip, seed))):
            (tmp_path / folder).mkdir(exist_ok=True)
            write_lossless(tmp_path / folder / f"{clip.clip_id}.mkv", sample.frames, sample.fps)
    common = ["score", "--pred", str(tmp_path / "pred"), "--ref", str(tmp_path / "ref"), "--metrics", "psnr"]
    common += ["--out", str(tmp_path / "runs"), "--json", "--no-report", "--quiet"]
    runs = {}
    for name in ("strict", "nerf-selfrecon"):
        assert cli.main([*common, "--protocol", name]) == 0
        runs[name] = json.loads(capsys.readouterr().out)["runs"][0]
    values = {name: run["metrics"]["psnr"]["value"] for name, run in runs.items()}
    assert values["strict"] != values["nerf-selfrecon"]
    assert "protocol:nerf-selfrecon@1" in runs["nerf-selfrecon"]["metrics"]["psnr"]["signature"]
    records = [load_run(tmp_path / "runs" / run["dir"]) for run in runs.values()]
    assert [record.run.protocol for record in records] == ["strict", "nerf-selfrecon"]
    assert records[0].dir != records[1].dir
    with pytest.raises(UsageError, match="different protocols cannot be compared: nerf-selfrecon, strict"):
        compare_runs(*[replace(record, run=replace(record.run, dataset="one")) for record in records])
