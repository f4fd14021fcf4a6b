"""LULD: bands around the reference, the limit state, the halt, and the reopening; on both engines."""

from __future__ import annotations

import pytest

from engine.types import FirmLimits, InstrumentRules, RejectReason, SessionState, TimeInForce

PRE_OPEN, OPENING, CONTINUOUS, HALTED, CLOSING, CLOSED = SessionState
IOC, FOK, GTC = TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTC
BANDED = InstrumentRules(reference_ticks=100, luld_bps=500)
LIMIT_STATE_NS, HALT_NS = 15 * 10**9, 300 * 10**9


@pytest.fixture
def desk(make_desk):
    """Bands 95..105; sell orders at 105 and, from a halt, at 106."""
    desk = make_desk([BANDED])
    desk.session(HALTED)
    desk.sell(5, 105)
    desk.sell(5, 106)
    desk.session(CONTINUOUS)
    return desk


def test_an_order_that_the_band_stops_trades_up_to_it_and_starts_the_limit_state(desk):
    desk.now_ns = 7
    desk.buy(9, 110, firm=2)
    assert desk.told() == [
        "NEW #3 firm 2 buy limit day 9@110 leaves 9",
        "TRADE #3 PARTIALLY_FILLED firm 2 buy limit day 9@110 taker last 5@105 trade 1 contra 1 cum 5 leaves 4 notional 525",
        "TRADE #1 FILLED firm 1 sell limit day 5@105 maker last 5@105 trade 1 contra 3 cum 5 notional 525",
        "CANCELLED #3 CANCELLED PRICE_BAND firm 2 buy limit day 9@110 cum 5 notional 525 value 106 limit 105",
        "LIMIT_STATE value 1",
    ]
    assert desk.engine.depth(0, 1)[3:5] == (CONTINUOUS, True)
    assert desk.engine.next_timer_ns() == 7 + LIMIT_STATE_NS


def test_a_command_with_an_earlier_time_counts_from_the_latest_time_there_was(desk):
    desk.pass_time(1_000)
    desk.now_ns = 5
    desk.buy(9, 110, firm=2)
    assert desk.engine.next_timer_ns() == 1_000 + LIMIT_STATE_NS


def test_a_split_moves_the_band_with_the_price(desk):
    desk.session(CLOSED)
    desk.reference(102)
    desk.corporate_action(2, 1)
    desk.session(CONTINUOUS)
    assert [desk.buy(1, price, firm=2).leaves_qty for price in (53, 54)] == [1, 0]  # 51 + 5 % = 53.55


def test_a_second_blocked_order_does_not_start_the_limit_state_again(desk):
    desk.buy(9, 110, firm=2)
    desk.now_ns = 10
    desk.buy(9, 110, firm=2)
    assert desk.told()[1:] == ["CANCELLED #4 CANCELLED PRICE_BAND firm 2 buy limit day 9@110 value 106 limit 105"]
    assert desk.engine.next_timer_ns() == LIMIT_STATE_NS


def test_a_trade_inside_the_band_ends_the_limit_state(desk):
    desk.buy(6, 106, firm=2)
    desk.sell(5, 104)
    assert desk.engine.depth(0, 1)[4]
    desk.buy(1, 104, firm=2)
    assert desk.told()[-1] == "LIMIT_STATE"
    assert (desk.engine.depth(0, 1)[4], desk.engine.next_timer_ns()) == (False, 0)


def test_a_trade_inside_the_band_ends_the_limit_state_also_when_the_band_stops_the_rest_of_its_order(make_desk):
    """The halt of the limit state before came though there was a trade in between: the blocked rest begins one of its own."""
    desk = make_desk([BANDED])
    desk.session(HALTED)
    desk.sell(5, 200)
    desk.session(CONTINUOUS)
    desk.now_ns = 10
    desk.buy(1, 200, firm=2)
    assert desk.engine.next_timer_ns() == 10 + LIMIT_STATE_NS
    desk.now_ns = again_ns = 14 * 10**9
    desk.sell(1, 101)
    desk.buy(2, 200, firm=2)
    assert desk.told()[1:] == [
        "TRADE #4 PARTIALLY_FILLED firm 2 buy limit day 2@200 taker last 1@101 trade 1 contra 3 cum 1 leaves 1 notional 101",
        "TRADE #3 FILLED firm 1 sell limit day 1@101 maker last 1@101 trade 1 contra 4 cum 1 notional 101",
        "CANCELLED #4 CANCELLED PRICE_BAND firm 2 buy limit day 2@200 cum 1 notional 101 value 200 limit 105",
        "LIMIT_STATE value 1",
    ]
    desk.now_ns = 10 + LIMIT_STATE_NS
    desk.pass_time(0)
    assert (desk.told(), desk.state()) == (["CONTROL"], CONTINUOUS)
    assert desk.engine.next_timer_ns() == again_ns + LIMIT_STATE_NS
    desk.now_ns = again_ns
    desk.pass_time(LIMIT_STATE_NS)
    assert desk.told() == ["SESSION value 3 limit 2", "CONTROL"]


