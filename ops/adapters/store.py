"""The journal: an append-only, hash-chained table in SQLite, on disk when `append` returns.

Each row carries the hash of the row before it, so that an edited, dropped or reordered row is found on the next read and
nothing is decided on it. Several processes (deploy, guardian, a person's command) append to one file; SQLite's write lock makes
them one sequence, and its wait is bounded.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ops.errors import StoreCorrupt, Unavailable
from ops.ports import Event

BUSY_TIMEOUT_S = 2.0
_GENESIS = "0" * 64
_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
  seq INTEGER PRIMARY KEY, at_s REAL NOT NULL, stream TEXT NOT NULL, kind TEXT NOT NULL, data TEXT NOT NULL,
  prev TEXT NOT NULL, hash TEXT NOT NULL
);
CREATE TRIGGER IF NOT EXISTS no_update BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER IF NOT EXISTS no_delete BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
"""


class SqliteStore:
    """Implements ops.ports.Store."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, stream: str, kind: str, data: Mapping[str, Any], at_s: float) -> Event:
        at_s = float(at_s)  # a whole number would be read back as 5.0 and hash differently
        text = json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
        with self._connection() as db:
            db.execute("BEGIN IMMEDIATE")
            last = db.execute("SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1").fetchone() or (0, _GENESIS)
            seq, prev = last[0] + 1, last[1]
            digest = _digest(prev, seq, at_s, stream, kind, text)
            db.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", (seq, at_s, stream, kind, text, prev, digest))
            db.execute("COMMIT")
        return Event(seq, at_s, stream, kind, json.loads(text), digest)

    def events(self, stream: str | None = None, after_seq: int = 0) -> tuple[Event, ...]:
        """In order. Raises StoreCorrupt naming the first row that does not fit the chain."""
        if not self._exists():
            return ()
        with self._connection() as db:
            rows = db.execute("SELECT seq, at_s, stream, kind, data, prev, hash FROM events WHERE seq >= ? ORDER BY seq", (after_seq,))
            return tuple(e for e in self._checked(rows.fetchall(), after_seq) if e.seq > after_seq and stream in (None, e.stream))

    def _checked(self, rows: list[tuple[Any, ...]], after_seq: int) -> Iterator[Event]:
        """Rows from `after_seq` on: the row before the first asked one anchors the chain."""
        expected_seq, expected_prev = (1, _GENESIS) if after_seq == 0 else (after_seq, None)
        for seq, at_s, stream, kind, text, prev, digest in rows:
            whole = digest == _digest(prev, seq, at_s, stream, kind, text) and seq == expected_seq
            if not whole or (expected_prev is not None and prev != expected_prev):
                raise StoreCorrupt(
                    f"{self._path}: the journal's chain breaks at event {seq}: it was changed or rows are missing",
                    hint="keep the file as evidence, move it away, and start with `opsctl up`; traffic is not touched",
                )
            expected_seq, expected_prev = seq + 1, digest
            yield Event(seq, at_s, stream, kind, json.loads(text), digest)

    def _exists(self) -> bool:
        try:
            self._path.stat()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self._unusable(error) from error
        return True

    def _unusable(self, error: Exception) -> Unavailable:
        return Unavailable(f"the journal {self._path} cannot be used: {error}", hint="check the disk and the folder's owner")

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            new = not self._exists()
            if new:
                os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
            db = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
            try:
                db.execute("PRAGMA synchronous=FULL")
                if new or not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'events'").fetchone():
                    db.executescript(_SCHEMA)
                yield db
            finally:
                db.close()
        except (sqlite3.Error, OSError) as error:
            raise self._unusable(error) from error


def _digest(prev: object, seq: int, at_s: float, stream: object, kind: object, text: object) -> str:
    """Over whatever the row holds: a column of a tampered row may be of any type."""
    return hashlib.sha256("\n".join(map(str, (prev, seq, repr(at_s), stream, kind, text))).encode()).hexdigest()
