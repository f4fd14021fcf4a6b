"""Exact reports of continuous trading: what each command about an order tells, field by field, on both engines."""

from __future__ import annotations

import pytest

from engine.types import ALL_INSTRUMENTS, InstrumentRules, RejectReason, SessionState, Side, StpMode, TimeInForce

IOC, FOK, GTC = TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTC


def test_an_order_that_rests_tells_new_and_nothing_else(desk):
    desk.buy(10, 100, tif=GTC, instrument=1)
    assert desk.told() == ["NEW #1 firm 1 instrument 1 buy limit gtc 10@100 leaves 10"]


def test_a_trade_is_told_to_the_taker_then_to_the_maker(desk):
    desk.sell(10, 100)
    reply = desk.buy(4, 101, firm=2)
    assert desk.told() == [
        "NEW #2 firm 2 buy limit day 4@101 leaves 4",
        "TRADE #2 FILLED firm 2 buy limit day 4@101 taker last 4@100 trade 1 contra 1 cum 4 notional 400",
        "TRADE #1 PARTIALLY_FILLED firm 1 sell limit day 10@100 maker last 4@100 trade 1 contra 2 cum 4 leaves 6 notional 400",
    ]
    assert (reply.order_qty, reply.cum_qty, reply.leaves_qty, len(reply.fills)) == (4, 4, 0, 1)


def test_what_is_left_of_an_ioc_is_cancelled_with_its_own_quantity_and_no_reason(desk):
    desk.sell(4, 100)
    reply = desk.buy(10, 101, firm=2, tif=IOC)
    assert desk.told()[1:] == [
        "TRADE #2 PARTIALLY_FILLED firm 2 buy limit ioc 10@101 taker last 4@100 trade 1 contra 1 cum 4 leaves 6 notional 400",
        "TRADE #1 FILLED firm 1 sell limit day 4@100 maker last 4@100 trade 1 contra 2 cum 4 notional 400",
        "CANCELLED #2 CANCELLED firm 2 buy limit ioc 10@101 cum 4 notional 400",
    ]
    assert (reply.reason, reply.cum_qty, len(reply.fills)) == (RejectReason.NONE, 4, 1)


def test_a_killed_fok_is_accepted_and_cancelled(desk):
    desk.sell(4, 100)
    desk.buy(5, 101, firm=2, tif=FOK)
    assert desk.told() == [
        "NEW #2 firm 2 buy limit fok 5@101 leaves 5",
        "CANCELLED #2 CANCELLED firm 2 buy limit fok 5@101",
    ]


def test_a_cancel_a_reduce_and_their_refusals(desk):
    desk.sell(10, 100)
    desk.buy(3, 100, firm=2)
    desk.reduce(1, 2)
    assert desk.told() == ["REPLACED #1 PARTIALLY_FILLED firm 1 sell limit day 5@100 cum 3 leaves 2 notional 300"]
    desk.reduce(1, 2)
    assert desk.told() == ["CANCEL_REJECTED #1 REJECTED BAD_QUANTITY firm 1 value 2 limit 2"]
    desk.cancel(7)
    assert desk.told() == ["CANCEL_REJECTED #7 REJECTED UNKNOWN_ORDER firm 1 value 7"]
    desk.cancel(1, firm=2)
    assert desk.told() == ["CANCEL_REJECTED #1 REJECTED NOT_OWNER firm 2"]
    desk.cancel(1)
    assert desk.told() == ["CANCELLED #1 CANCELLED firm 1 sell limit day 5@100 cum 3 notional 300"]
    desk.cancel(1)
    assert desk.told() == ["CANCEL_REJECTED #1 REJECTED TOO_LATE firm 1"]


def test_a_refused_order_shows_what_was_sent_and_the_numbers_that_decided(desk):
    desk.buy(5, 10**9 + 1, firm=3, instrument=1)
    assert desk.told() == ["REJECTED REJECTED BAD_PRICE firm 3 instrument 1 buy limit day 5@1000000001 value 1000000001 limit 1000000000"]
    desk.buy(5, 100, stop=-1)
    assert desk.told() == ["REJECTED REJECTED BAD_STOP_PRICE firm 1 buy stop_limit day 5@100 stop -1 value -1 limit 1000000000"]
    desk.sell(5, stop=90, tif=IOC)
    assert desk.told() == ["REJECTED REJECTED BAD_TIME_IN_FORCE firm 1 sell stop ioc 5@0 stop 90 value 3"]
    desk.sell(5, 100, cl_ord_id="x")
    desk.sell(0, 0, cl_ord_id="x")
    assert desk.told() == ["REJECTED #1 REJECTED DUPLICATE_CL_ORD_ID firm 1 sell limit day"]


