"""The border between the field and its arithmetic: what a backend must offer, and the choice of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from itertools import pairwise
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emobench.errors import Unavailable, UsageError, suggest
from emobench.types import Floats

from .config import FieldKind, PrecisionChoice
from .geometry import Rays
from .layouts import Layout

BACKENDS = ("torch", "numba", "triton", "tinycudann")
GRID_BACKENDS = ("triton", "tinycudann")  # have kernels for 3D hash grids alone, and for half precision
GRID_FIELDS = ("blended", "hash")
TRITON_SINCE = (3, 4)


# Densities are per this length, about a head's breadth, so that exp(0) is a faint fog.
DENSITY_UNIT_MM = 140.0
LOG_DENSITY_MAX = 9.0  # keeps exp finite; e⁹ per unit is opaque within a tenth of a millimetre
CHUNK = 4096  # samples decoded at once: activations stay in a core's L2 cache (measured: 2x faster than 32k)


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Points along rays, packed ray after ray."""

    points: Tensor  # (M, 3) in [0, 1)
    depths: Tensor  # (M,) mm along the ray
    counts: NDArray[np.int32]  # (R,) samples of each ray; they sum to M
    depth_origin: float = 0.0  # mm; depths count from here in the loss, which keeps their squares small


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoder:
    """The network behind the encoding: features → hidden → hidden → raw density and colour.

    Flat weights (W,), see `layers`. Two hidden layers of any width: no backend has another depth.
    """

    weights: Tensor
    features: int
    hidden: int

    def layers(self, weights: Tensor | None = None) -> tuple[Tensor, ...]:
        """Matrices (inputs, outputs) and biases of the three layers, as views into the flat vector."""
        flat = self.weights if weights is None else weights
        widths = (self.features, self.hidden, self.hidden, 4)
        parts: list[Tensor] = []
        start = 0
        for inputs, outputs in pairwise(widths):
            parts.append(flat[start : start + inputs * outputs].view(inputs, outputs))
            start += inputs * outputs
            parts.append(flat[start : start + outputs])
            start += outputs
        return tuple(parts)

    @property
    def first_bias(self) -> slice:
        """Where the bias of layer 1 lies in the flat weights."""
        start = self.features * self.hidden
        return slice(start, start + self.hidden)


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """What the rays of one frame should show."""

    colour: Tensor  # (R, 3) head over background
    background: Tensor  # (R, 3)
    variance_weight: float  # factor on the variance of depth along a ray
    factor: float  # on the whole loss
    # (R, 2) depth where rays should end, from Samples.depth_origin in DENSITY_UNIT_MM, and the weight of that, 0 =
    # unknown; None: of no ray
    surface: Tensor | None = None

    def surfaces(self) -> Tensor:
        """`surface`, zeros where there is none."""
        return self.colour.new_zeros(len(self.colour), 2) if self.surface is None else self.surface


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameLoss:
    """Loss of one frame's rays; the gradient of the table was written where the caller asked."""

    loss: float
    network: Tensor  # (W,) gradient of the decoder's flat weights
    weights: Tensor  # (M,) compositing weight of each sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Adam's running moments of one tensor."""

    first: Tensor
    second: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class AdamRates:
    """Adam's numbers at one step: learning rate over (1 − β₁ᵗ), and 1 / (1 − β₂ᵗ)."""

    rate: float
    correction: float
    beta1: float = 0.9
    beta2: float = 0.99
    tiny: float = 1e-15


class Operations(Protocol):
    """Arithmetic of the field. Tensors are float32 (tests: float64) and live on `device`; arrays are on the host."""

    name: str
    device: torch.device
    precision: str  # of the arithmetic, in words, as results name it
    table_dtype: torch.dtype | None  # of a frame's table, in training too; None: as the parameters
    concurrent: bool  # whether calls may run side by side in threads; where not, work is not cut into pieces either

    def march(self, rays: Rays, skip: NDArray[np.uint8], step_mm: float, jitter: Floats, limit: int) -> Samples:
        """Samples at near + (k + jitter) · step inside cells where skip (G, G, G; z, y, x) is 0."""

    def evaluate(self, points: Tensor, table: Tensor, decoder: Decoder, layout: Layout) -> tuple[Tensor, Tensor]:
        """Density (M,) per DENSITY_UNIT_MM and colour (M, 3) in 0..1 at points (M, 3) under table (P,)."""

    def render(
        self,
        rays: Rays,
        skip: NDArray[np.uint8],
        table: Tensor,
        decoder: Decoder,
        layout: Layout,
        step_mm: float,
        limit: int,
        stop: float,
    ) -> tuple[Floats, Floats]:
        """Colour sums (R, 3), not divided by opacity, and opacity (R,); rays may end below transmittance `stop`."""

    def weights(self, density: Tensor, samples: Samples, step_mm: float) -> Tensor:
        """Compositing weight (M,) of every sample."""

    def frame_loss(
        self,
        samples: Samples,
        targets: Targets,
        table: Tensor,
        decoder: Decoder,
        layout: Layout,
        step_mm: float,
        table_gradient: Tensor,
    ) -> FrameLoss:
        """Mean squared colour error plus weighted variance of depth plus weighted squared deviation of depth from the
        surface, Σ wᵢ (dᵢ − surface) (depths in DENSITY_UNIT_MM), with all gradients; table_gradient (P,) is
        overwritten."""

    def scatter_weights(self, weights: Tensor, points: Tensor, largest: Floats) -> None:
        """Raise largest (G, G, G) to the weights (M,) of the points in each cell."""

    def blend(
        self, base: Tensor, expression: Tensor, conditions: Tensor, columns: tuple[int, int], tables: Tensor
    ) -> None:
        """Write columns of tables (N, P): base (P,) + conditions (N, C) @ expression (C, Q), base alone beyond Q."""

    def update_tables(
        self,
        base: Tensor,
        expression: Tensor,
        moments: Sequence[Moments],
        gradients: Tensor,
        conditions: Tensor,
        rates: AdamRates,
        columns: tuple[int, int],
    ) -> None:
        """One Adam step on columns of base and expression from gradients (N, P) of the blended tables.

        Columns whose gradients are 0 in all frames stay as they are, moments too (Müller et al. 2022, section 4): most
        entries are far from any sample.
        """


