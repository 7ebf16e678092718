"""From α and head pose to frames and layers: poses the mesh, rasterises, shades. One subject, one size, one thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emobench.types import Frames, HeadPose

from .hair import shine
from .head_model import build_head
from .lighting import SHADOW_TEXELS
from .materials import Look, paint
from .raster import rasterise, rasterise_depth, to_light, to_screen, vertex_normals
from .samples import Attribute, count_samples, gather_samples, nearest_depth, resolve
from .shading import displayed, shade, tone_table
from .stage import Stage, studio_stage
from .surface import HEAD_BOTTOM, Array
from .texture import linear
from .view import CAMERA_POSITION, FIELD_MM, orbit, studio_camera, to_camera

BATCH_FRAMES = 8  # frames posed at once
EDGE_PIXELS = 2.5  # depth step, in pixel widths, above which a pixel counts as an edge
EAR_TINT = (1.02, 0.86, 0.84)
IRIS_GAIN = 1.1
FAR = -1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One rendered frame with its layers and its geometry, from one rasterisation."""

    frame: NDArray[np.uint8]  # (H, W, 3)
    head_alpha: NDArray[np.uint8]  # (H, W) coverage
    torso_alpha: NDArray[np.uint8]  # (H, W); head + torso + background = 255
    head: Frames  # (H, W, 3)
    back: Frames
    depth: NDArray[np.uint16]  # (H, W) 0.1 mm along the optical axis to the nearest sample, 0 = background


