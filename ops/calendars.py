"""Calendars as files: `load` reads one with every error at its line, `dump` writes one that reads back equal.

What the importer knows (days, holidays) stands above what only people know (closures, maintenance, volatility), in the order in which
`dump` writes them. A maintenance window may cross midnight in the file; in the model it is two windows, since a model's day ends at 24:00.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ops.errors import UsageError
from ops.session import Calendar, DayType, Maintenance, Phase, PhaseName, Volatility
from ops.specs import Section
from ops.specs import load as load_section

VERSION = "opsctl/calendar/v1"
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ALL_DAYS = frozenset(range(7))
DAY_MIN = 1440
YEARS = (1970, 2100)
MAX_HOLD_S, MAX_MEMORY_S = 86400, 7 * 86400
_TIME = re.compile(r"^([01]?\d|2[0-3]):([0-5]\d)$", re.ASCII)
_DATE = re.compile(r"^\d{4}-\d\d-\d\d$", re.ASCII)
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$", re.ASCII)
_KIND = re.compile(r"^[a-z][a-z0-9-]*$", re.ASCII)
_METRIC = re.compile(r"^[a-zA-Z_:][a-zA-Z0-9_:]*$", re.ASCII)
_DATES_A_LINE = 6
_Day = TypeVar("_Day", int, date)
YOURS = "# Yours from here on: `opsctl calendar import` never changes closures, maintenance and volatility."
_MAINTENANCE_EXAMPLE = 'maintenance: [{days: all, from: "23:00", to: "04:00"}, {days: [sat, sun], from: "06:00", to: "07:00"}]'
_VOLATILITY_EXAMPLE = "volatility: {metric: vix_index, above: 20, calm: 18, hold: 30m, memory: 4h}"


def load(path: Path) -> Calendar:
    """The calendar of one file. Raises UsageError that names file, line and field, and says what to write instead."""
    root = load_section(path)
    root.choice("version", (VERSION,))
    valid_from, valid_until = _day(root, "valid_from"), _day(root, "valid_until")
    if valid_until < valid_from:
        raise root.error("valid_until", f"{valid_until} is before valid_from: write a day from {valid_from} on")
    holidays = _named_days(root, "holidays")
    found = Calendar(
        name=_matching(root, "name", _NAME, "letters, digits, '.', '_' and '-', such as XNYS"),
        timezone=_timezone(root),
        valid_from=valid_from,
        valid_until=valid_until,
        day_types=_day_types(root, holidays),
        holidays=holidays,
        closures=_named_days(root, "closures"),
        maintenance=_maintenance(root),
        volatility=_volatility(root.section("volatility")) if _there(root, "volatility") else None,
    )
    for day in holidays:
        if not found.is_known(day):
            raise root.section("holidays").error(
                str(day), f"is outside valid_from..valid_until: write a day from {valid_from} to {valid_until}, or leave it away"
            )
    root.done()
    return found


def dump(calendar: Calendar, header: str) -> str:
    """The file's text. `header` is one line without its '# '."""
    lines = [f"# {header}", f"version: {VERSION}", f"name: {_scalar(calendar.name)}", f"timezone: {calendar.timezone}"]
    lines += [f"valid_from: {calendar.valid_from}", f"valid_until: {calendar.valid_until}", "days:"]
    for kind in calendar.day_types:
        lines += _day_type_lines(kind)
    lines += _named_lines("holidays", calendar.holidays)
    lines += ["", YOURS, *_named_lines("closures", calendar.closures)]
    lines += ["maintenance:", *map(_window_line, _joined(calendar.maintenance))] if calendar.maintenance else [f"# {_MAINTENANCE_EXAMPLE}"]
    rule = calendar.volatility
    lines.append(f"volatility: {_volatility_text(rule)}" if rule else f"# {_VOLATILITY_EXAMPLE}")
    return "\n".join(lines) + "\n"


def windows(weekdays: Iterable[int], start_min: int, end_min: int) -> tuple[Maintenance, ...]:
    """A window of maintenance as the model holds it: two when it crosses midnight (end before start), the second on the days after."""
    days = frozenset(weekdays)
    if start_min < end_min:
        return (Maintenance(days, start_min, end_min),)
    evening = Maintenance(days, start_min, DAY_MIN)
    return (evening, Maintenance(frozenset((day + 1) % 7 for day in days), 0, end_min)) if end_min else (evening,)


