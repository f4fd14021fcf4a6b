"""Bugs that other engines shipped, each as a test named after what it guards; on the reference and on the native engine."""

from __future__ import annotations

import pytest

from engine.types import EngineConfig, ExecType, InstrumentRules, OrdStatus, RejectReason, SessionState, StpMode, TimeInForce
from tests.engine.engines import Desk, Native, makers

IOC, FOK, GTC = TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTC
CONTINUOUS, OPENING, CLOSED = SessionState.CONTINUOUS, SessionState.OPENING_AUCTION, SessionState.CLOSED


# Priority


def test_a_maker_keeps_its_place_in_the_queue_after_a_partial_fill(desk):
    """A partial fill sent the maker to the tail of its queue."""
    first, second = desk.sell(10, 100), desk.sell(10, 100)
    assert makers(desk.buy(4, 100, firm=2)) == [first.order_id]
    assert makers(desk.buy(8, 100, firm=2)) == [first.order_id, second.order_id]


def test_priority_follows_the_sequence_and_not_the_timestamp(desk):
    """A queue ordered by timestamp put an order with an earlier clock in front."""
    desk.now_ns = 1_000
    first = desk.sell(5, 100)
    desk.now_ns = 500
    second = desk.sell(5, 100, firm=2)
    assert makers(desk.buy(5, 100, firm=3)) == [first.order_id]
    assert makers(desk.buy(5, 100, firm=3)) == [second.order_id]


def test_an_amended_order_stands_behind_those_it_had_stood_before_and_never_twice(desk):
    """A modify left a stale entry of the order at its old price after it had traded on the way in."""
    desk.sell(3, 101, firm=2)
    order = desk.buy(10, 100)
    behind = desk.buy(10, 101, firm=3, tif=IOC)
    assert behind.cum_qty == 3
    desk.sell(3, 101, firm=2)
    reply = desk.amend(order.order_id, price=101)
    assert (reply.status, reply.cum_qty, reply.leaves_qty) == (OrdStatus.PARTIALLY_FILLED, 3, 7)
    assert desk.bids() == [(101, 7)]
    assert desk.live_ids() == [order.order_id]
    assert makers(desk.sell(7, 100, firm=2)) == [order.order_id]
    assert (desk.bids(), desk.live_ids()) == ([], [])


def test_an_amend_that_fills_the_order_leaves_nothing_of_it(desk):
    """The order was found by a cancel after its amend had traded it away."""
    order = desk.buy(5, 100)
    desk.sell(9, 102, firm=2)
    reply = desk.amend(order.order_id, price=102)
    assert (reply.status, reply.cum_qty, reply.leaves_qty) == (OrdStatus.FILLED, 5, 0)
    assert desk.cancel(order.order_id).reason is RejectReason.TOO_LATE
    assert (desk.bids(), desk.asks()) == ([], [(102, 4)])


def test_a_levels_quantity_is_right_after_a_partial_fill_and_then_a_cancel(desk):
    """The level kept counting what a cancelled order had already traded."""
    first = desk.sell(10, 100)
    desk.sell(7, 100)
    desk.buy(4, 100, firm=2)
    assert desk.asks() == [(100, 13)]
    desk.cancel(first.order_id)
    assert desk.asks() == [(100, 7)]


# Time in force


def test_a_fok_that_trades_trades_whole(desk):
    for price in (100, 101, 102):
        desk.sell(5, price)
    reply = desk.buy(15, 102, firm=2, tif=FOK)
    assert (reply.status, reply.cum_qty) == (OrdStatus.FILLED, 15)


@pytest.mark.parametrize(("qty", "price"), [(16, 102), (11, 101), (1, 99), (16, None)])
def test_a_killed_fok_trades_nothing_and_changes_no_book(desk, qty, price):
    """Trades were printed for an order that was then reported killed."""
    for level in (100, 101, 102):
        desk.sell(5, level)
    reply = desk.buy(qty, price, firm=2, tif=FOK)
    assert (reply.status, reply.cum_qty, reply.fills) == (OrdStatus.CANCELLED, 0, ())
    assert (desk.asks(), desk.bids()) == ([(100, 5), (101, 5), (102, 5)], [])
    assert desk.engine.depth(0, 1)[2] is None


