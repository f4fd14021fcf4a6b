"""Continuous trading: an incoming order's walk through the book, what becomes of its rest, and the stops that it sets off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from engine.reference.model import MAX_INT64, NO_REASON, Bands, Book, Order, Refusal, State, opposite
from engine.reference.risk import AT_ONCE, over_cap, twice_the_midpoint
from engine.types import MAX_FILLS_PER_COMMAND, ExecType, Liquidity, RejectReason, SessionState, Side, StpMode, TimeInForce


class Stop(Enum):
    """Why a walk ended with quantity left."""

    LIMIT = auto()
    CAPPED = auto()
    BLOCKED = auto()
    SELF = auto()


@dataclass(slots=True)
class Walk:
    """How an incoming order's walk went."""

    traded: bool = False
    stop: Stop = Stop.LIMIT


def act(state: State, order: Order) -> None:
    """An accepted, amended or triggered order comes in. Out of continuous trading it only rests."""
    book = state.books[order.instrument]
    if book.state != SessionState.CONTINUOUS:
        state.enter(order)
    elif _match(state, book, order):
        run_stops(state, book)


def wait_for_trigger(state: State, order: Order) -> None:
    """A stop goes to the stops; one whose price was reached already is triggered at once."""
    order.untriggered = True
    state.enter(order)
    book = state.books[order.instrument]
    if book.state == SessionState.CONTINUOUS:
        run_stops(state, book)


def run_stops(state: State, book: Book) -> None:
    """Triggers every stop that the trades since the start of this step reach, one after the other, and those that they set off."""
    if book.last_trade is None:
        return
    start = book.last_trade[0]
    while True:
        low = start if book.step_low is None else min(start, book.step_low)
        high = start if book.step_high is None else max(start, book.step_high)
        buys, sells = book.stop_prices(Side.BUY), book.stop_prices(Side.SELL)
        if buys and buys[0] <= high:
            order = book.stops[Side.BUY][buys[0]][0]
        elif sells and sells[0] >= low:
            order = book.stops[Side.SELL][sells[0]][0]
        else:
            return
        state.remove(order)
        order.untriggered = False
        state.order_report(order, ExecType.TRIGGERED)
        doubled = twice_the_midpoint(book, order.side)
        if order.acts_as_market and doubled is not None and over_cap(book, doubled, order.leaves_qty):
            worth = doubled * order.leaves_qty // 2
            state.order_report(order, ExecType.CANCELLED, Refusal(RejectReason.STOP_OVER_CAP, worth, book.rules.market_notional_cap))
            continue
        _match(state, book, order)


def _match(state: State, book: Book, order: Order) -> bool:
    """Walk, rest, limit state. True when it traded."""
    limit = _limit(book, order)
    if order.tif == TimeInForce.FOK:
        walk = _fill_or_kill(state, book, order, limit)
    else:
        walk = _take(state, book, order, limit, book.bands)
        if order.leaves_qty:
            _leftover(state, book, order, limit, walk.stop)
    _limit_state(state, book, order.instrument, walk)
    return walk.traded


def _limit_state(state: State, book: Book, instrument: int, walk: Walk) -> None:
    """A trade ends the limit state that runs; a blocked walk begins one if none runs any more, and one report tells both."""
    runs = book.limit_state_until is not None and not walk.traded
    if walk.stop is Stop.BLOCKED and not runs:
        book.limit_state_until = state.step_ns + state.config.limit_state_ns
        state.report(ExecType.LIMIT_STATE, instrument=instrument, value=1)
    elif walk.stop is not Stop.BLOCKED and walk.traded and book.limit_state_until is not None:
        book.limit_state_until = None
        state.report(ExecType.LIMIT_STATE, instrument=instrument, value=0)


