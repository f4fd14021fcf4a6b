"""Corporate actions and the end of the day: what they do to orders, positions and memory, and what they tell; on both engines."""

from __future__ import annotations

import pytest

from engine.types import InstrumentRules, RejectReason, SessionState, Side, TimeInForce

GTC = TimeInForce.GTC
CONTINUOUS, CLOSED = SessionState.CONTINUOUS, SessionState.CLOSED


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
        "RESTATED #4 CORPORATE_ACTION firm 1 buy limit gtc 8@51 leaves 8",
        "RESTATED #3 CORPORATE_ACTION firm 1 buy limit gtc 10@50 leaves 10",
        "RESTATED #1 PARTIALLY_FILLED CORPORATE_ACTION firm 2 sell limit gtc 5@55 cum 1 leaves 4 notional 110",
        "RESTATED #5 CORPORATE_ACTION firm 1 buy stop_limit gtc 4@65 stop 61 leaves 4",
        "RESTATED #6 CORPORATE_ACTION firm 1 sell stop gtc 2@0 stop 47 leaves 2",
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
        "RESTATED #4 CORPORATE_ACTION firm 1 buy limit gtc 2@273 leaves 2",
        "CANCELLED #3 CANCELLED CORPORATE_ACTION firm 1 buy limit gtc 2@90",
        "CANCELLED #1 CANCELLED CORPORATE_ACTION firm 2 sell limit gtc 5@100 cum 4 notional 400",
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
