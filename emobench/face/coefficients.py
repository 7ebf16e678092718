"""Coefficient files of FLAME trackers (DECA, EMOCA) and of Deep3D face reconstruction as tracks. Reads no pickles.

Both describe the head in a crop of each frame; here it is placed before one camera that looks at the whole frame, so
that size and place of the head's origin in the picture stay what they were. Conventions: docs/trackers.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emobench.errors import InputError
from emobench.face.track_files import FileTrack
from emobench.types import Camera, HeadPose, Track

CROP_PX = 224  # of both families
FLAME_EXPRESSIONS = (50, 100)
FLAME_MM = 1000.0  # a unit of FLAME is a metre
BFM_MM = 100.0  # a unit of Deep3D's face model is a decimetre
BFM_FOCAL_PX = 1015.0
BFM_CAMERA_UNITS = 10.0  # of the camera before the model's origin
BFM_SIZES = {"id": 80, "exp": 64, "tex": 80, "angle": 3, "gamma": 27, "trans": 3}  # in this order: 257
HEAD_BOX_FLAME_MM = ((-125.0, -180.0, -160.0), (125.0, 180.0, 150.0))
HEAD_BOX_BFM_MM = ((-115.0, -140.0, -170.0), (115.0, 165.0, 110.0))

Arrays = Mapping[str, NDArray[Any]]


def kind_of(arrays: Arrays) -> str:
    """ "flame" or "bfm", by the arrays that are there. Raises InputError where it is neither."""
    if bfm_parts(arrays) is not None:
        return "bfm"
    if {"exp", "pose"} <= set(arrays):
        return "flame"
    found = ", ".join(f"{name} {array.shape}" for name, array in sorted(arrays.items())) or "nothing"
    raise InputError(
        "neither FLAME (exp, pose, cam) nor Deep3D coefficients (coeff of 257, or exp, angle and trans) were found, "
        f"but {found}"
    )


def flame_track(arrays: Arrays, camera: Camera, fps: float) -> FileTrack:
    """DECA and EMOCA: exp (T, 50 or 100), pose (T, 6) = head and jaw axis-angle, cam (T, 3) = scale, tx, ty.

    Optional: tform (T, 3, 3) or (3, 3), frame pixels to the 224 px crop (without it the crop is the whole frame);
    pivot (3,) metres, the joint about which the head turns; landmarks (T, 68, 2) px of the frame.
    """
    exp = _matrix(arrays, "exp")
    if exp.shape[1] not in FLAME_EXPRESSIONS:
        raise InputError(f"exp has {exp.shape[1]} coefficients; FLAME trackers give 50 or 100")
    pose, cam = _matrix(arrays, "pose", 6, len(exp)), _matrix(arrays, "cam", 3, len(exp))
    half = CROP_PX / 2
    # DECA projects a point p to scale·(p + t) in −1..1 of the crop, y up
    u, v = (cam[:, 0] * cam[:, 1] + 1) * half, (1 - cam[:, 0] * cam[:, 2]) * half
    u, v, zoom = _in_frame(arrays.get("tform"), u, v, camera, len(exp))
    px_per_mm = cam[:, 0] * half * zoom / FLAME_MM
    rotation = axis_angle(pose[:, :3])
    translation = placed(u, v, px_per_mm, camera)
    pivot = np.asarray(arrays.get("pivot", np.zeros(3)), np.float64).reshape(-1)[:3] * FLAME_MM
    translation = translation + pivot - rotation @ pivot
    names = (*(f"exp_{k:03d}" for k in range(exp.shape[1])), "jaw_pitch", "jaw_yaw", "jaw_roll")
    alpha = np.concatenate([exp, pose[:, 3:]], axis=1)
    return _track(alpha, names, "jaw", rotation, translation, camera, fps, arrays, HEAD_BOX_FLAME_MM, "FLAME")


def deep3d_track(arrays: Arrays, camera: Camera, fps: float) -> FileTrack:
    """Deep3D and its kin: coeff (T, 257) = id 80, exp 64, tex 80, angle 3, gamma 27, trans 3; or these by name.

    Optional: trans_params (T, 5) = frame width and height, scale, x, y of the aligned crop (without it the crop is
    the whole frame); landmarks (T, 68, 2) px of the frame.
    """
    parts = bfm_parts(arrays)
    if parts is None:
        raise InputError("coeff (T, 257), or exp (T, 64), angle (T, 3) and trans (T, 3) are needed")
    exp, angle, trans = parts["exp"], parts["angle"], parts["trans"]
    count = len(exp)
    depth = BFM_CAMERA_UNITS - trans[:, 2]  # units before the camera
    if not (depth[np.isfinite(depth)] > 0).all():
        raise InputError("trans puts the head behind the camera")
    u = CROP_PX / 2 + BFM_FOCAL_PX * trans[:, 0] / depth
    v = CROP_PX / 2 - BFM_FOCAL_PX * trans[:, 1] / depth
    u, v, zoom = _in_frame(_aligned(arrays.get("trans_params"), count), u, v, camera, count)
    px_per_mm = BFM_FOCAL_PX / depth * zoom / BFM_MM
    names = tuple(f"exp_{k:03d}" for k in range(exp.shape[1]))
    translation = placed(u, v, px_per_mm, camera)
    return _track(exp, names, "", euler(angle), translation, camera, fps, arrays, HEAD_BOX_BFM_MM, "BFM")


def bfm_parts(arrays: Arrays) -> dict[str, NDArray[np.float64]] | None:
    """exp, angle and trans, from one array of 257 coefficients or by name; None where they are not there."""
    for name in ("coeff", "full_3dmm"):
        if name in arrays and np.ndim(arrays[name]) and np.shape(arrays[name])[-1] == sum(BFM_SIZES.values()):
            whole = _matrix(arrays, name)
            edges = np.cumsum([0, *BFM_SIZES.values()])
            return {key: whole[:, a:b] for key, a, b in zip(BFM_SIZES, edges[:-1], edges[1:], strict=True)}
    if {"exp", "angle", "trans"} <= set(arrays):
        exp = _matrix(arrays, "exp", BFM_SIZES["exp"])
        return {"exp": exp, **{key: _matrix(arrays, key, 3, len(exp)) for key in ("angle", "trans")}}
    return None


def placed(
    u: NDArray[np.float64], v: NDArray[np.float64], px_per_mm: NDArray[np.float64], camera: Camera
) -> NDArray[np.float64]:
    """(T, 3) mm: where the head's origin is seen at (u, v) and a millimetre measures `px_per_mm` there."""
    if not (px_per_mm[np.isfinite(px_per_mm)] > 0).all():
        raise InputError("the camera's scale must be above 0")
    depth = camera.focal_px / px_per_mm
    x, y = (u - camera.cx_px) / px_per_mm, (camera.cy_px - v) / px_per_mm
    return np.stack([x, y, -depth], axis=1)


