"""One identity as a mesh that can be posed: skin, hair and parts in one vertex list, with all that shading needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .action_units import FRONT_HIGH, FRONT_LOW, FRONT_PHI
from .alpha import GAZE_X, GAZE_Y, TONGUE
from .ears import ear
from .hair import above_hairline, loose_hair, thickness
from .identity import IDENTITIES, Identity
from .lashes import Lashes, grow_lashes, place_lashes
from .motion import smoothstep
from .mouth import lining, mouth_parts, place_lining
from .parts import Material, Part, Strip, eyeballs, place_strip, strip_triangles, strips
from .raster import vertex_normals
from .rig import Rig, deform, jaw_degrees, make_rig, turn_jaw
from .surface import Array, Surface, bump, template_height
from .template import Template, build_template
from .texture import paint_texture, reduction, uv_of
from .view import rotations
from .wrinkles import WrinkleMaps, build_wrinkles, face_uv

GAZE_YAW, GAZE_PITCH = np.radians(28), np.radians(24)  # of the eyeballs at gaze 1
TONGUE_RISE = np.array([0.0, 12.0, 4.5])  # mm at the tip
TEETH_FOLLOW = 0.95  # share of the jaw's angle that lower teeth and tongue take
TORSO_BELOW, TORSO_FULL = -118.0, -178.0  # template heights between which the neck twists
SHOULDERS_FOLLOW = 0.15  # share of the head's motion that the shoulders take
OUTSIDE = -1.0  # face coordinate of vertices without wrinkles


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshArrays:
    """What stays the same in every frame, by vertex (n) or triangle (m)."""

    triangles: NDArray[np.int32]  # (m, 3)
    material: NDArray[np.int8]  # (m,)
    casts_shadow: NDArray[np.bool_]  # (m,)
    uv: NDArray[np.float32]  # (n, 2) skin texture
    face: NDArray[np.float32]  # (n, 2) wrinkle maps, −1 outside
    local: NDArray[np.float32]  # (n, 3) eye direction, tooth or strand coordinates
    occlusion: NDArray[np.float32]  # (n,) at rest
    height: NDArray[np.float32]  # (n,) template height: below HEAD_BOTTOM is torso
    follows_head: Array  # (n,) share of the head's motion: 1 on the head, SHOULDERS_FOLLOW on the shoulders
    strands: NDArray[np.int64]  # (k, 3) vertices of hair with their neighbours towards root and tip


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadModel:
    """Use `build_head`. Positions are in head space, mm."""

    identity: Identity
    surface: Surface
    template: Template
    rig: Rig
    hair_offset: Array  # (n_skin, 3)
    parts: dict[str, tuple[Part, slice]]
    strips: tuple[tuple[Strip, slice], ...]
    lashes: tuple[tuple[Lashes, slice], ...]
    mesh: MeshArrays
    texture: NDArray[np.float32]
    wrinkles: WrinkleMaps

    def pose(self, alpha: NDArray[np.float32]) -> tuple[Array, NDArray[np.float32]]:
        """(T, n, 3) vertices and (T, n) occlusion for α (T, 49), before the head turns."""
        frames = len(alpha)
        points = np.empty((frames, len(self.mesh.height), 3))
        skin = deform(self.rig, self.surface, alpha, self.hair_offset)
        points[:, : skin.shape[1]] = skin
        occlusion = np.repeat(self.mesh.occlusion[None], frames, axis=0)
        for part, where in self.parts.values():
            points[:, where] = part.vertices
            if part.motion == "jaw":
                points[:, where] += _tongue_lift(part, alpha)
                turn_jaw(points[:, where], np.ones(len(part.vertices)), jaw_degrees(alpha) * TEETH_FOLLOW)
            elif part.motion != "head":
                centre = self.surface.eye_centre(1 if part.motion == "eye_left" else -1)
                turned = _turned_eye(part.vertices - centre, alpha)
                points[:, where] = turned + centre
                occlusion[:, where] = _lid_shadow(turned)
        for strip, where in self.strips:
            is_lining = strip.kind == "lining"
            points[:, where] = (
                place_lining(skin[:, strip.contour]) if is_lining else place_strip(strip, skin, self.surface)
            )
        for lashes, where in self.lashes:
            points[:, where] = place_lashes(lashes, skin, self.surface)
        return points, occlusion

    def mouth_opening(self, points: Array) -> float:
        """0..1 gap between the lips of one frame's vertices (n, 3)."""
        pairs = self.template.lip_pairs
        gap = (points[pairs[:, 0], 1] - points[pairs[:, 1], 1]).max()
        return float(np.clip(gap / 14, 0, 1))


