"""The trading day's schedule: what comes next, what was missed, and how it is carried out."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from venue_parts import INSTRUMENTS, LogLines, running_core

from engine.config import VenueError
from engine.core.day import ATTEMPTS, Changed, LinkFailed, OwnLink, TradingDay, needs
from engine.core.sessions import Due, newest_event, next_event, parse_schedule
from engine.instruments import engine_config
from engine.logs import JsonLog
from engine.types import ALL_INSTRUMENTS, SessionState

TEXT = """
time_zone: America/New_York
weekdays: [mon, tue, wed, thu, fri]
holidays: [2026-11-26]
events:
  - {at: "09:28", state: opening_auction}
  - {at: "09:30", state: continuous}
  - {at: "16:00", state: closed}
"""
SCHEDULE = parse_schedule(TEXT, "s.yaml")
moments = st.integers(0, 2 * 365 * 86_400).map(lambda seconds: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds))


def utc(*fields):
    return datetime(*fields, tzinfo=UTC)


def close_of(day):
    """16:00 of a day in November 2026."""
    return Due(utc(2026, 11, day, 21), SessionState.CLOSED)


def test_the_next_event_is_the_first_one_after_now_in_the_schedules_own_zone():
    assert next_event(SCHEDULE, utc(2026, 11, 20, 14, 27)) == Due(utc(2026, 11, 20, 14, 28), SessionState.OPENING_AUCTION)
    assert next_event(SCHEDULE, utc(2026, 11, 20, 14, 28)) == Due(utc(2026, 11, 20, 14, 30), SessionState.CONTINUOUS)
    assert next_event(SCHEDULE, utc(2026, 7, 1, 13, 27)).at == utc(2026, 7, 1, 13, 28)


def test_weekends_and_holidays_have_no_events():
    assert next_event(SCHEDULE, utc(2026, 11, 20, 22)).at == utc(2026, 11, 23, 14, 28)
    assert next_event(SCHEDULE, utc(2026, 11, 25, 22)).at == utc(2026, 11, 27, 14, 28)
    assert newest_event(SCHEDULE, utc(2026, 11, 26, 20)) == close_of(25)


def test_of_what_was_missed_only_the_newest_counts_over_nights_weekends_and_holidays():
    assert newest_event(SCHEDULE, utc(2026, 11, 20, 18)) == Due(utc(2026, 11, 20, 14, 30), SessionState.CONTINUOUS)
    assert newest_event(SCHEDULE, utc(2026, 11, 20, 21)).state is SessionState.CLOSED
    assert newest_event(SCHEDULE, utc(2026, 11, 20, 14)) == close_of(19)
    assert newest_event(SCHEDULE, utc(2026, 11, 21, 4, 30)) == close_of(20), "still Friday in New York"
    assert newest_event(SCHEDULE, utc(2026, 11, 23, 11)) == close_of(20), "Monday, before the open"


def test_what_was_missed_is_looked_for_on_the_seven_days_before_today_and_not_further_back():
    weekly = parse_schedule(TEXT.replace("[mon, tue, wed, thu, fri]", "[fri]"), "s.yaml")
    assert newest_event(weekly, utc(2026, 11, 20, 12)) == close_of(13)
    holiday = parse_schedule(TEXT.replace("[mon, tue, wed, thu, fri]", "[thu]"), "s.yaml")
    assert newest_event(holiday, utc(2026, 11, 27, 4)) == close_of(19), "still Thursday in New York"
    assert newest_event(holiday, utc(2026, 11, 27, 12)) is None


def test_a_time_that_the_clock_jumps_over_happens_and_one_that_comes_twice_happens_once():
    night = parse_schedule(TEXT.replace("09:28", "02:30").replace("[mon, tue, wed, thu, fri]", "[sun]"), "s.yaml")
    assert next_event(night, utc(2026, 3, 8, 5)).at == utc(2026, 3, 8, 7, 30)
    autumn = parse_schedule(TEXT.replace("09:28", "01:30").replace("[mon, tue, wed, thu, fri]", "[sun]"), "s.yaml")
    assert next_event(autumn, utc(2026, 11, 1, 4)).at == utc(2026, 11, 1, 5, 30)
    assert next_event(autumn, utc(2026, 11, 1, 5, 30)).at == utc(2026, 11, 1, 14, 30)


def test_a_schedule_whose_days_are_all_holidays_has_no_next_event():
    thursdays = ", ".join(str(date(2026, 1, 1) + timedelta(days=7 * week)) for week in range(600))
    never = parse_schedule(TEXT.replace("2026-11-26", thursdays).replace("mon, tue, wed, thu, fri", "thu"), "s.yaml")
    assert next_event(never, utc(2026, 1, 1)) is None


@given(moments)
def test_walking_from_event_to_event_never_goes_back_and_meets_what_is_newest(now):
    due = next_event(SCHEDULE, now)
    following = next_event(SCHEDULE, due.at)
    assert now < due.at < following.at
    assert newest_event(SCHEDULE, due.at) == due
    before = newest_event(SCHEDULE, due.at - timedelta(microseconds=1))
    assert before == newest_event(SCHEDULE, now)
    assert before.at <= now


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"America/New_York": "Mars/Base"}, "time_zone: no zone"),
        ({"time_zone: America/New_York": "time_zone: 5"}, "time_zone: expected a name"),
        ({"[mon, tue, wed, thu, fri]": "[monday]"}, "weekdays: expected a list"),
        ({"[mon, tue, wed, thu, fri]": "[]"}, "weekdays: expected a list"),
        ({"2026-11-26": "tomorrow"}, "holidays: expected a list of days"),
        ({'"16:00"': "16:00"}, "entry 2: at: expected a quoted"),
        ({'"09:28"': '"9:28"'}, "entry 0: at: expected a quoted"),
        ({'"09:28"': '"24:00"'}, "entry 0: at: expected a quoted"),
        ({"state: closed": "state: shut"}, "entry 2: state: expected one of pre_open"),
        ({", state: closed": ""}, "entry 2: expected at and state"),
        ({"09:28": "09:30"}, "two at 09:30"),
        ({"holidays": "holydays"}, "unknown field 'holydays'"),
    ],
)
def test_a_bad_sessions_file_names_file_entry_and_field(change, says):
    text = TEXT
    for old, new in change.items():
        assert old in text
        text = text.replace(old, new)
    with pytest.raises(VenueError, match=r"^s\.yaml: ") as error:
        parse_schedule(text, "s.yaml")
    assert says in error.value.message


@pytest.mark.parametrize("text", ["", "[]", "time_zone: UTC", "{time_zone: UTC, events: []}", "{time_zone: UTC, events: 5}"])
def test_a_sessions_file_without_events_is_refused(text):
    with pytest.raises(VenueError, match="expected a"):
        parse_schedule(text, "s.yaml")


class Clock:
    """Goes on when somebody waits, and ends the test when it comes to its end."""

    def __init__(self, start, end):
        self.now, self.end = start, end

    def __call__(self):
        return int(self.now.timestamp() * 1e9)

    async def pause(self, seconds):
        self.now += timedelta(seconds=seconds)
        if self.now > self.end:
            raise asyncio.CancelledError


class FakeLink:
    """An engine's end: `need` is what it says when it is asked."""

    def __init__(self, need=(ALL_INSTRUMENTS,), failures=0):
        self.sent, self.to, self.need, self.failures = [], [], need, failures

    async def in_need(self, due):
        return self.need

    async def send(self, due, instruments=(ALL_INSTRUMENTS,)):
        if self.failures > 0:
            self.failures -= 1
            raise LinkFailed("gone")
        self.sent.append(due)
        self.to.append(instruments)
        return Changed(5, 3)