def ordered(found: Iterable[Maintenance]) -> tuple[Maintenance, ...]:
    """Windows in the one order that calendars hold them in."""
    return tuple(sorted(found, key=lambda window: (window.start_min, window.end_min, sorted(window.weekdays))))


def minute_text(minute: int) -> str:
    """570 -> '09:30'; 1440 -> '24:00'."""
    return f"{minute // 60:02}:{minute % 60:02}"


def weekdays_text(days: Iterable[int]) -> str:
    """'all', or '[mon, tue]'."""
    return "all" if frozenset(days) == ALL_DAYS else f"[{', '.join(WEEKDAYS[day] for day in sorted(days))}]"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two versions of a calendar, each side as a person says it; '' when there is nothing on that side."""

    what: str
    """A day (2026-11-27), a weekday ('mon') or a setting ('valid_until')."""
    before: str
    after: str


def with_hand_written(imported: Calendar, existing: Calendar) -> Calendar:
    """What was imported, with all that only people know as it stands in the file."""
    return replace(imported, closures=existing.closures, maintenance=existing.maintenance, volatility=existing.volatility)


def merged_text(calendar: Calendar, header: str, existing_text: str) -> str:
    """As `dump`, with the part under `YOURS` letter for letter as it is, comments too. Right when that part says what `calendar` says."""
    text = dump(calendar, header)
    return text[: text.index(YOURS)] + existing_text[existing_text.index(YOURS) :] if YOURS in existing_text else text


def differences(old: Calendar, new: Calendar) -> tuple[Change, ...]:
    """What became different: settings, the usual hours of weekdays, and each single day that both calendars know.

    A day that only follows its weekday's usual hours in both is told once, under the weekday."""
    settings = ("name", "timezone", "valid_from", "valid_until")
    found = [Change(name, str(getattr(old, name)), str(getattr(new, name))) for name in settings]
    found += [Change(WEEKDAYS[day], _usual(old, day), _usual(new, day)) for day in range(7)]
    day, last = max(old.valid_from, new.valid_from), min(old.valid_until, new.valid_until)
    while day <= last:
        if _special(old, day) or _special(new, day):
            found.append(Change(str(day), day_text(old, day), day_text(new, day)))
        day += timedelta(days=1)
    return tuple(change for change in found if change.before != change.after)


def day_text(calendar: Calendar, day: date) -> str:
    """'09:30-13:00', 'closed: Thanksgiving', or 'no trading' on a day of rest such as Sunday."""
    reason = calendar.closures.get(day) or calendar.holidays.get(day)
    return f"closed: {reason}" if reason else _hours(calendar.day_phases(day))


def _special(calendar: Calendar, day: date) -> bool:
    kind = calendar.day_type(day)
    return day in kind.dates if kind else day in calendar.closures or day in calendar.holidays


def _usual(calendar: Calendar, weekday: int) -> str:
    return _hours(next((kind.phases for kind in calendar.day_types if weekday in kind.weekdays), ()))


def _hours(phases: Iterable[Phase]) -> str:
    return ", ".join(map(_span, phases)) or "no trading"


def _day(section: Section, field: str) -> date:
    return _date(section, field, section.text(field))


def _date(section: Section, field: str, text: str) -> date:
    try:
        found = date.fromisoformat(text) if _DATE.match(text) else None
    except ValueError:
        found = None
    if found is None:
        raise section.error(field, f"{text!r} is not a day: write it as 2026-11-27")
    if not YEARS[0] <= found.year <= YEARS[1]:
        raise section.error(field, f"{text} is not in a year that can be computed: write one from {YEARS[0]} to {YEARS[1]}")
    return found


def _there(section: Section, field: str) -> bool:
    """Whether an optional field is written. Asked for as a text when it is not, so that a misspelt one is told the name it is near."""
    return section.has(field) or bool(section.text(field, ""))


def _matching(section: Section, field: str, pattern: re.Pattern[str], wanted: str) -> str:
    text = section.text(field)
    if not pattern.match(text):
        raise section.error(field, f"{text!r} cannot be used: write {wanted}")
    return text


def _timezone(root: Section) -> str:
    text = root.text("timezone")
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise root.error("timezone", f"{text!r} is no known time zone: write an IANA name such as America/New_York") from error
    return text


def _named_days(root: Section, field: str) -> dict[date, str]:
    if not _there(root, field):
        return {}
    section = root.section(field)
    found = {}
    for key in section.keys:
        name = section.text(key)
        if not name or not name.isprintable():
            raise section.error(key, f"{name!r} is no name of a day: write why the venue is closed, in one line")
        found[_date(section, key, key)] = name
    return found


