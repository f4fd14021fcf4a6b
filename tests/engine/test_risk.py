"""Pre-trade risk and the kill switch: every refusal with the two numbers that decided it, on both engines."""

from __future__ import annotations

import pytest

from engine.types import ALL_INSTRUMENTS, FirmLimits, InstrumentRules, RejectReason, SessionState, Side, StpMode, TimeInForce

SECOND = 10**9


def refusal(reply):
    return (reply.reason.name, reply.value, reply.limit)


def test_the_largest_order_of_a_firm(desk):
    desk.limits(1, order_qty=10)
    assert desk.buy(10, 100).reason is RejectReason.NONE
    assert refusal(desk.buy(11, 100)) == ("ORDER_SIZE", 11, 10)
    assert refusal(desk.amend(1, qty=11)) == ("ORDER_SIZE", 11, 10)
    assert desk.buy(11, 100, firm=2).reason is RejectReason.NONE


@pytest.mark.parametrize(("side", "good", "bad"), [(Side.BUY, 200, 201), (Side.SELL, 50, 49)])
def test_a_price_twice_or_half_of_the_last_trade_is_a_fat_finger_beyond_that(make_desk, side, good, bad):
    desk = make_desk([InstrumentRules(fat_finger_pct=200)])
    assert desk.order(side, 1, bad, firm=7).reason is RejectReason.NONE  # nothing to compare with
    desk.mass_cancel(7)
    desk.trade(100)
    assert desk.order(side, 1, good).reason is RejectReason.NONE
    assert refusal(desk.order(side, 1, bad)) == ("FAT_FINGER", bad, 100)
    assert refusal(desk.order(side, 1, bad, stop=100)) == ("FAT_FINGER", bad, 100)
    assert refusal(desk.amend(4, price=bad)) == ("FAT_FINGER", bad, 100)
    assert desk.order(side, 1, stop=good).reason is RejectReason.NONE


def test_the_fat_finger_compares_with_the_reference_before_the_first_trade(make_desk):
    desk = make_desk([InstrumentRules(fat_finger_pct=150, reference_ticks=100)])
    assert refusal(desk.buy(1, 151)) == ("FAT_FINGER", 151, 100)
    desk.trade(110)
    assert desk.buy(1, 151).reason is RejectReason.NONE


@pytest.mark.parametrize(
    ("book", "qty", "notional"),
    [
        ([(Side.BUY, 100), (Side.SELL, 105)], 98, 10_045),
        ([(Side.SELL, 50)], 201, 10_050),
        ([(Side.BUY, 50)], 101, 10_100),
    ],
    ids=["midpoint", "last trade unknown: best opposite price", "only its own side: the reference"],
)
def test_a_market_order_above_the_notional_cap_is_refused(make_desk, book, qty, notional):
    reference = 100 if book == [(Side.BUY, 50)] else 0
    desk = make_desk([InstrumentRules(market_notional_cap=10_000, reference_ticks=reference)])
    for side, price in book:
        desk.order(side, 1_000, price)
    assert refusal(desk.buy(qty, firm=2)) == ("NOTIONAL_CAP", notional, 10_000)
    assert desk.buy(qty - 3, firm=2).reason is RejectReason.NONE
    assert desk.buy(qty, 50, firm=2, tif=TimeInForce.IOC).reason is RejectReason.NONE


def test_half_a_tick_too_much_is_too_much_for_the_cap(make_desk):
    desk = make_desk([InstrumentRules(market_notional_cap=100)])
    desk.buy(5, 100)
    desk.sell(5, 101)
    assert refusal(desk.buy(1, firm=2)) == ("NOTIONAL_CAP", 100, 100)


def test_the_position_limit_counts_everything_that_rests_as_if_it_had_traded(desk):
    desk.limits(1, position=10)
    desk.buy(4, 100)
    desk.buy(3, stop=120)
    assert refusal(desk.buy(4, 99)) == ("POSITION_LIMIT", 11, 10)
    assert refusal(desk.amend(1, qty=8)) == ("POSITION_LIMIT", 11, 10)
    assert desk.amend(1, qty=7).reason is RejectReason.NONE
    desk.sell(7, 100, firm=2)
    assert desk.engine.positions() == [(1, 0, 7, 3, 0, 7, 0, -700, 7, 0), (2, 0, -7, 0, 0, 0, 7, 700, 0, 7)]
    assert refusal(desk.buy(1, 99)) == ("POSITION_LIMIT", 11, 10)
    assert refusal(desk.sell(18, 130)) == ("POSITION_LIMIT", 11, 10)
    assert desk.sell(17, 130).reason is RejectReason.NONE
    assert desk.buy(10, 99, instrument=1).reason is RejectReason.NONE


