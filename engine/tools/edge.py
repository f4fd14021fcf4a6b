"""From what a person types to replayers: the log's folders, its instruments, errors in words, progress on stderr."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine import _core
from engine.config import VenueError, load_instruments
from engine.firms import load_firms
from engine.instruments import instruments_digest, partition_config
from engine.tools.text import number_text
from engine.tools.when import moment_text
from engine.types import Command, EngineConfig, FirmLimits, Instrument, Report

PARTITION_FOLDER = re.compile(r"partition-(\d+)")
PROGRESS_RECORDS = 5_000_000
"""Between two lines of progress: about a second of replay."""
NO_LIMIT = (1 << 63) - 1
EXIT_LOG = 1
EXIT_DIFFERENT = 3
EXIT_HISTORY = 4
"""A core starts on the log, and a part of the log that it does not read is damaged."""


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition's log folder, and what its engine was told before its first command."""

    number: int
    folder: Path
    config: EngineConfig
    digest: int

    def replayer(self) -> _core.Replayer:
        """Before the first record. Raises VenueError."""
        with log_errors(self.folder, self.config.partitions):
            return _core.Replayer(str(self.folder), self.config.as_tuple(), self.digest)


@dataclass(frozen=True, slots=True)
class VenueLog:
    """A log folder with the instruments that it was written under."""

    log_dir: Path
    instruments: tuple[Instrument, ...]
    partitions: tuple[Partition, ...]

    def instrument(self, symbol: str) -> Instrument:
        """Raises VenueError when the file does not list it."""
        for instrument in self.instruments:
            if instrument.symbol == symbol:
                return instrument
        known = ", ".join(one.symbol for one in self.instruments[:8]) + (", ..." if len(self.instruments) > 8 else "")
        raise VenueError(f"--instrument: {symbol!r} is not listed", hint=f"the instruments file has {known}")

    def of_order(self, order_id: int) -> Partition:
        """Order ids are dealt out to the partitions in turn."""
        return self.partitions[(order_id - 1) % len(self.partitions)]

    def of_instrument(self, instrument: Instrument) -> Partition:
        """Instruments too."""
        return self.partitions[instrument.instrument_id % len(self.partitions)]


@dataclass(frozen=True, slots=True)
class LogFiles:
    """What a log is opened with: its folder, and the files that its core was started with. `partitions` None: as many as there are.
    `source`: the option, or the venue, that named the folder."""

    log_dir: Path
    instruments: Path
    limits: Path | None = None
    partitions: int | None = None
    source: str = "--log-dir"


def open_log(files: LogFiles) -> VenueLog:
    """Reads settings and folder names only. Raises VenueError naming option and folder."""
    instruments = load_instruments(files.instruments)
    limits = load_firms(files.limits).default if files.limits is not None else FirmLimits()
    folders = partition_folders(files.log_dir, files.partitions, files.source)
    made = tuple(_partition(instruments, limits, number, folder, len(folders)) for number, folder in enumerate(folders))
    return VenueLog(files.log_dir, instruments, made)


def _partition(instruments: tuple[Instrument, ...], limits: FirmLimits, number: int, folder: Path, count: int) -> Partition:
    config = partition_config(instruments, limits, count, number)
    return Partition(number, folder, config, _core.log_config_digest(config.as_tuple(), instruments_digest(instruments)))


def last_seq_nums(log: VenueLog) -> list[int]:
    """Where each partition's log ends now. Raises VenueError."""
    ends = []
    for partition in log.partitions:
        replayer = partition.replayer()
        with log_errors(partition.folder):
            last = replayer.last_place()
            ends.append(last[0] if last else 0)
    return ends


def partition_folders(log_dir: Path, partitions: int | None = None, source: str = "--log-dir") -> tuple[Path, ...]:
    """DIR/partition-00, ... when there are such folders, else DIR itself. Raises VenueError when one is missing."""
    found = sorted(
        (int(match[1]), path) for path in _inside(log_dir, source) if path.is_dir() and (match := PARTITION_FOLDER.fullmatch(path.name))
    )
    if not found and partitions in (None, 1):
        return (log_dir,)
    # A single partition has no folder of its own, so one folder alone says that others are missing.
    count = partitions or max(2, found[-1][0] + 1)
    there = dict(found)
    missing = [f"partition-{number:02d}" for number in range(count) if number not in there]
    too_many = [path.name for number, path in found if number >= count]
    if count == 1 or missing or too_many:
        raise _other_layout(log_dir, partitions, missing, [path.name for _, path in found])
    return tuple(path for _, path in found)


