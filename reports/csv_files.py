"""Tables for other programs: table.csv (one row per run and metric) and scores.csv (one row per clip and metric).

Full precision; a missing value is an empty field with a reason beside it.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from emobench.cache import write_text
from emobench.store import RunRecord

RUN_FIELDS = ("dataset", "method", "preset", "method_version", "role", "seed", "identity", "protocol", "status")
RESULT_FIELDS = (
    "value",
    "ci_low",
    "ci_high",
    "n_scored",
    "n_total",
    "unit",
    "higher_is_better",
    "signature",
    "reason",
)
SCORE_FIELDS = ("clip", "subject", "emotion", "intensity", "metric", "value", "reason")


class CsvReport:
    """Writes table.csv and, beside it, scores.csv."""

    def write(self, runs: Sequence[RunRecord], destination: Path) -> Path:
        """Both files into the folder `destination`; returns the path of table.csv."""
        write_text(destination / "scores.csv", scores_csv(runs))
        write_text(destination / "table.csv", table_csv(runs))
        return destination / "table.csv"


def table_csv(runs: Sequence[RunRecord]) -> str:
    """Long form: one row per run and metric."""
    rows = (
        [*(getattr(record.run, name) for name in RUN_FIELDS), metric, *(getattr(result, n) for n in RESULT_FIELDS)]
        for record in runs
        for metric, result in sorted(record.results.items())
    )
    return _text((*RUN_FIELDS, "metric", *RESULT_FIELDS), rows)


def scores_csv(runs: Sequence[RunRecord]) -> str:
    """Long form: one row per run, clip and metric; `detail` is a JSON object."""
    rows = (
        [
            *(getattr(record.run, name) for name in RUN_FIELDS),
            *(getattr(score, name) for name in SCORE_FIELDS),
            json.dumps(dict(score.detail), sort_keys=True),
        ]
        for record in runs
        for score in record.scores
    )
    return _text((*RUN_FIELDS, *SCORE_FIELDS, "detail"), rows)


def _text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(["" if value is None else value for value in row] for row in rows)
    return stream.getvalue()
