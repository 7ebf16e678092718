"""Speech to expression while it is being spoken: sound in as it comes, frames out as soon as they can be said.

Needs a model trained with streaming.enabled. The frames are those that the whole sound would give; each comes
`latency_seconds` after its middle. Holds the reach of the network in sound, and one mean of all that was said: a frame
costs the same however long the speech is.
"""

from __future__ import annotations

import numpy as np
import torch

from emobench.errors import InputError, UsageError
from emobench.types import SAMPLE_RATE_HZ, Floats

from .examples import NO_TEXT, Example, collate
from .features import HOP_SAMPLES, STEP_HZ, frame_positions, speech_features
from .hyperplanes import RunningMean
from .model import Expression, ExpressionModel, Request
from .training import torch_threads

EDGE_STEPS = 4  # features at the buffer's start that would need sound from before it
ALIGNED_SAMPLES = 2 * HOP_SAMPLES  # the strided convolution counts even steps
ROUNDING = 1e-6  # of frame counts in floating point


class ExpressionStream:
    """One utterance on its way. `feed` sound in any portions, then `finish`; together they give every frame once."""

    def __init__(self, model: ExpressionModel, request: Request) -> None:
        """`request` says emotion, level, subject, fps and push; its sound, transcript and length are not used.

        Raises UsageError where the model was not trained causally or the tag is unknown.
        """
        if not model.config.streaming.enabled:
            raise UsageError("This model looks ahead. Train one for streaming: --set streaming.enabled=true")
        model.vocabulary.tag(request.emotion)
        self.model, self.request = model, request
        self.latency_seconds = model.config.streaming.latency_seconds
        self._sound: Floats = np.zeros(0, np.float32)
        self._start = 0  # where the held sound begins, in samples
        self._done = 0  # frames said so far
        self._running = RunningMean()

    def feed(self, samples: Floats) -> Expression | None:
        """Frames that can be said now that (N,) mono samples at SAMPLE_RATE_HZ have followed; None where none can.

        Raises InputError on sound that is not mono or not finite.
        """
        if samples.ndim != 1 or not np.isfinite(samples).all():
            raise InputError(f"Streamed sound must be mono and finite, got shape {samples.shape}.")
        self._sound = np.concatenate([self._sound, samples.astype(np.float32)])
        heard = (self._start + len(self._sound)) / SAMPLE_RATE_HZ
        ready = int(np.floor((heard - self.latency_seconds) * self.request.fps - 0.5 + ROUNDING)) + 1
        return self._say(ready)

    def finish(self) -> Expression | None:
        """The last frames: as many as the sound lasts in whole frames."""
        samples = self._start + len(self._sound)
        return self._say(int(np.floor(samples / SAMPLE_RATE_HZ * self.request.fps)))

    def _say(self, stop: int) -> Expression | None:
        if stop <= self._done:
            return None
        example, before = self._example(stop)
        with torch_threads(self.model.threads), torch.inference_mode():
            alpha, states = self.model.network(collate([example]))
            tau = self.model.network.predict_tau(states)
        self._done = stop
        self._forget()
        return self.model.expressed(alpha[0, before:].numpy(), tau[0, before:].numpy(), self.request, self._running)

    def _example(self, stop: int) -> tuple[Example, int]:
        """Frames up to `stop` with those before the first new one that attention reaches, and how many these are."""
        model, request = self.model, self.request
        reach = int(np.ceil(model.config.alignment.window_seconds * request.fps)) + 1
        low = max(self._done - reach, 0)
        skipped = EDGE_STEPS if self._start else 0
        features = speech_features(self._sound, model.config.audio)[skipped:]
        scaling, positions = model.scaling, frame_positions(stop, request.fps, low)
        told, level = request.told or (request.emotion, request.level)
        return Example(
            features=((features - scaling.feature_mean) / scaling.feature_scale).astype(np.float32),
            positions=positions - self._start / HOP_SAMPLES - skipped,
            seconds=(np.arange(low, stop, dtype=np.float64) + 0.5) / request.fps,
            characters=NO_TEXT,
            text_positions=np.zeros(stop - low),
            has_text=False,
            tag=model.vocabulary.tag(told),
            level=model.vocabulary.level(told, level),
            subject=model.vocabulary.subject(request.subject),
        ), self._done - low

    def _forget(self) -> None:
        """Drop sound that no later frame can hear."""
        seconds = (self._done + 0.5) / self.request.fps - 2 * self.model.context_seconds() - EDGE_STEPS / STEP_HZ
        start = int(seconds * SAMPLE_RATE_HZ) // ALIGNED_SAMPLES * ALIGNED_SAMPLES
        if start > self._start:
            self._sound = self._sound[start - self._start :]
            self._start = start
