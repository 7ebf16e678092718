"""The built wheel works from an empty folder: `python tests/wheel_check.py SCRATCH`.

Packages, entry points and package data must all be in it, and it must be what is imported.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = (
    "emobench/weights.yaml",
    "emobench/py.typed",
    "emobench/metrics/protocols/strict.yaml",
    "emobench/metrics/protocols/crema-d-6.yaml",
)


def run(command: list[str], cwd: Path, env: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done.stdout


def main(scratch: Path) -> None:
    wheels, target, empty = scratch / "wheels", scratch / "installed", scratch / "empty"
    for folder in (wheels, target, empty):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    env = dict(os.environ)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    run([*pip, "wheel", "--quiet", "--no-deps", "-w", str(wheels), str(ROOT)], empty, env)
    (wheel,) = wheels.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    python_files = {
        f"emobench/{folder}/{path.relative_to(ROOT / folder)}"
        for folder in ("methods", "metrics", "reports")
        for path in (ROOT / folder).rglob("*.py")
    } | {path.relative_to(ROOT).as_posix() for path in (ROOT / "emobench").rglob("*.py")}
    missing = sorted((python_files | set(DATA)) - names)
    if missing:
        sys.exit(f"not in the wheel: {missing}")
    stray = sorted(n for n in names if not n.startswith(("emobench/", "emobench-")))
    if stray:
        sys.exit(f"the wheel would put generic names into site-packages: {stray[:5]}")
    run([*pip, "install", "--quiet", "--no-deps", "--target", str(target), str(wheel)], empty, env)
    env["PYTHONPATH"] = str(target)
    where = run([sys.executable, "-c", "import emobench.metrics as m; print(m.__file__)"], empty, env).strip()
    if not where.startswith(str(target)):
        sys.exit(f"imported {where}, not the wheel")
    for kind in ("methods", "metrics", "datasets", "reports", "weights"):
        rows = json.loads(run([sys.executable, "-m", "emobench.cli", "list", kind, "--json"], empty, env))
        if not rows:
            sys.exit(f"the wheel lists no {kind}")
    print(f"wheel: {len(names)} files, all plugins listed from an empty folder")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