def run_day(link, start, end):
    log, clock = LogLines(), Clock(start, end)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(TradingDay(SCHEDULE, link, JsonLog(stream=log), clock, clock.pause).run())
    return log


def test_each_event_is_sent_when_it_is_due_and_not_before():
    link = FakeLink(need=())
    log = run_day(link, utc(2026, 11, 20, 12), utc(2026, 11, 23, 14, 29))
    states = [SessionState.OPENING_AUCTION, SessionState.CONTINUOUS, SessionState.CLOSED, SessionState.OPENING_AUCTION]
    assert [due.state for due in link.sent] == states
    assert link.to == [(ALL_INSTRUMENTS,)] * 4
    assert [line["seq_num"] for line in log.lines[1:]] == [5] * 4


@pytest.mark.parametrize("need", [(ALL_INSTRUMENTS,), [1, 3]])
def test_a_late_start_sends_what_it_missed_to_those_that_need_it(need):
    link = FakeLink(need)
    log = run_day(link, utc(2026, 11, 20, 18), utc(2026, 11, 20, 19))
    assert ([due.state for due in link.sent], link.to) == ([SessionState.CONTINUOUS], [need])
    assert log.events() == ["session.changed"]


def test_a_late_start_sends_nothing_when_nobody_needs_it():
    link = FakeLink(need=())
    log = run_day(link, utc(2026, 11, 20, 18), utc(2026, 11, 20, 19))
    assert (link.sent, log.events()) == ([], ["session.known"])


