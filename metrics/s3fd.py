"""The S3FD face detector as the SyncNet pipeline runs it: boxes of a frame, and of the face followed through a clip.

Zhang et al., S3FD: Single Shot Scale-invariant Face Detector, ICCV 2017; parameter names are those of sfd_face.pth.
Frames are looked at a quarter of their size, boxes of a confidence over 0.9 count, both as released. Knows no metric.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from emobench.errors import Inapplicable, UnscoredError
from emobench.types import Frames, Image

from .signatures import weight_label
from .state_dicts import fill

FRAME_SCALE, LEAST_CONFIDENCE = 0.25, 0.9
CANDIDATE_CONFIDENCE, CANDIDATE_OVERLAP, FACE_OVERLAP = 0.05, 0.3, 0.1
FOLLOWED_OVERLAP, MOST_MISSED = 0.5, 25  # of a face's boxes in two frames; frames without it
LEAST_PX = 128  # of a frame: at a quarter of it the network halves five times
MEAN_RGB = (123.0, 117.0, 104.0)
STRIDES = (4, 8, 16, 32, 64, 128)  # px between boxes; a box has four times that side
VARIANCES = (0.1, 0.2)
PLAN: tuple[int, ...] = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)  # 0 = pooling
NORMED_AT, EXTRA_AT = (16, 23, 30), 35  # layers after which normed features are taken; layers of the backbone

Boxes = NDArray[np.float64]  # (N, 4) x0 y0 x1 y1


class _Norm(nn.Module):
    """Features of unit length over channels, times a learned scale."""

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), scale))

    def forward(self, features: Tensor) -> Tensor:
        length = features.square().sum(dim=1, keepdim=True).sqrt() + 1e-10
        return self.weight[None, :, None, None] * features / length


def _backbone() -> nn.ModuleList:
    layers: list[nn.Module] = []
    inputs = 3
    for width in PLAN:
        if width:
            layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU(inplace=True)]
            inputs = width
        else:
            layers.append(nn.MaxPool2d(2, 2, ceil_mode=len(layers) == NORMED_AT[0]))
    layers += [nn.Conv2d(512, 1024, 3, padding=6, dilation=6), nn.ReLU(inplace=True)]
    return nn.ModuleList([*layers, nn.Conv2d(1024, 1024, 1), nn.ReLU(inplace=True)])


class S3fd(nn.Module):
    """(1, 3, H, W), RGB 0..255 less MEAN_RGB → ((P,) confidences 0..1, (P, 4) boxes in shares of width and height)."""

    def __init__(self) -> None:
        super().__init__()
        self.vgg = _backbone()
        self.L2Norm3_3, self.L2Norm4_3, self.L2Norm5_3 = _Norm(256, 10.0), _Norm(512, 8.0), _Norm(512, 5.0)
        steps = ((1024, 256, 1), (256, 512, 3), (512, 128, 1), (128, 256, 3))
        self.extras = nn.ModuleList([nn.Conv2d(a, b, k, k // 2 + 1, k // 2) for a, b, k in steps])
        widths = (256, 512, 512, 1024, 512, 256)
        self.loc = nn.ModuleList([nn.Conv2d(width, 4, 3, padding=1) for width in widths])
        # The finest level has three chances to be background, of which the likeliest counts.
        self.conf = nn.ModuleList([nn.Conv2d(w, 4 if n == 0 else 2, 3, padding=1) for n, w in enumerate(widths)])

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        size = (images.shape[3], images.shape[2])
        scores, boxes = [], []
        for number, features in enumerate(self._levels(images)):
            odds, moves = self.conf[number](features)[0], self.loc[number](features)[0]
            background = odds[:-1].amax(dim=0)
            scores.append(torch.stack([background, odds[-1]]).softmax(dim=0)[1].flatten())
            boxes.append(_decoded(moves, STRIDES[number], size))
        return torch.cat(scores), torch.cat(boxes)

    def _levels(self, images: Tensor) -> list[Tensor]:
        found = []
        norms = dict(zip(NORMED_AT, (self.L2Norm3_3, self.L2Norm4_3, self.L2Norm5_3), strict=True))
        features = images
        for number, layer in enumerate(self.vgg):
            if number in norms:
                found.append(norms[number](features))
            features = layer(features)
        found.append(features)
        for number, layer in enumerate(self.extras):
            features = functional.relu(layer(features))
            if number % 2:
                found.append(features)
        return found


def _decoded(moves: Tensor, stride: int, size: tuple[int, int]) -> Tensor:
    """(4, H, W) moves of the boxes of one level → (H·W, 4) boxes in shares of `size`, width and height."""
    height, width = moves.shape[1:]
    places = (torch.arange(count, device=moves.device) + 0.5 for count in (height, width))
    ys, xs = torch.meshgrid(*places, indexing="ij")
    extent = torch.tensor(size, device=moves.device)[:, None]
    centres = torch.stack([xs, ys]).flatten(1) * stride / extent
    sides = 4.0 * stride / extent
    flat = moves.flatten(1)
    middle = centres + VARIANCES[0] * flat[:2] * sides
    half = sides * torch.exp(VARIANCES[1] * flat[2:]) / 2
    return torch.cat([middle - half, middle + half]).T


def overlap(box: Boxes, others: Boxes) -> NDArray[np.float64]:
    """(N,) intersection over union of one box (4,) with others (N, 4)."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=1)
    areas = np.prod(others[:, 2:] - others[:, :2], axis=1) + np.prod(box[2:] - box[:2])
    return np.asarray(shared / (areas - shared), np.float64)