def _tongue_lift(part: Part, alpha: NDArray[np.float32]) -> Array:
    if part.material != Material.TONGUE:
        return np.zeros((1, 1, 3))
    along = part.local[:, 1]
    shape = TONGUE_RISE * np.stack([0 * along, along**2, along], axis=1)
    return np.asarray(alpha[:, TONGUE, None, None].astype(np.float64) * shape)


def _turned_eye(relative: Array, alpha: NDArray[np.float32]) -> Array:
    gaze = alpha.astype(np.float64)
    angles = np.stack([GAZE_YAW * gaze[:, GAZE_X], -GAZE_PITCH * gaze[:, GAZE_Y], np.zeros(len(alpha))], axis=1)
    return np.asarray(relative @ rotations(angles).transpose(0, 2, 1))


def _lid_shadow(relative: Array) -> NDArray[np.float32]:
    """The lids shade the eyeball: strongly from above, a little from below and at the corners."""
    x, y = relative[..., 0], relative[..., 1]
    shade = (1 - 0.62 * smoothstep(1.5, 6.5, y)) * (1 - 0.25 * smoothstep(-2, -5.5, y))
    return np.asarray(shade * (1 - 0.35 * smoothstep(8, 12, np.abs(x))), np.float32)


def build_head(subject: str, size_px: int) -> HeadModel:
    """Mesh, rig, texture and wrinkle maps of a subject for frames of a size; takes about two seconds."""
    identity = IDENTITIES[subject]
    surface = Surface(identity)
    template = build_template(surface)
    rig = make_rig(surface, template.points, template.lip_pairs)
    builder = _Builder(surface, template)
    parts = {name: (part, builder.add_part(part)) for name, part in _all_parts(surface, size_px).items()}
    placed = tuple((strip, builder.add_strip(strip)) for strip in (*strips(template), lining(template)))
    lashes = tuple(
        (each, builder.add(each.n_vertices, each.triangles, Material.LASH, 1.0))
        for each in grow_lashes(surface, template, size_px)
    )
    return HeadModel(
        identity=identity, surface=surface, template=template, rig=rig,
        hair_offset=_hair_offset(identity, template, rig),
        parts=parts, strips=placed, lashes=lashes, mesh=builder.arrays(),
        texture=paint_texture(surface, size_px), wrinkles=build_wrinkles(surface, reduction(size_px)),
    )  # fmt: skip


def _all_parts(surface: Surface, size_px: int) -> dict[str, Part]:
    ears = {"ear_left": ear(surface, 1), "ear_right": ear(surface, -1)}
    hair = {f"hair_{i}": part for i, part in enumerate(loose_hair(surface, size_px))}
    return eyeballs(surface) | mouth_parts(surface) | ears | hair


def _hair_offset(identity: Identity, template: Template, rig: Rig) -> Array:
    normals = np.zeros_like(rig.rest)
    vertex_normals(rig.rest, template.triangles.astype(np.int32), normals)
    points = template.points
    return np.asarray(normals * thickness(identity, points.phi, points.v)[:, None])


