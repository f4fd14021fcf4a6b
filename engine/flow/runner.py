"""The open loop: request n is due at start + n / rate, whatever became of the ones before it.

Latency counts from the due time, so a venue that stalls is charged for everyone who would have come meanwhile
(no coordinated omission). When max_in_flight requests are open the next one waits for a place, with its clock running.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable

from engine.flow.client import Answer, VenueClient
from engine.flow.model import Add, AmendOf, CancelOf, FlowResult, FlowSettings, Intent
from engine.flow.tally import Tally

Progress = Callable[[FlowResult], None]
"""Called once a second with the totals so far."""
STOP_CHECK_S = 0.05


def run(
    settings: FlowSettings, intents: Iterable[Intent], *, progress: Progress | None = None, stop: threading.Event | None = None
) -> FlowResult:
    """Send the intents and return the totals; blocks. `stop` ends it early from another thread or a signal handler.

    Raises VenueError when the venue cannot be reached or refuses the key.
    """
    return asyncio.run(run_async(settings, intents, progress=progress, stop=stop or threading.Event()))


async def run_async(
    settings: FlowSettings, intents: Iterable[Intent], *, progress: Progress | None = None, stop: threading.Event
) -> FlowResult:
    async with VenueClient(settings) as client:
        flow = _Flow(settings, client, stop)
        reporter = asyncio.create_task(flow.report(progress)) if progress is not None else None
        try:
            await flow.send_all(intents)
        finally:
            if reporter is not None:
                reporter.cancel()
        return flow.result()


class _Flow:
    def __init__(self, settings: FlowSettings, client: VenueClient, stop: threading.Event) -> None:
        self._settings, self._client, self._stop = settings, client, stop
        self._tally = Tally()
        self._order_ids: dict[int, int] = {}
        self._places = asyncio.Semaphore(settings.max_in_flight)
        self._started_s = time.monotonic()

    async def send_all(self, intents: Iterable[Intent]) -> None:
        settings = self._settings
        probed = False
        tasks: set[asyncio.Task[None]] = set()
        for index, intent in enumerate(intents):
            if not probed:
                await self._client.probe(intent.symbol)
                self._started_s, probed = time.monotonic(), True
            due_s = self._started_s + index / settings.rate_per_s
            over = (settings.count is not None and index >= settings.count) or (
                settings.duration_s is not None and due_s >= self._started_s + settings.duration_s
            )
            if over or not await self._until(due_s):
                break
            await self._places.acquire()
            task = asyncio.create_task(self._send(index, intent, due_s))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        if tasks:  # each is bounded by the client's timeout
            await asyncio.gather(*tasks)

    async def _until(self, due_s: float) -> bool:
        """Sleep until then; False when told to stop."""
        while not self._stop.is_set():
            left_s = due_s - time.monotonic()
            if left_s <= 0:
                return True
            await asyncio.sleep(min(left_s, STOP_CHECK_S))
        return False

    async def _send(self, index: int, intent: Intent, due_s: float) -> None:
        try:
            answer = await self._call(index, intent)
            self._tally.answer(answer.status, answer.version, answer.gateway, answer.wrong, time.monotonic() - due_s)
        finally:
            self._places.release()

    async def _call(self, index: int, intent: Intent) -> Answer:
        if isinstance(intent, Add):
            return self._added(index, intent, await self._client.add(intent))
        if isinstance(intent, CancelOf):
            order_id = self._order_ids.pop(intent.index, None)
            if order_id is not None:
                return await self._client.cancel(order_id)
        if isinstance(intent, AmendOf):
            order_id = self._order_ids.get(intent.index)
            if order_id is not None:
                return await self._client.amend(order_id, intent)
        return await self._client.book(intent.symbol)

    def _added(self, index: int, intent: Add, answer: Answer) -> Answer:
        if answer.status == 201 and answer.wrong is None:
            self._tally.orders_acked += 1
            if intent.rests:
                self._order_ids[index] = answer.body["order_id"]
        return answer

    async def report(self, progress: Progress) -> None:
        while True:
            await asyncio.sleep(1.0)
            progress(self.result())

    def result(self) -> FlowResult:
        return self._tally.result(time.monotonic() - self._started_s)
