"""What a review found at the edges of the rules, each as a test named after what it guards; on both engines."""

from __future__ import annotations

import pytest

from engine import _core
from engine.reference import make_reply
from engine.types import (
    MAX_FILLS_PER_COMMAND,
    MAX_TS_NS,
    Command,
    CommandKind,
    EngineConfig,
    ExecType,
    InstrumentRules,
    OrdStatus,
    RejectReason,
    Report,
    SessionState,
    TimeInForce,
)
from tests.engine.engines import Native

GTC = TimeInForce.GTC
CLOSED, CONTINUOUS, HALTED, PRE_OPEN = SessionState.CLOSED, SessionState.CONTINUOUS, SessionState.HALTED, SessionState.PRE_OPEN
BIG = 10**9


def test_a_partly_filled_order_never_grows_past_the_largest_quantity_by_splits(desk_of_giants):
    """Filled plus left passed 10^9 after a split, and the snapshot made then could not be loaded."""
    desk = desk_of_giants
    order = desk.buy(BIG, 1000, tif=GTC)
    desk.sell(600_000_000, 1000, firm=2)
    desk.session(CLOSED)
    desk.corporate_action(2, 1)
    assert desk.reports[0].reason == RejectReason.CORPORATE_ACTION
    assert desk.reports[0].exec_type == ExecType.CANCELLED
    assert desk.reports[0].order_id == order.order_id
    if isinstance(desk.engine, Native):
        assert Native(desk.engine_config, desk.engine.save()).state_hash() == desk.engine.state_hash()


def test_a_time_that_no_deadline_fits_behind_is_no_command(desk):
    """A command of the last nanosecond there is met a timer that was not there."""
    for ts_ns in (MAX_TS_NS + 1, 2**63 - 1, -1):
        desk.now_ns = ts_ns
        assert desk.buy(1, 100).reason is RejectReason.BAD_COMMAND
    desk.now_ns = MAX_TS_NS
    assert desk.buy(1, 100).status is OrdStatus.NEW


def test_a_reply_tells_no_more_fills_than_a_frame_carries_and_counts_them_all():
    """Stops that an order set off met the rest of it: the reply outgrew its frame, and the member got no answer."""
    count = MAX_FILLS_PER_COMMAND + 5
    partly = OrdStatus.PARTIALLY_FILLED
    trade = Report(exec_type=ExecType.TRADE, ord_status=partly, order_id=7, last_qty=1, cum_qty=count, leaves_qty=1, seq_num=1)
    accepted = Report(exec_type=ExecType.NEW, order_id=7, seq_num=1)
    reply = make_reply(Command(CommandKind.NEW_ORDER), [accepted, *([trade] * count)])
    assert (len(reply.fills), reply.cum_qty) == (MAX_FILLS_PER_COMMAND, count)


def test_a_triggered_stop_obeys_the_cap_on_orders_without_a_price(make_desk):
    """A stop at one tick was a market order that no cap looked at."""
    desk = make_desk(rules=(InstrumentRules(market_notional_cap=10_000),))
    desk.sell(1_000_000, 100, firm=2)
    desk.trade(100)
    assert desk.buy(1_000_000).reason is RejectReason.NOTIONAL_CAP
    assert desk.buy(1_000_000, stop=1).reason is RejectReason.NOTIONAL_CAP, "by its stop price already"
    reply = desk.buy(5_000, stop=1)
    assert (reply.status, reply.reason, reply.cum_qty) == (OrdStatus.CANCELLED, RejectReason.STOP_OVER_CAP, 0)
    assert (reply.value, reply.limit) == (500_000, 10_000), "5,000 at the last price, and the cap"
    assert desk.buy(100, stop=1).status is OrdStatus.FILLED


