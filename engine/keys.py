"""API keys: the file, the ring that answers "whose token is this", and the making of a new one.

The file holds SHA-256 digests, never tokens, and still must be readable by its owner only. A token has 256 random
bits, so a plain digest is enough: there is nothing to guess slowly.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

import yaml

from engine.config import VenueError, brief, read_text, read_yaml
from engine.types import MAX_FIRM_ID

MAX_KEYS = 1000
MAX_RATE_PER_S = 1_000_000
MAX_TOKEN_CHARS = 256
DEFAULT_RATE_PER_S = 500
KEY_ID = re.compile(r"[A-Za-z0-9._\-]{1,36}")
DIGEST = re.compile(r"[0-9a-f]{64}")
TOKEN_PREFIX = "xk_"  # noqa: S105 - a prefix that secret scanners can look for, not a secret


class Permission(StrEnum):
    TRADE = "trade"
    READ = "read"


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """One key. `firm` owns what the key orders; `rate_per_s` and `burst` are requests."""

    id: str
    firm: int
    sha256: str
    permissions: frozenset[Permission]
    rate_per_s: int
    burst: int


class KeyRing:
    """An immutable set of keys."""

    def __init__(self, entries: Iterable[KeyEntry]) -> None:
        self.entries = tuple(entries)
        self._digests = tuple((bytes.fromhex(entry.sha256), entry) for entry in self.entries)

    def find(self, token: str) -> KeyEntry | None:
        """Whose token this is. Every key is compared, in constant time, so the answer's time names no key."""
        if len(token) > MAX_TOKEN_CHARS:
            return None
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        found: KeyEntry | None = None
        for known, entry in self._digests:
            if hmac.compare_digest(known, digest):
                found = entry
        return found


def new_key(
    key_id: str,
    firm: int,
    permissions: Iterable[str] = ("trade", "read"),
    rate_per_s: int = DEFAULT_RATE_PER_S,
    burst: int | None = None,
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
) -> tuple[str, KeyEntry]:
    """A fresh token, shown once, and the entry that the keys file keeps. Raises VenueError on a bad field."""
    token = TOKEN_PREFIX + random_bytes(32).hex()
    row = {
        "id": key_id,
        "firm": firm,
        "sha256": hashlib.sha256(token.encode()).hexdigest(),
        "permissions": list(permissions),
        "rate_per_s": rate_per_s,
        "burst": burst if burst is not None else 2 * rate_per_s,
    }
    return token, _entry(row, "new key")


def load_keys(path: Path) -> KeyRing:
    """Raises VenueError when the file is missing, readable by others, or bad."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise VenueError(
            f"the keys file {path} cannot be read: {error.strerror}", hint=f"make one: exchange keys new --file {path}"
        ) from error
    if not stat.S_ISREG(mode):
        raise VenueError(f"the keys file {path} is not a regular file")
    if mode & 0o077:
        raise VenueError(f"the keys file {path} is open to others (mode {mode & 0o777:04o})", hint=f"chmod 600 {path}")
    return parse_keys(read_text(path, "the keys file"), str(path))


def parse_keys(text: str, source: str) -> KeyRing:
    """Raises VenueError naming `source`, the key's index and the field; never a token or a digest."""
    rows = read_yaml(text, source)
    if not isinstance(rows, list) or not rows:
        raise VenueError(f"{source}: expected a list with at least one key", hint="make one: exchange keys new")
    if len(rows) > MAX_KEYS:
        raise VenueError(f"{source}: {len(rows)} keys, at most {MAX_KEYS} are supported")
    entries = [_entry(row, f"{source}: key {index}") for index, row in enumerate(rows)]
    for field in ("id", "sha256"):
        values = [getattr(entry, field) for entry in entries]
        if len(set(values)) != len(values):
            raise VenueError(f"{source}: {field}: two keys have the same")
    return KeyRing(entries)