class _Builder:
    """Collects vertices' attributes and triangles of skin, parts and strips."""

    def __init__(self, surface: Surface, template: Template) -> None:
        points = template.points
        self._skin = len(points.phi)
        y, _ = template_height(points.v)
        x = surface.template_points(points.phi, points.v)[:, 0]
        front = (np.abs(points.phi) < FRONT_PHI) & (points.v > FRONT_LOW) & (points.v < FRONT_HIGH)
        self._triangles = [template.triangles]
        self._material = [np.full(len(template.triangles), Material.SKIN)]
        self._casts = [np.ones(len(template.triangles), bool)]
        self._uv = [uv_of(points.phi, points.v)]
        self._face = [np.where(front[:, None], face_uv(x, y), OUTSIDE).astype(np.float32)]
        self._local: list[Array] = [np.zeros((self._skin, 3))]
        self._occlusion = [_skin_occlusion(surface, template, x, y, front)]
        self._height = [points.v]
        self._strands: list[NDArray[np.int64]] = [np.zeros((0, 3), np.int64)]
        self._count = self._skin

    def add(self, n: int, triangles: NDArray[np.int64], material: Material, occlusion: float | Array) -> slice:
        """Room for n vertices with local triangles."""
        first, self._count = self._count, self._count + n
        self._triangles.append(triangles + first)
        self._material.append(np.full(len(triangles), material))
        self._casts.append(np.full(len(triangles), material not in (Material.EYE, Material.LASH)))
        self._uv.append(np.zeros((n, 2), np.float32))
        self._face.append(np.full((n, 2), OUTSIDE, np.float32))
        self._local.append(np.zeros((n, 3)))
        self._occlusion.append(np.broadcast_to(np.asarray(occlusion, np.float64), (n,)).copy())
        self._height.append(np.zeros(n))
        return slice(first, first + n)

    def add_part(self, part: Part) -> slice:
        where = self.add(len(part.vertices), part.triangles, part.material, part.occlusion)
        if part.casts is not None:
            self._casts[-1] &= part.casts
        self._local[-1] = part.local
        if part.uv is not None and part.tone is not None:
            self._uv[-1], self._face[-1] = part.uv.astype(np.float32), part.tone.astype(np.float32)
        if part.behind is not None and part.ahead is not None:
            rows = np.stack([np.arange(len(part.vertices)), part.behind, part.ahead], axis=1)
            self._strands.append(rows + where.start)
        return where

    def add_strip(self, strip: Strip) -> slice:
        k = len(strip.contour)
        first = self._count
        where = self.add(k * strip.n_rows, strip_triangles(strip, 0), strip.material, np.repeat(strip.occlusion, k))
        self._triangles[-1] = strip_triangles(strip, first)
        self._uv[-1] = np.tile(self._uv[0][strip.contour], (strip.n_rows, 1))
        return where

    def arrays(self) -> MeshArrays:
        height, material = np.concatenate(self._height), np.concatenate(self._material)
        follows: Array = np.ones(self._count)
        twist = smoothstep(TORSO_FULL, TORSO_BELOW, height[: self._skin])
        follows[: self._skin] = SHOULDERS_FOLLOW + (1 - SHOULDERS_FOLLOW) * twist
        return MeshArrays(
            triangles=np.concatenate(self._triangles).astype(np.int32), material=material.astype(np.int8),
            casts_shadow=np.concatenate(self._casts),
            uv=np.concatenate(self._uv), face=np.concatenate(self._face),
            local=np.concatenate(self._local).astype(np.float32),
            occlusion=np.concatenate(self._occlusion).astype(np.float32), height=height.astype(np.float32),
            follows_head=follows, strands=np.concatenate(self._strands),
        )  # fmt: skip


def _skin_occlusion(surface: Surface, template: Template, x: Array, y: Array, front: NDArray[np.bool_]) -> Array:
    """Baked ambient occlusion: canthus, sockets, nostrils, lip corners, under jaw and hair."""
    nose, mouth = surface.identity.nose_width, surface.mouth_half_width
    open_ = np.ones(len(x))
    for amount, cx, cy, sx, sy in (
        (0.30, 15, 2, 4.5, 6), (0.22, 30, 10.5, 13, 3.2), (0.12, 31, -8, 13, 5), (0.30, 6.3 * nose, -43.4, 2.6, 1.5),
        (0.30, 18.0 * nose, -38, 1.6, 5), (0.18, 0, -47.5, 9, 2.0), (0.22, 0, -81, 13, 4), (0.25, mouth + 1, -66, 3, 3),
    ):  # fmt: skip
        open_ -= front * amount * bump(x, y, cx, cy, sx, sy)
    v = template.points.v
    open_ *= 1 - 0.55 * smoothstep(4, -14, v - surface.jaw_line(template.points.phi)) * smoothstep(-190, -135, v)
    open_ *= 1 - 0.30 * smoothstep(-20, 4, above_hairline(surface.identity, template.points.phi, v))  # below locks
    open_[template.points.lip != 0] = 0.45
    return np.clip(open_, 0.15, 1)


