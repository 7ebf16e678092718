"""Whole frames on a CUDA device: a field over its backdrop at one image size, replayed as CUDA graphs.

Owns the static buffers that graphs need. Per frame a few numbers go to the device (condition, head pose, backdrop
features) and a frame with its opacity comes back. Without a GPU the same launches run eagerly in Triton's interpreter.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
import triton

from emobench.types import Camera, Floats, HeadPose, Image

from .backdrop import FEATURES, head_layer, view
from .field import Field
from .geometry import Box, pixel_directions
from .operations import Operations
from .triton_frame import compose
from .triton_operations import TritonOperations
from .triton_shapes import COLUMNS, WIDE

if TYPE_CHECKING:
    from .portrait import PortraitFrame, PortraitParts

VIEW = 12  # origin and matrix, as triton_frame.render_rays takes them
WARM_UP = 3  # launches before a recording: they compile the kernels and settle the allocator


class Painter:
    """Paints one frame at a time; calls from several threads wait for each other."""

    def __init__(
        self, parts: PortraitParts, field: Field, operations: TritonOperations, camera: Camera, *, graphs: bool = True
    ) -> None:
        device = operations.device
        self.parts, self.operations, self.camera = parts, operations, camera
        self.field = field.to(device, operations.factors.tables)
        pixels = camera.height * camera.width
        back = view(parts.backdrop, camera.height, camera.width)
        self.canonical, self.shift, self.residual, self.skip, self.directions = (
            torch.from_numpy(np.ascontiguousarray(array)).to(device)
            for array in (back.canonical, back.shift, back.residual, parts.skip, pixel_directions(camera))
        )
        on_gpu = device.type == "cuda"
        components = len(field.expression)
        self.given = torch.zeros(components + VIEW + FEATURES, pin_memory=on_gpu)  # on the host, then on the device
        self.numbers = torch.zeros_like(self.given, device=device)
        self.condition, self.view, self.features = torch.split(self.numbers, [components, VIEW, FEATURES])
        self.table = self.field.base.repeat(1, 1)
        self.decoder = replace(field.decoder, weights=self.field.decoder.weights.clone())
        self.head = torch.empty(pixels, 3, device=device)
        self.opacity = torch.empty(pixels, device=device)
        self.frame = torch.empty(camera.height, camera.width, 3, dtype=torch.uint8, device=device)
        pasted = (self.head,) if parts.config.backdrop == "paste" else ()
        self.sent = (self.frame, self.opacity, *pasted)  # what goes back to the host
        self.taken = tuple(torch.empty_like(tensor, device="cpu", pin_memory=on_gpu) for tensor in self.sent)
        self.lock = threading.Lock()
        self.stages: tuple[Callable[[], None], Callable[[], None]] = (self.draw_head, self.draw_frame)
        if on_gpu and graphs:
            self.stages = (_recorded(self.draw_head), _recorded(self.draw_frame))

    def blend(self) -> None:
        """Launch: the frame's table, or the frame's decoder, whichever the condition enters."""
        field = self.field
        if field.expression.shape[1]:
            self.operations.blend(
                field.base, field.expression, self.condition[None], (0, len(field.base)), self.table
            )
        if field.bias.shape[1]:
            first = self.decoder.first_bias
            torch.addmv(
                field.decoder.weights[first], field.bias.T, self.condition, out=self.decoder.weights[first]
            )

    def trace(self) -> None:
        """Launch: march, encoding, decoder and compositing of all rays."""
        parts, config = self.parts, self.parts.config
        self.operations.render_into(
            (self.head, self.opacity), self.view, self.directions, self.skip, self.table, self.decoder,
            self.field.layout, (self.camera.height, self.camera.width), config.step_mm, config.max_samples,
            parts.config.stop_transmittance,
        )  # fmt: skip

    def draw_head(self) -> None:
        """Launch: the head's colours and opacity."""
        self.blend()
        self.trace()

    def draw_frame(self) -> None:
        """Launch: the head over its backdrop."""
        height, width = self.frame.shape[:2]
        rows, columns = self.canonical.shape[:2]
        compose[(triton.cdiv(height * width, COLUMNS),)](
            self.canonical, self.shift, self.residual, self.features, self.head, self.opacity, self.frame, height,
            width, rows, columns, FEATURES=FEATURES, PIXELS=COLUMNS, **WIDE,
        )  # fmt: skip

    def send(self, condition: Floats, view: Floats, features: Floats) -> None:
        """Put a frame's numbers into the static buffers: condition (C,), view (12,), backdrop features (7,)."""
        self.given.copy_(torch.from_numpy(np.concatenate([condition, view, features])))
        self.numbers.copy_(self.given, non_blocking=True)

    def paint(
        self, condition: Floats, view: Floats, features: Floats
    ) -> tuple[Image, Floats, Floats | None, np.ndarray[tuple[int], np.dtype[np.float64]]]:
        """Frame (H, W, 3), opacity (H, W), the head alone where it is to be pasted back, and seconds of the field and
        of composition with the way back."""
        with self.lock:
            start = time.perf_counter()
            self.send(condition, view, features)
            self.stages[0]()
            middle = _Mark(self.numbers.device)
            self.stages[1]()
            for there, here in zip(self.sent, self.taken, strict=True):
                here.copy_(there, non_blocking=True)
            end = _Mark(self.numbers.device)
            composed = middle.seconds_until(end)
            frame, opacity, *head = (tensor.numpy().copy() for tensor in self.taken)
            total = time.perf_counter() - start
        opacity = opacity.reshape(frame.shape[:2])
        layer = head_layer(self.parts.config, head[0], opacity) if head else None
        return frame, opacity, layer, np.array([total - composed, composed])


