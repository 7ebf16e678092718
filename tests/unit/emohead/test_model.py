"""The trained audio-expression module on a toy language: what it learns, what moves it, what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from emobench.errors import InputError, UsageError
from emobench.methods.emohead import model as model_module
from emobench.methods.emohead.fitting import Recording, fit_expression
from emobench.methods.emohead.model import ExpressionModel

from .conftest import IS_MOUTH, NoteTaker, ask, corpus, fit, small_config, speak


@pytest.fixture
def clip() -> Recording:
    return speak("happy", 3, "ann", np.random.default_rng(99), 45)


def errors(model: ExpressionModel, recordings: list[Recording]) -> tuple[float, float]:
    """Mean absolute error of α̂: mouth, upper face."""
    differences = [np.abs(model.predict(ask(r)).refined - r.track.alpha) for r in recordings]
    mean = np.concatenate(differences).mean(0)
    return float(mean[IS_MOUTH].mean()), float(mean[~IS_MOUTH].mean())


def test_unheard_speech_moves_the_mouth_better_than_the_mean_of_its_emotion(trained: ExpressionModel) -> None:
    train, test = corpus(1), corpus(2, each=1)
    means = {
        key: np.concatenate([r.track.alpha for r in train if (r.subject, r.emotion, r.level) == key]).mean(0)
        for key in {(r.subject, r.emotion, r.level) for r in train}
    }
    mean_error = np.mean(
        [np.abs(r.track.alpha - means[r.subject, r.emotion, r.level])[:, IS_MOUTH].mean() for r in test]
    )
    mouth, upper = errors(trained, test)
    assert mouth < 0.6 * mean_error
    assert upper < 0.05  # levels 1 and 3 differ by 0.5


def test_the_tag_and_its_level_move_the_upper_face(trained: ExpressionModel, clip: Recording) -> None:
    happy, angry = (trained.predict(ask(clip, emotion=e)).refined.mean(0) for e in ("happy", "angry"))
    assert happy[3] - angry[3] > 0.3  # cheek
    assert angry[2] - happy[2] > 0.3  # brow
    weak, strong = (trained.predict(ask(clip, level=level)).refined.mean(0)[3] for level in (1.0, 3.0))
    assert strong - weak > 0.3


def test_a_missing_transcript_costs_little(trained: ExpressionModel) -> None:
    test = corpus(2, each=1)
    silent = [replace(r, transcript=None) for r in test]
    assert errors(trained, silent)[0] < 1.5 * errors(trained, test)[0] + 0.01


def test_knocking_out_the_normals_leaves_the_spoken_expression(model: ExpressionModel, clip: Recording) -> None:
    before = model.predict(ask(clip, push=5.0))
    assert np.abs(before.refined - before.spoken).max() > 1e-3
    assert model.hyperplanes is not None
    model.hyperplanes = replace(model.hyperplanes, normal=np.zeros_like(model.hyperplanes.normal))
    after = model.predict(ask(clip, push=5.0))
    np.testing.assert_array_equal(after.refined, after.spoken)
    np.testing.assert_array_equal(after.spoken, before.spoken)


@pytest.mark.parametrize("stream", ["audio", "emotion.prosody", "text"])
def test_knocking_out_a_stream_changes_the_face(model: ExpressionModel, clip: Recording, stream: str) -> None:
    before = model.predict(ask(clip)).refined
    with torch.no_grad():
        model.network.get_submodule(f"{stream}.exit").weight.zero_()
    assert np.abs(model.predict(ask(clip)).refined - before).max() > 1e-3


def test_the_push_multiplies_tau_and_the_step_from_the_spoken_face(trained: ExpressionModel, clip: Recording) -> None:
    told = ("neutral", 1.0)
    once, twice = trained.predict(ask(clip, told=told)), trained.predict(ask(clip, told=told, push=2.0))
    np.testing.assert_allclose(twice.tau, 2 * once.tau, rtol=1e-6)
    np.testing.assert_allclose(twice.refined - twice.spoken, 2 * (once.refined - once.spoken), atol=1e-5)
    assert (once.tau >= 0).all()


def test_intensity_goes_from_rest_to_the_emotion_and_beyond(trained: ExpressionModel) -> None:
    happy = next(r for r in corpus(2, each=1) if r.emotion == "happy" and r.level == 3)
    cheek = [trained.predict(ask(happy, push=push)).refined[:, 3].mean() for push in (0.0, 0.5, 1.0, 1.5)]
    np.testing.assert_allclose(np.diff(cheek), np.diff(cheek).mean(), rtol=1e-3)  # evenly
    assert cheek[0] < 0.2  # neutral clips: 0, happy ones of level 3: 0.8
    assert abs(cheek[2] - 0.8) < 0.15


def test_tau_is_told_as_it_was_applied(trained: ExpressionModel) -> None:
    """The way from rest is no multiple of τ: intensity leaves the joint step, and so τ, as it is."""
    happy = next(r for r in corpus(2, each=1) if r.emotion == "happy" and r.level == 3)
    once, twice = (trained.predict(ask(happy, push=push)) for push in (1.0, 2.0))
    np.testing.assert_array_equal(twice.tau, once.tau)
    assert np.abs(twice.refined - once.refined).max() > 0.1


def test_refinement_raises_the_distance_to_the_requested_hyperplane(trained: ExpressionModel, clip: Recording) -> None:
    expression = trained.predict(ask(clip, emotion="angry", push=3.0))
    mean, scale = trained.scaling.alpha_of(trained.vocabulary.subject(clip.subject))
    assert trained.hyperplanes is not None
    distance = [
        trained.hyperplanes.distance((alpha - mean) / scale, "angry")
        for alpha in (expression.spoken, expression.refined)
    ]
    assert (distance[1] > distance[0]).all()


def test_refinement_does_not_hurt_matched_speech(trained: ExpressionModel) -> None:
    test = corpus(2, each=1)
    spoken = np.mean([np.abs(trained.predict(ask(r)).spoken - r.track.alpha).mean() for r in test])
    refined = np.mean([np.abs(trained.predict(ask(r)).refined - r.track.alpha).mean() for r in test])
    assert refined < 1.3 * spoken  # 150 steps of stage 2; the default takes more and costs about 1 %


def test_refinement_moves_a_mismatched_voice_towards_the_tag(trained: ExpressionModel) -> None:
    """Told what it hears, α̃ shows the voice's emotion; stage 2 never sees a mismatch recording."""
    for recording in corpus(2, each=1):
        if recording.emotion != "happy":
            told = (recording.emotion, float(recording.level))
            expression = trained.predict(ask(recording, emotion="happy", level=3.0, told=told))
            assert expression.spoken[:, 3].mean() < 0.2  # cheek: 0.8 in happy clips of level 3
            assert expression.refined[:, 3].mean() > 0.4
            assert abs(expression.refined[:, 2].mean()) < 0.2  # the brow of anger goes as well


