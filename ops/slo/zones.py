"""A calendar as rules of Prometheus: local time, zones, and the labels that other rules account by.

PromQL has neither time zones nor lists of days. So local time is UTC plus a table of clock changes for ten years, written out from
zoneinfo; and the local date becomes a label, which turns a list of holidays into one regular expression. Every expression is a function
of the clock (and of the volatility index and the override): nothing counts on, so a restart or a gap leaves no wrong state, and the
rules can be asked about any day of the past. The clock is a rule in a file of its own, which tests leave away to put a date in its place.

Zones are total and disjoint because the zone is one number: the first that holds of override, maintenance, trading, extended hours.
`ops.session` says the same in Python, and a test compares the two for every minute of a year. All series carry the label `exchange`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from datetime import date, timedelta

from ops import conventions as names
from ops.session import Calendar, DayType, Hours, Phase, Volatility, Zone, offsets
from ops.slo.model import SLI_INTERVAL_S
from ops.slo.rulefile import Group, Rule, duration

SLICE_S = 60
DAY_S, DAY_MIN = 86400, 1440
TABLE_YEARS = 10
"""Of clock changes: the year before the calendar begins, since histories are looked back at, and nine from then on."""
HORIZON_WARNING_DAYS = 60
"""Long enough to import another year without haste."""
INVARIANT_FOR_S = 60
_LAST_S = 1
"""Taken off a window: `[30m]` counts both its ends on Prometheus 2 and one on 3, `[29m59s]` counts the same on both."""


def clock_groups() -> tuple[Group, ...]:
    """The one rule that reads the clock. It belongs in a file of its own, once for all venues."""
    return (Group("venue-clock", SLI_INTERVAL_S, (Rule("vector(time())", record=names.SERIES_CLOCK),)),)


def calendar_groups(exchange: str, calendar: Calendar, runbook_base: str = "") -> tuple[Group, ...]:
    """All rules of one venue's calendar, in the order in which they must be evaluated."""
    rules = (
        Rule(local_seconds(exchange, calendar), record=names.SERIES_LOCAL_SECONDS),
        Rule(minute_of_day(exchange), record=names.SERIES_MINUTE_OF_DAY),
        Rule(local_date(exchange), record=names.SERIES_DATE),
        Rule(
            _either(_date_label(_local(exchange), "day"), _date_label(f"{_local(exchange)} - {DAY_S}", "day")),
            record=names.SERIES_RECENT_DAYS,
        ),
        Rule(zone_number(exchange, calendar), record=names.SERIES_ZONE_NUMBER),
        Rule(_active(exchange), record=names.SERIES_ZONE_ACTIVE),
        Rule(_zone_labels(_series(names.SERIES_ZONE_NUMBER, exchange)), record=names.SERIES_ZONE_NOW),
        Rule(_zone_slice(exchange), record=names.SERIES_ZONE_SLICE),
        Rule(f"{horizon_s(calendar)} - {_clock(exchange)}", record=names.SERIES_HORIZON),
        _invariant(exchange, runbook_base),
        _horizon(exchange, calendar, runbook_base),
    )
    return (Group(f"{exchange.lower()}-calendar", SLI_INTERVAL_S, rules),)


def local_seconds(exchange: str, calendar: Calendar) -> str:
    """Seconds of the venue's wall clock: what PromQL's date functions, which know UTC only, must be given.

    The smallest offset, and every stretch of time with a larger one. That has half the terms of a sum over all clock changes; the time
    that Prometheus 2 takes for an expression grows with the square of its terms."""
    table, clock = _table(calendar), names.SERIES_CLOCK
    usual_s = min(offset_s for _, offset_s in table)
    stretches: dict[int, list[str]] = {}
    for (since_s, offset_s), (until_s, _) in itertools.zip_longest(table, table[1:], fillvalue=(0, 0)):
        if offset_s != usual_s:
            end = f" < {until_s}" if until_s else ""
            stretches.setdefault(offset_s, []).append(f"{clock} >= {since_s}{end}")
    parts = [f"0 * ({_either(*found)}) + {offset_s - usual_s}" for offset_s, found in sorted(stretches.items())]
    sign = "-" if usual_s < 0 else "+"
    later = f"\n+ ({_either(*parts, f'0 * {clock}')})" if parts else ""
    return _with_exchange(f"{clock} {sign} {abs(usual_s)}{later}", exchange)


def minute_of_day(exchange: str) -> str:
    """Whole minutes since local midnight, as the wall clock shows them."""
    return f"floor({_local(exchange)} % {DAY_S} / 60)"


