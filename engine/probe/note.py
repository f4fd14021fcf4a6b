"""The client_order_id of the order that may rest, kept so that the next start can take that order back.

One line of fixed length, written in place before the order is sent. It is not forced to the disk: a process that dies leaves it
to the system, which writes it; only a machine that loses its power within seconds can forget it, and then one order for one
share rests in a book where nobody trades. Forcing it would make the core's log wait for the probe every round.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from engine.config import VenueError

LENGTH = 36
"""The longest client_order_id."""
_ID = re.compile(r"[A-Za-z0-9._\-]{1,36}")


class Note:
    """Raises VenueError when the file cannot be used; `path` None keeps nothing."""

    def __init__(self, path: Path | None) -> None:
        self._fd = -1
        if path is None:
            return
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise VenueError(f"the probe's note {path} cannot be used: {error.strerror}", hint="check the folder's owner") from error

    def read(self) -> str:
        """The id noted last; "" when there is none."""
        if self._fd < 0:
            return ""
        try:
            text = os.pread(self._fd, LENGTH + 1, 0).decode("ascii", errors="replace").strip()
        except OSError:
            return ""
        return text if _ID.fullmatch(text) else ""

    def write(self, client_order_id: str) -> None:
        """Raises OSError: then nothing may be sent under that id."""
        if self._fd >= 0:
            os.pwrite(self._fd, f"{client_order_id:<{LENGTH}}\n".encode(), 0)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
