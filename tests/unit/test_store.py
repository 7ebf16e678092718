"""Claims about the run directory, the cache and the key maker."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from emobench.cache import ArrayCache, load_arrays, save_arrays, write_text, writing, writing_folder
from emobench.errors import InputError, UsageError
from emobench.hashing import code_hash, hash_arrays, hash_value
from emobench.store import SCHEMA, PlanRow, RunInfo, RunStore, find_runs, load_run, to_json
from emobench.types import Result


def info(**changes: object) -> RunInfo:
    values: dict[str, object] = {
        "method": "m", "method_version": "1", "role": "method", "dataset": "d", "seed": 0, "identity": "abc",
        "status": "complete", "config": {}, "passed": [], "preset": "", "subjects": ["s"], "protocol": "strict",
        "dataset_facts": {}, "judge_report": {}, "split_hash": "x",
    }  # fmt: skip
    return RunInfo(**(values | changes))  # type: ignore[arg-type]


HOLD = """
import sys, time
from pathlib import Path
from emobench.store import RunStore
with RunStore(Path(sys.argv[1])).locked():
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_locked_directory_refuses_a_second_process_and_frees_when_it_dies(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UsageError, match="Another process"), RunStore(tmp_path).locked():
            pass
        holder.kill()
        holder.wait()
    with RunStore(tmp_path).locked():
        pass


def test_results_survive_a_round_trip(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    result = Result(
        value=1.5, ci_low=1.0, ci_high=2.0, n_scored=3, n_total=4, unit="dB", higher_is_better=True, signature="s"
    )
    store.write("run.json", info())
    store.write("plan.json", [])
    store.write_results({"psnr": result}, {"fit": 1.0})
    record = load_run(tmp_path)
    assert record.results == {"psnr": result}
    assert record.stages == {"fit": 1.0}
    assert record.run == info()


def test_a_complete_run_without_its_plan_is_refused_with_what_to_do(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    store.write("run.json", info(status="complete"))
    with pytest.raises(InputError, match=r"plan\.json is missing\. Give its emobench run command again"):
        load_run(tmp_path)
    store.write("run.json", info(status="failed"))
    assert load_run(tmp_path).plan == []


def test_a_damaged_preview_counts_as_missing(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    store.write("run.json", info())
    rows = [
        PlanRow(clip=name, subject="amy", emotion="happy", intensity=3, n_frames=2, transcript=None)
        for name in ("whole", "junk", "absent")
    ]
    store.write("plan.json", rows)
    (tmp_path / "predictions").mkdir()
    store.prediction("whole", ".mp4").write_bytes(bytes(4) + b"ftypisom")
    store.prediction("junk", ".mp4").write_bytes(b"x")
    assert set(load_run(tmp_path).previews) == {"whole"}


def test_newer_schema_is_refused(tmp_path: Path) -> None:
    RunStore(tmp_path).write("run.json", info(schema=SCHEMA + 1))
    with pytest.raises(InputError, match="Update emobench"):
        load_run(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": 1}'])
def test_damaged_run_json_is_one_clear_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_run(tmp_path)
    assert "\n" not in str(caught.value)


def test_folder_without_runs_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No run directory"):
        find_runs(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        find_runs(tmp_path / "absent")


def test_json_refuses_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        to_json({"value": float("nan")})


def test_failed_write_leaves_the_old_file_and_no_temporary(tmp_path: Path) -> None:
    target = tmp_path / "value.txt"
    write_text(target, "old")
    with pytest.raises(RuntimeError), writing(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert [p.name for p in tmp_path.iterdir()] == ["value.txt"]
    assert target.read_text() == "old"


def test_failed_folder_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), writing_folder(tmp_path / "checkpoint") as folder:
        (folder / "part").write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_folder_replaces_an_older_one_and_leaves_no_other(tmp_path: Path) -> None:
    for content in ("old", "new"):
        with writing_folder(tmp_path / "checkpoint") as folder:
            (folder / f"{content}.txt").write_text(content)
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint"]
    assert [p.name for p in (tmp_path / "checkpoint").iterdir()] == ["new.txt"]


def test_array_cache_makes_each_key_once_and_heals_damage(tmp_path: Path) -> None:
    cache, calls = ArrayCache(tmp_path), []

    def make() -> dict[str, np.ndarray]:
        calls.append(1)
        return {"x": np.arange(3)}

    assert cache.get("kind", "key", make)["x"].tolist() == [0, 1, 2]
    assert cache.get("kind", "key", make)["x"].tolist() == [0, 1, 2]
    assert len(calls) == 1
    cache.path("kind", "key").write_bytes(b"damaged")
    assert cache.get("kind", "key", make)["x"].tolist() == [0, 1, 2]
    assert len(calls) == 2


def test_arrays_refuse_pickles(tmp_path: Path) -> None:
    np.savez(tmp_path / "evil.npz", x=np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError):
        load_arrays(tmp_path / "evil.npz")


def test_unwritable_place_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="Cannot write"):
        save_arrays(tmp_path / "file" / "x.npz", {"x": np.zeros(1)})


def test_keys_ignore_order_but_not_content(tmp_path: Path) -> None:
    assert hash_value({"a": 1, "b": 2}) == hash_value(json.loads('{"b": 2, "a": 1}'))
    assert hash_value({"a": 1}) != hash_value({"a": 2})
    assert hash_arrays([np.zeros(4, np.uint8)]) != hash_arrays([np.zeros((2, 2), np.uint8)])
    assert code_hash(["emobench.types"]) != code_hash(["emobench.errors"])
