"""HAProxy's runtime API: one connection per question, one second for all of it, replies read strictly."""

from __future__ import annotations

import csv
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ops.errors import TrafficUnavailable

TIMEOUT_S = 1.0
BATCH_BYTES = 12_000
"""HAProxy reads a line of commands into one buffer of 16 kB."""
_REPLY_MAX = 4_000_000
_HINT = "is the venue up? `opsctl status` tells, `opsctl up` starts what is down"


class RuntimeSocket:
    """Raises TrafficUnavailable for everything but the answer."""

    def __init__(self, path: Path, timeout_s: float = TIMEOUT_S) -> None:
        self._path, self._timeout_s = path, timeout_s

    def ask(self, command: str) -> str:
        """The reply of one line of commands, whole."""
        end_s = time.monotonic() + self._timeout_s
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(self._timeout_s)
                connection.connect(str(self._path))
                connection.sendall(command.encode("ascii") + b"\n")
                return _read(connection, end_s)
        except (OSError, UnicodeDecodeError) as error:
            raise TrafficUnavailable(f"HAProxy does not answer at {self._path}: {error}", hint=_HINT) from error

    def run(self, commands: Sequence[str]) -> None:
        """Commands whose only good answer is an empty one, in order, as few batches as fit."""
        for batch in _batches(commands):
            reply = self.ask(";".join(batch))
            if said := reply.strip():
                raise TrafficUnavailable(f"HAProxy refused a change: {said.splitlines()[0]}", hint=_HINT)
            if reply.count("\n") < len(batch):
                raise TrafficUnavailable(f"HAProxy answered {reply.count(chr(10))} of {len(batch)} commands", hint=_HINT)

    def table(self, command: str) -> list[dict[str, str]]:
        """A CSV reply that starts with `# name,name,...`."""
        text = self.ask(command)
        if not text.startswith("# "):
            raise TrafficUnavailable(f"HAProxy's answer to `{command}` is no table: {text[:80]!r}", hint=_HINT)
        rows = list(csv.DictReader(text[2:].strip().splitlines()))
        if any(None in row or None in row.values() for row in rows):
            raise TrafficUnavailable(f"HAProxy's answer to `{command}` is cut", hint=_HINT)
        return rows

    def info(self) -> Mapping[str, str]:
        """`show info` as name -> value."""
        lines = (line.partition(": ") for line in self.ask("show info").splitlines())
        return {name: value for name, colon, value in lines if colon}


def _read(connection: socket.socket, end_s: float) -> str:
    parts: list[bytes] = []
    size = 0
    while size <= _REPLY_MAX:
        left_s = end_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("timed out")
        connection.settimeout(left_s)
        part = connection.recv(65536)
        if not part:
            return b"".join(parts).decode("utf-8")
        parts.append(part)
        size += len(part)
    raise OSError("the answer does not end")


def _batches(commands: Sequence[str]) -> list[list[str]]:
    batches: list[list[str]] = []
    size = BATCH_BYTES
    for command in commands:
        assert ";" not in command and "\n" not in command, command
        if size + len(command) + 1 > BATCH_BYTES:
            batches.append([])
            size = 0
        batches[-1].append(command)
        size += len(command) + 1
    return batches
