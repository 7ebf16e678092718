"""External network weights: the manifest, where each lies on disk, its sha256, and fetching. Loads no network.

A pinned file is hashed once and remembered by size and time; a wrong hash is never used. A file that has no published
hash is "unpinned": it is fetched only when the caller accepts that, and used as found; its hash goes into provenance.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import yaml

from emobench import environment
from emobench.errors import Unavailable, UsageError, suggest
from emobench.filehashes import HashMemory
from emobench.hashing import hash_value
from emobench.types import Progress

_MEMORY = "verified.json"  # in our own weights folder
_BLOCK_BYTES = 1 << 20
_TIMEOUT_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightFile:
    """One file of a weight. `sha256` is None where nobody publishes one (unpinned)."""

    filename: str
    url: str | None
    size: int | None  # bytes
    sha256: str | None
    hash_source: str  # where a hash comes from that was not computed from the file by us


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """An entry of weights.yaml. With `folder`, `locate` gives that folder, else the single file."""

    name: str
    summary: str
    licence: str
    citation: str
    used_by: tuple[str, ...]
    folder: str | None
    files: tuple[WeightFile, ...]

    @property
    def is_pinned(self) -> bool:
        return all(file.sha256 for file in self.files)

    @property
    def size(self) -> int | None:
        """Bytes of all files, None where one is unknown."""
        sizes = [file.size for file in self.files]
        return sum(s for s in sizes if s is not None) if None not in sizes else None

    @property
    def version(self) -> str:
        """The leading digits of the (first) file's sha256, or "unpinned"."""
        return (self.files[0].sha256 or "unpinned")[:8]

    def paths_in(self, root: Path) -> tuple[Path, ...]:
        base = root / self.folder if self.folder else root
        return tuple(base / file.filename for file in self.files)

    def entry_in(self, root: Path) -> Path:
        return root / (self.folder or self.files[0].filename)


@functools.cache
def manifest() -> Mapping[str, Weight]:
    """Every known weight by name, in the order of weights.yaml."""
    text = resources.files("emobench").joinpath("weights.yaml").read_text(encoding="utf-8")
    return {entry["name"]: _weight(entry) for entry in yaml.safe_load(text)}


def is_present(name: str) -> bool:
    """Whether all files exist somewhere; reads no content. Raises UsageError on an unknown name."""
    return _root(_known(name)) is not None


def locate(name: str) -> Path:
    """The verified file or folder. Raises Unavailable when it is missing or its hash is wrong."""
    weight = _known(name)
    root = _root(weight)
    if root is None:
        raise Unavailable(f"The weight {name!r} was not found. Fetch it: emobench weights fetch {name}")
    for file, path in zip(weight.files, weight.paths_in(root), strict=True):
        _refuse_wrong(weight, file, path, _hashes().hash(path))
    return weight.entry_in(root)


def sha256_of(name: str) -> str | None:
    """sha256 of the file as it lies on disk (over the files' hashes when there are several); None when absent."""
    weight = _known(name)
    root = _root(weight)
    if root is None:
        return None
    hashes = [_hashes().hash(path) for path in weight.paths_in(root)]
    return hashes[0] if len(hashes) == 1 else hash_value(hashes)


def verify(name: str) -> str:
    """Hashes the files anew; one line of result. Raises Unavailable when one is missing or wrong."""
    weight = _known(name)
    root = _root(weight)
    if root is None:
        raise Unavailable(f"The weight {name!r} was not found. Fetch it: emobench weights fetch {name}")
    for file, path in zip(weight.files, weight.paths_in(root), strict=True):
        _refuse_wrong(weight, file, path, _hashes().hash(path, anew=True))
    state = "ok" if weight.is_pinned else "unpinned: no published hash to compare with"
    return f"{state} (sha256 {(sha256_of(name) or '')[:12]}…)"


def fetch(name: str, progress: Progress, *, accept_unpinned: bool = False) -> Path:
    """Downloads what is missing into our own weights folder, resuming partial files, and checks each sha256.

    Raises Unavailable in offline mode, without a URL, on network errors and wrong hashes, and for unpinned files
    unless `accept_unpinned`.
    """
    weight = _known(name)
    if is_present(name):
        return locate(name)
    root = environment.cache_dir() / "weights"
    pairs = [(f, p) for f, p in zip(weight.files, weight.paths_in(root), strict=True) if not p.is_file()]
    if environment.is_offline():
        raise Unavailable(f"EMOBENCH_OFFLINE is set, so {name!r} is not downloaded. {_by_hand(weight)}")
    if not weight.is_pinned and not accept_unpinned:
        raise Unavailable(
            f"No published sha256 is known for {name!r}, so it cannot be checked. "
            f"To take it as it comes: emobench weights fetch {name} --accept-unpinned"
        )
    for file, path in pairs:
        _download(weight, file, path, progress)
    return locate(name)


