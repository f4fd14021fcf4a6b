"""The core's admin pages, on loopback only: /metrics, /healthz, /readyz. They read counters and change nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import StrEnum

from aiohttp import web
from prometheus_client import generate_latest

from engine import COMMIT, __version__, conventions
from engine.core.metrics import PartitionStats, Stats, registry
from engine.core.snapshotter import SnapshotFigures

EXPOSITION = "text/plain; version=1.0.0; charset=utf-8"


class Phase(StrEnum):
    STARTING = "starting"
    RECOVERING = "recovering"
    SERVING = "serving"
    STOPPING = "stopping"


class CoreAdmin:
    """`phase` is set by the process as it moves on; readiness follows from it and from the log's health."""

    def __init__(
        self,
        stats: Stats,
        *,
        shows_durable: bool = True,
        partitions: PartitionStats = tuple,
        snapshots: SnapshotFigures | None = None,
    ) -> None:
        self.phase = Phase.STARTING
        self._stats = stats
        self._registry = registry(stats, shows_durable=shows_durable, partitions=partitions, snapshots=snapshots)

    def app(self) -> web.Application:
        app = web.Application(middlewares=[_headers])
        app.router.add_get(conventions.PATH_METRICS, self._metrics)
        app.router.add_get(conventions.PATH_HEALTH, self._health)
        app.router.add_get(conventions.PATH_READY, self._ready)
        return app

    def readiness(self) -> tuple[int, dict[str, object]]:
        stats = self._stats()
        healthy = bool(stats["log_healthy"])
        ready = self.phase is Phase.SERVING and healthy
        status = "ready" if ready else ("log_unavailable" if self.phase is Phase.SERVING else str(self.phase))
        body = {"status": status, "version": __version__, "epoch": stats["epoch"], "seq_num": stats["seq_num"], "links": stats["links"]}
        return (200 if ready else 503), body

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": EXPOSITION})

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok", "version": __version__, "commit": COMMIT, "phase": str(self.phase)})

    async def _ready(self, _: web.Request) -> web.Response:
        status, body = self.readiness()
        return web.json_response(body, status=status)


@web.middleware
async def _headers(request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
    response = await handler(request)
    response.headers[conventions.HEADER_VERSION] = __version__
    return response
