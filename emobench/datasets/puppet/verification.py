"""Compares clips on disk with their cards: recipe, files, and the hash of what every file holds. Repairs nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from emobench.errors import InputError
from emobench.inventory import Verification
from emobench.types import Progress

from .production import is_made
from .recipe import GENERATOR_VERSION, Recipe
from .storage import CARD, content_hash, read_card


def verify_clips(recipes: Sequence[Recipe], root: Path, workers: int, progress: Progress) -> Verification:
    """Check the clips that are made. Decoding and hashing release the interpreter, hence threads."""
    made = [recipe for recipe in recipes if is_made(recipe, root)]
    with ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
        found = pool.map(lambda recipe: list(faults_of(recipe, root / recipe.id)), made)
        faults = list(progress.track(found, "verify clips", total=len(made)))
    return Verification(
        checked=len(made), missing=len(recipes) - len(made), faults=tuple(line for lines in faults for line in lines),
        damaged=tuple(recipe.id for recipe, lines in zip(made, faults, strict=True) if lines),
    )  # fmt: skip


def faults_of(recipe: Recipe, folder: Path) -> Iterator[str]:
    """What of a clip's folder is not as its card says, one line each."""
    try:
        card = read_card(folder)
        expected: dict[str, str] = dict(card["content_sha256"])
    except (InputError, KeyError) as error:
        yield f"{recipe.id}/{CARD}: {error}"
        return
    if card.get("generator") != GENERATOR_VERSION or card.get("recipe_sha256") != _as_made(recipe, card).sha256:
        yield f"{recipe.id}/{CARD}: made from another recipe or by another version of the generator"
    present = {path.name for path in folder.iterdir()} - {CARD}
    for name in sorted(present - set(expected)):
        yield f"{recipe.id}/{name}: not listed in the card"
    for name, digest in sorted(expected.items()):
        if name not in present:
            yield f"{recipe.id}/{name}: missing"
            continue
        try:
            same = content_hash(folder / name) == digest
        except InputError as error:
            yield f"{recipe.id}/{name}: {error}"
        else:
            if not same:
                yield f"{recipe.id}/{name}: its content differs from the checksum in the card"


def _as_made(recipe: Recipe, card: Mapping[str, Any]) -> Recipe:
    """The recipe with the pixels and views of the clip on disk: selections share folders, and more is no fault."""
    made = card.get("recipe", {})
    return replace(
        recipe, has_pixels=made.get("has_pixels", recipe.has_pixels),
        novel_every=made.get("novel_every", recipe.novel_every),
    )  # fmt: skip
