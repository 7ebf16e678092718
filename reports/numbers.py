"""How numbers are written in reports: rounding happens here and nowhere else."""

from __future__ import annotations

from .summary import Cell, Column

DASH = "–"


def value_text(cell: Cell | None, column: Column) -> str:
    """The rounded value, '∞' for identical clips, a dash for what is missing."""
    if cell is None:
        return DASH
    if cell.is_infinite:
        return "∞"
    return DASH if cell.value is None else number(cell.value, column.digits)


def interval_text(cell: Cell | None, column: Column) -> str:
    """'low–high', rounded like the value; empty where there is no interval."""
    if cell is None or cell.value is None or cell.ci_low is None or cell.ci_high is None:
        return ""
    low, high = number(cell.ci_low, column.digits), number(cell.ci_high, column.digits)
    return f"{low}…{high}" if "−" in low + high else f"{low}–{high}"


def coverage_text(cell: Cell | None) -> str:
    """'n/N' where not every clip was scored; empty otherwise."""
    return "" if cell is None or cell.is_complete else f"{cell.n_scored}/{cell.n_total}"


def number(value: float, digits: int) -> str:
    """Fixed decimals with a true minus sign."""
    return f"{value:.{digits}f}".replace("-", "−")