def apart(boxes: Boxes, scores: NDArray[np.float64], most: float) -> NDArray[np.int64]:
    """Indices of the boxes that no better one overlaps by more than `most`, the best first."""
    left = np.argsort(-scores, kind="stable")
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        left = left[overlap(boxes[best], boxes[left]) <= most]
    return np.array(kept, np.int64)


class S3fdDetector:
    """Faces of frames, and the one that is followed through a clip."""

    def __init__(self, path: Path, device: str) -> None:
        """Raises Unavailable where the file is not S3FD's."""
        network = S3fd()
        fill(network, path, "S3FD weight file")
        self._network, self._device = network.to(device).eval(), device
        self.label = weight_label("s3fd", path)

    def faces(self, frame: Image) -> Boxes:
        """(N, 4) px, the surest first."""
        import cv2

        small = cv2.resize(frame, (0, 0), fx=FRAME_SCALE, fy=FRAME_SCALE, interpolation=cv2.INTER_LINEAR)
        image = (small.astype(np.float32) - np.array(MEAN_RGB, np.float32)).transpose(2, 0, 1)
        with torch.inference_mode():
            found = self._network(torch.from_numpy(np.ascontiguousarray(image))[None].to(self._device))
        scores, boxes = (each.cpu().double().numpy() for each in found)
        likely = scores > CANDIDATE_CONFIDENCE
        scores, boxes = scores[likely], boxes[likely]
        first = apart(boxes, scores, CANDIDATE_OVERLAP)
        sure = first[scores[first] > LEAST_CONFIDENCE]
        kept = sure[apart(boxes[sure], scores[sure], FACE_OVERLAP)]
        return np.asarray(boxes[kept] * np.tile(frame.shape[1::-1], 2), np.float64)

    def follow(self, frames: Frames) -> Boxes:
        """(T, 4) px of one face, between the frames that show it by straight lines.

        It begins with the surest face of the first frame; in each next one the box that overlaps the last by most, and
        by over a half, goes on with it. Raises UnscoredError where it is not seen at both ends, or lost for 25 frames.
        """
        height, width = frames.shape[1:3]
        if min(height, width) < LEAST_PX:
            raise Inapplicable(f"frames of {width}×{height} are too small for S3FD; {LEAST_PX} px are needed")
        seen: dict[int, Boxes] = {}
        last = -1
        for number, frame in enumerate(frames):
            faces = self.faces(frame)
            if not seen:
                if number or not len(faces):
                    raise UnscoredError("no face found in frame 0 (S3FD)")
                seen[0], last = faces[0], 0
                continue
            shares = overlap(seen[last], faces)
            if len(shares) and shares.max() > FOLLOWED_OVERLAP:
                seen[number], last = faces[int(shares.argmax())], number
            elif number - last > MOST_MISSED:
                raise UnscoredError(f"the face of frame {last} is lost for more than {MOST_MISSED} frames (S3FD)")
        if last != len(frames) - 1:
            raise UnscoredError(f"no face found in the last frame, {len(frames) - 1} (S3FD)")
        known, every = np.array(list(seen)), np.arange(len(frames))
        boxes = np.stack(list(seen.values()))
        return np.stack([np.interp(every, known, boxes[:, side]) for side in range(4)], axis=1)
