"""The trading session as data: when a venue trades, when it is maintained, and which of four zones a moment is in. Pure; no I/O, no clock.

Zones are total and disjoint by construction: maintenance first, then the trading phases of the day, split by volatility, then extended
hours for everything else (evenings, weekends, holidays). A day outside `valid_from..valid_until` is judged as the ordinary day of its
weekday, so that protection stays on (O10, architecture: "an unknown day is trading for protection"); `is_known` is for whoever must
treat it as closed.
All times are minutes of the venue's local day, from 0 to 1440; a window that crosses midnight is written as two.
"""

from __future__ import annotations

import calendar
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import IntEnum, StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

DAY_S = 86400
CHANGE_HORIZON_S = 40 * DAY_S
"""How far ahead a change of zone is looked for: longer than any venue stays closed."""


class Zone(IntEnum):
    """Row O10."""

    VOLATILE = 1
    """Trading, volatility index high, or not known."""
    REGULAR = 2
    """Trading, volatility index low."""
    EXTENDED = 3
    """Not trading, not maintenance."""
    MAINTENANCE = 4

    @property
    def hours(self) -> Hours:
        return {Zone.EXTENDED: Hours.EXTENDED, Zone.MAINTENANCE: Hours.MAINTENANCE}.get(self, Hours.REGULAR)


class Hours(StrEnum):
    """Zones whose slices count together in a burn rate: 1 and 2 are both regular hours."""

    REGULAR = "regular"
    EXTENDED = "extended"
    MAINTENANCE = "maintenance"


class PhaseName(StrEnum):
    OPENING_AUCTION = "opening_auction"
    CONTINUOUS = "continuous"
    CLOSING_AUCTION = "closing_auction"


@dataclass(frozen=True, slots=True)
class Phase:
    """Part of a trading day, [start_min, end_min). Every phase is trading; a lunch break is the gap between two phases."""

    name: PhaseName
    start_min: int
    end_min: int


@dataclass(frozen=True, slots=True)
class DayType:
    """Days with the same phases: the ordinary days of some weekdays (Monday is 0), or dates of their own (a half day)."""

    name: str
    phases: tuple[Phase, ...]
    weekdays: frozenset[int] = frozenset()
    dates: frozenset[date] = frozenset()


@dataclass(frozen=True, slots=True)
class Maintenance:
    """A window of maintenance on some weekdays, [start_min, end_min) of the local day. It wins over trading."""

    weekdays: frozenset[int]
    start_min: int
    end_min: int


@dataclass(frozen=True, slots=True)
class Volatility:
    """When the index is high: above `above` at some time within `memory_s`, and above `calm` at some time within `hold_s`. So a value that
    swings about the bound does not swing the zone. Without a sample within `hold_s` it counts as high: the stricter zone."""

    metric: str
    above: float
    calm: float
    hold_s: int
    memory_s: int


