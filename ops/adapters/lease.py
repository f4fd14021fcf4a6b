"""The lease on the canary's weight, and the lock of the one release: both on the local disk of the machine.

The lease's time is the monotonic clock of the boot whose id it carries: a set wall clock cannot stretch it, and a reboot ends it.
A renewal after the end is refused, whoever asks: the holder must then not raise any weight again, because the guardian may have acted.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ops.errors import Refused, Unavailable
from ops.ports import Clock, LeaseState

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    return _BOOT_ID.read_text(encoding="ascii").strip() if _BOOT_ID.exists() else "unknown"


_FIELDS: dict[str, Callable[[Any], Any]] = {"stream": str, "token": int, "ends_s": float, "boot": str, "pid": int, "held": bool}


@contextmanager
def _disk(what: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"{what} {path} cannot be used: {error.strerror}", hint="check the disk and the folder's owner") from error


class FileLease:
    """Implements ops.ports.Lease with one small file, replaced atomically under a file lock held for microseconds."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path, self._clock = path, clock

    def take(self, stream: str, ttl_s: float) -> int:
        def taken(old: dict[str, Any]) -> dict[str, Any]:
            return {
                "stream": stream,
                "token": int(old.get("token", 0)) + 1,
                "ends_s": self._clock.monotonic_s() + ttl_s,
                "boot": boot_id(),
                "pid": os.getpid(),
                "held": True,
            }

        return int(self._change(taken)["token"])

    def renew(self, token: int, ttl_s: float) -> bool:
        def renewed(old: dict[str, Any]) -> dict[str, Any]:
            return {**old, "ends_s": self._clock.monotonic_s() + ttl_s} if self._ours(old, token) else old

        new = self._change(renewed)
        return self._ours(new, token)

    def release(self, token: int) -> None:
        self._change(lambda old: {**old, "held": False} if old.get("token") == token else old)

    def current(self) -> LeaseState | None:
        old = self._read()
        if not old.get("held") or old.get("boot") != boot_id():
            return None
        return LeaseState(str(old["stream"]), int(old["token"]), float(old["ends_s"]) - self._clock.monotonic_s(), int(old["pid"]))

    def _ours(self, old: dict[str, Any], token: int) -> bool:
        live = old.get("held") and old.get("boot") == boot_id() and old.get("token") == token
        return bool(live) and float(old["ends_s"]) > self._clock.monotonic_s()

    def _read(self) -> dict[str, Any]:
        """What the file says; nothing, unless it is whole: the guardian must not stumble over it, and no lease is the safe reading."""
        try:
            loaded = json.loads(self._path.read_text(encoding="utf-8"))
            whole = {name: kind(loaded[name]) for name, kind in _FIELDS.items()}
        except (OSError, ValueError, TypeError, KeyError, OverflowError):
            return {}
        return whole if math.isfinite(whole["ends_s"]) else {}

    def _change(self, change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
        with _disk("the lease", self._path), Path(f"{self._path}.lock").open("a", encoding="utf-8") as guard:
            self._lock_bounded(guard.fileno())
            old = self._read()
            new = change(old)
            if new is not old:
                temporary = Path(f"{self._path}.new")
                temporary.write_text(json.dumps(new), encoding="utf-8")
                temporary.replace(self._path)
            return new

    def _lock_bounded(self, fd: int) -> None:
        for _ in range(100):
            if _try_lock(fd):
                return
            self._clock.sleep(0.01)
        raise Unavailable("the lease of the canary's weight is locked by a process that does not go on", hint="see `opsctl status`")


class FileLock:
    """Implements ops.ports.Lock: the kernel drops it when the process ends, however it ends."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path, self._clock = path, clock
        self._fd: int | None = None

    def acquire(self, owner: str) -> None:
        with _disk("the lock", self._path):
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        for _ in range(5):  # `held` of another command takes the lock for microseconds
            if _try_lock(fd):
                self._fd = fd
                with suppress(OSError):  # a full disk: the lock holds without its owner's name
                    os.ftruncate(fd, 0)
                    os.pwrite(fd, f"{owner} (pid {os.getpid()})".encode(), 0)
                return
            self._clock.sleep(0.05)
        present = os.pread(fd, 200, 0).decode(errors="replace")
        os.close(fd)
        hint = "wait for it, look with `opsctl status`, or end it with `opsctl rollback`"
        raise Refused(f"another release is under way: {present}", hint=hint)

    def release(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def held(self) -> bool:
        if self._fd is not None:
            return True
        with _disk("the lock", self._path):
            try:
                fd = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                return False
        try:
            return not _try_lock(fd)
        finally:
            os.close(fd)


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
