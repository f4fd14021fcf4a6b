"""The workshop of release builds (ops.releases.model.Workshop): pip, CMake and venv, each as a bounded process with a log.

Beside the releases, in `<state>/releases`:
  .lock       held by the one build or removal that runs; a builder's children hold it too, so that what a killed
              builder left running cannot meet the next build in the same folders
  .build/     src (staged copy), native-<key> (CMake's folder, kept: later builds compile what changed), logs
  .wheels/    the run-time packages of the venue, fetched once for each requirements-venue.lock
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ops.adapters import release_source
from ops.adapters.release_source import Tree
from ops.adapters.releases import Manifest, file_digest, write_manifest
from ops.errors import OpsError, Refused, Unavailable
from ops.ports import Release

VENUE_LOCK = "requirements-venue.lock"
WHEEL_TIMEOUT_S = 900
"""A cold build of the native core on two busy cores takes about a tenth of this."""
FETCH_TIMEOUT_S = 300
INSTALL_TIMEOUT_S = 180
PROGRAM_TIMEOUT_S = 60
KILL_TIMEOUT_S = 10
LOG_TAIL_LINES = 12
LOG_TAIL_CHARS = 1600
_NEEDED = {"pip": "pip", "scikit_build_core": "scikit-build-core", "nanobind": "nanobind", "cmake": "cmake", "ninja": "ninja"}


class LocalWorkshop:
    """Builds with the Python that runs this program, into `<state>/releases`."""

    def __init__(self, state_dir: Path) -> None:
        self._shelf = state_dir / "releases"
        self._work = self._shelf / ".build"
        self._lock: int | None = None

    def look(self, root: Path) -> Tree:
        return release_source.look(root)

    def check_tools(self) -> None:
        missing = [package for module, package in _NEEDED.items() if not (importlib.util.find_spec(module) or shutil.which(module))]
        if missing:
            raise Refused(
                f"this Python ({sys.executable}) cannot build a release: {', '.join(missing)} not installed",
                "run opsctl from the checkout's own environment: `make setup`, then .venv/bin/opsctl",
            )

    @contextmanager
    def lock(self) -> Iterator[None]:
        self._shelf.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._shelf / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = os.pread(handle, 20, 0).decode(errors="replace").strip() or "unknown"
                message = f"another build or removal works in {self._shelf} (started by process {owner})"
                raise Refused(message, "wait for it to end, then try again") from None
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
            self._lock = handle
            yield
        finally:
            self._lock = None
            os.close(handle)

    def stage(self, version: str, source: Tree) -> str:
        return release_source.stage(source, self._work / "src", version)

    def wheel(self, version: str) -> str:
        """Build into an empty folder, then move the wheel to the release's folder."""
        out = self._emptied(self._work / "wheel")
        key = hashlib.sha256(f"{sys.prefix}\0{sys.version}".encode()).hexdigest()[:8]
        options = ["--no-deps", "--no-build-isolation", f"--config-settings=build-dir={self._work / f'native-{key}'}"]
        command = [*_pip(), "wheel", *options, "--wheel-dir", str(out), str(self._work / "src")]
        self._run(command, f"{version}-wheel", WHEEL_TIMEOUT_S, "the wheel does not build")
        found = sorted(out.glob("*.whl"))
        if len(found) != 1 or f"-{version}-" not in found[0].name:
            names = ", ".join(path.name for path in found) or "no wheel"
            raise Refused(f"the build of {version} made {names}", "the source must take its version from engine/_version.py")
        folder = self._shelf / version
        folder.mkdir(exist_ok=True)
        shutil.copyfile(found[0], folder / found[0].name)
        found[0].unlink()
        return f"{found[0].name}, {(folder / found[0].name).stat().st_size / 1024:.0f} KiB"

    def environment(self, version: str) -> str:
        """A virtual environment without pip of its own; packages are put in by this Python's pip, from local files only."""
        folder = self._shelf / version
        home = folder / "env"
        python = home / "bin" / "python"
        self._run([sys.executable, "-m", "venv", "--without-pip", "--clear", str(home)], f"{version}-venv", INSTALL_TIMEOUT_S, "venv fails")
        install = [*_pip(), "--python", str(python), "install", "--no-index", "--quiet"]
        what = "the packages do not go into the environment"
        lock = self._work / "src" / VENUE_LOCK
        if lock.is_file():
            options = ["--no-deps", "--require-hashes", "--find-links", str(self._wheelhouse(lock)), "-r", str(lock)]
            self._run([*install, *options], f"{version}-packages", INSTALL_TIMEOUT_S, what)
        self._run([*install, "--no-deps", str(self._wheel_of(version))], f"{version}-install", INSTALL_TIMEOUT_S, what)
        command = home / "bin" / "exchange"
        if not command.is_file():
            raise Refused(f"the build of {version} has no program `exchange`", "the source must declare it under [project.scripts]")
        self._run([str(command), "--help"], f"{version}-start", PROGRAM_TIMEOUT_S, "its program does not start")
        return str(home)

    def finish(self, version: str, source: Tree, built_at_s: float) -> Release:
        wheel = self._wheel_of(version)
        command = str(self._shelf / version / "env" / "bin" / "exchange")
        digest = file_digest(wheel)
        python = platform.python_version()
        os.sync()  # everything the manifest vouches for is on disk before it
        manifest = Manifest(version, source.commit, source.dirty, digest, source.digest, wheel.name, built_at_s, command, python)
        write_manifest(self._shelf / version, manifest)
        return Release(version, source.commit, digest, built_at_s, command, source.dirty)

    def _wheel_of(self, version: str) -> Path:
        (wheel,) = (self._shelf / version).glob("*.whl")
        return wheel

    def _wheelhouse(self, lock: Path) -> Path:
        """Where the locked packages lie, fetched when this lock file was not seen before; one lock's packages are kept."""
        base = self._shelf / ".wheels"
        house = base / file_digest(lock)[:12]
        if house.is_dir():
            return house
        fresh = self._emptied(base / ".fetching")
        command = [
            *_pip(),
            "download",
            "--no-deps",
            "--only-binary=:all:",
            "--require-hashes",
            "--quiet",
            "--dest",
            str(fresh),
            "-r",
            str(lock),
        ]
        hint = "the first build after a change of requirements-venue.lock needs the package index"
        self._run(command, "packages-fetch", FETCH_TIMEOUT_S, "the venue's packages could not be fetched", Unavailable, hint)
        for old in base.iterdir():
            if old != fresh:
                shutil.rmtree(old)
        fresh.rename(house)
        return house

    def _emptied(self, folder: Path) -> Path:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def _run(
        self, command: Sequence[str], name: str, timeout_s: float, failed: str, kind: type[OpsError] = Refused, hint: str = ""
    ) -> None:
        log = self._work / "logs" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        keep = () if self._lock is None else (self._lock,)
        code = run_bounded(command, log, timeout_s, keep)
        if code == 0:
            return
        why = f"no end within {timeout_s:.0f} s" if code is None else tail(log)
        raise kind(f"{failed}: {why}", f"{hint + '; ' if hint else ''}the full log is {log}")


def run_bounded(command: Sequence[str], log: Path, timeout_s: float, keep_open: tuple[int, ...] = ()) -> int | None:
    """Run with output to `log`; the exit code, or None after `timeout_s`. Whatever ends the wait ends all its processes too."""
    with log.open("wb") as out:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=_environment(),
            start_new_session=True,
            pass_fds=keep_open,
        )
        try:
            return child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if child.returncode is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait(KILL_TIMEOUT_S)


def tail(log: Path) -> str:
    """The last lines of a log, bounded, for a message."""
    lines = [line.rstrip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return ("\n  " + "\n  ".join(lines[-LOG_TAIL_LINES:]))[-LOG_TAIL_CHARS:] if lines else "it said nothing"


def _pip() -> list[str]:
    return [sys.executable, "-m", "pip", "--no-input", "--disable-pip-version-check"]


def _environment() -> dict[str, str]:
    """This process's, without what would lead pip or Python elsewhere; this Python's own programs come first."""
    dropped = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PIP_TARGET", "PIP_USER", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV"}
    kept = {name: value for name, value in os.environ.items() if name not in dropped and not name.startswith(("SKBUILD_", "CMAKE_"))}
    return kept | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
