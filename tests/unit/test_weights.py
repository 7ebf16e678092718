"""The weights manifest: what it states, how files are found, checked, fetched, resumed and refused."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from emobench import weights
from emobench.errors import Unavailable, UsageError
from emobench.filehashes import HashMemory
from emobench.progress import SilentProgress
from emobench.weights import Weight, WeightFile

CONTENT = bytes(range(256)) * 12_000  # 3 MB: several blocks
REAL = Path(os.environ.get("EMOBENCH_WEIGHTS", "/nonexistent"))


class RangeHandler(BaseHTTPRequestHandler):
    """Serves CONTENT with byte ranges and remembers what was asked for."""

    asked: list[str | None] = []  # noqa: RUF012  shared with the test on purpose
    cut_after: int | None = None

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        RangeHandler.asked.append(asked)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        stop = len(CONTENT) if RangeHandler.cut_after is None else start + RangeHandler.cut_after
        self.wfile.write(CONTENT[start:stop])

    def log_message(self, *args: object) -> None:
        return


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(RangeHandler, "asked", [])
    monkeypatch.setattr(RangeHandler, "cut_after", None)
    host = ThreadingHTTPServer(("127.0.0.1", 0), RangeHandler)
    thread = threading.Thread(target=host.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{host.server_address[1]}/net.bin"
    host.shutdown()
    host.server_close()
    thread.join()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EMOBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("EMOBENCH_WEIGHTS", raising=False)
    monkeypatch.delenv("EMOBENCH_OFFLINE", raising=False)
    return tmp_path / "cache"


def known(monkeypatch: pytest.MonkeyPatch, url: str | None, sha256: str | None) -> None:
    file = WeightFile(filename="net.bin", url=url, size=len(CONTENT), sha256=sha256, hash_source="test")
    weight = Weight(name="net", summary="", licence="", citation="", used_by=(), folder=None, files=(file,))
    monkeypatch.setattr(weights, "manifest", lambda: {"net": weight})


RIGHT = hashlib.sha256(CONTENT).hexdigest()


class TestManifest:
    def test_every_name_of_the_contract_is_there(self) -> None:
        names = set(weights.manifest())
        assert names >= {
            "mediapipe.face_landmarker", "mediapipe.blaze_face", "mobilefacenet", "expressnet", "yunet",
            "lpips.alexnet", "lpips.vgg16", "lpips.squeezenet", "fid.inception", "syncnet", "s3fd",
            "hsemotion.enet_b0_8_best_vgaf",
        }  # fmt: skip

    def test_entries_are_complete_and_hashes_well_formed(self) -> None:
        for weight in weights.manifest().values():
            assert weight.summary
            assert weight.licence
            assert weight.citation
            for file in weight.files:
                assert file.url
                assert file.url.endswith(file.filename)
                assert file.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", file.sha256)

    def test_torch_hashes_begin_with_the_prefix_in_the_file_name(self) -> None:
        checked = 0
        for weight in weights.manifest().values():
            for file in weight.files:
                prefix = re.search(r"-([0-9a-f]{8})\.pth$", file.filename)
                if prefix:
                    assert (file.sha256 or "").startswith(prefix[1])
                    checked += 1
        assert checked == 4

    def test_an_unknown_name_is_answered_with_the_nearest(self) -> None:
        with pytest.raises(UsageError, match=r"lpips\.alexnet"):
            weights.locate("lpips.alexnt")


class TestLocating:
    def test_a_missing_weight_names_the_command(self, cache: Path) -> None:
        assert not weights.is_present("syncnet")
        assert weights.sha256_of("syncnet") is None
        with pytest.raises(Unavailable, match="emobench weights fetch syncnet"):
            weights.locate("syncnet")

    def test_a_placed_file_is_found_and_checked(
        self, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        known(monkeypatch, None, RIGHT)
        monkeypatch.setenv("EMOBENCH_WEIGHTS", str(tmp_path / "placed"))
        (tmp_path / "placed").mkdir()
        (tmp_path / "placed/net.bin").write_bytes(CONTENT)
        assert weights.locate("net") == tmp_path / "placed/net.bin"
        assert weights.sha256_of("net") == RIGHT
        assert weights.verify("net").startswith("ok")

    def test_a_wrong_file_is_never_handed_out(self, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        known(monkeypatch, None, RIGHT)
        (cache / "weights").mkdir(parents=True)
        path = cache / "weights/net.bin"
        path.write_bytes(CONTENT)
        weights.locate("net")
        path.write_bytes(CONTENT[:-1] + b"?")
        os.utime(path, ns=(1, 1))  # a change of time alone makes it hash again
        with pytest.raises(Unavailable, match="Delete it"):
            weights.locate("net")

    def test_verify_sees_a_change_that_kept_size_and_time(self, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        known(monkeypatch, None, RIGHT)
        (cache / "weights").mkdir(parents=True)
        path = cache / "weights/net.bin"
        path.write_bytes(CONTENT)
        weights.locate("net")
        state = path.stat()
        path.write_bytes(CONTENT[:-1] + b"?")
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
        with pytest.raises(Unavailable):
            weights.verify("net")

    def test_a_folder_counts_only_when_all_its_files_are_there(self, cache: Path) -> None:
        folder = cache / "weights/faceapi"
        folder.mkdir(parents=True)
        (folder / "face_expression_model-shard1").write_bytes(b"x")
        assert not weights.is_present("expressnet")


class TestFetching:
    def test_offline_mode_refuses(self, cache: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
        known(monkeypatch, server, RIGHT)
        monkeypatch.setenv("EMOBENCH_OFFLINE", "1")
        with pytest.raises(Unavailable, match="EMOBENCH_OFFLINE"):
            weights.fetch("net", SilentProgress())
        assert RangeHandler.asked == []

    def test_a_fetched_file_is_checked_and_found(
        self, cache: Path, server: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        known(monkeypatch, server, RIGHT)
        path = weights.fetch("net", SilentProgress())
        assert path.read_bytes() == CONTENT
        assert sorted(p.name for p in path.parent.iterdir()) == ["net.bin", "verified.json"]
        assert weights.fetch("net", SilentProgress()) == path
        assert len(RangeHandler.asked) == 1

    def test_an_interrupted_download_is_continued(
        self, cache: Path, server: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        known(monkeypatch, server, RIGHT)
        monkeypatch.setattr(RangeHandler, "cut_after", 2_000_000)
        with pytest.raises(Unavailable, match="run the command again"):
            weights.fetch("net", SilentProgress())
        assert not weights.is_present("net")
        monkeypatch.setattr(RangeHandler, "cut_after", None)
        assert weights.fetch("net", SilentProgress()).read_bytes() == CONTENT
        assert RangeHandler.asked[1] is not None

    def test_a_file_with_another_hash_is_discarded(
        self, cache: Path, server: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        known(monkeypatch, server, "0" * 64)
        with pytest.raises(Unavailable, match="no longer delivers"):
            weights.fetch("net", SilentProgress())
        assert list((cache / "weights").iterdir()) == []

    def test_an_unpinned_file_is_fetched_only_when_accepted(
        self, cache: Path, server: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        known(monkeypatch, server, None)
        with pytest.raises(Unavailable, match="--accept-unpinned"):
            weights.fetch("net", SilentProgress())
        weights.fetch("net", SilentProgress(), accept_unpinned=True)
        assert weights.sha256_of("net") == RIGHT
        assert weights.verify("net").startswith("unpinned")

    def test_an_unreachable_server_is_one_line(self, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        known(monkeypatch, "http://127.0.0.1:9/net.bin", RIGHT)
        with pytest.raises(Unavailable, match="Cannot download") as caught:
            weights.fetch("net", SilentProgress())
        assert "\n" not in str(caught.value)


def test_hashes_are_remembered_until_the_file_changes(tmp_path: Path) -> None:
    file, memory = tmp_path / "a", HashMemory(tmp_path / "memory.json")
    file.write_bytes(b"one")
    first = memory.hash(file)
    state = file.stat()
    file.write_bytes(b"two")
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert memory.hash(file) == first  # same size and time: not read again
    assert memory.hash(file, anew=True) == hashlib.sha256(b"two").hexdigest()


@pytest.mark.data
@pytest.mark.skipif(not REAL.is_dir(), reason="EMOBENCH_WEIGHTS is not set: no real weights here")
def test_the_real_files_have_the_hashes_of_the_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOBENCH_CACHE", str(tmp_path))
    present = [name for name in weights.manifest() if weights.is_present(name)]
    assert "mediapipe.face_landmarker" in present
    for name in present:
        assert weights.verify(name).startswith("ok")
        weight = weights.manifest()[name]
        size = sum(path.stat().st_size for path in weight.paths_in(REAL))
        assert weight.size in (None, size)
