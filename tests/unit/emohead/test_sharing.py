"""Claims about shared trainings: rows that differ later on share what came before, and lose nothing by it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from emobench.hashing import hash_file
from emobench.methods.emohead.config import EmoHeadConfig
from emobench.methods.emohead.fitting import fit_expression
from emobench.methods.emohead.model import ExpressionModel
from emobench.methods.emohead.sharing import STATE, TENSORS, TORCH_STATE, SharedTrainings, shared_trainings
from emobench.types import Clip

from .conftest import NoteTaker, ask, corpus, small_config, speak

QUICK = {"training": {"steps": 12}, "refinement": {"steps": 6}}


def clip(**changes: object) -> Clip:
    made = Clip(
        id="c1", subject="ann", emotion="happy", intensity=3, sentence="1", transcript=None, video=None, audio=None,
        fps=25.0, n_frames=9, sha256="00",
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def shared(folder: Path, config: EmoHeadConfig, seed: int = 0, clips: tuple[Clip, ...] = (clip(),)) -> SharedTrainings:
    return shared_trainings(clips, config, seed, folder, NoteTaker())


def fit(config: EmoHeadConfig, stage1: SharedTrainings | None) -> ExpressionModel:
    recordings = corpus(1, each=1)
    return fit_expression(recordings, config, seed=0, threads=1, progress=NoteTaker(), stage1=stage1)


def said(model: ExpressionModel) -> np.ndarray:
    expressed = model.predict(ask(speak("angry", 3, "bob", np.random.default_rng(1)), emotion="happy"))
    return np.concatenate([expressed.spoken, expressed.refined, expressed.tau[:, None]], axis=1)


def test_settings_seed_and_clips_decide_what_is_shared(tmp_path: Path) -> None:
    base = shared(tmp_path, small_config())
    same = shared(tmp_path, small_config())
    assert (same.folder, same.spoken) == (base.folder, base.spoken)
    refined = shared(tmp_path, small_config(refinement={"constant_tau": 1.0}))
    assert refined.folder != base.folder
    assert refined.spoken == base.spoken
    painted = EmoHeadConfig.model_validate(small_config().model_dump() | {"radiance": {"steps": 3}})
    assert shared(tmp_path, painted).folder == base.folder
    others = [
        shared(tmp_path, small_config(text={"enabled": False})),
        shared(tmp_path, small_config(), seed=1),
        shared(tmp_path, small_config(), clips=(clip(emotion="angry"),)),
        shared(tmp_path, small_config(), clips=(clip(transcript="da"),)),
    ]
    assert len({base.spoken, *(other.spoken for other in others)}) == 5


def test_a_resumed_stage_1_goes_on_to_the_very_same_module(tmp_path: Path) -> None:
    config = small_config(**QUICK)
    plain = said(fit(config, None))
    place = shared(tmp_path, config)
    np.testing.assert_array_equal(said(fit(config, place)), plain)
    assert place.spoken.is_dir()
    again = shared(tmp_path, config)
    np.testing.assert_array_equal(said(fit(config, again)), plain)
    assert any("stage 1 from the cache" in note for note in again.progress.notes)  # type: ignore[attr-defined]


def test_a_row_that_changes_only_tau_says_the_same_before_refinement(tmp_path: Path) -> None:
    full, constant = small_config(**QUICK), small_config(**QUICK | {"refinement": {"constant_tau": 0.5}})
    one, two = fit(full, shared(tmp_path, full)), fit(constant, shared(tmp_path, constant))
    names = len(one.vocabulary.alpha_names)
    np.testing.assert_array_equal(said(one)[:, :names], said(two)[:, :names])
    assert np.abs(said(one) - said(two)).max() > 0.01


def test_a_kept_module_comes_back_with_the_configuration_of_who_asks(tmp_path: Path) -> None:
    config = small_config(**QUICK)
    place = shared(tmp_path, config)
    assert place.expression(1) is None
    model = fit(config, None)
    place.keep_expression(model)
    painted = EmoHeadConfig.model_validate(config.model_dump() | {"radiance": {"steps": 3}})
    found = shared(tmp_path, painted).expression(1)
    assert found is not None
    assert found.config.radiance.steps == 3
    np.testing.assert_array_equal(said(found), said(model))


@pytest.mark.parametrize("name", [STATE, TENSORS])
def test_a_damaged_stage_1_is_told_of_and_trained_again(tmp_path: Path, name: str) -> None:
    config = small_config(**QUICK)
    plain = said(fit(config, shared(tmp_path, config)))
    path = shared(tmp_path, config).spoken / name
    path.write_bytes(path.read_bytes()[:-7])
    again = shared(tmp_path, config)
    np.testing.assert_array_equal(said(fit(config, again)), plain)
    assert any("cannot be used" in note for note in again.progress.notes)  # type: ignore[attr-defined]


@pytest.mark.parametrize("damage", ["shape", "absent", "generator", "torch generator"])
def test_a_stage_1_that_does_not_fit_leaves_nothing_of_itself_in_the_training(tmp_path: Path, damage: str) -> None:
    """Most of its tensors fit: taken over one by one, they would be the weights that training begins with."""
    config = small_config(**QUICK)
    plain = said(fit(config, shared(tmp_path, config)))
    folder = shared(tmp_path, config).spoken
    tensors, state = load_file(folder / TENSORS), json.loads((folder / STATE).read_text())
    name = sorted(set(tensors) - {TORCH_STATE})[-1]
    if damage == "shape":
        tensors[name] = torch.zeros(3, 2, 1)
    elif damage == "absent":
        del tensors[name]
    elif damage == "generator":
        state["rng"] = {"bit_generator": "PCG64", "state": {}}
    else:
        tensors[TORCH_STATE] = tensors[TORCH_STATE][:16].clone()
    save_file(tensors, folder / TENSORS)
    (folder / STATE).write_text(json.dumps(state | {"tensors_sha256": hash_file(folder / TENSORS)}))
    again = shared(tmp_path, config)
    np.testing.assert_array_equal(said(fit(config, again)), plain)
    assert any("stage 1 cannot be used" in note for note in again.progress.notes)  # type: ignore[attr-defined]


def test_a_damaged_module_is_told_of(tmp_path: Path) -> None:
    config = small_config(**QUICK)
    place = shared(tmp_path, config)
    place.keep_expression(fit(config, None))
    next(place.folder.glob("*.safetensors")).write_bytes(b"no")
    assert place.expression(1) is None
    assert "cannot be used" in place.progress.notes[-1]  # type: ignore[attr-defined]
