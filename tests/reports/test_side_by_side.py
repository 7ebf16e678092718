"""Reports of many runs are written by several processes: the same files, and errors that come through."""

from __future__ import annotations

from pathlib import Path

import pytest

from emobench import presenting, registry
from emobench.errors import InputError
from emobench.specs import ReportSpec

NAMES = ("csv", "latex", "html")


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def refuse(factory: str) -> None:
    raise AssertionError(f"{factory} was wanted in this process")


def test_workers_write_what_one_process_writes_in_the_order_of_the_reports(make_run, tmp_path, monkeypatch):
    runs = [make_run(method) for method in ("a", "b", "c", "d", "e")]
    specs: list[ReportSpec] = [registry.find("report", name) for name in NAMES]
    one = presenting.write_files(specs, runs, tmp_path / "one", 1)
    monkeypatch.setattr(registry, "load_object", refuse)  # in this process; workers are spawned and know nothing of it
    with pytest.raises(AssertionError):
        presenting.write_files(specs, runs[:4], tmp_path / "few", 2)
    many = presenting.write_files(specs, runs, tmp_path / "many", 2)
    assert [p.name for p in many if p] == [p.name for p in one if p] == ["table.csv", "table.tex", "report.html"]
    assert files(tmp_path / "many") == files(tmp_path / "one") != {}


def test_an_error_of_a_worker_comes_through(make_run, tmp_path):
    runs = [make_run(method) for method in ("a", "b", "c", "d", "e")]
    (tmp_path / "out").write_text("a file where the folder belongs")
    with pytest.raises(InputError, match="out"):
        presenting.write_files([registry.find("report", name) for name in NAMES], runs, tmp_path / "out", 2)
