"""The checks before an order is accepted or amended (E8, E9), in the order in which they are made: the first failure is the refusal."""

from __future__ import annotations

from engine.reference.model import TOKEN, Book, Firm, Refusal, State, opposite
from engine.types import (
    MAX_CL_ORD_ID_LENGTH,
    MAX_FIRM_ID,
    MAX_PRICE_TICKS,
    MAX_TS_NS,
    Command,
    CommandKind,
    OrdType,
    RejectReason,
    SessionState,
    Side,
    StpMode,
    TimeInForce,
)

PRICED = (OrdType.LIMIT, OrdType.STOP_LIMIT)
STOPS = (OrdType.STOP, OrdType.STOP_LIMIT)
AT_ONCE = (TimeInForce.IOC, TimeInForce.FOK)


def well_formed(command: Command) -> bool:
    """Whether every field that the kind uses holds a named value. What is not is never logged."""
    text = command.cl_ord_id
    if len(text) > MAX_CL_ORD_ID_LENGTH or not all(" " <= char <= "~" for char in text):
        return False
    if command.kind not in set(CommandKind) or not 0 <= command.firm <= MAX_FIRM_ID or not 0 <= command.ts_ns <= MAX_TS_NS:
        return False
    named = {
        CommandKind.NEW_ORDER: command.side in set(Side) and command.ord_type in set(OrdType) and command.tif in set(TimeInForce),
        CommandKind.LIMITS: command.stp in set(StpMode),
        CommandKind.SESSION: command.state in set(SessionState),
        CommandKind.KILL: command.qty in (0, 1),
    }
    return named.get(CommandKind(command.kind), True)


def twice_the_midpoint(book: Book, side: int) -> int | None:
    """Twice the price that a market order is measured by: best bid plus best ask; with one side missing twice the last trade, else
    twice the reference, else twice the best price it could trade at; None when there is none of them."""
    bid, ask = book.best_price(Side.BUY), book.best_price(Side.SELL)
    if bid is not None and ask is not None:
        return bid + ask
    price = book.anchor() or book.best_price(opposite(side))
    return None if price is None else 2 * price


def refuse_new(state: State, command: Command) -> Refusal | None:
    """None: the order is to be accepted. Makes the firm's row and takes its token on the way."""
    original = state.order_ids.get((command.firm, command.cl_ord_id)) if command.cl_ord_id else None
    if original is not None:
        return Refusal(RejectReason.DUPLICATE_CL_ORD_ID, order_id=original)
    if command.instrument >= len(state.books):
        return Refusal(RejectReason.UNKNOWN_INSTRUMENT, command.instrument, len(state.books))
    return _refuse_fields(state, command) or _refuse_risk(state, command)


def _refuse_fields(state: State, command: Command) -> Refusal | None:
    book = state.books[command.instrument]
    if command.ord_type in STOPS and command.tif in AT_ONCE:
        return Refusal(RejectReason.BAD_TIME_IN_FORCE, command.tif)
    if command.ord_type in PRICED and not price_is_sane(command.price_ticks):
        return Refusal(RejectReason.BAD_PRICE, command.price_ticks, MAX_PRICE_TICKS)
    if command.ord_type in STOPS and not price_is_sane(command.stop_price_ticks):
        return Refusal(RejectReason.BAD_STOP_PRICE, command.stop_price_ticks, MAX_PRICE_TICKS)
    if not 1 <= command.qty <= book.rules.max_qty:
        return Refusal(RejectReason.BAD_QUANTITY, command.qty, book.rules.max_qty)
    needs_continuous = command.ord_type == OrdType.MARKET or command.tif in AT_ONCE
    if book.state == SessionState.CLOSED or (book.state != SessionState.CONTINUOUS and needs_continuous):
        return Refusal(RejectReason.WRONG_STATE, book.state)
    return None


