"""Calendars of the world's venues, from the library `exchange_calendars`, as ours. The only place that knows it, or pandas.

The library gives each session's opening and closing minute as it was or will be; from those come the kinds of days: per weekday the
opening hours met most often are the ordinary ones, every other day is a dated kind (a half day, a late opening). A day of an ordinary
weekday without a session is a holiday.
"""

from __future__ import annotations

import difflib
import textwrap
import warnings
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from ops.errors import UsageError
from ops.session import Calendar, DayType, Phase, PhaseName

if TYPE_CHECKING:
    from collections.abc import Iterable

HOLIDAY = "holiday"
"""The name of a day on which the library knows no session and no reason."""
_NEAR, _REASON = 3, 300

Stretches = tuple[tuple[int, int], ...]
"""Trading of one day: (start, end) in minutes of the local day."""


def fetch(mic: str, first_year: int, last_year: int) -> Calendar:
    """The calendar of a venue (MIC, or a name that the library knows) for whole years, without closures, maintenance and volatility.

    Raises UsageError when the library does not know the venue or the years, or when a session crosses local midnight.
    """
    first, last = date(first_year, 1, 1), date(last_year, 12, 31)
    found = _open(mic, first, last)
    timezone = str(found.tz.key)
    hours = _hours(mic, found)
    ordinary = _ordinary(hours)
    dated: dict[Stretches, list[date]] = defaultdict(list)
    for day, stretches in hours.items():
        if ordinary.get(day.weekday()) != stretches:
            dated[stretches].append(day)
    names = _holiday_names(found, first, last)
    closed = [day for day in _days(first, last) if day.weekday() in ordinary and day not in hours]
    return Calendar(
        name=found.name,
        timezone=timezone,
        valid_from=first,
        valid_until=last,
        day_types=_day_types(ordinary, dated),
        holidays={day: names.get(day, HOLIDAY) for day in closed},
        closures={},
        maintenance=(),
        volatility=None,
    )


def _open(mic: str, first: date, last: date) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import exchange_calendars as library  # type: ignore[import-untyped,unused-ignore]
        from exchange_calendars.errors import CalendarError  # type: ignore[import-untyped,unused-ignore]

        known = library.get_calendar_names(include_aliases=True)
        name = next((name for name in known if name.lower() == mic.lower()), None)
        if name is None:
            raise UsageError(f"{mic!r} is no venue that is known: {_near(mic, known)}", hint="name it by its MIC, such as XNYS or XLON")
        try:
            return library.get_calendar(name, start=str(first), end=str(last))
        except (CalendarError, ValueError) as error:
            reason = textwrap.shorten(str(error), _REASON, placeholder=" ...")
            raise UsageError(f"{mic} cannot be had for {first.year}-{last.year}: {reason}", hint="ask for other or fewer years") from error


def _near(mic: str, known: Iterable[str]) -> str:
    by_upper = {name.upper(): name for name in known}
    near = difflib.get_close_matches(mic.upper(), by_upper, n=_NEAR, cutoff=0.5)
    return f"did you mean {' or '.join(by_upper[name] for name in near)}?" if near else "no known name is like it"


def _hours(mic: str, found: Any) -> dict[date, Stretches]:
    """Every session's stretches of trading. Each kept minute is one that the library calls open."""
    local = {name: found.schedule[name].dt.tz_convert(found.tz) for name in ("open", "break_start", "break_end", "close")}
    hours = {}
    columns = (local[name] for name in ("open", "break_start", "break_end", "close"))
    for session, pausing, opens, pauses, resumes, closes in zip(found.schedule.index, local["break_start"].notna(), *columns, strict=True):
        day = session.date()
        edges = [opens, pauses, resumes, closes] if pausing else [opens, closes]
        minutes = [_minute(edge, day) for edge in edges]
        if minutes[0] < 0 or minutes[-1] > 1440:
            raise UsageError(
                f"{mic} trades past local midnight ({opens:%a %H:%M} to {closes:%a %H:%M}, session {day}): a calendar here has sessions "
                "within one local day",
                hint="write the file by hand: two kinds of days, one ending at 24:00 and one beginning at 00:00 (docs/calendars.md)",
            )
        hours[day] = tuple(zip(minutes[::2], minutes[1::2], strict=True))
    return hours


def _minute(edge: Any, day: date) -> int:
    """Wall-clock minutes from the start of `day`."""
    return int((edge.date() - day).days) * 1440 + int(edge.hour) * 60 + int(edge.minute)


def _ordinary(hours: Mapping[date, Stretches]) -> dict[int, Stretches]:
    """Per weekday the usual hours, for weekdays on which the venue trades more often than not."""
    counts: dict[int, Counter[Stretches]] = defaultdict(Counter)
    for day, stretches in hours.items():
        counts[day.weekday()][stretches] += 1
    days = Counter(day.weekday() for day in _days(min(hours), max(hours)))
    return {day: count.most_common(1)[0][0] for day, count in counts.items() if count.total() * 2 > days[day]}


def _day_types(ordinary: Mapping[int, Stretches], dated: Mapping[Stretches, list[date]]) -> tuple[DayType, ...]:
    groups: dict[Stretches, set[int]] = defaultdict(set)
    for weekday, stretches in ordinary.items():
        groups[stretches].add(weekday)
    largest = sorted(groups, key=lambda stretches: (-len(groups[stretches]), min(groups[stretches])))
    usual = largest[0]
    kinds = [
        DayType("ordinary" if index == 0 else f"ordinary-{index + 1}", _phases(stretches), weekdays=frozenset(groups[stretches]))
        for index, stretches in enumerate(largest)
    ]
    taken: Counter[str] = Counter()
    for stretches, days in sorted(dated.items(), key=lambda item: min(item[1])):
        name = _kind_name(stretches, usual)
        taken[name] += 1
        kinds.append(DayType(name if taken[name] == 1 else f"{name}-{taken[name]}", _phases(stretches), dates=frozenset(days)))
    return tuple(kinds)


def _kind_name(stretches: Stretches, usual: Stretches) -> str:
    opens, closes = stretches[0][0], stretches[-1][1]
    late, early = opens != usual[0][0], closes != usual[-1][1]
    if late and early:
        return f"hours-{_digits(opens)}-{_digits(closes)}"
    if late:
        return f"{'late' if opens > usual[0][0] else 'early'}-open-{_digits(opens)}"
    if early:
        return f"{'early' if closes < usual[-1][1] else 'late'}-close-{_digits(closes)}"
    return "other-breaks"


def _digits(minute: int) -> str:
    return f"{minute // 60:02}{minute % 60:02}"


def _phases(stretches: Stretches) -> tuple[Phase, ...]:
    return tuple(Phase(PhaseName.CONTINUOUS, start, end) for start, end in stretches)


def _holiday_names(found: Any, first: date, last: date) -> dict[date, str]:
    """What the library calls its regular holidays; two on one day are both named."""
    rules = found.regular_holidays
    if rules is None:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        series = rules.holidays(start=str(first), end=str(last), return_name=True)
    names: dict[date, str] = {}
    for stamp, name in series.items():
        text = " ".join(str(name).split()) if name else ""
        if text and text not in names.get(stamp.date(), ""):
            names[stamp.date()] = f"{names[stamp.date()]}, {text}" if stamp.date() in names else text
    return names


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=count) for count in range((last - first).days + 1)]