@pytest.mark.parametrize(
    ("change", "numbers"),
    [
        ({"qty": 10**6}, ("NOTIONAL_CAP", 5 * 10**7, 1_000)),
        ({"qty": 21}, ("NOTIONAL_CAP", 1_050, 1_000)),
        ({"stop": 51}, ("NOTIONAL_CAP", 1_020, 1_000)),
        ({"stop": 10, "qty": 101}, ("NOTIONAL_CAP", 1_010, 1_000)),
        ({"stop": 10, "qty": 100}, ("NONE", 0, 0)),
        ({"stop": 49}, ("NONE", 0, 0)),
        ({"qty": 19}, ("NONE", 0, 0)),
    ],
    ids=str,
)
def test_an_amendment_of_a_waiting_stop_obeys_the_cap_that_a_new_one_obeys(make_desk, change, numbers):
    """A stop without a price was let in small and amended to any size."""
    desk = make_desk([InstrumentRules(market_notional_cap=1_000)])
    assert refusal(desk.sell(100, stop=50)) == ("NOTIONAL_CAP", 5_000, 1_000)
    stop = desk.sell(20, stop=50)
    assert refusal(desk.amend(stop.order_id, **change)) == numbers


def test_the_cap_refuses_no_amendment_that_makes_a_stop_worth_less_and_none_of_an_order_with_a_price(make_desk):
    """A split rounded the stop price up, so that it is worth more than the cap already."""
    desk = make_desk([InstrumentRules(market_notional_cap=1_000)])
    stop, limited = desk.buy(20, stop=50, tif=TimeInForce.GTC), desk.buy(1, 50, stop=50, tif=TimeInForce.GTC)
    desk.session(SessionState.CLOSED)
    desk.corporate_action(3, 1)
    desk.session(SessionState.CONTINUOUS)
    assert [row[8:10] for row in desk.engine.orders(0)] == [(17, 60), (17, 3)]
    assert refusal(desk.amend(stop.order_id, stop=18)) == ("NOTIONAL_CAP", 1_080, 1_000)
    assert refusal(desk.amend(stop.order_id, stop=1_020, qty=1)) == ("NONE", 0, 0)
    assert refusal(desk.amend(limited.order_id, stop=1_000, qty=1_000)) == ("NONE", 0, 0)


def test_a_lowered_position_limit_refuses_no_amendment_that_adds_nothing(desk):
    """Who had to get smaller was kept from it."""
    for side in Side:
        order = desk.order(side, 100, 100 if side == Side.BUY else 110)
        desk.limits(1, position=50)
        assert refusal(desk.amend(order.order_id, price=99 if side == Side.BUY else 111, qty=60)) == ("NONE", 0, 0)
        assert refusal(desk.amend(order.order_id, price=98 if side == Side.BUY else 112)) == ("NONE", 0, 0)
        assert refusal(desk.amend(order.order_id, qty=61)) == ("POSITION_LIMIT", 61, 50)
        assert refusal(desk.order(side, 1, 105)) == ("POSITION_LIMIT", 61, 50)
        desk.limits(1)


def test_the_bucket_gives_its_burst_at_once_and_then_one_token_per_period(desk):
    desk.limits(1, rate=10, burst=3)
    replies = [desk.buy(1, 100).reason for _ in range(4)]
    assert replies == [RejectReason.NONE] * 3 + [RejectReason.ORDER_RATE]
    desk.now_ns += SECOND // 10 - 1
    assert refusal(desk.buy(1, 100)) == ("ORDER_RATE", 10, 3)
    desk.now_ns += 1
    assert desk.buy(1, 100).reason is RejectReason.NONE
    assert desk.buy(1, 100).reason is RejectReason.ORDER_RATE
    desk.now_ns += 1_000_000 * SECOND
    assert [desk.buy(1, 100).reason for _ in range(4)] == replies


