"""What a user's files say about videos: clips.csv, .align and .txt transcripts, names. Reads text, never media."""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from emobench.errors import InputError
from emobench.types import EMOTIONS

CLIPS_CSV = "clips.csv"
COLUMNS = ("file", "subject", "emotion", "intensity", "sentence", "transcript")
_SILENCES = ("sil", "sp")  # GRID's marks for no speech


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One row of clips.csv; None where a cell is empty."""

    subject: str | None
    emotion: str | None
    intensity: int | None
    sentence: str | None
    transcript: str | None


def read_clips_csv(path: Path, root: Path) -> dict[Path, Label]:
    """Labels by video path. Raises InputError with the line for anything that cannot be meant."""
    labels: dict[Path, Label] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            _refuse_columns(path, reader.fieldnames or ())
            for row in reader:
                where = f"{path.name}, line {reader.line_num}"
                file = (row.get("file") or "").strip()
                video = root / file
                if not file or ".." in Path(file).parts or not video.is_file():
                    raise InputError(f"{where}: the file {file!r} does not exist below the data root.")
                if video in labels:
                    raise InputError(f"{where}: {file!r} is listed twice.")
                labels[video] = _label(where, row)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"Cannot read {path.name}: {error}. Save it as UTF-8 with commas.") from error
    if not labels:
        raise InputError(f"{path.name} lists no files. Add rows, or delete it to use every video.")
    return labels


def transcript_beside(video: Path) -> str | None:
    """Words from NAME.align (GRID: start, end, word) or text from NAME.txt beside the video; None without either."""
    align, text = video.with_suffix(".align"), video.with_suffix(".txt")
    if align.is_file():
        rows = [line.split() for line in align.read_text(encoding="utf-8", errors="replace").splitlines()]
        words = [row[2] for row in rows if len(row) == 3 and row[2].lower() not in _SILENCES]
        return " ".join(words) or None
    if text.is_file():
        return " ".join(text.read_text(encoding="utf-8", errors="replace").split()) or None
    return None


def safe_name(text: str) -> str:
    """The text with everything but letters, digits, '_' and '-' replaced, for ids and folders."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-") or "unnamed"


def _refuse_columns(path: Path, found: object) -> None:
    names = list(found) if isinstance(found, list | tuple) else []
    if "file" not in names:
        raise InputError(f"{path.name} needs a column 'file'. Known columns: {', '.join(COLUMNS)}.")
    for name in names:
        if name not in COLUMNS:
            near = difflib.get_close_matches(str(name), COLUMNS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else f" Known: {', '.join(COLUMNS)}."
            raise InputError(f"{path.name}: unknown column {name!r}.{hint}")


def _label(where: str, row: Mapping[str, str | None]) -> Label:
    cells = {name: (row.get(name) or "").strip() or None for name in COLUMNS}
    emotion, intensity = cells["emotion"], cells["intensity"]
    if emotion is not None and emotion not in EMOTIONS:
        raise InputError(f"{where}: unknown emotion {emotion!r}. Known: {', '.join(EMOTIONS)}.")
    if intensity is not None and intensity not in ("1", "2", "3"):
        raise InputError(f"{where}: intensity is {intensity!r}, expected 1, 2 or 3.")
    return Label(
        subject=cells["subject"], emotion=emotion, intensity=int(intensity) if intensity else None,
        sentence=cells["sentence"], transcript=cells["transcript"],
    )  # fmt: skip
