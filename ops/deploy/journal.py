"""What a release writes to the journal, and what is read back from it: the names of its events, and a fold of them into records.

Streams are `release-1`, `release-2`, ... Each begins with `release.started` and ends with `release.ended`; a stream without its end
belongs to a running `opsctl deploy`, or to one that died, whose rollback the next command finishes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from typing import Any

from ops.conventions import Pool
from ops.deploy.model import Round
from ops.errors import UsageError
from ops.ports import Event, Store

STARTED = "release.started"
PROCESSES = "processes.asked"
WEIGHT_ASKED = "weight.asked"
WEIGHT_APPLIED = "weight.applied"
CHECK = "check"
ABORT = "abort.requested"
PROMOTE = "promote.asked"
ROLLBACK = "rollback.started"
SESSIONS = "sessions.closed"
STOPPED = "processes.stopped"
SPLITTER_RESTARTED = "splitter.restarted"
GUARDIAN = "guardian.zeroed"
ENDED = "release.ended"
SWITCHED = "venue.switched"
"""`opsctl rollback` after a promotion: one switch back to N-1."""
VENUE = "venue"

_PREFIX = "release-"


@dataclass(frozen=True, slots=True)
class Record:
    """One release as the journal tells it."""

    stream: str
    number: int
    version: str
    stable_version: str
    stable_pool: Pool
    started_at_s: float
    events: tuple[Event, ...]
    switched_back: Event | None = None
    """The person's `opsctl rollback` that took users off it after its promotion."""

    @property
    def ended(self) -> Event | None:
        return next((e for e in reversed(self.events) if e.kind == ENDED), None)

    @property
    def promoting(self) -> bool:
        return any(e.kind == PROMOTE for e in self.events)

    @property
    def outcome(self) -> str:
        if self.ended is None:
            return "unfinished"
        if not self.ended.data["promoted"]:
            return f"rolled back ({self.ended.data['cause']})"
        return f"promoted, then switched back by {self.switched_back.data['by']}" if self.switched_back else "promoted"


def records(store: Store) -> tuple[Record, ...]:
    """Every release, oldest first."""
    streams: dict[str, list[Event]] = {}
    switches: list[Event] = []
    for event in store.events():
        if event.stream.startswith(_PREFIX):
            streams.setdefault(event.stream, []).append(event)
        elif event.kind == SWITCHED:
            switches.append(event)
    found = [_record(stream, events) for stream, events in streams.items() if events[0].kind == STARTED]
    for switch in switches:
        undone = [i for i, r in enumerate(found) if r.version == switch.data["from"] and r.ended and r.ended.seq < switch.seq]
        if undone:
            found[undone[-1]] = replace(found[undone[-1]], switched_back=switch)
    return tuple(found)


def record(store: Store, number: int) -> Record:
    """Raises UsageError naming what there is."""
    found = records(store)
    for one in found:
        if one.number == number:
            return one
    there = f"there are 1 to {found[-1].number}" if found else "there is none yet"
    raise UsageError(f"no release {number} in the history: {there}", hint="see `opsctl history`")


def next_stream(store: Store) -> str:
    return f"{_PREFIX}{len(records(store)) + 1}"


def unfinished(store: Store) -> Record | None:
    found = records(store)
    return found[-1] if found and found[-1].ended is None else None


def abort_request(store: Store, stream: str, after_seq: int) -> str:
    """The newest abort asked by another command since `after_seq`, as words; "" when none."""
    asked = [e for e in store.events(stream, after_seq) if e.kind == ABORT]
    return f"asked by {asked[-1].data['by']}: {asked[-1].data['reason']}" if asked else ""


def round_data(round_: Round, share: Fraction, fails_in_row: int, fails_total: int, passes: int) -> Mapping[str, Any]:
    return {
        "verdict": round_.verdict,
        "reason": round_.reason,
        "results": [asdict(r) for r in round_.results],
        "canary_requests": round_.canary_requests,
        "stable_requests": round_.stable_requests,
        "window_s": round(round_.window_s, 3),
        "share": float(share),
        "fails_in_row": fails_in_row,
        "fails_total": fails_total,
        "passes": passes,
    }


def _record(stream: str, events: list[Event]) -> Record:
    first = events[0].data
    return Record(
        stream=stream,
        number=int(stream.removeprefix(_PREFIX)),
        version=str(first["version"]),
        stable_version=str(first["stable_version"]),
        stable_pool=Pool(str(first["stable_pool"])),
        started_at_s=events[0].at_s,
        events=tuple(events),
    )
