"""Numbers from papers, each with source, grade and protocol; shown beside measured ones, never among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import yaml

from emobench.errors import InputError

GRADES = {"P": "read in the primary source", "D": "read in a third-party digest; check against the paper"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRow:
    """One method of a published table; values as printed there, None where the table has a dash."""

    method: str
    values: tuple[str | None, ...]
    source: str  # the table's, where the row names none


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One published table on one dataset."""

    name: str
    dataset: str
    citation: str
    grade: str  # key of GRADES
    source: str  # the table, log or section that it was printed in, else those of its rows; part of the citation
    protocol: str  # and how it differs from this project's
    columns: tuple[str, ...]
    rows: tuple[PublishedRow, ...]

    @property
    def grade_text(self) -> str:
        return GRADES[self.grade]


def published_for(dataset: str) -> list[Published]:
    """Published tables on `dataset` ('crema_d' and 'crema-d' are one name), in file order."""
    wanted = _plain(dataset)
    return [table for table in published() if _plain(table.dataset) == wanted]


def published() -> list[Published]:
    """All tables in published/*.yaml. Raises InputError on a malformed file."""
    folder = files("emobench.reports") / "published"
    sources = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".yaml")), key=lambda e: e.name)
    tables: list[Published] = []
    for entry in sources:
        try:
            document = yaml.safe_load(entry.read_text(encoding="utf-8"))
            tables.extend(_table(entry.name, document, table) for table in document["tables"])
        except (KeyError, TypeError, ValueError, yaml.YAMLError) as error:
            raise InputError(f"published/{entry.name} is malformed: {error}") from error
    return tables


def _table(name: str, document: Mapping[str, Any], table: Mapping[str, Any]) -> Published:
    columns = tuple(table["columns"])
    stated = table.get("source") or document.get("source") or ""
    rows = tuple(_row(method, row, len(columns), stated) for method, row in table["rows"].items())
    source = stated or "; ".join(dict.fromkeys(row.source for row in rows))
    if document["grade"] not in GRADES:
        raise ValueError(f"grade {document['grade']!r} is none of {', '.join(GRADES)}")
    return Published(
        name=name.removesuffix(".yaml"),
        dataset=table["dataset"],
        citation=f"{document['citation']}, {source}",
        grade=document["grade"],
        source=source,
        protocol=table.get("protocol", document["protocol"]),
        columns=columns,
        rows=rows,
    )


def _row(method: str, row: Sequence[object] | Mapping[str, Any], n: int, stated: str) -> PublishedRow:
    """Of its values, or of {source, values} where rows of a table come from several sources."""
    values, source = (row["values"], row["source"]) if isinstance(row, Mapping) else (row, stated)
    if not source:
        raise ValueError(f"{method} has no source")
    if len(values) != n:
        raise ValueError(f"{method} has {len(values)} values for {n} columns")
    return PublishedRow(
        method=method, values=tuple(None if value is None else str(value) for value in values), source=source
    )


def _plain(dataset: str) -> str:
    return dataset.lower().replace("_", "-")
