"""Claims about every registered built-in metric, whatever it is."""

from __future__ import annotations

import importlib
import subprocess
import sys
from importlib import resources

import pytest
import yaml

from emobench import listing, registry, weights
from emobench.metrics import specs
from emobench.planning import choose_metrics
from emobench.specs import MetricSpec

BUILT_IN = {spec.name: spec for spec in vars(specs).values() if isinstance(spec, MetricSpec)}


def test_every_metric_of_the_contract_is_registered():
    assert set(BUILT_IN) <= {name for name, entry in registry.entries("metric").items() if not entry.broken}
    assert len(BUILT_IN) == 50


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
    assert set(yaml.safe_load(text)["notes"]["metrics"]) == set(BUILT_IN)


def test_a_run_measures_the_main_metrics_and_the_others_only_when_asked():
    main = {spec.name for spec in choose_metrics(())}
    assert {"psnr", "ssim", "lmd.mouth", "sync.lse_c", "emotion.judge", "csim", "kid"} <= main
    assert not {"ssim.uniform", "lmd.mouth.norm", "psnr.pooled", "aue.upper", "lpips.vgg"} & main
    assert [spec.name for spec in choose_metrics(["lmd.mouth.norm"])] == ["lmd.mouth.norm"]


def test_all_stands_for_every_metric():
    assert set(BUILT_IN) <= {spec.name for spec in choose_metrics(["all"])}
    assert {spec.name for spec in choose_metrics(["psnr", "all"])} == {spec.name for spec in choose_metrics(["all"])}


def test_the_default_table_has_few_columns():
    assert sum(spec.is_default for spec in BUILT_IN.values()) == 20


def test_listing_marks_what_runs_only_on_request(capsys):
    found = {row["name"]: row for row in listing.rows("metrics")}
    assert found["psnr"]["default"] is True
    assert found["psnr.pooled"]["default"] is False
    listing.print_rows("metrics", [found["psnr"], found["psnr.pooled"]])
    shown = capsys.readouterr().out.splitlines()
    assert [("(on request)" in line) for line in shown if line.startswith("psnr")] == [False, True]


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_the_weights_manifest_knows_who_uses_a_weight(name):
    manifest = weights.manifest()
    assert all(name in manifest[weight].used_by for weight in BUILT_IN[name].weights)
    wrong = [weight for weight, entry in manifest.items() if name in entry.used_by]
    assert set(wrong) - {"mediapipe.face_landmarker"} <= set(BUILT_IN[name].weights)  # optional to some


def test_no_metric_imports_torchmetrics_which_takes_seconds():
    check = (
        "import sys; from emobench import registry\n"
        "for entry in registry.entries('metric').values(): registry.load_object(entry.spec.factory)\n"
        "assert 'torch' in sys.modules and not {'torchmetrics', 'lpips', 'pytorch_fid'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", check], check=True)
