"""The HTML page as text: self-contained, escaped, within budget, silent about nothing."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from emobench.errors import UsageError
from emobench.reports.html.page import HtmlReport, page
from emobench.reports.html.previews import Budget, choose_clips, takes
from emobench.reports.summary import summarise
from emobench.store import PlanRow
from emobench.types import Result

EVIL = "</script><img src=x onerror=alert(1)>"
VOID = {"meta", "img", "input", "br", "link", "hr", "col", "path", "use", "rect"}


@pytest.fixture
def _without_figures(monkeypatch):
    """Most claims are not about figures, which take most of the time."""
    monkeypatch.setattr("emobench.reports.html.page._pictures", lambda prefix, rows: iter(()))


class Reader(HTMLParser):
    """Attributes that could reach out, element names, and the player's data."""

    def __init__(self):
        super().__init__()
        self.links, self.names, self.data, self.stack = [], [], "", []
        self.in_data = False

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        self.in_data = ("class", "player-data") in attrs
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "action", "poster", "data", "srcset") or name.startswith("on"):
                self.links.append((name, value))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        assert self.stack.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, text):
        if self.in_data:
            self.data += text


def read(text):
    reader = Reader()
    reader.feed(text)
    return reader


def player_of(text):
    return json.loads(read(text).data)


def test_page_is_well_formed_and_reaches_for_nothing_outside(make_run):
    text = page([make_run(previews=True), make_run("static", role="sanity")], Budget())
    reader = read(text)
    assert reader.stack == []
    assert all(value.startswith("#") for _, value in reader.links)
    assert not re.search(r"url\((?!#)", text)
    assert "@import" not in text
    assert not re.search(r"https?://", text)
    assert "default-src 'none'" in text


def test_markup_from_disk_stays_text(make_run):
    run = make_run(
        EVIL.replace("/", "|"),
        previews=False,
        protocol=EVIL,
        dataset_facts={EVIL: EVIL},
        judge_report={"emotion": {EVIL: 0.5}},
        config={EVIL: EVIL},
    )
    plan = [replace(row, transcript=EVIL, clip=f"{row.clip}{EVIL}", emotion=f"e{EVIL}") for row in run.plan]
    scores = [
        replace(score, clip=f"{score.clip}{EVIL}", emotion=f"{score.emotion}{EVIL}", detail={"predicted": EVIL})
        for score in run.scores
    ]
    bad = Result(value=None, ci_low=None, ci_high=None, n_scored=0, n_total=8, unit=EVIL, higher_is_better=True,
                 signature=EVIL, reason=EVIL)  # fmt: skip
    text = page([replace(run, plan=plan, scores=scores, results={**run.results, EVIL: bad})], Budget())
    reader = read(text)
    assert "img" not in reader.names
    assert reader.names.count("script") == 2
    assert player_of(text)["clips"][0]["transcript"] == EVIL


@pytest.mark.usefixtures("_without_figures")
def test_previews_are_embedded_as_data_uris_for_every_method(make_run):
    runs = [make_run(previews=True), make_run("ground_truth", role="oracle", previews=True)]
    data = player_of(page(runs, Budget()))
    assert [take["label"] for take in data["takes"]] == ["ground_truth", "emohead"]
    assert all(m.startswith("data:video/mp4;base64,") for clip in data["clips"] for m in clip["media"])


@pytest.mark.usefixtures("_without_figures")
def test_ground_truth_beside_the_run_is_shown_when_it_is_not_reported(make_run):
    make_run("ground_truth", role="oracle", previews=True)
    data = player_of(page([make_run(previews=True)], Budget()))
    assert data["takes"][0]["reference"]
    assert data["takes"][0]["label"] == "ground_truth (not scored here)"


