"""`exchange log verify` and `exchange log repair`: what the native tools found (docs/log.md), in lines and as JSON."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine import _core
from engine.config import VenueError
from engine.tools.edge import EXIT_HISTORY, EXIT_LOG, log_errors
from engine.tools.text import count_text, table
from engine.tools.when import moment_text

Verified = dict[str, Any]
MAX_PROBLEMS_SHOWN = 20
SEGMENT_FILE = re.compile(r"\d{8}\.log")


def verified(folder: Path) -> Verified:
    """Of one partition's folder: what `_core.log_verify` says, and "folder". Raises VenueError when there is no log to read."""
    _require_log(folder)
    with log_errors(folder):
        return {"folder": str(folder), **_core.log_verify(str(folder))}


def _require_log(folder: Path) -> None:
    """A folder that no core ever wrote to has nothing wrong with it, and nothing right."""
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError:
        return  # the native side says what is wrong
    if not any(SEGMENT_FILE.fullmatch(name) for name in names):
        lost = ", and its snapshots say that there was one: restore it from a copy" if list(folder.glob("snapshots/*.snap")) else ""
        raise VenueError(f"{folder}: no log there: it has no segment (00000001.log, ...){lost}", exit_code=EXIT_LOG,
                         hint="give --log-dir the folder that `exchange core --log-dir` was given")  # fmt: skip


def exit_code(found: Sequence[Verified]) -> int:
    """0, EXIT_LOG: a core refuses to start, EXIT_HISTORY: it starts, and what lies before its snapshot is damaged."""
    if not all(one["starts"] for one in found):
        return EXIT_LOG
    return EXIT_HISTORY if any(one["history_damaged"] for one in found) else 0


def verified_lines(found: Sequence[Verified]) -> list[str]:
    """Per folder: a table of segments, the problems, and a plain verdict."""
    lines: list[str] = []
    for one in found:
        rows = [
            (Path(segment["path"]).name, str(segment["records"]), str(segment["first_record"] or "-"), str(segment["last_record"] or "-"),
             str(segment["last_epoch"] or segment["epoch"]), moment_text(segment["last_ts_ns"]) if segment["records"] else "-")
            for segment in one["segments"]
        ]  # fmt: skip
        lines += ["", one["folder"], *table(("segment", "records", "from", "to", "epoch", "last time"), rows, left=(0, 5)), ""]
        lines += [_problem_line(problem) for problem in one["problems"][:MAX_PROBLEMS_SHOWN]]
        hidden = len(one["problems"]) - MAX_PROBLEMS_SHOWN + one["problems_left_off"]
        lines += [f"and {count_text(hidden, 'problem')} more"] if hidden > 0 else []
        lines += [f"left out by a start: {snapshot['wrong']}" for snapshot in one["snapshots"] if snapshot["wrong"]]
        lines.append(_verdict(one))
    return lines[1:]


def _problem_line(problem: dict[str, Any]) -> str:
    if problem["kind"] == "snapshot":
        return f"{problem['segment']}: {problem['what']}"
    span = f"{problem['seq_num']} to {problem['last_seq_num']}" if problem["last_seq_num"] > problem["seq_num"] else str(problem["seq_num"])
    return f"{problem['segment']}: offset {problem['offset']}: seq_num {span}: {problem['what']}"


def _verdict(one: Verified) -> str:
    in_use = "; a core has it open, so its end may be moving" if one["in_use"] else ""
    records, end = count_text(one["records"], "good record"), one["last_seq_num"]
    if not one["starts"]:
        said = (f"damaged: {records}, all good up to seq_num {end}; a core refuses to start on it. "
                "`exchange log repair --dry-run` says what can be kept")  # fmt: skip
    elif one["history_damaged"]:
        said = (f"damaged history: {records}, all good up to seq_num {end}. A core starts from the snapshot of seq_num "
                f"{one['start_behind']} and the records behind it, up to {one['start_last_seq_num']}; what lies before cannot be replayed "
                "or settled. Keep the snapshot: without one the log does not start")  # fmt: skip
    elif one["problems"]:
        said = (f"torn: {records}, the log ends at seq_num {end}; a start cuts the torn tail. If a crash tore it, nobody was answered "
                "for it; if the core ended in peace, it rotted, and somebody may have been: keep a copy first")  # fmt: skip
    else:
        said = f"good: {records}, the log ends at seq_num {end}"
    return said + in_use


