"""Commands of the venue itself: sessions, kill switch, limits, corporate actions, the end of the day (E5, E9, E22)."""

from __future__ import annotations

from collections.abc import Sequence

from engine.reference.auctions import change_state
from engine.reference.model import (
    MAX_INT64,
    NO_REASON,
    TOKEN,
    Book,
    Cell,
    Digest,
    Order,
    Refusal,
    State,
    first_out_of_range,
    limit_out_of_range,
)
from engine.reference.orders import digest_accepted
from engine.reference.risk import PRICED, STOPS, price_is_sane
from engine.types import (
    ALL_INSTRUMENTS,
    MAX_ORDER_QTY,
    MAX_PRICE_TICKS,
    Command,
    ExecType,
    FirmLimits,
    OrdStatus,
    RejectReason,
    SessionState,
    Side,
)

MAX_RATIO = 1_000
"""Bound of both numbers of a split's ratio."""

MAX_HOLDING = 10**18


def session(state: State, command: Command) -> Refusal | int:
    """Returns how many instruments changed. A halt by hand on one that reopens by itself takes its timer away."""
    instruments = _instruments(state, command)
    if isinstance(instruments, Refusal):
        return instruments
    books = state.books
    changed = [i for i in instruments if books[i].state != command.state or books[i].halted_until is not None]
    for instrument in changed:
        change_state(state, instrument, SessionState(command.state))
    return len(changed)


def timer(state: State, command: Command) -> Refusal | int:
    """Only lets the time pass: the timers fired before."""
    del state, command
    return 0


def kill(state: State, command: Command) -> Refusal | int:
    """Sets the switch, and cancels all that the firm has; or clears it. Returns how many were cancelled."""
    state.firm(command.firm).killed = command.qty == 1
    every = range(len(state.books))
    return _cancel_all(state, command.firm, every, Refusal(RejectReason.FIRM_KILLED, command.firm)) if command.qty else 0


def mass_cancel(state: State, command: Command) -> Refusal | int:
    """Returns how many were cancelled."""
    instruments = _instruments(state, command)
    if isinstance(instruments, Refusal):
        return instruments
    return _cancel_all(state, command.firm, instruments, NO_REASON)


def _cancel_all(state: State, firm: int, instruments: Sequence[int], why: Refusal) -> int:
    orders = [order for instrument in instruments for order in state.books[instrument].orders() if order.firm == firm]
    for order in orders:
        state.end(order, ExecType.CANCELLED, why)
    return len(orders)


def limits(state: State, command: Command) -> Refusal | int:
    """New limits, with a full bucket."""
    new = FirmLimits(command.qty, command.price_ticks, command.stop_price_ticks, command.order_id, command.stp)
    if (wrong := limit_out_of_range(new)) is not None:
        value, bound = wrong
        return Refusal(RejectReason.BAD_LIMITS, min(value, MAX_INT64), bound)
    firm = state.firm(command.firm)
    firm.limits, firm.tokens, firm.last_ns = new, new.burst * TOKEN, state.now_ns
    return 0


def reference(state: State, command: Command) -> Refusal | int:
    """Sets the price around which the band lies."""
    if command.instrument >= len(state.books):
        return _unknown_instrument(state, command)
    if not price_is_sane(command.price_ticks):
        return Refusal(RejectReason.BAD_PRICE, command.price_ticks, MAX_PRICE_TICKS)
    state.books[command.instrument].reference_ticks = command.price_ticks
    return 0


