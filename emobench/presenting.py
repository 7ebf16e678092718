"""Shows finished runs: JSON or tables on stdout, reports on disk, the files to open, and the exit code.

Goes by report specs; names no report.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from emobench import environment, registry
from emobench.coverage import missing_scores
from emobench.errors import EXIT_FAILED, EXIT_INCOMPLETE, EXIT_OK, EmobenchError
from emobench.specs import ReportSpec
from emobench.store import RunRecord
from emobench.types import Progress, Result

RUNS_WORTH_WORKERS = 5  # fewer are drawn sooner than a worker has started


def present(
    records: Sequence[RunRecord],
    report_dir: Path | None,
    as_json: bool,
    progress: Progress,
    *,
    allow_missing: bool = False,
    threads: int = 0,
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
        write_reports(complete, report_dir, [], progress, to_terminal=not as_json, threads=threads)
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
    records: Sequence[RunRecord],
    out: Path,
    formats: Sequence[str],
    progress: Progress,
    *,
    to_terminal: bool = True,
    threads: int = 0,
) -> None:
    """Reports that print, then those that write files: of many runs side by side in up to `threads` processes (0: all
    that there are)."""
    names = formats or [name for name, entry in registry.entries("report").items() if entry.broken is None]
    specs = [registry.find("report", name) for name in names]
    for spec in specs:
        if to_terminal and not spec.suffix:
            write_report(spec, records, out)
    filed = [spec for spec in specs if spec.suffix]
    for path in write_files(filed, records, out, threads or environment.thread_count()):
        if path is not None:
            progress.note(f"open {path}")


def write_files(
    specs: Sequence[ReportSpec], records: Sequence[RunRecord], out: Path, threads: int
) -> list[Path | None]:
    """What each report wrote, in the order of `specs`; errors of a report come through."""
    n_workers = min(threads, len(specs))
    if n_workers < 2 or len(records) < RUNS_WORTH_WORKERS:
        return [write_report(spec, records, out) for spec in specs]
    pool = ProcessPoolExecutor(n_workers, mp_context=multiprocessing.get_context("spawn"))
    try:
        running = [pool.submit(write_report, spec, records, out) for spec in specs]
        return [future.result() for future in running]
    except BrokenProcessPool as error:
        raise EmobenchError(
            "A process that writes a report died (out of memory?). The runs are complete: emobench report RUNS, "
            "with EMOBENCH_THREADS=1 to write one after the other."
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def write_report(spec: ReportSpec, records: Sequence[RunRecord], out: Path) -> Path | None:
    """One report; the file or folder that it wrote."""
    path: Path | None = registry.load_object(spec.factory)().write(records, out)
    return path