def _limit(book: Book, order: Order) -> int | None:
    """The worst price it may trade at: its own, or the collar; None: any."""
    if not order.acts_as_market:
        return order.price_ticks
    bps, doubled = book.rules.collar_bps, twice_the_midpoint(book, order.side)
    if not bps or doubled is None:
        return None
    if order.side == Side.BUY:
        return doubled * (10_000 + bps) // 20_000
    return max(1, -(-doubled * (10_000 - bps) // 20_000))


def _beyond(side: int, limit: int | None, price: int) -> bool:
    if limit is None:
        return False
    return price > limit if side == Side.BUY else price < limit


def _outside(bands: Bands | None, price: int) -> bool:
    return bands is not None and not bands[0] <= price <= bands[1]


def _fill_or_kill(state: State, book: Book, order: Order, limit: int | None) -> Walk:
    """Two phases with the same rules: only a walk that fills the order whole is made at all. The first one of a killed order leaves no
    trace, so it begins no limit state either."""
    bands = book.bands()
    stop = _dry_run(state, book, order, limit, bands)
    if stop is None:
        return _take(state, book, order, limit, lambda: bands)
    why = NO_REASON
    if stop is Stop.BLOCKED:
        makers = book.resting(opposite(order.side))
        why = next(_off_band(bands, maker.price_ticks) for maker in makers if _outside(bands, maker.price_ticks))
    state.order_report(order, ExecType.CANCELLED, why)
    return Walk()


def _dry_run(state: State, book: Book, order: Order, limit: int | None, bands: Bands | None) -> Stop | None:
    """Why the walk would not fill the order; None when it would. Changes nothing."""
    mode = state.firm(order.firm).limits.stp
    left = order.leaves_qty
    for steps, maker in enumerate(book.resting(opposite(order.side))):
        if not left:
            return None
        if _beyond(order.side, limit, maker.price_ticks):
            return Stop.LIMIT
        if steps == MAX_FILLS_PER_COMMAND:
            return Stop.CAPPED
        if _outside(bands, maker.price_ticks):
            return Stop.BLOCKED
        own = maker.firm == order.firm
        if own and mode in (StpMode.CANCEL_NEWEST, StpMode.DECREMENT):
            return Stop.SELF
        if own and mode == StpMode.CANCEL_OLDEST:
            continue
        left -= min(left, maker.leaves_qty)
    return Stop.LIMIT if left else None


def _take(state: State, book: Book, order: Order, limit: int | None, bands_now: Callable[[], Bands | None]) -> Walk:
    """Trades with the best resting order while there is quantity and no rule ends it. Each turn takes a maker out or ends the walk."""
    walk = Walk()
    mode = state.firm(order.firm).limits.stp
    steps = 0
    while order.leaves_qty:
        price = book.best_price(opposite(order.side))
        if price is None or _beyond(order.side, limit, price):
            break
        if steps == MAX_FILLS_PER_COMMAND:
            walk.stop = Stop.CAPPED
            break
        if _outside(bands_now(), price):
            walk.stop = Stop.BLOCKED
            break
        steps += 1
        maker = book.sides[opposite(order.side)][price][0]
        if maker.firm != order.firm or mode == StpMode.NONE:
            walk.traded = True
            state.trade(book, price, (order, Liquidity.TAKER), (maker, Liquidity.MAKER))
            if book.rules.luld_bps and not book.reference_ticks:
                book.reference_ticks = price
        elif mode == StpMode.CANCEL_NEWEST:
            walk.stop = Stop.SELF
            break
        elif mode == StpMode.CANCEL_OLDEST:
            state.end(maker, ExecType.CANCELLED, _own(order, min(order.leaves_qty, maker.leaves_qty)))
        else:
            _decrement(state, order, maker)
    return walk


def _decrement(state: State, order: Order, maker: Order) -> None:
    """Both ask for less by the smaller quantity; who has nothing left is cancelled."""
    qty = min(order.leaves_qty, maker.leaves_qty)
    for each in (maker, order):
        each.order_qty -= qty
        each.leaves_qty -= qty
    if not maker.leaves_qty:
        state.remove(maker)
    for each, other in ((maker, order), (order, maker)):
        exec_type = ExecType.RESTATED if each.leaves_qty else ExecType.CANCELLED
        state.order_report(each, exec_type, _own(other, qty))


def _own(other: Order, qty: int) -> Refusal:
    """It would have traded so much with another order of its firm."""
    return Refusal(RejectReason.SELF_TRADE, min(other.order_id, MAX_INT64), qty)


def _off_band(bands: Bands | None, price: int) -> Refusal:
    """A price, and the edge of the bands that it is beyond."""
    low, high = bands or (0, 0)
    return Refusal(RejectReason.PRICE_BAND, price, low if price < low else high)


def _leftover(state: State, book: Book, order: Order, limit: int | None, stop: Stop) -> None:
    """It rests, or it is cancelled for the first reason that fits."""
    bands = book.bands()
    best = book.best_price(opposite(order.side))
    if stop is Stop.SELF and best is not None:
        maker = book.sides[opposite(order.side)][best][0]
        why = _own(maker, min(order.leaves_qty, maker.leaves_qty))
    elif stop is Stop.BLOCKED and best is not None:
        why = _off_band(bands, best)
    elif stop is Stop.CAPPED:
        why = Refusal(RejectReason.FILL_LIMIT, MAX_FILLS_PER_COMMAND, MAX_FILLS_PER_COMMAND)
    elif order.acts_as_market and best is not None and limit is not None:
        why = Refusal(RejectReason.COLLAR, best, limit)
    elif order.acts_as_market or order.tif in AT_ONCE:
        why = NO_REASON
    elif bands and (order.price_ticks > bands[1] if order.side == Side.BUY else order.price_ticks < bands[0]):
        why = _off_band(bands, order.price_ticks)
    else:
        state.enter(order)
        return
    state.order_report(order, ExecType.CANCELLED, why)