def corporate_action(state: State, command: Command) -> Refusal | int:
    """A split and a dividend change every order, position and price of a closed instrument. Returns how many orders it touched."""
    if command.instrument >= len(state.books):
        return _unknown_instrument(state, command)
    num, den, dividend = command.qty, command.price_ticks, command.stop_price_ticks
    wrong = first_out_of_range((num, 1, MAX_RATIO), (den, 1, MAX_RATIO), (dividend, 0, MAX_PRICE_TICKS))
    if wrong is not None:
        return Refusal(RejectReason.BAD_QUANTITY, *wrong)
    book = state.books[command.instrument]
    if book.state != SessionState.CLOSED:
        return Refusal(RejectReason.WRONG_STATE, book.state)
    orders = book.orders()
    for order in orders:
        state.remove(order)
    for order in orders:
        _adjust_order(state, order, num, den, dividend)  # looks at the last price as it was
    for (_, instrument), cell in state.cells.items():
        if instrument == command.instrument:
            held = min(MAX_HOLDING, abs(cell.net) * num // den)
            cell.net = held if cell.net >= 0 else -held
    _adjust_prices(book, num, den, dividend)
    return len(orders)


def _adjust_order(state: State, order: Order, num: int, den: int, dividend: int) -> None:
    """It goes on with less or more, cheaper or dearer, rounded so that its owner never pays more or trades sooner; or it is cancelled
    because nothing sane is left of it."""
    leaves = order.leaves_qty * num // den
    price = order.price_ticks
    if order.ord_type in PRICED:
        price = _floor(price, num, den, dividend) if order.side == Side.BUY else _ceil(price, num, den)
    stop = _adjusted_stop(state, order, num, den, dividend) if order.ord_type in STOPS else 0
    sane = (order.ord_type not in PRICED or price_is_sane(price)) and (order.ord_type not in STOPS or price_is_sane(stop))
    if not 1 <= leaves <= MAX_ORDER_QTY - order.cum_qty or not sane:
        state.order_report(order, ExecType.CANCELLED, Refusal(RejectReason.CORPORATE_ACTION, num, den))
        return
    order.price_ticks, order.stop_price_ticks = price, stop
    order.leaves_qty, order.order_qty = leaves, order.cum_qty + leaves
    state.enter(order)
    state.order_report(order, ExecType.RESTATED, Refusal(RejectReason.CORPORATE_ACTION, num, den))


def _adjusted_stop(state: State, order: Order, num: int, den: int, dividend: int) -> int:
    """Of a waiting stop that the last price had not reached: never so that the adjusted last price reaches it, which rounding would do.
    Of a triggered one: some price, only to be shown."""
    stop, last_trade = order.stop_price_ticks, state.books[order.instrument].last_trade
    moved = _ceil(stop, num, den) if order.side == Side.BUY else _floor(stop, num, den, dividend)
    if not order.untriggered:
        return min(MAX_PRICE_TICKS, max(1, moved))
    if last_trade and order.side == Side.BUY and stop > last_trade[0]:
        return max(moved, _adjusted_mark(last_trade[0], num, den, dividend) + 1)
    if last_trade and order.side == Side.SELL and stop < last_trade[0]:
        return min(moved, _adjusted_mark(last_trade[0], num, den, dividend) - 1)
    return moved


def _floor(price: int, num: int, den: int, dividend: int) -> int:
    return price * den // num - dividend


def _ceil(price: int, num: int, den: int) -> int:
    return -(-price * den // num)


def _adjusted_mark(price: int, num: int, den: int, dividend: int) -> int:
    """Of a last trade or reference price, which must stay a price."""
    return min(MAX_PRICE_TICKS, max(1, _floor(price, num, den, dividend)))


def _adjust_prices(book: Book, num: int, den: int, dividend: int) -> None:
    if book.last_trade:
        book.last_trade = (_adjusted_mark(book.last_trade[0], num, den, dividend), book.last_trade[1])
    if book.reference_ticks:
        book.reference_ticks = _adjusted_mark(book.reference_ticks, num, den, dividend)


def end_of_day(state: State, command: Command) -> Refusal | int:
    """Reports and clears each position's day, and forgets what is done. Returns how many positions were reported."""
    for instrument, book in enumerate(state.books):
        if book.state != SessionState.CLOSED:
            return Refusal(RejectReason.WRONG_STATE, book.state, instrument)
    traded = [(key, cell) for key, cell in sorted(state.cells.items()) if cell.bought or cell.sold or cell.maker_qty or cell.taker_qty]
    for (firm, instrument), cell in traded:
        _settle(state, firm, instrument, cell, command.qty)
    _forget_done_orders(state)
    return len(traded)


def _settle(state: State, firm: int, instrument: int, cell: Cell, date: int) -> None:
    state.report(
        ExecType.SETTLEMENT,
        trade_id=date % (1 << 64),
        firm=firm,
        instrument=instrument,
        last_qty=cell.bought - cell.sold,
        order_qty=cell.bought,
        cum_qty=cell.sold,
        leaves_qty=cell.net,
        cum_notional=cell.cash,
        value=cell.maker_qty,
        limit=cell.taker_qty,
    )
    cell.bought = cell.sold = cell.cash = cell.maker_qty = cell.taker_qty = 0


def _forget_done_orders(state: State) -> None:
    live = sorted(state.live.values(), key=lambda order: order.order_id)
    state.owners = {order.order_id: order.firm for order in live}
    state.order_ids = {(order.firm, order.cl_ord_id): order.order_id for order in live if order.cl_ord_id}
    state.accepted_digest = Digest()
    for order in live:
        digest_accepted(state, order)


def _instruments(state: State, command: Command) -> Sequence[int] | Refusal:
    """The command's instrument, or all of them."""
    if command.instrument == ALL_INSTRUMENTS:
        return range(len(state.books))
    return [command.instrument] if command.instrument < len(state.books) else _unknown_instrument(state, command)


def _unknown_instrument(state: State, command: Command) -> Refusal:
    return Refusal(RejectReason.UNKNOWN_INSTRUMENT, command.instrument, len(state.books))


def answer(state: State, command: Command, result: Refusal | int) -> None:
    """The one report about the command itself: CONTROL with what was counted, or REJECTED."""
    if isinstance(result, Refusal):
        state.report(
            ExecType.REJECTED,
            firm=command.firm,
            instrument=command.instrument,
            ord_status=OrdStatus.REJECTED,
            reason=result.reason,
            value=result.value,
            limit=result.limit,
        )
    else:
        state.report(ExecType.CONTROL, firm=command.firm, instrument=command.instrument, value=result)
