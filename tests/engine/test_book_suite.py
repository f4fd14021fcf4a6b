"""The book by itself, on the reference and the native engine: priority, trades, resting, cancels, refusals, ids."""

from __future__ import annotations

import pytest

from engine.types import CommandKind, FirmLimits, InstrumentRules, OrdStatus, RejectReason, TimeInForce
from tests.engine.engines import makers

IOC, FOK = TimeInForce.IOC, TimeInForce.FOK


def test_a_first_order_rests_as_new_under_order_id_one(desk):
    reply = desk.buy(10, 100)
    assert (reply.seq_num, reply.order_id, reply.status, reply.leaves_qty) == (1, 1, OrdStatus.NEW, 10)
    assert desk.bids() == [(100, 10)]
    assert desk.engine.live_orders() == 1


def test_the_best_price_trades_first_on_both_sides(desk):
    for price in (103, 101, 102):
        desk.sell(5, price)
    assert [fill.price_ticks for fill in desk.buy(15, 110, firm=2).fills] == [101, 102, 103]
    for price in (97, 99, 98):
        desk.buy(5, price)
    assert [fill.price_ticks for fill in desk.sell(15, 90, firm=2).fills] == [99, 98, 97]


def test_inside_a_price_the_oldest_order_trades_first(desk):
    ids = [desk.sell(5, 100, firm=firm).order_id for firm in (1, 2, 3)]
    assert makers(desk.buy(12, 100, firm=4)) == ids


def test_a_trade_is_made_at_the_resting_orders_price(desk):
    desk.sell(5, 100)
    reply = desk.buy(5, 108, firm=2)
    assert [(fill.price_ticks, fill.qty) for fill in reply.fills] == [(100, 5)]
    assert reply.status is OrdStatus.FILLED


def test_a_limit_never_trades_past_its_price(desk):
    desk.sell(5, 101)
    assert desk.buy(5, 100, firm=2).fills == ()
    assert (desk.bids(), desk.asks()) == ([(100, 5)], [(101, 5)])


def test_what_a_day_limit_does_not_trade_rests_partially_filled(desk):
    desk.sell(4, 100)
    reply = desk.buy(10, 100, firm=2)
    assert (reply.status, reply.cum_qty, reply.leaves_qty) == (OrdStatus.PARTIALLY_FILLED, 4, 6)
    assert desk.bids() == [(100, 6)]


def test_trade_ids_are_dense_over_all_instruments(desk):
    for instrument in (0, 1):
        desk.sell(1, 100, instrument=instrument)
        desk.sell(1, 100, instrument=instrument)
    ids = [fill.trade_id for instrument in (1, 0) for fill in desk.buy(2, 100, instrument=instrument, firm=2).fills]
    assert ids == [1, 2, 3, 4]


def test_instruments_do_not_trade_with_each_other(desk):
    desk.sell(5, 100, instrument=0)
    assert desk.buy(5, 100, instrument=1, firm=2).fills == ()


def test_a_cancel_takes_the_order_out_and_shows_what_was_cancelled(desk):
    order = desk.buy(10, 100)
    desk.sell(3, 100, firm=2)
    reply = desk.cancel(order.order_id)
    assert (reply.status, reply.order_qty, reply.cum_qty, reply.leaves_qty) == (OrdStatus.CANCELLED, 10, 3, 0)
    assert desk.bids() == []
    assert desk.engine.live_orders() == 0


@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_cancel_anywhere_in_the_queue_leaves_the_others_in_order(desk, position):
    ids = [desk.sell(5, 100).order_id for _ in range(3)]
    desk.cancel(ids.pop(position))
    assert makers(desk.buy(10, 100, firm=2)) == ids


def test_a_reduce_keeps_the_orders_priority(desk):
    first, second = desk.sell(10, 100), desk.sell(10, 100)
    reply = desk.reduce(first.order_id, 4)
    assert (reply.status, reply.order_qty, reply.leaves_qty) == (OrdStatus.NEW, 4, 4)
    assert desk.asks() == [(100, 14)]
    assert makers(desk.buy(5, 100, firm=2)) == [first.order_id, second.order_id]


def test_a_reduce_after_a_partial_fill_makes_order_qty_cum_plus_leaves(desk):
    order = desk.sell(10, 100)
    desk.buy(3, 100, firm=2)
    reply = desk.reduce(order.order_id, 2)
    assert (reply.status, reply.order_qty, reply.cum_qty, reply.leaves_qty) == (OrdStatus.PARTIALLY_FILLED, 5, 3, 2)


@pytest.mark.parametrize("new_leaves", [-1, 0, 10, 11])
def test_a_reduce_must_lower_the_quantity_and_leave_some(desk, new_leaves):
    order = desk.sell(10, 100)
    assert desk.reduce(order.order_id, new_leaves).reason is RejectReason.BAD_QUANTITY
    assert desk.asks() == [(100, 10)]


