"""The markdown of a puppet measurement, ready for docs/measurements/puppet.md. Formats; computes nothing."""

from __future__ import annotations

from typing import Any

Report = dict[str, Any]


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _with_interval(value: float, interval: list[float | None], digits: int = 3) -> str:
    low, high = interval
    return _number(value, digits) + ("" if low is None else f" ({_number(low, digits)}–{_number(high, digits)})")


def markdown(report: Report) -> str:
    """Everything of a report: lips, one table of faces with a column a size, confusion matrices."""
    clips = len(report["subjects"]) * len(report["sentences"])
    lines = [
        f"Subjects {', '.join(report['subjects'])}; generator {report['generator']}; rendered sentences "
        f"{', '.join(report['sentences'])} ({clips} clips an emotion and level), every {report['every']}. frame.",
        "", "```", report["command"], "```", "",
    ]  # fmt: skip
    if "lips" in report:
        lines += _lips(report["lips"])
    if report["sizes"]:
        lines += _faces(report["sizes"])
        lines += _confusion(report["sizes"])
    return "\n".join(lines)


def _lips(lips: Report) -> list[str]:
    energy = lips["energy"]
    rows = [
        f"| lips, {lips['clips']} clips, exact landmarks (in brackets: the mesh's widest gap) | |", "|---|---|",
    ]  # fmt: skip
    for name, label in (
        ("closures", "/p b m/ closed within ±1 frame"), ("sound_late", "the same, sound 3 frames late"),
        ("sound_early", "the same, sound 3 frames early"),
    ):  # fmt: skip
        exact, mesh = lips[name]["landmarks"], lips[name]["mesh"]
        rows.append(f"| {label}, n = {exact['n']} | {_number(exact['share'])} ({_number(mesh['share'])}) |")
    return [*rows, *_energy(energy), ""]


def _energy(energy: Report) -> list[str]:
    pooled = energy["pooled_r"]
    share = _with_interval(energy["near_zero_share"], energy["near_zero_interval"])
    return [
        f"| opening against energy: lag of the pooled peak, frames | {energy['pooled_peak_lag']:+d} "
        f"(r {_number(max(pooled), 2)}) |",
        f"| single clips that peak within ±1 frame | {share}, n = {energy['clips']} |",
        f"| median r at zero lag / at the best lag | {_number(energy['median_r_at_zero'], 2)} / "
        f"{_number(energy['median_best_r'], 2)} |",
    ]


def _faces(sizes: Report) -> list[str]:
    rows: list[tuple[str, list[str]]] = []

    def add(label: str, cell: Any) -> None:
        rows.append((label, [cell(figures) for figures in sizes.values()]))

    add("MediaPipe finds the face, frames", lambda f: f"{f['detection']['found']} of {f['detection']['frames']}")
    add("51 points, error / eye distance, no offset",
        lambda f: _with_interval(f["landmarks"]["mean"], f["landmarks"]["interval"]))  # fmt: skip
    add("the same less the definition offset", lambda f: "–" if f["landmarks_with_offset"] is None else _with_interval(
        f["landmarks_with_offset"]["mean"], f["landmarks_with_offset"]["interval"]))  # fmt: skip
    for name in next(iter(sizes.values()))["blendshapes"]:
        add(
            f"r, {name}: all frames / mean of subjects / median clip",
            lambda f, name=name: _shape(f["blendshapes"][name]),
        )
    for level in next(iter(sizes.values()))["expression"]:
        add(f"expression net, clip accuracy at level {level}", lambda f, level=level: _accuracy(f["expression"][level]))
    add("MobileFaceNet, AUC", lambda f: _identity(f, "auc"))
    add("same median / different median / gap", _medians)
    header = "| faces | " + " | ".join(f"{size} px" for size in sizes) + " |"
    body = [f"| {label} | " + " | ".join(cells) + " |" for label, cells in rows]
    return [header, "|---" * (len(sizes) + 1) + "|", *body, ""]


def _shape(shape: Report) -> str:
    own = [r for r in shape["by_subject"].values() if r is not None]
    mean = sum(own) / len(own) if own else None
    return " / ".join(_number(r, 2) for r in (shape["pooled"], mean, shape["clip_median"]))


def _accuracy(accuracy: Report) -> str:
    return _with_interval(accuracy["accuracy"], accuracy["interval"], 2) + f", n = {accuracy['clips']}"


def _chosen(figures: Report) -> Report:
    chosen: Report = figures["identity_against_all"] or figures["identity"]
    return chosen


def _identity(figures: Report, key: str) -> str:
    return _number(_chosen(figures).get(key), 3)


def _medians(figures: Report) -> str:
    return " / ".join(_identity(figures, key) for key in ("same_median", "different_median", "gap"))


def _confusion(sizes: Report) -> list[str]:
    lines = []
    for size, figures in sizes.items():
        level, table = max(figures["expression"].items(), key=lambda item: int(item[0]))
        lines += [f"Clips at level {level}, {size} px; rows: shown, columns: read.", ""]
        lines += ["| | " + " | ".join(table["classes"]) + " |", "|---" * (len(table["classes"]) + 1) + "|"]
        for name, row in zip(table["classes"], table["confusion"], strict=True):
            lines.append(f"| {name} | " + " | ".join(str(n) for n in row) + " |")
        lines.append("")
    return lines