def axis_angle(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, 3) axis times angle in radians → (T, 3, 3), Rodrigues."""
    from scipy.spatial.transform import Rotation

    known = np.asarray(np.isfinite(vectors).all(axis=1, keepdims=True))
    turned = Rotation.from_rotvec(np.where(known, vectors, 0)).as_matrix()
    return np.where(known[..., None], turned, np.nan)


def euler(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, 3) pitch, yaw, roll in radians → (T, 3, 3) = Rz·Ry·Rx, which Deep3D applies to its vertices."""
    from scipy.spatial.transform import Rotation

    known = np.asarray(np.isfinite(angles).all(axis=1, keepdims=True))
    turned = Rotation.from_euler("xyz", np.where(known, angles, 0)).as_matrix()
    return np.where(known[..., None], turned, np.nan)


def _aligned(params: NDArray[Any] | None, count: int) -> NDArray[np.float64] | None:
    """(T, 3, 3) frame pixels to the crop, from Deep3D's width, height, scale, x, y (y counted from below)."""
    if params is None:
        return None
    rows = np.broadcast_to(np.atleast_2d(np.asarray(params, np.float64)), (count, 5))
    _, height, scale, x, y = rows.T
    transform = np.zeros((count, 3, 3))
    transform[:, 0, 0] = transform[:, 1, 1] = scale
    transform[:, 0, 2] = CROP_PX / 2 - x * scale
    transform[:, 1, 2] = CROP_PX / 2 - (height - y) * scale
    transform[:, 2, 2] = 1
    return transform


