"""The two releases of the measurements, built by the real command; kept in build/bench, so that only what changed is built again."""

from __future__ import annotations

import json
import os
import shutil
from functools import cache
from pathlib import Path

from demo.bad_release import make_source
from ops.adapters.releases import MANIFEST
from tests.bench.bed import BIN, ROOT, BenchError, Running, bare_environment
from tests.bench.report import PartResults

GOOD, BAD = "1.1.0", "1.2.0"
WORK = ROOT / "build" / "bench"
SHELF = WORK / "s"
BUILD_LIMIT_S = 600
OTHER_SOURCE = 5


def build(results: PartResults) -> None:
    """Both, from the present checkout, once a run. Not a part of any figure."""
    results.say(f"releases {GOOD} and {BAD} are built (quick when nothing changed)")
    _both()


@cache
def _both() -> None:
    WORK.mkdir(parents=True, exist_ok=True)
    for version, source in ((GOOD, ROOT), (BAD, make_source(ROOT, WORK / "bad-source"))):
        _build(version, source)


def _build(version: str, source: Path) -> None:
    """What an older source left under this version is replaced."""
    argv = [str(BIN / "opsctl"), "releases", "build", "--version", version, "--source", str(source), "--state", str(SHELF)]
    for more in ([], ["--rebuild"]):
        with Running([*argv, *more], bare_environment()) as running:
            done = running.end(BUILD_LIMIT_S)
        if done.code == 0:
            return
        if done.code != OTHER_SOURCE:
            break
    raise BenchError(f"release {version} does not build: {done.err.strip()[-300:]}")


def shelve(state: Path, *versions: str) -> None:
    """Releases at home in another folder: copies, but for the two files that name their own place."""
    for version in versions:
        folder = state / "releases" / version
        folder.parent.mkdir(mode=0o700, exist_ok=True)
        shutil.copytree(SHELF / "releases" / version, folder, symlinks=True)
        command = folder / "env" / "bin" / "exchange"
        _, _, rest = command.read_text().partition("\n")
        _replace(command, f"#!{folder}/env/bin/python\n{rest}", 0o755)
        manifest = json.loads((folder / MANIFEST).read_text())
        _replace(folder / MANIFEST, json.dumps(manifest | {"command": str(command)}), 0o600)


def _replace(path: Path, text: str, mode: int) -> None:
    path.unlink()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        file.write(text)
