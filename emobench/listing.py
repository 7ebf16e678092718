"""Rows of `emobench list`: what is registered and whether it works on this machine, found without heavy imports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from emobench import registry, weights

KINDS = ("methods", "metrics", "datasets", "reports", "protocols", "weights")


def rows(kind: str) -> list[dict[str, Any]]:
    """{name, version, summary, available, reason} of every plugin of a kind, or of every weight."""
    if kind == "weights":
        return _weight_rows()
    found = []
    for name, entry in registry.entries(kind.removesuffix("s")).items():
        reason = entry.broken or _missing(entry.spec)
        spec = entry.spec
        row = {
            "name": name,
            "version": spec.version if spec else None,
            "summary": spec.summary if spec else "",
            "available": reason is None,
            "reason": reason,
        }
        if kind == "methods" and spec:
            summaries = {f"{name}/{preset}": spec.preset_summaries.get(preset, "") for preset in spec.presets}
            row |= {"role": spec.role, "presets": list(summaries), "preset_summaries": summaries}
        if kind == "metrics" and spec:
            row |= {"unit": spec.unit, "higher_is_better": spec.higher_is_better, "default": spec.is_default}
        found.append(row)
    return found


def _missing(spec: Any) -> str | None:
    module = registry.missing_module(spec)
    if module:
        return f"needs the package {module!r}: python -m pip install {module}"
    absent = [name for name in spec.weights if not weights.is_present(name)]
    if absent:
        return f"weights missing. Fetch: emobench weights fetch {' '.join(absent)}"
    return None


def _weight_rows() -> list[dict[str, Any]]:
    found = []
    for name, weight in weights.manifest().items():
        present = weights.is_present(name)
        found.append(
            {
                "name": name,
                "version": weight.version,
                "summary": weight.summary,
                "available": present,
                "reason": None if present else f"emobench weights fetch {name}",
                "size": weight.size,
                "licence": weight.licence,
            }
        )
    return found


def _described(row: Mapping[str, Any]) -> str:
    """The summary, of a weight with its size and licence."""
    if "licence" not in row:
        return str(row["summary"])
    size = [f"{row['size'] / 1e6:.1f} MB"] if row["size"] else []
    return f"{row['summary']} ({', '.join([*size, row['licence']])})"


def print_rows(kind: str, found: Sequence[dict[str, Any]], *, with_presets: bool = False) -> None:
    """A table that fits 80 columns; broken or unavailable plugins are red rows with their reason.

    A method's presets stand beneath it where they are asked for.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(kind.removesuffix("s"), no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("what it is, or why it is missing", overflow="fold")
    for row in found:
        mark = "yes" if row["available"] else "no"
        style = "" if row["available"] else "red"
        text = _described(row)
        if not row["available"]:
            text = f"{text} — {row['reason']}".removeprefix(" — ")
        if not row.get("default", True):
            text = f"(on request) {text}"
        table.add_row(row["name"], mark, text, style=style)
        for preset, summary in (row.get("preset_summaries", {}) if with_presets else {}).items():
            table.add_row("", "", f"{preset}: {summary}", style="dim")
    Console().print(table)
