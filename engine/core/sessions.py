"""The trading day's schedule: when instruments change their state. Data and pure functions; engine/core/day.py carries it out.

    time_zone: America/New_York
    weekdays: [mon, tue, wed, thu, fri]
    holidays: [2026-11-26, 2026-12-25]
    events:
      - {at: "09:28", state: opening_auction}
      - {at: "09:30", state: continuous}
      - {at: "16:00", state: closed}

`at` is local time in quotes: without them YAML reads 16:00 as a number. An event whose local time a day leaves out, because the
clock jumps over it, happens as late as it would have by the clock before the jump; of a time that comes twice the first one counts.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from engine.config import VenueError, brief, read_text, read_yaml
from engine.types import SessionState

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
STATES = {state.name.lower(): state for state in SessionState}
AT = re.compile(r"([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?")
MAX_EVENTS = 1000
HORIZON_DAYS = 3660
"""How far ahead a trading day is looked for: past every list of holidays that a person would write."""
LOOK_BACK_DAYS = 7
"""How far back a missed event is looked for: over a weekend and the holidays beside it, and a whole week of a weekly schedule."""
_FIELDS = ("time_zone", "weekdays", "holidays", "events")
_HINT = 'an event looks like {at: "09:30", state: continuous}'


@dataclass(frozen=True, slots=True)
class Event:
    """At this local time of every trading day all instruments go to `state`."""

    at: time
    state: SessionState


@dataclass(frozen=True, slots=True)
class Due:
    """An event of one day, in UTC."""

    at: datetime
    state: SessionState


@dataclass(frozen=True, slots=True)
class Schedule:
    """`weekdays`: 0 is Monday. `events` ascend."""

    zone: ZoneInfo
    weekdays: frozenset[int]
    holidays: frozenset[date]
    events: tuple[Event, ...]


def next_event(schedule: Schedule, now: datetime) -> Due | None:
    """The first event after `now` (aware); None when none comes within HORIZON_DAYS."""
    today = now.astimezone(schedule.zone).date()
    for ahead in range(HORIZON_DAYS):
        for due in events_of(schedule, today + timedelta(days=ahead)):
            if due.at > now:
                return due
    return None


def newest_event(schedule: Schedule, now: datetime) -> Due | None:
    """The last event at or before `now` (aware), on `now`'s own day in the schedule's zone or the LOOK_BACK_DAYS before it."""
    today = now.astimezone(schedule.zone).date()
    for back in range(LOOK_BACK_DAYS + 1):
        past = [due for due in events_of(schedule, today - timedelta(days=back)) if due.at <= now]
        if past:
            return past[-1]
    return None


def events_of(schedule: Schedule, day: date) -> list[Due]:
    """Ascending; none on a day without trading."""
    if day.weekday() not in schedule.weekdays or day in schedule.holidays:
        return []
    made = [Due(datetime.combine(day, event.at, schedule.zone).astimezone(UTC), event.state) for event in schedule.events]
    return sorted(made, key=lambda due: due.at)


def load_schedule(path: Path) -> Schedule:
    """Raises VenueError naming the file and the field."""
    return parse_schedule(read_text(path, "the sessions file"), str(path))


def parse_schedule(text: str, source: str) -> Schedule:
    """Raises VenueError naming `source`, the entry and the field."""
    value = read_yaml(text, source)
    if not isinstance(value, dict):
        raise VenueError(f"{source}: expected a mapping with {', '.join(_FIELDS)}", hint=_HINT)
    for name in value:
        if name not in _FIELDS:
            raise VenueError(f"{source}: unknown field {brief(name)}", hint=f"known fields: {', '.join(_FIELDS)}")
    return Schedule(
        _zone(value.get("time_zone"), source),
        _weekdays(value.get("weekdays", ["mon", "tue", "wed", "thu", "fri"]), source),
        _holidays(value.get("holidays", []), source),
        _events(value.get("events"), source),
    )


def _zone(value: object, source: str) -> ZoneInfo:
    if not isinstance(value, str):
        raise VenueError(f"{source}: time_zone: expected a name such as America/New_York, not {brief(value)}")
    try:
        return ZoneInfo(value)
    except (KeyError, ValueError, OSError) as error:
        raise VenueError(f"{source}: time_zone: no zone is called {brief(value)}", hint="names are those of the IANA list") from error


def _weekdays(value: object, source: str) -> frozenset[int]:
    if not isinstance(value, list) or not value or any(not isinstance(one, str) or one not in WEEKDAYS for one in value):
        raise VenueError(f"{source}: weekdays: expected a list out of {', '.join(WEEKDAYS)}, not {brief(value)}")
    return frozenset(WEEKDAYS.index(one) for one in value)


def _holidays(value: object, source: str) -> frozenset[date]:
    if not isinstance(value, list) or any(not isinstance(one, date) or isinstance(one, datetime) for one in value):
        raise VenueError(f"{source}: holidays: expected a list of days such as 2026-12-25, not {brief(value)}")
    return frozenset(value)


def _events(value: object, source: str) -> tuple[Event, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_EVENTS:
        raise VenueError(f"{source}: events: expected a list of 1 to {MAX_EVENTS} events, not {brief(value)}", hint=_HINT)
    events = sorted((_event(row, f"{source}: events: entry {number}") for number, row in enumerate(value)), key=lambda event: event.at)
    for one, following in itertools.pairwise(events):
        if one.at == following.at:
            raise VenueError(f"{source}: events: two at {one.at}", hint="one of them would never be seen")
    return tuple(events)


def _event(row: object, where: str) -> Event:
    if not isinstance(row, dict) or set(row) != {"at", "state"}:
        raise VenueError(f"{where}: expected at and state, not {brief(row)}", hint=_HINT)
    at, state = row["at"], row["state"]
    match = AT.fullmatch(at) if isinstance(at, str) else None
    if match is None:
        raise VenueError(f"{where}: at: expected a quoted local time, not {brief(at)}", hint='write "09:30" or "09:30:15", in quotes')
    if not isinstance(state, str) or state not in STATES:
        raise VenueError(f"{where}: state: expected one of {', '.join(STATES)}, not {brief(state)}")
    return Event(time(int(match[1]), int(match[2]), int(match[3] or 0)), STATES[state])