def local_date(exchange: str) -> str:
    """The local date as labels: date (YYYYMMDD) and month (YYYYMM)."""
    return _month_of(_date_label(_local(exchange), "date"), "date")


def zone_number(exchange: str, calendar: Calendar) -> str:
    """1 to 4, one value at any moment: the first part that holds wins."""
    minute = _series(names.SERIES_MINUTE_OF_DAY, exchange)
    override = f"round(min by (exchange) ({_series(names.SERIES_ZONE_OVERRIDE, exchange)} >= 1 <= 4))"
    parts = [override]
    if closed := list(_maintained(exchange, calendar)):
        parts.append(f"0 * ({_either(*closed)}) + {Zone.MAINTENANCE}")
    if trading := list(_trading(exchange, calendar)):
        regular = f"0 * ({_either(*trading)}) + {Zone.REGULAR}"
        rule = calendar.volatility
        parts.append(f"{regular} - on (exchange) {volatility_high(exchange, rule)}" if rule else regular)
    return _either(*parts, f"0 * {minute} + {Zone.EXTENDED}")


def volatility_high(exchange: str, rule: Volatility) -> str:
    """1 when the index is high or not known, else 0. Values that are no numbers count as missing."""
    held, remembered = (f"max(max_over_time({rule.metric}[{duration(s - _LAST_S)}]))" for s in (rule.hold_s, rule.memory_s))
    high = f"(({remembered} > bool {rule.above:.15g}) * ({held} >= -Inf > bool {rule.calm:.15g}) or vector(1))"
    return _with_exchange(high, exchange)


def horizon_s(calendar: Calendar) -> int:
    """Until when (Unix time) the rules know both holidays and clock changes."""
    return min(calendar.day_start_s(calendar.valid_until + timedelta(days=1)), _table_end_s(calendar))


def _table(calendar: Calendar) -> tuple[tuple[int, int], ...]:
    return offsets(calendar.timezone, calendar.day_start_s(date(calendar.valid_from.year - 1, 1, 1)), _table_end_s(calendar))


def _table_end_s(calendar: Calendar) -> int:
    return calendar.day_start_s(date(calendar.valid_from.year - 1 + TABLE_YEARS, 1, 1))


def _maintained(exchange: str, calendar: Calendar) -> Iterator[str]:
    for window in calendar.maintenance:
        yield _when(exchange, window.start_min, window.end_min, window.weekdays)


def _trading(exchange: str, calendar: Calendar) -> Iterator[str]:
    """Per kind of day, when it trades."""
    shut = set(calendar.holidays) | set(calendar.closures)
    dated = set().union(*(kind.dates for kind in calendar.day_types))
    for kind in calendar.day_types:
        if kind.weekdays:
            yield _on_days(exchange, _phases(exchange, kind, kind.weekdays), "!~", shut | dated)
        if kind.dates - shut:
            yield _on_days(exchange, _phases(exchange, kind, frozenset(range(7))), "=~", kind.dates - shut)


def _phases(exchange: str, kind: DayType, weekdays: frozenset[int]) -> str:
    return _either(*(_when(exchange, phase.start_min, phase.end_min, weekdays) for phase in _merged(kind.phases)))


def _merged(phases: Iterable[Phase]) -> list[Phase]:
    """Phases that follow one another at once are one stretch of trading."""
    found: list[Phase] = []
    for phase in phases:
        joins = bool(found) and found[-1].end_min == phase.start_min
        found.append(Phase(phase.name, found.pop().start_min, phase.end_min) if joins else phase)
    return found


def _on_days(exchange: str, times: str, match: str, days: Iterable[date]) -> str:
    pattern = "|".join(f"{day:%Y%m%d}" for day in sorted(days))
    if not pattern:
        return times
    dates = _series(names.SERIES_DATE, exchange, f'date{match}"{pattern}"')
    return f"({times}) and on (exchange) {dates}"


def _when(exchange: str, start_min: int, end_min: int, weekdays: frozenset[int]) -> str:
    """The minute of day, while it is within [start, end) on one of the weekdays (Monday is 0)."""
    times = _series(names.SERIES_MINUTE_OF_DAY, exchange)
    times += f" >= {start_min}" if start_min else ""
    times += f" < {end_min}" if end_min < DAY_MIN else ""
    runs = _runs(sorted((day + 1) % 7 for day in weekdays))
    if runs == [(0, 6)]:
        return times
    weekday = f"day_of_week({_local(exchange)})"
    return f"{times} and on (exchange) ({' or '.join(f'{weekday} >= {first} <= {last}' for first, last in runs)})"


