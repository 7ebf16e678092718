"""What the page's player needs, as JSON inside the page: clips, their embedded previews and their scores."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from emobench.store import PlanRow

from ..numbers import number
from ..summary import Column, MethodRow, measured_columns
from .previews import Budget, choose_clips, data_uri, takes


def player_data(rows: Sequence[MethodRow], budget: Budget) -> dict[str, Any]:
    """Takes as columns, clips with media by take index and scores as printed text; JSON-ready."""
    plan = list({row.clip: row for own in rows for row in own.runs[0].plan}.values())
    found = takes(rows)
    embedded = set(choose_clips(plan, found, budget))
    own = {row.label: row for row in rows}
    columns = measured_columns(rows)
    scores = [_scores(own[take.label], columns) if take.label in own else {} for take in found]
    return {
        "takes": [_take(take.label, own.get(take.label), take.is_reference) for take in found],
        "metrics": [{"name": c.name, "unit": c.unit, "arrow": c.arrow, "higher": c.higher_is_better} for c in columns],
        "clips": [
            {
                **_clip(row),
                "embedded": row.clip in embedded,
                "media": [_media(take.files, row.clip, row.clip in embedded) for take in found],
                "scores": [score.get(row.clip, {}) for score in scores],
            }
            for row in plan
        ],
        "n_embedded": len(embedded),
        "n_clips": len(plan),
    }


def script_json(value: Any) -> str:
    """JSON that cannot end the script element it stands in, whatever strings it holds."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _take(label: str, row: MethodRow | None, is_reference: bool) -> dict[str, Any]:
    seeds = row.seeds if row else ()
    note = f"seed {seeds[0]}, one of {len(seeds)}" if len(seeds) > 1 else ""
    return {"label": label, "note": note, "ranked": bool(row and row.is_ranked), "reference": is_reference}


def _clip(row: PlanRow) -> dict[str, Any]:
    return {
        "id": row.clip,
        "subject": row.subject,
        "emotion": row.emotion or "",
        "intensity": row.intensity,
        "transcript": row.transcript or "",
        "frames": row.n_frames,
    }


def _media(files: Mapping[str, Any], clip: str, is_embedded: bool) -> str:
    """A data URI, 'left out' (over the budget) or 'missing' (no preview on disk)."""
    if clip not in files:
        return "missing"
    return data_uri(files[clip]) if is_embedded else "left out"


def _scores(row: MethodRow, columns: Sequence[Column]) -> dict[str, dict[str, list[Any]]]:
    """clip → metric → [printed value, number for ranking or None, reason], of the first seed."""
    digits = {column.name: column.digits for column in columns}
    found: dict[str, dict[str, list[Any]]] = {}
    for score in row.runs[0].scores:
        if score.metric not in digits:
            continue
        text = "∞" if score.reason == "infinite" else "–"
        if score.value is not None:
            text = number(score.value, digits[score.metric])
        found.setdefault(score.clip, {})[score.metric] = [text, score.value, score.reason or ""]
    return found
