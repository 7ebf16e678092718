"""The report page in headless Chromium: it draws, plays in step, sorts, filters and stays inside narrow screens.

Each test serves a copy of the page with a probe script added (its policy is lifted for that alone), which acts as a
reader would and posts what it saw.
"""

from __future__ import annotations

import http.server
import json
import re
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from emobench.reports.html.page import page
from emobench.reports.html.previews import Budget

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    "--autoplay-policy=no-user-gesture-required", "--mute-audio",
)  # fmt: skip
EVIL = "</script><img src=x onerror=\"document.body.dataset.pwned='yes'\">"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def text(three_runs):
    """A page with three methods; four of eight clips embedded."""
    return page(three_runs, Budget(clips_per_method=4))


class Probe(http.server.ThreadingHTTPServer):
    """Serves one page, holds back an image of it so that it keeps loading, and takes what its script saw."""

    def __init__(self, text: str) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.text = text
        self.seen: str | None = None
        self.done = threading.Event()


class Answers(http.server.BaseHTTPRequestHandler):
    server: Probe

    def do_GET(self):
        if self.path == "/page":
            return self.answer(200, self.server.text.encode())
        if self.path == "/hold":
            self.server.done.wait(30)
        return self.answer(404, b"")

    def do_POST(self):
        self.server.seen = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.answer(200, b"")
        self.server.done.set()

    def answer(self, code, body):
        self.send_response(code)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        return


def browse(text: str, tmp_path: Path, probe: str, width: int = 1280):
    """Run `probe` (an async function body that returns JSON-ready data) in the page; returns what it returned."""
    script = f"(async () => {{ const seen = await (async () => {{ {probe} }})().catch((e) => ({{error: String(e)}}));"
    script += "await fetch('/seen', {method: 'POST', body: JSON.stringify(seen)}); })();"
    widened = re.sub(r"<meta http-equiv=[^>]*>", "", text)
    held = widened.replace("</body>", f"<img src='/hold' hidden><script>{script}</script></body>")
    with Probe(held) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        dump(f"http://127.0.0.1:{server.server_port}/page", tmp_path, width)
        server.shutdown()
        assert server.seen is not None, "the page never answered"
        return json.loads(server.seen)


def dump(address: str, tmp_path: Path, width: int = 1280) -> str:
    command = [
        str(CHROMIUM),
        *FLAGS,
        f"--user-data-dir={tmp_path / 'profile'}",
        f"--window-size={width},1600",
        "--dump-dom",
        address,
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=True).stdout


WAIT = "const wait = (ms) => new Promise((done) => setTimeout(done, ms));"


def test_page_draws_player_tables_and_figures_under_its_own_policy(text, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(text, encoding="utf-8")
    dom = dump(path.as_uri(), tmp_path)
    assert dom.count("<video") == 3
    assert dom.count("<svg") > 10
    assert "Sentence number 0." in dom


def test_videos_play_together_and_only_one_is_heard(text, tmp_path):
    seen = browse(
        text,
        tmp_path,
        WAIT
        + """
        const videos = () => [...document.querySelectorAll("video")];
        const start = Date.now();
        while (videos().some((v) => v.readyState < 3) && Date.now() - start < 10000) await wait(20);
        document.querySelector(".play").click();
        const spread = () => { const t = videos().map((v) => v.currentTime); return Math.max(...t) - Math.min(...t); };
        const moving = () => videos().every((v) => v.currentTime > 0.05);
        while (!(moving() && spread() < 0.1) && Date.now() - start < 20000) await wait(5);
        const times = videos().map((v) => v.currentTime);
        const label = document.querySelector(".play").textContent;
        document.querySelector(".play").click();
        const scrub = document.querySelector("input[type=range]");
        scrub.value = 0.2; scrub.oninput();
        while (videos().some((v) => v.seeking) && Date.now() - start < 25000) await wait(10);
        return {times, label, muted: videos().map((v) => v.muted), after: videos().map((v) => v.currentTime),
                size: videos().map((v) => v.videoWidth)};
        """,
    )
    assert seen["label"] == "Pause"
    assert all(time > 0.05 for time in seen["times"])
    assert max(seen["times"]) - min(seen["times"]) < 0.15  # a loaded machine decodes late; the player catches up
    assert sorted(seen["muted"]) == [False, True, True]
    assert seen["after"] == pytest.approx([0.2] * 3, abs=0.01)
    assert seen["size"] == [64] * 3


def test_emotion_filter_and_left_out_clips(text, tmp_path):
    seen = browse(
        text,
        tmp_path,
        """
        const chip = [...document.querySelectorAll(".chips button")].find((b) => b.textContent === "happy");
        chip.click();
        const choice = document.querySelector(".clip-choice select");
        const options = [...choice.options].map((o) => o.textContent);
        choice.selectedIndex = 1; choice.onchange();
        return {options, blank: [...document.querySelectorAll(".blank")].map((b) => b.textContent),
                rows: document.querySelectorAll(".stage tbody tr").length};
        """,
    )
    assert seen["options"] == ["S01_happy_001", "S01_happy_005 (scores only)"]
    assert seen["blank"] == ["preview left out of this page"] * 3
    assert seen["rows"] == 5


def test_clicking_a_heading_sorts_best_first_and_leaves_unranked_rows_below(text, tmp_path):
    seen = browse(
        text,
        tmp_path,
        """
        const table = document.querySelector("table.scores");
        const labels = () => [...table.querySelectorAll("tbody tr:not(.rule)")].map((r) => r.cells[0].firstChild.data);
        const button = table.querySelector("thead button");
        button.click(); const best = labels();
        button.click(); const worst = labels();
        return {best, worst, state: button.closest("th").getAttribute("aria-sort")};
        """,
    )
    assert seen["best"] == ["emohead", "mean_expression", "ground_truth"]
    assert seen["worst"] == ["mean_expression", "emohead", "ground_truth"]
    assert seen["state"] == "ascending"


@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_is_wider_than_the_screen(text, tmp_path, width):
    seen = browse(
        text, tmp_path, "return [document.documentElement.scrollWidth, document.documentElement.clientWidth];", width
    )
    assert seen[0] <= seen[1]


def test_markup_in_clips_is_shown_and_never_run(make_run, tmp_path):
    plan = [row for row in make_run().plan if row.emotion == "happy"]
    run = make_run("evil", plan=[type(row)(**{**_fields(row), "transcript": EVIL}) for row in plan])
    seen = browse(
        page([run], Budget()),
        tmp_path,
        "return [document.body.dataset.pwned ?? 'no', document.querySelector('.line').textContent];",
    )
    assert seen[0] == "no"
    assert EVIL in seen[1]


def _fields(row):
    return {name: getattr(row, name) for name in row.__slots__}
