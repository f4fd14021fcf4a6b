"""`exchange snapshot`: of every partition, from its log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine import _core
from engine.config import VenueError
from engine.tools.edge import EXIT_LOG, VenueLog, last_seq_nums, log_errors, warn
from engine.tools.text import count_text
from engine.tools.when import moment_text


@dataclass(frozen=True, slots=True)
class Made:
    """Of one partition. `path` is the newest snapshot now; `is_new`: this call wrote it, after `records` commands behind the one before."""

    partition: int
    path: str
    seq_num: int
    ts_ns: int
    state_hash: int
    live_orders: int
    records: int
    is_new: bool


def make_snapshots(log: VenueLog, keep: int) -> list[Made]:
    """Raises VenueError when a log cannot be read, a snapshot cannot be written, or there is nothing to write."""
    made = []
    for partition in log.partitions:
        replayer = partition.replayer()
        with log_errors(partition.folder):
            result = replayer.make_snapshot(keep)
        warn(result["warnings"])
        if "path" in result:
            made.append(
                Made(partition.number, result["path"], result["seq_num"], result["ts_ns"], result["state_hash"],
                     replayer.engine().live_orders(), result["records"], result["is_new"])
            )  # fmt: skip
    if not made:
        raise _nothing_yet(log)
    return made


@dataclass(frozen=True, slots=True)
class Planned:
    """Of one partition: the end of its log now, and the newest snapshot that is there (0: none)."""

    partition: int
    folder: Path
    seq_num: int
    newest: int

    @property
    def is_new(self) -> bool:
        return self.seq_num > self.newest


def plan_snapshots(log: VenueLog) -> list[Planned]:
    """What make_snapshots would do, by the ends of the logs alone: nothing is applied, nothing written. Raises VenueError."""
    planned = []
    for partition, end in zip(log.partitions, last_seq_nums(log), strict=True):
        names = [Path(path).stem for path in _core.list_snapshots(str(partition.folder))]
        newest = max((int(name) for name in names if name.isdecimal()), default=0)
        planned.append(Planned(partition.number, partition.folder, end, newest))
    if not any(one.seq_num for one in planned):
        raise _nothing_yet(log)
    return planned


def planned_lines(planned: Sequence[Planned]) -> list[str]:
    """A line a partition."""
    return [
        f"partition {one.partition}: would write a snapshot of seq_num {one.seq_num} into {one.folder / 'snapshots'}"
        if one.is_new
        else f"partition {one.partition}: no command since the snapshot of seq_num {one.newest}, nothing would be written"
        for one in planned
    ]


def planned_json(planned: Sequence[Planned]) -> dict[str, object]:
    """For machines."""
    return {
        "snapshots": [
            {"partition": one.partition, "seq_num": one.seq_num, "newest_seq_num": one.newest, "would_write": one.is_new} for one in planned
        ]
    }


def _nothing_yet(log: VenueLog) -> VenueError:
    return VenueError(f"{log.log_dir}: the log holds no command yet, so there is nothing to snapshot", exit_code=EXIT_LOG)


def made_lines(made: Sequence[Made]) -> list[str]:
    """Two lines a partition."""
    lines = []
    for one in made:
        what = f"{count_text(one.records, 'command')} replayed" if one.is_new else "no command since, nothing written"
        lines += [f"partition {one.partition}: {one.path}",
                  f"  seq_num {one.seq_num} of {moment_text(one.ts_ns)}, {count_text(one.live_orders, 'live order')}; {what}"]  # fmt: skip
    return lines


def made_json(made: Sequence[Made]) -> dict[str, object]:
    """For machines."""
    return {
        "snapshots": [
            {"partition": one.partition, "path": one.path, "seq_num": one.seq_num, "ts_ns": one.ts_ns, "time": moment_text(one.ts_ns),
             "state_hash": f"{one.state_hash:016x}", "live_orders": one.live_orders, "records": one.records, "written": one.is_new}
            for one in made
        ]
    }  # fmt: skip
