"""Carries out a schedule: each event goes to the core over its own link, so that it is sequenced like everything else.

A core that starts late sends the newest event of the last days only, and that to those instruments only that need it: not to one that
is in the event's state already, and `continuous` not to one that is halted, which somebody or the price bands did since.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from engine import _core
from engine.core.sessions import Due, Schedule, newest_event, next_event
from engine.logs import JsonLog, WallClock, wall_clock_ns
from engine.types import ALL_INSTRUMENTS, CommandKind, OrdStatus, RejectReason, SessionState

NAME = "sessions"
ANSWER_TIMEOUT_S = 10.0
MAX_PAUSE_S = 30.0
"""The clock is looked at again this often, because it may be set."""
ATTEMPTS = 600
RETRY_PAUSE_S = 1.0

Frame = tuple[Any, ...]


class LinkFailed(Exception):
    """The core did not answer as it should. The text says what went wrong."""


@dataclass(frozen=True, slots=True)
class Changed:
    """What an event did: the last `seq_num` it took in the log, and how many instruments it moved."""

    seq_num: int
    instruments: int


@dataclass(frozen=True, slots=True)
class OwnLink:
    """Where the process' own core listens. One connection a call: events are rare."""

    host: str
    port: int
    instruments: int
    link_key: str = field(default="", repr=False)

    async def send(self, due: Due, instruments: Sequence[int] = (ALL_INSTRUMENTS,)) -> Changed:
        """One command for each of `instruments`. Raises LinkFailed when one is refused; the others may have been done."""
        replies = await self._ask([_session(instrument, due) for instrument in instruments])
        for reply in replies:
            if OrdStatus(reply[4]) is OrdStatus.REJECTED:
                raise LinkFailed(f"refused: {RejectReason(reply[5]).name.lower()}")
        return Changed(max(reply[2] for reply in replies), sum(reply[6] for reply in replies))

    async def in_need(self, due: Due) -> Sequence[int]:
        """The instruments that `due` is still to be sent to; (ALL_INSTRUMENTS,) when it is every one. Raises LinkFailed."""
        frames = await self._ask([_core.encode_depth_request(number, number, 0) for number in range(self.instruments)])
        if any(frame[0] != "depth" for frame in frames):
            raise LinkFailed("the core did not tell every instrument's state")
        found = sorted(frame[1] for frame in frames if needs(SessionState(frame[6]), due))  # partitions answer in any order
        return (ALL_INSTRUMENTS,) if len(found) == self.instruments else found

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


def _session(instrument: int, due: Due) -> bytes:
    return _core.encode_control(instrument, CommandKind.SESSION, 0, instrument, 0, 0, 0, 0, 0, due.state)


def needs(state: SessionState, due: Due) -> bool:
    """Whether an instrument in `state` is still to be moved by a missed event. What was halted stays so until somebody resumes it."""
    return state is not due.state and not (due.state is SessionState.CONTINUOUS and state is SessionState.HALTED)


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
        missed = newest_event(self.schedule, now)
        if missed is not None:
            await self._carry_out(missed, only_in_need=True)
        while (due := next_event(self.schedule, now)) is not None:
            await self._wait_for(due.at)
            await self._carry_out(due)
            now = due.at
        self.log.warning("session.none_left", hint="the sessions file has no further trading day")

    async def _wait_for(self, at: datetime) -> None:
        while (left_s := (at - self._now()).total_seconds()) > 0:
            await self.pause(min(left_s, MAX_PAUSE_S))

    async def _carry_out(self, due: Due, *, only_in_need: bool = False) -> None:
        """The same event twice does nothing the second time, so it may be sent again when nobody knows whether it arrived."""
        state, at = due.state.name.lower(), due.at.isoformat()
        for attempt in range(ATTEMPTS):
            try:
                instruments = await self.link.in_need(due) if only_in_need else (ALL_INSTRUMENTS,)
                if not instruments:
                    self.log.info("session.known", state=state, at=at)
                    return
                changed = await self.link.send(due, instruments)
                self.log.info("session.changed", state=state, at=at, seq_num=changed.seq_num, instruments=changed.instruments)
                return
            except LinkFailed as error:
                self.log.warning("session.retry", state=state, at=at, attempt=attempt + 1, reason=str(error))
                await self.pause(RETRY_PAUSE_S)
        self.log.error("session.failed", state=state, at=at,
                       hint=f"nothing changed at this event: `exchange control session {state} --all` does it by hand")  # fmt: skip

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.clock() / 1e9, tz=UTC)
