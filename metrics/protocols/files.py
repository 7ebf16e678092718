"""Protocol files as checked data: views, rules and differences. Looks at no frame and builds no metric."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from emobench.errors import InputError
from emobench.types import EMOTIONS


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class View(_Part):
    """How a clip is shown to a metric. Everything at its default: as it is."""

    fps: float | None = Field(None, gt=0, description="frames picked at this rate, the nearest in time; sound stays")
    crop: Literal["full frame", "aligned", "face"] = Field(
        "full frame",
        description="aligned: each clip by a similarity of its own landmarks 27-44 to the template, frame by frame; "
        "face: the square around the reference's landmarks, the same in both clips",
    )
    size_px: int | None = Field(None, ge=16, description="side of the square that a crop or frame is resized to")
    frames: int | None = Field(None, ge=1, description="so many evenly spaced frames of a clip; default all")

    @model_validator(mode="after")
    def _check(self) -> View:
        if self.crop != "full frame" and self.size_px is None:
            raise ValueError(f"crop {self.crop!r} needs size_px")
        return self

    @property
    def text(self) -> str:
        """All of it in words, as signatures say it."""
        parts: list[str] = [self.crop]
        parts += [f"resized to {self.size_px} px"] if self.size_px else []
        parts += [f"{self.fps:g} fps by nearest frame"] if self.fps else []
        parts += [f"{self.frames} frames a clip"] if self.frames else []
        return ", ".join(parts)


class Rule(_Part):
    """How one metric is measured."""

    view: str = Field(description="name of a view")
    pool: Literal["clips", "frames"] = Field("clips", description="what counts once in a mean over clips' own values")
    min_frames: int = Field(1, ge=1, description="clips with fewer frames in the view are unscored")
    classes: tuple[str, ...] = Field((), description="emotions to choose among; clips of others are unscored; () = all")

    @model_validator(mode="after")
    def _check(self) -> Rule:
        unknown = [name for name in self.classes if name not in EMOTIONS]
        if unknown:
            raise ValueError(f"unknown emotion {unknown[0]!r}; known: {', '.join(EMOTIONS)}")
        return self

    @property
    def text(self) -> str:
        """All of it but the view, in words."""
        parts = ["each frame counts once"] if self.pool == "frames" else []
        parts += [f"clips of {self.min_frames} frames and more"] if self.min_frames > 1 else []
        parts += [f"among {'+'.join(self.classes)}"] if self.classes else []
        return ", ".join(parts)


class Difference(_Part):
    """Where a protocol parts from the scripts that it follows, and why."""

    source: str = Field(alias="from")
    what: str
    why: str


class ProtocolFile(_Part):
    """One file. `rules` None: every metric as it is registered; else only those named, each by its rule."""

    name: str
    version: str
    summary: str
    views: Mapping[str, View] = {}
    rules: Mapping[str, Rule] | None = None
    notes: Mapping[str, Any] = Field({}, description="facts for readers; they bind nothing")
    differs: tuple[Difference, ...]

    @model_validator(mode="after")
    def _check(self) -> ProtocolFile:
        for metric, rule in (self.rules or {}).items():
            if rule.view not in self.views:
                raise ValueError(f"rule of {metric} names the view {rule.view!r}; there are {', '.join(self.views)}")
        return self


def read_protocol(path: str) -> ProtocolFile:
    """The file 'package:name.yaml'. Raises InputError where it is missing or says something unknown."""
    package, _, name = path.partition(":")
    try:
        text = resources.files(package).joinpath(name).read_text(encoding="utf-8")
        return ProtocolFile.model_validate(yaml.safe_load(text))
    except (OSError, ModuleNotFoundError, yaml.YAMLError, ValidationError) as error:
        raise InputError(f"The protocol file {name} of {package} cannot be used: {error}") from error
