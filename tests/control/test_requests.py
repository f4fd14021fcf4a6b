"""Operators' words become commands of the engine; what is no command is refused before anything is sent."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import VenueError
from engine.control import requests
from engine.types import ALL_INSTRUMENTS, Command, CommandKind, FirmLimits, Instrument, SessionState, StpMode

AAPL = Instrument(3, "AAPL", Decimal("0.01"), 1000)


@pytest.mark.parametrize("state", SessionState)
def test_a_session_is_for_one_instrument_or_for_all(state):
    name = state.name.lower()
    assert requests.session(name, AAPL).command == Command(CommandKind.SESSION, instrument=3, state=state)
    assert requests.session(name, None).command.instrument == ALL_INSTRUMENTS


def test_the_kill_switch_goes_on_and_off():
    assert [requests.kill(7).command.qty, requests.kill(7, off=True).command.qty] == [1, 0]
    assert requests.kill(7).command == Command(CommandKind.KILL, firm=7, qty=1)


def test_limits_travel_in_the_fields_that_the_engine_reads():
    command = requests.limits(7, FirmLimits(11, 22, 33, 44, StpMode.DECREMENT)).command
    assert command == Command(CommandKind.LIMITS, firm=7, qty=11, price_ticks=22, stop_price_ticks=33, order_id=44, stp=StpMode.DECREMENT)


def test_cancel_all_is_for_one_instrument_or_for_all():
    assert requests.cancel_all(7, AAPL).command == Command(CommandKind.MASS_CANCEL, firm=7, instrument=3)
    assert requests.cancel_all(7, None).command.instrument == ALL_INSTRUMENTS


def test_a_reference_is_a_price_in_ticks():
    assert requests.reference(AAPL, "150.10").command == Command(CommandKind.REFERENCE, instrument=3, price_ticks=15010)


def test_a_split_is_new_for_old_and_a_dividend_in_ticks():
    command = requests.split(AAPL, "2:1", "0.24").command
    assert command == Command(CommandKind.CORPORATE_ACTION, instrument=3, qty=2, price_ticks=1, stop_price_ticks=24)
    assert requests.split(AAPL, "1:1", "0.24").command.stop_price_ticks == 24
    assert requests.split(AAPL, "1:10", None).command.stop_price_ticks == 0


def test_an_end_of_day_carries_its_date():
    assert requests.end_of_day("2026-11-20").command == Command(CommandKind.END_OF_DAY, qty=20261120)


def test_only_what_would_be_done_twice_may_not_be_repeated_blindly():
    assert not requests.split(AAPL, "2:1", None).may_repeat
    assert not requests.end_of_day("2026-11-20").may_repeat
    assert requests.kill(7).may_repeat
    assert requests.session("closed", None).may_repeat


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: requests.session("open", None), "STATE"),
        (lambda: requests.kill(65536), "firm"),
        (lambda: requests.kill(-1), "firm"),
        (lambda: requests.reference(AAPL, "150.105"), "PRICE"),
        (lambda: requests.reference(AAPL, "0"), "PRICE"),
        (lambda: requests.reference(AAPL, "10000000.01"), "PRICE"),
        (lambda: requests.reference(AAPL, "1e2"), "PRICE"),
        (lambda: requests.split(AAPL, "2", None), "RATIO"),
        (lambda: requests.split(AAPL, "0:1", None), "RATIO"),
        (lambda: requests.split(AAPL, "1001:1", None), "RATIO"),
        (lambda: requests.split(AAPL, "1:1", None), "changes nothing"),
        (lambda: requests.split(AAPL, "2:1", "0.241"), "--dividend"),
        (lambda: requests.split(AAPL, "2:1", "-1"), "--dividend"),
        (lambda: requests.end_of_day("20.11.2026"), "--date"),
        (lambda: requests.end_of_day("2026-02-30"), "--date"),
    ],
)
def test_what_is_no_command_is_a_usage_error_that_names_the_option(make, says):
    with pytest.raises(VenueError) as error:
        make()
    assert (error.value.exit_code, says in error.value.message) == (2, True)


@given(st.text(max_size=12))
def test_no_text_makes_a_request_raise_anything_else(text):
    for make in (
        lambda: requests.session(text, None), lambda: requests.reference(AAPL, text), lambda: requests.split(AAPL, text, None),
        lambda: requests.split(AAPL, "2:1", text), lambda: requests.end_of_day(text),
    ):  # fmt: skip
        try:
            assert make().words
        except VenueError as error:
            assert error.exit_code == 2


@given(st.integers(1, 10**9))
def test_every_price_of_the_book_can_be_a_reference(ticks):
    assert requests.reference(AAPL, f"{ticks // 100}.{ticks % 100:02d}").command.price_ticks == ticks
