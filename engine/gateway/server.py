"""aiohttp's low-level server with this gateway's limits, and with its own answer to bytes that are no HTTP request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from engine.gateway.model import Refusal
from engine.gateway.parse import MAX_BODY_BYTES

BODY_TIMEOUT_S = 5.0
KEEPALIVE_TIMEOUT_S = 75.0
"""An idle connection, or one that never sends a whole request head, is closed after this."""
MAX_CONNECTIONS = 4096

Malformed = Callable[[int], web.Response]


class GatewayServer(web.Server):
    def __init__(
        self,
        handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        on_malformed: Malformed,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        super().__init__(
            handler,
            request_factory=_request,
            keepalive_timeout=KEEPALIVE_TIMEOUT_S,
            access_log=None,
            auto_decompress=False,
            lingering_time=1.0,
        )
        self._on_malformed = on_malformed
        self.max_connections = max_connections

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """Past the bound a connection is dropped at once: the splitter tries another gateway."""
        super().connection_made(handler, transport)
        if len(self._connections) > self.max_connections:
            transport.abort()

    def __call__(self) -> RequestHandler:
        return _Connection(self, self._on_malformed, loop=self._loop, **self._kwargs)


class _Connection(RequestHandler):
    __slots__ = ("_on_malformed",)

    def __init__(self, manager: web.Server, on_malformed: Malformed, **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        self._on_malformed = on_malformed

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,  # noqa: ARG002 - aiohttp's signature
        message: str | None = None,  # noqa: ARG002
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is on its way already")
        return self._on_malformed(status)


def _request(message: Any, payload: Any, protocol: RequestHandler, writer: Any, task: asyncio.Task[None]) -> web.BaseRequest:
    return web.BaseRequest(message, payload, protocol, writer, task, asyncio.get_running_loop(), client_max_size=MAX_BODY_BYTES)


async def read_body(request: web.BaseRequest) -> bytes | Refusal:
    """The whole body, within its size and its time."""
    if (request.content_length or 0) > MAX_BODY_BYTES:
        return Refusal("body_too_large", f"at most {MAX_BODY_BYTES} bytes")
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await request.read()
    except web.HTTPRequestEntityTooLarge:
        return Refusal("body_too_large", f"at most {MAX_BODY_BYTES} bytes")
    except TimeoutError:
        return Refusal("request_timeout", f"the body did not arrive within {BODY_TIMEOUT_S:.0f} seconds")
    except (web.RequestPayloadError, ConnectionError):
        return Refusal("bad_request", "the body is cut off or badly encoded")
