"""Settings of the losses that judge the head as an image: L_cord and identity preservation. Loads no network."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

CLIP_MODEL = "openai/clip-vit-base-patch32"
PROMPT = "a photo of a person with {emotion} expression"


class ImageLossConfig(BaseModel):
    """Every `every` steps the face of one train frame is rendered whole, at `size` × `size` rays, and judged.

    Both losses are 1 − cosine, 0..2, beside a photometric loss that ends near 0.001. Weight 0 = off.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: Literal["judge", "clip"] = Field(
        "judge",
        description="judge: small networks trained on the train split, other ones than those that score; clip: a CLIP "
        "model of the local Hugging Face cache",
    )
    cord_weight: float = Field(
        0.002, ge=0, description="of L_cord: embedding of the rendered face against that of the clip's emotion tag"
    )
    identity_weight: float = Field(
        0.002, ge=0, description="of identity preservation: embedding of the rendered face against the real frame's"
    )
    every: int = Field(10, ge=1, description="steps from one judged image to the next")
    begin: float = Field(0.3, ge=0, lt=1, description="share of the steps before the first: until then all is fog")
    size: int = Field(32, ge=16, le=256, description="rays along a side of the image; judges enlarge it to their own")
    clip_model: str = Field(CLIP_MODEL, min_length=1, description="model id of the CLIP network (source clip)")
    clip_revision: str = Field("main", min_length=1, description="its branch, tag or commit")
    prompt: str = Field(PROMPT, description="what L_cord's text says of a tag, {emotion} being its adjective")

    @property
    def enabled(self) -> bool:
        """Whether any image is judged."""
        return self.cord_weight > 0 or self.identity_weight > 0
