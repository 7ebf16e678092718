"""Types and import rules, checked on a tree as installed: `python tests/tree_checks.py SCRATCH`.

From the four source folders neither tool sees the real package (emobench.methods does not lie below emobench/), so
both run on the result of `pip install --no-deps --target`. A forbidden import is then planted and must be found.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONTRACTS = ROOT / "tests" / "import_rules.ini"
PLANTED = "from emobench.metrics import specs as _planted\n"


def call(*command: str, cwd: Path, tree: Path) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHONPATH": str(tree), "MYPYPATH": str(tree), "NO_COLOR": "1"}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)


def require(done: subprocess.CompletedProcess[str], what: str) -> None:
    if done.returncode != 0:
        print(done.stdout[-6000:], done.stderr[-3000:], sep="\n")
        sys.exit(f"{what} failed")
    print(f"{what}: ok")


def lint_imports(tree: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    return call(str(program), "--config", str(CONTRACTS), "--no-cache", cwd=tree, tree=tree)


def main(scratch: Path) -> None:
    tree = scratch / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    source = scratch / "source"
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    for name in ("emobench", "methods", "metrics", "reports"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    require(call(*pip, "--target", str(tree), str(source), cwd=scratch, tree=source), "install into a tree")

    require(lint_imports(tree), "import rules")
    victim = tree / "emobench" / "methods" / "references.py"
    original = victim.read_text(encoding="utf-8")
    victim.write_text(original + PLANTED, encoding="utf-8")
    planted = lint_imports(tree)
    victim.write_text(original, encoding="utf-8")
    if planted.returncode == 0:
        sys.exit("a planted import of a metric by a method was not found: the import rules check nothing")
    print("planted forbidden import: found")

    mypy = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), "-p", "emobench"]
    require(call(*mypy, cwd=scratch, tree=tree), "mypy")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
