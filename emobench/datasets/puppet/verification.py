"""Compares clips on disk with their cards: recipe, files, and the hash of what every file holds. Repairs nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

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
        faults = [fault for lines in progress.track(found, "verify clips", total=len(made)) for fault in lines]
    return Verification(checked=len(made), missing=len(recipes) - len(made), faults=tuple(faults))


def faults_of(recipe: Recipe, folder: Path) -> Iterator[str]:
    """What of a clip's folder is not as its card says, one line each."""
    try:
        card = read_card(folder)
        expected: dict[str, str] = dict(card["content_sha256"])
    except (InputError, KeyError) as error:
        yield f"{recipe.id}/{CARD}: {error}"
        return
    if card.get("generator") != GENERATOR_VERSION or card.get("recipe_sha256") != recipe.sha256:
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