@pytest.mark.parametrize("mode", [StpMode.CANCEL_NEWEST, StpMode.CANCEL_OLDEST, StpMode.DECREMENT])
def test_a_fok_is_not_counted_whole_on_its_own_firms_orders(desk, mode):
    """The check before a FOK counted orders that self-trade prevention then took away: trades for a killed order."""
    desk.limits(2, stp=mode)
    desk.sell(5, 100, firm=1)
    own = desk.sell(5, 101, firm=2)
    reply = desk.buy(10, 101, firm=2, tif=FOK)
    assert (reply.status, reply.cum_qty, reply.reason) == (OrdStatus.CANCELLED, 0, RejectReason.NONE)
    assert desk.asks() == [(100, 5), (101, 5)]
    assert own.order_id in desk.live_ids()


def test_a_fok_skips_its_own_firms_oldest_when_others_can_fill_it(desk):
    desk.limits(2, stp=StpMode.CANCEL_OLDEST)
    own = desk.sell(5, 100, firm=2)
    desk.sell(5, 101, firm=1)
    reply = desk.buy(5, 101, firm=2, tif=FOK)
    assert (reply.status, reply.cum_qty) == (OrdStatus.FILLED, 5)
    assert desk.cancel(own.order_id, firm=2).reason is RejectReason.TOO_LATE


def test_a_fok_is_not_counted_whole_beyond_the_price_band(make_desk):
    """The check before a FOK did not know the bands that the match then kept to."""
    desk = make_desk([InstrumentRules(reference_ticks=100, luld_bps=500)])
    desk.sell(5, 105)
    desk.session(SessionState.HALTED)
    desk.sell(5, 106)
    desk.session(CONTINUOUS)
    reply = desk.buy(10, 110, firm=2, tif=FOK)
    assert (reply.status, reply.cum_qty, reply.reason) == (OrdStatus.CANCELLED, 0, RejectReason.PRICE_BAND)
    assert desk.asks() == [(105, 5), (106, 5)]


@pytest.mark.parametrize("resting_qty", [0, 4])
def test_what_an_ioc_does_not_trade_never_rests(desk, resting_qty):
    """The residual of an IOC was found resting in the book."""
    if resting_qty:
        desk.sell(resting_qty, 100)
    reply = desk.buy(10, 100, firm=2, tif=IOC)
    assert (reply.status, reply.order_qty, reply.cum_qty, reply.leaves_qty) == (OrdStatus.CANCELLED, 10, resting_qty, 0)
    assert desk.bids() == []
    assert desk.cancel(reply.order_id, firm=2).reason is RejectReason.TOO_LATE


@pytest.mark.parametrize("tif", [TimeInForce.DAY, GTC, IOC])
def test_what_a_market_order_does_not_trade_never_rests(desk, tif):
    desk.sell(4, 100)
    reply = desk.buy(10, None, firm=2, tif=tif)
    assert (reply.status, reply.cum_qty, reply.leaves_qty) == (OrdStatus.CANCELLED, 4, 0)
    assert (desk.bids(), desk.asks()) == ([], [])


# Stops


@pytest.mark.parametrize("price", [None, 120])
def test_a_stop_that_was_not_triggered_can_be_cancelled_reduced_and_amended(desk, price):
    """An untriggered stop could not be cancelled: it stood in no book."""
    order = desk.buy(10, price, stop=110)
    assert desk.reduce(order.order_id, 8).leaves_qty == 8
    assert desk.amend(order.order_id, stop=112, qty=9).order_qty == 9
    assert desk.cancel(order.order_id).status is OrdStatus.CANCELLED
    desk.trade(115)
    assert desk.live_ids() == []
    assert desk.engine.trades() == 1


def test_stops_that_are_set_off_by_stops_are_triggered_in_the_same_command(desk):
    """A cascade was run in a single pass: what the second stop's trade reached waited for the next order."""
    for price in (100, 101, 102, 103, 104):
        desk.sell(1, price)
    third, second, first = (desk.buy(1, stop=stop, firm=2) for stop in (102, 101, 100))
    desk.buy(1, 100, firm=3)
    triggered = [report.order_id for report in desk.reports if report.exec_type == ExecType.TRIGGERED]
    assert triggered == [first.order_id, second.order_id, third.order_id]
    assert desk.asks() == [(104, 1)]
    assert desk.last_trade() == (103, 1)


def test_a_stop_is_gone_after_its_fill(desk):
    """The stop stayed in the core after its fill, and could fire again."""
    desk.sell(5, 100)
    desk.sell(5, 101)
    stop = desk.buy(5, stop=100, firm=2)
    desk.buy(5, 100, firm=3)
    assert stop.order_id not in desk.live_ids()
    assert desk.engine.live_orders() == 0
    assert desk.cancel(stop.order_id, firm=2).reason is RejectReason.TOO_LATE
    desk.trade(100)
    assert all(report.order_id != stop.order_id for report in desk.reports)


