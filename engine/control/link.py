"""A blocking link to the core: hello, welcome, then one command at a time. Every wait is bounded; nothing is sent twice by itself."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from engine import _core
from engine.config import VenueError
from engine.control.requests import Request
from engine.refusals import Call, explain, is_refusal
from engine.types import CommandKind, Depth, Indicative, RejectReason, SessionState

CONNECT_TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 10.0
"""An uncross or an end of day over ten thousand instruments takes a part of a second."""
NAME = "control"
UNAVAILABLE = 6


@dataclass(frozen=True, slots=True)
class Target:
    """Where the core is, and what it must agree on. The key has no place in a repr. `venue`: the state folder that told of the core."""

    host: str
    port: int
    instruments_digest: int
    link_key: str = field(default="", repr=False)
    timeout_s: float = ANSWER_TIMEOUT_S
    venue: Path | None = None
    symbols: Sequence[str] = ()
    """The instruments' names, in the list's order."""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}" + (f" (the venue in {self.venue})" if self.venue is not None else "")

    @property
    def next_step(self) -> str:
        """When no core is there."""
        if self.venue is not None:
            return f"is it up? opsctl status --state {self.venue}"
        return "check --core, or give --state DIR of a venue that `opsctl up` started; is the core up?"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the core did: the command's place in the log, and how much it touched (Request.counted says of what)."""

    request: Request
    seq_num: int
    count: int


class ControlLink:
    """Use with `with`. Raises VenueError from the start on: no core, another instrument list, a wrong key."""

    def __init__(self, target: Target, clock: Callable[[], float] = time.monotonic) -> None:
        self._target, self._clock = target, clock
        self._decoder = _core.FrameDecoder()
        self._frames: list[tuple[Any, ...]] = []
        self._next_id = 1
        self._socket: socket.socket | None = None
        self.epoch = 0

    def __enter__(self) -> Self:
        target = self._target
        where = str(target)
        try:
            self._socket = socket.create_connection((target.host, target.port), timeout=CONNECT_TIMEOUT_S)
        except (OSError, UnicodeError) as error:  # UnicodeError: no name that a resolver could be asked for
            message = f"no core answers at {where}: {getattr(error, 'strerror', None) or error}"
            raise VenueError(message, hint=target.next_step, exit_code=UNAVAILABLE) from error
        try:
            self._shake_hands(where)
        except BaseException:
            self._socket.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._socket is not None:
            self._socket.close()

    def _shake_hands(self, where: str) -> None:
        assert self._socket is not None
        try:
            self._socket.sendall(_core.encode_hello(NAME, 0, self._target.link_key))
            frame = self._frame(self._clock() + self._target.timeout_s)
        except ConnectionError as error:
            hint = "give the link key that the core was started with: --link-key FILE"
            raise VenueError(f"the core at {where} closed the link: it may have another link key", hint, UNAVAILABLE) from error
        except (OSError, _core.LinkError) as error:
            message = f"what listens at {where} does not answer as a core does: {error}"
            raise VenueError(message, self._target.next_step, UNAVAILABLE) from error
        if frame[0] != "welcome":
            raise VenueError(f"what answers at {where} is no core: it sent a {frame[0]}", self._target.next_step, UNAVAILABLE)
        if frame[3] != self._target.instruments_digest:
            raise VenueError(f"the core at {where} trades another instrument list", "give the core's own --instruments file", 2)
        self.epoch = frame[1]

    def send(self, request: Request) -> Outcome:
        """Send one command and wait for its answer.

        Raises VenueError: refused (exit code 2, with the core's reason; 6 when the log cannot be written), or without an answer
        (exit code 6: it may have been done).
        """
        try:
            frame = self._ask("reply", lambda request_id: _encode(request_id, request))
        except (OSError, _core.LinkError) as error:
            raise VenueError(f"{request.words}: the link broke before the answer came ({error})", _unknown(request), UNAVAILABLE) from error
        return _outcome(request, frame, self._target.symbols)

    def depth(self, instrument: int, levels: int) -> Depth:
        """An instrument's state and best price levels as they are confirmed now. Changes nothing. Raises VenueError (exit code 6)."""
        try:
            frame = self._ask("depth", lambda request_id: _core.encode_depth_request(request_id, instrument, levels))
        except (OSError, _core.LinkError) as error:
            raise VenueError(f"the link broke before the core told its state ({error})", self._target.next_step, UNAVAILABLE) from error
        _, _, seq_num, bids, asks, last_trade, state, limit_state, indicative = frame
        return Depth(seq_num, bids, asks, last_trade, SessionState(state), bool(limit_state), Indicative(*indicative))

    def _ask(self, kind: str, encode: Callable[[int], bytes]) -> tuple[Any, ...]:
        """The answer of that kind to one request. Raises OSError or LinkError."""
        assert self._socket is not None, "inside of `with`"
        request_id = self._next_id
        self._next_id += 1
        end_s = self._clock() + self._target.timeout_s
        self._socket.sendall(encode(request_id))
        while True:
            frame = self._frame(end_s)
            if frame[0] == kind and frame[1] == request_id:
                return frame

    def _frame(self, end_s: float) -> tuple[Any, ...]:
        """The next frame. Raises OSError (TimeoutError past `end_s`, ConnectionError) or LinkError."""
        while not self._frames:
            self._frames.extend(self._decoder.feed(self._received(end_s - self._clock())))
        return self._frames.pop(0)

    def _received(self, left_s: float) -> bytes:
        assert self._socket is not None
        late = TimeoutError(f"no answer within {self._target.timeout_s:g} s")
        if left_s <= 0:
            raise late
        self._socket.settimeout(left_s)
        try:
            data = self._socket.recv(65536)
        except TimeoutError:
            raise late from None
        if not data:
            raise ConnectionError("the core closed the link")
        return data


def _encode(request_id: int, request: Request) -> bytes:
    command = request.command
    return _core.encode_control(
        request_id, command.kind, command.firm, command.instrument, command.price_ticks, command.qty, command.stop_price_ticks,
        command.order_id, command.stp, command.state,
    )  # fmt: skip


def _outcome(request: Request, frame: tuple[Any, ...], symbols: Sequence[str]) -> Outcome:
    seq_num, reason, count, value, limit = frame[2], RejectReason(frame[5]), frame[6], frame[10], frame[11]
    if is_refusal(reason):
        code = UNAVAILABLE if reason is RejectReason.LOG_UNAVAILABLE else 2
        which = ""
        if (reason, request.command.kind) == _OPEN_AT_THE_END:
            which = f" ({symbols[limit]})" if 0 <= limit < len(symbols) else f" (the list's entry {limit})"
        raise VenueError(f"{request.words}: refused, {explain(reason, value, limit, Call.CONTROL)}{which}", _hint(reason), code)
    return Outcome(request, seq_num, count)


_OPEN_AT_THE_END = (RejectReason.WRONG_STATE, CommandKind.END_OF_DAY)


def _hint(reason: RejectReason) -> str:
    if reason is RejectReason.WRONG_STATE:
        return "close first: exchange control session closed --all"
    return "look at the core's log" if reason in (RejectReason.LOG_UNAVAILABLE, RejectReason.BAD_COMMAND) else ""


def _unknown(request: Request) -> str:
    """What to do when nobody knows whether the core did it."""
    if request.may_repeat:
        return "it may have been done; giving it again does no harm"
    return "it may have been done: look at the books (exchange replay) before you give it again"
