"""Centre lines of locks: they leave the scalp, follow comb and gravity, and lie over the head. Knows no triangles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from .hair_groom import Groom
from .hair_scalp import Scalp
from .motion import smoothstep
from .surface import Array, Surface

DOWN = np.array([0.0, -1.0, 0.0])
INWARDS = 0.45  # how strongly free hair falls back towards the neck, relative to half its weight
CLEAR_MM = 1.0  # locks never come closer to the skin beyond their roots
FACE_TOP, FACE_SIDE = 46.0, 0.90  # locks stay out of the face: below this height, outside this share of its half width
SIDE_MM, SIDE_SOFT_MM = 92.0, 10.0  # hair reaches softly to the sum of both, either side
COIL_LENGTH_MM = 10.0  # shorter curls are narrower
RELAXED_ROWS = 9  # shorter locks keep their bends
FOREHEAD = (50.0, 57.0)  # half width and height that parted hair leaves free
FLAT_MM = 24.0  # from the parting to full volume
APART_MM = 500.0  # keeps clumps from reaching across the parting
FACE_FRONT_Z = -2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Locks:
    """n locks of r points each, from root to tip."""

    points: Array  # (n, r, 3) mm
    normals: Array  # (n, r, 3) unit, away from the head
    width: Array  # (n,) mm at the widest
    tone: Array  # (n,) −1 dark .. 1 bright


def grow_locks(
    surface: Surface, scalp: Scalp, groom: Groom, density: Array, share: float, rng: np.random.Generator
) -> Locks:
    """Grow `share` of a groom's locks, wider in turn, from roots drawn by `density` (of the scalp's samples, 0..1)."""
    roots = scalp.roots(rng, density, int(groom.count * share))
    n = len(roots)
    start, normal = scalp.points[roots], scalp.normals[roots]
    length = _lengths(groom, start) * np.clip(rng.normal(1, groom.ragged, n), 0.45, 1.5)
    length *= 0.45 + 0.55 * np.sqrt(density[roots])
    stray = rng.random(n) < groom.flyaways
    layer = np.clip(rng.random(n) * 0.75 + 0.35 * smoothstep(20, 110, start[:, 1]), 0, 1)
    if groom.parting is not None:  # flat along the parting
        layer *= smoothstep(0, FLAT_MM, np.abs(start[:, 0] - _line(groom, start)))
    top = CLEAR_MM + groom.volume * (0.15 + 0.85 * layer) + 1.5 * stray * rng.random(n)
    comb = _disturbed(_combed(groom, start), groom.disorder * (1 + 1.0 * stray), rng)
    path, normals = _fall(surface, scalp, groom, start, normal, comb, length, top)
    path = _cut(path, groom.lowest + groom.uneven * np.clip(rng.normal(0, 1, n), -1.4, 1.4))
    path = _clumped(groom, path, _side(groom, start), stray, rng)
    path = _shaped(groom, path, normals, start, rng)
    width = groom.width / share * (0.35 + 0.65 * density[roots])  # finer at the hairline
    width *= rng.uniform(0.65, 1.25, n) * np.where(stray, 0.3, 1.0)
    tone = np.clip(rng.normal(0, 0.33, n) - 0.4 * (1 - layer) + 0.2, -1, 1)
    kept = np.ones(n, bool) if groom.parting is None else ~_over_forehead(path)
    return Locks(points=path[kept], normals=normals[kept], width=width[kept], tone=tone[kept])


def _lengths(groom: Groom, start: Array) -> Array:
    _, y, z = start.T
    front = smoothstep(15, 45, z) * smoothstep(35, 60, y)
    nape = smoothstep(-10, -55, y)
    side = smoothstep(70, 25, y) * (1 - nape)
    top = 1 - np.maximum(side, nape)
    long_ = groom.length_top * (1 - front) + groom.length_front * front
    return np.asarray(top * long_ + side * groom.length_side + nape * groom.length_nape)


def _combed(groom: Groom, start: Array) -> Array:
    """(n, 3) direction a lock is combed at its root."""
    x, y, z = start.T
    hanging = smoothstep(75, 30, y)[:, None]
    if groom.parting is None:
        top = np.broadcast_to(np.array(groom.comb), start.shape)
    else:
        sideways = np.tanh((x - _line(groom, start)) / 4.0)
        rear = smoothstep(10, -70, z)
        top = np.stack([sideways * (1 - 0.55 * rear), -0.2 - 0 * x, -groom.away - 0.8 * rear], axis=1)
    return np.asarray(top * (1 - hanging) + np.array(groom.side_comb) * hanging)


def _disturbed(direction: Array, amount: Array, rng: np.random.Generator) -> Array:
    direction = direction / np.linalg.norm(direction, axis=1, keepdims=True)
    noise = rng.normal(0, 1, direction.shape) * np.broadcast_to(amount, (len(direction),))[:, None]
    return _unit(direction + noise)


def _unit(vectors: Array) -> Array:
    return np.asarray(vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-9))


def _fall(
    surface: Surface, scalp: Scalp, groom: Groom, start: Array, normal: Array, comb: Array, length: Array, top: Array
) -> tuple[Array, Array]:
    """Step along every lock at once; returns points and head normals (n, r, 3)."""
    rows = groom.rows
    step = (length / (rows - 1))[:, None]
    point = start - 0.4 * normal
    heading = _unit(comb - (comb * normal).sum(1, keepdims=True) * normal)
    heading = _unit(heading + groom.lift * normal)
    path, normals = [point], [normal]
    walked = np.zeros(len(start))
    for index in range(1, rows):
        share = index / (rows - 1)
        free = smoothstep(40, -10, path[-1][:, 1])[:, None] * groom.gravity  # hangs straight below the ears
        wish = comb * (1 - share) * (1 - free) + groom.gravity * (0.4 + share) * DOWN
        wish = wish + free * (2 * DOWN - INWARDS * np.sign(path[-1][:, :1]) * np.array([1.0, 0.0, 0.0]))
        wish -= np.minimum((wish * normals[-1]).sum(1, keepdims=True), 0) * normals[-1]
        heading = _unit(heading * (1 - groom.bend) + groom.bend * _unit(wish))
        point = path[-1] + heading * step
        walked = walked + step[:, 0]
        contact = scalp.contact(point)
        floor = CLEAR_MM + (top - CLEAR_MM) * np.minimum(walked / groom.pile, 1.0)
        low, high = np.maximum(floor - contact.height, 0), np.maximum(contact.height - floor - 3.0, 0)
        held = smoothstep(-20, 20, point[:, 1])  # above the ears hair lies on the head, below it hangs free
        point = point + contact.normal * (low - 0.5 * high * held)[:, None]
        point = _out_of_face(surface, point, start, groom)
        heading = _unit(point - path[-1])
        path.append(point)
        normals.append(contact.normal)
    return _relaxed(np.stack(path, axis=1)), _smooth(np.stack(normals, axis=1))


def _cut(path: Array, lowest: Array) -> Array:
    """End every lock (n, r, 3) where it falls below its lowest height (n,), its points spread over what remains."""
    rows = path.shape[1]
    cut = path.copy()
    for index in np.flatnonzero(path[..., 1].min(axis=1) < lowest):
        y = path[index, :, 1]
        below = max(int(np.argmax(y < lowest[index])), 1)
        end = below - 1 + np.clip((y[below - 1] - lowest[index]) / max(y[below - 1] - y[below], 1e-6), 0, 1)
        at = np.linspace(0, end, rows)
        for axis in range(3):
            cut[index, :, axis] = np.interp(at, np.arange(rows), path[index, :, axis])
    return cut


def _out_of_face(surface: Surface, point: Array, start: Array, groom: Groom) -> Array:
    """Locks of parted hair are pushed sideways, out of the face."""
    if groom.parting is None:
        return point
    y = point[:, 1]
    edge = surface.half_width(np.maximum(y, -40)) * (FACE_SIDE + 0.06 * smoothstep(0, -60, y))
    needed = smoothstep(FACE_TOP + 22, FACE_TOP - 10, y) * smoothstep(FACE_FRONT_Z - 12, FACE_FRONT_Z + 8, point[:, 2])
    side = _side(groom, start)
    short_by = np.maximum(edge - side * point[:, 0], 0) * needed
    moved = point.copy()
    moved[:, 0] += side * short_by
    return moved


def _relaxed(path: Array) -> Array:
    """Bends of a lock evened out; its ends stay."""
    if path.shape[1] < RELAXED_ROWS:
        return path
    for _ in range(2):
        path = path.copy()
        path[:, 1:-1] = (path[:, :-2] + 2 * path[:, 1:-1] + path[:, 2:]) / 4
    return path


def _smooth(values: Array) -> Array:
    padded = np.concatenate([values[:, :1], values, values[:, -1:]], axis=1)
    return _unit(padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:])


def _over_forehead(path: Array) -> NDArray[np.bool_]:
    """(n,) locks that would cross the forehead."""
    x, y, z = np.moveaxis(path, -1, 0)
    half_width, height = FOREHEAD
    return np.asarray(((np.abs(x) < half_width) & (y < height) & (z > 15)).any(axis=1))


def _side(groom: Groom, start: Array) -> Array:
    """(n,) +1 where hair falls to the subject's left of the parting, else −1."""
    return np.where(start[:, 0] > _line(groom, start), 1.0, -1.0)