def test_a_very_long_pause_fills_the_bucket_and_no_more(desk):
    desk.limits(1, rate=10**7, burst=10**7)
    desk.now_ns = 2**62
    assert desk.buy(1, 100).reason is RejectReason.NONE
    desk.limits(1, rate=10**7, burst=1)
    assert [desk.buy(1, 100).reason.name for _ in range(2)] == ["NONE", "ORDER_RATE"]


def test_cancels_reduces_and_amends_that_keep_priority_need_no_token_and_others_do(desk):
    desk.limits(1, rate=1, burst=2)
    desk.buy(9, 100)
    desk.buy(9, 100)
    assert desk.reduce(1, 8).reason is RejectReason.NONE
    assert desk.amend(1, qty=7).reason is RejectReason.NONE
    assert refusal(desk.amend(1, price=99)) == ("ORDER_RATE", 1, 2)
    assert desk.cancel(1).reason is RejectReason.NONE


def test_an_order_that_a_later_check_refuses_has_used_its_token_and_one_that_an_earlier_one_refuses_has_not(desk):
    desk.limits(1, rate=1, burst=2, order_qty=5)
    assert desk.buy(0, 100).reason is RejectReason.BAD_QUANTITY
    assert desk.buy(6, 100).reason is RejectReason.ORDER_SIZE
    assert desk.buy(5, 100).reason is RejectReason.NONE
    assert desk.buy(5, 100).reason is RejectReason.ORDER_RATE


def test_default_limits_hold_until_a_firm_gets_its_own(make_desk):
    desk = make_desk(default_limits=FirmLimits(max_order_qty=5, stp=StpMode.CANCEL_NEWEST))
    assert refusal(desk.buy(6, 100)) == ("ORDER_SIZE", 6, 5)
    desk.sell(5, 100)
    assert desk.buy(5, 100).reason is RejectReason.SELF_TRADE
    desk.limits(1)
    assert desk.buy(6, 100).cum_qty == 5
    assert refusal(desk.buy(6, 100, firm=2)) == ("ORDER_SIZE", 6, 5)


@pytest.mark.parametrize(
    ("limits", "numbers"),
    [
        ({"order_qty": -1}, "value -1"),
        ({"order_qty": 10**9 + 1}, f"value {10**9 + 1} limit {10**9}"),
        ({"position": -1}, "value -1"),
        ({"position": 10**15 + 1}, f"value {10**15 + 1} limit {10**15}"),
        ({"rate": 1}, "limit 1"),  # the burst
        ({"rate": 10**7 + 1, "burst": 1}, f"value {10**7 + 1} limit {10**7}"),
        ({"rate": -1, "burst": 1}, "value -1"),
        ({"burst": 10**7 + 1}, f"value {10**7 + 1} limit {10**7}"),
        ({"burst": 2**64 - 1}, f"value {2**63 - 1} limit {10**7}"),
    ],
    ids=str,
)
def test_limits_out_of_range_change_nothing_and_the_refusal_names_the_number_and_its_bound(desk, limits, numbers):
    desk.limits(1, order_qty=5)
    assert desk.told() == ["CONTROL firm 1"]
    desk.limits(1, **limits)
    assert desk.told() == [f"REJECTED REJECTED BAD_LIMITS firm 1 {numbers}"]
    assert refusal(desk.buy(6, 100)) == ("ORDER_SIZE", 6, 5)


def test_a_kill_cancels_all_that_the_firm_has_and_refuses_the_rest_until_it_is_lifted(desk):
    desk.sell(3, 101, instrument=1)
    desk.buy(1, 99)
    desk.buy(2, 100)
    desk.sell(4, stop=50)
    desk.buy(5, 100, firm=2)
    reply = desk.kill(1)
    assert desk.told() == [
        "CANCELLED #3 CANCELLED FIRM_KILLED firm 1 buy limit day 2@100 value 1",
        "CANCELLED #2 CANCELLED FIRM_KILLED firm 1 buy limit day 1@99 value 1",
        "CANCELLED #4 CANCELLED FIRM_KILLED firm 1 sell stop day 4@0 stop 50 value 1",
        "CANCELLED #1 CANCELLED FIRM_KILLED firm 1 instrument 1 sell limit day 3@101 value 1",
        "CONTROL firm 1 value 4",
    ]
    assert (reply.status.name, reply.order_qty) == ("NEW", 4)
    assert refusal(desk.sell(1, 100)) == ("FIRM_KILLED", 1, 0)
    assert (desk.live_ids(0), desk.live_ids(1)) == ([5], [])
    desk.kill(1, on=0)
    assert desk.told() == ["CONTROL firm 1"]
    assert desk.sell(1, 100).cum_qty == 1


