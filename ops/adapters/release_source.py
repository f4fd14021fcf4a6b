"""Source trees for release builds: what belongs to a tree, its digest, and a staged copy that keeps old mtimes.

The staged copy lies in one fixed folder and a file in it is written only when its bytes change. Ninja compares
mtimes, so the next build of any version compiles only what differs from the last one, even after a checkout gave
every source file a new mtime (or an old one, for an old version).
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ops.errors import Refused, UsageError

VERSION_FILE = "engine/_version.py"
GIT_TIMEOUT_S = 30
MAX_FILES = 20_000
MAX_FILE_BYTES = 64 * 1024 * 1024
"""Bounds against `--source /`; the product has a few hundred files, none above a megabyte."""
_SKIPPED = {".git", ".venv", "__pycache__"}
_SKIPPED_AT_TOP = {"build", "dist"}
_EXECUTABLE = 0o111


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree that was read (ops.releases.model.Source). `files` are relative paths in order."""

    root: Path
    commit: str
    dirty: bool
    digest: str
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _File:
    """One file's content, or a link's target, as bytes."""

    data: bytes
    link: bool
    executable: bool

    def fingerprint(self, name: str) -> bytes:
        kind = b"link" if self.link else b"exec" if self.executable else b"file"
        return b"\0".join((name.encode(), kind, hashlib.sha256(self.data).hexdigest().encode())) + b"\n"


def look(root: Path) -> Tree:
    """Raises UsageError when `root` is not a source of this product, Refused when git does not answer."""
    root = root.expanduser().resolve()
    for needed in ("pyproject.toml", VERSION_FILE):
        if not (root / needed).is_file():
            raise UsageError(f"{root} is not a source of this product: it has no {needed}", "name a checkout with --source")
    names = _tracked(root) if (root / ".git").exists() else _plain(root)
    if len(names) > MAX_FILES:
        raise UsageError(f"{root} holds more than {MAX_FILES} files", "name the checkout itself with --source")
    digest = hashlib.sha256()
    for name in names:
        digest.update(_read(root, name).fingerprint(name))
    commit, dirty = _commit(root)
    return Tree(root, commit, dirty, digest.hexdigest(), names)


def stage(tree: Tree, into: Path, version: str) -> str:
    """Make `into` a copy of the tree that says it is `version`; returns what it did, for a person.

    Raises Refused when the source changed since `look`, so that the manifest's digest is that of what was built.
    """
    into.mkdir(parents=True, exist_ok=True)
    removed = _remove_others(into, set(tree.files))
    digest = hashlib.sha256()
    written = 0
    for name in tree.files:
        file = _read(tree.root, name)
        digest.update(file.fingerprint(name))
        if name == VERSION_FILE:
            file = _File(with_version(file.data.decode(), version, tree.commit).encode(), link=False, executable=False)
        written += _write(into, name, file)
    if digest.hexdigest() != tree.digest:
        raise Refused("the source changed while it was copied", "build again when nothing writes to it")
    return f"{len(tree.files)} files, {written} changed, {removed} gone"


def with_version(text: str, version: str, commit: str) -> str:
    """The text of engine/_version.py with its two values replaced. Raises UsageError when it does not hold them."""
    for name, value in (("__version__", version), ("COMMIT", commit)):
        text, count = re.subn(rf'^{name} = "[^"\n]*"$', f'{name} = "{value}"', text, flags=re.MULTILINE)
        if count != 1:
            raise UsageError(f'{VERSION_FILE} has no single line {name} = "..."', "build from a source of this product")
    return text


def _tracked(root: Path) -> tuple[str, ...]:
    """What git tracks or would, without what was deleted; submodules are folders and left out."""
    listed = _git(root, "ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0")
    return tuple(sorted(name for name in set(listed) if name and ((root / name).is_symlink() or (root / name).is_file())))


def _plain(root: Path) -> tuple[str, ...]:
    return tuple(sorted(_walk(root)))


def _walk(root: Path) -> Iterator[str]:
    count = 0
    for folder, below, names in os.walk(root):
        top = Path(folder) == root
        below[:] = [d for d in below if d not in _SKIPPED and not d.endswith("_cache") and not (top and d in _SKIPPED_AT_TOP)]
        for name in names:
            count += 1
            if count > MAX_FILES:
                raise UsageError(f"{root} holds more than {MAX_FILES} files", "name the checkout itself with --source")
            yield str((Path(folder) / name).relative_to(root))


def _commit(root: Path) -> tuple[str, bool]:
    if not (root / ".git").exists():
        return "unversioned", True
    dirty = bool(_git(root, "status", "--porcelain", "--untracked-files=normal"))
    if not _git(root, "rev-list", "--all", "--max-count=1"):
        return "uncommitted", True
    return _git(root, "rev-parse", "--short=12", "HEAD").strip(), dirty


def _git(root: Path, *words: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(root), "--no-optional-locks", *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GIT_TIMEOUT_S, check=False, env=environment)
    except FileNotFoundError:
        raise Refused("git is not installed, and the source is a git checkout", "install git") from None
    except subprocess.TimeoutExpired:
        raise Refused(f"git {words[0]} gave no answer within {GIT_TIMEOUT_S} s in {root}", "look at that checkout's disk") from None
    if done.returncode != 0:
        raise Refused(
            f"git {words[0]} failed in {root}: {done.stderr.strip()[:400]}", "make git work there, or build from an exported tree"
        )
    return done.stdout


def _read(root: Path, name: str) -> _File:
    path = root / name
    if path.is_symlink():
        target = path.readlink()
        if target.is_absolute() or not path.resolve().is_relative_to(root):
            raise UsageError(f"{name} is a link that leaves the source", "a release is built from what the source holds")
        return _File(os.fsencode(target), link=True, executable=False)
    status = path.stat()
    if status.st_size > MAX_FILE_BYTES:
        raise UsageError(f"{name} is larger than {MAX_FILE_BYTES // 2**20} MiB", "keep data out of the source, or ignore it in .gitignore")
    return _File(path.read_bytes(), link=False, executable=bool(status.st_mode & _EXECUTABLE))


def _write(into: Path, name: str, file: _File) -> bool:
    """Whether anything had to change."""
    path = into / name
    if file.link:
        if path.is_symlink() and os.fsencode(path.readlink()) == file.data:
            return False
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(os.fsdecode(file.data))
        return True
    if path.is_symlink():
        path.unlink()
    same = path.is_file() and path.read_bytes() == file.data
    if not same:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.data)
    path.chmod(0o755 if file.executable else 0o644)
    return not same


def _remove_others(into: Path, wanted: set[str]) -> int:
    """Delete what vanished from the source, and the folders that it leaves empty."""
    removed = 0
    for folder, below, names in os.walk(into, topdown=False):
        for name in [*names, *(d for d in below if (Path(folder) / d).is_symlink())]:
            path = Path(folder) / name
            if str(path.relative_to(into)) not in wanted:
                path.unlink()
                removed += 1
        if Path(folder) != into and not any(Path(folder).iterdir()):
            shutil.rmtree(folder)
    return removed
