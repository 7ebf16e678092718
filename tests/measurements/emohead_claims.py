"""Do EmoHead's claims hold for its expression module? `python tests/measurements/emohead_claims.py --out claims.json`

On puppet-full at the level of α: trained on the train sentences of all eight subjects, measured on the held-out
sentence s10 in all levels, and on the mismatch split. Settings were chosen on the val sentences, but for the steps and
the mouth weight, which followed the first figures on s10; and the mismatch figures of each kind of step were seen when
one was chosen. docs/measurements/emohead.md, for which this is used, tells more.
Parts can be asked for one by one and are merged into the file.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from emohead_material import Take, errors, open_takes
from emohead_scores import STEPS, TAUS, Answers, Errors, matched_rows, mean_rows, mismatch_rows, nearest_rows
from emohead_summary import by_emotion, by_pair, difference, mean_with_interval, ratio
from emohead_training import ROWS, SHORT_STEPS, trained
from torch import Tensor

from emobench.cache import write_text

STREAMS = ("text", "emotion", "audio")  # in the order in which the alignment gives them
FEW = 4  # ablations take every fourth mismatch clip

Rows = dict[str, Errors]


@dataclass(frozen=True)
class Study:
    """The clips and modules of one measurement."""

    seeds: Sequence[int]

    @cached_property
    def train(self) -> list[Take]:
        return open_takes("train")

    @cached_property
    def test(self) -> list[Take]:
        return open_takes("test")

    @cached_property
    def mismatch(self) -> list[Take]:
        return open_takes("mismatch")

    @cached_property
    def few(self) -> list[Take]:
        """A quarter of the mismatch clips, pairs and subjects alike: there are 56 pairs a subject, in order."""
        return [take for index, take in enumerate(self.mismatch) if (index + index // 56) % FEW == 0]

    @cached_property
    def answers(self) -> list[Answers]:
        """Of the complete method, by seed."""
        return [self.answers_of("emohead", seed) for seed in self.seeds]

    def answers_of(self, row: str, seed: int, steps: int | None = None) -> Answers:
        return Answers(trained(row, seed, steps, self.train))

    def stacked(
        self, rows: Callable[[Answers, Sequence[Take]], dict[str, Errors]], takes: list[Take]
    ) -> dict[str, Any]:
        """Row → (seeds, clips, 2)."""
        found = [rows(answers, takes) for answers in self.answers]
        return {name: np.stack([one[name] for one in found]) for name in found[0]}


def matched(study: Study) -> dict[str, Any]:
    """Claim (a): α̃ against the references, by emotion."""
    takes, references = (
        study.test,
        mean_rows(study.train, study.test) | nearest_rows(study.train, study.test, untold=True),
    )
    rows = study.stacked(matched_rows, takes) | references
    return {
        "clips": len(takes),
        "rows": {name: mean_with_interval(values) for name, values in rows.items()},
        "ratio": {name: ratio(rows["no-refinement"], values) for name, values in references.items()},
        "by_emotion": by_emotion(rows, "no-refinement", list(references), [take.emotion for take in takes]),
        "refined_minus_spoken": difference(rows["no-refinement"], rows["refined"]),
    }


def mismatch(study: Study) -> dict[str, Any]:
    """Claim (b): every way to the tag's face, against the mismatch ground truth."""
    takes = study.mismatch
    rows = study.stacked(mismatch_rows, takes) | mean_rows(study.train, takes)
    rows |= nearest_rows(study.train, takes, untold=False)
    voices, tags = [take.voice for take in takes], [take.emotion for take in takes]
    shown = (
        "told voice: α̃",
        "told voice: τ = 1, normal",
        "told voice: τ = 1, joint",
        "told voice: FFN₂'s τ",
        "told tag: α̃",
    )
    spoken, told = rows["told voice: α̃"], rows["told tag: α̃"]
    return {
        "clips": len(takes),
        "rows": {name: mean_with_interval(values) for name, values in rows.items()},
        "over_spoken": {n: ratio(v, spoken) for n, v in rows.items() if n.startswith("told voice")},
        "over_told": {n: ratio(v, told) for n, v in rows.items() if n.startswith("told tag")},
        "by_pair": {name: by_pair(rows[name], voices, tags) for name in shown},
    }


def sweep(study: Study) -> dict[str, Any]:
    """Claim (c): from the spoken face to the tag in eleven steps, and beyond."""
    found: dict[str, Any] = {"taus": TAUS, "clips": len(study.mismatch)}
    for step in STEPS:
        swept = [[answers.sweep(take, step) for take in study.mismatch] for answers in study.answers]
        parts = np.array([[one.errors for one in clips] for clips in swept]).mean(axis=0)  # (clips, τ, 2)
        whole = np.array([[one.whole for one in clips] for clips in swept]).mean(axis=0)  # (clips, τ)
        one = TAUS.index(1.0)
        found[step] = {
            "mean": {"mouth": parts[..., 0].mean(0).tolist(), "upper": parts[..., 1].mean(0).tolist()},
            "whole": whole.mean(axis=0).tolist(),
            "median_change": {
                "whole": _median_interval(whole[:, one] / whole[:, 0] - 1),
                "mouth": _median_interval(parts[:, one, 0] / parts[:, 0, 0] - 1),
                "upper": _median_interval(parts[:, one, 1] / parts[:, 0, 1] - 1),
            },
            "share_worse_at_1.5": float((whole[:, -1] > whole[:, one]).mean()),
            "median_change_1_to_1.5": _median_interval(whole[:, -1] / whole[:, one] - 1),
        }
    return found