def _other_layout(log_dir: Path, partitions: int | None, missing: list[str], found: list[str]) -> VenueError:
    has = ", ".join(found) or ("the log of a single partition" if any(log_dir.glob("*.log")) else "no partition folder")
    if partitions == 1 or not missing:
        return VenueError(f"{log_dir}: holds {has}, which is not a log of {partitions} partition(s)",
                          hint="give --partitions the core's number, or leave it out")  # fmt: skip
    return VenueError(f"{log_dir}: {', '.join(missing)} missing; it holds {has}", exit_code=EXIT_LOG,
                      hint="restore the folder from a copy: a core refuses to start without it; or correct --log-dir (the whole folder of "
                           "the core) or --partitions")  # fmt: skip


def _inside(folder: Path, source: str) -> list[Path]:
    hint = "it is the folder that `exchange core --log-dir` was given"
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        raise VenueError(f"{source}: there is no folder {folder}", hint=hint) from None
    except OSError as error:
        raise VenueError(f"{source}: {folder} cannot be read: {error.strerror}", hint=hint) from error


@contextmanager
def log_errors(where: Path, partitions: int = 1) -> Iterator[None]:
    """The native side's complaints as a user's errors; they name segment or file themselves. `partitions`: of the whole log."""
    try:
        yield
    except _core.LogError as error:
        raise VenueError(f"the log cannot be read: {error}", hint=_next_step(error.cause, where, partitions), exit_code=EXIT_LOG) from None
    except _core.SnapshotError as error:
        raise VenueError(
            f"the snapshot cannot be used: {error}", hint="the log itself is not touched by this", exit_code=EXIT_LOG
        ) from None
    except ValueError as error:
        raise VenueError(f"bad setting: {error}") from None


def _next_step(cause: str, where: Path, partitions: int) -> str:
    if cause == "settings" and partitions == 1 and PARTITION_FOLDER.fullmatch(where.resolve().name):
        return f"{where} is the folder of one partition: give --log-dir the folder around it"
    if cause == "settings" and partitions > 1:
        return f"--instruments, --limits and the number of partitions must be the core's: {partitions} folders were found or asked for"
    hints = {
        "damage": f"`exchange log verify --log-dir {where}` looks at all of it",
        "settings": "the log is not damaged: give --instruments and --limits the files that its core was started with",
        "empty": "give --log-dir the folder that `exchange core --log-dir` was given",
        "in_use": "stop the core that has it open first",
        "system": f"nothing says that the log is damaged: check owner, mode and mount of {where}, its room and its device",
    }
    return hints.get(cause, "")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which reports a run keeps; nothing: none, and then it runs at full speed."""

    everything: bool = False
    order_id: int = 0
    exec_types: frozenset[int] = frozenset()
    command_kinds: frozenset[int] = frozenset()


Kept = tuple[Report, Command]
"""A report, and the command under whose seq_num it came (its ts_ns is the time of both)."""


def run_to(replayer: _core.Replayer, *, seq_num: int = NO_LIMIT, ts_ns: int = NO_LIMIT, wanted: Wanted | None = None) -> Iterator[Kept]:
    """Applies the log up to the limits or its end, and hands out the kept reports as it goes. Says on stderr how far it is."""
    wanted = wanted or Wanted()
    applied, more = 0, True
    while more:
        done, _, more = replayer.run(
            seq_num=seq_num,
            ts_ns=ts_ns,
            records=PROGRESS_RECORDS,
            everything=wanted.everything,
            order_id=wanted.order_id,
            exec_types=_bits(wanted.exec_types),
            command_kinds=_bits(wanted.command_kinds),
        )
        applied += done
        yield from ((Report._make(report), Command(*command)) for report, command in replayer.take_kept())
        if applied // PROGRESS_RECORDS > (applied - done) // PROGRESS_RECORDS:
            place = replayer.place()
            note(f"replayed {number_text(applied)} commands, at {moment_text(place[2])}")


def run_through(replayer: _core.Replayer, *, seq_num: int = NO_LIMIT, ts_ns: int = NO_LIMIT) -> None:
    """The same, for who wants the state only."""
    for _ in run_to(replayer, seq_num=seq_num, ts_ns=ts_ns):
        pass


def _bits(values: frozenset[int]) -> int:
    return sum(1 << value for value in values)


def note(text: str) -> None:
    """For the person who waits: stdout holds data only."""
    print(text, file=sys.stderr, flush=True)


def warn(warnings: Sequence[str]) -> None:
    """What was passed over."""
    for warning in warnings:
        note(f"warning: {warning}")
