"""The machine itself: its ports, its processes as /proc shows them, local HTTP answers, ends of files, durable small files."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from ops.errors import Unavailable, UsageError
from ops.ports import Clock

_PROC = Path("/proc")
_BODY_MAX = 1_000_000
_LISTEN = "0A"
_SBIN = (Path("/usr/sbin"), Path("/usr/local/sbin"))
"""Where HAProxy lies on Debian, often outside a person's PATH."""
FOLLOW_POLL_S = 0.2


class LocalHost:
    """Implements ops.venue.model.Host."""

    def port_free(self, port: int) -> bool:
        """Whether a server could listen on 127.0.0.1:port now."""
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                probe.listen(1)
            except OSError:
                return False
        return True

    def port_user(self, port: int) -> str:
        inodes = {f"socket:[{inode}]" for table in ("tcp", "tcp6") for inode in _listeners(table, port)}
        for pid in _pids():
            if inodes & _open_files(pid):
                return f"{_program(pid)} (pid {pid})"
        return ""

    def answer(self, port: int, path: str, timeout_s: float) -> tuple[int, Mapping[str, str], bytes] | None:
        return http_get(port, path, timeout_s)

    def tail(self, file: Path, lines: int) -> tuple[str, ...]:
        return tail(file, lines)


def http_get(port: int, path: str, timeout_s: float) -> tuple[int, Mapping[str, str], bytes] | None:
    """GET from 127.0.0.1; None for no answer, a broken one, or one larger than 1 MB."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        response = connection.getresponse()
        body = response.read(_BODY_MAX + 1)
        if len(body) > _BODY_MAX:
            return None
        return response.status, {name.lower(): value for name, value in response.getheaders()}, body
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def tail(file: Path, lines: int) -> tuple[str, ...]:
    """The last lines, from at most the last 256 kB."""
    try:
        with file.open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - 262_144))
            text = stream.read().decode("utf-8", errors="replace")
    except OSError:
        return ()
    return tuple(text.splitlines()[-lines:]) if lines > 0 else ()


def follow_file(file: Path, lines: int, clock: Clock) -> Iterator[str]:
    """The last lines, then each whole line as it is added; goes on in the new file when the log is rotated. Never ends by itself."""
    yield from tail(file, lines)
    place, inode, part = _size(file), _inode(file), ""
    while True:
        if _inode(file) != inode or _size(file) < place:
            place, inode = 0, _inode(file)
        added, place = _read_from(file, place)
        *whole, part = (part + added).split("\n")
        yield from whole
        clock.sleep(FOLLOW_POLL_S)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _inode(file: Path) -> int:
    return file.stat().st_ino if file.exists() else 0


def _read_from(file: Path, place: int) -> tuple[str, int]:
    try:
        with file.open("rb") as stream:
            stream.seek(place)
            data = stream.read(1_000_000)
    except OSError:
        return "", place
    return data.decode("utf-8", errors="replace"), place + len(data)


def replace_file(path: Path, text: str, mode: int = 0o600) -> None:
    """One atomic, durable replacement of a small file. Raises OSError."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def find_program(package: str, *names: str) -> Path:
    """Absolute path of the first of `names` that is installed. Raises UsageError naming the package to install."""
    folders = [Path(entry) for entry in os.environ.get("PATH", os.defpath).split(os.pathsep) if entry]
    for folder in (*folders, *_SBIN):
        for name in names:
            if os.access(folder / name, os.X_OK) and (folder / name).is_file():
                return (folder / name).absolute()
    raise UsageError(f"the program {names[0]} is not installed", hint=f"apt-get install {package}")


def own_program(name: str) -> Path:
    """The program of this installation that lies beside its Python. Raises UsageError when it is not there."""
    path = Path(sys.executable).parent / name
    if not os.access(path, os.X_OK):
        raise UsageError(f"the program {path} is not there", hint="install the product into this Python: pip install .")
    return path


def processes_marked(name: str, value: str) -> tuple[int, ...]:
    """Pids of this user's processes that were started with the environment variable `name` = `value`."""
    wanted = f"{name}={value}".encode()
    found = []
    for pid in _pids():
        try:
            environment = (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if wanted in environment and pid != os.getpid():
            found.append(pid)
    return tuple(found)


def command_line(pid: int) -> tuple[str, ...]:
    """Its arguments; none when it does not live (a zombie has none either)."""
    try:
        return tuple((_PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1])
    except OSError:
        return ()


def lives(pid: int) -> bool:
    """Whether it still holds files and ports: a zombie does not."""
    try:
        return (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0] not in "ZX"
    except (OSError, IndexError):
        return False


def end_processes(pids: tuple[int, ...], clock: Clock, grace_s: float) -> None:
    """SIGTERM, and SIGKILL for those that still live after `grace_s`. Returns when they are gone. Raises Unavailable."""
    for number, wait_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 5.0)):
        pids = tuple(pid for pid in pids if lives(pid))
        for pid in pids:
            _signal(pid, number)
        end_s = clock.monotonic_s() + wait_s
        while pids and clock.monotonic_s() < end_s:
            clock.sleep(0.02)
            pids = tuple(pid for pid in pids if lives(pid))
    if pids:
        raise Unavailable(f"processes {', '.join(map(str, pids))} do not end", hint="look at them with ps, then try again")


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise Unavailable(f"process {pid} belongs to another user", hint="use that user's account") from error


def _pids() -> tuple[int, ...]:
    try:
        return tuple(int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())
    except OSError:
        return ()


def _listeners(table: str, port: int) -> tuple[str, ...]:
    """Inodes of the sockets that listen on `port`."""
    try:
        rows = [line.split() for line in (_PROC / "net" / table).read_text(encoding="ascii").splitlines()[1:]]
    except OSError:
        return ()
    return tuple(row[9] for row in rows if row[3] == _LISTEN and int(row[1].rpartition(":")[2], 16) == port)


def _open_files(pid: int) -> set[str]:
    found = set()
    with suppress(OSError):
        for fd in (_PROC / str(pid) / "fd").iterdir():
            with suppress(OSError):  # closed since it was listed
                found.add(str(fd.readlink()))
    return found


def _program(pid: int) -> str:
    try:
        return (_PROC / str(pid) / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "a process"