class PaintedShot:
    """The frames of one render call; calling it with an index paints that frame."""

    def __init__(self, painter: Painter, parts: PortraitParts, alpha: Floats, pose: HeadPose) -> None:
        self.painter = painter
        self.conditions = parts.condition(alpha, pose)
        self.back_features = parts.backdrop.features(pose)
        self.views = [view_numbers(r, t, parts.box) for r, t in zip(pose.rotation, pose.translation, strict=True)]

    def __call__(self, index: int) -> tuple[PortraitFrame, np.ndarray[tuple[int], np.dtype[np.float64]]]:
        from .portrait import PortraitFrame

        frame, opacity, layer, seconds = self.painter.paint(
            self.conditions[index], self.views[index], self.back_features[index]
        )
        return PortraitFrame(frame=frame, head_alpha=opacity, head=layer), seconds


def new_painter(parts: PortraitParts, field: Field, operations: Operations, camera: Camera) -> Painter:
    """A painter of frames of `camera`'s size. Raises TypeError where the backend has no kernels for whole frames."""
    if not isinstance(operations, TritonOperations):
        raise TypeError(f"The backend {operations.name!r} paints no whole frames.")
    return Painter(parts, field, operations, camera)


def view_numbers(rotation: Floats, translation: Floats, box: Box) -> Floats:
    """(12,): origin of a head's rays in its box, and the matrix that turns camera-space directions into it."""
    scale = 1 / box.size
    origin = (-(translation @ rotation) - box.low) * scale
    numbers: Floats = np.concatenate([origin, (rotation * scale).reshape(-1)]).astype(np.float32)
    return numbers


class _Mark:
    """A moment on a device's stream, or now on the host."""

    def __init__(self, device: torch.device) -> None:
        on_gpu = device.type == "cuda"
        self.event = torch.cuda.Event(enable_timing=True) if on_gpu else None  # type: ignore[no-untyped-call]
        self.now = time.perf_counter()
        if self.event is not None:
            self.event.record()

    def seconds_until(self, later: _Mark) -> float:
        """Waits for `later`."""
        if self.event is None or later.event is None:
            return later.now - self.now
        later.event.synchronize()
        milliseconds: float = self.event.elapsed_time(later.event)
        return milliseconds / 1000


def _recorded(stage: Callable[[], None]) -> Callable[[], None]:
    """The launches of a stage as one CUDA graph."""
    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(WARM_UP):
            stage()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        stage()
    replay: Callable[[], None] = graph.replay
    return replay