def test_a_halt_by_hand_lasts_until_somebody_ends_it(make_desk):
    """An operator's halt during a halt of the bands was ignored, and the instrument reopened by itself."""
    desk = make_desk(rules=(InstrumentRules(reference_ticks=100, luld_bps=500),), limit_state_ns=10, halt_ns=100)
    desk.sell(1, 120, firm=2)
    desk.buy(1, 120)
    desk.pass_time(10)
    assert desk.state() is HALTED
    assert desk.session(HALTED).order_qty == 1
    desk.pass_time(1000)
    assert (desk.state(), desk.engine.next_timer_ns()) == (HALTED, 0)
    assert desk.session(HALTED).order_qty == 0
    desk.session(CONTINUOUS)
    assert desk.state() is CONTINUOUS


def test_an_uncross_finds_the_smallest_imbalance_between_two_limits(desk):
    """Only limit prices and the last trade were tried; between two of them the imbalance was smaller."""
    desk.session(PRE_OPEN)
    desk.reference(2000)
    desk.buy(100, 1100)
    desk.buy(50, 900)
    desk.sell(100, 900, firm=2)
    desk.sell(50, 1100, firm=2)
    assert tuple(desk.engine.indicative(0)) == (1099, 100, 0)
    desk.session(CONTINUOUS)
    assert desk.last_trade() == (1099, 100)


def test_splits_without_end_keep_a_holding_inside_its_bounds(desk):
    """A holding of one share, split 1000 to 1 seven times, left 64 bits."""
    desk.trade(100)
    desk.session(CLOSED)
    for _ in range(8):
        desk.corporate_action(1000, 1)
    assert [row[2] for row in desk.engine.positions()] == [-(10**18), 10**18]


def test_a_loaded_engine_knows_every_order_id_that_was_ever_given():
    """With every order done at the end of the day the table of ids was not made, and asking for one read beyond it."""
    config = EngineConfig(instruments=(InstrumentRules(),))
    engine = Native(config)
    for _ in range(3):
        engine.engine.apply(1, firm=1, price_ticks=5, qty=1, tif=3)
    engine.engine.apply(5, instrument=0xFFFFFFFF, state=5)
    engine.engine.apply(11, qty=20261120)
    again = _core.Engine.load(config.as_tuple(), engine.save())
    assert [report[9] for report in again.apply(2, firm=1, order_id=3)] == [RejectReason.TOO_LATE]
    assert [report[9] for report in again.apply(2, firm=1, order_id=4)] == [RejectReason.UNKNOWN_ORDER]


@pytest.mark.parametrize("order_id", [2**63 - 1, 2**63, 2**64 - 1])
def test_an_order_id_that_no_signed_number_holds_is_told_as_the_largest_one(desk, order_id):
    """The two engines told different numbers, and one of them a negative one."""
    for refused in (desk.cancel(order_id), desk.reduce(order_id, 1), desk.amend(order_id, price=100)):
        assert (refused.order_id, refused.reason, refused.value) == (order_id, RejectReason.UNKNOWN_ORDER, 2**63 - 1)


def test_what_is_forgotten_makes_no_saved_state_grow():
    """One order that rested for days brought four bytes along for each order since."""
    config = EngineConfig(instruments=(InstrumentRules(),))
    engine, sizes = Native(config), []
    engine.engine.apply(1, firm=1, price_ticks=5, qty=1, tif=1)
    for _ in range(3):
        engine.engine.apply(5, instrument=0xFFFFFFFF, state=2)
        for _ in range(5000):
            engine.engine.apply(1, firm=1, side=2, price_ticks=9, qty=1, tif=3)
        engine.engine.apply(5, instrument=0xFFFFFFFF, state=5)
        engine.engine.apply(11, qty=20261120)
        sizes.append(len(engine.save()))
    assert sizes[0] == sizes[1] == sizes[2]


@pytest.fixture
def desk_of_giants(make_desk):
    rules = (InstrumentRules(max_qty=BIG),)
    desk = make_desk(rules=rules)
    desk.engine_config = EngineConfig(rules)
    return desk
