"""The expression module on disk: an exact round trip, and clear refusals of anything damaged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from emobench.errors import InputError
from emobench.methods.emohead.checkpoint import CARD, TENSORS, load_expression, save_expression
from emobench.methods.emohead.model import ExpressionModel

from .conftest import ask, corpus, fit, small_config, speak


@pytest.fixture
def saved(trained: ExpressionModel, tmp_path: Path) -> Path:
    save_expression(tmp_path, trained, ("ann",))
    return tmp_path


def test_a_loaded_model_says_exactly_what_the_saved_one_said(trained: ExpressionModel, saved: Path) -> None:
    loaded, portraits = load_expression(saved, threads=1)
    clip = ask(speak("angry", 1, "bob", np.random.default_rng(1)))
    before, after = trained.predict(clip), loaded.predict(clip)
    np.testing.assert_array_equal(after.spoken, before.spoken)
    np.testing.assert_array_equal(after.refined, before.refined)
    assert portraits == ("ann",)
    assert loaded.config == trained.config
    assert loaded.vocabulary == trained.vocabulary


def test_the_card_reports_hyperplanes_and_tau_to_a_reader(trained: ExpressionModel, saved: Path) -> None:
    card = json.loads((saved / CARD).read_text())
    assert set(card["hyperplane_accuracy"]) == set(trained.vocabulary.emotions)
    np.testing.assert_allclose(np.diag(card["hyperplane_cosines"]), 1, rtol=1e-5)
    assert card["tau_quantiles"]["matched"][1] < card["tau_quantiles"]["replaced"][2]
    assert load_expression(saved, threads=1)[0].tau_quantiles["matched"] == tuple(card["tau_quantiles"]["matched"])


def test_a_model_without_hyperplanes_survives_the_round_trip(tmp_path: Path) -> None:
    model = fit(corpus(3, ("happy",), each=1), small_config(training={"steps": 2}))
    save_expression(tmp_path, model, ())
    assert load_expression(tmp_path, threads=1)[0].hyperplanes is None


@pytest.mark.parametrize("name", [CARD, TENSORS])
def test_a_missing_file_is_an_input_error(saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(InputError, match=name):
        load_expression(saved, threads=1)


@pytest.mark.parametrize("name", [CARD, TENSORS])
def test_a_truncated_file_is_an_input_error(saved: Path, name: str) -> None:
    content = (saved / name).read_bytes()
    (saved / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="Train again"):
        load_expression(saved, threads=1)


def test_one_flipped_byte_is_noticed(saved: Path) -> None:
    content = bytearray((saved / TENSORS).read_bytes())
    content[-3] ^= 1
    (saved / TENSORS).write_bytes(bytes(content))
    with pytest.raises(InputError, match="corrupt"):
        load_expression(saved, threads=1)


def edit_card(folder: Path, **changes: object) -> None:
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps(card | changes))


def test_a_newer_schema_asks_for_an_update(saved: Path) -> None:
    edit_card(saved, schema_version=99)
    with pytest.raises(InputError, match="Update emobench"):
        load_expression(saved, threads=1)


def test_a_card_that_does_not_fit_its_tensors_is_an_input_error(saved: Path) -> None:
    edit_card(saved, subjects=["ann", "bob", "cid"])
    with pytest.raises(InputError, match="no usable EmoHead checkpoint"):
        load_expression(saved, threads=1)


def test_a_card_of_something_else_is_an_input_error(saved: Path) -> None:
    (saved / CARD).write_text('["not", "a", "card"]')
    with pytest.raises(InputError, match="no EmoHead checkpoint"):
        load_expression(saved, threads=1)