def test_a_triggered_stop_that_trades_and_is_then_stopped_by_the_band_begins_the_limit_state_again(make_desk):
    desk = make_desk([BANDED])
    desk.session(HALTED)
    desk.sell(5, 200)
    desk.session(CONTINUOUS)
    desk.trade(100)
    desk.buy(1, 200, firm=2)
    desk.now_ns = 7
    desk.sell(1, 101)
    desk.buy(2, 200, stop=100, firm=3)
    told = [line if line.startswith("LIMIT_STATE") else line.split()[0] for line in desk.told()]
    assert told == ["NEW", "TRIGGERED", "TRADE", "TRADE", "CANCELLED", "LIMIT_STATE value 1"]
    assert desk.engine.next_timer_ns() == 7 + LIMIT_STATE_NS


def test_the_limit_state_becomes_a_halt_and_the_halt_a_reopening_by_uncross(desk):
    desk.buy(9, 110, firm=2)
    desk.pass_time(LIMIT_STATE_NS - 1)
    assert desk.told() == ["CONTROL"]
    desk.pass_time(1)
    assert desk.told() == ["SESSION value 3 limit 2", "CONTROL"]
    assert desk.engine.next_timer_ns() == LIMIT_STATE_NS + HALT_NS
    desk.buy(3, 107, firm=2)
    assert desk.told() == ["NEW #4 firm 2 buy limit day 3@107 leaves 3"]
    assert tuple(desk.engine.indicative(0)) == (106, 3, -2)
    desk.pass_time(HALT_NS)
    assert desk.told() == [
        "SESSION last 3@106 value 2 limit 3",
        "TRADE #4 FILLED firm 2 buy limit day 3@107 auction last 3@106 trade 2 contra 2 cum 3 notional 318",
        "TRADE #2 PARTIALLY_FILLED firm 1 sell limit day 5@106 auction last 3@106 trade 2 contra 4 cum 3 leaves 2 notional 318",
        "CONTROL",
    ]
    assert desk.engine.next_timer_ns() == 0
    assert desk.buy(2, 106, firm=2).cum_qty == 2  # the reference is 106 now


def test_timers_fire_in_front_of_any_command_that_comes_late_and_catch_up_in_order(make_desk):
    desk = make_desk([BANDED, BANDED])
    for instrument in (1, 0):
        desk.session(HALTED, instrument)
        desk.sell(5, 106, instrument=instrument)
        desk.session(CONTINUOUS, instrument)
        desk.now_ns += 10
        desk.buy(1, 106, firm=2, instrument=instrument)
    desk.now_ns += LIMIT_STATE_NS + HALT_NS
    desk.cancel(99)
    assert desk.told() == [
        "SESSION instrument 1 value 3 limit 2",
        "SESSION value 3 limit 2",
        "SESSION instrument 1 value 2 limit 3",
        "SESSION value 2 limit 3",
        "CANCEL_REJECTED #99 REJECTED UNKNOWN_ORDER firm 1 value 99",
    ]


def test_two_timers_of_one_moment_fire_by_instrument(make_desk):
    desk = make_desk([BANDED, BANDED])
    for instrument in (1, 0):
        desk.session(HALTED, instrument)
        desk.sell(5, 106, instrument=instrument)
        desk.session(CONTINUOUS, instrument)
        desk.buy(1, 106, firm=2, instrument=instrument)
    desk.pass_time(LIMIT_STATE_NS)
    assert desk.told()[:2] == ["SESSION value 3 limit 2", "SESSION instrument 1 value 3 limit 2"]


def test_a_limit_state_that_a_reopening_brings_counts_from_the_reopening(make_desk):
    """The stop that the reopening sets off is blocked; the command that lets time pass comes much later."""
    desk = make_desk([BANDED], limit_state_ns=10, halt_ns=20)
    desk.session(HALTED)
    desk.sell(5, 105)
    desk.sell(5, 200)
    desk.session(CONTINUOUS)
    desk.buy(6, 200, firm=2)
    desk.buy(5, 300, stop=106, firm=3)
    desk.pass_time(10)
    desk.sell(1, 106)
    desk.buy(1, 106, firm=2)
    assert desk.engine.next_timer_ns() == 30
    desk.pass_time(25)
    assert [line.split()[0] for line in desk.told()] == ["SESSION", "TRADE", "TRADE", "TRIGGERED", "CANCELLED", "LIMIT_STATE", "CONTROL"]
    assert desk.engine.next_timer_ns() == 40


def test_a_session_command_ends_timer_and_limit_state_without_telling_so(desk):
    desk.buy(9, 110, firm=2)
    desk.session(CLOSING)
    assert [line.split()[0] for line in desk.told()] == ["SESSION", "CONTROL"]
    assert (desk.engine.depth(0, 1)[4], desk.engine.next_timer_ns()) == (False, 0)
    desk.pass_time(LIMIT_STATE_NS + HALT_NS)
    assert desk.state() is CLOSING


