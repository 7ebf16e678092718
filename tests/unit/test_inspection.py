"""Claims about `emobench inspect`: what it says of a run and of its method's hyperplanes."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from emobench.cli import main
from emobench.errors import InputError, UsageError
from emobench.inspection import PlaneReport, inspect_planes, run_facts
from emobench.inspection_figure import write_planes
from emobench.inspection_tables import plane_tables, signed
from emobench.progress import SilentProgress
from emobench.run_clips import stored_driving, stored_pose
from emobench.subjects import load_subjects

from .animated_run import CARD, EMOTIONS, FRAMES, NAMES, TAU, PaintingMethod, PlainMethod, finished_run


def report_of(folder: Path, method: PaintingMethod) -> PlaneReport:
    return inspect_planes(finished_run(folder), method, SilentProgress())


@pytest.fixture
def report(tmp_path: Path) -> PlaneReport:
    return report_of(tmp_path / "run", PaintingMethod())


def shown(report: PlaneReport, width: int = 80) -> list[str]:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(plane_tables(report))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_tau_is_read_off_the_runs_own_test_clips_by_emotion(report: PlaneReport) -> None:
    assert set(report.tau) == {"happy", "neutral"}
    for emotion, tau in report.tau.items():
        assert tau.clips == 1
        assert len(tau.values) == FRAMES
        assert tau.quantiles == pytest.approx((TAU[emotion],) * 3)


def test_the_coefficients_a_normal_moves_are_named_largest_first_on_each_side(report: PlaneReport) -> None:
    raised, lowered = report.moved("happy")
    assert [(row.name, row.is_mouth) for row in raised] == [("cheek", False), ("lips", True)]
    assert lowered == []
    assert [row.name for row in report.moved("angry")[1]] == ["brow"]


def test_the_table_fits_eighty_columns_and_names_every_emotion(report: PlaneReport) -> None:
    lines = shown(report)
    assert max(map(len, lines)) <= 80
    for emotion in EMOTIONS:
        assert sum(line.startswith(emotion) for line in lines) == 3
    happy = next(line for line in lines if line.startswith("happy"))
    assert happy.split() == ["happy", "100.0%", "0.600", "3.00", "200", "0.25", "0.25", "0.25", "1"]
    angry = next(line for line in lines if line.startswith("angry"))
    assert angry.split()[-2:] == ["–", "0"]
    assert any("lips* 0.60" in line for line in lines)


def test_a_checkpoint_that_counted_no_frames_shows_a_dash(tmp_path: Path) -> None:
    report = report_of(tmp_path / "run", PaintingMethod(frames=()))
    assert next(line for line in shown(report) if line.startswith("happy")).split()[4] == "–"
    assert report.to_json()["emotions"]["happy"]["frames"] is None


def test_json_holds_the_numbers_in_full(report: PlaneReport) -> None:
    found = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert found["alpha_names"] == list(NAMES)
    assert found["cosines"][0][2] == pytest.approx(-0.6)
    happy = found["emotions"]["happy"]
    assert happy["frames"] == 200
    assert sum(happy["tau"]["histogram"]["counts"]) == FRAMES
    assert found["emotions"]["angry"]["tau"] is None


@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")])
def test_the_picture_is_of_the_kind_its_name_says_and_repeats(
    report: PlaneReport, tmp_path: Path, suffix: str, start: bytes
) -> None:
    for name in ("one", "two"):
        write_planes(report, tmp_path / f"{name}{suffix}")
    content = (tmp_path / f"one{suffix}").read_bytes()
    assert content.startswith(start)
    assert content == (tmp_path / f"two{suffix}").read_bytes()
    with pytest.raises(UsageError, match=r"\.png, \.svg, \.pdf"):
        write_planes(report, tmp_path / "three.gif")


def test_a_method_without_hyperplanes_is_named(tmp_path: Path) -> None:
    method = PaintingMethod()
    method.hyperplanes = lambda: None  # type: ignore[method-assign]
    with pytest.raises(UsageError, match="single emotion"):
        report_of(tmp_path / "one", method)
    with pytest.raises(UsageError, match="the method painting offers none"):
        report_of(tmp_path / "two", PlainMethod())


def test_a_clip_drives_again_with_its_own_sound_and_stored_pose(tmp_path: Path) -> None:
    record = finished_run(tmp_path / "run")
    driving = stored_driving(record, record.plan[1], load_subjects(record.dir))
    np.testing.assert_allclose(driving.audio, 0.2, atol=1e-4)
    np.testing.assert_array_equal(driving.pose.translation, np.tile(CARD.translation, (FRAMES, 1)))
    np.testing.assert_array_equal(stored_pose(record, "ann_happy").translation[:, 0], np.arange(FRAMES))
    with pytest.raises(UsageError, match="Did you mean 'ann_happy'"):
        stored_pose(record, "ann_hapy")
    with pytest.raises(InputError, match="does not hold the head pose"):
        stored_pose(finished_run(tmp_path / "old", with_pose=False), "ann_happy")


def test_the_facts_of_a_run_say_what_lies_in_it(tmp_path: Path) -> None:
    facts = run_facts(finished_run(tmp_path / "run"))
    assert facts["checkpoint"] == {"checkpoint/numbers.bin": 4}
    assert (facts["clips"], facts["frames"]) == (2, 2 * FRAMES)
    assert facts["files"]["predictions"]["files"] == 6


def test_the_command_prints_facts_and_refuses_a_picture_of_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finished_run(tmp_path / "run")
    assert main(["inspect", str(tmp_path / "run")]) == 0
    assert "painting 1 on toy, seed 0: complete" in capsys.readouterr().out
    assert main(["inspect", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["identity"] == "abc"
    assert main(["inspect", str(tmp_path / "run"), "-o", "x.png"]) == 2
    assert "--hyperplanes" in capsys.readouterr().err


def test_a_number_that_rounds_to_nothing_has_no_sign() -> None:
    assert [signed(value) for value in (-0.001, -0.2, 0.004, 1.0)] == ["0.00", "−0.20", "0.00", "1.00"]
