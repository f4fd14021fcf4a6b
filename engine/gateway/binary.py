"""Binary order entry: long-lived TCP sessions that speak the link's frames.

The first frame is a logon with a token, within LOGON_TIMEOUT_S; it is answered with a reply of reason NONE, or NOT_OWNER
and the end of the session. The gateway puts the key's firm over whatever the member's frames say, and maps request ids,
so that members need not agree on them. There is no 429 here: a session past its key's rate is read more slowly.

When a request's outcome is not known the session is closed without an answer: the member logs on again and repeats it
with the same cl_ord_id. Bounded: sessions, those that have not logged on, those of one key, requests in flight per session,
bytes before logon, the time that a closing session has to take its last answers. A member that does not read its answers is
not read either; one whose machine vanished is found by the kernel's keepalive.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import deque
from collections.abc import Callable

from engine import _core
from engine.gateway.link import Frame, LinkBusy, LinkDown, OutcomeUnknown
from engine.gateway.metrics import GatewayMetrics
from engine.gateway.model import Cancel, DepthQuery, Listing, Reduce
from engine.gateway.parse import CLIENT_ORDER_ID, DEPTH_MAX
from engine.gateway.service import OrderService
from engine.gateway.state import GatewayState
from engine.gateway.wire import encode_member_depth, encode_member_reply, encode_refusal
from engine.keys import KeyEntry, Permission
from engine.logs import JsonLog
from engine.types import RejectReason, Reply

LOGON_TIMEOUT_S = 5.0
LOGON_MAX_BYTES = 1024
CLOSE_TIMEOUT_S = 2.0
MAX_SESSIONS = 1024
MAX_BEFORE_LOGON = 128
"""Of MAX_SESSIONS: callers without a key can take no more places than these."""
MAX_SESSIONS_PER_KEY = 64
MAX_SESSION_IN_FLIGHT = 64
ORDER_FRAMES = ("new_order", "cancel", "reduce", "amend")
"""What needs the permission to trade. Any other frame but a depth request, an operator's command too, ends the session."""


