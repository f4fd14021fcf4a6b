"""The link key: one secret that the core and its gateways share, in a file that only its owner reads."""

from __future__ import annotations

import stat
from pathlib import Path

from engine.config import VenueError, read_text

MIN_CHARS, MAX_CHARS = 16, 256
_MAKE_ONE = "make one: (umask 077; openssl rand -hex 32 > {path})"
_HAVE_THE_CORES = "give the file that the core was started with; a new key would not fit the core that runs"


def load_link_key(path: Path | None, *, of_running_core: bool = False) -> str:
    """The file's text without the space around it; "" without a file. `of_running_core`: the key is made already, so that a new one is
    no way out. Raises VenueError, which never holds the key."""
    if path is None:
        return ""
    hint = (_HAVE_THE_CORES if of_running_core else _MAKE_ONE).format(path=path)
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise VenueError(f"the link key file {path} cannot be read: {error.strerror}", hint=hint) from error
    if not stat.S_ISREG(mode):
        raise VenueError(f"the link key file {path} is not a regular file")
    if mode & 0o077:
        raise VenueError(f"the link key file {path} is open to others (mode {mode & 0o777:04o})", hint=f"chmod 600 {path}")
    key = read_text(path, "the link key file").strip()
    if not MIN_CHARS <= len(key) <= MAX_CHARS or not key.isascii() or not key.isprintable():
        raise VenueError(f"the link key file {path}: expected {MIN_CHARS} to {MAX_CHARS} printable ASCII characters", hint=hint)
    return key
