"""One JSON object per line on stderr: ts (RFC 3339, UTC), level, event, then the event's own fields.

The wall clock of the venue's Python side is read here and nowhere else. A field whose name smells of a secret is
never written, whatever its value: a log is read by more people than a keys file.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TextIO

SECRET_WORDS = ("token", "secret", "password", "authorization", "api_key", "sha256")

WallClock = Callable[[], int]
"""Nanoseconds since the Unix epoch."""


def wall_clock_ns() -> int:
    return time.time_ns()


class JsonLog:
    """Bound fields (the process's name, say) go into every line."""

    def __init__(self, stream: TextIO | None = None, clock: WallClock = wall_clock_ns, **bound: object) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._clock = clock
        self._bound = bound

    def info(self, event: str, **fields: object) -> None:
        self._write("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        self._write("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        self._write("error", event, fields)

    def _write(self, level: str, event: str, fields: dict[str, object]) -> None:
        line = format_line(self._clock(), level, event, {**self._bound, **fields})
        try:
            self._stream.write(line)
            self._stream.flush()
        except (OSError, ValueError):  # a closed stderr must not take the venue down
            return


def format_line(ts_ns: int, level: str, event: str, fields: dict[str, object]) -> str:
    """The line with its newline; newlines inside values are escaped by JSON."""
    stamp = datetime.fromtimestamp(ts_ns // 1_000_000 / 1000, tz=UTC).isoformat(timespec="milliseconds")
    record: dict[str, object] = {"ts": stamp.replace("+00:00", "Z"), "level": level, "event": event}
    for name, value in fields.items():
        record[name] = "[withheld]" if any(word in name.lower() for word in SECRET_WORDS) else value
    return json.dumps(record, default=str) + "\n"
