"""How old the gateway's view of the books can be, measured where members read it.

Two obvious measures are wrong. The age of the newest trade or tick grows whenever nobody trades, and a quiet market is not a
stale one. The age of a time stamp on a page that is scraped every few seconds is the age of the scrape. So the gateway asks:
on every tick one read of a book with no levels, over the link and through the queue that members' reads take. An answer shows the
books as they were after the ask was sent; hence at any moment the view is at most as old as the newest ask that was answered.

What must hold:
- the age is observed once per tick, whatever the answers do: a feed that stands still keeps adding observations of growing age,
  and becomes stale while it stands, not when it goes on;
- ticks that the event loop was too late for are made up, each with the age of its own moment: a gateway that hangs is stale too;
- asks are bounded: with UNANSWERED_MAX on the way no further one is sent.

A healthy view is about one tick old when it is observed, so a bound of 0.1 s leaves three more for the way through the core.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from engine import _core
from engine.conventions import MARKET_DATA_TICK_S
from engine.gateway.link import CoreLink, Frame, LinkDown
from engine.logs import JsonLog

UNANSWERED_MAX = 4
FAILED_PAUSE_S = 1.0
MADE_UP_MAX_S = 10.0
"""A process that was stopped for longer says so by its gap in every series; it need not spend a second on catching up."""


class FeedWatch:
    """`observe` is given an age in seconds per tick. All on one event loop."""

    def __init__(self, link: CoreLink, observe: Callable[[float], None], log: JsonLog, clock: Callable[[], float] = time.monotonic) -> None:
        self._link, self._observe, self._log, self._clock = link, observe, log, clock
        self._fresh_s = clock()
        """When the newest ask that was answered was sent; the start, before the first."""
        self._due_s = self._fresh_s + MARKET_DATA_TICK_S
        self._unanswered = 0

    async def run(self) -> None:
        """Until cancelled. A tick that fails is told of and made up by the next: a measure that ends unseen looks like an idle market."""
        while True:
            try:
                pause_s = self.tick()
            except Exception as error:
                self._log.error("feed.failed", error=f"{type(error).__name__}: {error}")
                pause_s = FAILED_PAUSE_S
            await asyncio.sleep(pause_s)

    def tick(self) -> float:
        """Observe every tick that is due, and ask. Returns the seconds until the next one."""
        now_s = self._clock()
        self._due_s = max(self._due_s, now_s - MADE_UP_MAX_S)
        while self._due_s <= now_s:
            self._observe(max(0.0, self._due_s - self._fresh_s))
            self._due_s += MARKET_DATA_TICK_S
        self._ask(now_s)
        return max(0.0, self._due_s - self._clock())

    def _ask(self, sent_s: float) -> None:
        if self._unanswered >= UNANSWERED_MAX:
            return
        try:
            answer = self._link.request(lambda request_id: _core.encode_depth_request(request_id, 0, 0), is_ask=True)
        except LinkDown:
            return
        self._unanswered += 1
        answer.add_done_callback(lambda answer: self._answered(answer, sent_s))

    def _answered(self, answer: asyncio.Future[Frame], sent_s: float) -> None:
        self._unanswered -= 1
        if not answer.cancelled() and answer.exception() is None:
            self._fresh_s = max(self._fresh_s, sent_s)