# Amend


def test_less_quantity_alone_keeps_the_priority(desk):
    desk.sell(10, 100)
    desk.sell(10, 100, firm=2)
    desk.buy(3, 100, firm=3)
    desk.amend(1, qty=7, price=100)
    assert desk.told() == ["REPLACED #1 PARTIALLY_FILLED firm 1 sell limit day 7@100 cum 3 leaves 4 notional 300"]
    assert desk.live_ids() == [1, 2]


@pytest.mark.parametrize("change", [{}, {"qty": 10}, {"price": 100, "qty": 10}])
def test_an_amend_that_changes_nothing_is_told_and_keeps_the_priority(desk, change):
    desk.sell(10, 100)
    desk.sell(10, 100, firm=2)
    desk.limits(1, rate=1, burst=1)
    for _ in range(2):
        desk.amend(1, **change)
        assert desk.told() == ["REPLACED #1 firm 1 sell limit day 10@100 leaves 10"]
    assert desk.live_ids() == [1, 2]


@pytest.mark.parametrize("change", [{"qty": 11}, {"price": 101}, {"price": 101, "qty": 5}])
def test_everything_else_loses_it(desk, change):
    for firm in (1, 2):
        desk.sell(10, 100, firm=firm)
        desk.sell(10, 101, firm=firm)
    desk.amend(1, **change)
    qty, price = change.get("qty", 10), change.get("price", 100)
    assert desk.told() == [f"REPLACED #1 firm 1 sell limit day {qty}@{price} leaves {qty}"]
    assert desk.live_ids() == ([3, 1, 2, 4] if price == 100 else [3, 2, 4, 1])


def test_an_amended_price_can_trade_at_once_under_the_old_id(desk):
    desk.sell(4, 102, firm=2)
    desk.buy(10, 100)
    reply = desk.amend(2, price=103, qty=8)
    assert desk.told() == [
        "REPLACED #2 firm 1 buy limit day 8@103 leaves 8",
        "TRADE #2 PARTIALLY_FILLED firm 1 buy limit day 8@103 taker last 4@102 trade 1 contra 1 cum 4 leaves 4 notional 408",
        "TRADE #1 FILLED firm 2 sell limit day 4@102 maker last 4@102 trade 1 contra 2 cum 4 notional 408",
    ]
    assert (reply.order_id, reply.cum_qty, reply.leaves_qty, len(reply.fills)) == (2, 4, 4, 1)
    assert desk.bids() == [(103, 4)]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"price": -1}, "BAD_PRICE firm 1 value -1 limit 1000000000"),
        ({"stop": 99}, "BAD_STOP_PRICE firm 1 value 99"),
        ({"qty": 3}, "BAD_QUANTITY firm 1 value 3 limit 1000000"),
        ({"qty": -5}, "BAD_QUANTITY firm 1 value -5 limit 1000000"),
        ({"qty": 1_000_001}, "BAD_QUANTITY firm 1 value 1000001 limit 1000000"),
    ],
)
def test_an_amend_that_makes_no_sense_changes_nothing(desk, change, told):
    desk.sell(10, 100)
    desk.buy(3, 100, firm=2)
    desk.amend(1, **change)
    assert desk.told() == [f"CANCEL_REJECTED #1 REJECTED {told}"]
    assert desk.asks() == [(100, 7)]


def test_an_amend_that_means_another_instruments_ticks_is_refused_and_changes_nothing(desk):
    desk.sell(10, 15_000, instrument=1)
    for wrong in (0, 2, ALL_INSTRUMENTS - 1):
        desk.amend(1, price=200, instrument=wrong)
        assert desk.told() == [f"CANCEL_REJECTED #1 REJECTED UNKNOWN_INSTRUMENT firm 1 {f'value {wrong} ' if wrong else ''}limit 1"]
    assert desk.asks(1) == [(15_000, 10)]
    desk.amend(1, price=14_000, instrument=1)
    assert desk.asks(1) == [(14_000, 10)]
    desk.amend(1, price=13_000)
    assert desk.asks(1) == [(13_000, 10)]


