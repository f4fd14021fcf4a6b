"""A Prometheus that lies on request: passes questions on to the real one, and spoils the answer as `mode` says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.error import HTTPError
from urllib.parse import unquote
from urllib.request import urlopen

OLD_S = 600
ASK_LIMIT_S = 5
Rows = list[dict[str, Any]]


def _each(change: Callable[[str], str]) -> Callable[[Rows, str], Rows]:
    def spoil(rows: Rows, _query: str) -> Rows:
        return [{**row, "value": [row["value"][0], change(row["value"][1])]} for row in rows]

    return spoil


def _no_errors(rows: Rows, _query: str) -> Rows:
    """Not one wrong answer anywhere."""
    return [row for row in rows if not row["metric"].get("code", "").startswith("5")]


def _stale(rows: Rows, query: str) -> Rows:
    """Figures of ten minutes ago, told as of now."""
    return _each(lambda value: str(float(value) - OLD_S))(rows, query) if "timestamp(" in query else rows


def _other_instant(rows: Rows, _query: str) -> Rows:
    return [{**row, "value": [row["value"][0] - OLD_S, row["value"][1]]} for row in rows]


FIGURES: dict[str, Callable[[Rows, str], Rows]] = {
    "nan": _each(lambda _: "NaN"),
    "+inf": _each(lambda _: "+Inf"),
    "nothing": lambda _rows, _query: [],
    "zero errors": _no_errors,
    "all zero": _each(lambda _: "0"),
    "stale": _stale,
    "other instant": _other_instant,
    "negative": _each(lambda value: str(-1.0 - float(value))),
    "twice": lambda rows, _query: [*rows, *rows],
    "no numbers": _each(lambda _: "many"),
}
"""Whole answers with wrong figures in them."""
BROKEN = ("html", "503", "cut", "hang", "drip")
"""Answers that are none."""
LIES = (*FIGURES, *BROKEN)


class LyingPrometheus:
    """Serves on a free port of the loopback. `asked` counts questions in the present mode."""

    def __init__(self, truth: str) -> None:
        self.truth, self.asked = truth, 0
        self._mode = ""
        self.ended = threading.Event()
        lying = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                lying.answer(self)

            def log_message(self, format: str, *arguments: object) -> None:
                del format, arguments

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def mode(self) -> str:
        """ "" tells the truth."""
        return self._mode

    @mode.setter
    def mode(self, mode: str) -> None:
        assert mode in ("", *LIES), mode
        self._mode, self.asked = mode, 0

    def close(self) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked += 1
        mode = self._mode
        try:
            if mode == "hang":
                self.ended.wait()
            elif mode == "html":
                send(request, 200, b"<html><body>Please log on</body></html>", "text/html")
            elif mode == "503":
                send(request, 503, b'{"status":"error","errorType":"unavailable","error":"starting"}')
            else:
                self._figures(request, mode)
        except OSError:
            return  # whoever asked is gone

    def _figures(self, request: BaseHTTPRequestHandler, mode: str) -> None:
        status, body = fetch(self.truth + request.path)
        if mode in FIGURES:
            data = json.loads(body)
            assert data["data"]["resultType"] == "vector", data
            data["data"]["result"] = FIGURES[mode](data["data"]["result"], unquote(request.path))
            body = json.dumps(data).encode()
        if mode in ("cut", "drip"):
            self._part(request, body, mode)
            return
        send(request, status, body)

    def _part(self, request: BaseHTTPRequestHandler, body: bytes, mode: str) -> None:
        """The head and half of the body; then the end, or one byte now and then."""
        half = len(body) // 2
        request.send_response(200)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body[:half])
        for place in range(half, len(body) if mode == "drip" else half):
            if self.ended.wait(0.3):
                return
            request.wfile.write(body[place : place + 1])
            request.wfile.flush()
        request.close_connection = True


def fetch(url: str) -> tuple[int, bytes]:
    try:
        with urlopen(url, timeout=ASK_LIMIT_S) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        return error.code, error.read()


def send(request: BaseHTTPRequestHandler, status: int, body: bytes, kind: str = "application/json") -> None:
    request.send_response(status)
    request.send_header("Content-Type", kind)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


@contextmanager
def lying_prometheus(truth: str) -> Iterator[LyingPrometheus]:
    lying = LyingPrometheus(truth)
    try:
        yield lying
    finally:
        lying.close()