def _line(groom: Groom, start: Array) -> Array:
    """(n,) x of the parting beside each root; it runs out at the back."""
    return np.asarray((groom.parting or 0.0) * smoothstep(-75, -10, start[:, 2]))


def _clumped(groom: Groom, path: Array, side: Array, stray: NDArray[np.bool_], rng: np.random.Generator) -> Array:
    """Locks lean towards a leader near their root, the more the nearer to the tip; single hairs do not."""
    leaders = rng.permutation(len(path))[: max(len(path) // groom.clump_size, 1)]
    rooted = path[:, 0] + (APART_MM * side[:, None] if groom.parting is not None else 0.0)
    _, nearest = cKDTree(rooted[leaders]).query(rooted)
    leader = path[leaders[nearest]]
    share = np.linspace(0, 1, groom.rows)[None, :, None]
    pull = groom.clumping * rng.uniform(0.5, 1.0, (len(path), 1, 1)) * smoothstep(0.1, 1.0, share)
    pull = np.where(stray[:, None, None], 0.0, pull)
    return np.asarray(path + pull * (leader - path))


def _shaped(groom: Groom, path: Array, normals: Array, start: Array, rng: np.random.Generator) -> Array:
    """Add waves (locks side by side swing together), coils and inward ends."""
    share = np.linspace(0, 1, groom.rows)[None]
    steps = np.linalg.norm(np.diff(path, axis=1, prepend=path[:, :1]), axis=-1)
    along = np.cumsum(steps, axis=1)
    tangent = _unit(np.gradient(path, axis=1))
    across = np.cross(tangent, normals)
    n = len(path)
    if groom.wave > 0:
        together = 0.045 * start[:, 0] + 0.06 * start[:, 2] + rng.normal(0, 0.15, n)
        phase = along * 2 * np.pi / groom.wave_length + together[:, None]
        swing = groom.wave * smoothstep(0.1, 0.5, share)
        path = path + (swing * np.sin(phase))[..., None] * across
        path = path + (0.5 * swing * (1 + np.cos(phase)))[..., None] * normals
    if groom.coil > 0:
        phase = share * 2 * np.pi * groom.coil_turns + rng.uniform(0, 2 * np.pi, n)[:, None]
        tight = np.minimum(steps.sum(axis=1, keepdims=True) / COIL_LENGTH_MM, 1.0)
        radius = groom.coil * tight * rng.uniform(0.7, 1.3, n)[:, None] * smoothstep(0, 0.25, share)
        path = path + (radius * np.cos(phase))[..., None] * across
        path = path + (radius * np.sin(phase))[..., None] * np.cross(tangent, across)
    if groom.turn_in > 0:
        centre = np.array([0.0, 0.0, -20.0])
        inwards = (centre - path) * np.array([1.0, 0.0, 1.0])
        path = path + groom.turn_in * 0.45 * smoothstep(0.7, 1.0, share)[..., None] ** 1.5 * inwards
    beyond = np.maximum(np.abs(path[..., 0]) - SIDE_MM, 0)
    path[..., 0] -= np.sign(path[..., 0]) * (beyond - SIDE_SOFT_MM * np.tanh(beyond / SIDE_SOFT_MM))
    return np.asarray(path)