def test_the_instrument_of_an_amend_is_looked_at_after_its_owner_and_before_everything_else(desk):
    desk.sell(10, 100, instrument=1, tif=GTC)
    assert desk.amend(1, price=-1, instrument=0, firm=2).reason is RejectReason.NOT_OWNER
    assert desk.amend(1, price=-1, instrument=0).reason is RejectReason.UNKNOWN_INSTRUMENT
    desk.session(SessionState.CLOSED)
    assert desk.amend(1, price=-1, instrument=0).reason is RejectReason.UNKNOWN_INSTRUMENT
    assert desk.amend(1, price=-1, instrument=1).reason is RejectReason.WRONG_STATE


def test_a_stop_has_no_price_to_amend_and_a_triggered_stop_limit_no_stop_price(desk):
    desk.buy(5, stop=110)
    desk.amend(1, price=100)
    assert desk.told() == ["CANCEL_REJECTED #1 REJECTED BAD_PRICE firm 1 value 100"]
    desk.amend(1, stop=10**9 + 1)
    assert desk.told() == ["CANCEL_REJECTED #1 REJECTED BAD_STOP_PRICE firm 1 value 1000000001 limit 1000000000"]
    desk.buy(5, 90, stop=100)
    desk.trade(100)
    desk.amend(2, stop=101)
    assert desk.told() == ["CANCEL_REJECTED #2 REJECTED BAD_STOP_PRICE firm 1 value 101"]
    desk.amend(2, price=91)
    assert desk.told() == ["REPLACED #2 firm 1 buy stop_limit day 5@91 stop 100 leaves 5"]


# Stops


def test_a_stop_waits_and_then_trades_as_a_market_order(desk):
    desk.sell(3, 105)
    desk.buy(5, stop=100, firm=2)
    assert desk.told() == ["NEW #2 firm 2 buy stop day 5@0 stop 100 leaves 5"]
    desk.sell(1, 100, firm=3)
    desk.buy(1, 100, firm=4)
    assert desk.told()[3:] == [
        "TRIGGERED #2 firm 2 buy stop day 5@0 stop 100 leaves 5",
        "TRADE #2 PARTIALLY_FILLED firm 2 buy stop day 5@0 stop 100 taker last 3@105 trade 2 contra 1 cum 3 leaves 2 notional 315",
        "TRADE #1 FILLED firm 1 sell limit day 3@105 maker last 3@105 trade 2 contra 2 cum 3 notional 315",
        "CANCELLED #2 CANCELLED firm 2 buy stop day 5@0 stop 100 cum 3 notional 315",
    ]


def test_a_stop_limit_rests_at_its_limit_when_it_was_triggered(desk):
    desk.sell(5, 98, stop=99, firm=2)
    desk.trade(99)
    assert desk.told()[3:] == ["TRIGGERED #1 firm 2 sell stop_limit day 5@98 stop 99 leaves 5"]
    assert desk.asks() == [(98, 5)]
    assert desk.engine.orders(0) == [(1, 2, 0, 2, 4, 0, False, 98, 99, 5, 0, 0)]


def test_the_nearest_buy_stop_goes_first_then_the_nearest_sell_stop_and_the_older_of_two(desk):
    """Both directions are reached by one sweep: it traded from 100 up to 110."""
    desk.trade(105)
    for price in (100, 110):
        desk.sell(1, price)
    low, high, older, younger = (desk.order(side, 1, stop=stop, firm=2).order_id for side, stop in STOPS)
    desk.buy(2, 110, firm=3)
    assert [line.split()[1] for line in desk.told() if line.startswith("TRIGGERED")] == [
        f"#{order_id}" for order_id in (older, younger, high, low)
    ]


STOPS = [(Side.SELL, 101), (Side.SELL, 104), (Side.BUY, 108), (Side.BUY, 108)]


def test_a_price_that_an_earlier_command_traded_at_does_not_trigger_a_later_stop(desk):
    """A sweep traded at 110 and ended at 100: 110 counts for the stops that waited then, and for no other."""
    waiting = desk.buy(1, stop=105, firm=2).order_id
    for price in (110, 100):
        desk.buy(1, price)
    desk.sell(2, 100, firm=3)
    assert waiting not in desk.live_ids()
    assert desk.last_trade() == (100, 1)
    later = desk.buy(1, stop=105, firm=2).order_id
    desk.trade(99)
    assert desk.live_ids() == [later]


