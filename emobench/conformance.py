"""What every method must satisfy, checked on a small dataset in a folder of its own. Names no method and no dataset.

The leak test trains and renders twice in two copies of one dataset that differ only in what a method may not see of a
test clip: its frames, its expression, its landmarks and its parsing. Sound, transcript, tag, head pose, camera and
scene are the same, so whatever changes in the output came from the target. Methods that declare themselves oracles are
exempt: they are never ranked.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from emobench import registry
from emobench.cache import load_arrays, save_arrays
from emobench.config import parse_sets, resolve
from emobench.errors import UsageError
from emobench.face.tracks import load_track, save_track
from emobench.media import read_video, write_lossless
from emobench.pasting import pastes_back
from emobench.planning import find_dataset, open_dataset
from emobench.rendering import make_driving
from emobench.specs import MethodSpec
from emobench.subjects import choose_references
from emobench.types import Clip, Context, Driving, Method, Progress

TRUE, SWAPPED = "true", "swapped"  # the two copies of the dataset
GIVEN = ("scene",)  # extras that a method is handed with a test clip
MOST_CLIPS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check of one method."""

    check: str
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A small dataset made twice: folders of caches, one with the true targets, one with others in their place."""

    folder: Path
    dataset: str
    sets: tuple[str, ...] = ()  # of the dataset
    threads: int = 1

    def context(self, name: str, progress: Progress, seed: int = 0) -> Context:
        """What a method runs in; everything that it may find on disk lies in this copy."""
        return Context(
            seed=seed, device="cpu", threads=self.threads, cache_dir=self.folder / name, progress=progress,
        )  # fmt: skip

    def clips(self, name: str, progress: Progress) -> tuple[list[Clip], list[Clip]]:
        """(train, test) clips of a copy, the first few test clips."""
        spec, config = find_dataset(self.dataset, self.sets, None)
        dataset = open_dataset(spec, config, self.context(name, progress))
        dataset.prepare()
        return list(dataset.split("train")), list(dataset.split("test"))[:MOST_CLIPS]


def make_world(folder: Path, dataset: str, progress: Progress, sets: Sequence[str] = (), threads: int = 1) -> World:
    """Both copies, in an empty or new folder. Raises UsageError for a dataset that is not made here."""
    world = World(folder=folder, dataset=dataset, sets=tuple(sets), threads=threads)
    if registry.find("dataset", dataset).needs_root:
        raise UsageError(f"Targets of {dataset!r} cannot be swapped: choose a dataset that emobench makes itself.")
    world.clips(TRUE, progress)
    shutil.copytree(folder / TRUE, folder / SWAPPED)
    for clip in world.clips(SWAPPED, progress)[1]:
        swap_target(clip)
    return world


def swap_target(clip: Clip) -> None:
    """Overwrite on disk what a method may not see of a test clip; sound, pose, camera and scene stay."""
    if clip.video is None:
        raise UsageError(f"Clip {clip.id} has no frames to swap.")
    write_lossless(clip.video, 255 - read_video(clip.video).frames[::-1], clip.fps)
    for name, path in clip.extras.items():
        if name == "track":
            track = load_track(path)
            alpha = np.clip(0.9 - track.alpha[::-1, ::-1], 0, None)
            save_track(path, replace(track, alpha=alpha, landmarks=track.landmarks[::-1] + np.float32(3.0)))
        elif name not in GIVEN and path.suffix == ".npz":
            save_arrays(path, {key: _other(array) for key, array in load_arrays(path).items()})


def _other(array: NDArray[Any]) -> NDArray[Any]:
    """Another array of the same shape and type; scalars and names stay, for files must still be readable."""
    if array.ndim == 0 or array.dtype.kind not in "uif":
        return array
    return np.ascontiguousarray(255 - array[::-1] if array.dtype == np.uint8 else array[::-1])


def configured(name: str, sets: Sequence[str] = ()) -> tuple[MethodSpec, BaseModel]:
    """A registered method, or method/preset, and its configuration with KEY=VALUE `sets`.

    Raises UsageError, with the nearest one, for an unknown method, preset or key.
    """
    spec: MethodSpec = registry.find("method", name)
    preset = name.partition("/")[2]
    model = registry.load_object(spec.config)
    chosen = spec.presets[preset] if preset else {}
    return spec, resolve(model, chosen, sets=parse_sets(sets), owner=f"method {spec.name}")


def check_method(name: str, world: World, progress: Progress, sets: Sequence[str] = ()) -> list[Finding]:
    """All findings about a method, or method/preset; see `configured` for `sets` and errors."""
    return check_spec(*configured(name, sets), world, progress)


def check_spec(spec: MethodSpec, config: BaseModel, world: World, progress: Progress) -> list[Finding]:
    """All findings about a configured method by its spec, registered or not."""
    try:
        first = _Trial(spec, config, world, TRUE, progress)
        findings = [*first.frames(), *first.repeats(), *first.checkpoint()]
        if spec.role == "oracle":
            told = hasattr(first.method, "render_oracle")
            detail = "a declared oracle: it may see the target, and is never ranked"
            findings.append(Finding(check="leak", passed=told, detail=detail if told else "it has no render_oracle"))
        else:
            findings.append(_leak(first, _Trial(spec, config, world, SWAPPED, progress)))
    except Exception as error:  # whatever a plugin raises is a finding about it
        return [Finding(check="runs", passed=False, detail=f"{type(error).__name__}: {error}")]
    return [Finding(check="runs", passed=True, detail="trained and rendered"), *findings]


Output = tuple[NDArray[np.uint8], NDArray[np.float32] | None]  # (T, H, W, 3) frames, (T, K) α


class _Trial:
    """A method trained in one copy of the dataset, and what it rendered there."""

    def __init__(self, spec: MethodSpec, config: BaseModel, world: World, copy: str, progress: Progress) -> None:
        self.spec, self._config = spec, config
        self._context = world.context(copy, progress)
        train, self.tests = world.clips(copy, progress)
        cards = choose_references(train, self.tests)
        self.drivings = [make_driving(clip, cards[clip.subject].reference) for clip in self.tests]
        self.method = self._build()
        self.method.fit(train)
        self.outputs = [self._render(self.method, index) for index in range(len(self.tests))]

    def _build(self) -> Method:
        method: Method = registry.load_object(self.spec.factory)(self._config, self._context)
        return method

    def _render(self, method: Method, index: int) -> Output:
        driving = self.drivings[index]
        if self.spec.role == "oracle" and hasattr(method, "render_oracle"):
            rendered = list(method.render_oracle(driving, self.tests[index]))
        else:
            rendered = list(method.render(driving))
        given = [np.asarray(item.alpha, np.float32) for item in rendered if item.alpha is not None]
        if given and len(given) != len(rendered):
            raise UsageError(f"α is given for {len(given)} of {len(rendered)} frames of {driving.clip_id}")
        return np.stack([item.frame for item in rendered]), np.stack(given) if given else None

    def frames(self) -> list[Finding]:
        """Number, size and type of the frames."""
        wrong = [
            f"{driving.clip_id}: {frames.shape} {frames.dtype}, wanted {_wanted(driving)} uint8"
            for driving, (frames, _) in zip(self.drivings, self.outputs, strict=True)
            if frames.shape != _wanted(driving) or frames.dtype != np.uint8
        ]
        return [Finding(check="frames", passed=not wrong, detail="; ".join(wrong) or "as many and as large as asked")]

    def repeats(self) -> list[Finding]:
        """Rendering again gives the same."""
        same = _equal(self._render(self.method, 0), self.outputs[0])
        detail = "rendering a clip twice gives the same" if same else "rendering a clip twice gives two results"
        return [Finding(check="repeats", passed=same, detail=detail)]

    def checkpoint(self) -> list[Finding]:
        """A method that was saved and loaded renders the same."""
        folder = self._context.cache_dir / "conformance" / self.spec.name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.method.save(folder)
        loaded = self._build()
        loaded.load(folder)
        same = _equal(self._render(loaded, 0), self.outputs[0])
        detail = "saved and loaded it renders the same" if same else "after save and load it renders something else"
        return [Finding(check="checkpoint", passed=same, detail=detail)]


def _wanted(driving: Driving) -> tuple[int, int, int, int]:
    return driving.n_frames, driving.camera.height, driving.camera.width, 3


def _equal(a: Output, b: Output) -> bool:
    if (a[1] is None) != (b[1] is None) or not np.array_equal(a[0], b[0]):
        return False
    return a[1] is None or b[1] is None or np.array_equal(a[1], b[1])


def _leak(true: _Trial, swapped: _Trial) -> Finding:
    """Whether anything in the output follows the targets."""
    pairs = zip(true.drivings, true.outputs, swapped.outputs, strict=True)
    changed = [driving.clip_id for driving, ours, theirs in pairs if not _equal(ours, theirs)]
    if not changed:
        detail = f"{len(true.tests)} clips: other targets change nothing"
        if pastes_back(true.method):
            detail += "; before paste-back, which shows the target's own torso and background and the head's outline"
        return Finding(check="leak", passed=True, detail=detail)
    detail = (
        f"the output of {', '.join(changed)} changed with the target's frames and expression alone. A method that sees "
        'them must declare role="oracle"; one whose training does not repeat by its seed fails here too'
    )
    return Finding(check="leak", passed=False, detail=detail)
