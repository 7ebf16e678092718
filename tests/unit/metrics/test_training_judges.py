"""Judges in losses: what they learn, that they are none of those that score, and what they say when they cannot be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from emobench.errors import Unavailable
from emobench.judges import JudgeSet
from emobench.methods.radiance.critics import open_critic
from emobench.methods.radiance.image_config import ImageLossConfig
from emobench.progress import SilentProgress
from emobench.types import Context

PEOPLE = ("ann", "bob")


@pytest.fixture(scope="module")
def clips(cartoon, tmp_path_factory):
    """Two people, four sentences; bob is filmed in a darker studio and upside down, so that faces can tell them."""
    folder = tmp_path_factory.mktemp("cartoons")
    made = []
    for seed in range(1, 9):
        for emotion in cartoon.emotions:
            sample = cartoon.make_sample(emotion, seed=seed)
            if seed % 2:
                sample = replace(sample, frames=(sample.frames // 2)[:, ::-1].copy())
            clip = cartoon.write_clip(folder, sample, f"s{seed // 2}")
            made.append(replace(clip, subject=PEOPLE[seed % 2]))
    return made


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    return Context(seed=0, device="cpu", threads=1, cache_dir=folder, progress=SilentProgress())


@pytest.fixture(scope="module")
def training(clips, context):
    judges = JudgeSet(clips, context, "cartoon", "training")
    judges.tags()
    return judges


def test_the_judges_of_a_portrait_s_losses_are_none_of_those_that_score(training, clips, context, cartoon):
    critic = open_critic(ImageLossConfig(), training, cartoon.emotions, torch.device("cpu"), SilentProgress())
    scoring = JudgeSet(clips, context, "cartoon", "evaluation")
    assert set(critic.names) == {"cord", "identity"}
    for key in critic.names.values():
        assert training.folder.name in key
        assert scoring.folder.name not in key
    assert not {clip.id for clip in training.clips} & {clip.id for clip in scoring.clips}
    assert not {clip.sentence for clip in training.clips} & {clip.sentence for clip in scoring.clips}
    with pytest.raises(Unavailable, match="no identity judge scores"):
        scoring.identity()


def test_only_what_is_asked_for_is_trained(training):
    assert len(list(training.folder.parent.iterdir())) == 1
    assert not (set(training.report()) & {"emotion.accuracy.ground_truth", "landmarks.mouth_px.ground_truth"})


def test_unseen_clips_are_told_by_tag_and_by_person(training, cartoon):
    report = training.report()
    assert report["tags.accuracy.ground_truth"] >= 80
    assert report["identity.accuracy.ground_truth"] >= 80
    found = training.identity().extract(cartoon.make_sample("happy", seed=40))
    assert found["embeddings"].shape == (40, 32)
    np.testing.assert_allclose(np.linalg.norm(found["embeddings"], axis=1), 1, atol=1e-5)
    assert list(found["classes"]) == list(PEOPLE)


def test_one_person_alone_makes_no_identity_judge_but_a_tag_judge(clips, context):
    own = [clip for clip in clips if clip.subject == "ann"]
    judges = JudgeSet(own, context, "one person", "training")
    with pytest.raises(Unavailable, match="one subject only"):
        judges.identity()
    assert judges.tags().key() == f"judge.tags:{judges.folder.name}"