def test_a_stop_amended_to_a_price_that_was_reached_is_triggered_at_once(desk):
    desk.trade(100)
    desk.sell(5, 103)
    desk.buy(5, stop=110, firm=2)
    desk.amend(4, stop=100, firm=2)
    assert [line.split()[0] for line in desk.told()] == ["REPLACED", "TRIGGERED", "TRADE", "TRADE"]
    assert desk.live_ids() == []


# Market orders, collar


def test_a_market_order_stops_at_the_collar_around_the_midpoint(make_desk):
    """Midpoint 100.5, 5 %: up to 105.525, so 105 trades and 106 does not."""
    desk = make_desk([InstrumentRules(collar_bps=500)])
    desk.buy(1, 100)
    for price in (101, 105, 106):
        desk.sell(2, price)
    desk.buy(6, firm=2)
    assert desk.told()[-1] == "CANCELLED #5 CANCELLED COLLAR firm 2 buy market day 6@0 cum 4 notional 412 value 106 limit 105"
    assert desk.asks() == [(106, 2)]


def test_the_collar_of_a_sell_is_rounded_towards_the_midpoint_too(make_desk):
    """Midpoint 100.5, 5 %: down to 95.475, so 96 trades and 95 does not."""
    desk = make_desk([InstrumentRules(collar_bps=500)])
    desk.sell(1, 101)
    for price in (100, 96, 95):
        desk.buy(2, price)
    desk.sell(6, firm=2)
    assert desk.told()[-1] == "CANCELLED #5 CANCELLED COLLAR firm 2 sell market day 6@0 cum 4 notional 392 value 95 limit 96"


def test_the_collar_of_a_sell_is_never_below_one_tick(make_desk):
    desk = make_desk([InstrumentRules(collar_bps=9_999)])
    desk.buy(2, 1)
    assert desk.sell(2, firm=2).cum_qty == 2


@pytest.mark.parametrize(("side", "reached"), [(Side.BUY, 110), (Side.SELL, 90)])
def test_the_collar_of_an_empty_side_is_measured_from_the_last_trade(make_desk, side, reached):
    desk = make_desk([InstrumentRules(collar_bps=1_000)])
    desk.trade(100)
    makers_side = Side.SELL if side == Side.BUY else Side.BUY
    for price in (reached, reached + (1 if side == Side.BUY else -1)):
        desk.order(makers_side, 1, price)
    reply = desk.order(side, 2, firm=2)
    assert [fill.price_ticks for fill in reply.fills] == [reached]


def test_the_collar_without_any_trade_or_reference_is_measured_from_the_best_price(make_desk):
    desk = make_desk([InstrumentRules(collar_bps=1_000)])
    for price in (200, 220, 221):
        desk.sell(1, price)
    assert [fill.price_ticks for fill in desk.buy(9, firm=2).fills] == [200, 220]


# Self-trade prevention


def test_cancel_newest_ends_the_incoming_order_after_what_it_traded(desk):
    desk.limits(2, stp=StpMode.CANCEL_NEWEST)
    desk.sell(3, 100)
    desk.sell(3, 101, firm=2)
    desk.buy(9, 101, firm=2)
    assert desk.told()[3:] == ["CANCELLED #3 CANCELLED SELF_TRADE firm 2 buy limit day 9@101 cum 3 notional 300 value 2 limit 3"]
    assert desk.asks() == [(101, 3)]


def test_cancel_oldest_takes_the_resting_order_out_and_goes_on(desk):
    desk.limits(2, stp=StpMode.CANCEL_OLDEST)
    desk.sell(3, 100, firm=2)
    desk.sell(3, 101)
    desk.buy(3, 101, firm=2)
    assert desk.told() == [
        "NEW #3 firm 2 buy limit day 3@101 leaves 3",
        "CANCELLED #1 CANCELLED SELF_TRADE firm 2 sell limit day 3@100 value 3 limit 3",
        "TRADE #3 FILLED firm 2 buy limit day 3@101 taker last 3@101 trade 1 contra 2 cum 3 notional 303",
        "TRADE #2 FILLED firm 1 sell limit day 3@101 maker last 3@101 trade 1 contra 3 cum 3 notional 303",
    ]


