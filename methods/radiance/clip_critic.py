"""CLIP as the critic of rendered faces: image embedding against the tag's text, and against the real frame's image.

Owns prompts and the image's way to CLIP's input; the network's files are found by hub_snapshots.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from emobench.hub_snapshots import Snapshot, Wanted, find_snapshot

from .critics import Verdict
from .image_config import ImageLossConfig

MEAN, SPREAD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # Radford et al. 2021
ADJECTIVES = {
    "angry": "an angry", "contempt": "a contemptuous", "disgusted": "a disgusted", "fear": "a fearful",
    "happy": "a happy", "neutral": "a neutral", "sad": "a sad", "surprised": "a surprised",
}  # fmt: skip


class ClipCritic:
    """Implements critics.Critic; its prompts are embedded once."""

    def __init__(self, config: ImageLossConfig, emotions: Sequence[str], device: torch.device) -> None:
        """Raises Unavailable, with what to fetch, where CLIP or transformers is not here; InputError on damage."""
        snapshot = find_clip(config)
        snapshot.config()
        self._network = snapshot.network("CLIPModel").to(device)
        self._side = int(self._network.config.vision_config.image_size)
        self._has_identity = config.identity_weight > 0
        self._prompts: dict[str, Tensor] = {}
        if config.cord_weight > 0:
            self._prompts = self._embed_prompts(snapshot, config.prompt, sorted(set(emotions)), device)
        label = f"clip:{config.clip_model}@{snapshot.sha256[:12]}"
        used = (("cord", config.cord_weight), ("identity", config.identity_weight))
        self.names = {name: label for name, weight in used if weight > 0}

    def judge(self, shown: Tensor, real: Tensor, emotion: str | None) -> Verdict:
        """As Critic.judge."""
        seen, cord, identity = self._embed(shown), None, None
        if emotion in self._prompts:
            cord = 1 - (seen * self._prompts[emotion]).sum()
        if self._has_identity:
            with torch.no_grad():
                wanted = self._embed(real)
            identity = 1 - (seen * wanted).sum()
        return Verdict(cord=cord, identity=identity)

    def _embed(self, image: Tensor) -> Tensor:
        """Unit vector (D,) of an image (3, S, S)."""
        size = (self._side, self._side)
        large = functional.interpolate(image[None], size, mode="bicubic", align_corners=False, antialias=True)
        scaled = (large - image.new_tensor(MEAN)[:, None, None]) / image.new_tensor(SPREAD)[:, None, None]
        found = _features(self._network.get_image_features(pixel_values=scaled))
        return functional.normalize(found, dim=1)[0]

    @torch.no_grad()
    def _embed_prompts(
        self, snapshot: Snapshot, prompt: str, emotions: Sequence[str], device: torch.device
    ) -> dict[str, Tensor]:
        tokenizer = snapshot.processor("AutoTokenizer")
        texts = [prompt.replace("{emotion}", ADJECTIVES.get(name, f"a {name}")) for name in emotions]
        tokens = tokenizer(texts, padding=True, truncation=True, return_tensors="pt").to(device)
        found = _features(
            self._network.get_text_features(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"])
        )
        return dict(zip(emotions, functional.normalize(found, dim=1), strict=True))


def find_clip(config: ImageLossConfig) -> Snapshot:
    """The files of the configured CLIP. Raises Unavailable, with what to fetch, where they are not here."""
    return find_snapshot(
        Wanted(
            role="image–text", prefix="radiance.images.clip_", without="radiance.images.source=judge",
            model=config.clip_model, revision=config.clip_revision, types=("clip",),
        )
    )  # fmt: skip


def _features(found: Any) -> Tensor:
    """Projected features (B, D): transformers 5 wraps them, 4 does not."""
    features: Tensor = found if isinstance(found, Tensor) else found.pooler_output
    return features