def verified_json(found: Sequence[Verified]) -> dict[str, object]:
    """For machines."""
    return {"logs": list(found), "starts": all(one["starts"] for one in found),
            "history_damaged": any(one["history_damaged"] for one in found)}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """What a repair of one folder would do, or `done`, did. Fields as in LogRepairPlan (log_tools.hpp)."""

    folder: Path
    needed: bool
    possible: bool
    reason: str
    cut_from: int
    lost_records: int
    lost: Sequence[tuple[int, int]]
    zeroed: str
    removed: Sequence[str]
    history_damaged: bool = False
    snapshots: Sequence[str] = ()
    mended: Sequence[str] = ()
    kept_in: str = ""
    """The folder that has what was cut off; empty while nothing was done."""


def plan(folder: Path) -> Plan:
    """Looks only. Raises VenueError."""
    _require_log(folder)
    with log_errors(folder):
        return Plan(folder, **_core.log_plan_repair(str(folder)))


def repair(made: Plan, now_ns: int) -> Plan:
    """Does what the plan says, if the log still needs just that. Raises VenueError when it does not, or a core has the log open."""
    stamp = moment_text(now_ns).partition(".")[0].replace(":", "").replace("-", "") + "Z"
    with log_errors(made.folder):
        _core.log_repair(str(made.folder), stamp, made.cut_from)
    return replace(made, kept_in=str(made.folder / f"damaged-{stamp}"))


def plan_lines(plans: Sequence[Plan]) -> list[str]:
    """For people."""
    return [line for one in plans for line in _plan_lines(one)]


def _plan_lines(one: Plan) -> list[str]:
    if one.history_damaged:
        return [f"{one.folder}: not repaired: {one.reason}"]
    if not one.needed:
        return [f"{one.folder}: nothing to repair"]
    if not one.possible:
        return [f"{one.folder}: cannot be repaired here: {one.reason}", "  restore the log folder from a backup or a standby"]
    done = bool(one.kept_in)
    lines = [f"{one.folder}: {one.reason}"]
    lines += [f"  {'mended' if done else 'to mend'}: {what}" for what in one.mended]
    lines.append(_cut_line(one))
    lines += [f"  {'cut back' if done else 'to cut back'}: {one.zeroed}"] if one.zeroed else []
    lines += [f"  {'removed' if done else 'to remove'}: {path}" for path in one.removed]
    lines += [f"  {'moved away' if done else 'to move away'}: {path}: it holds more than the log then does" for path in one.snapshots]
    return [*lines, f"  what was there is kept in {one.kept_in}"] if done else lines


def _cut_line(one: Plan) -> str:
    if not one.cut_from:
        return "  no record is cut"
    spans = ", ".join(f"{first} to {last}" if last > first else str(first) for first, last in one.lost[:10])
    lost = f"lost: {count_text(one.lost_records, 'good record')}" + (f", seq_num {spans}" if spans else "")
    return f"  {'cut' if one.kept_in else 'to cut'}: everything from seq_num {one.cut_from} on; {lost}"


def plan_json(plans: Sequence[Plan]) -> dict[str, object]:
    """For machines."""
    return {
        "logs": [
            {"folder": str(one.folder), "needed": one.needed, "possible": one.possible, "reason": one.reason, "cut_from": one.cut_from,
             "lost_records": one.lost_records, "lost": [list(span) for span in one.lost], "zeroed": one.zeroed or None,
             "removed": list(one.removed), "snapshots": list(one.snapshots), "mended": list(one.mended),
             "history_damaged": one.history_damaged, "repaired": bool(one.kept_in), "kept_in": one.kept_in or None}
            for one in plans
        ]
    }  # fmt: skip