def test_an_order_that_is_done_is_too_late_to_cancel_or_reduce(desk):
    filled, cancelled = desk.sell(5, 100), desk.sell(5, 101)
    desk.buy(5, 100, firm=2)
    desk.cancel(cancelled.order_id)
    for order in (filled, cancelled):
        assert desk.cancel(order.order_id).reason is RejectReason.TOO_LATE
        assert desk.reduce(order.order_id, 1).reason is RejectReason.TOO_LATE


@pytest.mark.parametrize("order_id", [0, 2, 2**64 - 1])
def test_an_order_id_never_given_is_unknown(desk, order_id):
    desk.sell(5, 100)
    assert desk.cancel(order_id).reason is RejectReason.UNKNOWN_ORDER
    assert desk.reduce(order_id, 1).reason is RejectReason.UNKNOWN_ORDER


@pytest.mark.parametrize("price", [-1, 0, 10**9 + 1, 10**12, 2**63 - 1, -(2**63)])
def test_a_limit_price_must_be_positive_and_sane(desk, price):
    reply = desk.do(CommandKind.NEW_ORDER, firm=1, price_ticks=price, qty=10)
    assert (reply.order_id, reply.reason, reply.value, reply.limit) == (0, RejectReason.BAD_PRICE, price, 10**9)
    assert desk.reports[0].price_ticks == (price if -(2**31) <= price < 2**31 else 0)


@pytest.mark.parametrize("qty", [-1, 0, 1_000_001, -(2**63), 2**63 - 1])
def test_a_quantity_must_be_positive_and_within_the_instruments_limit(desk, qty):
    reply = desk.buy(qty, 100)
    assert (reply.order_id, reply.reason, reply.value, reply.limit) == (0, RejectReason.BAD_QUANTITY, qty, 1_000_000)


def test_an_instrument_must_exist(desk):
    reply = desk.buy(10, 100, instrument=2)
    assert (reply.order_id, reply.reason, reply.value, reply.limit) == (0, RejectReason.UNKNOWN_INSTRUMENT, 2, 2)
    assert desk.engine.depth(2, 10) == ([], [], None, 2, False, (0, 0, 0))
    assert desk.engine.orders(2) == []
    assert desk.engine.indicative(2) == (0, 0, 0)


SENSELESS = [
    {"kind": 0},
    {"kind": 13},
    {"kind": 255},
    {"kind": 1, "side": 0},
    {"kind": 1, "side": 3},
    {"kind": 1, "ord_type": 0},
    {"kind": 1, "ord_type": 5},
    {"kind": 1, "tif": 2},
    {"kind": 1, "tif": 255},
    {"kind": 1, "firm": 65_536},
    {"kind": 2, "firm": 2**32 - 1},
    {"kind": 5, "state": 6},
    {"kind": 7, "qty": 2},
    {"kind": 7, "qty": -1},
    {"kind": 8, "stp": 4},
    {"kind": 1, "cl_ord_id": "x" * 41},
    {"kind": 1, "cl_ord_id": "a\n"},
    {"kind": 1, "cl_ord_id": "é"},
]


@pytest.mark.parametrize("fields", SENSELESS, ids=str)
def test_a_command_that_cannot_be_logged_takes_no_seq_num_and_leaves_no_trace(desk, fields):
    before = desk.engine.state_hash()
    reply = desk.do(**({"price_ticks": 100, "qty": 10, "firm": 1} | fields))
    assert desk.told() == ["REJECTED REJECTED BAD_COMMAND"]
    assert (reply.seq_num, reply.order_id, reply.status, reply.reason) == (0, 0, OrdStatus.REJECTED, RejectReason.BAD_COMMAND)
    assert desk.engine.state_hash() == before


def test_the_largest_firm_number_is_a_firm(desk):
    assert desk.buy(1, 100, firm=65_535).status is OrdStatus.NEW


def test_a_refused_command_takes_a_seq_num_but_no_order_id(desk):
    assert desk.buy(10, 100, instrument=9).reason is RejectReason.UNKNOWN_INSTRUMENT
    reply = desk.buy(10, 100)
    assert (reply.seq_num, reply.order_id) == (2, 1)


def test_the_longest_cl_ord_id_is_taken_and_known_again(desk):
    first = desk.buy(1, 100, cl_ord_id="x" * 40)
    assert desk.buy(1, 100, cl_ord_id="x" * 40).order_id == first.order_id
    assert desk.buy(1, 100, cl_ord_id="x" * 39).reason is RejectReason.NONE


