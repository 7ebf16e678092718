"""The registry entries of the built-in methods: light to import, loadable, and presets that mean something."""

from __future__ import annotations

import subprocess
import sys

import pytest

from emobench.config import resolve
from emobench.hashing import code_hash
from emobench.methods import specs
from emobench.methods.emohead.config import EmoHeadConfig
from emobench.registry import load_object
from emobench.specs import MethodSpec

ALL = [value for value in vars(specs).values() if isinstance(value, MethodSpec)]


def test_importing_the_specs_imports_nothing_heavy() -> None:
    code = (
        "import sys, emobench.methods.specs; "
        "print(sorted({'torch', 'sklearn', 'numba', 'pandas', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("spec", ALL, ids=lambda spec: spec.name)
def test_factory_config_and_code_can_be_loaded(spec: MethodSpec) -> None:
    assert callable(load_object(spec.factory))
    load_object(spec.config)()
    assert len(code_hash(spec.code)) == 64


@pytest.mark.parametrize("spec", [specs.MEAN_EXPRESSION, specs.NEAREST_AUDIO], ids=lambda spec: spec.name)
def test_the_code_of_a_reference_is_all_that_it_imports_of_the_methods(spec: MethodSpec) -> None:
    module = spec.factory.partition(":")[0]
    code = f"import sys, {module}; print(*(n for n in sys.modules if n.startswith('emobench.methods.')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = set(done.stdout.split()) - {"emobench.methods.emohead"}  # the package itself holds a docstring
    assert module in imported
    assert not [name for name in imported if not any(f"{name}.".startswith(f"{own}.") for own in spec.code)]


@pytest.mark.parametrize("preset", specs.EMOHEAD.presets)
def test_every_preset_changes_the_configuration(preset: str) -> None:
    changed = resolve(EmoHeadConfig, specs.EMOHEAD.presets[preset], sets={}, owner="emohead")
    assert changed != EmoHeadConfig()


def test_every_preset_says_what_it_changes_and_every_ablation_is_a_preset() -> None:
    spec = specs.EMOHEAD
    assert set(spec.preset_summaries) == set(spec.presets)
    assert all(0 < len(text) <= 90 and "\n" not in text for text in spec.preset_summaries.values())
    assert set(spec.ablations) <= set(spec.presets)


def test_references_share_the_portraits_configuration_key() -> None:
    for spec in (specs.MEAN_EXPRESSION, specs.EMOTION_MEAN, specs.NEAREST_AUDIO, specs.TRUE_ALPHA):
        assert load_object(spec.config)().radiance == EmoHeadConfig().radiance
