"""`exchange probe`: rounds at a steady pace until SIGTERM, and /metrics, /healthz, /readyz on loopback.

Ready means that the page answers; whether desks can flatten and pause is a figure, not a state of this process.
"""

from __future__ import annotations

import asyncio
import itertools
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from engine import __version__, conventions
from engine.config import VenueError, load_instruments, read_text
from engine.flow.client import VenueClient
from engine.flow.model import FlowSettings
from engine.logs import JsonLog, wall_clock_ns
from engine.probe.metrics import ProbeMetrics
from engine.probe.model import Round, target
from engine.probe.note import Note
from engine.probe.rounds import Rounds

LOOPBACK = "127.0.0.1"
BOUND_S = 2.0
"""Per step. Four times O11's bound for an acknowledgement: past that a desk has reached for the telephone."""
INTERVAL_S = 2.0
"""1.5 requests a second: little beside any member's traffic, and 30 rounds in a minute's slice."""
AGAIN_S = 0.25
"""After a failed round: a desk tries again at once, and one lost answer is over before many a scrape saw it."""
EXPOSITION = "text/plain; version=1.0.0; charset=utf-8"


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """`note_path`: where the id of the order that may rest is kept; None keeps nothing. `port` 0 takes a free one."""

    url: str
    key_path: Path
    instruments_path: Path
    port: int = 0
    interval_s: float = INTERVAL_S
    bound_s: float = BOUND_S
    note_path: Path | None = None


def run_probe(settings: ProbeSettings) -> int:
    """Blocks until SIGTERM or SIGINT. Returns the exit code. Raises VenueError for a bad file or a taken port."""
    return asyncio.run(_serve(settings, JsonLog(process="probe")))


async def _serve(settings: ProbeSettings, log: JsonLog) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    aim = target(load_instruments(settings.instruments_path))
    token = read_text(settings.key_path, "the key file").strip()
    note = Note(settings.note_path)
    metrics = ProbeMetrics(settings.interval_s + len(conventions.PROBE_STEPS) * settings.bound_s, time.monotonic)
    runner = web.AppRunner(pages(metrics), access_log=None)
    try:
        port = await _listen(runner, settings.port)
        log.info("probe.started", port=port, url=settings.url, symbol=aim.symbol, rests=aim.rests, version=__version__)
        async with VenueClient(FlowSettings(settings.url, token, max_in_flight=1, timeout_s=settings.bound_s)) as desk:
            rounds = Rounds(desk, aim, note, new_ids(wall_clock_ns), time.monotonic)
            await probe_until(stop, rounds.run, settings.interval_s, metrics, log)
            if not await rounds.withdraw():
                log.warning("probe.left_open", client_order_id=note.read(), hint="the next start takes it back")
    finally:
        await runner.cleanup()
        note.close()
    log.info("probe.stopped")
    return 0


def new_ids(wall_clock: Callable[[], int]) -> Callable[[], str]:
    """Ids that no earlier run of this process can have used: the moment of its start, and a number."""
    start_us, numbers = wall_clock() // 1000, itertools.count(1)
    return lambda: f"probe-{start_us:x}-{next(numbers)}"


async def probe_until(
    stop: asyncio.Event, run: Callable[[], Awaitable[Round]], interval_s: float, metrics: ProbeMetrics, log: JsonLog
) -> None:
    """Round after round; the first at once, each a whole interval after the start of the one before, or soon after a failure.

    A round under way when `stop` is set is given up.
    """
    loop = asyncio.get_running_loop()
    stopped = asyncio.ensure_future(stop.wait())
    failed = ""
    try:
        while not stop.is_set():
            next_s = loop.time() + interval_s
            work = asyncio.ensure_future(run())
            await asyncio.wait((work, stopped), return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                work.cancel()
                with suppress(asyncio.CancelledError):
                    await work
                return
            done = work.result()
            metrics.ended(done)
            if done.failed != failed:
                if done.failed:
                    log.warning("probe.failed", step=done.failed, reason=done.reason)
                else:
                    log.info("probe.recovered", after=failed)
                failed = done.failed
            pause_s = max(0.0, next_s - loop.time())
            await asyncio.wait((stopped,), timeout=min(pause_s, AGAIN_S) if failed else pause_s)
    finally:
        stopped.cancel()


async def _listen(runner: web.AppRunner, port: int) -> int:
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, port).start()
    except OSError as error:
        raise VenueError(f"cannot listen on {LOOPBACK}:{port}: {error.strerror}", hint="another process may hold the port") from error
    bound: int = runner.addresses[0][1]
    return bound


def pages(metrics: ProbeMetrics) -> web.Application:
    app = web.Application()

    async def figures(_: web.Request) -> web.Response:
        return web.Response(body=metrics.exposition(), headers={"Content-Type": EXPOSITION})

    async def health(_: web.Request) -> web.Response:
        return web.json_response({"status": "ready", "version": __version__, "success": metrics.succeeding})

    app.router.add_get(conventions.PATH_METRICS, figures)
    app.router.add_get(conventions.PATH_HEALTH, health)
    app.router.add_get(conventions.PATH_READY, health)
    return app