def test_an_order_priced_outside_the_band_does_not_rest(desk):
    desk.cancel(1)
    desk.cancel(2)
    desk.buy(1, 106, firm=2)
    assert desk.told() == [
        "NEW #3 firm 2 buy limit day 1@106 leaves 1",
        "CANCELLED #3 CANCELLED PRICE_BAND firm 2 buy limit day 1@106 value 106 limit 105",
    ]
    desk.sell(1, 94, firm=2)
    assert desk.told()[1] == "CANCELLED #4 CANCELLED PRICE_BAND firm 2 sell limit day 1@94 value 94 limit 95"
    assert desk.buy(1, 94, firm=2).leaves_qty == 1
    assert desk.sell(1, 106, firm=2).leaves_qty == 1


@pytest.mark.parametrize(
    ("reference", "bps", "lower", "upper"), [(100, 500, 95, 105), (101, 500, 96, 106), (1, 9_999, 1, 1), (333, 10, 333, 333)]
)
def test_the_band_is_rounded_inwards(make_desk, reference, bps, lower, upper):
    desk = make_desk([InstrumentRules(reference_ticks=reference, luld_bps=bps)])
    for price in range(max(1, lower - 1), upper + 2):
        inside = lower <= price <= upper
        assert (desk.buy(1, price, firm=1).leaves_qty == 1) == (price <= upper)
        desk.mass_cancel(1)
        assert (desk.sell(1, price, firm=1).leaves_qty == 1) == (price >= lower), inside
        desk.mass_cancel(1)


def test_without_a_reference_the_first_trade_makes_it_and_binds_the_same_order_at_once(make_desk):
    desk = make_desk([InstrumentRules(luld_bps=500)])
    desk.sell(1, 100)
    desk.sell(1, 105)
    desk.sell(1, 106)
    reply = desk.buy(3, 110, firm=2)
    assert ([fill.price_ticks for fill in reply.fills], reply.reason) == ([100, 105], RejectReason.PRICE_BAND)


def test_a_fok_is_not_stopped_by_the_band_that_its_own_first_trade_makes(make_desk):
    desk = make_desk([InstrumentRules(luld_bps=500)])
    desk.sell(1, 100)
    desk.sell(1, 200)
    assert desk.buy(2, 200, firm=2, tif=FOK).cum_qty == 2
    desk.sell(1, 106)
    assert desk.buy(1, 106, firm=2).reason is RejectReason.PRICE_BAND


def test_a_killed_fok_tells_that_the_band_stopped_it_and_begins_no_limit_state(desk):
    """One that could not fill whatever it cost halted the instrument 15 s later, and risked no trade."""
    desk.buy(6, 106, firm=2, tif=FOK)
    assert desk.told()[1:] == ["CANCELLED #3 CANCELLED PRICE_BAND firm 2 buy limit fok 6@106 value 106 limit 105"]
    assert desk.asks() == [(105, 5), (106, 5)]
    assert (desk.engine.depth(0, 1)[4], desk.engine.next_timer_ns()) == (False, 0)
    desk.pass_time(LIMIT_STATE_NS)
    assert (desk.told(), desk.state()) == (["CONTROL"], CONTINUOUS)


def test_a_killed_fok_neither_ends_a_limit_state_nor_begins_it_again(desk):
    desk.buy(9, 110, firm=2)
    desk.now_ns = 10
    desk.sell(5, 104)
    assert desk.buy(11, 110, firm=2, tif=FOK).reason is RejectReason.PRICE_BAND
    assert len(desk.reports) == 2
    assert desk.engine.next_timer_ns() == LIMIT_STATE_NS
    desk.buy(5, 110, firm=2, tif=FOK)
    assert desk.told()[-1] == "LIMIT_STATE", "one that fills is a trade inside the bands"
    assert desk.engine.next_timer_ns() == 0


def test_the_reference_command_moves_the_band(desk):
    desk.reference(102)
    assert desk.told() == ["CONTROL"]
    assert desk.buy(10, 106, firm=2).cum_qty == 10
    desk.reference(0)
    assert desk.told() == ["REJECTED REJECTED BAD_PRICE limit 1000000000"]
    desk.reference(100, instrument=4)
    assert desk.told() == ["REJECTED REJECTED UNKNOWN_INSTRUMENT instrument 4 value 4 limit 1"]


def test_self_trade_prevention_and_bands_are_asked_in_the_order_of_the_walk(make_desk):
    """The band stops the walk before the order behind it is found to be the firm's own."""
    desk = make_desk([BANDED], default_limits=FirmLimits(stp=1))
    desk.session(HALTED)
    desk.sell(5, 106, firm=2)
    desk.session(CONTINUOUS)
    assert desk.buy(5, 106, firm=2).reason is RejectReason.PRICE_BAND
