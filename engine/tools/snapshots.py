"""`exchange snapshot`: of every partition, from its log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.config import VenueError
from engine.tools.edge import EXIT_LOG, VenueLog, log_errors, warn
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
        raise VenueError(f"{log.log_dir}: the log holds no command yet, so there is nothing to snapshot", exit_code=EXIT_LOG)
    return made


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
