"""Matplotlib figures as SVG that can stand inside a page: no document head, no metadata, colours of the page."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from emobench.drawing import FAINT, INK

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
FONT = re.compile(r"font: (?:([a-z0-9]+) )?([\d.]+px) [^;\"]*")
NAMESPACES = re.compile(r' xmlns(:\w+)?="[^"]*"')
IDS = re.compile(r'(\bid="|\bhref="#|url\(#)')
SIZE = re.compile(r'(<svg[^>]*?) (?:width|height)="[^"]*"')


def inline_svg(figure: Figure, name: str, description: str) -> str:
    """`name` makes the ids of this figure its own; `description` is what a screen reader says."""
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata=NO_METADATA)
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = NAMESPACES.sub("", text)
    text = SIZE.sub(r"\1", SIZE.sub(r"\1", text))
    text = IDS.sub(lambda match: f"{match[1]}{name}-", text)
    text = FONT.sub(lambda match: f"font-weight: {match[1] or 'normal'}; font-size: {match[2]}", text)
    text = text.replace(INK, "currentColor").replace(FAINT, "var(--line)")
    label = re.sub(r'[<>&"]', " ", description)
    return text.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
