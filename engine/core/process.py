"""`exchange core`: recover the log, open the link, run until SIGTERM. Beside it: snapshots, and the trading day's schedule.

The admin server answers from the first moment, so that a long recovery shows as "recovering" and not as a dead process.
A log that cannot be trusted ends the process with the reason; nothing here repairs it. A log that can no longer be
written ends it too: the supervisor starts it again, and recovery finds out what is on the disk.
"""

from __future__ import annotations

import asyncio
import ipaddress
import signal
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from aiohttp import web

from engine import COMMIT, __version__, _core
from engine.config import VenueError, load_instruments
from engine.core.admin import CoreAdmin, Phase
from engine.core.day import OwnLink, TradingDay
from engine.core.metrics import Stats
from engine.core.sessions import Schedule, load_schedule
from engine.core.snapshotter import SnapshotFigures, Snapshotter, found_on_disk, snapshot_command
from engine.firms import FirmsFile, load_firms
from engine.instruments import engine_config, instruments_digest
from engine.linkkey import load_link_key
from engine.logs import JsonLog
from engine.types import FirmLimits, Instrument

ACK_POLICIES = ("device", "memory")
HEALTH_INTERVAL_S = 0.1
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class CoreSettings:
    """Ports: 0 takes a free one (the log's `core.serving` names both).

    `ack_policy`: "device" answers once the disk has the command, "memory" once the log's memory has it, which survives a
    crash of the process and not one of the machine. `epoch` grows with each change of primary, never by itself.
    `partitions`, the instruments and the limits file's default are fixed for the life of a log; the file's other firms are
    `exchange control limits`' business. `snapshot_every_s`: 0 makes none. Without `sessions_path` nothing changes states by itself.
    """

    log_dir: Path
    instruments_path: Path
    link_host: str = LOOPBACK
    link_port: int = 0
    admin_port: int = 0
    ack_policy: str = "device"
    epoch: int = 1
    link_key_path: Path | None = None
    partitions: int = 1
    limits_path: Path | None = None
    snapshot_every_s: float = 300.0
    sessions_path: Path | None = None
    pin_threads: bool = False


@dataclass(frozen=True, slots=True)
class Venue:
    """The settings' files, read once."""

    instruments: tuple[Instrument, ...]
    default_limits: FirmLimits
    listed_firms: tuple[int, ...]
    link_key: str
    schedule: Schedule | None


def run_core(settings: CoreSettings) -> int:
    """Blocks until SIGTERM or SIGINT. Returns the exit code: 1 when the log could no longer be written.

    Raises VenueError: bad settings 2, a log that cannot be trusted 1.
    """
    return asyncio.run(_serve(settings, JsonLog(process="core")))


async def _serve(settings: CoreSettings, log: JsonLog) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    venue = _read_files(settings)
    core = _new_core(settings, venue)
    stats = partial(core.stats, with_state_hash=False)  # the hash would stop the core for a pass over its orders
    snapshots = found_on_disk(settings.log_dir, settings.partitions)
    admin = CoreAdmin(stats, shows_durable=settings.ack_policy == "device", snapshots=snapshots,
                      partitions=partial(core.partition_stats, with_state_hash=False))  # fmt: skip
    runner = web.AppRunner(admin.app(), access_log=None)
    well = True
    beside: list[asyncio.Task[None]] = []
    try:
        admin_port = await _listen_admin(runner, settings.admin_port)
        admin.phase = Phase.RECOVERING
        await _recover(core, settings, log)
        if not stop.is_set():
            link_port = _start(core, settings)
            admin.phase = Phase.SERVING
            log.info("core.serving", link_port=link_port, admin_port=admin_port, epoch=settings.epoch, ack_policy=settings.ack_policy,
                     partitions=settings.partitions, version=__version__, commit=COMMIT)  # fmt: skip
            _warn_of_listed_firms(settings, venue, log)
            beside = _start_beside(settings, venue, link_port, snapshots, stats, log)
            well = await _until(stop, core, log, beside)
    finally:
        admin.phase = Phase.STOPPING
        await _end(beside)
        await asyncio.to_thread(core.stop)
        await runner.cleanup()
    log.info("core.stopped", seq_num=stats()["seq_num"])
    return 0 if well else 1


def _read_files(settings: CoreSettings) -> Venue:
    """Every mistake in a file shows before anything is made."""
    link_key = load_link_key(settings.link_key_path)
    if not link_key and not _is_loopback(settings.link_host):
        raise VenueError(f"--host {settings.link_host}: whoever reaches the link can trade for every firm, and no link key is set",
                         hint="give core and gateways --link-key FILE, or keep --host on loopback (127.0.0.1)")  # fmt: skip
    limits = load_firms(settings.limits_path) if settings.limits_path is not None else FirmsFile()
    schedule = load_schedule(settings.sessions_path) if settings.sessions_path is not None else None
    return Venue(load_instruments(settings.instruments_path), limits.default, tuple(limits.firms), link_key, schedule)


def _warn_of_listed_firms(settings: CoreSettings, venue: Venue, log: JsonLog) -> None:
    """A start sets no firm's limits. Whether a command did, only the engine's own state knows, so it is said at every start."""
    if venue.listed_firms:
        shown = ", ".join(map(str, venue.listed_firms[:20])) + (", ..." if len(venue.listed_firms) > 20 else "")
        log.warning("core.listed_firms_not_set", firms=shown,
                    reason="a start sets no firm's limits: in force is what was sent last, or the file's default",
                    hint=f"send them: exchange control limits --file {settings.limits_path}")  # fmt: skip