@pytest.mark.parametrize("resting", [[], [("sell", 130)], [("buy", 90)], [("buy", 120), ("sell", 121)]])
def test_stops_look_at_the_last_trade_and_not_at_the_top_of_the_book(desk, resting):
    """Stops were triggered by a quote, and by the one of the wrong side."""
    desk.trade(100)
    buy, sell = desk.buy(5, stop=110, firm=2), desk.sell(5, stop=95, firm=2)
    for side, price in resting:
        getattr(desk, side)(1, price)
    assert {buy.order_id, sell.order_id} <= set(desk.live_ids())


def test_a_stop_that_the_last_trade_reached_already_is_triggered_at_once(desk):
    desk.trade(100)
    desk.sell(5, 103)
    assert desk.buy(5, stop=100, firm=2).status is OrdStatus.FILLED


# Self-trade prevention


@pytest.mark.parametrize("mode", [StpMode.CANCEL_NEWEST, StpMode.CANCEL_OLDEST, StpMode.DECREMENT])
def test_self_trade_prevention_goes_through_the_queue_in_priority_order(desk, mode):
    """The scan for own orders went through a hash map: who was cancelled and who traded changed from run to run."""
    desk.limits(1, stp=mode)
    ids = [desk.sell(2, 100, firm=firm).order_id for firm in (2, 1, 3, 1, 2)]
    reply = desk.buy(7, 100, firm=1)
    expected = {
        StpMode.CANCEL_NEWEST: ([ids[0]], ids[1:]),
        StpMode.CANCEL_OLDEST: ([ids[0], ids[2], ids[4]], [reply.order_id]),
        StpMode.DECREMENT: ([ids[0], ids[2]], ids[3:]),
    }[mode]
    assert (makers(reply), desk.live_ids()) == expected


# Ownership, late cancels


def test_another_firms_order_cannot_be_cancelled_reduced_or_amended(desk):
    """Cancel and modify worked by id, without asking whose order it was."""
    order = desk.sell(10, 100, firm=1)
    assert desk.cancel(order.order_id, firm=2).reason is RejectReason.NOT_OWNER
    assert desk.reduce(order.order_id, 5, firm=2).reason is RejectReason.NOT_OWNER
    assert desk.amend(order.order_id, price=99, firm=2).reason is RejectReason.NOT_OWNER
    assert desk.asks() == [(100, 10)]
    desk.cancel(order.order_id, firm=1)
    assert desk.cancel(order.order_id, firm=2).reason is RejectReason.NOT_OWNER


@pytest.mark.parametrize("end", ["fill", "cancel", "expire", "self-trade"])
def test_a_cancel_that_comes_too_late_is_told_so_however_the_order_ended(desk, end):
    """A late cancel got no answer, or a second CANCELLED."""
    desk.limits(1, stp=StpMode.CANCEL_OLDEST)
    order = desk.sell(5, 100)
    if end == "fill":
        desk.buy(5, 100, firm=2)
    elif end == "cancel":
        desk.cancel(order.order_id)
    elif end == "expire":
        desk.session(CLOSED)
    else:
        desk.buy(5, 100, tif=IOC)
    reply = desk.cancel(order.order_id)
    assert desk.told() == [f"CANCEL_REJECTED #{order.order_id} REJECTED TOO_LATE firm 1"]
    assert (reply.status, reply.reason) == (OrdStatus.REJECTED, RejectReason.TOO_LATE)


# Duplicates


def test_a_duplicate_cl_ord_id_is_refused_with_the_original_order_id(desk):
    first = desk.buy(10, 100, cl_ord_id="a")
    again = desk.buy(10, 100, cl_ord_id="a")
    assert (again.status, again.reason, again.order_id) == (OrdStatus.REJECTED, RejectReason.DUPLICATE_CL_ORD_ID, first.order_id)
    assert desk.bids() == [(100, 10)]


def test_a_cl_ord_id_stays_taken_after_its_order_is_done(desk):
    first = desk.buy(10, 100, cl_ord_id="a")
    desk.cancel(first.order_id)
    assert desk.buy(10, 100, cl_ord_id="a").order_id == first.order_id