def save_keys(path: Path, entries: Iterable[KeyEntry]) -> None:
    """Replace the file in one step, mode 0600 from its first byte. Raises VenueError when the folder cannot be written.

    Who reads the file to write it again holds `keys_lock` around both.
    """
    rows = [{**asdict(entry), "permissions": sorted(str(permission) for permission in entry.permissions)} for entry in entries]
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.new")
    try:
        # Exclusive, and no link followed: what somebody else put under this name is neither written to nor removed.
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                yaml.safe_dump(rows, file, sort_keys=False)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise VenueError(f"the keys file {path} cannot be written: {error.strerror}") from error


@contextmanager
def keys_lock(path: Path) -> Iterator[None]:
    """Held from load_keys to save_keys, so that of two who add a key at once neither undoes the other. Raises VenueError."""
    if not path.name:
        raise VenueError(f"the keys file {path} is a folder", hint="for example keys.yaml")
    lock = path.with_name(f"{path.name}.lock")
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise VenueError(f"the lock of the keys file, {lock}, cannot be made: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def planned_key(path: Path, key_id: str, firm: int, permissions: Iterable[str], rate_per_s: int, burst: int | None) -> KeyEntry:
    """What add_key would add. Raises VenueError as it would, but for a folder that cannot be written."""
    return _addition(path, key_id, firm, permissions, rate_per_s, burst)[1]


def add_key(path: Path, key_id: str, firm: int, permissions: Iterable[str], rate_per_s: int, burst: int | None) -> str:
    """Adds a key to the file, which is made when missing, and gives its token. Raises VenueError."""
    with keys_lock(path):
        token, entry, known = _addition(path, key_id, firm, permissions, rate_per_s, burst)
        save_keys(path, (*known, entry))
    return token


def _addition(
    path: Path, key_id: str, firm: int, permissions: Iterable[str], rate_per_s: int, burst: int | None
) -> tuple[str, KeyEntry, tuple[KeyEntry, ...]]:
    """A token, its entry, and the entries that are there."""
    known = load_keys(path).entries if path.exists() else ()
    if any(entry.id == key_id for entry in known):
        raise VenueError(f"{path} already has a key {key_id}", hint="choose another --id, or remove the entry first")
    return *new_key(key_id, firm, permissions, rate_per_s, burst), known


_FIELDS = ("id", "firm", "sha256", "permissions", "rate_per_s", "burst")


def _entry(row: object, where: str) -> KeyEntry:
    if not isinstance(row, dict):
        raise VenueError(f"{where}: expected a mapping with {', '.join(_FIELDS)}")
    for name in _FIELDS:
        if name not in row:
            raise VenueError(f"{where}: {name}: missing")
    unknown = sorted(name if isinstance(name, str) else brief(name) for name in row.keys() - set(_FIELDS))
    if unknown:
        raise VenueError(f"{where}: unknown field {unknown[0]}")
    if not isinstance(row["id"], str) or not KEY_ID.fullmatch(row["id"]):
        raise VenueError(f"{where}: id: expected 1 to 36 of A-Z a-z 0-9 . _ -")
    if not isinstance(row["sha256"], str) or not DIGEST.fullmatch(row["sha256"]):
        raise VenueError(f"{where}: sha256: expected 64 hex digits in lower case, the SHA-256 of the token")
    return KeyEntry(
        id=row["id"],
        firm=_number(row, "firm", 1, MAX_FIRM_ID, where),
        sha256=row["sha256"],
        permissions=_permissions(row["permissions"], where),
        rate_per_s=_number(row, "rate_per_s", 1, MAX_RATE_PER_S, where),
        burst=_number(row, "burst", 1, MAX_RATE_PER_S, where),
    )


def _number(row: dict[str, object], name: str, low: int, high: int, where: str) -> int:
    value = row[name]
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise VenueError(f"{where}: {name}: expected a whole number from {low} to {high}")
    return value


def _permissions(value: object, where: str) -> frozenset[Permission]:
    known = {str(permission): permission for permission in Permission}
    if not isinstance(value, list) or not value or any(not isinstance(name, str) or name not in known for name in value):
        raise VenueError(f"{where}: permissions: expected a list of {', '.join(known)}")
    return frozenset(known[name] for name in value)
