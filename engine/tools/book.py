"""`exchange replay --at`: one instrument's book as it was at a moment, for people and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo

from engine import _core
from engine.config import VenueError
from engine.tools.edge import VenueLog, log_errors, run_through, warn
from engine.tools.text import lower, number_text, price_text, table
from engine.tools.when import moment_text
from engine.types import Indicative, Instrument, OrdType, SessionState, Side, TimeInForce


@dataclass(frozen=True, slots=True)
class RestingOrder:
    """One live order; `untriggered`: a stop that still waits. Fields as in Engine::OrderView (engine.hpp)."""

    order_id: int
    firm: int
    instrument: int
    side: int
    ord_type: int
    tif: int
    untriggered: bool
    price_ticks: int
    stop_price_ticks: int
    leaves_qty: int
    cum_qty: int
    cum_notional: int


@dataclass(frozen=True, slots=True)
class BookView:
    """A book after the command `seq_num` of `ts_ns`. Levels are (price_ticks, qty), best first."""

    instrument: Instrument
    partition: int
    seq_num: int
    epoch: int
    ts_ns: int
    state: int
    limit_state: bool
    bids: Sequence[tuple[int, int]]
    asks: Sequence[tuple[int, int]]
    last_trade: tuple[int, int] | None
    indicative: Indicative
    orders: Sequence[RestingOrder] | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """What was asked for: the state after every command up to this time, or up to this seq_num; neither: after the last."""

    ts_ns: int | None = None
    seq_num: int | None = None


def book_at(log: VenueLog, symbol: str, moment: Moment, levels: int, with_orders: bool, zone: tzinfo = UTC) -> BookView:
    """Raises VenueError: an unknown instrument, a moment outside the log (the message has its range), a log that cannot be read."""
    instrument = log.instrument(symbol)
    partition = log.of_instrument(instrument)
    replayer = partition.replayer()
    with log_errors(partition.folder):
        warn(replayer.seek(seq_num=moment.seq_num, ts_ns=moment.ts_ns))
        limits = {name: value for name, value in (("seq_num", moment.seq_num), ("ts_ns", moment.ts_ns)) if value is not None}
        run_through(replayer, **limits)
        _refuse_outside(replayer, moment, zone)
        return _view(replayer, instrument, partition.number, levels, with_orders)


def _refuse_outside(replayer: _core.Replayer, moment: Moment, zone: tzinfo) -> None:
    """The end of the log is looked for in an error only: damage far behind the moment does not concern the book."""
    if replayer.first_place() is None:
        raise VenueError("the log holds no command yet", hint="is it the folder of the core that you mean?")
    seq_num, _, ts_ns, _ = replayer.place()
    if seq_num == 0:
        raise VenueError(f"the log begins later: {_span(replayer, zone)}", hint="ask for a moment inside")
    later = moment.ts_ns is not None and moment.ts_ns > ts_ns and replayer.next_place() is None
    if later or (moment.seq_num is not None and moment.seq_num > seq_num):
        raise VenueError(f"the log ends before that: {_span(replayer, zone)}", hint="--at last shows the book after its last command")


def _span(replayer: _core.Replayer, zone: tzinfo) -> str:
    first, last = replayer.first_place(), replayer.last_place()
    assert first is not None
    assert last is not None
    return f"it reaches from {moment_text(first[2], zone)} (seq_num {first[0]}) to {moment_text(last[2], zone)} (seq_num {last[0]})"


def _view(replayer: _core.Replayer, instrument: Instrument, partition: int, levels: int, with_orders: bool) -> BookView:
    seq_num, epoch, ts_ns, _ = replayer.place()
    bids, asks, last_trade, state, limit_state, indicative = replayer.engine().depth(instrument.instrument_id, levels)
    orders = tuple(RestingOrder(*order) for order in replayer.engine().orders(instrument.instrument_id)) if with_orders else None
    return BookView(instrument, partition, seq_num, epoch, ts_ns, state, bool(limit_state), bids, asks, last_trade,
                    Indicative(*indicative), orders)  # fmt: skip


def book_lines(view: BookView, asked: str, zone: tzinfo = UTC) -> list[str]:
    """For people: what, when, and both sides face to face."""
    tick = view.instrument.tick_size
    state = lower(SessionState, view.state) + (", limit state" if view.limit_state else "")
    trade = f"{price_text(view.last_trade[0], tick)} x {number_text(view.last_trade[1])}" if view.last_trade else "none yet"
    lines = [f"{view.instrument.symbol} at {asked}: {state}, last trade {trade}"]
    lines.append(f"after seq_num {view.seq_num} of {moment_text(view.ts_ns, zone)}, partition {view.partition}, epoch {view.epoch}")
    if any(view.indicative):
        price, qty, imbalance = view.indicative
        lines.append(f"an uncross now: {number_text(qty)} at {price_text(price, tick)}, imbalance {imbalance:+,}")
    lines += ["", *_levels(view)]
    if view.orders is not None:
        lines += ["", *_orders(view)]
    return lines


def _levels(view: BookView) -> list[str]:
    if not view.bids and not view.asks:
        return ["the book is empty"]
    tick = view.instrument.tick_size
    rows = []
    for row in range(max(len(view.bids), len(view.asks))):
        bid, ask = (side[row] if row < len(side) else None for side in (view.bids, view.asks))
        rows.append((
            number_text(bid[1]) if bid else "", price_text(bid[0], tick) if bid else "", "|",
            price_text(ask[0], tick) if ask else "", number_text(ask[1]) if ask else "",
        ))  # fmt: skip
    return table(("bid qty", "bid", "|", "ask", "ask qty"), rows)


def _orders(view: BookView) -> list[str]:
    assert view.orders is not None
    if not view.orders:
        return ["no live orders"]
    tick = view.instrument.tick_size

    def price(ticks: int) -> str:
        return price_text(ticks, tick) if ticks else "-"

    rows = [
        (
            str(one.order_id), str(one.firm), lower(Side, one.side), lower(OrdType, one.ord_type), lower(TimeInForce, one.tif),
            price(one.price_ticks), price(one.stop_price_ticks), number_text(one.leaves_qty), number_text(one.cum_qty),
            "waits" if one.untriggered else "in the book",
        )
        for one in view.orders
    ]  # fmt: skip
    return table(("order", "firm", "side", "type", "time in force", "price", "stop", "leaves", "filled", "where"), rows, left=(2, 3, 4, 9))


def book_json(view: BookView) -> dict[str, object]:
    """Prices as decimal strings, quantities as integers, times as text and as nanoseconds."""
    tick = view.instrument.tick_size
    made: dict[str, object] = {
        "instrument": view.instrument.symbol,
        "partition": view.partition,
        "seq_num": view.seq_num,
        "epoch": view.epoch,
        "time": moment_text(view.ts_ns),
        "ts_ns": view.ts_ns,
        "state": lower(SessionState, view.state).replace(" ", "_"),
        "limit_state": view.limit_state,
        "last_trade": {"price": price_text(view.last_trade[0], tick), "qty": view.last_trade[1]} if view.last_trade else None,
        "indicative": {"price": price_text(view.indicative.price_ticks, tick), "qty": view.indicative.qty,
                       "imbalance": view.indicative.imbalance} if any(view.indicative) else None,
        "bids": [{"price": price_text(price, tick), "qty": qty} for price, qty in view.bids],
        "asks": [{"price": price_text(price, tick), "qty": qty} for price, qty in view.asks],
    }  # fmt: skip
    if view.orders is not None:
        made["orders"] = [_order_json(one, view.instrument) for one in view.orders]
    return made


def _order_json(order: RestingOrder, instrument: Instrument) -> dict[str, object]:
    tick = instrument.tick_size
    return {
        "order_id": order.order_id,
        "firm": order.firm,
        "side": lower(Side, order.side),
        "ord_type": lower(OrdType, order.ord_type).replace(" ", "_"),
        "time_in_force": lower(TimeInForce, order.tif),
        "untriggered": order.untriggered,
        "price": price_text(order.price_ticks, tick) if order.price_ticks else None,
        "stop_price": price_text(order.stop_price_ticks, tick) if order.stop_price_ticks else None,
        "leaves_qty": order.leaves_qty,
        "cum_qty": order.cum_qty,
    }