def test_told_the_requested_emotion_or_nothing_else_is_the_same(trained: ExpressionModel, clip: Recording) -> None:
    own = (clip.emotion, float(clip.level))
    np.testing.assert_array_equal(trained.predict(ask(clip)).refined, trained.predict(ask(clip, told=own)).refined)
    with pytest.raises(UsageError, match="trained on"):
        trained.predict(ask(clip, told=("melancholic", 1.0)))


def test_long_speech_in_chunks_equals_speech_in_one_piece(
    trained: ExpressionModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = speak("happy", 3, "ann", np.random.default_rng(5), 100)
    whole = trained.predict(ask(long))
    monkeypatch.setattr(model_module, "CHUNK_FRAMES", 17)
    pieces = trained.predict(ask(long))
    np.testing.assert_allclose(pieces.refined, whole.refined, atol=1e-4)  # float32, sums in another order
    assert len(pieces.tau) == 100


def test_speech_shorter_than_the_video_still_gives_every_frame(trained: ExpressionModel, clip: Recording) -> None:
    expression = trained.predict(ask(clip, audio=clip.audio[:1600], n_frames=45))
    assert expression.refined.shape == (45, 5)
    assert np.isfinite(expression.refined).all()


def test_a_seed_gives_the_same_model_and_another_seed_another() -> None:
    config = small_config(training={"steps": 6}, refinement={"steps": 3})
    recordings = corpus(3, each=1)
    clip = ask(recordings[0])
    one, two, other = (fit(recordings, config, seed).predict(clip).refined for seed in (4, 4, 5))
    np.testing.assert_array_equal(one, two)
    assert np.abs(one - other).max() > 1e-4


def test_training_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    fit(corpus(3, each=1), small_config(training={"steps": 2}, refinement={"steps": 2}))
    torch.testing.assert_close(torch.rand(3), expected)


def test_one_emotion_means_no_hyperplanes_and_says_so() -> None:
    notes = NoteTaker()
    config = small_config(training={"steps": 3})
    model = fit_expression(corpus(3, ("happy",), each=2), config, seed=0, threads=1, progress=notes)
    assert model.hyperplanes is None
    assert any("refinement is the identity" in note for note in notes.notes)
    expression = model.predict(ask(corpus(4, ("happy",), each=1)[0], push=3.0))
    np.testing.assert_array_equal(expression.refined, expression.spoken)
    assert not expression.tau.any()


def test_refinement_can_be_switched_off_or_held_constant(clip: Recording) -> None:
    quick = {"training": {"steps": 3}}
    off = fit(corpus(3, each=1), small_config(**quick, refinement={"enabled": False})).predict(ask(clip))
    np.testing.assert_array_equal(off.refined, off.spoken)
    held = fit(corpus(3, each=1), small_config(**quick, refinement={"constant_tau": 0.5})).predict(ask(clip))
    np.testing.assert_array_equal(held.tau, np.full(45, 0.5, np.float32))


def test_an_unknown_tag_is_refused_with_the_nearest_and_all_known(trained: ExpressionModel, clip: Recording) -> None:
    with pytest.raises(UsageError, match=r"'hapy'.*'happy'.*angry, happy, neutral"):
        trained.predict(ask(clip, emotion="hapy"))


def test_a_level_that_was_not_trained_becomes_the_nearest_trained_one(trained: ExpressionModel) -> None:
    level = trained.vocabulary.level
    assert level("neutral", 3.0) == 1.0
    assert level("happy", 2.2) == 3.0  # levels 1 and 3 were trained: no neighbours to interpolate
    assert level("happy", 9.0) == 3.0
    between = replace(trained.vocabulary, levels={"happy": (1, 2, 3)})
    assert between.level("happy", 2.2) == 2.2


def test_recordings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="at least one"):
        fit([], small_config())
    one, two = corpus(3, each=1)[:2]
    renamed = replace(two, track=replace(two.track, alpha_names=("a", "b", "c", "d", "e")))
    with pytest.raises(InputError, match="disagree"):
        fit([one, renamed], small_config())
    with pytest.raises(InputError, match="intensity 4"):
        fit([replace(one, level=4)], small_config())


def test_frames_without_tracking_do_not_supervise() -> None:
    """Rubbish in frames marked invalid must not reach the weights through the loss."""
    recordings = corpus(3, each=1)
    config = small_config(training={"steps": 4, "tempo": 0.0}, refinement={"enabled": False})
    track = recordings[0].track
    valid = np.ones(len(track.alpha), bool)
    valid[10:14] = False
    spoilt = track.alpha.copy()
    spoilt[10:14] = 1e3
    masked = [replace(recordings[0], track=replace(track, valid=valid)), *recordings[1:]]
    rubbish = [replace(recordings[0], track=replace(track, valid=valid, alpha=spoilt)), *recordings[1:]]
    clip = ask(recordings[1])
    np.testing.assert_array_equal(fit(masked, config).predict(clip).spoken, fit(rubbish, config).predict(clip).spoken)
