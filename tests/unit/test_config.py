"""Claims about configuration: order of layers, strict types, helpful errors."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from emobench.config import applicable, field_paths, parse_sets, read_config, resolve
from emobench.errors import InputError, UsageError


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    steps: int = 1
    rate: float = 0.1


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str = "a"
    inner: Inner = Inner()


def test_later_layers_win_and_sets_win_over_all() -> None:
    config = resolve(
        Outer, {"inner": {"steps": 2, "rate": 0.2}}, {"inner": {"steps": 3}}, sets={"inner.rate": 0.5}, owner="x"
    )
    assert config == Outer(inner=Inner(steps=3, rate=0.5))


def test_unknown_key_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"Unknown key 'inner.stps' .* 'inner.steps'"):
        resolve(Outer, sets={"inner.stps": 4}, owner="x")


def test_wrong_type_names_key_and_value() -> None:
    with pytest.raises(UsageError, match=r"inner.steps = 'many' is not valid"):
        resolve(Outer, sets={"inner.steps": "many"}, owner="x")


def test_key_below_a_value_is_refused() -> None:
    with pytest.raises(UsageError, match="no keys below"):
        resolve(Outer, {"name": "b"}, sets={"name.first": 1}, owner="x")


def test_sets_parse_yaml_scalars() -> None:
    assert parse_sets(["a.b=1", "c=[1, 2]", "d=yes please", "e="]) == {
        "a.b": 1,
        "c": [1, 2],
        "d": "yes please",
        "e": "",
    }
    with pytest.raises(UsageError, match="KEY=VALUE"):
        parse_sets(["novalue"])


def test_applicable_keeps_only_known_paths() -> None:
    assert field_paths(Outer) == ["name", "inner.steps", "inner.rate"]
    assert applicable(Outer, {"inner.steps": 5, "other.steps": 6}) == {"inner.steps": 5}


def test_config_file_errors_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Cannot read"):
        read_config(tmp_path / "absent.yaml")
    bad = tmp_path / "bad.yaml"
    bad.write_text("a: [1,", encoding="utf-8")
    with pytest.raises(InputError, match="not valid YAML") as caught:
        read_config(bad)
    assert "\n" not in str(caught.value)