def _new_core(settings: CoreSettings, venue: Venue) -> _core.Core:
    try:
        settings.log_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        return _core.Core(
            config=engine_config(venue.instruments, venue.default_limits, settings.partitions), log_dir=str(settings.log_dir),
            ack_policy=settings.ack_policy, epoch=settings.epoch, instruments_digest=instruments_digest(venue.instruments),
            link_key=venue.link_key, pin_threads=settings.pin_threads,
        )  # fmt: skip
    except OSError as error:
        raise VenueError(f"the log folder {settings.log_dir} cannot be used: {error.strerror}", exit_code=1) from error
    except ValueError as error:
        raise VenueError(f"bad setting: {error}") from error
    except _core.LogError as error:
        raise _log_refused(error, settings) from error


def _start_beside(
    settings: CoreSettings, venue: Venue, link_port: int, snapshots: SnapshotFigures, stats: Stats, log: JsonLog
) -> list[asyncio.Task[None]]:
    """What runs beside the core; none of it can hold up an order."""
    made = []
    if settings.snapshot_every_s > 0:
        command = snapshot_command(settings.log_dir, settings.instruments_path, settings.partitions, settings.limits_path)
        snapshotter = Snapshotter(command, settings.snapshot_every_s, lambda: stats()["written_seq_num"], snapshots, log)
        made.append(asyncio.create_task(snapshotter.run(), name="snapshotter"))
    if venue.schedule is not None:
        host = LOOPBACK if settings.link_host in ("0.0.0.0", "") else "::1" if settings.link_host == "::" else settings.link_host  # noqa: S104
        link = OwnLink(host, link_port, len(venue.instruments), venue.link_key)
        made.append(asyncio.create_task(TradingDay(venue.schedule, link, log).run(), name="sessions"))
    return made


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _is_loopback(host: str) -> bool:
    """Any other name than localhost may mean anything, so it does not count."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _recover(core: _core.Core, settings: CoreSettings, log: JsonLog) -> None:
    """In a thread of its own: the admin pages answer meanwhile."""
    try:
        figures = await asyncio.to_thread(core.recover)
    except _core.LogError as error:
        raise _log_refused(error, settings) from error
    seconds = figures["elapsed_us"] / 1e6
    log.info("core.recovered", records=figures["records"], seconds=seconds, last_seq_num=figures["last_seq_num"],
             segments=figures["segments"], torn_records_cut=figures["torn_records_cut"],
             snapshot_seq_num=figures["snapshot_seq_num"])  # fmt: skip
    for warning in figures["warnings"]:
        log.warning("core.snapshot_passed_over", reason=warning)
    for partition, first, last in figures["torn"]:
        log.warning("core.torn_tail_cut", partition=partition, from_seq_num=first, to_seq_num=last,
                    reason="the last batch of the log was not whole, and is cut away",
                    hint="after a crash nobody was answered for it; if the core before this one ended in peace, the records rotted on the "
                         "disk and may have been answered: look at the device, and compare with the members or a copy")  # fmt: skip


def _start(core: _core.Core, settings: CoreSettings) -> int:
    try:
        port = core.listen(settings.link_host, settings.link_port)
    except OSError as error:
        raise _port_taken(f"{settings.link_host}:{settings.link_port}", error) from error
    core.start()
    return port


async def _listen_admin(runner: web.AppRunner, port: int) -> int:
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, port).start()
    except OSError as error:
        raise _port_taken(f"{LOOPBACK}:{port}", error) from error
    bound: int = runner.addresses[0][1]
    return bound


async def _until(stop: asyncio.Event, core: _core.Core, log: JsonLog, beside: list[asyncio.Task[None]]) -> bool:
    """Wait for the signal. False when the core came to its end first: it would refuse every order from here on."""
    while not stop.is_set():
        now = core.stats(with_state_hash=False)
        if not (now["log_healthy"] and now["running"]):
            reason = "a thread of the core ended" if now["log_healthy"] else "the order log cannot be written"
            log.error("core.log_failed", reason=reason, fault=core.log_fault(), seq_num=now["seq_num"],
                      hint="look at the disk of the log folder (df, dmesg); the next start replays the log")  # fmt: skip
            return False
        _look_at(beside, log)
        with suppress(TimeoutError):
            async with asyncio.timeout(HEALTH_INTERVAL_S):
                await stop.wait()
    return True


def _look_at(beside: list[asyncio.Task[None]], log: JsonLog) -> None:
    """What runs beside the core may fail without taking it down, and not without a word."""
    for task in [one for one in beside if one.done()]:
        beside.remove(task)
        error = task.exception() if not task.cancelled() else None
        if error is not None:
            log.error("core.task_failed", task=task.get_name(), reason=f"{type(error).__name__}: {error}",
                      hint="restart the core at the next quiet moment")  # fmt: skip


def _log_refused(error: _core.LogError, settings: CoreSettings) -> VenueError:
    where = settings.log_dir
    hints = {
        "damage": f"keep {where} as it is and look at the place named above; the core starts on no log that it cannot trust",
        "snapshot": f"keep a copy of {where} before anything is moved; the core starts on no log that has less than a snapshot of it",
        "in_use": "the log is not damaged: one core at a time has a log folder",
        "settings": "the log is not damaged: start as it was written (--instruments, --limits, --partitions, --epoch)",
        "system": "nothing says that the log is damaged: see to what the system refuses (owner, mode, mount, room, device) and start again",
    }
    return VenueError(f"the log cannot be used: {error}", hint=hints.get(error.cause, ""), exit_code=1)


def _port_taken(where: str, error: OSError) -> VenueError:
    return VenueError(f"cannot listen on {where}: {error.strerror or error}", hint="another process may hold the port", exit_code=1)
