"""Training of the head field: which rays when, the loss, the steps, the culling of empty space.

Every random number comes from (seed, step, frame of the step) and sums run in a fixed order: the result depends on
the seed and the backend, not on threads or time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emobench.errors import EmobenchError
from emobench.face.surfaces import UNITS_PER_MM
from emobench.types import Floats, Progress

from .config import RadianceConfig
from .divergence import last_good, loss_fault, opacity_fault, parameter_fault
from .field import COLUMNS, Field, pieces_of
from .footage import HeadFrames
from .geometry import Box, Rays, head_rays, pixel_directions
from .image_losses import ImageLosses, Shot
from .occupancy import Occupancy
from .operations import (
    CHUNK,
    DENSITY_UNIT_MM,
    AdamRates,
    Decoder,
    FrameLoss,
    Operations,
    Samples,
    Targets,
    zero_moments,
)
from .ray_kernels import lay_over
from .reference import adam
from .settling import settle
from .training_state import Setback, TrainingFile, TrainingState
from .workers import Workers

WARM_UP = 20  # steps over which the learning rates rise
CULL_EVERY = 25  # steps between two updates of the occupancy
CULL_CELLS = 30_000  # cells whose density one update looks at
# Shares of all steps: coarse sampling ends, culling by weight begins, occupancy stops forgetting (a grid that goes on
# decaying leaves holes in rarely opened mouths), and the span in which now and then the whole hull is sampled again.
COARSE_UNTIL, CULL_FROM, SETTLED = 0.12, 0.15, 0.42
HULL_FROM, HULL_UNTIL, HULL_EVERY, HULL_RAYS = 0.16, 0.6, 40, 640


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """What the tasks of one step have in common."""

    index: int
    rays: int  # per frame
    step_mm: float
    skip: NDArray[np.uint8]
    frames: NDArray[np.int64]
    tables: Tensor  # (N, P)
    decoders: Sequence[Decoder]  # N
    gradients: Tensor  # (N, P), written by the tasks


class HeadTrainer:
    """Trains `field` in place on packed frames."""

    def __init__(
        self,
        frames: HeadFrames,
        conditions: Floats,
        field: Field,
        occupancy: Occupancy,
        box: Box,
        operations: Operations,
        workers: Workers,
        config: RadianceConfig,
        seed: int,
        images: ImageLosses | None = None,
    ) -> None:
        self.images = images  # judges one frame now and then in place of its rays
        self.frames, self.field, self.occupancy, self.box = frames, field, occupancy, box
        self.operations, self.workers, self.config, self.seed = operations, workers, config, seed
        self.conditions = torch.from_numpy(conditions).to(operations.device)
        self.directions = pixel_directions(frames.camera)
        self.moments = tuple(zero_moments(t) for t in field.trained)
        self.depth_origin = float(np.linalg.norm(frames.pose.translation.mean(0)))
        self.rays = 512.0  # of a step; follows from how many samples the last step's rays had
        # memory of the last step's tables: fresh pages for them cost up to a third of a step (measured)
        self._tables: Tensor | None = None
        self._gradients: Tensor | None = None
        self._blended_for: int | None = None  # the step whose frames' tables these are; None: of none to come
        self.losses: list[float] = []
        self.setbacks: tuple[Setback, ...] = ()
        self.opacity = 1.0  # mean of the rays of the last step before the occupancy was updated

    def train(self, progress: Progress, label: str, file: TrainingFile | None = None) -> None:
        """All steps, then a last look at the occupancy; with a file, on from the state that it holds.

        Raises EmobenchError when training diverges and has begun anew config.retries times already.
        """
        beginning = self.state().copy() if self.config.retries else None
        state = file.load() if file else None
        if state and self._fits(state):
            self.restore(state)
            progress.note(f"{label}: goes on from step {state.step} of {self.config.steps}, where it was interrupted.")
        elif state and file:
            file.refuse("other shapes than this training's")
        while reason := self._run(progress, label, file):
            self._begin_anew(reason, beginning, progress, label)
        settle(self)

    def _run(self, progress: Progress, label: str, file: TrainingFile | None) -> str | None:
        """The steps still to do, or what went wrong in the last one done."""
        for index in progress.track(range(len(self.losses), self.config.steps), label):
            self._step(index)
            reason = loss_fault(self.losses)
            look, last = index % CULL_EVERY == CULL_EVERY - 1, index + 1 == self.config.steps
            if look or last:
                reason = reason or opacity_fault(self.opacity) or parameter_fault(self.field.trained)
            if reason:
                return reason
            if look:
                self._update_occupancy(index)
            if file and (last or (look and file.due(index + 1))):  # after a look at the parameters: they are sound
                file.save(self.state())
        return None

    def _begin_anew(self, reason: str, beginning: TrainingState | None, progress: Progress, label: str) -> None:
        """From the first step, with halved rates: the result does not depend on when a state was last saved.

        Raises EmobenchError where that has been done config.retries times.
        """
        config, step = self.config, len(self.losses)
        told = f"diverged at step {step} of {config.steps}: {reason}; {last_good(self.losses)}"
        if beginning is None or len(self.setbacks) >= config.retries:
            raise EmobenchError(
                f"Training of the radiance field {told}. Lower table_rate ({config.table_rate:g}) or network_rate "
                f"({config.network_rate:g}), or check head poses and masks of the train clips."
            )
        setbacks = (*self.setbacks, Setback(diverged=step, reason=reason))
        self.restore(beginning)
        self.setbacks = setbacks
        progress.note(f"{label}: training {told}. It begins anew with halved rates.")

    def state(self) -> TrainingState:
        """What all further steps depend on; the tensors are copies on the host or the trainer's own."""
        arrays = {"density": self.occupancy.density, "weight": self.occupancy.weight, "skip": self.occupancy.skip}
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        tensors["rays"] = torch.tensor([self.rays], dtype=torch.float64)
        tensors["losses"] = torch.tensor(self.losses, dtype=torch.float64)
        tensors |= {name: tensor.cpu() for name, tensor in self._changing().items()}
        return TrainingState(step=len(self.losses), tensors=tensors, setbacks=self.setbacks)

    def restore(self, state: TrainingState) -> None:
        """Go on from what `state` gave."""
        self._blended_for = None
        for name, tensor in self._changing().items():
            tensor.copy_(state.tensors[name])
        for name in ("density", "weight", "skip"):
            setattr(self.occupancy, name, state.tensors[name].numpy().copy())
        self.opacity = 1.0
        self.rays = float(state.tensors["rays"])
        self.losses = state.tensors["losses"].tolist()
        self.setbacks = state.setbacks

    def _changing(self) -> dict[str, Tensor]:
        """Parameters and moments by name."""
        names = [f"{kind}.{k}" for k in range(len(self.moments)) for kind in ("value", "first", "second")]
        pairs = zip(self.field.trained, self.moments, strict=True)
        tensors = [part for value, moments in pairs for part in (value, moments.first, moments.second)]
        return dict(zip(names, tensors, strict=True))

    def _fits(self, state: TrainingState) -> bool:
        """Whether a state is one of a training like this."""
        own = {name: tensor.shape for name, tensor in self.state().tensors.items() if name != "losses"}
        found = {name: tensor.shape for name, tensor in state.tensors.items() if name != "losses"}
        return own == found and 0 <= len(state.tensors["losses"]) == state.step <= self.config.steps

    def _step(self, index: int) -> None:
        config, done = self.config, index / self.config.steps
        chosen = self._chosen(index)
        count = len(chosen)
        whole_hull = index % HULL_EVERY == HULL_EVERY - 10 and HULL_FROM < done < HULL_UNTIL
        rays = min(self.rays, HULL_RAYS) if whole_hull else self.rays
        tables = self._tables
        if tables is None or self._blended_for != index:
            tables = self.field.tables(self.conditions[chosen], self.operations, self.workers, tables)
        if self._gradients is None or self._gradients.shape != tables.shape:
            self._gradients = torch.empty(tables.shape, dtype=self.field.base.dtype, device=tables.device)
        self._tables = tables
        step = _Step(
            index=index,
            rays=max(8, int(rays) // count),
            step_mm=self._step_mm(done),
            skip=self.occupancy.hull_skip if whole_hull else self.occupancy.skip,
            frames=chosen,
            tables=tables,
            decoders=self.field.decoders(self.conditions[chosen]),
            gradients=self._gradients,
        )
        shares = self.workers.map(lambda slot: self._share(step, slot), range(count))
        self._apply(step, shares)
        self.losses.append(sum(found.loss for _, found in shares))
        if not whole_hull and not self._judges(step, count - 1):
            sampled = sum(len(samples.points) for samples, _ in shares)
            self.rays = float(np.clip(self.rays * config.samples_per_step / max(1, sampled), 256, config.max_rays))
        if index % CULL_EVERY == CULL_EVERY - 1:
            self.opacity = float(torch.stack([found.weights.sum() for _, found in shares]).sum()) / (count * step.rays)

    def _chosen(self, index: int) -> NDArray[np.int64]:
        """The frames of a step."""
        count = min(self.config.frames_per_step, len(self.frames))
        return np.random.default_rng([self.seed, index]).choice(len(self.frames), count, replace=False)

    def _step_mm(self, done: float) -> float:
        return self.config.coarse_step_mm if done < COARSE_UNTIL else self.config.step_mm

    def _share(self, step: _Step, slot: int) -> tuple[Samples, FrameLoss]:
        """Forward and backward of one frame; writes its row of step.gradients."""
        if self.images is not None and self._judges(step, slot):
            return self.images.share(self._shot(step, slot), self.field)
        rng = np.random.default_rng([self.seed, step.index, slot])
        frame = int(step.frames[slot])
        picked = np.sort(self.frames.pick(frame, step.rays, self.config.detail_share, rng))  # neighbours share cells
        samples, _ = self.march(frame, self.frames.pixel[picked], step.skip, step.step_mm, rng)
        # against a new random background the only way to match is to be as opaque as the mask: the silhouette loss
        background = rng.random((len(picked), 3), dtype=np.float32) * np.float32(self.config.silhouette)
        colour = np.empty_like(background)
        lay_over(picked, self.frames.colour, self.frames.coverage, background, colour)
        targets = Targets(
            colour=self._moved(colour),
            background=self._moved(background),
            variance_weight=self.config.depth_variance * step.index / self.config.steps,
            factor=1 / len(step.frames),
            surface=self._surface(picked),
        )
        found = self.operations.frame_loss(
            samples, targets, step.tables[slot], step.decoders[slot], self.field.layout, step.step_mm,
            step.gradients[slot],
        )  # fmt: skip
        return samples, found

    def _judges(self, step: _Step, slot: int) -> bool:
        """Whether a slot's frame is judged as an image: the last one of a step now and then."""
        due = self.images is not None and self.images.due(step.index, self.config.steps)
        return due and slot == len(step.frames) - 1

    def _shot(self, step: _Step, slot: int) -> Shot:
        return Shot(
            frame=int(step.frames[slot]), table=step.tables[slot], decoder=step.decoders[slot], skip=step.skip,
            step_mm=step.step_mm, max_samples=self.config.max_samples, depth_origin=self.depth_origin,
            variance_weight=self.config.depth_variance * step.index / self.config.steps / len(step.frames),
            factor=1 / len(step.frames), gradient=step.gradients[slot],
        )  # fmt: skip

    def _surface(self, picked: NDArray[np.int64]) -> Tensor | None:
        """Where rays should end, as Targets has it; None where no ray knows."""
        if not self.config.depth_weight or not len(self.frames.depth):
            return None
        stored = self.frames.depth[picked].astype(np.float32)
        along = stored / UNITS_PER_MM / -self.directions[self.frames.pixel[picked], 2]
        weight = np.where(stored > 0, self.config.depth_weight, 0)
        surface = np.stack([(along - self.depth_origin) / DENSITY_UNIT_MM, weight], axis=1)
        return self._moved(surface.astype(np.float32))

    def march(
        self,
        frame: int,
        pixels: NDArray[np.int32],
        skip: NDArray[np.uint8],
        step_mm: float,
        rng: np.random.Generator,
    ) -> tuple[Samples, Rays]:
        """Samples of a frame's pixels, and the rays on which they lie."""
        pose = self.frames.pose
        rays = head_rays(self.directions[pixels], pose.rotation[frame], pose.translation[frame], self.box)
        jitter = rng.random(len(pixels), dtype=np.float32)
        samples = self.operations.march(rays, skip, step_mm, jitter, self.config.max_samples)
        return replace(samples, depth_origin=self.depth_origin), rays

    def _apply(self, step: _Step, shares: Sequence[tuple[Samples, FrameLoss]]) -> None:
        """One Adam step on everything, then the next tables; beside it the samples' weights into the occupancy."""
        config, field, index = self.config, self.field, step.index
        cosine = 0.5 * (1 + math.cos(math.pi * index / config.steps))
        scale = (config.final_rate + (1 - config.final_rate) * cosine) * min(1.0, (index + 1) / WARM_UP)
        scale *= 0.5 ** len(self.setbacks)
        conditions = self.conditions[step.frames]
        table_rates, network_rates = (_rates(rate * scale, index) for rate in (config.table_rate, config.network_rate))

        def scatter() -> None:
            for samples, found in shares:
                self.operations.scatter_weights(found.weights, samples.points, self.occupancy.weight)

        def update_network() -> None:
            networks = torch.stack([found.network for _, found in shares])  # (N, W)
            adam(field.decoder.weights, self.moments[2], networks.sum(0), network_rates, slice(None))
            if field.bias.shape[1]:
                adam(field.bias, self.moments[3], field.bias_gradient(conditions, networks), network_rates, slice(None))

        def update(columns: tuple[int, int]) -> None:
            self.operations.update_tables(
                field.base, field.expression, self.moments[:2], step.gradients, conditions, table_rates, columns
            )
            if field.expression.shape[1]:  # these columns are in cache now
                self.operations.blend(field.base, field.expression, following, columns, step.tables)

        following = self.conditions[self._chosen(index + 1)]
        pieces = pieces_of(len(field.base), COLUMNS, self.operations)
        updates: list[Callable[[], None]] = [partial(update, columns) for columns in pieces]
        self.workers.map(lambda task: task(), [scatter, update_network, *updates])
        self._blended_for = index + 1 if field.expression.shape[1] else None

    def _moved(self, array: NDArray[np.floating]) -> Tensor:
        tensor = torch.from_numpy(array)
        return tensor if self.operations.device.type == "cpu" else tensor.to(self.operations.device)

    def _update_occupancy(self, index: int) -> None:
        done = (index + 1) / self.config.steps
        rng = np.random.default_rng([self.seed, index, 1_000_000])
        grid = self.config.grid
        cells = np.flatnonzero(self.occupancy.hull.reshape(-1))
        if len(cells) > CULL_CELLS:
            cells = cells[np.sort(rng.choice(len(cells), CULL_CELLS, replace=False))]
        corner = np.stack([cells % grid, cells // grid % grid, cells // grid**2], axis=1)
        points = self._moved(((corner + rng.random(corner.shape)) / grid).astype(np.float32))
        frame = rng.integers(len(self.frames))
        condition, field = self.conditions[frame : frame + 1], self.field
        table, decoder = field.tables(condition, self.operations)[0], field.decoders(condition)[0]

        def densities(part: tuple[int, int]) -> Tensor:
            return self.operations.evaluate(points[part[0] : part[1]], table, decoder, field.layout)[0]

        parts = pieces_of(len(points), CHUNK, self.operations)
        found = torch.cat(self.workers.map(densities, parts)).cpu().numpy()
        settled = done >= SETTLED
        self.occupancy.observe(cells, found, 0.97 if settled else 0.8)
        self.occupancy.cull(
            least_thickness=0.004 if done < 2 * CULL_FROM else 0.02,
            step=self._step_mm(done) / DENSITY_UNIT_MM,
            least_weight=self.config.cull_weight if done >= CULL_FROM else -1.0,
            keep=1.0 if settled or done < CULL_FROM else 0.5,
        )


def _rates(rate: float, index: int) -> AdamRates:
    plain = AdamRates(rate=rate, correction=1.0)
    return AdamRates(rate=rate / (1 - plain.beta1 ** (index + 1)), correction=1 / (1 - plain.beta2 ** (index + 1)))
