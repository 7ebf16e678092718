"""Which published networks a run used is part of its identity and provenance: a branch that moves makes a new run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from emobench import registry
from emobench.methods.emohead.config import EmoHeadConfig
from emobench.methods.emohead.hearing import Hearing
from emobench.methods.emohead.method import EmoHead
from emobench.methods.references import PortraitConfig
from emobench.planning import Unit
from emobench.progress import SilentProgress
from emobench.runner import unit_identity
from emobench.types import Context

from . import tiny_networks as tiny
from .conftest import corpus, fit, small_config

pytest.importorskip("transformers", reason="the package transformers is not installed (extra: pretrained)")

LATER = "89abcdef0123456789abcdef0123456789abcdef"
BERT = {"text": {"source": "pretrained", "model": tiny.BERT}}
CLIP = {"radiance": {"images": {"source": "clip", "clip_model": tiny.CLIP}}}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tiny.bert(tmp_path / "hub")
    tiny.clip(tmp_path / "hub")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("EMOBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "hub"


def move_main(hub: Path, model: str) -> None:
    """What `hf download` does after the authors changed a file: main means another commit."""
    base = hub / f"models--{model.replace('/', '--')}"
    later = base / "snapshots" / LATER
    (base / "snapshots" / tiny.COMMIT).rename(later)
    (later / "config.json").write_text((later / "config.json").read_text() + "\n")
    (base / "refs/main").write_text(LATER)


def identity_of(config: Any, method: str = "emohead") -> str:
    return unit_identity(Unit(spec=registry.find("method", method), preset="", config=config, seed=0), "split", "auto")


@pytest.mark.parametrize(
    ("config", "method", "model"),
    [
        (EmoHeadConfig.model_validate(BERT), "emohead", tiny.BERT),
        (EmoHeadConfig.model_validate(CLIP), "emohead", tiny.CLIP),
        (PortraitConfig.model_validate(CLIP), "true_alpha", tiny.CLIP),
    ],
)
def test_a_branch_that_moved_is_another_run(hub: Path, config: Any, method: str, model: str) -> None:
    before = identity_of(config, method)
    assert identity_of(config, method) == before
    move_main(hub, model)
    after = identity_of(config, method)
    assert after != before
    (hub / f"models--{model.replace('/', '--')}" / "refs/main").unlink()
    assert identity_of(config, method) not in (before, after)  # nothing is found: no finished run stands for it


def test_without_networks_of_others_nothing_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", "/nonexistent")
    assert EmoHeadConfig().resolved() == PortraitConfig().resolved() == {}


def test_provenance_names_commit_and_sha256_and_the_context_says_where_states_are_kept(
    hub: Path, tmp_path: Path
) -> None:
    context = Context(seed=0, device="cpu", threads=1, cache_dir=tmp_path / "own", progress=SilentProgress())
    base = small_config(training={"steps": 2}, refinement={"steps": 2, "max_frames": 200}, **BERT)
    method = EmoHead(base, context)
    method._model = fit(corpus(1, each=1), base)
    method.save(tmp_path / "saved")
    method.load(tmp_path / "saved")
    (name, told) = next(iter(method.sources().items()))
    assert name == "expression.text"
    assert told == f"{tiny.BERT}@{tiny.COMMIT} sha256:{Hearing(base).facts()['text'].sha256}"
    method.model.hearing.words("abc da ef")
    assert [path.name for path in (tmp_path / "own").iterdir()] == ["text-states"]
