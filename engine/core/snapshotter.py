"""A snapshot now and then, made by a child process that reads the log: the core's own threads have no part in it.

One child at a time, with low priority and a bound on its time. A snapshot that fails costs nothing but a longer next start, so it
is a warning, and the age of the newest one shows on /metrics.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from engine.logs import JsonLog, WallClock, wall_clock_ns

NICE = 19
TIMEOUT_S = 600.0
"""A hundred million commands are replayed in less."""
MAX_ERROR_CHARS = 500
FOLDER, SUFFIX = "snapshots", ".snap"


@dataclass(slots=True)
class SnapshotFigures:
    """What /metrics shows. `seq_nums`: of the newest snapshot of each partition that has one. `fresh_s`: when the newest were last known
    to be all there is to snapshot, in seconds since the epoch; None before the first."""

    seq_nums: dict[int, int] = field(default_factory=dict)
    fresh_s: float | None = None
    failures: int = 0


def partition_folder(log_dir: Path, partition: int, partitions: int) -> Path:
    """Where the core keeps one partition's log (core.hpp)."""
    return log_dir if partitions == 1 else log_dir / f"partition-{partition:02d}"


def found_on_disk(log_dir: Path, partitions: int) -> SnapshotFigures:
    """What a start finds: names and times of the files; whether they are good is for recovery to find out."""
    figures = SnapshotFigures()
    times = []
    for partition in range(partitions):
        newest = max((partition_folder(log_dir, partition, partitions) / FOLDER).glob(f"*{SUFFIX}"), default=None)
        if newest is not None and newest.stem.isdigit():
            figures.seq_nums[partition] = int(newest.stem)
            with suppress(OSError):
                times.append(newest.stat().st_mtime)
    figures.fresh_s = min(times) if len(times) == partitions else None
    return figures


def snapshot_command(log_dir: Path, instruments_path: Path, partitions: int, limits_path: Path | None) -> list[str]:
    """The child's argv. -P: the working folder is no place to import from."""
    command = [sys.executable, "-P", "-m", "engine.cli", "snapshot", "--log-dir", str(log_dir), "--instruments", str(instruments_path)]
    command += ["--partitions", str(partitions), "--output", "json"]
    return command + (["--limits", str(limits_path)] if limits_path is not None else [])


@dataclass(slots=True)
class Snapshotter:
    """`run()` until cancelled. `newest_seq_num`: the sum over the partitions, to tell whether there is anything new."""

    command: Sequence[str]
    every_s: float
    newest_seq_num: Callable[[], int]
    figures: SnapshotFigures
    log: JsonLog
    clock: WallClock = wall_clock_ns
    timeout_s: float = TIMEOUT_S
    _done_seq_num: int = 0

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self.every_s)
            await self.once()

    async def once(self) -> None:
        newest = self.newest_seq_num()
        if newest == self._done_seq_num:
            self._all_there(newest)
            return
        started_ns = self.clock()
        try:
            written = await self._child()
        except _Failed as error:
            self.figures.failures += 1
            self.log.warning("snapshot.failed", reason=str(error), hint="the log has everything; a start only takes longer")
            return
        self._all_there(newest)
        self.figures.seq_nums |= written
        self.log.info("snapshot.done", seq_nums=list(written.values()), seconds=round((self.clock() - started_ns) / 1e9, 3))

    def _all_there(self, newest: int) -> None:
        """An empty log needs no snapshot, and has none."""
        self._done_seq_num = newest
        if newest > 0:
            self.figures.fresh_s = self.clock() / 1e9

    async def _child(self) -> dict[int, int]:
        """seq_num by partition. Raises _Failed."""
        try:
            child = await asyncio.create_subprocess_exec(
                *self.command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
            )
        except OSError as error:
            raise _Failed(f"it could not be started: {error.strerror}") from error
        try:
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, child.pid, NICE)
            async with asyncio.timeout(self.timeout_s):
                out, err = await child.communicate()
        except TimeoutError as error:
            raise _Failed(f"it took longer than {self.timeout_s:g} s") from error
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        if child.returncode != 0:
            raise _Failed(err.decode(errors="replace").strip()[-MAX_ERROR_CHARS:] or f"it ended with code {child.returncode}")
        return _seq_nums(out)


class _Failed(Exception):
    """Why there is no snapshot."""


def _seq_nums(out: bytes) -> dict[int, int]:
    try:
        return {int(one["partition"]): int(one["seq_num"]) for one in json.loads(out)["snapshots"]}
    except (ValueError, KeyError, TypeError) as error:
        raise _Failed("its answer was not understood") from error
