"""The run maker of tests/reports, for tests of the page in a browser."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from emobench.store import RunRecord

SOURCE = Path(__file__).parents[1] / "reports" / "conftest.py"
spec = importlib.util.spec_from_file_location("report_runs", SOURCE)
assert spec is not None
assert spec.loader is not None
report_runs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(report_runs)
make_run = report_runs.make_run


@pytest.fixture(scope="module")
def three_runs(tmp_path_factory: pytest.TempPathFactory) -> list[RunRecord]:
    """A method, a reference method and the ground truth, with previews."""
    root = tmp_path_factory.mktemp("runs")
    return [
        report_runs.write_run(root, "emohead", shift=1.0, previews=True),
        report_runs.write_run(root, "mean_expression", role="reference", shift=-0.5, previews=True),
        report_runs.write_run(root, "ground_truth", role="oracle", shift=3.0, previews=True),
    ]
