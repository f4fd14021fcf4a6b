"""The trading session as data: when a venue trades, when it is maintained, and which of four zones a moment is in. Pure; no I/O, no clock.

Zones are total and disjoint by construction: maintenance first, then the trading phases of the day, split by volatility, then extended hours
for everything else (evenings, weekends, holidays). A day outside `valid_from..valid_until` is judged as the ordinary day of its weekday, so
that protection stays on (O10, architecture: "an unknown day is trading for protection"); `is_known` is for whoever must treat it as closed.
All times are minutes of the venue's local day, from 0 to 1440; a window that crosses midnight is written as two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import IntEnum, StrEnum


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
