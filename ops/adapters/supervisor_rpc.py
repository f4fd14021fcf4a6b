"""supervisord's XML-RPC over its unix socket, every call bounded."""

from __future__ import annotations

import http.client
import socket
import xmlrpc.client
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

from ops.errors import ClusterUnavailable

RPC_TIMEOUT_S = 2.0
BAD_NAME, NOT_RUNNING, ALREADY_STARTED, SPAWN_ERROR, STILL_RUNNING = 10, 70, 60, 50, 91
"""Fault codes of supervisor.xmlrpc.Faults that callers act on."""


class Fault(Exception):
    """supervisord understood and said no."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class SupervisorRpc:
    """`call("getState")` is `supervisor.getState`. Raises Fault, or ClusterUnavailable when nobody answers within 2 s."""

    def __init__(self, path: Path, timeout_s: float = RPC_TIMEOUT_S) -> None:
        self._path, self._timeout_s = path, timeout_s

    def call(self, method: str, *arguments: object) -> Any:
        proxy = xmlrpc.client.ServerProxy("http://supervisor/RPC2", transport=_UnixTransport(self._path, self._timeout_s))
        try:
            with proxy:
                return getattr(proxy.supervisor, method)(*arguments)
        except xmlrpc.client.Fault as error:
            raise Fault(error.faultCode, error.faultString) from error
        except (OSError, http.client.HTTPException, xmlrpc.client.Error, ExpatError, ValueError) as error:
            reason = f"the supervisor does not answer at {self._path}: {error or type(error).__name__}"
            raise ClusterUnavailable(reason, hint="see `opsctl status`; `opsctl up` starts what is down") from error


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("supervisor", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__()
        self._unix = (path, timeout_s)

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = _UnixConnection(*self._unix)
        self._connection = host, connection  # what `close` closes, a failed connect included
        return connection
