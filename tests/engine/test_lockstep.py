"""Random command sequences through the reference and the native engine: same answers, same state, nothing lost."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from engine import _core
from engine.reference import ReferenceEngine
from engine.types import OrdStatus

MAX_QTY = (50, 1000)

sides = st.sampled_from([1, 2])
near_prices = st.integers(95, 105)
far_prices = st.sampled_from([1, 600, 700, 1200, 5000, 10**12, 10**12 + 1, 0, -5])
prices = st.one_of(near_prices, near_prices, near_prices, far_prices)
quantities = st.one_of(st.integers(1, 20), st.integers(1, 20), st.sampled_from([0, -1, 50, 51, 1000]))
new_orders = st.tuples(
    st.just("new_order"),
    st.integers(1, 3),
    st.sampled_from([0, 0, 0, 1, 2]),
    sides,
    st.sampled_from([1, 2, 2, 2, 2]),
    st.sampled_from([0, 0, 0, 3, 4, 9]),
    prices,
    quantities,
    st.sampled_from(["", "", "", "a", "b", "c d", "x" * 40, "x" * 41]),
)
order_ids = st.integers(0, 30)
cancels = st.tuples(st.just("cancel"), st.integers(1, 3), order_ids)
reduces = st.tuples(st.just("reduce"), st.integers(1, 3), order_ids, st.integers(-1, 20))
commands = st.lists(st.one_of(new_orders, new_orders, new_orders, cancels, reduces), max_size=60)


@settings(max_examples=300, deadline=None)
@given(commands)
def test_both_engines_give_the_same_answers_and_states_after_every_command(sequence):
    reference, native = ReferenceEngine(MAX_QTY, max_live_orders=12), _core.Engine(MAX_QTY, max_live_orders=12)
    for ts_ns, (name, *fields) in enumerate(sequence):
        assert getattr(native, name)(*fields, ts_ns) == getattr(reference, name)(*fields, ts_ns)
        assert native.state_hash() == reference.state_hash()
        assert native.live_orders() == reference.live_orders()
        assert native.last_seq_num() == reference.last_seq_num()
        for instrument in range(3):
            assert native.depth(instrument, 4) == reference.depth(instrument, 4)


@settings(max_examples=200, deadline=None)
@given(commands)
def test_no_quantity_appears_or_vanishes(sequence):
    """Accepted = traded twice (once as taker, once as maker) + cancelled + resting; no order trades more than it asked for."""
    engine = _core.Engine(MAX_QTY)
    asked: Counter[int] = Counter()
    traded: Counter[int] = Counter()
    gone: Counter[int] = Counter()
    trade_ids = []
    for ts_ns, (name, *fields) in enumerate(sequence):
        before = {order: asked[order] - gone[order] - traded[order] for order in asked}
        _, order_id, status, reason, order_qty, cum_qty, leaves_qty, fills = getattr(engine, name)(*fields, ts_ns)
        if reason:
            assert not fills
            continue
        if name == "new_order":
            asked[order_id] = order_qty
            gone[order_id] = order_qty - cum_qty - leaves_qty
        else:
            gone[order_id] += before[order_id] - leaves_qty
        for trade_id, _, qty, maker in fills:
            assert 0 < qty <= before[maker]
            trade_ids.append(trade_id)
            traded[order_id] += qty
            traded[maker] += qty
        assert traded[order_id] == cum_qty
        if status == OrdStatus.FILLED:
            assert cum_qty == order_qty
    resting = sum(qty for instrument in range(2) for side in engine.depth(instrument, 1000)[:2] for _, qty in side)
    assert sum(asked.values()) == sum(traded.values()) + sum(gone.values()) + resting
    assert all(asked[order] >= traded[order] + gone[order] for order in asked)
    assert trade_ids == list(range(1, len(trade_ids) + 1))


@settings(max_examples=100, deadline=None)
@given(commands)
def test_no_book_is_ever_crossed_and_the_same_input_gives_the_same_state(sequence):
    one, two = _core.Engine(MAX_QTY), _core.Engine(MAX_QTY)
    for ts_ns, (name, *fields) in enumerate(sequence):
        assert getattr(one, name)(*fields, ts_ns) == getattr(two, name)(*fields, ts_ns)
        for instrument in range(2):
            bids, asks, _ = one.depth(instrument, 1)
            assert not bids or not asks or bids[0][0] < asks[0][0]
    assert one.state_hash() == two.state_hash()
