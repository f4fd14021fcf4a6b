"""The days on which generated tests happen, found in the venue's own calendar: an ordinary day, a half day, a holiday, a clock change.

Not every calendar has every kind of day (a market that never closes has neither half days nor holidays). What is not there is None, and the
test says so in a comment instead of proving nothing in silence.
"""

from __future__ import annotations

import calendar as months
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from ops.session import Calendar, DayType, Hours, Zone, offsets

DAY_S = 86400
HORIZON_DAYS = 61
"""A day closer than this to the calendar's end raises CalendarHorizon, which is not what is to be shown."""
SEARCH_DAYS = 366 * 2
ENOUGH_S = 4 * 3600

Span = tuple[int, int]
"""Start and end, Unix time."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Where to look. A span is one stretch of a zone in the week of the ordinary day."""

    day: date
    session: Span | None
    extended: Span | None
    maintenance: Span | None
    open_s: int | None
    """When trading begins on `day` or the next day after it that has an open; what is before is not trading."""
    close_s: int | None
    half_day: Span | None
    """The last trading of a day of dated type that ends earlier than an ordinary day: start and end."""
    holiday: date | None
    clock_changes: tuple[tuple[int, int], ...]
    """Opens on both sides of a change of the clocks: (last before, first after); at most one pair a direction."""
    month_end: date
    """The last day of a local month, whose neighbours are known too."""


def find(calendar: Calendar) -> Moments:
    """The moments of a calendar. The same calendar always gives the same."""
    changes = tuple(_changes(calendar))
    day = _ordinary_day(calendar, changes)
    start_s = calendar.day_start_s(day)
    week = list(calendar.spans(start_s, start_s + 8 * DAY_S, volatile=False))
    inner = week[1:-1] if len(week) > 2 else week
    opens = [begin_s for begin_s, _, zone in inner if zone.hours is Hours.REGULAR] if len(week) > 1 else []
    closes = [end_s for _, end_s, zone in inner if zone.hours is Hours.REGULAR] if len(week) > 1 else []
    return Moments(
        day,
        _longest(week, Zone.REGULAR),
        _longest(week, Zone.EXTENDED),
        _longest(week, Zone.MAINTENANCE),
        opens[0] if opens else None,
        closes[0] if closes else None,
        _half_day(calendar),
        next((day for day in sorted(calendar.holidays) if _fits(calendar, day)), None),
        tuple(_about_changes(calendar, changes)),
        _month_end(day),
    )


def _fits(calendar: Calendar, day: date) -> bool:
    return calendar.valid_from < day <= calendar.valid_until - timedelta(days=HORIZON_DAYS)


def _days(calendar: Calendar) -> Iterator[date]:
    day, last = calendar.valid_from, min(calendar.valid_until, calendar.valid_from + timedelta(days=SEARCH_DAYS))
    while day < last:
        day += timedelta(days=1)
        if _fits(calendar, day):
            yield day


def _changes(calendar: Calendar) -> Iterator[int]:
    first_s, last_s = calendar.day_start_s(calendar.valid_from), calendar.day_start_s(calendar.valid_until)
    yield from (at_s for at_s, _ in offsets(calendar.timezone, first_s, min(last_s, first_s + SEARCH_DAYS * DAY_S))[1:])


def _ordinary_day(calendar: Calendar, changes: tuple[int, ...]) -> date:
    """A trading day of ordinary kind, in the middle of a month, whose week has neither holidays nor a change of the clocks; else the first
    that trades, else the first that is known."""
    trading = [day for day in _days(calendar) if _is_ordinary(calendar.day_type(day))]
    for day in trading:
        week = [day + timedelta(days=ahead) for ahead in range(-2, 9)]
        quiet = not any(calendar.day_start_s(week[0]) <= at_s <= calendar.day_start_s(week[-1]) for at_s in changes)
        plain = all(each not in calendar.holidays and each not in calendar.closures for each in week)
        if quiet and plain and 5 <= day.day <= 15:
            return day
    return trading[0] if trading else calendar.valid_from + timedelta(days=1)


def _is_ordinary(kind: DayType | None) -> bool:
    return kind is not None and bool(kind.weekdays)


def _longest(spans: list[tuple[int, int, Zone]], zone: Zone) -> Span | None:
    """The first span of that zone that is long enough for every test, else the longest."""
    found = [(begin_s, end_s) for begin_s, end_s, each in spans if each is zone]
    return max(found, key=lambda span: (min(span[1] - span[0], ENOUGH_S), -span[0]), default=None)


def _half_day(calendar: Calendar) -> Span | None:
    """Ends earlier than the same weekday ordinarily does."""
    for day in sorted(day for kind in calendar.day_types for day in kind.dates if _fits(calendar, day)):
        usual = next((kind for kind in calendar.day_types if day.weekday() in kind.weekdays), None)
        phases = calendar.day_phases(day)
        if phases and usual and usual.phases and phases[-1].end_min < usual.phases[-1].end_min:
            start_s = calendar.day_start_s(day)
            spans = [
                (begin_s, end_s)
                for begin_s, end_s, zone in calendar.spans(start_s, start_s + DAY_S, volatile=False)
                if zone.hours is Hours.REGULAR
            ]
            if spans:
                return spans[-1]
    return None


def _about_changes(calendar: Calendar, changes: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Per change: the last open within the four days before it and the first within the four after it."""
    seen: set[int] = set()
    for at_s in changes:
        day = calendar.to_local(at_s).date()
        before, after = _opens(calendar, day - timedelta(days=4), day), _opens(calendar, day, day + timedelta(days=4))
        before, after = [each for each in before if each < at_s], [each for each in after if each > at_s]
        shift = offsets(calendar.timezone, at_s - 1, at_s + 1)
        direction = 1 if shift[-1][1] > shift[0][1] else -1
        known = before and after and _fits(calendar, calendar.to_local(after[0]).date())
        if known and direction not in seen:
            seen.add(direction)
            yield before[-1], after[0]


def _opens(calendar: Calendar, first: date, last: date) -> list[int]:
    spans = list(calendar.spans(calendar.day_start_s(first), calendar.day_start_s(last + timedelta(days=1)), volatile=False))
    return [begin_s for begin_s, _, zone in spans[1:] if zone.hours is Hours.REGULAR]


def _month_end(day: date) -> date:
    """The end of the ordinary day's month."""
    return day.replace(day=months.monthrange(day.year, day.month)[1])