class Renderer:
    """Renders one subject at one size; building it takes about two seconds."""

    def __init__(self, subject: str, size_px: int, supersampling: int) -> None:
        self.model = build_head(subject, size_px)
        self.camera = studio_camera(size_px)
        self._n = supersampling
        self._table = tone_table()
        self._use(studio_stage(self.model.identity, size_px))
        samples = (size_px * supersampling, size_px * supersampling)
        self._nearness, self._seen = np.zeros(samples), np.zeros(samples, np.int32)
        self._counts = np.zeros((size_px, size_px), np.int8)
        self._shadow = np.zeros((SHADOW_TEXELS, SHADOW_TEXELS), np.float32)
        self._vertices = self._packed()
        self._normals = np.zeros((len(self._vertices), 3))

    def _use(self, stage: Stage) -> None:
        self._lights, self._wall = stage.lights, displayed(stage.wall, self._table)

    def _packed(self) -> NDArray[np.float32]:
        mesh = self.model.mesh
        vertices = np.zeros((len(mesh.height), Attribute.COUNT), np.float32)
        vertices[:, Attribute.UV : Attribute.FACE] = mesh.uv
        vertices[:, Attribute.FACE : Attribute.LOCAL] = mesh.face
        vertices[:, Attribute.LOCAL : Attribute.OCCLUSION] = mesh.local
        vertices[:, Attribute.HEIGHT] = mesh.height
        return vertices

    def render(
        self, alpha: NDArray[np.float32], pose: HeadPose, *, stage: Stage | None = None, yaws: Sequence[float] = (0.0,)
    ) -> Iterator[Picture]:
        """Frames of α (T, 49) and T head poses, in order; each as the cameras at `yaws` (rad, view.orbit) see it.

        Without a stage the studio's own light and wall are used.
        """
        self._use(stage or studio_stage(self.model.identity, self.camera.width))
        for start in range(0, len(alpha), BATCH_FRAMES):
            chunk = slice(start, start + BATCH_FRAMES)
            part = HeadPose(rotation=pose.rotation[chunk], translation=pose.translation[chunk])
            points, occlusion = self.model.pose(alpha[chunk])
            studio = self.place(points, part)
            for index in range(len(studio)):
                look = self._look(alpha[start + index], self.model.mouth_opening(points[index]))
                self._light(studio[index], occlusion[index])
                for yaw in yaws:
                    yield self._picture(studio[index], look, yaw)

    def place(self, points: Array, pose: HeadPose) -> Array:
        """(T, n, 3) in the studio: the head follows its pose, the shoulders a little, the neck twists between."""
        follows = self.model.mesh.follows_head[:, None]
        return np.asarray((to_camera(points, pose) + CAMERA_POSITION) * follows + points * (1 - follows))

    def _light(self, studio: Array, occlusion: NDArray[np.float32]) -> None:
        """Shadow map and vertex attributes of one frame: the same for every camera."""
        mesh, axes = self.model.mesh, self._lights.shadow_axes
        self._shadow[:] = FAR
        rasterise_depth(to_light(studio, axes), mesh.triangles, mesh.casts_shadow, self._shadow)
        vertex_normals(studio, mesh.triangles, self._normals)
        self._vertices[:, Attribute.POSITION : Attribute.NORMAL] = studio
        self._vertices[:, Attribute.NORMAL : Attribute.UV] = self._normals
        self._vertices[:, Attribute.OCCLUSION] = occlusion
        lock, rootward, tipward = mesh.strands.T
        self._vertices[lock, Attribute.LOCAL : Attribute.OCCLUSION] = studio[tipward] - studio[rootward]

    def _picture(self, studio: Array, look: Look, yaw: float) -> Picture:
        """One frame of vertices (n, 3) in the studio, lit by `_light`."""
        position, axes = orbit(yaw)
        samples, kinds = self._sample(self._see(studio, position, axes))
        surfels = paint(samples, kinds, look)
        colours = shade(samples, kinds, surfels, look.hair, self._lights, self._shadow, position, self._table)
        return self._resolve(samples, colours)

    def _see(self, studio: Array, position: Array, axes: Array) -> Array:
        """Rasterise vertices (n, 3) as a camera sees them; returns them on its screen, see raster.to_screen."""
        self._nearness[:] = 0
        self._seen[:] = -1
        screen = to_screen(studio, position, axes, self.camera, self._n)
        rasterise(screen, self.model.mesh.triangles, self._nearness, self._seen)
        return screen

    def _sample(self, screen: Array) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
        """Shading samples (K, 15) and their materials (K,) of what `_see` saw."""
        mesh, size = self.model.mesh, self.camera.width
        tolerance_mm = EDGE_PIXELS * FIELD_MM / size
        count = count_samples(self._seen, self._nearness, mesh.material, tolerance_mm, self._counts)
        samples, kinds = np.empty((count, Attribute.COUNT), np.float32), np.empty(count, np.int8)
        gather_samples(
            self._seen, self._nearness, screen, mesh.triangles, mesh.material, self._vertices, self._counts, samples,
            kinds,
        )  # fmt: skip
        return samples, kinds

    def _resolve(self, samples: NDArray[np.float32], colours: NDArray[np.float32]) -> Picture:
        size = self.camera.width
        picture = Picture(
            frame=np.empty((size, size, 3), np.uint8), head_alpha=np.empty((size, size), np.uint8),
            torso_alpha=np.empty((size, size), np.uint8), head=np.empty((size, size, 3), np.uint8),
            back=np.empty((size, size, 3), np.uint8), depth=np.empty((size, size), np.uint16),
        )  # fmt: skip
        resolve(
            self._counts, samples, colours, self._wall, self._n**2, HEAD_BOTTOM, picture.frame, picture.head_alpha,
            picture.torso_alpha, picture.head, picture.back,
        )  # fmt: skip
        nearest_depth(self._nearness, self._n, picture.depth)
        return picture

    def _look(self, alpha: NDArray[np.float32], opening: float) -> Look:
        who = self.model.identity
        return Look(
            texture=self.model.texture, wrinkles=self.model.wrinkles.combine(alpha), iris=linear(who.iris) * IRIS_GAIN,
            hair=linear(who.hair), hair_shine=shine(who, self.camera.width), ear=linear(who.skin) * np.array(EAR_TINT),
            mouth_opening=opening,
        )  # fmt: skip
