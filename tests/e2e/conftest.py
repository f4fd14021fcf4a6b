"""Both releases, built by the real command once per run; each venue gets copies of its own."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from demo.bad_release import make_source
from e2e.bed import BAD, BIN, GOOD, ROOT
from ops.adapters.releases import MANIFEST

WORK = ROOT / "build" / "e2e"
"""Kept from run to run, so that only what changed is compiled again; `make clean` removes it."""
BUILD_LIMIT_S = 900
OTHER_SOURCE = 5


@pytest.fixture(scope="session")
def shelve() -> Callable[[Path], None]:
    """Puts both releases on the shelf of a state folder, built from the present checkout."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid4().hex
    WORK.mkdir(parents=True, exist_ok=True)
    with sole():
        marker = WORK / "built-for"
        if not marker.exists() or marker.read_text() != run:
            build(GOOD, ROOT)
            build(BAD, make_source(ROOT, WORK / "bad-source"))
            marker.write_text(run)

    def put(state: Path) -> None:
        with sole():
            for version in (GOOD, BAD):
                copy_release(WORK / "state" / "releases" / version, state / "releases" / version)

    return put


@contextmanager
def sole() -> Iterator[None]:
    """One worker of one run at a time."""
    with (WORK / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def build(version: str, source: Path) -> None:
    """`opsctl releases build`; what an older source left under this version is replaced."""
    command = [str(BIN / "opsctl"), "releases", "build", "--version", version, "--source", str(source), "--state", str(WORK / "state")]
    for more in ([], ["--rebuild"]):
        done = subprocess.run([*command, *more], capture_output=True, text=True, timeout=BUILD_LIMIT_S, check=False, cwd=ROOT)
        if done.returncode != OTHER_SOURCE:
            break
    assert done.returncode == 0, done.stderr


def copy_release(built: Path, folder: Path) -> None:
    """A release at home in another folder: hard links, but for the two files that name their own place."""
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    shutil.copytree(built, folder, symlinks=True, copy_function=link)
    command = folder / "env" / "bin" / "exchange"
    _, _, rest = command.read_text().partition("\n")
    replace(command, f"#!{folder}/env/bin/python\n{rest}", 0o755)
    manifest = json.loads((folder / MANIFEST).read_text())
    replace(folder / MANIFEST, json.dumps(manifest | {"command": str(command)}), 0o600)


def link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another file system
        shutil.copy2(source, target, follow_symlinks=False)


def replace(path: Path, text: str, mode: int) -> None:
    path.unlink()
    path.write_text(text)
    path.chmod(mode)