def _known(name: str) -> Weight:
    known = manifest()
    if name not in known:
        raise UsageError(suggest("weight", name, known))
    return known[name]


def _weight(entry: Mapping[str, object]) -> Weight:
    files = entry["files"]
    assert isinstance(files, list)  # our own packaged file; a test reads it whole
    used_by = entry.get("used_by") or []
    assert isinstance(used_by, list)
    return Weight(
        name=str(entry["name"]), summary=str(entry["summary"]), licence=str(entry["licence"]),
        citation=str(entry["citation"]), used_by=tuple(str(user) for user in used_by),
        folder=str(entry["folder"]) if entry.get("folder") else None,
        files=tuple(
            WeightFile(
                filename=str(f["filename"]), url=f.get("url"), size=f.get("size"), sha256=f.get("sha256"),
                hash_source=str(f.get("hash_source") or "computed from the file"),
            )
            for f in files
        ),
    )  # fmt: skip


def _root(weight: Weight) -> Path | None:
    """The first searched folder that holds all files."""
    for root in environment.weight_dirs():
        if all(path.is_file() for path in weight.paths_in(root)):
            return root
    return None


def _refuse_wrong(weight: Weight, file: WeightFile, path: Path, digest: str) -> None:
    if file.sha256 and digest != file.sha256:
        raise Unavailable(
            f"{path} is not the file that emobench knows as {weight.name!r}: sha256 {digest[:12]}…, expected "
            f"{file.sha256[:12]}…. Delete it, then: emobench weights fetch {weight.name}"
        )


def _hashes() -> HashMemory:
    return HashMemory(environment.cache_dir() / "weights" / _MEMORY)


def _by_hand(weight: Weight) -> str:
    files = ", ".join(f.filename for f in weight.files)
    folder = f" in a folder {weight.folder!r}" if weight.folder else ""
    return f"Place {files}{folder} by hand in a folder and set EMOBENCH_WEIGHTS to it."


def _download(weight: Weight, file: WeightFile, path: Path, progress: Progress) -> None:
    if not file.url:
        raise Unavailable(f"No download address is known for {weight.name!r}. {_by_hand(weight)}")
    import pooch
    import requests

    path.parent.mkdir(parents=True, exist_ok=True)
    pooch.get_logger().setLevel("WARNING")  # our own progress display says the rest
    resuming = _ResumingDownloader(path.with_name(f"{path.name}.part"), f"fetch {weight.name}", progress)
    known_hash = f"sha256:{file.sha256}" if file.sha256 else None
    try:
        pooch.retrieve(file.url, known_hash, fname=path.name, path=path.parent, downloader=resuming)
    except ValueError as error:  # pooch's word for a hash that does not match
        raise Unavailable(
            f"{file.url} no longer delivers the file that emobench knows as {weight.name!r} (its sha256 differs); "
            f"it was discarded. {_by_hand(weight)}"
        ) from error
    except (requests.RequestException, OSError) as error:
        reason = str(error).splitlines()[0][:160]
        raise Unavailable(
            f"Cannot download {file.url}: {reason}. What arrived is kept; run the command again. {_by_hand(weight)}"
        ) from error


class _ResumingDownloader:
    """pooch's downloader protocol with HTTP ranges: bytes collect in a .part file that outlives an interruption."""

    def __init__(self, part: Path, label: str, progress: Progress) -> None:
        self.part, self.label, self.progress = part, label, progress

    def __call__(self, url: str, output_file: str, _pooch: object) -> None:
        import requests

        have = self.part.stat().st_size if self.part.exists() else 0
        headers = {"Range": f"bytes={have}-"} if have else {}
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_SECONDS) as response:
            is_complete = response.status_code == requests.codes.requested_range_not_satisfiable
            if not is_complete:
                response.raise_for_status()
                self._append(response, is_resumed=response.status_code == requests.codes.partial_content)
        os.replace(self.part, output_file)

    def _append(self, response: object, is_resumed: bool) -> None:
        from requests import Response

        assert isinstance(response, Response)
        length = response.headers.get("Content-Length")
        blocks = -(-int(length) // _BLOCK_BYTES) if length else None
        received = 0
        with self.part.open("ab" if is_resumed else "wb") as stream:
            for block in self.progress.track(response.iter_content(_BLOCK_BYTES), self.label, total=blocks):
                received += stream.write(block)
        if length and not response.headers.get("Content-Encoding") and received < int(length):
            raise OSError(f"the connection closed after {received} of {length} bytes")
