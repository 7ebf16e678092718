"""Training of the head field: which rays when, the loss, the steps, the culling of empty space.

Every random number comes from (seed, step, frame of the step) and sums run in a fixed order: the result depends on
the seed and the backend, not on threads or time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emobench.errors import EmobenchError
from emobench.types import Floats, Progress

from .config import RadianceConfig
from .field import COLUMNS, Field, pieces_of
from .footage import HeadFrames
from .geometry import Box, head_rays, pixel_directions
from .occupancy import Occupancy, skip_distances
from .operations import (
    CHUNK,
    DENSITY_UNIT_MM,
    AdamRates,
    FrameLoss,
    Operations,
    Samples,
    Targets,
    zero_moments,
)
from .reference import adam
from .workers import Workers

WARM_UP = 20  # steps over which the learning rates rise
CULL_EVERY = 25  # steps between two updates of the occupancy
CULL_CELLS = 30_000  # cells whose density one update looks at
# Shares of all steps: coarse sampling ends, culling by weight begins, occupancy stops forgetting (a grid that goes on
# decaying leaves holes in rarely opened mouths), and the span in which now and then the whole hull is sampled again.
COARSE_UNTIL, CULL_FROM, SETTLED = 0.12, 0.08, 0.42
HULL_FROM, HULL_UNTIL, HULL_EVERY, HULL_RAYS = 0.16, 0.6, 40, 640
VARIANCE_FULL = 0.2  # share of the steps after which the depth variance has its full weight
EXPLODED = 10.0  # a mean squared error of colours in 0..1 cannot come near this


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """What the tasks of one step have in common."""

    index: int
    rays: int  # per frame
    step_mm: float
    skip: NDArray[np.uint8]
    frames: NDArray[np.int64]
    tables: Tensor  # (N, P)
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
    ) -> None:
        self.frames, self.field, self.occupancy, self.box = frames, field, occupancy, box
        self.operations, self.workers, self.config, self.seed = operations, workers, config, seed
        self.conditions = torch.from_numpy(conditions).to(operations.device)
        self.directions = pixel_directions(frames.camera)
        self.moments = tuple(zero_moments(t) for t in (field.base, field.expression, field.decoder.weights))
        self.depth_origin = float(np.linalg.norm(frames.pose.translation.mean(0)))
        self.rays = 512.0  # of a step; follows from how many samples the last step's rays had
        self.losses: list[float] = []

    def train(self, progress: Progress, label: str) -> None:
        """All steps, then a last look at the occupancy. Raises EmobenchError when training diverges."""
        for index in progress.track(range(self.config.steps), label):
            self._step(index)
            if index % CULL_EVERY == CULL_EVERY - 1:
                self._update_occupancy(index)
        self._settle()

    def _step(self, index: int) -> None:
        config, done = self.config, index / self.config.steps
        rng = np.random.default_rng([self.seed, index])
        count = min(config.frames_per_step, len(self.frames))
        whole_hull = index % HULL_EVERY == HULL_EVERY - 10 and HULL_FROM < done < HULL_UNTIL
        rays = min(self.rays, HULL_RAYS) if whole_hull else self.rays
        chosen = rng.choice(len(self.frames), count, replace=False)
        tables = self.field.tables(self.conditions[chosen], self.operations, self.workers)
        step = _Step(
            index=index,
            rays=max(8, int(rays) // count),
            step_mm=self._step_mm(done),
            skip=self.occupancy.hull_skip if whole_hull else self.occupancy.skip,
            frames=chosen,
            tables=tables,
            gradients=torch.empty_like(tables),
        )
        shares = self.workers.map(lambda slot: self._share(step, slot), range(count))
        self._apply(index, chosen, step.gradients, torch.stack([found.network for _, found in shares]).sum(0))
        self._watch(index, sum(found.loss for _, found in shares))
        for samples, found in shares:
            self.operations.scatter_weights(found.weights, samples.points, self.occupancy.weight)
        if not whole_hull:
            sampled = sum(len(samples.points) for samples, _ in shares)
            self.rays = float(np.clip(self.rays * config.samples_per_step / max(1, sampled), 256, config.max_rays))

    def _step_mm(self, done: float) -> float:
        return self.config.coarse_step_mm if done < COARSE_UNTIL else self.config.step_mm

    def _share(self, step: _Step, slot: int) -> tuple[Samples, FrameLoss]:
        """Forward and backward of one frame; writes its row of step.gradients."""
        rng = np.random.default_rng([self.seed, step.index, slot])
        frame = int(step.frames[slot])
        picked = np.sort(self.frames.pick(frame, step.rays, self.config.detail_share, rng))  # neighbours share cells
        samples = self._march(frame, self.frames.pixel[picked], step.skip, step.step_mm, rng)
        coverage = self.frames.coverage[picked, None].astype(np.float32) / 255
        colour = self.frames.colour[picked].astype(np.float32) / 255
        # against a new random background the only way to match is to be as opaque as the mask: the silhouette loss
        background = rng.random((len(picked), 3), dtype=np.float32)
        targets = Targets(
            colour=self._moved(coverage * colour + (1 - coverage) * background),
            background=self._moved(background),
            variance_weight=self.config.depth_variance * min(1.0, step.index / (VARIANCE_FULL * self.config.steps)),
            factor=1 / len(step.frames),
        )
        field = self.field
        found = self.operations.frame_loss(
            samples, targets, step.tables[slot], field.decoder, field.layout, step.step_mm, step.gradients[slot]
        )
        return samples, found

    def _march(
        self,
        frame: int,
        pixels: NDArray[np.int32],
        skip: NDArray[np.uint8],
        step_mm: float,
        rng: np.random.Generator,
    ) -> Samples:
        pose = self.frames.pose
        rays = head_rays(self.directions[pixels], pose.rotation[frame], pose.translation[frame], self.box)
        jitter = rng.random(len(pixels), dtype=np.float32)
        samples = self.operations.march(rays, skip, step_mm, jitter, self.config.max_samples)
        return replace(samples, depth_origin=self.depth_origin)

    def _apply(self, index: int, chosen: NDArray[np.int64], tables: Tensor, network: Tensor) -> None:
        """One Adam step on everything."""
        config, field = self.config, self.field
        cosine = 0.5 * (1 + math.cos(math.pi * index / config.steps))
        scale = (config.final_rate + (1 - config.final_rate) * cosine) * min(1.0, (index + 1) / WARM_UP)
        conditions = self.conditions[chosen]
        rates = _rates(config.table_rate * scale, index)

        def update(columns: tuple[int, int]) -> None:
            self.operations.update_tables(
                field.base, field.expression, self.moments[:2], tables, conditions, rates, columns
            )

        self.workers.map(update, pieces_of(len(field.base), COLUMNS, self.operations))
        adam(field.decoder.weights, self.moments[2], network, _rates(config.network_rate * scale, index), slice(None))

    def _moved(self, array: NDArray[np.floating]) -> Tensor:
        return torch.from_numpy(array).to(self.operations.device)

    def _watch(self, index: int, loss: float) -> None:
        self.losses.append(loss)
        if not math.isfinite(loss) or loss > EXPLODED:
            raise EmobenchError(
                f"Training of the radiance field diverged at step {index + 1} of {self.config.steps} "
                f"(loss {loss:.3g}). Lower table_rate or network_rate, or check the head poses of the train clips."
            )

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
        table = self.field.tables(self.conditions[frame : frame + 1], self.operations)[0]

        def densities(part: tuple[int, int]) -> Tensor:
            field = self.field
            return self.operations.evaluate(points[part[0] : part[1]], table, field.decoder, field.layout)[0]

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

    def _settle(self) -> None:
        """Look at all frames, and bring back emptied cells next to occupied ones that weigh something in any of them.

        Culling sees too few rays to be sure of cells that matter in few frames; what it missed shows as single
        transparent pixels (measured: 0.9 a frame before this pass, 0.3 after).
        """
        count = min(self.config.settle_rays // len(self.frames), self.config.max_rays)
        if count == 0:
            return
        weight = np.zeros_like(self.occupancy.weight)
        grown = skip_distances(self.occupancy.hull & (self.occupancy.skip <= 1))

        def look(frame: int) -> tuple[Tensor, Tensor]:
            rng = np.random.default_rng([self.seed, frame, 2_000_000])
            picked = np.sort(self.frames.pick(frame, count, self.config.detail_share, rng))
            samples = self._march(frame, self.frames.pixel[picked], grown, self.config.step_mm, rng)
            table = self.field.tables(self.conditions[frame : frame + 1], self.operations)[0]
            density, _ = self.operations.evaluate(samples.points, table, self.field.decoder, self.field.layout)
            return self.operations.weights(density, samples, self.config.step_mm), samples.points

        for weights, points in self.workers.stream(look, range(len(self.frames))):
            self.operations.scatter_weights(weights, points, weight)
        occupied = (self.occupancy.skip == 0) | (weight > self.config.settle_weight)
        self.occupancy.skip = skip_distances(occupied)


def _rates(rate: float, index: int) -> AdamRates:
    plain = AdamRates(rate=rate, correction=1.0)
    return AdamRates(rate=rate / (1 - plain.beta1 ** (index + 1)), correction=1 / (1 - plain.beta2 ** (index + 1)))
