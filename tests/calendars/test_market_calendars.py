"""What the importer makes of the library, against the library's own minutes, for venues with all kinds of days."""

import warnings
from datetime import date

import pytest

from ops import calendars
from ops.adapters.market_calendars import fetch
from ops.errors import UsageError

VENUES = [
    ("XNYS", 2018, 2020),
    ("XHKG", 2024, 2026),
    ("XETR", 2025, 2026),
    ("XBOM", 2023, 2025),
    ("XSAU", 2024, 2025),
    ("XKRX", 2024, 2025),
    ("XBUE", 2025, 2026),
    ("XJSE", 2025, 2026),
    ("XSHG", 2024, 2025),
]


def library(mic, first, last):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import exchange_calendars

        return exchange_calendars.get_calendar(mic, start=f"{first}-01-01", end=f"{last}-12-31", side="left")


def opened(calendar, start_s, end_s):
    return [(since, until) for since, until, zone in calendar.spans(start_s, end_s) if zone.hours == "regular"]


def stretches(minutes):
    """Runs of minutes that follow one another."""
    found = []
    for at_s in minutes:
        if found and found[-1][1] == at_s:
            found[-1] = (found[-1][0], at_s + 60)
        else:
            found.append((at_s, at_s + 60))
    return found


@pytest.mark.parametrize(("mic", "first", "last"), VENUES)
def test_the_session_is_open_in_just_the_minutes_in_which_the_library_is(mic, first, last):
    calendar = fetch(mic, first, last)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        minutes = library(mic, first, last).minutes.tz_localize(None).to_numpy().astype("datetime64[s]").astype(int).tolist()
    start_s, (_, end_s) = calendar.month_bounds(first, 1)[0], calendar.month_bounds(last, 12)
    assert len(minutes) > 90 * 250
    assert opened(calendar, start_s, end_s) == stretches(minutes)


@pytest.mark.parametrize(("mic", "first", "last"), VENUES)
def test_what_is_imported_reads_back_equal(mic, first, last, tmp_path):
    calendar = fetch(mic, first, last)
    (tmp_path / "x.yaml").write_text(calendars.dump(calendar, "A test."))
    assert calendars.load(tmp_path / "x.yaml") == calendar


def test_holidays_have_the_names_that_the_library_knows():
    names = {str(day): name for day, name in fetch("XNYS", 2026, 2026).holidays.items()}
    assert names["2026-11-26"] == "Thanksgiving"
    assert fetch("XHKG", 2026, 2026).holidays[date(2026, 2, 17)] == "holiday"


def test_kinds_of_days_are_named_by_what_is_different():
    assert [kind.name for kind in fetch("XNYS", 2026, 2026).day_types] == ["ordinary", "early-close-1300"]
    assert [kind.name for kind in fetch("XKRX", 2024, 2024).day_types] == ["ordinary", "late-open-1000"]


def test_an_unknown_venue_is_refused_with_names_like_it():
    with pytest.raises(UsageError, match=r"'XNYZ' is no venue that is known: did you mean .*XNYS"):
        fetch("XNYZ", 2026, 2026)
    with pytest.raises(UsageError, match="no known name is like it"):
        fetch("123456789", 2026, 2026)


def test_a_venue_whose_sessions_cross_midnight_is_refused_in_a_sentence():
    with pytest.raises(UsageError, match=r"CMES trades past local midnight \(.*a calendar here has sessions within one local day"):
        fetch("CMES", 2026, 2026)


def test_years_beyond_the_library_are_refused():
    with pytest.raises(UsageError, match="XKRX cannot be had for 2080-2081"):
        fetch("XKRX", 2080, 2081)


def test_a_name_in_small_letters_is_enough():
    assert fetch("xnys", 2026, 2026).name == "XNYS"
