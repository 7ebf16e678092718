"""Claims about every registered built-in metric, whatever it is."""

from __future__ import annotations

import importlib
import subprocess
import sys
from importlib import resources

import pytest
import yaml

from emobench import registry
from emobench.metrics import specs
from emobench.types import MetricSpec

BUILT_IN = {spec.name: spec for spec in vars(specs).values() if isinstance(spec, MetricSpec)}


def test_every_metric_of_the_contract_is_registered():
    assert set(BUILT_IN) <= {name for name, entry in registry.entries("metric").items() if not entry.broken}
    assert len(BUILT_IN) == 19


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_factory_exists_and_the_code_that_makes_its_identity_is_importable(name):
    spec = BUILT_IN[name]
    assert callable(registry.load_object(spec.factory))
    assert spec.factory.partition(":")[0] in spec.code
    for module in spec.code:
        assert importlib.util.find_spec(module) is not None


def test_listing_metrics_imports_nothing_heavy():
    check = "import sys, emobench.metrics.specs; assert not {'torch', 'cv2', 'onnxruntime'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)


def test_the_strict_protocol_speaks_of_exactly_the_registered_metrics():
    text = resources.files("emobench.metrics.protocols").joinpath("strict.yaml").read_text(encoding="utf-8")
    assert set(yaml.safe_load(text)["metrics"]) == set(BUILT_IN)