def test_a_core_that_starts_on_monday_before_the_open_sends_fridays_close():
    link = FakeLink()
    log = run_day(link, utc(2026, 11, 23, 11), utc(2026, 11, 23, 12))
    assert (link.sent, log.lines[0]["state"]) == ([close_of(20)], "closed")


def test_what_was_halted_stays_halted_at_a_missed_open_and_is_closed_at_a_missed_close():
    opened = Due(utc(2026, 11, 20, 14, 30), SessionState.CONTINUOUS)
    assert [state for state in SessionState if not needs(state, opened)] == [SessionState.CONTINUOUS, SessionState.HALTED]
    assert [state for state in SessionState if not needs(state, close_of(20))] == [SessionState.CLOSED]


def test_an_event_is_tried_again_a_bounded_number_of_times_and_the_next_one_still_comes():
    link = FakeLink(need=(), failures=ATTEMPTS)
    log = run_day(link, utc(2026, 11, 20, 14, 27), utc(2026, 11, 20, 15))
    assert log.events() == ["session.known"] + ["session.retry"] * ATTEMPTS + ["session.failed", "session.changed"]
    assert [due.state for due in link.sent] == [SessionState.CONTINUOUS]


@pytest.mark.parametrize("partitions", [1, 2])
async def test_the_own_link_moves_all_instruments_or_those_alone_that_need_it(tmp_path, partitions):
    config = engine_config(INSTRUMENTS, partitions=partitions)
    with running_core(tmp_path / "log", link_key="k" * 16, config=config) as (core, port):
        link = OwnLink("127.0.0.1", port, len(INSTRUMENTS), "k" * 16)
        opened, halted = (Due(utc(2026, 11, 20), state) for state in (SessionState.CONTINUOUS, SessionState.HALTED))
        assert await link.in_need(close_of(20)) == (ALL_INSTRUMENTS,)
        assert await link.send(close_of(20)) == Changed(1, len(INSTRUMENTS))
        assert not await link.in_need(close_of(20))
        await link.send(halted, [0])
        assert await link.send(opened, [3]) == Changed(3, 1)
        assert await link.in_need(opened) == [1, 2, 4]
        assert await link.send(opened, [1, 2, 4]) == Changed(6, 3)
        assert not await link.in_need(opened)
        assert await link.in_need(close_of(20)) == (ALL_INSTRUMENTS,)
        assert core.stats()["seq_num"] == 6 * partitions


async def test_an_own_link_that_is_turned_away_says_why(tmp_path):
    with running_core(tmp_path / "log", link_key="k" * 16) as (_, port), pytest.raises(LinkFailed, match="closed the link"):
        await OwnLink("127.0.0.1", port, 5, "wrong").send(Due(utc(2026, 11, 20), SessionState.CLOSED))
    with pytest.raises(LinkFailed):
        await OwnLink("127.0.0.1", port, 5).send(Due(utc(2026, 11, 20), SessionState.CLOSED))