def _day_types(root: Section, holidays: Mapping[date, str]) -> tuple[DayType, ...]:
    days = root.section("days")
    weekdays: dict[int, str] = {}
    dates: dict[date, str] = {}
    found = []
    for name in days.keys:
        if not _KIND.match(name):
            raise days.error(name, "cannot be used as a name: write small letters, digits and '-', such as early-close-1300")
        section = days.section(name)
        kind = _day_type(section, name)
        _once(section, "weekdays", {day: WEEKDAYS[day] for day in kind.weekdays}, weekdays, name)
        _once(section, "dates", {day: str(day) for day in kind.dates}, dates, name)
        for day in sorted(kind.dates & holidays.keys()):
            raise section.error("dates", f"{day} is a holiday too: take it out of holidays, or out of here")
        found.append(kind)
    if not found:
        raise root.error("days", "names no day: write at least ordinary: {weekdays: [...], phases: [...]}")
    return tuple(found)


def _once(section: Section, field: str, days: Mapping[_Day, str], taken: dict[_Day, str], name: str) -> None:
    for day, text in sorted(days.items()):
        if day in taken:
            raise section.error(field, f"{text} belongs to {taken[day]} already: write it in one place only")
        taken[day] = name


def _day_type(section: Section, name: str) -> DayType:
    if section.has("weekdays") == section.has("dates"):
        raise section.error("weekdays", "write either weekdays: [mon, ...] or dates: [2026-11-27, ...]")
    weekdays = _weekdays(section, "weekdays") if section.has("weekdays") else frozenset()
    dates = [_date(section, "dates", text) for text in section.texts("dates")] if section.has("dates") else []
    if len(set(dates)) < len(dates):
        raise section.error("dates", "a day is written twice: write it once")
    if not weekdays and not dates:
        raise section.error("weekdays" if section.has("weekdays") else "dates", "is empty: write at least one day")
    phases = tuple(_phase(item) for item in section.sections("phases"))
    for before, after in itertools.pairwise(phases):
        if after.start_min < before.end_min:
            reason = f"{_span(after)} begins before {_span(before)} ends: write phases in their order, without overlap"
            raise section.error("phases", reason)
    section.done()
    return DayType(name, phases, weekdays, frozenset(dates))


def _weekdays(section: Section, field: str) -> frozenset[int]:
    texts = section.texts(field)
    for text in texts:
        if text not in WEEKDAYS:
            raise section.error(field, f"{text!r} is no weekday: write {', '.join(WEEKDAYS)}")
    if len(set(texts)) < len(texts):
        raise section.error(field, "a weekday is written twice: write it once")
    return frozenset(map(WEEKDAYS.index, texts))


def _phase(section: Section) -> Phase:
    kind = PhaseName(section.choice("phase", tuple(PhaseName)))
    start_min, end_min = _minute(section, "from"), _minute(section, "to")
    if end_min <= start_min:
        reason = f"{minute_text(end_min)} is not after {minute_text(start_min)}: write a later time, at most 24:00"
        raise section.error("to", f"{reason}; a phase cannot cross midnight")
    section.done()
    return Phase(kind, start_min, end_min)


def _minute(section: Section, field: str) -> int:
    text = section.text(field)
    if text == "24:00":
        return DAY_MIN
    match = _TIME.match(text)
    if match is None:
        raise section.error(field, f'{text!r} is not a time of day: write it as "09:30", from "00:00" to "24:00"')
    return int(match[1]) * 60 + int(match[2])


def _span(window: Phase | Maintenance) -> str:
    return f"{minute_text(window.start_min)}-{minute_text(window.end_min)}"


def _maintenance(root: Section) -> tuple[Maintenance, ...]:
    found: list[Maintenance] = []
    for section in root.sections("maintenance", may_be_empty=True) if _there(root, "maintenance") else ():
        for window in _window(section):
            for other in found:
                if window.weekdays & other.weekdays and window.start_min < other.end_min and other.start_min < window.end_min:
                    raise section.error("from", f"overlaps the window {_span(other)} written above: write times that do not meet")
            found.append(window)
    return ordered(found)


def _window(section: Section) -> tuple[Maintenance, ...]:
    days = _maintenance_days(section)
    start_min, end_min = _minute(section, "from"), _minute(section, "to")
    if start_min == DAY_MIN:
        raise section.error("from", 'a window cannot begin at 24:00: write "00:00" and the day after')
    if start_min == end_min:
        raise section.error("to", 'is the same time as from: for the whole day write from: "00:00", to: "24:00"')
    section.done()
    found = windows(days, start_min, end_min)
    if len(found) == 2 and sum(window.end_min - window.start_min for window in found) > DAY_MIN:
        raise section.error("to", "makes the window longer than a day: write two windows")
    return found


