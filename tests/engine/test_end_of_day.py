"""Corporate actions and the end of the day: what they do to orders, positions and memory, and what they tell; on both engines."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.types import ExecType, InstrumentRules, RejectReason, SessionState, Side, TimeInForce
from tests.engine.engines import KINDS, Desk

GTC = TimeInForce.GTC
CONTINUOUS, HALTED, CLOSED = SessionState.CONTINUOUS, SessionState.HALTED, SessionState.CLOSED


def test_a_split_restates_every_order_in_the_order_of_the_book(desk):
    """Two new shares for one old one."""
    desk.sell(3, 110, tif=GTC, firm=2)
    desk.buy(1, 110, tif=GTC)
    desk.buy(5, 101, tif=GTC)
    desk.buy(4, 102, tif=GTC)
    desk.buy(2, 130, stop=121, tif=GTC)
    desk.sell(1, stop=95, tif=GTC)
    desk.session(CLOSED)
    desk.corporate_action(2, 1)
    assert desk.told() == [
        "RESTATED #4 CORPORATE_ACTION firm 1 buy limit gtc 8@51 leaves 8 value 2 limit 1",
        "RESTATED #3 CORPORATE_ACTION firm 1 buy limit gtc 10@50 leaves 10 value 2 limit 1",
        "RESTATED #1 PARTIALLY_FILLED CORPORATE_ACTION firm 2 sell limit gtc 5@55 cum 1 leaves 4 notional 110 value 2 limit 1",
        "RESTATED #5 CORPORATE_ACTION firm 1 buy stop_limit gtc 4@65 stop 61 leaves 4 value 2 limit 1",
        "RESTATED #6 CORPORATE_ACTION firm 1 sell stop gtc 2@0 stop 47 leaves 2 value 2 limit 1",
        "CONTROL value 5",
    ]
    assert desk.engine.positions() == [(1, 0, 2, 22, 2, 1, 0, -110, 0, 1), (2, 0, -2, 0, 4, 0, 1, 110, 1, 0)]
    assert desk.last_trade() == (55, 1)


def test_a_reverse_split_cancels_what_rounds_to_nothing_and_truncates_positions_toward_zero(desk):
    """One new share for three old ones."""
    desk.sell(5, 100, tif=GTC, firm=2)
    desk.buy(4, 100)
    desk.buy(2, 90, tif=GTC)
    desk.buy(7, 91, tif=GTC)
    desk.session(CLOSED)
    desk.corporate_action(1, 3)
    assert desk.told() == [
        "RESTATED #4 CORPORATE_ACTION firm 1 buy limit gtc 2@273 leaves 2 value 1 limit 3",
        "CANCELLED #3 CANCELLED CORPORATE_ACTION firm 1 buy limit gtc 2@90 value 1 limit 3",
        "CANCELLED #1 CANCELLED CORPORATE_ACTION firm 2 sell limit gtc 5@100 cum 4 notional 400 value 1 limit 3",
        "CONTROL value 3",
    ]
    assert [row[2] for row in desk.engine.positions()] == [1, -1]


@pytest.mark.parametrize(
    ("side", "price", "stop", "num", "den", "dividend", "expected"),
    [
        (Side.BUY, 101, None, 2, 1, 3, (47, 0)),
        (Side.SELL, 101, None, 2, 1, 3, (51, 0)),
        (Side.BUY, 101, 103, 2, 1, 3, (47, 52)),
        (Side.SELL, 101, 103, 2, 1, 3, (51, 48)),
        (Side.BUY, 3, None, 1, 1, 3, None),
        (Side.SELL, 3, None, 1, 1, 3, (3, 0)),
        (Side.SELL, None, 3, 1, 1, 3, None),
        (Side.BUY, None, 3, 1, 1, 3, (0, 3)),
        (Side.SELL, 10**9, None, 999, 1000, 0, None),
        (Side.BUY, 1, None, 1000, 1, 0, None),
    ],
)
def test_prices_are_rounded_so_that_nobody_pays_more_or_trades_sooner(desk, side, price, stop, num, den, dividend, expected):
    desk.order(side, 1_000, price, stop=stop, tif=GTC)
    desk.session(CLOSED)
    desk.corporate_action(num, den, dividend)
    rows = [(row[7], row[8]) for row in desk.engine.orders(0)]
    assert rows == ([] if expected is None else [expected])
    assert desk.told()[0].split()[0] == ("RESTATED" if expected else "CANCELLED")


def test_a_split_sets_off_no_stop_that_no_price_reached(desk):
    """Last price and stop price were both rounded down to 100, and 1000 shares were sold at 9 without a trade before them."""
    desk.trade(1009)
    stop = desk.sell(100, stop=1001, tif=GTC, firm=3)
    desk.buy(100, 90, tif=GTC, firm=2)
    desk.session(CLOSED)
    desk.corporate_action(10, 1)
    assert desk.told()[1] == "RESTATED #3 CORPORATE_ACTION firm 3 sell stop gtc 1000@0 stop 99 leaves 1000 value 10 limit 1"
    assert desk.last_trade() == (100, 1)
    desk.session(CONTINUOUS)
    assert desk.told() == ["SESSION value 2 limit 5", "SESSION instrument 1 value 2 limit 5", "CONTROL instrument 4294967295 value 2"]
    desk.trade(100)
    assert stop.order_id in desk.live_ids()
    desk.trade(99)
    assert stop.order_id not in desk.live_ids()


@pytest.mark.parametrize(
    ("side", "last", "stop", "num", "den", "dividend", "expected"),
    [
        (Side.SELL, 1009, 1001, 10, 1, 3, 96),
        (Side.SELL, 1009, 1009, 10, 1, 0, 100),  # reached before
        (Side.SELL, 1011, 1009, 10, 1, 0, 100),
        (Side.SELL, 15, 11, 10, 1, 0, None),
        (Side.SELL, 15, 15, 10, 1, 0, 1),
        (Side.SELL, 10**9, 10**9 - 1, 1, 2, 0, 10**9 - 1),
        (Side.SELL, None, 1001, 10, 1, 0, 100),
        (Side.BUY, 1001, 1009, 10, 1, 0, 101),
        (Side.BUY, 4, 5, 10, 1, 0, 2),
        (Side.BUY, 5, 5, 10, 1, 0, 1),  # reached before
        (Side.BUY, 5, 6, 1, 1, 9, 6),
        (Side.BUY, None, 5, 10, 1, 0, 1),
    ],
)
def test_a_waiting_stop_stays_a_tick_from_a_last_price_that_had_not_reached_it(desk, side, last, stop, num, den, dividend, expected):
    if last:
        desk.trade(last)
    desk.session(HALTED)
    order = desk.order(side, 1_000, stop=stop, tif=GTC)
    limited = desk.order(side, 1_000, 600, stop=stop, tif=GTC)
    desk.session(CLOSED)
    desk.corporate_action(num, den, dividend)
    if expected is None:
        assert [line.split()[:4:3] for line in desk.told()[:2]] == [["CANCELLED", "CORPORATE_ACTION"]] * 2
    assert [(row[0], row[8]) for row in desk.engine.orders(0)] == [(one.order_id, expected) for one in (order, limited) if expected]


ACTIONS = st.tuples(
    st.one_of(st.integers(1, 20), st.integers(1, 1_000)),
    st.one_of(st.integers(1, 20), st.integers(1, 1_000)),
    st.one_of(st.just(0), st.integers(0, 50), st.integers(0, 3_000)),
)
LAST = st.one_of(st.none(), st.integers(1, 40), st.integers(41, 3_000), st.integers(10**9 - 40, 10**9))
STOPS = st.lists(st.tuples(st.sampled_from(list(Side)), st.integers(-30, 30)), min_size=1, max_size=6)


def triggered_in_the_morning(kind, last, stops, actions):
    """Which of the stops going continuous triggers after these actions. They were entered in a halt: some are reached already."""
    desk = Desk(kind)
    if last:
        desk.trade(last)
    desk.session(HALTED)
    ids = [desk.order(side, 10**6, stop=min(10**9, max(1, (last or 100) + away)), tif=GTC).order_id for side, away in stops]
    desk.session(CLOSED)
    for action in actions:
        desk.corporate_action(*action)
    desk.session(CONTINUOUS)
    return {ids.index(report.order_id) for report in desk.reports if report.exec_type == ExecType.TRIGGERED}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=400, deadline=None)
@given(last=LAST, stops=STOPS, actions=st.lists(ACTIONS, min_size=1, max_size=2))
def test_no_corporate_action_makes_going_continuous_trigger_what_it_would_not_have_triggered(kind, last, stops, actions):
    assert triggered_in_the_morning(kind, last, stops, actions) <= triggered_in_the_morning(kind, last, stops, [])


@pytest.mark.parametrize(
    ("num", "den", "dividend", "shown"),
    [(1, 1, 5, (50, 1)), (1, 1, 9, (50, 1)), (1000, 1, 0, (1, 1)), (1, 1, 2, (50, 3)), (1, 1000, 0, (50_000, 5_000))],
)
def test_the_spent_stop_price_of_a_triggered_order_decides_nothing_any_more(desk, num, den, dividend, shown):
    """A dividend of the stop price cancelled an order that rested at its limit."""
    desk.trade(5)
    order = desk.sell(1_000, 50, stop=5, tif=GTC)
    assert desk.told()[1].startswith("TRIGGERED")
    desk.session(CLOSED)
    desk.corporate_action(num, den, dividend)
    assert [row[:1] + row[6:9] for row in desk.engine.orders(0)] == [(order.order_id, False, *shown)]
    desk.session(CONTINUOUS)
    desk.mass_cancel(1)
    assert desk.told()[0].startswith(f"CANCELLED #{order.order_id}")


def test_the_spent_stop_price_of_a_triggered_buy_order_ends_where_prices_do(desk):
    desk.trade(10**9 - 1)
    desk.buy(1_000, 3, stop=10**9 - 1, tif=GTC)
    desk.session(CLOSED)
    desk.corporate_action(1, 1000)
    assert [row[6:10] for row in desk.engine.orders(0)] == [(False, 3_000, 10**9, 1)]


def test_orders_that_meet_at_one_price_stand_in_the_order_of_the_old_book(desk):
    for price in (100, 101, 103, 102):
        desk.buy(1, price, tif=GTC)
    desk.session(CLOSED)
    desk.corporate_action(2, 1)
    assert [(row[0], row[7]) for row in desk.engine.orders(0)] == [(3, 51), (4, 51), (2, 50), (1, 50)]


def test_a_dividend_moves_last_trade_and_reference_but_not_below_one_tick(make_desk):
    desk = make_desk([InstrumentRules(reference_ticks=100, luld_bps=100)])
    desk.trade(100)
    desk.session(CLOSED)
    desk.corporate_action(1, 1, 4)
    assert desk.last_trade() == (96, 1)
    desk.corporate_action(1, 1, 1_000)
    assert desk.last_trade() == (1, 1)
    desk.corporate_action(1, 1000)
    for _ in range(4):
        desk.corporate_action(1, 1000)
    assert desk.last_trade() == (10**9, 1)


def test_a_corporate_action_is_refused_when_it_makes_no_sense_or_the_instrument_is_open(desk):
    desk.corporate_action(2, 1)
    assert desk.told() == ["REJECTED REJECTED WRONG_STATE value 2"]
    desk.corporate_action(2, 1, instrument=2)
    assert desk.told() == ["REJECTED REJECTED UNKNOWN_INSTRUMENT instrument 2 value 2 limit 2"]
    for num, den, dividend, numbers in (
        (0, 1, 0, "limit 1"),
        (1, 0, 0, "limit 1"),
        (1_001, 1, 0, "value 1001 limit 1000"),
        (1, 1_001, 0, "value 1001 limit 1000"),
        (1, 1, -1, "value -1"),
        (1, 1, 10**9 + 1, "value 1000000001 limit 1000000000"),
    ):
        desk.corporate_action(num, den, dividend)
        assert desk.told() == [f"REJECTED REJECTED BAD_QUANTITY {numbers}"]


def test_the_end_of_the_day_settles_every_position_that_traded_and_starts_at_zero(desk):
    desk.sell(5, 100, firm=2)
    desk.buy(3, 100, firm=3)
    desk.sell(1, 110, firm=3, instrument=1)
    desk.buy(1, 110, firm=2, instrument=1)
    desk.buy(1, 90, firm=7)
    desk.session(CLOSED)
    reply = desk.end_of_day(20261120)
    assert desk.told() == [
        "SETTLEMENT firm 2 last -3@0 trade 20261120 cum 3 leaves -3 notional 300 value 3",
        "SETTLEMENT firm 2 instrument 1 1@0 last 1@0 trade 20261120 leaves 1 notional -110 limit 1",
        "SETTLEMENT firm 3 3@0 last 3@0 trade 20261120 leaves 3 notional -300 limit 3",
        "SETTLEMENT firm 3 instrument 1 last -1@0 trade 20261120 cum 1 leaves -1 notional 110 value 1",
        "CONTROL value 4",
    ]
    assert reply.order_qty == 4
    assert [row[2:] for row in desk.engine.positions()] == [
        (-3, 0, 0, 0, 0, 0, 0, 0),
        (1, 0, 0, 0, 0, 0, 0, 0),
        (3, 0, 0, 0, 0, 0, 0, 0),
        (-1, 0, 0, 0, 0, 0, 0, 0),
        (0, 0, 0, 0, 0, 0, 0, 0),
    ]
    desk.end_of_day(20261121)
    assert desk.told() == ["CONTROL"]


def test_who_traded_with_himself_and_ended_where_he_began_is_settled_too(desk):
    desk.session(SessionState.OPENING_AUCTION)
    desk.buy(2, 100)
    desk.sell(2, 100)
    desk.session(CONTINUOUS)
    desk.session(CLOSED)
    desk.end_of_day()
    assert desk.told()[0] == "SETTLEMENT firm 1 2@0 trade 20261120 cum 2"


def test_the_end_of_the_day_waits_for_every_instrument(desk):
    desk.session(CLOSED, instrument=0)
    desk.session(SessionState.PRE_OPEN, instrument=1)
    desk.end_of_day()
    assert desk.told() == ["REJECTED REJECTED WRONG_STATE limit 1"]
    assert desk.engine.depth(0, 1)[3] == CLOSED


def test_the_end_of_the_day_forgets_done_orders_and_keeps_live_ones(desk):
    done = desk.buy(1, 99, cl_ord_id="done")
    desk.cancel(done.order_id)
    live = desk.buy(1, 99, cl_ord_id="live", tif=GTC)
    desk.session(CLOSED)
    desk.end_of_day()
    desk.session(CONTINUOUS)
    assert desk.cancel(done.order_id, firm=5).reason is RejectReason.TOO_LATE
    assert desk.cancel(live.order_id, firm=5).reason is RejectReason.NOT_OWNER
    assert desk.buy(1, 99, cl_ord_id="live").order_id == live.order_id
    assert desk.told()[0].startswith("REJECTED #2")
    again = desk.buy(1, 99, cl_ord_id="done")
    assert (again.order_id, again.reason) == (3, RejectReason.NONE)
    assert desk.cancel(live.order_id).reason is RejectReason.NONE


def test_two_days_with_the_same_live_orders_remember_the_same(make_desk):
    """What was forgotten leaves no trace in the hash but the counters: more of it makes no difference."""
    hashes = set()
    for cl_ord_id in ("a", "b"):
        desk = make_desk()
        desk.buy(1, 99, cl_ord_id=cl_ord_id, tif=TimeInForce.IOC)
        desk.session(CLOSED)
        before = desk.engine.state_hash()
        desk.end_of_day()
        hashes.add(desk.engine.state_hash())
        assert before not in hashes
    assert len(hashes) == 1


def test_orders_that_rest_over_night_trade_the_next_day(desk):
    desk.buy(5, 100, tif=GTC)
    desk.session(CLOSED)
    desk.end_of_day()
    desk.session(SessionState.PRE_OPEN)
    desk.sell(3, 100, firm=2)
    desk.session(SessionState.OPENING_AUCTION)
    desk.session(CONTINUOUS)
    assert (desk.bids(), desk.last_trade()) == ([(100, 2)], (100, 3))