def ablations(study: Study) -> dict[str, Any]:
    """Claim (e): rows trained with few steps each; compare within the table only."""
    few = study.few
    names = [name for name, settings in ROWS.items() if "refinement" not in settings or "training" in settings]
    tables: dict[str, dict[str, list[Errors]]] = {}
    for name in names:
        for seed in study.seeds:
            answers = study.answers_of(name, seed, SHORT_STEPS)
            own = tables.setdefault(name, {"matched": [], "mismatch": []})
            for split, takes in (("matched", study.test), ("mismatch", few)):
                own[split].append(np.array([errors(answers.say(take, False)[0], take) for take in takes]))
    stacked = {name: {split: np.stack(v) for split, v in table.items()} for name, table in tables.items()}
    base = stacked["emohead"]
    return {
        "steps": SHORT_STEPS, "clips": {"matched": len(study.test), "mismatch": len(few)},
        "rows": {name: {s: mean_with_interval(v) for s, v in table.items()} for name, table in stacked.items()},
        "over_emohead": {name: {s: ratio(v, base[s]) for s, v in table.items()} for name, table in stacked.items()},
    }  # fmt: skip


def refinements(study: Study) -> dict[str, Any]:
    """Claim (e), stage 2: kinds of step and the projection, each with an FFN₂ of its own on the same α̃."""
    found: dict[str, dict[str, list[Errors]]] = {}
    for name in ("emohead", "paper-step", "landing-step", "projection"):
        for seed in study.seeds:
            answers = study.answers_of(name, seed)
            step = answers.model.config.refinement.step
            own = found.setdefault(name, {})
            for row, takes, as_voice in (
                ("matched", study.test, False), ("told tag", study.few, False), ("told voice", study.few, True)
            ):  # fmt: skip
                own.setdefault(row, []).append(np.array([errors(answers.say(t, as_voice)[1], t) for t in takes]))
            own.setdefault("told voice, τ = 1", []).append(
                np.array([errors(answers.push(take, True, 1.0, step), take) for take in study.few])
            )
    rows = {n: {row: mean_with_interval(np.stack(v)) for row, v in table.items()} for n, table in found.items()}
    return {"clips": {"matched": len(study.test), "mismatch": len(study.few)}, "rows": rows}


def knockouts(study: Study) -> dict[str, Any]:
    """What each part does in use: streams and planes zeroed, words withheld, the distribution of τ."""
    answers, takes = study.answers[0], study.test
    whole = np.array([errors(answers.say(take, False)[0], take) for take in takes])
    rows = {"complete": whole}
    for place, stream in enumerate(STREAMS):
        hook = answers.model.network.alignment.register_forward_hook(_zeroing(place))
        rows[f"h of {stream} zeroed"] = np.array([errors(Answers(answers.model).say(t, False)[0], t) for t in takes])
        hook.remove()
    unheard = [answers.model.predict(take.request(transcript=None)).spoken for take in takes]
    rows["words withheld"] = np.array([errors(alpha, take) for alpha, take in zip(unheard, takes, strict=True)])
    taus = {
        name: np.quantile(np.concatenate([answers.say(take, voice)[2] for take in clips]), (0.1, 0.5, 0.9)).tolist()
        for name, clips, voice in (("matched", takes, False), ("mismatch, told voice", study.mismatch, True))
    }
    return {
        "rows": {name: mean_with_interval(values) for name, values in rows.items()},
        "over_complete": {name: ratio(values, whole) for name, values in rows.items()},
        "tau_quantiles": taus, "accuracy": dict(_accuracies(answers)),
    }  # fmt: skip


def _accuracies(answers: Answers) -> list[tuple[str, float]]:
    return list(zip(answers.planes.emotions, answers.planes.accuracy.tolist(), strict=True))


def _zeroing(place: int) -> Callable[..., tuple[Tensor, ...]]:
    def hook(_module: object, _inputs: object, outputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(torch.zeros_like(x) if index == place else x for index, x in enumerate(outputs))

    return hook


def _median_interval(values: np.ndarray) -> dict[str, float]:
    drawn = np.random.default_rng(0).integers(len(values), size=(2000, len(values)))
    low, high = np.percentile(np.median(values[drawn], axis=1), (2.5, 97.5))
    return {"median": float(np.median(values)), "low": float(low), "high": float(high)}


PARTS: dict[str, Callable[[Study], dict[str, Any]]] = {
    "matched": matched, "mismatch": mismatch, "sweep": sweep, "ablations": ablations,
    "refinements": refinements, "knockouts": knockouts,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--out", type=Path, required=True, help="JSON; parts that are not asked for stay in it")
    arguments = parser.parse_args()
    study = Study(seeds=[int(seed) for seed in arguments.seeds.split(",")])
    found = json.loads(arguments.out.read_text(encoding="utf-8")) if arguments.out.is_file() else {}
    for part in arguments.parts.split(","):
        used = study.seeds[:1] if part == "knockouts" else study.seeds
        found[part] = {"seeds": list(used), **PARTS[part](study)}
        write_text(arguments.out, json.dumps(found, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
