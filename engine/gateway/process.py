"""`exchange gateway`: puts the parts together, serves, and on SIGTERM leaves without dropping a request.

Order of leaving: readiness goes first, and NOTICE_S pass so that the splitter sees it; then the listening sockets; then requests in
flight, within DRAIN_BOUND_S; then sessions and idle connections; the core link last.
"""

from __future__ import annotations

import asyncio
import resource
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from aiohttp import web

from engine import COMMIT, __version__
from engine.config import VenueError, load_instruments
from engine.gateway.binary import MAX_SESSIONS, SessionServer
from engine.gateway.feed import FeedWatch
from engine.gateway.http import RestApi
from engine.gateway.keywatch import KeyWatch
from engine.gateway.link import CoreLink
from engine.gateway.metrics import GatewayMetrics
from engine.gateway.model import listings
from engine.gateway.server import MAX_CONNECTIONS
from engine.gateway.service import OrderService
from engine.gateway.state import MAX_REQUESTS, GatewayState
from engine.instruments import instruments_digest
from engine.keys import KeyRing, load_keys
from engine.linkkey import load_link_key
from engine.logs import JsonLog

DRAIN_BOUND_S = 5.0
NOTICE_S = 0.5
"""Between "not ready" and the end of listening: two of the splitter's health checks, so that it never meets a closed port."""
BACKLOG = 128
MAX_FILES = 8192
OTHER_FILES = 128
"""Open files that are neither HTTP connections nor sessions: listeners, the link, the keys file, the interpreter's own."""


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """Ports: 0 takes a free one (the log's `gateway.listening` names it)."""

    name: str
    core_host: str
    core_port: int
    keys_path: Path
    instruments_path: Path
    host: str = "127.0.0.1"
    http_port: int = 0
    binary_port: int = 0
    max_requests: int = MAX_REQUESTS
    link_key_path: Path | None = None
    max_connections: int = MAX_CONNECTIONS
    notice_s: float = NOTICE_S


def run_gateway(settings: GatewaySettings) -> int:
    """Blocks until SIGTERM or SIGINT. Returns the exit code. Raises VenueError for a bad file or a taken port."""
    log = JsonLog(process="gateway", gateway=settings.name)
    connections = connections_within(raise_file_limit())
    if connections < settings.max_connections:
        log.warning("gateway.few_files", max_connections=connections)
        settings = replace(settings, max_connections=connections)
    return asyncio.run(_serve(settings, log))


def raise_file_limit() -> int:
    """Open files that this process may have from now on: MAX_FILES where the hard limit lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MAX_FILES
    wanted = MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)


def connections_within(files: int) -> int:
    """HTTP connections that `files` open files leave room for; a quarter of them where sessions would take all."""
    return min(MAX_CONNECTIONS, max(files - MAX_SESSIONS - OTHER_FILES, files // 4))


async def _serve(settings: GatewaySettings, log: JsonLog) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    gateway = Gateway(settings, log)
    try:
        await gateway.start()
        await stop.wait()
    finally:
        await gateway.stop()
    return 0


class Gateway:
    """One gateway in this event loop; tests use it without a process of its own. Raises VenueError from the constructor."""

    def __init__(self, settings: GatewaySettings, log: JsonLog, *, pause: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        self._settings, self._log, self._pause = settings, log, pause
        instruments = load_instruments(settings.instruments_path)
        market = listings(instruments)
        self._watch = KeyWatch(settings.keys_path, self._replace_keys, log)  # before load_keys, see there
        keys = load_keys(settings.keys_path)
        self.link = CoreLink(
            settings.core_host, settings.core_port, settings.name, log, instruments_digest=instruments_digest(instruments),
            link_key=load_link_key(settings.link_key_path, of_running_core=True),
        )  # fmt: skip
        self.state = GatewayState(settings.name, self.link, keys, max_requests=settings.max_requests)
        self.metrics = GatewayMetrics(self.link)
        self.feed = FeedWatch(self.link, self.metrics.market_data_age.observe, log)
        self.service = service = OrderService(self.link, self.metrics)
        self.rest = RestApi(self.state, service, self.metrics, market, log)
        self.http = self.rest.server(settings.max_connections)
        self._runner = web.ServerRunner(self.http, shutdown_timeout=DRAIN_BOUND_S)
        self.sessions = SessionServer(self.state, service, self.metrics, tuple(market.values()), log)
        self._watching: asyncio.Task[None] | None = None
        self._measuring: asyncio.Task[None] | None = None
        self._site: web.TCPSite | None = None
        self.http_port = 0
        self.binary_port = 0

    async def start(self) -> None:
        settings = self._settings
        await self._runner.setup()
        self._site = web.TCPSite(self._runner, settings.host, settings.http_port, backlog=BACKLOG)
        try:
            await self._site.start()
            self.binary_port = await self.sessions.listen(settings.host, settings.binary_port)
        except (OSError, UnicodeError) as error:  # UnicodeError: no name that a resolver could be asked for
            why = getattr(error, "strerror", None) or error
            raise VenueError(f"cannot listen on {settings.host}: {why}", hint="another process may hold the port") from error
        self.http_port = self._runner.addresses[0][1]
        self.link.connect()
        self._measuring = asyncio.create_task(self.feed.run())
        self._watching = asyncio.create_task(self._watch.run())
        self._log.info(
            "gateway.listening", http_port=self.http_port, binary_port=self.binary_port, version=__version__, commit=COMMIT
        )  # fmt: skip

    async def stop(self) -> None:
        """Idempotent; bounded by the notice, DRAIN_BOUND_S and a little."""
        if self.state.draining:
            return
        self.state.draining = True
        self._log.info("gateway.draining", in_flight=self.link.queue_depth)
        if self._watching is not None:
            self._watching.cancel()
            await self._pause(self._settings.notice_s)
        self.sessions.stop_listening()
        if self._site is not None:
            await self._site.stop()
        try:
            async with asyncio.timeout(DRAIN_BOUND_S):
                await self.state.idle()
        except TimeoutError:
            self._log.warning("gateway.drain_bound", in_flight=self.link.queue_depth)
        self.sessions.close_sessions()
        await self._runner.cleanup()
        if self._measuring is not None:
            self._measuring.cancel()
        await self.link.close()
        self._log.info("gateway.stopped")

    def _replace_keys(self, ring: KeyRing) -> None:
        self.state.replace_keys(ring)
        self.sessions.close_revoked()