def _maintenance_days(section: Section) -> frozenset[int]:
    try:
        text = section.text("days")
    except UsageError:
        days = _weekdays(section, "days")
        if not days:
            raise section.error("days", "is empty: write all, or a list such as [sat, sun]") from None
        return days
    if text != "all":
        raise section.error("days", f"{text!r} is not known: write all, or a list such as [sat, sun]")
    return ALL_DAYS


def _volatility(section: Section) -> Volatility:
    rule = Volatility(
        metric=_matching(section, "metric", _METRIC, "the name of a metric, such as vix_index"),
        above=section.factor("above", -1e12, 1e12),
        calm=section.factor("calm", -1e12, 1e12),
        hold_s=_seconds(section, "hold", MAX_HOLD_S),
        memory_s=_seconds(section, "memory", MAX_MEMORY_S),
    )
    if rule.calm > rule.above:
        raise section.error("calm", f"{rule.calm:g} is higher than above ({rule.above:g}): write {rule.above:g} or less")
    if rule.memory_s < rule.hold_s:
        raise section.error("memory", "is shorter than hold: write at least as long a time")
    section.done()
    return rule


def _seconds(section: Section, field: str, most_s: int) -> int:
    value_s = section.duration_s(field, 60, most_s)
    if value_s != int(value_s):
        raise section.error(field, f"{section.text(field)} is not in whole seconds: write such as 30m")
    return int(value_s)


def _day_type_lines(kind: DayType) -> Iterator[str]:
    yield f"  {kind.name}:"
    if kind.weekdays:
        yield f"    weekdays: [{', '.join(WEEKDAYS[day] for day in sorted(kind.weekdays))}]"
    if kind.dates:
        dates = [str(day) for day in sorted(kind.dates)]
        rows = [", ".join(dates[start : start + _DATES_A_LINE]) for start in range(0, len(dates), _DATES_A_LINE)]
        yield f"    dates: [{rows[0]}]" if len(rows) == 1 else "    dates:"
        if len(rows) > 1:
            yield "      [" + ",\n       ".join(rows) + "]"
    yield "    phases:"
    for phase in kind.phases:
        yield f'      - {{phase: {phase.name}, from: "{minute_text(phase.start_min)}", to: "{minute_text(phase.end_min)}"}}'


def _named_lines(field: str, days: Mapping[date, str]) -> list[str]:
    return [f"{field}:" if days else f"{field}: {{}}", *(f"  {day}: {_scalar(name)}" for day, name in sorted(days.items()))]


def _scalar(text: str) -> str:
    """A JSON string is a YAML double-quoted scalar."""
    return json.dumps(text, ensure_ascii=False)


def _joined(found: tuple[Maintenance, ...]) -> list[tuple[frozenset[int], int, int]]:
    """Windows as a person writes them: an evening and the morning after it are one."""
    rest = list(found)
    lines = []
    for window in found:
        after = Maintenance(frozenset((day + 1) % 7 for day in window.weekdays), 0, 0)
        morning = next((w for w in rest if window.end_min == DAY_MIN and w.start_min == 0 and w.weekdays == after.weekdays), None)
        if morning and 0 < morning.end_min < window.start_min:
            rest.remove(window)
            rest.remove(morning)
            lines.append((window.weekdays, window.start_min, morning.end_min))
    return [*lines, *((window.weekdays, window.start_min, window.end_min) for window in rest)]


def _window_line(window: tuple[frozenset[int], int, int]) -> str:
    weekdays, start_min, end_min = window
    return f'  - {{days: {weekdays_text(weekdays)}, from: "{minute_text(start_min)}", to: "{minute_text(end_min)}"}}'


def _volatility_text(rule: Volatility) -> str:
    above, calm = (repr(int(v) if v == int(v) else v) for v in (rule.above, rule.calm))
    return f"{{metric: {rule.metric}, above: {above}, calm: {calm}, hold: {_duration(rule.hold_s)}, memory: {_duration(rule.memory_s)}}}"


def _duration(seconds: int) -> str:
    unit, size = next((u, s) for u, s in (("h", 3600), ("m", 60), ("s", 1)) if seconds % s == 0)
    return f"{seconds // size}{unit}"
