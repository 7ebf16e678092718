"""A comparison as JSON and as a table for a terminal of 80 columns. Rounds; compares nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emobench import registry
from emobench.verdicts import Comparison

if TYPE_CHECKING:
    from rich.table import Table

JSON_FIELDS = (
    *("a", "b", "delta", "ci_low", "ci_high", "p", "p_holm", "verdict", "tolerance", "n", "unit"),
    *("higher_is_better", "seed_std_a", "seed_std_b", "reason"),
)
ARROWS = {True: "↑", False: "↓"}
VERDICTS = (
    "better, worse: p < .05 and Δ beyond --tolerance (1 % of a unless given); equivalent: the whole interval within "
    "it; else inconclusive."
)
STYLES = {"better": "green", "worse": "red", "equivalent": "cyan", "inconclusive": "dim"}


def to_json(comparison: Comparison) -> dict[str, Any]:
    """The object that `emobench compare --json` prints; JSON-ready, full precision."""
    return {
        "a": comparison.name_a,
        "b": comparison.name_b,
        "dataset": comparison.dataset,
        "seeds": {"a": list(comparison.seeds_a), "b": list(comparison.seeds_b)},
        "n_clips": comparison.n_clips,
        "n_subjects": comparison.n_subjects,
        "level": comparison.level,
        "only_a": list(comparison.only_a),
        "only_b": list(comparison.only_b),
        "alpha": comparison.alpha,
        "caption": comparison.caption,
        "metrics": {
            name: {key: getattr(row, key) for key in JSON_FIELDS}
            | {"only_a": list(row.only_a), "only_b": list(row.only_b)}
            for name, row in comparison.metrics.items()
        },
    }


def render_table(comparison: Comparison) -> Table:
    """The comparison for a terminal of 80 columns: one row a metric, reasons and seed spread beneath."""
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(f"{comparison.name_b} against {comparison.name_a} on {comparison.dataset}"),
        caption=Text(_caption(comparison)),
        box=None,
        title_justify="left",
        caption_justify="left",
        pad_edge=False,
    )
    table.add_column("metric", no_wrap=True)
    for heading, width in (("a", 7), ("b", 7), ("Δ = b − a", 9), ("p", 5), ("n", 2)):
        table.add_column(heading, justify="right", no_wrap=True, min_width=width)
    table.add_column("verdict", no_wrap=True, min_width=12)
    for row in comparison.metrics.values():
        if row.a is None and row.b is None:
            continue  # its reason stands beneath
        delta = Text("–" if row.delta is None else f"{row.delta:+.3g}")
        if row.ci_low is not None and row.ci_high is not None:
            delta.append(f"\n{row.ci_low:+.3g} … {row.ci_high:+.3g}", style="dim")
        table.add_row(
            Text(f"{row.metric} {ARROWS[row.higher_is_better]}"),
            _number(row.a),
            _number(row.b),
            delta,
            "–" if row.p_holm is None else "<.001" if row.p_holm < 0.001 else f"{row.p_holm:.3f}",
            str(row.n),
            Text(row.verdict, style=STYLES[row.verdict]) if row.is_compared else Text("–", style="dim"),
        )
    return table


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _caption(comparison: Comparison) -> str:
    """Everything that a reader must know and that has no column."""
    lines = [comparison.caption, VERDICTS]
    for name, noise in registry.noises().items():
        if name in comparison.metrics:
            lines.append(f"{name}: differences below {noise:.0%} of a may be the machine's and do not count")
    for side, only in (("a", comparison.only_a), ("b", comparison.only_b)):
        if only:
            lines.append(f"{len(only)} clips only in {side}: {', '.join(only)}")
    for row in comparison.metrics.values():
        if row.reason:
            lines.append(f"{row.metric}: {row.reason}")
        for side, only in (("a", row.only_a), ("b", row.only_b)):
            if only:
                lines.append(f"{row.metric}: {len(only)} clips scored only in {side}: {', '.join(only)}")
        if row.seed_std_a is not None or row.seed_std_b is not None:
            lines.append(
                f"{row.metric}: standard deviation over seeds: a {_number(row.seed_std_a)}, b {_number(row.seed_std_b)}"
            )
    return "\n".join(lines)
