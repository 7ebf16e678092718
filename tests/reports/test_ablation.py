"""Claims about ablation tables: which rows run, what is compared with what, and how it is written."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from emobench import ablation_files, ablation_tables
from emobench.ablation import FULL, AblationTable, plan_rows, tabulate
from emobench.cli import main
from emobench.compare import compare_groups
from emobench.errors import EmobenchError, UsageError
from emobench.planning import Request
from emobench.registry import find
from emobench.store import RunRecord
from emobench.types import Progress

from .conftest import Maker

ROWS = ["no-text", "no-refinement"]


def runs(make_run: Maker, seeds: tuple[int, ...] = (0, 1)) -> list[RunRecord]:
    """The whole method, a row that is much worse, and one that is the same."""
    shifts = {"": 0.0, "no-text": -5.0, "no-refinement": 0.0}
    return [
        make_run(preset=preset, seed=seed, shift=shift, n_clips=12)
        for preset, shift in shifts.items()
        for seed in seeds
    ]


@pytest.fixture
def table(make_run: Maker) -> AblationTable:
    return tabulate("emohead", ROWS, runs(make_run), [])


def rendered(table: AblationTable) -> list[str]:
    console = Console(file=io.StringIO(), width=80, highlight=False)
    console.print(ablation_tables.render(table, 80))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_the_default_rows_are_the_methods_ablations_and_all_are_all_presets() -> None:
    assert plan_rows("emohead", []) == list(find("method", "emohead").ablations)
    assert plan_rows("emohead", ["all"]) == list(find("method", "emohead").presets)
    assert plan_rows("emohead", ["no-text", "no-text"]) == ["no-text"]


@pytest.mark.parametrize(
    ("method", "rows", "words"),
    [
        ("emohead", ["no-txt"], "Did you mean 'no-text'"),
        ("emohead/no-text", [], "name the method itself"),
        ("static", [], "names no ablations"),
        ("emohed", [], "Unknown method"),
    ],
)
def test_rows_that_cannot_be_are_refused(method: str, rows: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        plan_rows(method, rows)


def test_a_row_without_its_part_is_found_worse_and_an_equal_one_is_not(table: AblationTable) -> None:
    assert [row.name for row in table.rows] == [FULL, *ROWS]
    worse = table.rows[1].against_full["psnr"]
    assert worse.verdict == "worse"
    assert worse.delta is not None
    assert worse.delta < 0
    assert table.rows[1].against_full["lmd.mouth"].verdict == "worse"
    assert table.rows[2].against_full["psnr"].verdict in ("inconclusive", "equivalent")


def test_p_is_corrected_over_all_rows_and_metrics(make_run: Maker, table: AblationTable) -> None:
    tests = [row for item in table.rows for row in item.against_full.values() if row.p is not None]
    assert len(tests) == 2 * len(table.metrics)
    records = runs(make_run)
    alone = compare_groups(
        [r for r in records if r.run.preset == ""], [r for r in records if r.run.preset == "no-text"]
    ).metrics["psnr"]
    both = table.rows[1].against_full["psnr"]
    assert both.p == alone.p
    assert both.p_holm is not None
    assert alone.p_holm is not None
    assert both.p_holm >= alone.p_holm
    assert f"over all {len(tests)} tests" in table.caption


def test_values_are_means_over_seeds_with_their_spread(make_run: Maker, table: AblationTable) -> None:
    full = [record for record in runs(make_run) if record.run.preset == ""]
    values = [record.results["psnr"].value for record in full]
    found = table.rows[0].values["psnr"]
    assert found.value == pytest.approx(sum(v for v in values if v is not None) / 2)
    assert found.seed_std is not None
    assert found.ci_low is not None
    assert found.value is not None
    assert found.ci_low < found.value


def test_a_row_that_failed_says_why_and_the_others_stand(make_run: Maker) -> None:
    records = runs(make_run)
    failed = [make_run(preset="no-cord", seed=0, status="failed", error="the lamp went out")]
    table = tabulate("emohead", [*ROWS, "no-cord"], records + failed, [])
    assert table.rows[3].reason == "the lamp went out"
    assert any("the lamp went out" in line for line in rendered(table))
    assert table.rows[1].against_full


def test_without_the_whole_method_there_is_no_table(make_run: Maker) -> None:
    failed = make_run(status="failed", error="the lamp went out")
    with pytest.raises(EmobenchError, match="the lamp went out") as raised:
        tabulate("emohead", ROWS, [failed], [])
    assert raised.value.exit_code == 1


def test_a_row_that_cannot_be_compared_says_why_and_the_others_stand(make_run: Maker) -> None:
    pasted = [make_run(preset="paste-back", seed=0, n_clips=12, pasted=True)]
    other = [make_run(preset="no-cord", seed=5, n_clips=12)]
    table = tabulate("emohead", ["no-text", "paste-back", "no-cord"], [*runs(make_run), *pasted, *other], ["psnr"])
    found = {row.name: row.reason or "" for row in table.rows}
    assert "paste-back" in found["paste-back"]
    assert "no finished seed" in found["no-cord"]
    assert table.rows[1].against_full["psnr"].verdict == "worse"


def test_a_row_is_compared_on_the_seeds_it_shares(make_run: Maker) -> None:
    records = [r for r in runs(make_run, (0, 1)) if (r.run.preset, r.run.seed) != ("no-text", 1)]
    table = tabulate("emohead", ["no-text"], records, ["psnr"])
    assert table.rows[1].seeds == (0,)
    own = next(r for r in records if (r.run.preset, r.run.seed) == ("", 0)).results["psnr"].value
    assert table.rows[1].against_full["psnr"].a == pytest.approx(own)


def test_names_from_disk_are_escaped_in_html(make_run: Maker) -> None:
    failed = make_run(preset="no-cord", status="failed", error="<b>&")
    table = tabulate("emohead", ["no-cord"], [*runs(make_run), failed], ["psnr"])
    assert "&lt;b&gt;&amp;" in ablation_files.as_html(table)
    assert "<b>&" not in ablation_files.as_html(table)


def test_the_terminal_table_fits_eighty_columns(table: AblationTable) -> None:
    lines = rendered(table)
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("no-text") and "worse" in line for line in lines)
    assert any("no transcript, in training and in use" in line for line in lines)


def test_every_format_holds_every_row_and_metric(table: AblationTable, tmp_path: Path) -> None:
    paths = ablation_files.write_tables(table, tmp_path)
    assert {path.suffix for path in paths} == {".csv", ".md", ".tex", ".html", ".json"}
    lines = list(csv.DictReader(io.StringIO((tmp_path / "ablation.csv").read_text())))
    assert len(lines) == len(table.rows) * len(table.metrics)
    stored = json.loads((tmp_path / "ablation.json").read_text())["rows"]["no-text"]["metrics"]["psnr"]
    line = next(line for line in lines if (line["row"], line["metric"]) == ("no-text", "psnr"))
    assert float(line["delta"]) == stored["delta"] == table.rows[1].against_full["psnr"].delta
    markdown = (tmp_path / "ablation.md").read_text()
    assert markdown.count("\n| ") == 1 + len(table.rows)
    page = (tmp_path / "ablation.html").read_text()
    assert page.count("<tr>") == 1 + len(table.rows)
    assert 'class="worse"' in page
    assert "http" not in page
    assert "<script" not in page
    latex = (tmp_path / "ablation.tex").read_text()
    assert r"\textbf{" in latex
    assert "95\\%" in latex
    body = [line for line in latex.splitlines() if line.endswith(r"\\")]
    assert {line.count(" & ") for line in body} == {len(table.metrics)}


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--rows", "no-txt"], "no-text"),
        (["--seeds", "one"], "whole numbers"),
        (["--metrics", "ssmi"], "'ssim'"),
        (["--method", "emohead/no-text"], "name the method itself"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(
    arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ablate", "--method", "emohead", "--dataset", "puppet-tiny", *arguments]) == 2
    assert word in capsys.readouterr().err


@pytest.mark.parametrize(("more", "code"), [([], 3), (["--allow-missing"], 0)])
def test_clips_without_scores_are_named_and_end_with_3_unless_that_is_accepted(
    make_run: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    more: list[str], code: int,
) -> None:  # fmt: skip
    found = runs(make_run)
    lost = replace(found[0].scores[0], value=None, reason="no face was found")
    found[0] = replace(found[0], scores=[lost, *found[0].scores[1:]])
    asked: list[Request] = []

    def run(request: Request, progress: Progress, cache_dir: Path) -> list[RunRecord]:
        asked.append(request)
        return found

    monkeypatch.setattr("emobench.runner.run", run)
    options = ["--rows", ",".join(ROWS), "--metrics", "psnr", "--device", "cpu", "--out", str(tmp_path / "runs")]
    options += ["--no-report", "--backend", "torch", "--allow-unpickle", "A" * 64]
    assert main(["ablate", "--method", "emohead", "--dataset", "puppet-tiny", *options, *more]) == code
    said = capsys.readouterr().err
    assert f"{found[0].run.label}: 1 of" in said
    assert "no face was found" in said
    assert (asked[0].backend, asked[0].allow_unpickle) == ("torch", "a" * 64)
