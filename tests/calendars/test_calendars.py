"""Calendars as files: what is written reads back equal, and every mistake is told with its line and what to write instead."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops import calendars
from ops.errors import UsageError
from ops.session import Calendar, DayType, Maintenance, Phase, PhaseName, Volatility

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = sorted((ROOT / "slo/calendars").glob("*.yaml"))
GOOD = """version: opsctl/calendar/v1
name: XTST
timezone: Europe/London
valid_from: 2026-01-01
valid_until: 2026-12-31
days:
  ordinary:
    weekdays: [mon, tue, wed, thu, fri]
    phases:
      - {phase: opening_auction, from: "07:50", to: "08:00"}
      - {phase: continuous, from: "08:00", to: "16:30"}
  early-close-1230:
    dates: [2026-12-24, 2026-12-31]
    phases: [{phase: continuous, from: "08:00", to: "12:30"}]
holidays:
  2026-12-25: Christmas
closures:
  2026-03-03: "power failure: no trading"
maintenance:
  - {days: all, from: "23:00", to: "04:00"}
  - {days: [sat, sun], from: "10:00", to: "24:00"}
volatility: {metric: vix_index, above: 20, calm: 18.5, hold: 30m, memory: 4h}
"""


def load(folder, text):
    path = folder / "cal.yaml"
    path.write_text(text)
    return calendars.load(path)


def test_a_venue_may_have_no_maintenance(tmp_path):
    head, _, rest = GOOD.partition("maintenance:\n")
    without = head + "maintenance: []\n" + rest[rest.index("volatility") :]
    assert load(tmp_path, without).maintenance == ()
    assert load(tmp_path, without) == load(tmp_path, without.replace("maintenance: []\n", ""))


def test_a_file_becomes_a_calendar(tmp_path):
    good = GOOD.replace('days: [sat, sun], from: "10:00", to: "24:00"', 'days: [sat, sun], from: "10:00", to: "20:00"')
    found = load(tmp_path, good)
    assert (found.name, found.timezone, found.valid_from, found.valid_until) == (
        "XTST",
        "Europe/London",
        date(2026, 1, 1),
        date(2026, 12, 31),
    )
    assert found.day_types[0].phases == (Phase(PhaseName.OPENING_AUCTION, 470, 480), Phase(PhaseName.CONTINUOUS, 480, 990))
    assert found.day_types[1].dates == {date(2026, 12, 24), date(2026, 12, 31)}
    assert found.holidays == {date(2026, 12, 25): "Christmas"}
    assert found.closures == {date(2026, 3, 3): "power failure: no trading"}
    assert found.volatility == Volatility("vix_index", 20, 18.5, 1800, 14400)


def test_a_window_over_midnight_is_two_the_second_on_the_days_after(tmp_path):
    friday = GOOD.replace("days: all", "days: [fri, sun]").replace('  - {days: [sat, sun], from: "10:00", to: "24:00"}\n', "")
    assert load(tmp_path, friday).maintenance == (
        Maintenance(frozenset({0, 5}), 0, 240),
        Maintenance(frozenset({4, 6}), 1380, 1440),
    )


def test_a_window_until_midnight_is_one(tmp_path):
    until = GOOD.replace('from: "23:00", to: "04:00"', 'from: "01:00", to: "02:00"').replace('to: "24:00"', 'to: "00:00"')
    assert load(tmp_path, until).maintenance[1] == Maintenance(frozenset({5, 6}), 600, 1440)


MISTAKES = {
    "version": ("opsctl/calendar/v1", "v2", "1: version: 'v2' is not one of opsctl/calendar/v1"),
    "name": ("name: XTST", "name: 24/7", "2: name: '24/7' cannot be used: write letters, digits"),
    "time zone": ("Europe/London", "Europe/Lundon", "3: timezone: 'Europe/Lundon' is no known time zone: write an IANA name"),
    "time zone that is a path": ("Europe/London", "../etc/passwd", "3: timezone: '../etc/passwd' is no known time zone"),
    "valid_until first": (
        "valid_until: 2026-12-31",
        "valid_until: 2025-12-31",
        "5: valid_until: 2025-12-31 is before valid_from: write a day from",
    ),
    "no day": ("valid_from: 2026-01-01", "valid_from: 1.1.2026", "4: valid_from: '1.1.2026' is not a day: write it as 2026-11-27"),
    "no such day": ("2026-12-25", "2026-02-30", "16: holidays.2026-02-30: '2026-02-30' is not a day"),
    "year": ("valid_until: 2026-12-31", "valid_until: 9999-12-31", "5: valid_until: 9999-12-31 is not in a year that can be computed"),
    "time": (
        'from: "08:00", to: "16:30"',
        'from: "08:00", to: "25:00"',
        "11: days.ordinary.phases[1].to: '25:00' is not a time of day: write",
    ),
    "end first": (
        'from: "08:00", to: "16:30"',
        'from: "08:00", to: "07:55"',
        "11: days.ordinary.phases[1].to: 07:55 is not after 08:00: write a later time, at most 24:00; a phase cannot cross midnight",
    ),
    "overlap": (
        'from: "08:00", to: "16:30"',
        'from: "07:59", to: "16:30"',
        "10: days.ordinary.phases: 07:59-16:30 begins before 07:50-08:00 ends: write phases in their order",
    ),
    "phase": (
        "phase: opening_auction",
        "phase: opening",
        "10: days.ordinary.phases[0].phase: 'opening' is not one of opening_auction, continuous",
    ),
    "weekday": ("[mon, tue,", "[monday, tue,", "8: days.ordinary.weekdays: 'monday' is no weekday: write mon, tue"),
    "weekday twice": ("[mon, tue,", "[mon, mon,", "8: days.ordinary.weekdays: a weekday is written twice: write it once"),
    "two kinds": (
        "dates: [2026-12-24, 2026-12-31]",
        "weekdays: [fri]",
        "13: days.early-close-1230.weekdays: fri belongs to ordinary already: write it in one place only",
    ),
    "date twice": ("[2026-12-24, 2026-12-31]", "[2026-12-24, 2026-12-24]", "13: days.early-close-1230.dates: a day is written twice"),
    "holiday too": (
        "[2026-12-24, 2026-12-31]",
        "[2026-12-25, 2026-12-31]",
        "13: days.early-close-1230.dates: 2026-12-25 is a holiday too: take it out of holidays, or out of here",
    ),
    "neither": ("    dates: [2026-12-24, 2026-12-31]\n", "", "days.early-close-1230.weekdays: write either weekdays: [mon, ...] or dates:"),
    "none": ("[2026-12-24, 2026-12-31]", "[]", "13: days.early-close-1230.dates: is empty: write at least one day"),
    "kind's name": ("early-close-1230:", "Early Close:", "days.Early Close: cannot be used as a name: write small letters"),
    "unknown": ("holidays:", "holydays:", "holydays: is not a setting; did you mean holidays?"),
    "outside": (
        "2026-12-25: Christmas",
        "2027-12-25: Christmas",
        "16: holidays.2027-12-25: is outside valid_from..valid_until: write a day from",
    ),
    "nameless": ("2026-12-25: Christmas", '2026-12-25: ""', "16: holidays.2026-12-25: '' is no name of a day: write why"),
    "maintenance overlap": (
        'from: "10:00", to: "24:00"',
        'from: "03:00", to: "05:00"',
        "21: maintenance[1].from: overlaps the window 00:00-04:00 written above: write times that do not meet",
    ),
    "maintenance days": (
        "days: all",
        "days: daily",
        "20: maintenance[0].days: 'daily' is not known: write all, or a list such as [sat, sun]",
    ),
    "no length": (
        'from: "23:00", to: "04:00"',
        'from: "23:00", to: "23:00"',
        "20: maintenance[0].to: is the same time as from: for the whole day",
    ),
    "begins at the end": (
        'from: "23:00", to: "04:00"',
        'from: "24:00", to: "04:00"',
        "20: maintenance[0].from: a window cannot begin at 24:00",
    ),
    "metric": ("metric: vix_index", "metric: vix-index", "22: volatility.metric: 'vix-index' cannot be used: write the name of a metric"),
    "calm": ("calm: 18.5", "calm: 21", "22: volatility.calm: 21 is higher than above (20): write 20 or less"),
    "memory": ("memory: 4h", "memory: 10m", "22: volatility.memory: is shorter than hold: write at least as long a time"),
    "hold": ("hold: 30m", "hold: 30", "22: volatility.hold: '30' is not a duration"),
    "nan": ("above: 20", "above: nan", "22: volatility.above: nan is outside"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_told_with_its_place_and_what_to_write(tmp_path, case):
    right, wrong, told = MISTAKES[case]
    good = GOOD.replace('days: [sat, sun], from: "10:00", to: "24:00"', 'days: [sat, sun], from: "10:00", to: "20:00"')
    base = GOOD if case == "maintenance overlap" else good
    assert right in base
    with pytest.raises(UsageError) as caught:
        load(tmp_path, base.replace(right, wrong))
    assert told in caught.value.message
    assert caught.value.message.startswith(f"{tmp_path / 'cal.yaml'}:")


def test_two_windows_that_meet_in_the_same_night_are_a_mistake(tmp_path):
    with pytest.raises(UsageError, match=r"21: maintenance\[1\]\.from: overlaps the window 23:00-24:00 written above"):
        load(tmp_path, GOOD)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_calendars_read_back_equal(path, tmp_path):
    found = calendars.load(path)
    assert load(tmp_path, calendars.dump(found, "A test.")) == found


def phases_of(edges):
    return tuple(Phase(PhaseName.CONTINUOUS, start, end) for start, end in zip(edges[::2], edges[1::2], strict=True))


PHASES = st.sets(st.integers(0, 1440), min_size=2, max_size=6).map(sorted).filter(lambda edges: len(edges) % 2 == 0).map(phases_of)
DAYS = st.dates(date(2026, 1, 1), date(2028, 12, 31))
NAMES = st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=20).filter(lambda text: text.isprintable())


@st.composite
def made_up(draw):
    """Any calendar that a file can say."""
    weekdays = draw(st.sets(st.integers(0, 6), min_size=1))
    special = draw(st.sets(DAYS, max_size=12))
    kinds = [DayType("ordinary", draw(PHASES), weekdays=frozenset(weekdays))]
    if special:
        kinds.append(DayType("half-day", draw(PHASES), dates=frozenset(special)))
    edges = draw(st.sets(st.integers(0, 1440), max_size=4).map(sorted).filter(lambda found: len(found) % 2 == 0))
    windows = [
        Maintenance(frozenset(draw(st.sets(st.integers(0, 6), min_size=1))), *pair) for pair in zip(edges[::2], edges[1::2], strict=True)
    ]
    calm, more = draw(st.integers(-50, 50)), draw(st.floats(0, 50))
    hold, memory = sorted(draw(st.tuples(st.integers(60, 86400), st.integers(60, 86400))))
    return Calendar(
        name=draw(st.sampled_from(["XNYS", "a.b-c_d", "24x7"])),
        timezone=draw(st.sampled_from(["UTC", "America/New_York", "Asia/Kolkata"])),
        valid_from=date(2026, 1, 1),
        valid_until=date(2028, 12, 31),
        day_types=tuple(kinds),
        holidays=draw(st.dictionaries(DAYS.filter(lambda day: day not in special), NAMES, max_size=5)),
        closures=draw(st.dictionaries(DAYS, NAMES, max_size=3)),
        maintenance=calendars.ordered(windows),
        volatility=draw(st.none() | st.just(Volatility("vix_index", calm + more, calm, hold, memory))),
    )


@settings(max_examples=150, deadline=None)
@given(calendar=made_up())
def test_whatever_is_dumped_reads_back_equal(tmp_path_factory, calendar):
    path = tmp_path_factory.getbasetemp() / "dumped.yaml"
    path.write_text(calendars.dump(calendar, "A test."), encoding="utf-8")
    assert calendars.load(path) == calendar


def test_a_night_is_dumped_as_one_window():
    night = calendars.ordered(calendars.windows({4}, 1380, 240))
    text = calendars.dump(replace(calendars.load(SHIPPED[0]), maintenance=night), "A test.")
    assert '  - {days: [fri], from: "23:00", to: "04:00"}' in text


def test_differences_tell_each_single_day_and_the_usual_hours_once():
    xnys = calendars.load(ROOT / "slo/calendars/xnys.yaml")
    ordinary, early = xnys.day_types
    holidays = {day: name for day, name in xnys.holidays.items() if day != date(2026, 12, 25)} | {date(2026, 3, 10): "Mourning"}
    later = replace(ordinary, phases=(Phase(PhaseName.CONTINUOUS, 570, 990),))
    changed = replace(xnys, valid_until=date(2029, 12, 31), day_types=(later, early), holidays=holidays)
    found = [(change.what, change.before, change.after) for change in calendars.differences(xnys, changed)]
    assert found == [
        ("valid_until", "2028-12-31", "2029-12-31"),
        *((day, "09:30-16:00", "09:30-16:30") for day in ("mon", "tue", "wed", "thu", "fri")),
        ("2026-03-10", "09:30-16:00", "closed: Mourning"),
        ("2026-12-25", "closed: Christmas", "09:30-16:30"),
    ]
    assert calendars.differences(xnys, xnys) == ()


def test_what_was_written_by_hand_stays_letter_for_letter():
    xnys = calendars.load(ROOT / "slo/calendars/xnys.yaml")
    existing = calendars.dump(xnys, "Old.").replace("closures: {}", "closures: {}   # none yet; ask the desk")
    text = calendars.merged_text(replace(xnys, valid_until=xnys.valid_until + timedelta(days=1)), "New.", existing)
    assert text.startswith("# New.")
    assert "valid_until: 2029-01-01" in text
    assert "closures: {}   # none yet; ask the desk" in text
    assert calendars.merged_text(xnys, "New.", "name: without the mark") == calendars.dump(xnys, "New.")
