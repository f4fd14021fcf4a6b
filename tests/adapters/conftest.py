"""Waiting without sleeping, and servers on free ports that end with the test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

WAIT_S = 60.0


def eventually(look: Callable[[], Any], what: str) -> Any:
    """The first truthy answer of `look`. Bounded, so that a broken product fails instead of hanging."""
    tick = threading.Event()
    for _ in range(int(WAIT_S / 0.05)):
        if found := look():
            return found
        tick.wait(0.05)
    raise AssertionError(f"not within {WAIT_S:.0f} s: {what}")


@pytest.fixture(name="eventually")
def _eventually() -> Callable[..., Any]:
    return eventually


class Quiet(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gave up is no news."""


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[BaseHTTPRequestHandler], None]], str]]:
    """`serve(answer)` starts a server of GETs on a free port and returns its URL."""
    servers: list[tuple[Quiet, threading.Thread]] = []

    def start(answer: Callable[[BaseHTTPRequestHandler], None]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer(self)

            def log_message(self, *_args: Any) -> None:
                """Tests print nothing."""

        server = Quiet(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join(WAIT_S)
        server.server_close()