class SessionServer:
    """The open sessions of one gateway."""

    def __init__(
        self,
        state: GatewayState,
        service: OrderService,
        metrics: GatewayMetrics,
        listings: tuple[Listing, ...],
        log: JsonLog,
        *,
        max_sessions: int = MAX_SESSIONS,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.state, self.service, self.metrics, self.listings, self.log, self.clock = state, service, metrics, listings, log, clock
        self.sessions: set[Session] = set()
        self._max_sessions = max_sessions
        self._server: asyncio.Server | None = None

    async def listen(self, host: str, port: int) -> int:
        """Returns the port. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Session(self), host, port, reuse_address=True)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    def stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()

    def close_sessions(self) -> None:
        for session in tuple(self.sessions):
            session.close("gateway stops")

    def close_revoked(self) -> None:
        """End the sessions whose key the keys file no longer has as it was."""
        known = set(self.state.keys.entries)
        for session in tuple(self.sessions):
            if session.key is not None and session.key not in known:
                session.close("key revoked")

    def opened(self, session: Session) -> bool:
        before_logon = sum(other.key is None for other in self.sessions)
        if len(self.sessions) >= self._max_sessions or before_logon >= MAX_BEFORE_LOGON or self.state.draining:
            return False
        self.sessions.add(session)
        self.metrics.sessions_open.set(len(self.sessions))
        return True

    def of_key(self, key: KeyEntry) -> int:
        """How many sessions the key has open."""
        return sum(session.key is not None and session.key.id == key.id for session in self.sessions)

    def closed(self, session: Session) -> None:
        self.sessions.discard(session)
        self.metrics.sessions_open.set(len(self.sessions))


class Session(asyncio.Protocol):
    def __init__(self, server: SessionServer) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._decoder = _core.FrameDecoder()
        self._transport: asyncio.Transport | None = None
        self._logon_timer: asyncio.TimerHandle | None = None
        self._rate_timer: asyncio.TimerHandle | None = None
        self._abort_timer: asyncio.TimerHandle | None = None
        self._queue: deque[tuple[Frame, float]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._bytes_before_logon = 0
        self._may_write = True
        self.key: KeyEntry | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if not self._server.opened(self):
            transport.abort()
            return
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._logon_timer = self._loop.call_later(LOGON_TIMEOUT_S, self.close, "no logon in time")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        for timer in (self._logon_timer, self._rate_timer, self._abort_timer):
            if timer is not None:
                timer.cancel()
        self._transport = None
        self._queue.clear()
        self._server.closed(self)

    def close(self, reason: str) -> None:
        """Flush what was answered, then end the session; a member that does not read is cut off after CLOSE_TIMEOUT_S."""
        if self._transport is not None and not self._transport.is_closing():
            self._server.log.info("session.closed", key=self.key.id if self.key else None, reason=reason)
            self._queue.clear()
            self._transport.close()
            self._abort_timer = self._loop.call_later(CLOSE_TIMEOUT_S, self._transport.abort)

    def pause_writing(self) -> None:
        self._may_write = False

    def resume_writing(self) -> None:
        self._may_write = True
        self._pump()

    def data_received(self, data: bytes) -> None:
        if self.key is None:
            self._bytes_before_logon += len(data)
            if self._bytes_before_logon > LOGON_MAX_BYTES:
                self.close("too many bytes before logon")
                return
        received_s = self._server.clock()
        try:
            self._queue.extend((frame, received_s) for frame in self._decoder.feed(data))
        except _core.LinkError as error:
            self.close(f"bad frame: {error}")
            return
        self._pump()

    def _pump(self) -> None:
        """Start what may be started; stop reading while something waits."""
        while self._queue and self._transport is not None and not self._transport.is_closing():
            if self.key is None:
                self._logon(self._queue.popleft()[0])
                continue
            if not self._may_write or len(self._tasks) >= MAX_SESSION_IN_FLIGHT or not self._within_rate(self.key):
                break
            frame, received_s = self._queue.popleft()
            task = self._loop.create_task(self._serve(self.key, frame, received_s))
            self._tasks.add(task)
            task.add_done_callback(self._served)
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading() if self._queue else self._transport.resume_reading()

    def _within_rate(self, key: KeyEntry) -> bool:
        if self._rate_timer is not None:
            return False
        wait_s = self._server.state.limits.take(key, self._server.state.clock())
        if wait_s:
            self._rate_timer = self._loop.call_later(wait_s, self._rate_again)
        return not wait_s

    def _rate_again(self) -> None:
        self._rate_timer = None
        self._pump()

    def _served(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._server.log.error("session.failed", error=f"{type(error).__name__}: {error}")
            self.close("internal error")
        self._pump()

    def _logon(self, frame: Frame) -> None:
        key = self._server.state.keys.find(frame[2]) if frame[0] == "logon" else None
        if key is None:
            self._send(encode_refusal(frame[1] if frame[0] == "logon" else 0, RejectReason.NOT_OWNER))
            self.close("wrong key" if frame[0] == "logon" else "first frame is not a logon")
            return
        if self._server.of_key(key) >= MAX_SESSIONS_PER_KEY:
            self._send(encode_refusal(frame[1], RejectReason.LOG_UNAVAILABLE))
            self.close("too many sessions of one key")
            return
        self.key = key
        if self._logon_timer is not None:
            self._logon_timer.cancel()
        self._server.log.info("session.open", key=key.id, firm=key.firm)
        self._send(_core.encode_reply(frame[1], 0, 0, 0, 0, 0, 0, 0, []))

    async def _serve(self, key: KeyEntry, frame: Frame, received_s: float) -> None:
        if frame[0] not in (*ORDER_FRAMES, "depth_request"):
            self.close(f"unexpected frame: {frame[0]}")
            return
        state = self._server.state
        if not state.enter():
            self._refused(frame, "gateway_busy")
            self._send(encode_refusal(frame[1], RejectReason.LOG_UNAVAILABLE))
            return
        try:
            self._send(await self._answer(key, frame, received_s))
        except (LinkDown, LinkBusy):
            self._send(encode_refusal(frame[1], RejectReason.LOG_UNAVAILABLE))
        except OutcomeUnknown:
            self.close("outcome unknown")
        finally:
            state.leave()

    async def _answer(self, key: KeyEntry, frame: Frame, received_s: float) -> bytes:
        request_id = frame[1]
        needed = Permission.TRADE if frame[0] in ORDER_FRAMES else Permission.READ
        if needed not in key.permissions:
            self._refused(frame, "permission_denied")
            return encode_refusal(request_id, RejectReason.NOT_OWNER)
        if frame[0] == "depth_request":
            return await self._depth(frame)
        if frame[0] == "new_order":
            return await self._new_order(key, frame, received_s)
        return encode_member_reply(request_id, await self._change(key.firm, frame))

    async def _change(self, firm: int, frame: Frame) -> Reply:
        service = self._server.service
        if frame[0] == "cancel":
            return await service.cancel(firm, Cancel(frame[3]))
        if frame[0] == "reduce":
            return await service.reduce(firm, Reduce(frame[3], frame[4]))
        return await service.submit_amend(firm, *frame[3:])

    async def _depth(self, frame: Frame) -> bytes:
        if frame[2] >= len(self._server.listings):
            return encode_refusal(frame[1], RejectReason.UNKNOWN_INSTRUMENT)
        query = DepthQuery(self._server.listings[frame[2]], max(1, min(frame[3], DEPTH_MAX)))
        return encode_member_depth(frame[1], await self._server.service.depth(query))

    def _refused(self, frame: Frame, code: str) -> None:
        """Counts an order that never became the service's, as over REST; what the service takes, the service counts."""
        if frame[0] == "new_order":
            self._server.metrics.rejected(code)

    async def _new_order(self, key: KeyEntry, frame: Frame, received_s: float) -> bytes:
        """The core judges every field; only the client's id is held to the same letters as over REST."""
        request_id, fields, cl_ord_id = frame[1], frame[3:], frame[9]
        if cl_ord_id and not CLIENT_ORDER_ID.fullmatch(cl_ord_id):
            self._refused(frame, "bad_command")
            return encode_refusal(request_id, RejectReason.BAD_COMMAND)
        reply = await self._server.service.submit(lambda link_id: _core.encode_new_order(link_id, key.firm, *fields), received_s)
        return encode_member_reply(request_id, reply)

    def _send(self, frame: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(frame)
