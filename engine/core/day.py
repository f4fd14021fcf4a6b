"""Carries out a schedule: each event goes to the core over its own link, so that it is sequenced like everything else.

A core that starts late sends the newest event of today only, and not even that when an instrument is in its state already: then the
event was done before the restart, and sending it again would resume what was halted since.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from engine import _core
from engine.core.sessions import Due, Schedule, newest_event_of_today, next_event
from engine.logs import JsonLog, WallClock, wall_clock_ns
from engine.types import ALL_INSTRUMENTS, CommandKind, OrdStatus, RejectReason

NAME = "sessions"
ANSWER_TIMEOUT_S = 10.0
MAX_PAUSE_S = 30.0
"""The clock is looked at again this often, because it may be set."""
ATTEMPTS = 10
RETRY_PAUSE_S = 1.0

Frame = tuple[Any, ...]


class LinkFailed(Exception):
    """The core did not answer as it should. The text says what went wrong."""


@dataclass(frozen=True, slots=True)
class OwnLink:
    """Where the process' own core listens. One connection a call: events are rare."""

    host: str
    port: int
    instruments: int
    link_key: str = field(default="", repr=False)

    async def send(self, due: Due) -> Frame:
        """The reply. Raises LinkFailed."""
        frames = await self._ask([_session(1, due)])
        reply = frames[0]
        if OrdStatus(reply[4]) is OrdStatus.REJECTED:
            raise LinkFailed(f"refused: {RejectReason(reply[5]).name.lower()}")
        return reply

    async def knows_state(self, due: Due) -> bool:
        """True when an instrument is in the event's state. Raises LinkFailed."""
        frames = await self._ask([_core.encode_depth_request(number, number, 0) for number in range(self.instruments)])
        return any(frame[6] == due.state for frame in frames)

    async def _ask(self, requests: list[bytes]) -> list[Frame]:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                reader, writer = await asyncio.open_connection(self.host, self.port)
                try:
                    return await _exchange(reader, writer, requests, self.link_key)
                finally:
                    writer.close()
        except TimeoutError as error:
            raise LinkFailed(f"no answer within {ANSWER_TIMEOUT_S:g} s") from error
        except (OSError, _core.LinkError) as error:
            raise LinkFailed(str(error)) from error


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, requests: list[bytes], key: str) -> list[Frame]:
    decoder = _core.FrameDecoder()
    writer.write(_core.encode_hello(NAME, 0, key) + b"".join(requests))
    frames: list[Frame] = []
    while len(frames) < len(requests) + 1:  # the welcome is one
        data = await reader.read(65536)
        if not data:
            raise LinkFailed("the core closed the link")
        frames += decoder.feed(data)
    return frames[1:]


def _session(request_id: int, due: Due) -> bytes:
    return _core.encode_control(request_id, CommandKind.SESSION, 0, ALL_INSTRUMENTS, 0, 0, 0, 0, 0, due.state)


@dataclass(frozen=True, slots=True)
class TradingDay:
    """`run()` until cancelled."""

    schedule: Schedule
    link: OwnLink
    log: JsonLog
    clock: WallClock = wall_clock_ns
    pause: Callable[[float], Any] = asyncio.sleep

    async def run(self) -> None:
        now = self._now()
        missed = newest_event_of_today(self.schedule, now)
        if missed is not None:
            await self._carry_out(missed, only_if_new=True)
        while (due := next_event(self.schedule, now)) is not None:
            await self._wait_for(due.at)
            await self._carry_out(due)
            now = due.at
        self.log.warning("session.none_left", hint="the sessions file has no further trading day")

    async def _wait_for(self, at: datetime) -> None:
        while (left_s := (at - self._now()).total_seconds()) > 0:
            await self.pause(min(left_s, MAX_PAUSE_S))

    async def _carry_out(self, due: Due, *, only_if_new: bool = False) -> None:
        """The same event twice does nothing the second time, so it may be sent again when nobody knows whether it arrived."""
        state, at = due.state.name.lower(), due.at.isoformat()
        for attempt in range(ATTEMPTS):
            try:
                if only_if_new and await self.link.knows_state(due):
                    self.log.info("session.known", state=state, at=at)
                    return
                reply = await self.link.send(due)
                self.log.info("session.changed", state=state, at=at, seq_num=reply[2], instruments=reply[6])
                return
            except LinkFailed as error:
                self.log.warning("session.retry", state=state, at=at, attempt=attempt + 1, reason=str(error))
                await self.pause(RETRY_PAUSE_S)
        self.log.error("session.failed", state=state, at=at,
                       hint=f"nothing changed at this event: `exchange control session {state} --all` does it by hand")  # fmt: skip

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.clock() / 1e9, tz=UTC)
