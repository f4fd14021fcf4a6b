"""`exchange replay --verify`: every snapshot against the log, both ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine import _core
from engine.tools.edge import Partition, VenueLog, log_errors, run_through
from engine.tools.text import count_text, table

LOG_ALONE = "the log alone"


@dataclass(frozen=True, slots=True)
class Check:
    """One way to the end of the log. `problem` is empty when it gives the same state as the log alone does."""

    partition: int
    start: str
    seq_num: int
    records: int
    state_hash: int
    problem: str = ""


def verify(log: VenueLog) -> list[Check]:
    """For each partition: the log alone, then every snapshot and the tail behind it. Raises VenueError when the log cannot be read."""
    return [check for partition in log.partitions for check in _partition(partition)]


def _partition(partition: Partition) -> list[Check]:
    with log_errors(partition.folder):
        paths = [Path(path) for path in reversed(_core.list_snapshots(str(partition.folder)))]
        replayer = partition.replayer()
        on_the_way: dict[int, int] = {}
        for seq_num in sorted(seq_num for path in paths if (seq_num := _seq_num(path)) is not None):
            run_through(replayer, seq_num=seq_num)
            on_the_way[replayer.place()[0]] = replayer.engine().state_hash()
        run_through(replayer)
        end = replayer.place()[0]
        whole = Check(partition.number, LOG_ALONE, end, end, replayer.engine().state_hash())
        return [whole, *(_snapshot(partition, path, whole, on_the_way) for path in paths)]


def _seq_num(path: Path) -> int | None:
    try:
        seq_num: int = _core.read_snapshot(str(path))["seq_num"]
    except _core.SnapshotError:
        return None
    return seq_num


def _snapshot(partition: Partition, path: Path, whole: Check, on_the_way: dict[int, int]) -> Check:
    replayer = partition.replayer()
    try:
        replayer.load(str(path))
    except _core.SnapshotError as error:
        return Check(partition.number, path.name, 0, 0, 0, f"not usable: {str(error).removeprefix(f'{path}: ')}")
    start, at_start = replayer.place()[0], replayer.engine().state_hash()
    run_through(replayer, seq_num=whole.seq_num)
    problem = ""
    if on_the_way.get(start) != at_start:
        problem = "it is not the state that the log gives there"
    elif replayer.engine().state_hash() != whole.state_hash:
        problem = "with the tail it does not give the state that the log gives"
    return Check(partition.number, path.name, start, whole.seq_num - start, replayer.engine().state_hash(), problem)


def check_lines(checks: Sequence[Check]) -> list[str]:
    """A table, and a plain verdict."""
    rows = [
        (str(one.partition), one.start, str(one.seq_num), str(one.records), f"{one.state_hash:016x}", one.problem or "same state")
        for one in checks
    ]
    lines = table(("partition", "start", "at seq_num", "replayed", "state hash at the end", "verdict"), rows, left=(1, 5))
    bad = sum(1 for one in checks if one.problem)
    snapshots = sum(1 for one in checks if one.start != LOG_ALONE)
    verdict = f"{bad} of {count_text(snapshots, 'snapshot')} failed" if bad else f"the log and {count_text(snapshots, 'snapshot')} agree"
    return [*lines, "", verdict]


def check_json(checks: Sequence[Check]) -> dict[str, object]:
    """For machines."""
    return {
        "checks": [
            {"partition": one.partition, "start": one.start, "seq_num": one.seq_num, "records": one.records,
             "state_hash": f"{one.state_hash:016x}", "problem": one.problem or None}
            for one in checks
        ],
        "agree": not any(one.problem for one in checks),
    }  # fmt: skip