def test_decrement_lowers_both_and_cancels_who_has_nothing_left(desk):
    desk.limits(2, stp=StpMode.DECREMENT)
    desk.sell(3, 100, firm=2)
    desk.sell(9, 101, firm=2)
    desk.buy(5, 101, firm=2)
    assert desk.told()[1:] == [
        "CANCELLED #1 CANCELLED SELF_TRADE firm 2 sell limit day 0@100 value 3 limit 3",
        "RESTATED #3 SELF_TRADE firm 2 buy limit day 2@101 leaves 2 value 1 limit 3",
        "RESTATED #2 SELF_TRADE firm 2 sell limit day 7@101 leaves 7 value 3 limit 2",
        "CANCELLED #3 CANCELLED SELF_TRADE firm 2 buy limit day 0@101 value 2 limit 2",
    ]
    assert desk.asks() == [(101, 7)]


def test_without_a_mode_a_firm_trades_with_itself(desk):
    desk.sell(3, 100, firm=2)
    assert desk.buy(3, 100, firm=2).cum_qty == 3
    assert desk.engine.positions() == [(2, 0, 0, 0, 0, 3, 3, 0, 3, 3)]


# Bounds of one command


def test_what_is_left_after_32_000_resting_orders_is_cancelled(desk):
    for _ in range(32_001):
        desk.sell(1, 100)
    desk.buy(32_005, 100, firm=2)
    numbers = "cum 32000 notional 3200000 value 32000 limit 32000"
    assert desk.told()[-1] == f"CANCELLED #32002 CANCELLED FILL_LIMIT firm 2 buy limit day 32005@100 {numbers}"


def test_an_order_that_met_32_000_resting_orders_and_no_more_are_there_rests(desk):
    for _ in range(32_000):
        desk.sell(1, 100)
    assert desk.buy(32_005, 100, firm=2).leaves_qty == 5


def test_a_full_book_lets_a_triggered_stop_limit_rest(make_desk):
    desk = make_desk(max_live_orders=2)
    desk.buy(5, 100, stop=110)
    desk.sell(1, 110, firm=2)
    assert desk.buy(1, 50).reason is RejectReason.BOOK_FULL
    assert desk.told() == ["REJECTED REJECTED BOOK_FULL firm 1 buy limit day 1@50 value 2 limit 2"]
    desk.buy(1, 110, firm=3, tif=IOC)
    assert desk.bids() == [(100, 5)]


# What the sender is told, and the time


def test_the_reply_counts_what_the_order_traded_as_a_resting_one_in_the_same_command(desk):
    """A stop that the order's own trade set off met what was left of it."""
    desk.sell(1, 100)
    desk.sell(5, stop=100, firm=2)
    reply = desk.buy(6, 100, firm=3)
    assert [(fill.qty, fill.maker_order_id) for fill in reply.fills] == [(1, 1), (5, 2)]
    assert (reply.status.name, reply.cum_qty, reply.leaves_qty) == ("FILLED", 6, 0)


def test_the_reply_leaves_out_what_a_timer_did_to_the_same_order_before(make_desk):
    desk = make_desk([InstrumentRules(reference_ticks=100, luld_bps=500)])
    desk.session(SessionState.HALTED)
    desk.sell(5, 106)
    desk.session(SessionState.CONTINUOUS)
    desk.buy(5, 106, firm=2, tif=IOC)
    desk.pass_time(15 * 10**9)
    order = desk.buy(8, 106, firm=3)
    desk.now_ns += 300 * 10**9
    reply = desk.amend(order.order_id, price=105, firm=3)
    assert [line.split()[0] for line in desk.told()] == ["SESSION", "TRADE", "TRADE", "REPLACED"]
    assert (reply.fills, reply.cum_qty, reply.leaves_qty) == ((), 5, 3)


def test_time_never_runs_backwards(desk):
    desk.now_ns = 1_000
    desk.limits(1, rate=1, burst=1)
    desk.buy(1, 100)
    desk.now_ns = 5
    assert desk.buy(1, 100).reason is RejectReason.ORDER_RATE
    desk.now_ns = 1_000 + 10**9
    assert desk.buy(1, 100).reason is RejectReason.NONE
