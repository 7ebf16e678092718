"""Finds a published network's files in the local Hugging Face cache and loads them. Downloads and unpickles nothing.

A network is named by its model id and revision; what was found is told apart by the sha256 of its files.
"""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from emobench import environment
from emobench.errors import InputError, Unavailable
from emobench.filehashes import HashMemory
from emobench.hashing import hash_value
from emobench.torchvision_schemas import ensure_torchvision

WEIGHT_FILES = ("model.safetensors", "model.safetensors.index.json")  # one of them; never a pickle
VOCABULARIES = ("tokenizer.json", "vocab.json", "vocab.txt")
HARMLESS_MISSING = ("masked_spec_embed",)  # used while a speech network is trained, never when it listens
INSTALL = "pip install 'emobench[pretrained]'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A network that a configuration names."""

    role: str  # for messages: "audio", "emotion", "text", "speech recognition"
    prefix: str  # of its configuration keys: "audio.", "text.asr_"
    without: str  # the setting that does without it: "audio.source=builtin"
    model: str  # "organisation/name"
    revision: str  # branch, tag or commit
    types: tuple[str, ...]  # values of model_type that can stand here


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A network's files on this machine."""

    wanted: Wanted
    folder: Path
    sha256: str  # over names and contents of all files

    @property
    def commit(self) -> str:
        """The commit that the revision meant when the files were fetched."""
        return self.folder.name

    def config(self) -> Any:
        """The network's own configuration. Raises InputError where it cannot stand here."""
        transformers = import_transformers()
        try:
            config = transformers.AutoConfig.from_pretrained(
                self.folder, local_files_only=True, trust_remote_code=False
            )
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{_named(self.wanted)} has no readable configuration: {_first(error)}") from error
        if config.model_type not in self.wanted.types:
            raise InputError(
                f"{_named(self.wanted)} is a {config.model_type!r} network; {self.wanted.prefix}model takes "
                f"{', '.join(self.wanted.types)}."
            )
        return config

    def network(self, kind: str) -> Any:
        """The network as the transformers class `kind`, frozen. Raises InputError where weights are missing in it."""
        transformers = import_transformers()
        try:
            with quiet():
                network, found = getattr(transformers, kind).from_pretrained(
                    self.folder,
                    local_files_only=True,
                    use_safetensors=True,
                    trust_remote_code=False,
                    output_loading_info=True,
                )
        except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
            raise InputError(
                f"{_named(self.wanted)} cannot be loaded from the cache: {_first(error)}. {_fetch(self.wanted)}"
            ) from error
        missing = sorted(name for name in found["missing_keys"] if not name.endswith(HARMLESS_MISSING))
        if missing:
            raise InputError(
                f"{_named(self.wanted)} lacks {len(missing)} of the weights that a {config_name(network)} needs "
                f"({', '.join(missing[:3])}{', …' if len(missing) > 3 else ''}): it would hear with random numbers."
            )
        return network.eval().requires_grad_(False)

    def processor(self, kind: str) -> Any:
        """A tokenizer, feature extractor or processor of the network. Raises InputError without its files."""
        transformers = import_transformers()
        named = f"{_named(self.wanted)} has no usable {kind.removeprefix('Auto').lower()} files in the cache"
        # without a vocabulary the library invents an empty one, which knows no word
        if kind != "AutoFeatureExtractor" and not any((self.folder / name).is_file() for name in VOCABULARIES):
            raise InputError(f"{named}: none of {', '.join(VOCABULARIES)} is there. {_fetch(self.wanted)}")
        try:
            with quiet():
                return getattr(transformers, kind).from_pretrained(
                    self.folder, local_files_only=True, trust_remote_code=False
                )
        except Exception as error:  # the library's tokenizers raise bare Exceptions on damaged files
            raise InputError(f"{named}: {_first(error)} {_fetch(self.wanted)}") from error


def config_name(network: Any) -> str:
    """Class of a network, for messages."""
    return type(network).__name__


def find_snapshot(wanted: Wanted) -> Snapshot:
    """The cached files of a network. Raises Unavailable, with what to do, where the package or files are not here."""
    import_transformers()
    hub = importlib.import_module("huggingface_hub")
    root = environment.hub_dir()
    try:
        folder = Path(
            hub.snapshot_download(wanted.model, revision=wanted.revision, cache_dir=root, local_files_only=True)
        )
    except (OSError, ValueError) as error:  # LocalEntryNotFoundError and HFValidationError among them
        if "repo id" in str(error).lower():
            raise InputError(f"{wanted.prefix}model {wanted.model!r} is no id such as 'organisation/name'.") from error
        raise Unavailable(
            f"{_named(wanted)} is not in the Hugging Face cache, and nothing is downloaded behind your back. "
            f"{_fetch(wanted)} Or do without it: --set {wanted.without}"
        ) from error
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path.name for path in files}
    if "config.json" not in names:
        raise Unavailable(f"{_named(wanted)} is incomplete in the Hugging Face cache. {_fetch(wanted)}")
    if not names & set(WEIGHT_FILES):
        raise Unavailable(
            f"{_named(wanted)} has no {WEIGHT_FILES[0]} in the Hugging Face cache; pickled weights are never loaded. "
            f"Set {wanted.prefix}revision to one that has it (the Hub's converter offers refs/pr/N). {_fetch(wanted)}"
        )
    memory = HashMemory(environment.cache_dir() / "weights" / "models.json")
    parts = [p for p in files if p.suffix in (".json", ".txt", ".model", ".safetensors")]
    digests = memory.hash_all(parts)
    contents = [[p.relative_to(folder).as_posix(), digest] for p, digest in zip(parts, digests, strict=True)]
    return Snapshot(wanted=wanted, folder=folder, sha256=hash_value(contents))


def import_transformers() -> Any:
    """The library. Raises Unavailable without it."""
    try:
        ensure_torchvision()  # it imports torchvision where that is installed
        return importlib.import_module("transformers")
    except ImportError as error:
        raise Unavailable(
            f"Pretrained encoders need the package transformers ({error}). Install it: {INSTALL}"
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Without the library's tables, bars and warnings: what matters of them is checked and told by us."""
    switches = importlib.import_module("transformers.utils.logging")
    before, shows_bars = switches.get_verbosity(), switches.is_progress_bar_enabled()
    switches.set_verbosity(logging.CRITICAL)
    switches.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        switches.set_verbosity(before)
        if shows_bars:
            switches.enable_progress_bar()


def _named(wanted: Wanted) -> str:
    return f"The {wanted.role} network {wanted.model} (revision {wanted.revision})"


def _fetch(wanted: Wanted) -> str:
    revision = "" if wanted.revision == "main" else f" --revision {wanted.revision}"
    return f"Fetch it once, online: hf download {wanted.model}{revision}."


def _first(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
