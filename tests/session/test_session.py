"""A venue's day in Python: phases, zones, local time, and what they add up to."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops import calendars
from ops.session import Hours, Maintenance, Volatility, Zone, offsets, volatility_high

ROOT = Path(__file__).resolve().parents[2]
CALENDARS = {path.stem: calendars.load(path) for path in sorted((ROOT / "slo/calendars").glob("*.yaml"))}
XNYS, XTKS, CRYPTO = CALENDARS["xnys"], CALENDARS["xtks"], CALENDARS["crypto"]
YEAR = (1767225600, 1798761600)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("utc", "zone"),
    [
        ("2026-03-10T08:00", Zone.EXTENDED),
        ("2026-03-10T07:59", Zone.MAINTENANCE),
        ("2026-03-10T13:29:59", Zone.EXTENDED),
        ("2026-03-10T13:30", Zone.VOLATILE),
        ("2026-03-10T20:00", Zone.EXTENDED),
        ("2026-03-06T14:30", Zone.VOLATILE),
        ("2026-03-06T14:29", Zone.EXTENDED),
        ("2026-11-27T18:00", Zone.EXTENDED),
        ("2026-11-27T17:59", Zone.VOLATILE),
        ("2026-11-26T15:00", Zone.EXTENDED),
        ("2026-11-28T15:00", Zone.EXTENDED),
    ],
)
def test_zones_of_new_york(utc, zone):
    assert XNYS.zone_at(at(utc)) is zone


def test_low_volatility_is_zone_two_and_changes_nothing_else():
    assert XNYS.zone_at(at("2026-03-10T13:30"), volatile=False) is Zone.REGULAR
    assert XNYS.zone_at(at("2026-03-10T07:00"), volatile=False) is Zone.MAINTENANCE


def test_without_a_volatility_rule_there_is_no_zone_one():
    assert XTKS.zone_at(at("2026-03-10T00:00"), volatile=True) is Zone.REGULAR


def test_zones_count_together_by_their_hours():
    assert [zone.hours for zone in Zone] == [Hours.REGULAR, Hours.REGULAR, Hours.EXTENDED, Hours.MAINTENANCE]


def test_a_closure_wins_over_a_half_day_and_a_holiday_over_its_weekday():
    closed = replace(XNYS, closures={date(2026, 11, 27): "storm"})
    assert closed.day_phases(date(2026, 11, 27)) == ()
    assert XNYS.day_phases(date(2026, 11, 26)) == ()
    assert [phase.end_min for phase in XNYS.day_phases(date(2026, 11, 27))] == [780]


def test_an_unknown_day_is_the_ordinary_day_of_its_weekday():
    christmas_2030 = date(2030, 12, 25)
    assert not XNYS.is_known(christmas_2030)
    assert XNYS.day_phases(christmas_2030) == XNYS.day_phases(date(2026, 3, 10))
    assert XNYS.day_phases(date(2030, 12, 28)) == ()
    assert XNYS.is_known(date(2028, 12, 31))


def test_maintenance_wins_over_trading():
    assert CRYPTO.zone_at(at("2026-11-01T04:30")) is Zone.MAINTENANCE
    assert CRYPTO.zone_at(at("2026-11-01T05:00")) is Zone.REGULAR
    assert CRYPTO.zone_at(at("2026-11-02T04:30")) is Zone.REGULAR


@pytest.mark.parametrize(("day", "minutes"), [(date(2026, 3, 8), 1380), (date(2026, 11, 1), 1500), (date(2026, 3, 10), 1440)])
def test_a_day_on_which_the_clocks_change_has_another_length(day, minutes):
    assert sum(XNYS.minutes(day, day).values()) == minutes


def test_the_hour_that_comes_twice_counts_twice():
    early = replace(XNYS, maintenance=(Maintenance(frozenset({6}), 60, 120),))
    assert early.minutes(date(2026, 11, 1), date(2026, 11, 1))[Hours.MAINTENANCE] == 120
    skipped = replace(XNYS, maintenance=(Maintenance(frozenset({6}), 120, 180),))
    assert skipped.minutes(date(2026, 3, 8), date(2026, 3, 8))[Hours.MAINTENANCE] == 0


def test_minutes_of_a_month_are_counted_one_by_one():
    start_s, end_s = XNYS.month_bounds(2026, 11)
    slow = dict.fromkeys(Hours, 0)
    for at_s in range(start_s, end_s, 60):
        slow[XNYS.zone_at(at_s).hours] += 1
    assert XNYS.minutes(date(2026, 11, 1), date(2026, 11, 30)) == slow
    assert slow[Hours.REGULAR] == 7620
    assert sum(slow.values()) == 30 * 1440 + 60


@pytest.mark.parametrize(("year", "month", "hours"), [(2026, 2, 672), (2026, 3, 743), (2026, 11, 721), (2026, 12, 744), (2028, 2, 696)])
def test_a_month_begins_and_ends_at_local_midnight(year, month, hours):
    start_s, end_s = XNYS.month_bounds(year, month)
    assert (end_s - start_s) / 3600 == hours
    assert (XNYS.to_local(start_s).day, XNYS.to_local(start_s).hour) == (1, 0)
    assert XNYS.to_local(start_s - 1).month != month
    assert XNYS.to_local(end_s - 1).month == month


@pytest.mark.parametrize(
    ("timezone", "day", "start"),
    [
        ("Asia/Beirut", date(2026, 3, 29), "2026-03-28T22:00"),
        ("America/Havana", date(2026, 11, 1), "2026-11-01T04:00"),
        ("Pacific/Apia", date(2011, 12, 31), "2011-12-30T10:00"),
        ("Africa/Cairo", date(2026, 4, 24), "2026-04-23T22:00"),
    ],
)
def test_a_day_begins_at_its_first_moment_even_when_midnight_is_skipped_or_comes_twice(timezone, day, start):
    assert replace(XNYS, timezone=timezone).day_start_s(day) == at(start)


@pytest.mark.parametrize("name", CALENDARS)
def test_spans_are_the_zones_of_their_minutes_without_gaps(name):
    """The fast way against the slow one, for the fortnights around both changes of the clocks."""
    calendar = CALENDARS[name]
    for start_s in (at("2026-03-05T00:00"), at("2026-03-27T00:00"), at("2026-10-23T00:00")):
        end_s = start_s + 10 * 86400
        spans = list(calendar.spans(start_s, end_s))
        assert (spans[0][0], spans[-1][1]) == (start_s, end_s)
        assert all(before[1] == after[0] and before[2] is not after[2] for before, after in pairwise(spans))
        for since_s, until_s, zone in spans:
            assert {calendar.zone_at(at_s) for at_s in range(since_s, until_s, 60)} == {zone}


def test_the_next_change():
    assert XNYS.next_change(at("2026-03-10T13:29:59")) == (at("2026-03-10T13:30"), Zone.VOLATILE)
    assert XNYS.next_change(at("2026-03-10T13:30"), volatile=False) == (at("2026-03-10T20:00"), Zone.EXTENDED)
    assert XTKS.next_change(at("2026-03-10T02:30")) == (at("2026-03-10T03:30"), Zone.REGULAR)
    assert replace(CRYPTO, maintenance=()).next_change(at("2026-03-10T02:30")) is None


def test_windows_that_touch_are_one_change():
    """23:00-24:00 and 00:00-04:00 are two windows in the model, and one night in life."""
    assert XNYS.next_change(at("2026-03-11T03:30")) == (at("2026-03-11T08:00"), Zone.EXTENDED)


@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from(sorted(CALENDARS)), at_s=st.floats(*YEAR))
def test_until_the_next_change_nothing_changes(name, at_s):
    calendar = CALENDARS[name]
    change = calendar.next_change(at_s)
    assert change
    assert calendar.zone_at(change[0]) is change[1]
    assert calendar.zone_at(change[0] - 0.001) is calendar.zone_at(at_s) is not change[1]


@pytest.mark.parametrize("timezone", ["America/New_York", "Europe/London", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Tokyo"])
def test_the_table_of_offsets_is_the_time_zone(timezone):
    start_s, end_s = at("2025-01-01T00:00"), at("2036-01-01T00:00")
    table = offsets(timezone, start_s, end_s)
    calendar = replace(XNYS, timezone=timezone)
    assert table[0][0] == start_s
    index = 0
    for at_s in range(start_s, end_s, 1800):
        while index + 1 < len(table) and table[index + 1][0] <= at_s:
            index += 1
        assert calendar.to_local(at_s).utcoffset() == timedelta(seconds=table[index][1])


RULE = Volatility("vix", above=20, calm=18, hold_s=1800, memory_s=14400)


@pytest.mark.parametrize(
    ("samples", "high"),
    [
        ([], True),
        ([(10000.0, 15.0)], False),
        ([(10000.0, 20.0)], False),
        ([(10000.0, 20.1)], True),
        ([(8200.0, 15.0)], True),
        ([(8201.0, 15.0)], False),
        ([(5000.0, 25.0), (9900.0, 19.0)], True),
        ([(5000.0, 25.0), (9900.0, 18.0)], False),
        ([(9900.0, float("nan"))], True),
        ([(9900.0, float("nan")), (9000.0, 15.0)], False),
        ([(10001.0, 25.0), (9900.0, 15.0)], False),
    ],
    ids=[
        "none",
        "low",
        "at the bound",
        "high",
        "too old",
        "just not too old",
        "high before",
        "high before, calm since",
        "nan",
        "nan and low",
        "later",
    ],
)
def test_volatility_with_memory(samples, high):
    assert volatility_high(samples, 10000.0, RULE) is high
