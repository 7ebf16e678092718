"""An unfinished training on disk, so that an interrupted one goes on where it was, to the same result.

Owns the file and when it is written; what the numbers in it mean is the trainer's business.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from emobench.cache import writing
from emobench.errors import InputError
from emobench.types import Progress

SCHEMA = 1
FIRST_STEP = 25  # steps before the first save
PAUSE = 100  # times what a save took pass before the next one: training slows down by less than 1 %
ROUNDING = ("torch", "numba", "triton", "numpy")  # packages whose versions may change the last bits of a step


@dataclass(frozen=True, slots=True, kw_only=True)
class Setback:
    """A divergence after which training began anew with halved learning rates."""

    diverged: int  # after this many steps
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingState:
    """All that the steps still to come depend on; random numbers follow from seed and step."""

    step: int  # steps done
    tensors: Mapping[str, Tensor]  # on the host
    setbacks: tuple[Setback, ...] = ()

    def copy(self) -> TrainingState:
        """The same numbers in memory of their own."""
        return replace(self, tensors={name: tensor.clone() for name, tensor in self.tensors.items()})


class TrainingFile:
    """The state of one training, in a folder of its own; `identity` says which training it belongs to.

    Several processes may train the same thing at once: each writes whole files of the same trajectory.
    """

    def __init__(self, folder: Path, identity: str, progress: Progress) -> None:
        self.path = folder / "state.safetensors"
        self._facts = {"schema": str(SCHEMA), "identity": identity, "packages": _packages()}
        self._progress = progress
        self._next = 0.0  # on the clock, from when on a save is due
        self._broken = False

    def due(self, step: int) -> bool:
        """Whether to save now, after `step` steps. When a state is saved does not change what is trained."""
        return not self._broken and step >= FIRST_STEP and time.perf_counter() >= self._next

    def save(self, state: TrainingState) -> None:
        """Replace the file atomically. Where that fails, training goes on without it, and says so once."""
        if self._broken:
            return
        start = time.perf_counter()
        facts = self._facts | {"step": str(state.step), "setbacks": json.dumps([asdict(s) for s in state.setbacks])}
        try:
            with writing(self.path) as temporary:
                save_file({name: tensor.contiguous() for name, tensor in state.tensors.items()}, temporary, facts)
        except (OSError, InputError, SafetensorError) as error:
            self._broken = True
            self._progress.note(
                f"Cannot keep the state of training ({_first_line(error)}): an interruption will start it anew."
            )
        end = time.perf_counter()
        self._next = end + PAUSE * (end - start)

    def load(self) -> TrainingState | None:
        """The saved state; None where there is none, and, after saying so, where it cannot be used."""
        if not self.path.exists():
            return None
        try:
            return self._read()
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            self.refuse(f"damaged: {_first_line(error)}")
        except InputError as error:
            self.refuse(str(error))
        return None

    def refuse(self, reason: str) -> None:
        """Say that the file cannot be used. It stays until the first save of the new training replaces it."""
        self._progress.note(f"The state of an interrupted training cannot be used ({reason}); training starts anew.")

    def _read(self) -> TrainingState:
        with safe_open(self.path, framework="pt") as stored:
            facts = stored.metadata() or {}
            for name, wanted in self._facts.items():
                if facts.get(name) != wanted:
                    raise InputError(f"{name} {facts.get(name)}, here {wanted}")
            return TrainingState(
                step=int(facts["step"]),
                tensors={name: stored.get_tensor(name) for name in stored.keys()},  # noqa: SIM118 (no mapping)
                setbacks=tuple(Setback(**fields) for fields in json.loads(facts["setbacks"])),
            )

    def remove(self) -> None:
        """The training is finished and stored: its state, and what killed writers left, are of no more use."""
        shutil.rmtree(self.path.parent, ignore_errors=True)


def _packages() -> str:
    found = []
    for name in ROUNDING:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
