"""Shows finished runs: JSON or tables on stdout, reports on disk, the files to open, and the exit code.

Goes by report specs; names no report.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emobench import registry
from emobench.coverage import missing_scores
from emobench.errors import EXIT_FAILED, EXIT_INCOMPLETE, EXIT_OK
from emobench.store import RunRecord
from emobench.types import Progress, Result


def present(
    records: Sequence[RunRecord],
    report_dir: Path | None,
    as_json: bool,
    progress: Progress,
    *,
    allow_missing: bool = False,
) -> int:
    """Print results (JSON or table), write the report, name the files to open; the exit code.

    1 when a unit failed; 3 when a clip lacks a score that it could have had and `allow_missing` does not accept that.
    """
    if as_json:
        runs = [
            {
                "dir": str(record.dir),
                "method": record.run.method,
                "dataset": record.run.dataset,
                "status": record.run.status,
                "metrics": {name: _result(result) for name, result in record.results.items()},
            }
            for record in records
        ]
        print(json.dumps({"runs": runs}, indent=1, sort_keys=True))
    complete = [record for record in records if record.run.status == "complete"]
    if report_dir is not None and complete:
        write_reports(complete, report_dir, [], progress, to_terminal=not as_json)
    for record in complete:
        progress.note(f"run {_label(record)} seed {record.run.seed}: {record.dir}")
    return exit_code(records, allow_missing=allow_missing)


def exit_code(records: Sequence[RunRecord], *, allow_missing: bool) -> int:
    """Says on stderr which units failed and which clips lack scores; the code, as `present` tells."""
    failed = [record for record in records if record.run.status != "complete"]
    for record in failed:
        print(f"failed: {_label(record)} seed {record.run.seed}: {record.run.error}", file=sys.stderr)
    gaps = missing_scores([record for record in records if record not in failed])
    for gap in gaps:
        print(f"incomplete: {gap.line}", file=sys.stderr)
    if failed:
        return EXIT_FAILED
    if gaps and not allow_missing:
        print("emobench: coverage is below 100 %. Mend these clips, or accept with --allow-missing.", file=sys.stderr)
        return EXIT_INCOMPLETE
    return EXIT_OK


def _label(record: RunRecord) -> str:
    return record.run.label


def _result(result: Result) -> dict[str, Any]:
    return {name: getattr(result, name) for name in result.__slots__}


def write_reports(
    records: Sequence[RunRecord], out: Path, formats: Sequence[str], progress: Progress, *, to_terminal: bool = True
) -> None:
    names = formats or [name for name, entry in registry.entries("report").items() if entry.broken is None]
    specs = sorted((registry.find("report", name) for name in names), key=lambda spec: bool(spec.suffix))
    written = [registry.load_object(spec.factory)().write(records, out) for spec in specs if spec.suffix or to_terminal]
    for path in (p for p in written if p is not None):
        progress.note(f"open {path}")
