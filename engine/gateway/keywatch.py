"""Reloads the keys file when it changes. A bad new file never locks members out: the old keys stay, and the log says why."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from engine.config import VenueError
from engine.keys import KeyRing, load_keys
from engine.logs import JsonLog

POLL_INTERVAL_S = 1.0

_Stamp = tuple[int, int, int, int]


class KeyWatch:
    """Make it before the first load_keys: a change between the two is then seen by the first poll."""

    def __init__(self, path: Path, on_change: Callable[[KeyRing], None], log: JsonLog) -> None:
        self._path, self._on_change, self._log = path, on_change, log
        self._seen = _stamp(path)

    async def run(self, interval_s: float = POLL_INTERVAL_S) -> None:
        while True:
            await asyncio.sleep(interval_s)
            self.poll()

    def poll(self) -> None:
        stamp = _stamp(self._path)
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            ring = load_keys(self._path)
            self._on_change(ring)
        except VenueError as error:
            self._log.error("keys.kept", reason=error.message, hint=error.hint)
            return
        except Exception as error:
            # Whatever it is, it must not end the watch: from then on no revoked key would ever be noticed.
            self._log.error("keys.kept", reason=f"unexpected {type(error).__name__}", hint="check the keys file")
            return
        self._log.info("keys.reloaded", keys=len(ring.entries))


def _stamp(path: Path) -> _Stamp | None:
    """What changes when a file's content, identity or mode does; None when it is gone."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino, stat.st_mode