def choose_backend(
    name: str, device: str = "cpu", field: FieldKind = "blended", precision: PrecisionChoice = "auto"
) -> Operations:
    """The operations of a backend on "cpu" or "cuda"; "auto" takes the first of `automatic_backend`.

    Raises UsageError on an unknown name, Unavailable where the backend cannot run here, or not with this field or
    precision.
    """
    name = automatic_backend(device, field) if name == "auto" else name
    if name not in BACKENDS:
        raise UsageError(suggest("backend", name, ("auto", *BACKENDS)))
    _require_kind(name, field, precision)
    if name == "numba":
        from .accelerated import NumbaOperations

        return NumbaOperations()
    if name == "torch":
        from .reference import TorchOperations

        return TorchOperations(torch.device(device))
    factors: Literal["exact", "mixed"] = "exact" if precision == "float32" else "mixed"
    if name == "triton":
        _require_triton(device)
        from .triton_operations import TritonOperations

        return TritonOperations(torch.device(device), factors)
    _require_tinycudann(device)
    from .tinycuda import TinyCudaOperations

    return TinyCudaOperations(torch.device(device), factors)


def automatic_backend(device: str, field: FieldKind = "blended") -> str:
    """On CUDA tinycudann, else triton, where installed and made for the field; then numba; torch is the last resort."""
    with_triton = device.startswith("cuda") and field in GRID_FIELDS and _has_triton()
    preferred = GRID_BACKENDS[::-1] if with_triton else ()  # tinycudann draws rays with triton's kernels
    return next((name for name in (*preferred, "numba") if find_spec(name) is not None), "torch")


def _require_kind(name: str, field: FieldKind, precision: PrecisionChoice) -> None:
    """Raises Unavailable where a backend has no kernels for a field or a precision."""
    others = ", ".join(other for other in BACKENDS if other not in GRID_BACKENDS)
    if name in GRID_BACKENDS and field not in GRID_FIELDS:
        raise Unavailable(
            f"The {name} backend has no kernels for field {field!r}, only for {' and '.join(GRID_FIELDS)}. "
            f"Backends that have it: {others}. Use one of them, or --backend auto."
        )
    if name not in GRID_BACKENDS and precision == "mixed":
        raise Unavailable(
            f"The {name} backend computes in float32 only. Mixed precision: {', '.join(GRID_BACKENDS)}, on CUDA, with "
            f"field {' or '.join(GRID_FIELDS)}. Use one of them, or precision auto."
        )


def _has_triton() -> bool:
    """Whether a triton that can run these kernels is installed; older releases of torch bring older ones."""
    try:
        found = version("triton").split(".")
        return find_spec("triton") is not None and (int(found[0]), int(found[1])) >= TRITON_SINCE
    except (PackageNotFoundError, ValueError, IndexError):
        return False


def _require_triton(device: str) -> None:
    """Raises Unavailable without triton, and on a CPU outside of triton's interpreter."""
    if find_spec("triton") is None:
        raise Unavailable(
            "The triton backend needs the package triton: python -m pip install triton (Linux). Or use --backend auto."
        )
    if not _has_triton():
        raise Unavailable(f"The triton backend needs triton 3.4 or newer, here is {version('triton')}.")
    import triton

    if not device.startswith("cuda") and not triton.knobs.runtime.interpret:
        raise Unavailable("The triton backend runs on CUDA devices. Use --device cuda, or --backend auto.")


def _require_tinycudann(device: str) -> None:
    """Raises Unavailable without tinycudann and triton, whose kernels do the rest, and on a CPU."""
    if find_spec("tinycudann") is None:
        raise Unavailable(
            "The tinycudann backend needs the package tinycudann, which is not on the package index: build it from "
            "https://github.com/NVlabs/tiny-cuda-nn (bindings/torch). Or use --backend auto."
        )
    if not device.startswith("cuda"):
        raise Unavailable("The tinycudann backend runs on CUDA devices. Use --device cuda, or --backend auto.")
    _require_triton(device)


def zero_moments(tensor: Tensor) -> Moments:
    """Zero moments for a tensor."""
    return Moments(first=torch.zeros_like(tensor), second=torch.zeros_like(tensor))
