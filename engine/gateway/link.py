"""The gateway's end of the framed link to the core: pipelined requests, matched to their replies by request_id.

What must hold:
- a request that may have reached the core and has no reply is an OutcomeUnknown, never a refusal: the order may be live.
  The member asks again with the same client_order_id and the core answers with the order it has;
- request ids are never reused over the life of the process, so a late reply cannot answer someone else's request;
- a welcome of an older epoch is refused: it comes from a core that was replaced;
- a welcome with another instrument list is refused: indexes and ticks would mean other orders;
- a core that stays silent for the whole bound is taken for dead: the link is dropped and made anew;
- everything is bounded: requests in flight, the handshake, each wait, the pause between attempts.

A request that ran out of time stays known as a zombie until its reply comes, or a new welcome shows that none will. So do
orders that a lost link left without a reply, once they are past the bound.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine._core import FrameDecoder, LinkError, encode_hello
from engine.conventions import COMPLETION_BOUND_S
from engine.logs import JsonLog

HANDSHAKE_TIMEOUT_S = 2.0
CONNECT_TIMEOUT_S = 2.0
BACKOFF_FIRST_S, BACKOFF_MAX_S = 0.05, 1.0
SWEEP_INTERVAL_S = 0.1
MAX_IN_FLIGHT = 2048

Frame = tuple[Any, ...]


class LinkDown(Exception):
    """The request was not sent: no core has welcomed this gateway."""


class LinkBusy(Exception):
    """The request was not sent: too many are in flight."""


class OutcomeUnknown(Exception):
    """The request was sent, and the link broke or the bound passed before a reply came."""


@dataclass(slots=True)
class _Pending:
    future: asyncio.Future[Frame]
    started_s: float
    is_order: bool
    is_ask: bool


class CoreLink:
    """`connect()` once, `request()` many times, `close()` once; all on one event loop."""

    def __init__(
        self,
        host: str,
        port: int,
        name: str,
        log: JsonLog,
        *,
        instruments_digest: int,
        link_key: str = "",
        timeout_s: float = COMPLETION_BOUND_S,
        max_in_flight: int = MAX_IN_FLIGHT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._host, self._port, self._name, self._log = host, port, name, log
        self._instruments_digest, self._link_key = instruments_digest, link_key
        self._timeout_s, self._max_in_flight, self._clock = timeout_s, max_in_flight, clock
        self._wire: _Wire | None = None
        self._pending: dict[int, _Pending] = {}
        self._asks = 0
        """How many of `_pending` are the gateway's own. No member waits for them, and they take no member's place."""
        self._zombies: dict[int, bool] = {}
        self._unanswered_s: list[float] = []
        """When the orders were sent that the last lost link left without a reply. Counts only until the next welcome."""
        self._next_id = 1
        self._epoch = 0
        self._last_heard_s = clock()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def is_up(self) -> bool:
        return self._wire is not None

    @property
    def epoch(self) -> int:
        """The newest epoch that welcomed this gateway; 0 before the first."""
        return self._epoch

    @property
    def queue_depth(self) -> int:
        """Members' requests only."""
        return len(self._pending) - self._asks

    @property
    def zombie_orders(self) -> int:
        limit_s = self._clock() - self._timeout_s
        unanswered = sum(started_s <= limit_s for started_s in self._unanswered_s) if self._wire is None else 0
        return sum(self._zombies.values()) + unanswered

    def connect(self) -> None:
        """Start connecting and reconnecting in the background."""
        assert not self._tasks, "connect() is called once"
        self._tasks = [asyncio.create_task(self._stay_connected()), asyncio.create_task(self._sweep())]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._wire is not None:
            self._wire.abort()
        self._wire = None
        self._fail_pending()

    def request(self, encode: Callable[[int], bytes], *, is_order: bool = False, is_ask: bool = False) -> asyncio.Future[Frame]:
        """Send what `encode(request_id)` returns; the future holds the reply's frame, or raises OutcomeUnknown.

        Raises LinkDown or LinkBusy when nothing was sent. `is_ask`: the gateway's own; the caller bounds how many there are.
        """
        wire = self._wire
        if wire is None:
            raise LinkDown
        if not is_ask and self.queue_depth + len(self._zombies) >= self._max_in_flight:
            raise LinkBusy
        request_id = self._next_id
        frame = encode(request_id)
        self._next_id += 1
        future: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._asks += is_ask
        self._pending[request_id] = _Pending(future, self._clock(), is_order, is_ask)
        wire.send(frame)
        return future

    async def _stay_connected(self) -> None:
        pause_s = BACKOFF_FIRST_S
        while True:
            try:
                lost = await self._connect_once()
                pause_s = BACKOFF_FIRST_S
                await lost
            except (OSError, TimeoutError, LinkError) as error:
                self._log.warning("link.failed", core=f"{self._host}:{self._port}", reason=str(error) or type(error).__name__)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, BACKOFF_MAX_S)

    async def _connect_once(self) -> asyncio.Future[None]:
        """Connect and shake hands. Returns a future that is done when the link is lost."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, wire = await loop.create_connection(lambda: _Wire(self, loop), self._host, self._port)
        try:
            wire.send(encode_hello(self._name, self._epoch, self._link_key))
            async with asyncio.timeout(HANDSHAKE_TIMEOUT_S):
                epoch, last_seq_num, instruments_digest = await wire.welcome
            if epoch < self._epoch:
                raise LinkError(f"the core has epoch {epoch}, older than {self._epoch}: it was replaced, stop it")
            if instruments_digest != self._instruments_digest:
                raise LinkError("the core trades another instrument list; start this gateway with the core's file")
            if wire.lost.done():
                raise LinkError("the core closed the link after its welcome")
        except BaseException:
            wire.abort()
            raise
        self._epoch, self._wire, self._last_heard_s = epoch, wire, self._clock()
        self._zombies.clear()
        self._log.info("link.up", core=f"{self._host}:{self._port}", epoch=epoch, last_seq_num=last_seq_num)
        return wire.lost

    def on_frame(self, frame: Frame) -> None:
        """A reply or a depth answer; both carry the request_id second."""
        self._last_heard_s = self._clock()
        pending = self._pending.pop(frame[1], None)
        if pending is None:
            self._zombies.pop(frame[1], None)
            return
        self._asks -= pending.is_ask
        if not pending.future.done():
            pending.future.set_result(frame)

    def on_lost(self, wire: _Wire) -> None:
        if wire is self._wire:
            self._log.warning("link.lost", in_flight=len(self._pending))
            self._wire = None
            self._unanswered_s = [entry.started_s for entry in self._pending.values() if entry.is_order]
            self._fail_pending()

    def _fail_pending(self) -> None:
        pending, self._pending, self._asks = self._pending, {}, 0
        for entry in pending.values():
            if not entry.future.done():
                entry.future.set_exception(OutcomeUnknown())

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_INTERVAL_S)
            self.expire(self._clock())

    def expire(self, now_s: float) -> None:
        """Give up on requests past the bound, oldest first; they stay counted until their reply comes."""
        limit_s = now_s - self._timeout_s
        late = []
        for request_id, entry in self._pending.items():
            if entry.started_s > limit_s:
                break
            late.append(request_id)
        for request_id in late:
            entry = self._pending.pop(request_id)
            self._asks -= entry.is_ask
            if not entry.is_ask:
                self._zombies[request_id] = entry.is_order
            if not entry.future.done():
                entry.future.set_exception(OutcomeUnknown())
        if late and self._last_heard_s <= limit_s and self._wire is not None:
            self._log.error("link.silent", seconds=round(now_s - self._last_heard_s, 1))
            self._wire.abort()


class _Wire(asyncio.Protocol):
    """One TCP connection: bytes to frames, and the handshake."""

    def __init__(self, link: CoreLink, loop: asyncio.AbstractEventLoop) -> None:
        self._link = link
        self._decoder = FrameDecoder()
        self._transport: asyncio.Transport | None = None
        self.welcome: asyncio.Future[tuple[int, int, int]] = loop.create_future()
        self.lost: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def send(self, frame: bytes) -> None:
        if self._transport is not None:
            self._transport.write(frame)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._decoder.feed(data):
                self._take(frame)
        except LinkError as error:
            if not self.welcome.done():
                self.welcome.set_exception(error)
            self.abort()

    def _take(self, frame: Frame) -> None:
        if frame[0] in ("reply", "depth"):
            self._link.on_frame(frame)
        elif frame[0] == "welcome" and not self.welcome.done():
            self.welcome.set_result((frame[1], frame[2], frame[3]))
        else:
            raise LinkError(f"the core sent an unexpected frame: {frame[0]}")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if not self.welcome.done():
            self.welcome.set_exception(LinkError("the core closed the link during the handshake: it may have another --link-key"))
            self.welcome.exception()  # marks it as seen: the waiter may be gone already
        if not self.lost.done():
            self.lost.set_result(None)
        self._link.on_lost(self)