def test_cl_ord_ids_of_two_firms_do_not_collide_and_empty_ones_never_do(desk):
    assert desk.buy(10, 100, cl_ord_id="a", firm=1).reason is RejectReason.NONE
    assert desk.buy(10, 100, cl_ord_id="a", firm=2).reason is RejectReason.NONE
    assert {desk.buy(10, 100).reason for _ in range(3)} == {RejectReason.NONE}


def test_a_refused_order_does_not_take_its_cl_ord_id(desk):
    assert desk.buy(0, 100, cl_ord_id="a").reason is RejectReason.BAD_QUANTITY
    assert desk.buy(10, 100, cl_ord_id="a").reason is RejectReason.NONE


# Auctions


def test_the_uncross_does_exactly_what_the_indicative_said(make_desk):
    """The price that was shown before the opening was not the price of the opening."""
    desk = make_desk([InstrumentRules(reference_ticks=100, initial_state=OPENING)])
    for qty, price in ((5, 103), (7, 101), (4, 99)):
        desk.buy(qty, price, firm=1)
    for qty, price in ((6, 98), (4, 100), (9, 102)):
        desk.sell(qty, price, firm=2)
    shown = desk.engine.indicative(0)
    assert tuple(shown) == tuple(desk.engine.depth(0, 1)[5]) == (100, 10, 2)
    desk.session(CONTINUOUS)
    fills = [report for report in desk.reports if report.exec_type == ExecType.TRADE]
    assert {report.last_px_ticks for report in fills} == {shown[0]}
    assert sum(report.last_qty for report in fills) == 2 * shown[1]
    assert tuple(desk.engine.indicative(0)) == (0, 0, 0)


def test_at_the_margin_of_an_auction_the_older_order_trades_first(make_desk):
    desk = make_desk([InstrumentRules(initial_state=OPENING)])
    first, second = desk.buy(5, 100, firm=1), desk.buy(5, 100, firm=2)
    desk.sell(7, 100, firm=3)
    desk.session(CONTINUOUS)
    assert desk.live_ids() == [second.order_id]
    assert desk.cancel(first.order_id, firm=1).reason is RejectReason.TOO_LATE
    assert desk.bids() == [(100, 3)]


# Snapshots and configuration (the reference has no snapshot: it is replayed)


def saved_and_loaded(rules, prepare):
    live, again = Desk("native", [rules]), Desk("native", [rules])
    prepare(live)
    again.engine = Native(EngineConfig((rules,)), live.engine.save())
    again.exec_id, again.now_ns = live.exec_id, live.now_ns
    return live, again


def test_a_snapshot_has_the_last_trade_price():
    """Without it a replica triggered no stop where the original did."""
    live, again = saved_and_loaded(InstrumentRules(), lambda desk: (desk.trade(100), desk.sell(5, 103)))
    assert again.last_trade() == (100, 1)
    assert again.buy(5, stop=100, firm=2) == live.buy(5, stop=100, firm=2)
    assert again.last_trade() == (103, 5)


def test_a_snapshot_has_the_reference_the_state_and_the_timer():
    """Without the reference there were no bands, without the state no auction, without the timer no end of the halt."""

    def prepare(desk):
        desk.session(SessionState.HALTED)
        desk.sell(5, 106)
        desk.session(CONTINUOUS)
        desk.now_ns = 1_000
        assert desk.buy(5, 106, firm=2).reason is RejectReason.PRICE_BAND

    live, again = saved_and_loaded(InstrumentRules(reference_ticks=100, luld_bps=500), prepare)
    assert again.engine.next_timer_ns() == 1_000 + 15 * 10**9
    for desk in (live, again):
        desk.pass_time(15 * 10**9)
        assert desk.state() is SessionState.HALTED
        desk.pass_time(300 * 10**9)
        assert desk.state() is CONTINUOUS
    assert live.engine.state_hash() == again.engine.state_hash()


def test_the_state_hash_tells_two_configurations_apart(make_desk):
    """A replay without the configuration of the original diverged, and nothing noticed."""
    changes = [
        {"reference_ticks": 1},
        {"luld_bps": 1},
        {"collar_bps": 1},
        {"market_notional_cap": 1},
        {"fat_finger_pct": 200},
        {"max_qty": 5},
        {"initial_state": SessionState.PRE_OPEN},
    ]
    hashes = {make_desk([InstrumentRules(**change)]).engine.state_hash() for change in [{}, *changes]}
    hashes |= {
        make_desk([InstrumentRules()], **option).engine.state_hash()
        for option in ({"halt_ns": 1}, {"limit_state_ns": 1}, {"partitions": 2})
    }
    assert len(hashes) == 11
