"""Which train clips teach which judges: whole sentences, or whole subjects, go to one side. Knows no network.

Judges that score must not have seen what judges in a method's loss have seen, else a method is graded by what it was
trained on. The evaluation side comes first: no emotion is left to the training side that it could not judge itself.

The radiance portrait has training judges in its loss (L_cord, identity). This costs the evaluation's judges a third
of the clips or more (of puppet 220 of 396, 16 of the 32 filmed). They are graded on these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal

from emobench.types import Clip

Role = Literal["evaluation", "training"]
ROLES: tuple[Role, Role] = ("evaluation", "training")
EVALUATION_SHARE = 2  # clips of the evaluation side to one of the training side, where coverage leaves a choice


def share(clips: Sequence[Clip]) -> dict[Role, tuple[Clip, ...]]:
    """The clips of each side; the same for the same clips in any order.

    Sentences are shared out where there are two, else subjects; with one of each, all clips are the evaluation's.
    """
    ordered = sorted(clips, key=lambda clip: clip.id)
    group: Callable[[Clip], str] = _sentence if len({clip.sentence for clip in ordered}) > 1 else _subject
    sides = _assign(ordered, group)
    return {role: tuple(clip for clip in ordered if sides[group(clip)] == role) for role in ROLES}


def _sentence(clip: Clip) -> str:
    return clip.sentence


def _subject(clip: Clip) -> str:
    return clip.subject


def _assign(clips: Sequence[Clip], group: Callable[[Clip], str]) -> dict[str, Role]:
    """A side for every group, so that both see as many emotions filmed as there are groups for."""
    members: dict[str, list[Clip]] = {}
    for clip in clips:
        members.setdefault(group(clip), []).append(clip)
    filmed = {name: {clip.emotion for clip in own if clip.video is not None} for name, own in members.items()}
    times = Counter(emotion for shown in filmed.values() for emotion in shown)
    covered: dict[Role, set[str]] = {"evaluation": set(), "training": set()}
    counts = {"evaluation": 0, "training": 0}
    sides: dict[str, Role] = {}
    # Groups that alone show an emotion are the evaluation's and come first; the order of names decides among the rest.
    for name in sorted(members, key=lambda name: (not any(times[e] == 1 for e in filmed[name]), name)):
        only = any(times[emotion] == 1 for emotion in filmed[name])
        gains = {role: len(filmed[name] - covered[role]) for role in ROLES}
        if only or gains["evaluation"] > gains["training"]:
            side: Role = "evaluation"
        elif gains["training"] > gains["evaluation"]:
            side = "training"
        else:
            side = "evaluation" if counts["evaluation"] <= EVALUATION_SHARE * counts["training"] else "training"
        sides[name] = side
        covered[side] |= filmed[name]
        counts[side] += len(members[name])
    return sides
