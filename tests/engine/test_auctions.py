"""Sessions and call auctions: states, indicative price, uncross, and what each of them tells; on both engines."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.types import ALL_INSTRUMENTS, InstrumentRules, RejectReason, SessionState, Side, TimeInForce
from tests.engine.engines import KINDS, Desk

PRE_OPEN, OPENING, CONTINUOUS, HALTED, CLOSING, CLOSED = SessionState
GTC = TimeInForce.GTC
IN_OPENING = InstrumentRules(initial_state=OPENING)


def test_an_opening_uncrosses_at_one_price_and_tells_the_session_first(make_desk):
    desk = make_desk([IN_OPENING])
    desk.buy(5, 102)
    desk.sell(3, 100, firm=2)
    desk.sell(4, 101, firm=3)
    desk.session(CONTINUOUS)
    assert desk.told() == [
        "SESSION last 5@101 value 2 limit 1",
        "TRADE #1 PARTIALLY_FILLED firm 1 buy limit day 5@102 auction last 3@101 trade 1 contra 2 cum 3 leaves 2 notional 303",
        "TRADE #2 FILLED firm 2 sell limit day 3@100 auction last 3@101 trade 1 contra 1 cum 3 notional 303",
        "TRADE #1 FILLED firm 1 buy limit day 5@102 auction last 2@101 trade 2 contra 3 cum 5 notional 505",
        "TRADE #3 PARTIALLY_FILLED firm 3 sell limit day 4@101 auction last 2@101 trade 2 contra 1 cum 2 leaves 2 notional 202",
        f"CONTROL instrument {ALL_INSTRUMENTS} value 1",
    ]
    assert (desk.last_trade(), desk.asks()) == ((101, 2), [(101, 2)])


@pytest.mark.parametrize(
    ("buys", "sells", "reference", "shown"),
    [
        ([(5, 100)], [(5, 101)], 0, (0, 0, 0)),
        ([(5, 100)], [], 0, (0, 0, 0)),
        ([(5, 101)], [(5, 101)], 0, (101, 5, 0)),
        ([(10, 102)], [(4, 99), (4, 101)], 0, (101, 8, 2)),
        ([(10, 102), (5, 101)], [(10, 99)], 0, (102, 10, 0)),
        ([(10, 104)], [(10, 100)], 0, (100, 10, 0)),
        ([(10, 104)], [(10, 100)], 103, (103, 10, 0)),
        ([(10, 104)], [(10, 100)], 200, (104, 10, 0)),
        ([(10, 104)], [(10, 100)], 102, (102, 10, 0)),
        ([(6, 104), (6, 102)], [(6, 98), (6, 100)], 101, (101, 12, 0)),
        ([(3, 105), (9, 101)], [(4, 100)], 0, (100, 4, 8)),
    ],
    ids=[
        "not crossed",
        "one side",
        "one price",
        "largest volume",
        "smallest imbalance",
        "lowest price",
        "the reference between them",
        "closest to a reference above",
        "the reference in the middle",
        "any price has the volume",
        "volume before imbalance",
    ],
)
def test_the_auction_price_is_the_one_of_volume_then_imbalance_then_reference_then_lowest(make_desk, buys, sells, reference, shown):
    desk = make_desk([InstrumentRules(initial_state=OPENING, reference_ticks=reference)])
    for qty, price in buys:
        desk.buy(qty, price)
    for qty, price in sells:
        desk.sell(qty, price, firm=2)
    assert tuple(desk.engine.indicative(0)) == shown


def test_the_last_trade_is_the_anchor_before_the_reference(make_desk):
    desk = make_desk([InstrumentRules(reference_ticks=104)])
    desk.trade(102)
    desk.session(CLOSING)
    desk.buy(10, 104)
    desk.sell(10, 100, firm=2)
    assert tuple(desk.engine.indicative(0)) == (102, 10, 0)


def test_stops_take_no_part_in_an_auction_and_are_triggered_by_its_price(make_desk):
    desk = make_desk([IN_OPENING])
    desk.buy(5, 100)
    desk.sell(9, 100, firm=2)
    desk.buy(3, stop=100, firm=3)
    assert tuple(desk.engine.indicative(0)) == (100, 5, -4)
    desk.session(CONTINUOUS)
    assert [line.split()[0] for line in desk.told()] == ["SESSION", "TRADE", "TRADE", "TRIGGERED", "TRADE", "TRADE", "CONTROL"]
    assert desk.asks() == [(100, 1)]


@pytest.mark.parametrize("old", [PRE_OPEN, OPENING, HALTED, CLOSING])
def test_every_way_into_continuous_uncrosses(make_desk, old):
    desk = make_desk([InstrumentRules(initial_state=old)])
    desk.buy(5, 101)
    desk.sell(5, 100, firm=2)
    desk.session(CONTINUOUS)
    assert desk.told()[0] == f"SESSION last 5@100 value 2{f' limit {int(old)}' if old else ''}"
    assert desk.live_ids() == []


@pytest.mark.parametrize(("old", "trades"), [(PRE_OPEN, 0), (OPENING, 1), (HALTED, 0), (CLOSING, 1)])
def test_a_close_uncrosses_out_of_an_auction_only(make_desk, old, trades):
    desk = make_desk([InstrumentRules(initial_state=PRE_OPEN)])
    desk.buy(5, 101, tif=GTC)
    desk.sell(5, 100, firm=2, tif=GTC)
    desk.session(old)
    desk.session(CLOSED)
    assert desk.engine.trades() == trades


def test_no_protection_plays_a_part_in_an_uncross(make_desk):
    desk = make_desk([InstrumentRules(initial_state=OPENING, reference_ticks=100, luld_bps=100, collar_bps=100)])
    desk.limits(1, stp=1)
    desk.buy(5, 150)
    desk.sell(5, 140)
    desk.session(CONTINUOUS)
    assert desk.last_trade() == (140, 5)
    assert desk.engine.positions() == [(1, 0, 0, 0, 0, 5, 5, 0, 0, 0)]


def test_the_close_expires_day_orders_in_the_order_of_the_book(desk):
    desk.buy(1, 99)
    desk.buy(1, 100)
    desk.buy(1, 100, tif=GTC)
    desk.sell(4, 105)
    desk.sell(1, 104, firm=2)
    desk.buy(1, stop=110)
    desk.sell(1, 80, stop=90, firm=2)
    desk.buy(1, 105, firm=3, instrument=1)
    desk.session(CLOSED, instrument=0)
    assert desk.told() == [
        "SESSION value 5 limit 2",
        "EXPIRED #2 EXPIRED firm 1 buy limit day 1@100",
        "EXPIRED #1 EXPIRED firm 1 buy limit day 1@99",
        "EXPIRED #5 EXPIRED firm 2 sell limit day 1@104",
        "EXPIRED #4 EXPIRED firm 1 sell limit day 4@105",
        "EXPIRED #6 EXPIRED firm 1 buy stop day 1@0 stop 110",
        "EXPIRED #7 EXPIRED firm 2 sell stop_limit day 1@80 stop 90",
        "CONTROL value 1",
    ]
    assert (desk.live_ids(0), desk.live_ids(1)) == ([3], [8])


def test_the_close_makes_the_last_trade_the_reference_of_the_next_day(make_desk):
    desk = make_desk([InstrumentRules(reference_ticks=100, luld_bps=1_000)])
    desk.trade(109)
    desk.session(CLOSED)
    desk.session(CONTINUOUS)
    desk.sell(1, 119)
    assert desk.buy(1, 119, firm=2).cum_qty == 1  # 109 + 10 % = 119.9


def test_the_same_state_again_changes_and_tells_nothing(desk):
    before = desk.engine.positions(), desk.state()
    desk.session(CONTINUOUS)
    assert desk.told() == [f"CONTROL instrument {ALL_INSTRUMENTS}"]
    assert (desk.engine.positions(), desk.state()) == before


def test_a_session_of_an_unknown_instrument_is_refused(desk):
    desk.session(CLOSED, instrument=2)
    assert desk.told() == ["REJECTED REJECTED UNKNOWN_INSTRUMENT instrument 2 value 2 limit 2"]
    assert desk.state(0) is CONTINUOUS


@pytest.mark.parametrize("state", [PRE_OPEN, OPENING, HALTED, CLOSING, CLOSED])
def test_out_of_continuous_trading_nothing_trades_and_what_must_trade_at_once_is_refused(make_desk, state):
    desk = make_desk([InstrumentRules(initial_state=state)])
    for refused in (desk.buy(1, None), desk.buy(1, 100, tif=TimeInForce.IOC), desk.buy(1, 100, tif=TimeInForce.FOK)):
        assert (refused.reason, refused.value, refused.limit) == (RejectReason.WRONG_STATE, state, 0)
    for order in (desk.buy(1, 101), desk.sell(1, 100, firm=2), desk.buy(1, stop=1), desk.sell(1, 90, stop=10**9)):
        assert order.reason is (RejectReason.WRONG_STATE if state == CLOSED else RejectReason.NONE)
        assert order.fills == ()
    assert desk.engine.live_orders() == (0 if state == CLOSED else 4)


def test_a_closed_instrument_takes_cancels_and_refuses_other_changes(desk):
    desk.buy(5, 100, tif=GTC)
    desk.session(CLOSED)
    desk.reduce(1, 2)
    assert desk.told() == ["CANCEL_REJECTED #1 REJECTED WRONG_STATE firm 1 value 5"]
    desk.amend(1, qty=2)
    assert desk.told() == ["CANCEL_REJECTED #1 REJECTED WRONG_STATE firm 1 value 5"]
    desk.cancel(1)
    assert desk.told() == ["CANCELLED #1 CANCELLED firm 1 buy limit gtc 5@100"]


books = st.lists(
    st.tuples(st.sampled_from(list(Side)), st.integers(1, 9), st.integers(95, 105), st.integers(1, 3)), min_size=2, max_size=14
)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=120, deadline=None)
@given(books=books, reference=st.sampled_from([0, 94, 99, 101, 110]))
def test_no_price_would_have_traded_more_and_nothing_stays_crossed(kind, books, reference):
    """By brute force over every price of the range, not only those with orders."""
    desk = Desk(kind, [InstrumentRules(initial_state=OPENING, reference_ticks=reference)])
    for side, qty, price, firm in books:
        desk.order(side, qty, price, firm=firm)
    price, volume, imbalance = desk.engine.indicative(0)
    bids, asks = desk.bids(), desk.asks()

    def at(level):
        return sum(qty for bid, qty in bids if bid >= level), sum(qty for ask, qty in asks if ask <= level)

    assert volume == max(min(at(level)) for level in range(90, 111))
    assert volume == 0 or (min(at(price)), at(price)[0] - at(price)[1]) == (volume, imbalance)
    desk.session(CONTINUOUS)
    assert desk.engine.trades() > 0 or volume == 0
    assert sum(report.last_qty for report in desk.reports if report.trade_id) == 2 * volume
    best_bid, best_ask = desk.bids()[:1], desk.asks()[:1]
    assert not best_bid or not best_ask or best_bid[0][0] < best_ask[0][0]
