"""`exchange log verify` and `exchange log repair`: what the native tools found (docs/log.md), in lines and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine import _core
from engine.tools.edge import log_errors
from engine.tools.text import count_text, table
from engine.tools.when import moment_text

Verified = dict[str, Any]
MAX_PROBLEMS_SHOWN = 20


def verified(folder: Path) -> Verified:
    """Of one partition's folder: what `_core.log_verify` says, and "folder". Raises VenueError when it cannot be read."""
    with log_errors(folder):
        return {"folder": str(folder), **_core.log_verify(str(folder))}


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
        lines.append(_verdict(one))
    return lines[1:]


def _problem_line(problem: dict[str, Any]) -> str:
    span = f"{problem['seq_num']} to {problem['last_seq_num']}" if problem["last_seq_num"] > problem["seq_num"] else str(problem["seq_num"])
    return f"{problem['segment']}: offset {problem['offset']}: seq_num {span}: {problem['what']}"


def _verdict(one: Verified) -> str:
    end = f"{count_text(one['records'], 'good record')}, the log ends at seq_num {one['last_seq_num']}"
    in_use = "; a core has it open, so its end may be moving" if one["in_use"] else ""
    if not one["starts"]:
        return f"damaged: {end}; a core refuses to start on it. `exchange log repair --dry-run` says what can be kept{in_use}"
    if one["problems"]:
        return f"good: {end}; a start cuts the torn tail, which nobody was answered for{in_use}"
    return f"good: {end}{in_use}"


def verified_json(found: Sequence[Verified]) -> dict[str, object]:
    """For machines."""
    return {"logs": list(found), "starts": all(one["starts"] for one in found)}


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
    kept_in: str = ""
    """The folder that has what was cut off; empty while nothing was done."""


def plan(folder: Path) -> Plan:
    """Looks only. Raises VenueError."""
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
    if not one.needed:
        return [f"{one.folder}: nothing to repair"]
    if not one.possible:
        return [f"{one.folder}: cannot be repaired here: {one.reason}", "  restore the log folder from a backup or a standby"]
    spans = ", ".join(f"{first} to {last}" if last > first else str(first) for first, last in one.lost[:10])
    lost = f"lost: {count_text(one.lost_records, 'good record')}" + (f", seq_num {spans}" if spans else "")
    lines = [f"{one.folder}: {one.reason}", f"  {'cut' if one.kept_in else 'to cut'}: everything from seq_num {one.cut_from} on; {lost}"]
    lines += [f"  {'cut back' if one.kept_in else 'to cut back'}: {one.zeroed}"] if one.zeroed else []
    lines += [f"  {'removed' if one.kept_in else 'to remove'}: {path}" for path in one.removed]
    return [*lines, f"  what was there is kept in {one.kept_in}"] if one.kept_in else lines


def plan_json(plans: Sequence[Plan]) -> dict[str, object]:
    """For machines."""
    return {
        "logs": [
            {"folder": str(one.folder), "needed": one.needed, "possible": one.possible, "reason": one.reason, "cut_from": one.cut_from,
             "lost_records": one.lost_records, "lost": [list(span) for span in one.lost], "zeroed": one.zeroed or None,
             "removed": list(one.removed), "repaired": bool(one.kept_in), "kept_in": one.kept_in or None}
            for one in plans
        ]
    }  # fmt: skip
