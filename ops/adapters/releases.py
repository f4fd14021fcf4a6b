"""Releases on this machine: the folders under `<state>/releases`, and the installation that runs this program.

A folder is whole when its manifest can be read, names the folder, and still matches the wheel and the program beside
it. That is judged anew at each look, so a file lost or changed after the build makes the release half built, and it
is not started. Names with a leading point are the workshop's own (ops/adapters/release_build.py).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import engine
from ops.errors import Refused
from ops.ports import Release

MANIFEST = "manifest.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """What manifest.json holds. Digests are sha256 in hex; `built_at_s` is in Unix seconds; `wheel` is a file name."""

    version: str
    commit: str
    dirty: bool
    digest: str
    source_digest: str
    wheel: str
    built_at_s: float
    command: str
    python: str

    @classmethod
    def parse(cls, text: str) -> Manifest:
        """Raises ValueError with the field that is missing or of the wrong kind."""
        data = json.loads(text)
        if not isinstance(data, dict):
            raise ValueError("it is not a JSON object")
        if data.get("format") != FORMAT:
            raise ValueError(f"format is {data.get('format')!r}, not {FORMAT}")
        kinds = {"dirty": bool, "built_at_s": float}
        for name in cls.__dataclass_fields__:
            if not isinstance(data.get(name), kinds.get(name, str)):
                raise ValueError(f"field {name} is missing or of the wrong kind")
        return cls(**{name: data[name] for name in cls.__dataclass_fields__})

    def text(self) -> str:
        built_at = datetime.fromtimestamp(self.built_at_s, UTC).isoformat(timespec="seconds")
        return json.dumps({"format": FORMAT, **asdict(self), "built_at": built_at}, indent=2) + "\n"


@dataclass(frozen=True, slots=True)
class Folder:
    """A judged folder (ops.releases.model.Shelved)."""

    path: Path
    version: str
    release: Release | None
    problem: str
    source_digest: str = ""
    python: str = ""

    @property
    def size_bytes(self) -> int:
        """Walks the folder: about 2,000 files."""
        return sum(entry.lstat().st_size for entry in self.path.rglob("*") if not entry.is_dir())


class LocalReleases:
    """`ops.ports.Releases` and `ops.releases.model.Shelf`. Makes no folder until something is removed or built."""

    def __init__(self, state_dir: Path, own_command: Path | None = None) -> None:
        """`own_command` is the installation's `exchange`; by default the one beside this Python."""
        self.root = state_dir / "releases"
        self._own_command = own_command or Path(sys.executable).parent / "exchange"

    def all(self) -> tuple[Release, ...]:
        built = sorted((f.release for f in self.folders() if f.release), key=lambda r: (r.built_at_s, r.version))
        own = self.installation()
        if own is None or any(release.version == own.version for release in built):
            return tuple(built)
        return (own, *built)

    def get(self, version: str) -> Release:
        folder = self.folder(version)
        if folder and folder.release:
            return folder.release
        again = f"opsctl releases build --version {version}"
        own = self.installation()
        if own and own.version == version:
            return own
        if folder:
            raise Refused(f"release {version} is half built: {folder.problem}", f"build it again: {again}")
        there = ", ".join(release.version for release in self.all()) or "none"
        raise Refused(f"there is no release {version}", f"releases here: {there}. Build it: {again}")

    def folders(self) -> tuple[Folder, ...]:
        if not self.root.is_dir():
            return ()
        return tuple(_judge(path) for path in sorted(self.root.iterdir()) if path.is_dir() and not path.name.startswith("."))

    def folder(self, version: str) -> Folder | None:
        path = self.root / version
        if not version or Path(version).name != version or version.startswith(".") or not path.is_dir():
            return None
        return _judge(path)

    def installation(self) -> Release | None:
        if not os.access(self._own_command, os.X_OK):
            return None
        files = _package_files()
        built_at_s = max(path.stat().st_mtime for path in files)
        return Release(engine.__version__, engine.COMMIT, _digest_of(files), built_at_s, str(self._own_command), installed=True)

    def running(self) -> frozenset[str]:
        """Read from the command lines in /proc: a gateway of a release is started by its path below the folder."""
        prefix = f"{self.root}/".encode()
        found: set[str] = set()
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = entry.read_bytes().split(b"\0")[:2]
            except OSError:
                continue  # it ended meanwhile
            found.update(word[len(prefix) :].split(b"/")[0].decode(errors="replace") for word in words if word.startswith(prefix))
        return frozenset(name for name in found if not name.startswith("."))

    def remove(self, version: str) -> None:
        folder = self.folder(version)
        assert folder, version
        (folder.path / MANIFEST).unlink(missing_ok=True)
        sync_folder(folder.path)
        shutil.rmtree(folder.path)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Atomic and on disk when it returns."""
    temporary = folder / f".{MANIFEST}"
    with temporary.open("w", encoding="utf-8") as file:
        file.write(manifest.text())
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(folder / MANIFEST)
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _judge(path: Path) -> Folder:
    """Gather what lies in the folder and say what is wrong with it, if anything."""
    try:
        manifest = Manifest.parse((path / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Folder(path, path.name, None, "it has no manifest: its build was interrupted or failed")
    except (ValueError, OSError) as error:
        return Folder(path, path.name, None, f"its manifest cannot be used: {error}")
    wheel = path / manifest.wheel
    facts = {
        "wheel": file_digest(wheel) if wheel.is_file() else "",
        "command": "there" if os.access(manifest.command, os.X_OK) else "",
        "python": "there" if (path / "env/bin/python").exists() else "",
    }
    problem = half_built(path, manifest, facts)
    if problem:
        return Folder(path, path.name, None, problem)
    release = Release(manifest.version, manifest.commit, manifest.digest, manifest.built_at_s, manifest.command, manifest.dirty)
    return Folder(path, path.name, release, "", manifest.source_digest, manifest.python)


def half_built(path: Path, manifest: Manifest, facts: Mapping[str, str]) -> str:
    """Why the folder must not be run; empty when it is whole. Pure: `facts` holds the wheel's digest and what was found."""
    complaints = (
        (manifest.version != path.name, f"its manifest is of version {manifest.version}"),
        (not facts["wheel"], f"its wheel {manifest.wheel} is gone"),
        (facts["wheel"] != manifest.digest, f"its wheel {manifest.wheel} is not the one that was built (its digest differs)"),
        (not Path(manifest.command).is_relative_to(path), f"its program is elsewhere, {manifest.command}: the folder was moved"),
        (not facts["command"], f"its program {manifest.command} is gone"),
        (not facts["python"], "the Python it was built with is gone from this machine"),
    )
    return next((complaint for holds, complaint in complaints if holds), "")


def _package_files() -> list[Path]:
    """The venue's modules, the native one too, wherever an editable installation keeps them."""
    return sorted(path for base in engine.__path__ for path in Path(base).rglob("*") if path.suffix in {".py", ".so"})


def _digest_of(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode() + b"\0" + bytes.fromhex(file_digest(path)))
    return digest.hexdigest()