@pytest.mark.usefixtures("_without_figures")
def test_clips_over_the_limit_are_left_out_spread_over_emotions_and_counted(make_run):
    text = page([make_run(previews=True)], Budget(clips_per_method=4))
    clips = player_of(text)["clips"]
    assert sum(clip["embedded"] for clip in clips) == 4
    assert {clip["emotion"] for clip in clips if clip["embedded"]} == {"angry", "happy", "neutral", "sad"}
    assert [clip["media"][0] for clip in clips if not clip["embedded"]] == ["left out"] * 4
    assert "4 of 8 clips are embedded; 4 left out" in re.sub(r"\s+", " ", text)


def test_budget_of_bytes_stops_before_it_is_exceeded(make_run):
    run = make_run(previews=True)
    row = summarise([run])
    size = run.previews[run.plan[0].clip].stat().st_size * 4 / 3 / 1e6
    assert len(choose_clips(run.plan, takes(row), Budget(megabytes=size * 2.5))) == 2
    assert choose_clips(run.plan, takes(row), Budget(megabytes=0)) == []


@pytest.mark.usefixtures("_without_figures")
def test_missing_previews_are_said(make_run):
    data = player_of(page([make_run(previews=False)], Budget()))
    assert {m for clip in data["clips"] for m in clip["media"]} == {"missing"}
    assert data["n_embedded"] == 0


@pytest.mark.usefixtures("_without_figures")
def test_a_clip_id_cannot_embed_a_file_outside_its_run(make_run, tmp_path):
    run = make_run()
    (tmp_path / "secret.mp4").write_bytes(b"secret")
    row = PlanRow(clip="../secret", subject="S", emotion=None, intensity=None, n_frames=1, transcript=None)
    evil = replace(run, plan=[row], previews={"../secret": tmp_path / "secret.mp4"})
    assert player_of(page([evil], Budget()))["clips"][0]["media"] == ["missing"]


@pytest.mark.usefixtures("_without_figures")
def test_missing_metric_is_listed_with_its_fetch_command(make_run):
    gap = Result(value=None, ci_low=None, ci_high=None, n_scored=0, n_total=8, unit="", higher_is_better=False,
                 signature="", reason="Weight x not found. Fetch it: emobench weights fetch lpips.alexnet")  # fmt: skip
    text = page([make_run(results={"lpips.alex": gap})], Budget())
    assert "<code>emobench weights fetch lpips.alexnet</code>" in text


@pytest.mark.usefixtures("_without_figures")
@pytest.mark.usefixtures("_without_figures")
def test_page_says_why_pasted_rows_and_others_have_no_best(make_run):
    pasted, plain = make_run("a", pasted=True), make_run("b")
    said = "not comparable with the other rows, no best"
    assert said in page([pasted, plain], Budget())
    assert said not in page([pasted], Budget())


def test_page_shows_provenance_judges_and_signatures(make_run):
    text = page([make_run()], Budget())
    for words in ("packages.numpy", "emotion.ground truth", "0.97", "psnr|test|v1", "licence"):
        assert words in text


@pytest.mark.usefixtures("_without_figures")
def test_published_numbers_stand_apart_and_only_for_their_dataset(make_run):
    assert "Published numbers" in page([make_run(dataset="mead")], Budget())
    assert "Published numbers" not in page([make_run()], Budget())


@pytest.mark.usefixtures("_without_figures")
def test_two_datasets_get_a_section_each(make_run):
    text = page([make_run(), make_run(dataset="mead")], Budget())
    assert read(text).names.count("article") == 2


def test_ids_of_inline_figures_are_unique_to_each_figure(make_run):
    text = page([make_run(), make_run("static", role="sanity")], Budget())
    figures = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    seen = [set(re.findall(r'\bid="([^"]+)"', figure)) for figure in figures]
    assert len(figures) > 5
    assert sum(map(len, seen)) == len(set().union(*seen))
    for figure, own in zip(figures, seen, strict=True):
        assert set(re.findall(r"url\(#([^)]+)\)", figure)) <= own


def test_equal_runs_make_an_equal_page(make_run):
    runs = [make_run(previews=True)]
    assert page(runs, Budget()) == page(runs, Budget())


def test_report_without_runs_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(UsageError, match="No run to report"):
        HtmlReport().write([], tmp_path / "out")
    assert not (tmp_path / "out").exists()
