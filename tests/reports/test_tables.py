"""Rows, the terminal, CSV and LaTeX reports, published numbers and figures."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import shutil
import subprocess
from dataclasses import replace

import pytest
import yaml
from rich.console import Console

from emobench.errors import InputError
from emobench.reports import literature
from emobench.reports.csv_files import CsvReport
from emobench.reports.figure_files import FigureReport, write_figures
from emobench.reports.latex import LatexReport, escape, latex
from emobench.reports.literature import published, published_for
from emobench.reports.missing import missing_lines
from emobench.reports.summary import by_dataset, columns, measured_columns, summarise
from emobench.reports.terminal import TerminalReport, render
from emobench.types import Result


def printed(rows, width=80):
    stream = io.StringIO()
    Console(file=stream, width=width).print(render(rows, width))
    return stream.getvalue()


def with_result(record, metric, **changes):
    return replace(record, results={**record.results, metric: replace(record.results[metric], **changes)})


@pytest.fixture
def runs(make_run):
    return [
        make_run("static", role="sanity", shift=-1.5),
        make_run("ground_truth", role="oracle", shift=3.0),
        make_run("mean_expression", role="reference", shift=-0.5),
        make_run("emohead", shift=1.0),
    ]


# ------------------------------------------------------------------ rows


def test_ranked_rows_come_first_and_only_they_can_be_best(runs):
    rows = summarise(runs)
    assert [row.label for row in rows] == ["emohead", "mean_expression", "ground_truth", "static"]
    best = {name: [row.label for row in rows if row.cells[name].is_best] for name in ("psnr", "ssim", "lmd.mouth")}
    assert best == {"psnr": ["emohead"], "ssim": ["emohead"], "lmd.mouth": ["emohead"]}
    assert not any(cell.is_best for row in rows[2:] for cell in row.cells.values())


def test_single_seed_shows_the_stored_result_unchanged(make_run):
    run = make_run()
    cell = summarise([run])[0].cells["psnr"]
    result = run.results["psnr"]
    assert (cell.value, cell.ci_low, cell.ci_high) == (result.value, result.ci_low, result.ci_high)


def test_seeds_of_one_method_become_one_row_with_mean_spread_and_interval(make_run):
    runs = [make_run(seed=seed) for seed in range(3)]
    (row,) = summarise(runs)
    cell = row.cells["psnr"]
    values = [run.results["psnr"].value for run in runs]
    assert row.seeds == (0, 1, 2)
    assert cell.value == pytest.approx(sum(values) / 3)
    assert sorted(cell.seed_values) == sorted(values)
    assert cell.ci_low < cell.value < cell.ci_high


def test_runs_of_another_configuration_or_version_are_not_averaged(make_run):
    runs = [make_run(), make_run(seed=1, config={"steps": 5}), make_run(seed=2, method_version="2")]
    rows = summarise(runs)
    assert len(rows) == 3
    assert len({row.label for row in rows}) == 3


def test_another_split_of_one_dataset_is_never_ranked_in_the_same_table(make_run):
    rows = summarise([make_run("a", shift=1.0), make_run("b", split_hash="0" * 64)])
    assert [row.data for row in rows] == ["puppet · strict · split 000000", "puppet · strict · split ffffff"]
    assert len(by_dataset(rows)) == 2
    assert not any(cell.is_best for row in rows for cell in row.cells.values())


def test_two_runs_of_one_seed_stay_apart(make_run):
    first = make_run()
    second = replace(first, run=replace(first.run, identity="0" * 64))
    assert len(summarise([first, second])) == 2
    assert len(summarise([first, first])) == 1


def test_a_metric_that_one_seed_lacks_has_no_mean(make_run):
    a, b = make_run(seed=0), make_run(seed=1)
    cell = summarise([a, with_result(b, "psnr", value=None, n_scored=0, reason="no face")])[0].cells["psnr"]
    assert cell.value is None
    assert cell.reason == "measured for 1 of 2 seeds"


def test_seeds_with_different_signatures_have_no_mean(make_run):
    a, b = make_run(seed=0), make_run(seed=1)
    cell = summarise([a, with_result(b, "psnr", signature="other")])[0].cells["psnr"]
    assert cell.value is None
    assert cell.reason == "signatures differ between seeds"


def test_pooled_metric_over_seeds_has_a_mean_but_no_interval(make_run):
    fid = Result(value=40.0, ci_low=38.0, ci_high=42.0, n_scored=8, n_total=8, unit="", higher_is_better=False,
                 signature="fid")  # fmt: skip
    runs = [make_run(seed=s, results={"fid": replace(fid, value=v)}) for s, v in ((0, 40.0), (1, 44.0))]
    cell = summarise(runs)[0].cells["fid"]
    assert (cell.value, cell.ci_low, cell.ci_high) == (42.0, None, None)


def test_an_incomplete_value_is_never_best(make_run):
    good, poor = make_run("a", shift=1.0), make_run("b")
    third = make_run("c", shift=-1.0)
    rows = summarise([with_result(good, "psnr", n_scored=7), poor, third])
    assert [row.label for row in rows if row.cells["psnr"].is_best] == ["b"]


def test_rows_with_different_signatures_have_no_best(make_run):
    rows = summarise([make_run("a", shift=1.0), with_result(make_run("b"), "psnr", signature="other")])
    assert not any(row.cells["psnr"].is_best for row in rows)
    assert any(row.cells["ssim"].is_best for row in rows)
    assert "psnr‡" in printed(rows)


def test_pasted_rows_and_others_are_never_ranked_together(make_run):
    apart = [make_run("a", shift=1.0, pasted=True), make_run("b", pasted=True)]
    assert [row.cells["psnr"].is_best for row in summarise(apart)] == [True, False]
    together = summarise([*apart, make_run("c", shift=-1.0)])
    assert not any(cell.is_best for row in together for cell in row.cells.values())
    assert [row.label for row in together] == ["a (pasted)", "b (pasted)", "c"]
    assert "not comparable with the other rows, no best" in " ".join(printed(together).split())
    assert "not comparable with the other rows, no best" in latex(together)
    assert "no best" not in printed(summarise(apart))


def test_a_row_that_is_not_ranked_does_not_keep_pasted_rows_from_being_best(make_run):
    rows = summarise([
        make_run("a", shift=1.0, pasted=True), make_run("b", pasted=True), make_run("ground_truth", role="oracle"),
    ])  # fmt: skip
    assert [row.label for row in rows if row.cells["psnr"].is_best] == ["a (pasted)"]


def test_values_whose_signature_says_so_are_never_best(make_run):
    signature = "max MiB, not ranked|v2"
    runs = (make_run("a", shift=1.0), make_run("b"))
    rows = summarise([with_result(run, "psnr", signature=signature) for run in runs])
    assert not any(row.cells["psnr"].is_best for row in rows)
    assert any(row.cells["ssim"].is_best for row in rows)


def test_lowest_value_is_best_where_lower_is_better(make_run):
    rows = summarise([make_run("a", shift=1.0), make_run("b")])
    best = next(row for row in rows if row.cells["lmd.mouth"].is_best)
    assert best.cells["lmd.mouth"].value == min(row.cells["lmd.mouth"].value for row in rows)


def test_columns_follow_the_literature_and_wholly_missing_ones_are_dropped(make_run):
    run = with_result(make_run(), "ssim", value=None, n_scored=0, reason="no weights")
    assert [c.name for c in columns(summarise([run]))] == ["psnr", "ssim", "lmd.mouth", "emotion.judge", "fps.render"]
    assert "ssim" not in [c.name for c in measured_columns(summarise([run]))]


def test_missing_lines_name_metric_rows_and_reason(make_run):
    a, b = make_run("a"), with_result(make_run("b"), "ssim", value=None, n_scored=0, reason="no weights")
    assert missing_lines(summarise([a, b])) == ["ssim (b): no weights"]


def test_partial_coverage_counts_the_reasons_of_clips(make_run):
    run = make_run()
    clip = run.plan[0].clip
    lost = (clip, "ssim")
    scores = [replace(s, value=None, reason="no face") if (s.clip, s.metric) == lost else s for s in run.scores]
    run = with_result(replace(run, scores=scores), "ssim", n_scored=7)
    assert missing_lines(summarise([run])) == ["ssim: some clips unscored: no face (1)"]
    assert "7/8" in printed(summarise([run]))


# ------------------------------------------------------------------ terminal


def test_tables_fit_80_columns_and_show_every_metric(runs):
    extra = {f"metric.{i}": Result(value=i + 0.5, ci_low=i, ci_high=i + 1, n_scored=8, n_total=8, unit="px",
                                   higher_is_better=False, signature=f"m{i}") for i in range(15)}  # fmt: skip
    runs = [replace(run, results={**run.results, **extra}) for run in runs]
    text = printed(summarise(runs))
    assert max(map(len, text.splitlines())) <= 80
    assert all(name in text for name in runs[0].results)
    assert text.count("not ranked") >= 2  # split into several tables


def test_terminal_shows_interval_best_and_infinity(runs):
    runs[1] = with_result(runs[1], "psnr", value=None, ci_low=None, ci_high=None, reason="infinite")
    text = printed(summarise(runs))
    assert re.search(r"\d\d\.\d\d\*", text)
    assert re.search(r"\d\d\.\d\d–\d\d\.\d\d", text)
    assert "∞" in text
    assert "no claim about new subjects" in " ".join(text.split())


def test_escape_codes_and_markup_from_disk_do_not_reach_the_terminal(make_run):
    run = make_run()
    evil = replace(run, run=replace(run.run, method="[red]x[/red]\x1b[2J", preset=""))
    text = printed(summarise([evil]))
    assert "[red]x[/red]" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("method", ["emohead", "a-method-with-a-very-long-name-that-somebody-gave-it-one-rainy-day"])
def test_no_metric_is_cut_at_80_columns_however_long_names_are(method, make_run):
    long = Result(
        value=1234.5678, ci_low=1234.5, ci_high=1234.6, n_scored=8, n_total=8, unit="frames/s", higher_is_better=True,
        signature="s",
    )  # fmt: skip
    names = ("emotion.expressnet", "jitter.landmarks", "lmd.mouth.norm", "someone.elses.metric.of.a.long.name")
    shown = printed(summarise([make_run(method, results=dict.fromkeys(names, long))]), width=80)
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= 80
    for name in names:
        assert f"{name} ↑" in shown
    assert "".join(part.strip() for part in shown.splitlines()).count("1234.5") >= len(names)


@pytest.mark.parametrize("dataset", ["mead", "crema_d"])
def test_published_numbers_are_not_cut_at_80_columns(dataset, make_run):
    shown = printed(summarise([make_run("emohead", dataset=dataset)]), width=80)
    assert "Published" in shown
    assert "…" not in shown


def test_terminal_report_writes_no_file(runs, tmp_path):
    console = Console(file=io.StringIO(), width=80)
    assert TerminalReport(console).write(runs, tmp_path / "out") is None
    assert not (tmp_path / "out").exists()


# ------------------------------------------------------------------ csv


def test_csv_round_trips_values_at_full_precision(runs, tmp_path):
    path = CsvReport().write(runs, tmp_path)
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    by_key = {(row["method"], row["metric"]): row for row in rows}
    for run in runs:
        for name, result in run.results.items():
            row = by_key[run.run.method, name]
            assert float(row["value"]) == result.value
            assert row["signature"] == result.signature
            assert row["identity"] == run.run.identity


def test_scores_csv_has_a_row_per_clip_with_reason_for_missing(make_run, tmp_path):
    run = make_run()
    run = replace(run, scores=[replace(run.scores[0], value=None, reason='no "face", sorry'), *run.scores[1:]])
    CsvReport().write([run], tmp_path)
    with (tmp_path / "scores.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(run.scores)
    assert rows[0]["value"] == ""
    assert rows[0]["reason"] == 'no "face", sorry'
    assert any(json.loads(row["detail"]).get("predicted") for row in rows)


# ------------------------------------------------------------------ latex


def test_latex_marks_the_best_and_states_protocol_dataset_seeds_and_interval(runs):
    text = latex(summarise(runs))
    assert r"\textbf{" in text
    caption = re.search(r"\\caption\{(.*)\}\n", text)[1]
    for word in ("puppet", "strict", "8 test clips", "seeds 0", r"95\% bootstrap intervals"):
        assert word in caption


def test_latex_rows_have_as_many_cells_as_the_layout(runs):
    text = latex(summarise(runs))
    layout = re.search(r"\\begin\{tabular\}\{(\w+)\}", text)[1]
    body = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in body} == {len(layout) - 1}


def test_latex_escapes_every_special_character():
    assert escape("a_b&c%d$e#f{g}") == r"a\_b\&c\%d\$e\#f\{g\}"
    assert escape("\\input{x}") == r"\textbackslash{}input\{x\}"


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles(runs, tmp_path):
    path = LatexReport().write(runs, tmp_path)
    head = r"\documentclass{article}\usepackage{booktabs,graphicx}\begin{document}\input{"
    (tmp_path / "main.tex").write_text(head + path.name + r"}\end{document}")
    subprocess.run(["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main.tex"], cwd=tmp_path, check=True)


# ------------------------------------------------------------------ published numbers


def test_every_published_table_names_source_grade_and_protocol():
    tables = published()
    assert {table.dataset for table in tables} >= {"mead", "crema-d"}
    for table in tables:
        assert table.source
        assert table.citation.endswith(table.source)
        assert table.protocol
        assert table.grade_text
        for row in table.rows:
            assert row.source
            assert "settled" not in row.source + row.method
            assert all(value is None or math.isfinite(float(value)) for value in row.values)


def test_a_published_row_without_a_source_is_refused_and_rows_may_have_sources_of_their_own(tmp_path, monkeypatch):
    document = {"citation": "C", "grade": "D", "protocol": "p"}
    rows = {"a": {"source": "first", "values": ["1"]}, "b": {"source": "second", "values": ["2"]}}
    (tmp_path / "published").mkdir()
    monkeypatch.setattr(literature, "files", lambda _: tmp_path)
    path = tmp_path / "published" / "some.yaml"

    def write(rows):
        table = {"dataset": "d", "columns": ["PSNR"], "rows": rows}
        path.write_text(yaml.safe_dump(document | {"tables": [table]}), encoding="utf-8")

    write(rows)
    (table,) = published()
    assert [row.source for row in table.rows] == ["first", "second"]
    assert table.citation == "C, first; second"
    for bare in (["3"], {"source": "", "values": ["3"]}):
        write(rows | {"c": bare})
        with pytest.raises(InputError, match=r"some\.yaml is malformed: c has no source"):
            published()


def test_published_numbers_appear_only_beside_their_dataset(make_run):
    assert "ESGaussianFace" in printed(summarise([make_run(dataset="mead")]))
    assert "Published" not in printed(summarise([make_run(dataset="puppet")]))
    assert published_for("crema_d") == published_for("crema-d") != []


def test_published_numbers_never_enter_the_csv(make_run, tmp_path):
    text = CsvReport().write([make_run(dataset="mead")], tmp_path).read_text()
    assert "EAT" not in text


# ------------------------------------------------------------------ figures


def test_figures_are_written_as_png_and_pdf(runs, tmp_path):
    folder = FigureReport().write(runs, tmp_path)
    names = {path.name for path in folder.iterdir()}
    assert {"metrics.png", "metrics.pdf", "emotions.png", "confusion.pdf"} <= names
    assert all(path.stat().st_size > 0 for path in folder.iterdir())


def test_figures_survive_metrics_without_clip_values_and_names_with_dollars(make_run, tmp_path):
    run = make_run("pay$me$now")
    pooled = Result(value=4.0, ci_low=None, ci_high=None, n_scored=8, n_total=8, unit="", higher_is_better=False,
                    signature="fid")  # fmt: skip
    bare = replace(run, scores=[], results={"fid": pooled})
    assert write_figures([bare], tmp_path)


def test_a_dataset_name_cannot_lead_figures_out_of_their_folder(make_run, tmp_path):
    run = make_run()
    evil = replace(run, run=replace(run.run, dataset="../../x"))
    paths = write_figures([run, evil], tmp_path / "out" / "figures")
    assert {path.parent for path in paths} == {tmp_path / "out" / "figures"}


def test_scores_without_emotion_make_no_emotion_figure(make_run, tmp_path):
    run = make_run()
    scores = [replace(s, emotion=None, intensity=None, detail={}) for s in run.scores]
    names = {path.name for path in write_figures([replace(run, scores=scores)], tmp_path)}
    assert names == {"metrics.png", "metrics.pdf"}


@pytest.mark.parametrize(("gain", "has_star"), [(1.1, False), (1.5, True)])
def test_the_fastest_row_has_a_star_only_beyond_the_machines_own_variation(make_run, gain, has_star):
    first, second = make_run("a"), make_run("b")
    speed = first.results["fps.render"]
    second = replace(second, results=second.results | {"fps.render": replace(speed, value=speed.value * gain)})
    stars = {row.label: row.cells["fps.render"].is_best for row in summarise([first, second])}
    assert stars == {"a": False, "b": has_star}