def _in_frame(
    tform: NDArray[Any] | None, u: NDArray[np.float64], v: NDArray[np.float64], camera: Camera, count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Points of the crop in pixels of the frame, and frame pixels per pixel of the crop."""
    if tform is None:
        if camera.width != camera.height:
            raise InputError(
                f"the frames are {camera.width}×{camera.height} and the file does not say where its square crops lie: "
                "tform (FLAME) or trans_params (Deep3D) is needed"
            )
        zoom = np.full(count, camera.width / CROP_PX)
        return u * zoom, v * zoom, zoom
    to_crop = np.broadcast_to(np.asarray(tform, np.float64).reshape(-1, 3, 3), (count, 3, 3))
    back = np.linalg.inv(to_crop)
    found = np.einsum("tij,tj->ti", back, np.stack([u, v, np.ones(count)], axis=1))
    return found[:, 0], found[:, 1], np.sqrt(np.abs(np.linalg.det(back[:, :2, :2])))


def _matrix(arrays: Arrays, name: str, width: int | None = None, count: int | None = None) -> NDArray[np.float64]:
    """(T, width) numbers; axes of length 1 that files carry are dropped."""
    if name not in arrays:
        raise InputError(f"{name} is missing")
    found = np.asarray(arrays[name])
    if found.dtype.kind not in "fiu":
        raise InputError(f"{name} holds {found.dtype}, expected numbers")
    rows = found.reshape(len(found) if found.ndim > 1 else 1, -1) if found.size else found.reshape(0, 0)
    if not rows.size or (width is not None and rows.shape[1] != width) or (count is not None and len(rows) != count):
        wanted = f"({count or 'T'}, {width or 'K'})"
        raise InputError(f"{name} has shape {found.shape}, expected {wanted}")
    return rows.astype(np.float64)


def _track(
    alpha: NDArray[np.float64], names: tuple[str, ...], mouth: str, rotation: NDArray[np.float64],
    translation: NDArray[np.float64], camera: Camera, fps: float, arrays: Arrays,
    head_box: tuple[tuple[float, float, float], tuple[float, float, float]], tracker: str,
) -> FileTrack:  # fmt: skip
    """`mouth` begins the names of coefficients that articulate; "" where every one of a mixed basis does."""
    count, landmarks = len(alpha), arrays.get("landmarks")
    if landmarks is not None and landmarks.shape != (count, 68, 2):
        raise InputError(f"landmarks has shape {landmarks.shape}, expected ({count}, 68, 2)")
    points = np.zeros((count, 68, 2)) if landmarks is None else np.asarray(landmarks, np.float64)
    known = [part.reshape(count, -1) for part in (alpha, rotation, translation, points)]
    valid = np.asarray(np.isfinite(np.concatenate(known, axis=1)).all(axis=1))
    zeroed = [np.where(valid.reshape(-1, *[1] * (p.ndim - 1)), p, 0).astype(np.float32)
              for p in (alpha, rotation, translation, points)]  # fmt: skip
    track = Track(
        alpha=zeroed[0], alpha_names=names, is_mouth=np.array([name.startswith(mouth) for name in names]),
        pose=HeadPose(rotation=zeroed[1], translation=zeroed[2]), camera=camera, landmarks=zeroed[3], valid=valid,
        head_box_mm=np.array(head_box, np.float32), source="file",
    )  # fmt: skip
    return FileTrack(track=track, has_landmarks=landmarks is not None, fps=fps, tracker=tracker)
