"""What the gateway's parts share: its name, the current keys, the in-flight bound, and whether it is ready or draining."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from engine import COMMIT, __version__
from engine.gateway.link import CoreLink
from engine.gateway.ratelimit import RateLimits
from engine.keys import KeyRing

MAX_REQUESTS = 1024
"""Requests being worked on at once; past it a caller gets 429 rather than a place in an endless queue."""
MAX_BODIES_PER_KEY = 64
"""HTTP requests of one key whose bodies are still on their way. They hold no place among MAX_REQUESTS: a slow member delays itself only."""


class GatewayState:
    def __init__(
        self, name: str, link: CoreLink, keys: KeyRing, *, max_requests: int = MAX_REQUESTS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = name
        self.keys = keys
        self.limits = RateLimits()
        self.clock = clock
        self.draining = False
        self._link = link
        self._max_requests = max_requests
        self._requests = 0
        self._bodies: dict[str, int] = {}
        self._idle = asyncio.Event()
        self._idle.set()

    def replace_keys(self, keys: KeyRing) -> None:
        self.keys = keys
        self.limits.forget(keep={entry.id for entry in keys.entries})

    def enter(self) -> bool:
        """Take a place for one request; False when there is none. Each True is paid back with leave()."""
        if self._requests >= self._max_requests:
            return False
        self._requests += 1
        self._idle.clear()
        return True

    def leave(self) -> None:
        self._requests -= 1
        self._settle()

    def expect_body(self, key_id: str) -> bool:
        """Count a body that must be waited for; False when the key has too many. Each True is paid back with body_done()."""
        waiting = self._bodies.get(key_id, 0)
        if waiting >= MAX_BODIES_PER_KEY:
            return False
        self._bodies[key_id] = waiting + 1
        self._idle.clear()
        return True

    def body_done(self, key_id: str) -> None:
        self._bodies[key_id] -= 1
        if not self._bodies[key_id]:
            del self._bodies[key_id]
        self._settle()

    @property
    def bodies_awaited(self) -> int:
        return sum(self._bodies.values())

    def _settle(self) -> None:
        if not self._requests and not self._bodies:
            self._idle.set()

    async def idle(self) -> None:
        """Returns when no request is in flight and no body is on its way."""
        while self._requests or self._bodies:
            await self._idle.wait()

    def health(self) -> tuple[int, dict[str, object]]:
        return 200, {"status": "ok", **self._identity()}

    def readiness(self) -> tuple[int, dict[str, object]]:
        """Ready means: an order sent now would reach a core."""
        if self.draining:
            return 503, {"status": "draining", **self._identity()}
        if not self._link.is_up:
            return 503, {"status": "core_unavailable", **self._identity()}
        return 200, {"status": "ready", "epoch": self._link.epoch, **self._identity()}

    def _identity(self) -> dict[str, object]:
        return {"version": __version__, "commit": COMMIT, "gateway": self.name}
