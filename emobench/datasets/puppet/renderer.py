"""From α and head pose to frames and layers: poses the mesh, rasterises, shades. One subject, one size, one thread."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emobench.types import Frames, HeadPose

from .head_model import build_head
from .lighting import SHADOW_TEXELS, backdrop, studio_lights
from .materials import Look, paint
from .raster import rasterise, rasterise_depth, to_screen, vertex_normals
from .samples import Attribute, count_samples, gather_samples, resolve
from .shading import displayed, shade, tone_table
from .surface import HEAD_BOTTOM, Array
from .texture import linear
from .view import CAMERA_POSITION, FIELD_MM, studio_camera, to_camera

BATCH_FRAMES = 8  # frames posed at once
EDGE_PIXELS = 2.5  # depth step, in pixel widths, above which a pixel counts as an edge
EAR_TINT = (1.02, 0.86, 0.84)
IRIS_GAIN = 1.1
FAR = -1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One rendered frame with its layers, all uint8."""

    frame: NDArray[np.uint8]  # (H, W, 3)
    head_alpha: NDArray[np.uint8]  # (H, W)
    head: Frames  # (H, W, 3)
    back: Frames


class Renderer:
    """Renders one subject at one size; building it takes about two seconds."""

    def __init__(self, subject: str, size_px: int, supersampling: int) -> None:
        self.model = build_head(subject, size_px)
        self.camera = studio_camera(size_px)
        self._n = supersampling
        self._lights = studio_lights()
        self._table = tone_table()
        self._wall = displayed(backdrop(self.model.identity, size_px), self._table)
        samples = (size_px * supersampling, size_px * supersampling)
        self._nearness, self._seen = np.zeros(samples), np.zeros(samples, np.int32)
        self._weights = np.zeros((*samples, 2), np.float32)
        self._counts = np.zeros((size_px, size_px), np.int8)
        self._shadow = np.zeros((SHADOW_TEXELS, SHADOW_TEXELS), np.float32)
        self._vertices = self._packed()
        self._normals = np.zeros((len(self._vertices), 3))

    def _packed(self) -> NDArray[np.float32]:
        mesh = self.model.mesh
        vertices = np.zeros((len(mesh.height), Attribute.COUNT), np.float32)
        vertices[:, Attribute.UV : Attribute.FACE] = mesh.uv
        vertices[:, Attribute.FACE : Attribute.LOCAL] = mesh.face
        vertices[:, Attribute.LOCAL : Attribute.OCCLUSION] = mesh.local
        vertices[:, Attribute.HEIGHT] = mesh.height
        return vertices

    def render(self, alpha: NDArray[np.float32], pose: HeadPose) -> Iterator[Picture]:
        """Frames of α (T, 49) and T head poses, in order."""
        for start in range(0, len(alpha), BATCH_FRAMES):
            chunk = slice(start, start + BATCH_FRAMES)
            part = HeadPose(rotation=pose.rotation[chunk], translation=pose.translation[chunk])
            points, occlusion = self.model.pose(alpha[chunk])
            placed = self.place(points, part)
            for index in range(len(placed)):
                opening = self.model.mouth_opening(points[index])
                yield self._picture(placed[index], occlusion[index], alpha[start + index], opening)

    def place(self, points: Array, pose: HeadPose) -> Array:
        """(T, n, 3) in camera space: the head follows its pose, the shoulders stay, the neck twists between."""
        follows = self.model.mesh.follows_head[:, None]
        return np.asarray(to_camera(points, pose) * follows + (points - CAMERA_POSITION) * (1 - follows))

    def _picture(
        self, placed: Array, occlusion: NDArray[np.float32], alpha: NDArray[np.float32], opening: float
    ) -> Picture:
        """One frame of vertices (n, 3) in camera space."""
        studio = placed + CAMERA_POSITION
        self._see(placed, studio)
        self._vertices[:, Attribute.POSITION : Attribute.NORMAL] = studio
        vertex_normals(placed, self.model.mesh.triangles, self._normals)
        self._vertices[:, Attribute.NORMAL : Attribute.UV] = self._normals
        self._vertices[:, Attribute.OCCLUSION] = occlusion
        samples, kinds = self._sample()
        look = self._look(alpha, opening)
        surfels = paint(samples, kinds, look)
        colours = shade(
            samples, kinds, surfels, look.hair, self._lights, self._shadow, CAMERA_POSITION, self._table
        )  # fmt: skip
        return self._resolve(samples, colours)

    def _see(self, placed: Array, studio: Array) -> None:
        """Rasterise from the camera and from the key light."""
        mesh = self.model.mesh
        self._nearness[:] = 0
        self._seen[:] = -1
        screen = to_screen(placed, self.camera, self._n)
        rasterise(screen, mesh.triangles, self._nearness, self._seen, self._weights)
        axes = self._lights.shadow_axes
        self._shadow[:] = FAR
        from_light = np.ascontiguousarray(studio @ axes[:, :3].T + axes[:, 3])
        rasterise_depth(from_light, mesh.triangles, mesh.casts_shadow, self._shadow)

    def _sample(self) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
        """Shading samples (K, 15) and their materials (K,)."""
        mesh, size = self.model.mesh, self.camera.width
        tolerance_mm = EDGE_PIXELS * FIELD_MM / size
        count = count_samples(self._seen, self._nearness, mesh.material, tolerance_mm, self._counts)
        samples, kinds = np.empty((count, Attribute.COUNT), np.float32), np.empty(count, np.int8)
        gather_samples(
            self._seen, self._weights, mesh.triangles, mesh.material, self._vertices, self._counts, samples, kinds
        )
        return samples, kinds

    def _resolve(self, samples: NDArray[np.float32], colours: NDArray[np.float32]) -> Picture:
        size = self.camera.width
        picture = Picture(
            frame=np.empty((size, size, 3), np.uint8), head_alpha=np.empty((size, size), np.uint8),
            head=np.empty((size, size, 3), np.uint8), back=np.empty((size, size, 3), np.uint8),
        )  # fmt: skip
        resolve(
            self._counts, samples, colours, self._wall, self._n**2, HEAD_BOTTOM, picture.frame, picture.head_alpha,
            picture.head, picture.back,
        )  # fmt: skip
        return picture

    def _look(self, alpha: NDArray[np.float32], opening: float) -> Look:
        who = self.model.identity
        return Look(
            texture=self.model.texture, wrinkles=self.model.wrinkles.combine(alpha), iris=linear(who.iris) * IRIS_GAIN,
            hair=linear(who.hair), ear=linear(who.skin) * np.array(EAR_TINT), mouth_opening=opening,
        )  # fmt: skip