def _runs(days: list[int]) -> list[tuple[int, int]]:
    """[1, 2, 3, 6] -> [(1, 3), (6, 6)]."""
    found: list[tuple[int, int]] = []
    for day in days:
        if found and found[-1][1] == day - 1:
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


def _active(exchange: str) -> str:
    number = _series(names.SERIES_ZONE_NUMBER, exchange)
    return _either(*(f'label_replace({number} == bool {zone}, "{names.LABEL_ZONE}", "{zone}", "", "")' for zone in Zone))


def _zone_slice(exchange: str) -> str:
    """Both labels of the moment at which the slice began. A single series each is looked back at, never one whose labels change: after a
    crash Prometheus would find the old labels' series beside the new one for five minutes. No slice begins while Prometheus is away: what
    it finds missing in its first minute is what it did not ask for."""
    zone = _zone_labels(_series(names.SERIES_ZONE_NUMBER, exchange) + f" offset {duration(SLICE_S)}")
    day = _month_of(_date_label(f"{_local(exchange)} offset {duration(SLICE_S)}", names.LABEL_DAY), names.LABEL_DAY)
    awake = f"max_over_time({names.SERIES_CLOCK}[{SLI_INTERVAL_S + 1}s] offset {SLICE_S - SLI_INTERVAL_S}s)"
    return f"{zone}\n* on (exchange) group_left ({names.LABEL_DAY}, {names.LABEL_MONTH})\n{day}\nand on () {awake}"


def _zone_labels(number: str) -> str:
    text = f'count_values by (exchange) ("{names.LABEL_ZONE}", {number})'
    for hours in Hours:
        zones = "|".join(str(int(zone)) for zone in Zone if zone.hours is hours)
        text = f'label_replace({text}, "{names.LABEL_HOURS}", "{hours}", "{names.LABEL_ZONE}", "{zones}")'
    return text


def _date_label(seconds: str, label: str) -> str:
    """The date of local seconds, YYYYMMDD, as the value of a label."""
    text = f"year({seconds}) * 10000 + month({seconds}) * 100 + day_of_month({seconds})"
    return f'count_values by (exchange) ("{label}", {text})'


def _month_of(text: str, label: str) -> str:
    return f'label_replace({text}, "{names.LABEL_MONTH}", "$1", "{label}", "(.{{6}})..")'


def _invariant(exchange: str, runbook_base: str) -> Rule:
    active = _series(names.SERIES_ZONE_ACTIVE, exchange)
    return Rule(
        f"sum by (exchange) ({active}) != 1 or absent({active})",
        alert="ZoneInvariant",
        labels={names.LABEL_SEVERITY: "page"},
        for_s=INVARIANT_FOR_S,
        annotations={
            "summary": "{{ $labels.exchange }} is not in exactly one zone: its SLOs are judged by the wrong terms, or not at all.",
            "first_action": f"Query {names.SERIES_CLOCK}, then {names.SERIES_ZONE_NUMBER}: the first that is missing is the cause.",
            "runbook": f"{runbook_base}runbooks/zone-invariant.md",
        },
    )


def _horizon(exchange: str, calendar: Calendar, runbook_base: str) -> Rule:
    horizon = _series(names.SERIES_HORIZON, exchange)
    return Rule(
        f"{horizon} < {HORIZON_WARNING_DAYS * DAY_S}",
        alert="CalendarHorizon",
        labels={names.LABEL_SEVERITY: "ticket"},
        annotations={
            "summary": f"The calendar {calendar.name} of {{{{ $labels.exchange }}}} ends in {{{{ $value | humanizeDuration }}}}; "
            "after it, holidays count as trading days.",
            "first_action": f"opsctl calendar import {calendar.name} with the years to come, then opsctl slo generate.",
            "runbook": f"{runbook_base}runbooks/calendar-horizon.md",
        },
    )


def _clock(exchange: str) -> str:
    return _with_exchange(names.SERIES_CLOCK, exchange)


def _local(exchange: str) -> str:
    return _series(names.SERIES_LOCAL_SECONDS, exchange)


def _series(name: str, exchange: str, more: str = "") -> str:
    return f'{name}{{exchange="{exchange}"{", " if more else ""}{more}}}'


def _with_exchange(text: str, exchange: str) -> str:
    return f'label_replace({text}, "exchange", "{exchange}", "", "")'


def _either(*parts: str) -> str:
    return "\nor ".join(parts)
