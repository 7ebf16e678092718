"""Claims about the plugin registry and its listing."""

from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest
from rich.cells import cell_len

from emobench import registry
from emobench.cli import main
from emobench.errors import UsageError
from emobench.specs import MethodSpec

CONTRACT_METRICS = {
    "psnr", "psnr.face", "psnr.mouth", "ssim", "lmd.mouth", "lmd.face", "lpips.alex", "fid", "sync.lse_d",
    "sync.lse_c", "sync.judge", "emotion.hsemotion", "emotion.judge", "emotion.expressnet", "csim", "fps.render",
    "alpha.mouth", "alpha.upper",
}  # fmt: skip


def fake_point(name: str, load: object, origin: str) -> SimpleNamespace:
    return SimpleNamespace(name=name, load=load, dist=SimpleNamespace(name=origin))


def test_every_built_in_spec_loads_and_its_factory_exists() -> None:
    for kind in registry.KINDS:
        found = registry.entries(kind)
        assert found
        for entry in found.values():
            assert entry.broken is None, entry
            assert callable(registry.load_object(entry.spec.factory))


def test_contract_metric_names_are_registered() -> None:
    assert set(registry.entries("metric")) >= CONTRACT_METRICS


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"'lpps.alex'.*'lpips.alex'.*emobench list metrics"):
        registry.find("metric", "lpps.alex")


def test_broken_plugin_is_a_row_and_fatal_only_when_selected(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise ImportError("no such library")

    good = MethodSpec(name="good", version="1", summary="", factory="x:Y")
    points = [fake_point("bad", fails, "third"), fake_point("good", lambda: good, "third")]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    found = registry.entries("method")
    assert found["bad"].broken == "ImportError: no such library"
    assert registry.find("method", "good") is good
    with pytest.raises(UsageError, match="broken: ImportError"):
        registry.find("method", "bad")


def test_two_packages_with_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = MethodSpec(name="same", version="1", summary="", factory="x:Y")
    points = [fake_point("same", lambda: spec, "one"), fake_point("same", lambda: spec, "two")]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    with pytest.raises(UsageError, match="two packages register 'same': one and two"):
        registry.find("method", "same")


def test_plugin_of_another_api_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = MethodSpec(name="future", version="1", summary="", factory="x:Y", api=99)
    monkeypatch.setattr(registry, "entry_points", lambda group: [fake_point("future", lambda: spec, "p")])
    with pytest.raises(UsageError, match="plugin API 99"):
        registry.find("method", "future")


@pytest.mark.parametrize("kind", ["methods", "metrics", "datasets", "reports", "weights"])
def test_listing_imports_no_heavy_package_and_prints_json(kind: str) -> None:
    program = (
        "import sys; from emobench.cli import main; code = main(['list', sys.argv[1], '--json']); "
        "heavy = {'torch', 'numba', 'mediapipe', 'sklearn', 'pandas', 'cv2', 'onnxruntime'} & set(sys.modules); "
        "print(sorted(heavy), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", program, kind], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == "[]"
    for row in json.loads(done.stdout):
        assert {"name", "version", "summary", "available", "reason"} <= set(row)
        assert row["available"] == (row["reason"] is None)


def test_presets_are_listed_with_what_they_change(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "methods", "--presets"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(cell_len, lines)) <= 80  # α̃ is two characters in one column
    assert any("emohead/no-text: no transcript" in line for line in lines)
    assert main(["list", "methods"]) == 0
    assert "emohead/no-text" not in capsys.readouterr().out
