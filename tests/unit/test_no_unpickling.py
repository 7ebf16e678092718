"""No file from outside is ever unpickled: read from the source itself, call by call."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import emobench
import emobench.methods
import emobench.metrics
import emobench.reports

TESTS = Path(__file__).resolve().parents[1]
PACKAGES = [
    Path(package.__file__ or "").parent for package in (emobench, emobench.metrics, emobench.methods, emobench.reports)
]
UNPICKLERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
ALLOWED = {  # file name: why
    "unpickling.py": "in a child process, a file whose sha256 the user gave",
    "test_unpickling.py": "lays traps for it",
    "test_coefficient_files.py": "writes an array of objects, which must be refused",
}


def sources() -> Iterator[tuple[Path, ast.AST]]:
    for path in sorted({file for root in (*PACKAGES, TESTS) for file in root.rglob("*.py")}):
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def faults(path: Path, tree: ast.AST) -> Iterator[str]:
    """Imports of unpicklers, and loads that would unpickle."""
    for node in ast.walk(tree):
        where = f"{path.name}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            if {name.partition(".")[0] for name in names} & UNPICKLERS:
                yield f"{where} imports an unpickler"
        if not isinstance(node, ast.Call):
            continue
        called, options = ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}
        if called == "torch.load" and options.get("weights_only") != "True":
            yield f"{where} loads with torch.load without weights_only=True"
        if called in ("torch.jit.load", "torch.package.PackageImporter", "torch.hub.load", "np.fromfile"):
            yield f"{where} calls {called}"
        if called in ("np.load", "numpy.load") and options.get("allow_pickle") != "False":
            yield f"{where} loads with np.load without allow_pickle=False"
        if options.get("allow_pickle") == "True":
            yield f"{where} allows pickles"
        if called in ("yaml.load", "yaml.unsafe_load", "yaml.full_load"):
            yield f"{where} calls {called}"


def test_nothing_in_the_package_or_its_tests_unpickles() -> None:
    found = [fault for path, tree in sources() if path.name not in ALLOWED for fault in faults(path, tree)]
    assert found == []


def test_what_is_exempt_needs_to_be() -> None:
    assert {path.name for path, tree in sources() if path.name in ALLOWED and list(faults(path, tree))} == set(ALLOWED)


def test_the_check_sees_every_way_that_it_names() -> None:
    bad = [
        "import pickle", "from joblib import load", "torch.load(p)", "torch.load(p, weights_only=False)",
        "torch.jit.load(p)", "np.load(p)", "np.load(p, allow_pickle=True)", "yaml.load(t)",
    ]  # fmt: skip
    assert all(list(faults(Path("x.py"), ast.parse(line))) for line in bad)
    fine = ["torch.load(p, weights_only=True)", "np.load(p, allow_pickle=False)", "yaml.safe_load(t)"]
    assert not [fault for line in fine for fault in faults(Path("x.py"), ast.parse(line))]


def test_the_check_reads_the_whole_package_and_its_tests() -> None:
    names = {path.name for path, _ in sources()}
    assert {"weights.py", "syncnet.py", "perceptual.py", "cache.py", "checkpoint.py"} <= names
    assert {"bad_files.py", "conftest.py", "test_unpickling.py"} <= names