def test_a_book_at_its_limit_refuses_what_would_rest_and_still_trades(make_desk):
    desk = make_desk(max_live_orders=2)
    first = desk.sell(5, 100)
    desk.sell(5, 101)
    assert desk.sell(5, 102).reason is RejectReason.BOOK_FULL
    assert desk.buy(5, 100, firm=2, tif=IOC).status is OrdStatus.FILLED
    assert desk.sell(5, 102).reason is RejectReason.NONE
    assert desk.cancel(first.order_id).reason is RejectReason.TOO_LATE


def test_one_command_trades_with_a_bounded_number_of_orders_and_its_rest_is_cancelled(desk):
    for _ in range(32_001):
        desk.sell(1, 100)
    reply = desk.buy(32_001, 100, firm=2)
    assert (len(reply.fills), reply.status, reply.cum_qty) == (32_000, OrdStatus.CANCELLED, 32_000)
    assert (desk.bids(), desk.asks()) == ([], [(100, 1)])


def test_a_fok_that_needs_more_fills_than_the_bound_trades_nothing(desk):
    for _ in range(32_001):
        desk.sell(1, 100)
    assert desk.buy(32_001, 100, firm=2, tif=FOK).fills == ()
    assert len(desk.buy(32_000, 100, firm=2, tif=FOK).fills) == 32_000


def test_prices_far_apart_stay_in_order_while_the_best_ones_come_and_go(desk):
    """The native ladder keeps near prices in a window and far ones in a map: the seam must not show."""
    prices = [1, 500_000, 500_001, 500_700, 501_023, 501_024, 501_025, 2_000_000, 10**9]
    for price in [500_000, *prices[::-1]]:
        desk.sell(1, price)
    assert [price for price, _ in desk.asks()] == prices
    assert [fill.price_ticks for fill in desk.buy(10, 10**9, firm=2).fills] == sorted([*prices, 500_000])


def test_a_window_that_empties_moves_without_losing_far_levels(desk):
    near = desk.buy(1, 1000)
    far = [desk.buy(1, price) for price in (50_000, 50_100, 52_000, 100_000)]
    desk.cancel(near.order_id)
    desk.buy(7, 50_050)
    assert desk.bids() == [(100_000, 1), (52_000, 1), (50_100, 1), (50_050, 7), (50_000, 1)]
    for order in far:
        assert desk.cancel(order.order_id).status is OrdStatus.CANCELLED
    assert desk.bids() == [(50_050, 7)]


def test_the_last_trade_is_shown_with_the_depth(desk):
    assert desk.engine.depth(0, 5)[2] is None
    desk.sell(5, 100)
    desk.buy(2, 100, firm=2)
    assert desk.engine.depth(0, 5)[2] == (100, 2)


SENSELESS_CONFIGS = [
    ("max_qty", {"max_qty": 0}, {}),
    ("max_qty", {"max_qty": 10**9 + 1}, {}),
    ("reference_ticks", {"reference_ticks": 10**9 + 1}, {}),
    ("luld_bps", {"luld_bps": 10_000}, {}),
    ("collar_bps", {"collar_bps": 10_000}, {}),
    ("market_notional_cap", {"market_notional_cap": 10**18 + 1}, {}),
    ("fat_finger_pct", {"fat_finger_pct": 99}, {}),
    ("initial_state", {"initial_state": 6}, {}),
    ("limit_state_ns", {}, {"limit_state_ns": 0}),
    ("halt_ns", {}, {"halt_ns": 86_400 * 10**9 + 1}),
    ("default_limits", {}, {"default_limits": FirmLimits(rate_per_s=1)}),
    ("max_live_orders", {}, {"max_live_orders": 0}),
    ("max_live_orders", {}, {"max_live_orders": 2**24 + 1}),
    ("partitions", {}, {"partitions": 0}),
    ("partition", {}, {"partitions": 2, "partition": 2}),
]


@pytest.mark.parametrize(("name", "rules", "options"), SENSELESS_CONFIGS)
def test_a_senseless_configuration_is_refused_by_the_name_of_its_field(make_desk, name, rules, options):
    with pytest.raises(ValueError, match=name):
        make_desk([InstrumentRules(**rules)], **options)


@pytest.mark.parametrize("partition", [0, 1, 2])
def test_ids_of_partitions_interleave_and_never_meet(make_desk, partition):
    desk = make_desk(partitions=3, partition=partition)
    ids = [desk.sell(1, 100, firm=1).order_id for _ in range(3)]
    reply = desk.buy(3, 100, firm=2)
    assert ids == [partition + 1, partition + 4, partition + 7]
    assert [fill.trade_id for fill in reply.fills] == ids
    for strange in (1, 2, 3):
        known = desk.cancel(strange).reason is not RejectReason.UNKNOWN_ORDER
        assert known == (strange == partition + 1)