def test_a_kill_reaches_orders_of_closed_instruments_and_a_firm_that_never_traded(desk):
    desk.buy(1, 99, tif=TimeInForce.GTC)
    desk.session(SessionState.CLOSED)
    desk.kill(1)
    assert desk.told()[-1] == "CONTROL firm 1 value 1"
    desk.kill(5)
    assert desk.told() == ["CONTROL firm 5"]
    desk.session(SessionState.CONTINUOUS)
    assert refusal(desk.buy(1, 99, firm=5)) == ("FIRM_KILLED", 5, 0)


def test_a_killed_firm_is_told_of_a_duplicate_and_of_a_senseless_order_first(desk):
    desk.buy(1, 99, cl_ord_id="a")
    desk.kill(1)
    assert desk.buy(1, 99, cl_ord_id="a").reason is RejectReason.DUPLICATE_CL_ORD_ID
    assert desk.buy(0, 99).reason is RejectReason.BAD_QUANTITY
    assert desk.cancel(1).reason is RejectReason.TOO_LATE


def test_a_mass_cancel_takes_one_instrument_or_all_and_the_firm_goes_on(desk):
    for instrument in (0, 1):
        desk.buy(1, 99, instrument=instrument)
    desk.mass_cancel(1, instrument=1)
    assert desk.told() == ["CANCELLED #2 CANCELLED firm 1 instrument 1 buy limit day 1@99", "CONTROL firm 1 instrument 1 value 1"]
    desk.buy(1, 98)
    desk.mass_cancel(1)
    assert desk.told()[-1] == f"CONTROL firm 1 instrument {ALL_INSTRUMENTS} value 2"
    assert desk.buy(1, 97).reason is RejectReason.NONE
    desk.mass_cancel(1, instrument=2)
    assert desk.told() == ["REJECTED REJECTED UNKNOWN_INSTRUMENT firm 1 instrument 2 value 2 limit 2"]


def test_the_first_check_that_fails_is_the_one_that_is_told(make_desk):
    """One order that breaks every rule; one rule after the other is mended."""
    desk = make_desk(
        [InstrumentRules(max_qty=100, reference_ticks=100, fat_finger_pct=200)],
        default_limits=FirmLimits(max_order_qty=10, position_limit=5, rate_per_s=1, burst=1),
        max_live_orders=1,
    )
    desk.buy(1, 100, firm=9)
    desk.buy(1, 100, firm=1, cl_ord_id="taken", tif=TimeInForce.IOC)
    desk.session(SessionState.CLOSED)
    desk.kill(1)
    order = {"qty": 101, "price": 0, "stop": 0, "instrument": 1, "tif": TimeInForce.FOK, "cl_ord_id": "taken"}
    told = []

    def mend(**changes):
        order.update(changes)
        told.append(desk.order(Side.BUY, **order).reason.name)

    mend()
    mend(cl_ord_id="")
    mend(instrument=0)
    mend(tif=TimeInForce.GTC)
    mend(price=201)
    mend(stop=100)
    mend(qty=11)
    desk.session(SessionState.CONTINUOUS)
    mend()
    desk.kill(1, on=0)
    mend()
    desk.now_ns += SECOND
    assert desk.buy(1, 99, firm=9).leaves_qty == 1  # the only slot
    mend()
    for change in ({"qty": 10}, {"price": 200}, {"qty": 5}):
        desk.now_ns += SECOND
        mend(**change)
    desk.mass_cancel(9)
    desk.now_ns += SECOND
    mend()
    assert told == [
        "DUPLICATE_CL_ORD_ID",
        "UNKNOWN_INSTRUMENT",
        "BAD_TIME_IN_FORCE",
        "BAD_PRICE",
        "BAD_STOP_PRICE",
        "BAD_QUANTITY",
        "WRONG_STATE",
        "FIRM_KILLED",
        "ORDER_RATE",
        "ORDER_SIZE",
        "FAT_FINGER",
        "POSITION_LIMIT",
        "BOOK_FULL",
        "NONE",
    ]
