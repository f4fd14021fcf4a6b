"""Two builds, each in a process of its own interpreter: what `exchange verify-release` runs.

A build is named by a Python executable, a virtual environment, a release folder (as `opsctl releases build` lays them out: its
environment is in `env`), a wheel, or the word `installed`: the program that runs now. A wheel is unpacked into an environment of its
own beside a borrowed path to this one's packages, so that nothing is fetched and nothing here is changed.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import sysconfig
import threading
import venv
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.config import VenueError

INSTALLED = "installed"
SILENCE_TIMEOUT_S = 600.0
"""A chunk of 65,536 commands takes milliseconds; a build that is silent for so long hangs."""
QUEUED_LINES = 1024
MAX_COMPLAINT_CHARS = 600
BAD_SPEC_HINT = "give a wheel, an environment's or a release's folder, a Python executable, or the word installed"
_LEADS_ELSEWHERE = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PYTHONSAFEPATH", "PYTHONSTARTUP"}


@dataclass(frozen=True, slots=True)
class Build:
    """`name` is what the user typed."""

    name: str
    python: Path


def find_build(name: str, scratch: Path) -> Build:
    """`scratch` is where a wheel is unpacked. Raises VenueError when the name leads to no Python."""
    if name == INSTALLED:
        return Build(name, Path(sys.executable))
    path = Path(name)
    if path.suffix == ".whl" and os.path.isfile(path):  # noqa: PTH113
        return Build(name, _unpacked(path, scratch))
    for candidate in (path / "env" / "bin" / "python", path / "bin" / "python", path):
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK):  # noqa: PTH113 - pathlib's raises on a name that is too long
            return Build(name, candidate.absolute())
    if os.path.isfile(path):  # noqa: PTH113
        problem = "it is no wheel and no executable"
    else:
        there = os.path.exists(path)  # noqa: PTH110
        problem = "there is no bin/python and no env/bin/python in it" if there else "there is nothing of that name"
    raise VenueError(f"{name}: {problem}", hint=BAD_SPEC_HINT)


def _unpacked(wheel: Path, folder: Path) -> Path:
    """The Python of a new environment in `folder` that has the wheel's packages first and this environment's behind them."""
    try:
        venv.create(folder, symlinks=True, with_pip=False)
        (packages,) = folder.glob("lib/python*/site-packages")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(packages)
        # A line of a .pth file adds a folder but does not read the .pth files in it: an editable install stays out.
        (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:  # all of them ways of a damaged archive
        raise VenueError(f"{wheel}: cannot be unpacked: {error}", hint=BAD_SPEC_HINT) from error
    return folder / "bin" / "python"


class Lines:
    """What a build's `engine.tools.stream` prints, one JSON object at a time. Ends its process when it is left."""

    def __init__(self, build: Build, arguments: Sequence[str], scratch: Path) -> None:
        self._build = build
        self._complaints = scratch / f"stderr-{threading.get_ident()}-{id(self)}"
        environment = {name: value for name, value in os.environ.items() if name not in _LEADS_ELSEWHERE}
        with self._complaints.open("wb") as stderr:
            command = [str(build.python), "-P", "-m", "engine.tools.stream", *arguments]
            try:
                self._process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, cwd=scratch, env=environment, text=True,
                    encoding="utf-8",
                )  # fmt: skip
            except OSError as error:
                raise VenueError(f"{build.name}: {build.python} cannot be run: {error.strerror}", hint=BAD_SPEC_HINT) from error
        self._lines: queue.Queue[str | None] = queue.Queue(QUEUED_LINES)
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._pump, daemon=True)
        self._thread.start()

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._process.kill()
        self._process.wait()
        self._thread.join()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Raises VenueError when the build fails, hangs, or says what is no JSON."""
        while True:
            try:
                line = self._lines.get(timeout=SILENCE_TIMEOUT_S)
            except queue.Empty:
                raise VenueError(f"{self._build.name}: no answer within {SILENCE_TIMEOUT_S:.0f} s", exit_code=6) from None
            if line is None:
                break
            try:
                yield json.loads(line)
            except ValueError:
                raise VenueError(f"{self._build.name}: it prints what is no replay: {line[:80]!r}", hint=BAD_SPEC_HINT) from None
        if self._process.wait() != 0:
            raise self._failed()

    def _pump(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._put(line)
            if self._left.is_set():
                break
        self._put(None)

    def _put(self, line: str | None) -> None:
        while not self._left.is_set():
            with suppress(queue.Full):
                self._lines.put(line, timeout=0.1)
                return

    def _failed(self) -> VenueError:
        said = self._complaints.read_text(encoding="utf-8", errors="replace").strip()
        if "No module named" in said and "engine" in said:
            return VenueError(f"{self._build.name}: this build cannot replay a log for others: {said.splitlines()[-1]}",
                              hint="it is no build of the exchange, or one made before `exchange verify-release` existed")  # fmt: skip
        if "format version" in said:
            hint = "the two builds have different log formats, so one log cannot be replayed through both"
            return VenueError(f"{self._build.name}: {_last(said)}", hint=hint)
        return VenueError(f"{self._build.name}: the replay failed: {_last(said) or f'exit code {self._process.returncode}'}",
                          hint="the message is the build's own", exit_code=1)  # fmt: skip


def _last(said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    told = next((line for line in reversed(lines) if line.startswith("error: ")), lines[-1] if lines else "")
    return told.removeprefix("error: ")[:MAX_COMPLAINT_CHARS]
