"""Moments: exact to the nanosecond, in any zone, and never guessed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import VenueError
from engine.tools.when import EPOCH, as_yyyymmdd, from_yyyymmdd, moment_text, parse_date, parse_moment, zone_of

BERLIN = zone_of("Europe/Berlin")


@given(st.integers(0, 4_000_000_000 * 10**9), st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]))
def test_what_is_printed_is_read_back_to_the_nanosecond(ts_ns, zone):
    assert parse_moment(moment_text(ts_ns, zone_of(zone)), UTC) == ts_ns


@pytest.mark.parametrize(
    ("text", "seconds", "nanoseconds"),
    [
        ("2026-11-20T10:15:23.456789", 23, 456_789_000),
        ("2026-11-20T10:15:23.456789Z", 23, 456_789_000),
        ("2026-11-20 10:15:23,5", 23, 500_000_000),
        ("2026-11-20T10:15:23.000000001", 23, 1),
        ("2026-11-20T10:15", 0, 0),
        ("2026-11-20T12:15:23+02:00", 23, 0),
        ("2026-11-20T05:45:23-0430", 23, 0),
    ],
)
def test_a_moment_may_be_written_in_several_ways(text, seconds, nanoseconds):
    expected = datetime(2026, 11, 20, 10, 15, seconds, tzinfo=UTC) - EPOCH
    assert parse_moment(text, UTC) == expected // timedelta(seconds=1) * 10**9 + nanoseconds


def test_a_moment_without_an_offset_is_one_of_the_zone():
    assert parse_moment("2026-11-20T11:15:00", BERLIN) == parse_moment("2026-11-20T10:15:00Z", BERLIN)
    assert parse_moment("2026-07-20T12:15:00", BERLIN) == parse_moment("2026-07-20T10:15:00Z", BERLIN)


def test_an_hour_that_the_clocks_show_twice_or_never_is_not_guessed():
    with pytest.raises(VenueError, match="show 2026-10-25T02:30:00 twice"):
        parse_moment("2026-10-25T02:30:00", BERLIN)
    with pytest.raises(VenueError, match="show 2026-03-29T02:30:00 never"):
        parse_moment("2026-03-29T02:30:00", BERLIN)
    assert parse_moment("2026-10-25T02:30:00+02:00", BERLIN) + 3600 * 10**9 == parse_moment("2026-10-25T02:30:00+01:00", BERLIN)


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-11-20", "2026-11-20T10", "2026-13-20T10:15", "2026-11-20T24:15", "2026-11-20T10:15:23.1234567890"]
)
def test_what_is_no_moment_is_refused_with_an_example(text):
    with pytest.raises(VenueError, match="--at") as refused:
        parse_moment(text, UTC)
    assert "2026-11-20T10:15:23.456789" in refused.value.hint


@pytest.mark.parametrize(
    ("text", "zone", "says"),
    [
        ("9999-12-31T23:59:59", "UTC", "from 1677-09-22 to 2262-04-11"),
        ("9999-12-31T23:59:59", "America/New_York", "from 1677-09-22 to 2262-04-11"),
        ("0001-01-01T00:00:00", "Asia/Tokyo", "from 1677-09-22 to 2262-04-11"),
        ("0001-01-01T00:00:00+14:00", "UTC", "from 1677-09-22 to 2262-04-11"),
        ("2262-04-12T00:00:00", "UTC", "from 1677-09-22 to 2262-04-11"),
        ("2026-11-30T21:24:02+25:00", "UTC", "an offset from -23:59 to +23:59, not '+25:00'"),
        ("2026-11-30T21:24:02-00:60", "UTC", "an offset from -23:59 to +23:59, not '-00:60'"),
    ],
)
def test_a_moment_that_no_log_can_hold_is_refused_in_words(text, zone, says):
    with pytest.raises(VenueError, match="--at") as refused:
        parse_moment(text, zone_of(zone))
    assert says in refused.value.message


@given(st.datetimes(), st.integers(-99, 99), st.integers(0, 99), st.sampled_from(["UTC", "Europe/Berlin", "Asia/Tokyo"]))
def test_every_moment_of_the_calendar_fits_the_log_or_is_refused(moment, hours, minutes, zone):
    for text in (moment.isoformat(), f"{moment.isoformat()}{hours:+03d}:{minutes:02d}"):
        try:
            assert abs(parse_moment(text, zone_of(zone))) < 2**63
        except VenueError as refused:
            assert refused.message.startswith("--at")


@given(st.text(max_size=40))
def test_no_text_breaks_the_parser(text):
    try:
        assert isinstance(parse_moment(text, UTC), int)
    except VenueError as refused:
        assert refused.message.startswith("--at")


def test_an_unknown_zone_is_refused():
    for name in ("Nowhere/City", "", "../etc"):
        with pytest.raises(VenueError, match="--zone"):
            zone_of(name)


def test_dates_are_read_as_the_log_writes_them():
    assert as_yyyymmdd(parse_date("2026-11-20")) == 20261120
    assert from_yyyymmdd(20261120) == "2026-11-20"
    assert from_yyyymmdd(123) == "123"
    for text in ("2026-02-30", "20261120", "x"):
        with pytest.raises(VenueError, match="--date"):
            parse_date(text)
