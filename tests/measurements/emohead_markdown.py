"""The tables of docs/measurements/emohead.md: `python tests/measurements/emohead_markdown.py claims.json`.

Measures nothing.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

GROUPS = ("mouth", "upper")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def mean(found: Mapping[str, Any]) -> str:
    """.0263 (.0251–.0275) ±.0003: mean, interval over clips, deviation over seeds."""
    text = f"{_short(found['mean'])} ({_short(found['low'])}–{_short(found['high'])})"
    return f"{text} ±{_short(found['seed_deviation'])}" if "seed_deviation" in found else text


def share(found: Mapping[str, Any]) -> str:
    """.58 (.56–.60): a ratio with its interval."""
    return f"{_short(found['ratio'], 2)} ({_short(found['low'], 2)}–{_short(found['high'], 2)})"


def percent(found: Mapping[str, Any]) -> str:
    return f"{100 * found['median']:+.0f} % ({100 * found['low']:+.0f} … {100 * found['high']:+.0f})"


def _short(value: float, digits: int = 4) -> str:
    return f"{value:.{digits}f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.{digits}f}"


def means(rows: Mapping[str, Any]) -> str:
    return table(
        ["row", *(f"alpha.{g}" for g in GROUPS)],
        ([name, *(mean(row[g]) for g in GROUPS)] for name, row in rows.items()),
    )


def matched(found: Mapping[str, Any]) -> Iterable[str]:
    yield f"{found['clips']} clips, seeds {found['seeds']}\n\n" + means(found["rows"])
    others = list(found["ratio"])
    for group in GROUPS:
        yield f"ratio of α̃ to each reference, alpha.{group}\n\n" + table(
            ["emotion", *others],
            (
                [emotion, *(share(row[other][group]) for other in others)]
                for emotion, row in found["by_emotion"].items()
            ),
        )


def mismatch(found: Mapping[str, Any]) -> Iterable[str]:
    yield f"{found['clips']} clips, seeds {found['seeds']}\n\n" + means(found["rows"])
    for name, pairs in found["by_pair"].items():
        tags = sorted(pairs)
        for place, group in enumerate(GROUPS):
            yield f"{name}, alpha.{group}; voice down, tag across\n\n" + table(
                ["", *tags],
                ([v, *(_short(pairs[v][t][place], 3) if t in pairs[v] else "–" for t in tags)] for v in tags),
            )


def sweep(found: Mapping[str, Any]) -> Iterable[str]:
    taus = [f"{tau:g}" for tau in found["taus"]]
    for step in ("normal", "landing", "joint"):
        own = found[step]
        yield f"{step}\n\n" + table(
            ["τ", *taus],
            [["all", *map(_short, own["whole"])], *([g, *map(_short, own["mean"][g])] for g in GROUPS)],
        )  # fmt: skip
    yield table(
        ["step", "all coefficients, τ 0 → 1", "mouth", "upper", "all, τ 1 → 1.5", "clips worse at 1.5"],
        (
            [
                step, *(percent(found[step]["median_change"][part]) for part in ("whole", *GROUPS)),
                percent(found[step]["median_change_1_to_1.5"]), f"{100 * found[step]['share_worse_at_1.5']:.0f} %",
            ]
            for step in ("normal", "landing", "joint")
        ),
    )  # fmt: skip


def ablations(found: Mapping[str, Any]) -> Iterable[str]:
    columns = [(split, group) for split in ("matched", "mismatch") for group in GROUPS]
    yield f"{found['steps']} steps, clips {found['clips']}\n\n" + table(
        ["row", *(f"{split} {group}" for split, group in columns)],
        (
            [name, *(f"{mean(row[s][g])}; ×{share(found['over_emohead'][name][s][g])}" for s, g in columns)]
            for name, row in found["rows"].items()
        ),
    )


def refinements(found: Mapping[str, Any]) -> Iterable[str]:
    for name, rows in found["rows"].items():
        yield f"{name}\n\n" + means(rows)


def knockouts(found: Mapping[str, Any]) -> Iterable[str]:
    yield means(found["rows"])
    yield "\n".join(f"τ {name}: {' / '.join(f'{x:.2f}' for x in q)}" for name, q in found["tau_quantiles"].items())


PARTS = {
    "matched": matched, "mismatch": mismatch, "sweep": sweep, "ablations": ablations,
    "refinements": refinements, "knockouts": knockouts,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("claims", type=Path)
    found = json.loads(parser.parse_args().claims.read_text(encoding="utf-8"))
    for part in (name for name in PARTS if name in found):
        print(f"## {part}\n")
        for block in PARTS[part](found[part]):
            print(block + "\n")


if __name__ == "__main__":
    main()