@dataclass(frozen=True, slots=True)
class Calendar:
    name: str
    timezone: str
    """IANA name."""
    valid_from: date
    valid_until: date
    """Last day whose holidays are known."""
    day_types: tuple[DayType, ...]
    holidays: Mapping[date, str]
    closures: Mapping[date, str]
    """Ad-hoc closures, kept by hand; `import` leaves them."""
    maintenance: tuple[Maintenance, ...]
    volatility: Volatility | None

    def day_type(self, day: date) -> DayType | None:
        """What kind of trading day it is; None when the venue does not trade. Closures win over holidays, holidays over dated types, those
        over the weekday's ordinary one. A day outside `valid_from..valid_until` without an entry is the ordinary day of its weekday."""
        if day in self.closures or day in self.holidays:
            return None
        dated = next((kind for kind in self.day_types if day in kind.dates), None)
        return dated or next((kind for kind in self.day_types if day.weekday() in kind.weekdays), None)

    def day_phases(self, day: date) -> tuple[Phase, ...]:
        """The phases in which the venue trades on that local day; () when it is closed."""
        kind = self.day_type(day)
        return kind.phases if kind else ()

    def is_known(self, day: date) -> bool:
        """Whether holidays of that day's year are in the calendar."""
        return self.valid_from <= day <= self.valid_until

    def to_local(self, at_s: float) -> datetime:
        """The venue's wall clock at a Unix time, with its offset."""
        return datetime.fromtimestamp(at_s, ZoneInfo(self.timezone))

    def zone_at(self, at_s: float, volatile: bool = True) -> Zone:
        """The zone of a Unix time. `volatile` is the stricter case, as when the index is not known; see `volatility_high`.

        Without a `volatility` there is no zone 1, whatever `volatile` says."""
        local = self.to_local(at_s)
        minute = local.hour * 60 + local.minute
        if any(local.weekday() in window.weekdays and window.start_min <= minute < window.end_min for window in self.maintenance):
            return Zone.MAINTENANCE
        if any(phase.start_min <= minute < phase.end_min for phase in self.day_phases(local.date())):
            return Zone.VOLATILE if volatile and self.volatility else Zone.REGULAR
        return Zone.EXTENDED

    def day_start_s(self, day: date) -> int:
        """The first moment of a local day, Unix time: the one whose local clock reads 00:00 first, or that skips it."""
        return _start_of_day(self.timezone, day)

    def month_bounds(self, year: int, month: int) -> tuple[int, int]:
        """Start and end (excluded) of a local calendar month, Unix time."""
        following = date(year + month // 12, month % 12 + 1, 1)
        return self.day_start_s(date(year, month, 1)), self.day_start_s(following)

    def spans(self, start_s: int, end_s: int, volatile: bool = True) -> Iterator[tuple[int, int, Zone]]:
        """The zones between two Unix times, in order and without gaps: (start, end, zone); neighbours differ."""
        since_s, zone = start_s, self.zone_at(start_s, volatile)
        for edge_s in self._edges(start_s, end_s):
            found = self.zone_at(edge_s, volatile)
            if found is not zone:
                yield since_s, edge_s, zone
                since_s, zone = edge_s, found
        if since_s < end_s:
            yield since_s, end_s, zone

    def minutes(self, first: date, last: date) -> Mapping[Hours, int]:
        """How many minutes really pass in each kind of hours, from the start of one local day to the end of another. A day on which
        the clocks change has 1,380 or 1,500."""
        seconds = dict.fromkeys(Hours, 0)
        for start_s, end_s, zone in self.spans(self.day_start_s(first), self.day_start_s(last + timedelta(days=1))):
            seconds[zone.hours] += end_s - start_s
        return {hours: total // 60 for hours, total in seconds.items()}

    def next_change(self, at_s: float, volatile: bool = True) -> tuple[int, Zone] | None:
        """When the zone changes next and to which; None when it does not within 40 days. `volatile` is held as it is."""
        start_s = math.floor(at_s)
        spans = self.spans(start_s, start_s + CHANGE_HORIZON_S, volatile)
        next(spans)
        return next(((begin_s, zone) for begin_s, _, zone in spans), None)

    def _edges(self, start_s: int, end_s: int) -> Iterator[int]:
        """Every moment inside at which the zone may change, in order: local minutes at which a window begins or ends, and clock changes."""
        shifts = offsets(self.timezone, start_s - DAY_S, end_s + DAY_S)
        shared = {0, *(edge for window in self.maintenance for edge in (window.start_min, window.end_min))}
        day, last = self.to_local(start_s).date() - timedelta(days=1), self.to_local(end_s).date()
        found = {shift_s for shift_s, _ in shifts}
        while day <= last:
            midnight_s = calendar.timegm(day.timetuple())
            edges = shared.union(edge for phase in self.day_phases(day) for edge in (phase.start_min, phase.end_min))
            found.update(midnight_s + edge * 60 - offset_s for edge in edges for _, offset_s in _about(shifts, midnight_s))
            day += timedelta(days=1)
        return iter(sorted(edge_s for edge_s in found if start_s < edge_s < end_s))


def volatility_high(samples: Iterable[tuple[float, float]], at_s: float, rule: Volatility) -> bool:
    """Whether the index counts as high at `at_s`, from its samples (Unix time, value): what the generated rule says of the same series.

    Samples that are no numbers count as missing."""
    seen = [(when, value) for when, value in samples if when <= at_s and not math.isnan(value)]
    held = [value for when, value in seen if when > at_s - rule.hold_s]
    remembered = [value for when, value in seen if when > at_s - rule.memory_s]
    return not held or (max(held) > rule.calm and max(remembered) > rule.above)


@lru_cache(maxsize=512)
def offsets(timezone: str, start_s: int, end_s: int) -> tuple[tuple[int, int], ...]:
    """A time zone between two Unix times: (from when, seconds ahead of UTC), the first entry at `start_s`."""
    zone = ZoneInfo(timezone)

    def offset_at(at_s: int) -> int:
        shift = datetime.fromtimestamp(at_s, zone).utcoffset()
        assert shift is not None
        return int(shift.total_seconds())

    found, before_s = [(start_s, offset_at(start_s))], start_s
    for probe_s in (*range(start_s + DAY_S, end_s, DAY_S), end_s):
        if offset_at(probe_s) != found[-1][1]:
            low, high = before_s, probe_s
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset_at(middle) == found[-1][1] else (low, middle)
            found.append((high, offset_at(high)))
        before_s = probe_s
    return tuple(found)


def _about(shifts: tuple[tuple[int, int], ...], midnight_s: int) -> tuple[tuple[int, int], ...]:
    """The entries of `offsets` that can hold during a local day, whose midnight is given as if it were UTC."""
    early_s, late_s = midnight_s - DAY_S, midnight_s + 2 * DAY_S
    ends = (*(shift_s for shift_s, _ in shifts[1:]), late_s + 1)
    return tuple(shift for shift, end_s in zip(shifts, ends, strict=True) if shift[0] <= late_s and end_s > early_s)


@lru_cache(maxsize=4096)
def _start_of_day(timezone: str, day: date) -> int:
    midnight_s = calendar.timegm(day.timetuple())
    shifts = offsets(timezone, midnight_s - 2 * DAY_S, midnight_s + 2 * DAY_S)
    ends = (*(shift_s for shift_s, _ in shifts[1:]), midnight_s + 2 * DAY_S)
    return next(
        max(since_s, midnight_s - ahead_s) for (since_s, ahead_s), end_s in zip(shifts, ends, strict=True) if midnight_s - ahead_s < end_s
    )
