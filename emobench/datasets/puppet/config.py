"""What may be chosen about the puppet dataset, with the values of the default run. Validates; makes nothing."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from emobench.types import EMOTIONS

from .identity import HELD_OUT, IDENTITIES
from .speech import SENTENCES

Level = Annotated[int, Field(ge=1, le=3)]


class PuppetConfig(BaseModel):
    """Which clips exist, which of them have pixels, and how these are rendered."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field("puppet", pattern=r"^[A-Za-z0-9_-]+$", description="Name of the dataset and of its folder.")
    subjects: tuple[str, ...] = Field(("amy", "ben"), min_length=1, description="Identities, see identity.IDENTITIES.")
    emotions: tuple[str, ...] = Field(EMOTIONS, min_length=1, description="Emotions; neutral has one level.")
    levels: tuple[Level, ...] = Field((1, 2, 3), min_length=1, description="Levels of α and audio; MEAD's 1 to 3.")
    train_sentences: tuple[str, ...] = Field(
        ("s01", "s02", "s03", "s04", "s05", "s06", "s07", "s08", "s09"), min_length=1, description="Heard in training."
    )
    val_sentences: tuple[str, ...] = Field(("s11", "s12"), description="For choosing settings; α and audio only.")
    test_sentences: tuple[str, ...] = Field(("s10",), min_length=1, description="Never heard in training.")
    pixel_level: Level = Field(3, description="The level rendered to video (neutral: 1).")
    pixel_train: int = Field(2, ge=0, description="Rendered train sentences per subject and emotion.")
    pixel_test: int = Field(1, ge=1, description="Rendered test sentences per subject and emotion.")
    size_px: int = Field(128, ge=32, le=1024, description="Width and height of the frames.")
    supersampling: int = Field(2, ge=1, le=4, description="Samples per pixel and axis at edges and fine parts.")
    fps: float = Field(25.0, ge=10, le=60, description="Frames a second.")
    novel_every: int = Field(12, ge=0, description="Every how many frames of test clips are seen from aside.")
    novel_yaw_degrees: float = Field(15.0, gt=0, le=60, description="The cameras aside stand at plus and minus this.")
    varied_scene: bool = Field(False, description="Light and background vary per clip and are handed over.")
    held_out: tuple[str, ...] = Field(HELD_OUT, description="Identities on which nothing was tuned; for reporting.")
    by_identity: bool = Field(False, description="Held-out subjects are never in train or val, and alone in test.")
    mismatch_pairs: tuple[str, ...] = Field((), description="VOICE:FACE emotions of the mismatch split; () = all.")
    mismatch_sentences: int = Field(1, ge=1, description="Test sentences of the mismatch split.")
    seed: int = Field(7, ge=0, description="Of every random choice in the animation; not the seed of a run.")

    @model_validator(mode="after")
    def _check(self) -> PuppetConfig:
        for kind, chosen, known in (
            ("subject", self.subjects, IDENTITIES), ("emotion", self.emotions, EMOTIONS),
            ("sentence", self.train_sentences + self.val_sentences + self.test_sentences, SENTENCES),
            ("held-out subject", self.held_out, IDENTITIES), ("pair", self.mismatch_pairs, self._known_pairs()),
        ):  # fmt: skip
            unknown = [name for name in chosen if name not in known]
            if unknown:
                raise ValueError(f"unknown {kind} {unknown[0]!r}; known: {', '.join(known)}")
            if len(set(chosen)) != len(chosen):
                raise ValueError(f"a {kind} is listed twice, or a sentence stands in two splits: {', '.join(chosen)}")
        if self.pixel_train > len(self.train_sentences) or self.pixel_test > len(self.test_sentences):
            raise ValueError("more rendered sentences asked for than the split has")
        if self.pixel_level not in self.levels:
            raise ValueError(f"pixel_level {self.pixel_level} is not among the levels {self.levels}")
        if self.mismatch_sentences > len(self.test_sentences):
            raise ValueError("more mismatch sentences asked for than there are test sentences")
        if self.by_identity and not 0 < len(self.test_subjects) < len(self.subjects):
            raise ValueError(f"by_identity needs held-out and other subjects; held out are {', '.join(self.held_out)}")
        return self

    def _known_pairs(self) -> list[str]:
        return [f"{voice}:{face}" for voice in self.emotions for face in self.emotions if voice != face]

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """(voice, face) emotions of the mismatch split."""
        chosen = self.mismatch_pairs or self._known_pairs()
        return tuple((voice, face) for voice, _, face in (pair.partition(":") for pair in chosen))

    @property
    def train_subjects(self) -> tuple[str, ...]:
        """Whose clips stand in train and val."""
        return tuple(s for s in self.subjects if not (self.by_identity and s in self.held_out))

    @property
    def test_subjects(self) -> tuple[str, ...]:
        """Whose clips stand in test and mismatch."""
        return tuple(s for s in self.subjects if not self.by_identity or s in self.held_out)


class PuppetTinyConfig(PuppetConfig):
    """The defaults of `puppet-tiny`: one subject, three emotions, few sentences, small frames; made in seconds."""

    name: str = Field("puppet-tiny", pattern=r"^[A-Za-z0-9_-]+$")
    subjects: tuple[str, ...] = Field(("ben",), min_length=1)
    emotions: tuple[str, ...] = Field(("angry", "happy", "neutral"), min_length=1)
    levels: tuple[Level, ...] = Field((3,), min_length=1)
    train_sentences: tuple[str, ...] = Field(("s01", "s03", "s06", "s08"), min_length=1)
    val_sentences: tuple[str, ...] = Field(("s10",))
    test_sentences: tuple[str, ...] = Field(("s11",), min_length=1)
    size_px: int = Field(64, ge=32, le=1024)