def _refuse_risk(state: State, command: Command) -> Refusal | None:
    book = state.books[command.instrument]
    firm = state.firm(command.firm)
    if firm.killed:
        return Refusal(RejectReason.FIRM_KILLED, command.firm)
    return (
        refuse_rate(state, firm)
        or refuse_size(firm, command.qty)
        or (refuse_fat_finger(book, command.side, command.price_ticks) if command.ord_type in PRICED else None)
        or refuse_notional(book, _doubled_price(book, command), command.qty)
        or refuse_position(state, firm, command.firm, command.instrument, command.side, command.qty)
        or _refuse_slot(state, command)
    )


def price_is_sane(price: int) -> bool:
    """Prices and stop prices lie in 1..MAX_PRICE_TICKS."""
    return 1 <= price <= MAX_PRICE_TICKS


def refuse_rate(state: State, firm: Firm) -> Refusal | None:
    """A token bucket over sequenced time; without a rate there is no bucket to keep."""
    limits = firm.limits
    if not limits.rate_per_s:
        return None
    full = limits.burst * TOKEN
    firm.tokens = min(full, firm.tokens + (state.now_ns - firm.last_ns) * limits.rate_per_s)
    firm.last_ns = state.now_ns
    if firm.tokens < TOKEN:
        return Refusal(RejectReason.ORDER_RATE, limits.rate_per_s, limits.burst)
    firm.tokens -= TOKEN
    return None


def refuse_size(firm: Firm, order_qty: int) -> Refusal | None:
    """The firm's largest order."""
    most = firm.limits.max_order_qty
    return Refusal(RejectReason.ORDER_SIZE, order_qty, most) if most and order_qty > most else None


def refuse_fat_finger(book: Book, side: int, price: int) -> Refusal | None:
    """200 %: a buy above twice the last trade price, a sell below half of it."""
    percent, anchor = book.rules.fat_finger_pct, book.anchor()
    if not percent or anchor is None:
        return None
    too_far = price * 100 > anchor * percent if side == Side.BUY else price * percent < anchor * 100
    return Refusal(RejectReason.FAT_FINGER, price, anchor) if too_far else None


def _doubled_price(book: Book, command: Command) -> int | None:
    """What an order without a price is measured by, twice: MARKET by the midpoint, STOP by its stop price."""
    return {
        OrdType.MARKET: twice_the_midpoint(book, command.side),
        OrdType.STOP: 2 * command.stop_price_ticks,
    }.get(OrdType(command.ord_type))


def refuse_notional(book: Book, doubled: int | None, qty: int) -> Refusal | None:
    """Worth more than the cap for orders without a price, at half of `doubled` ticks."""
    cap = book.rules.market_notional_cap
    return Refusal(RejectReason.NOTIONAL_CAP, (doubled or 0) * qty // 2, cap) if over_cap(book, doubled, qty) else None


def over_cap(book: Book, doubled: int | None, qty: int) -> bool:
    """Whether so many shares, at half of `doubled` ticks each, are worth more than the cap for orders without a price."""
    cap = book.rules.market_notional_cap
    return bool(cap) and doubled is not None and doubled * qty > 2 * cap


def refuse_position(state: State, firm: Firm, firm_id: int, instrument: int, side: int, more_qty: int) -> Refusal | None:
    """The net position if everything open on that side traded, and `more_qty` too. What adds nothing is not refused, though a limit that
    was lowered may be passed already."""
    limit = firm.limits.position_limit
    if not limit or more_qty <= 0:
        return None
    cell = state.cells.get((firm_id, instrument))
    net = cell.net if cell else 0
    reached = (net if side == Side.BUY else -net) + state.open_qty(firm_id, instrument, side) + more_qty
    return Refusal(RejectReason.POSITION_LIMIT, reached, limit) if reached > limit else None


def _refuse_slot(state: State, command: Command) -> Refusal | None:
    may_rest = command.ord_type != OrdType.MARKET and command.tif not in AT_ONCE
    most = state.config.max_live_orders
    return Refusal(RejectReason.BOOK_FULL, len(state.live), most) if may_rest and len(state.live) >= most else None
